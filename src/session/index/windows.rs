//! Documents cut into windows of tokens, and where reading stands.
//! Not here: what is counted in them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::Tokenizer;
use crate::report::Report;
use crate::session::content::hex;
use crate::session::failure;
use crate::session::index::documents::{Documents, Piece};
use crate::session::index::texts::{Meter, Texts};

/// How windows are cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Tokens of a window, the beginning-of-sequence token included; at least 2.
    pub length: usize,
    /// What windows begin with.
    pub bos: Option<u32>,
    /// Which documents are taken: those whose number has the rest `.0` by `.1`.
    pub shard: (u64, u64),
    /// Windows are given until the positions of all of them that are not skipped are so many, over all shards.
    pub most: Option<u64>,
}

/// A window of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub document: u64,
    /// Its number within the document.
    pub number: u32,
    pub ids: Vec<u32>,
}

/// Where reading stands: behind a window, over all shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Documents that are behind it.
    pub documents: u64,
    /// The hash of their texts.
    pub sha256: String,
    /// Windows of the next document that are behind it.
    pub windows: u32,
    /// Positions that are not skipped, of all windows behind it.
    pub passed: u64,
    /// The same without those of the next document.
    pub passed_documents: u64,
    /// Whether the texts have ended.
    pub ended: bool,
}

/// The windows of texts.
pub struct Windows {
    documents: Documents,
    cut: Cut,
    /// What is spelled of the document and in no window yet.
    ids: VecDeque<u32>,
    /// The document that `ids` are of.
    document: u64,
    /// Whether nothing of the document is in windows yet.
    fresh: bool,
    /// Whether all of the document is spelled.
    whole: bool,
    hash: Sha256,
    at: Position,
    /// Where an earlier reading stood, until it is reached.
    to: Option<Position>,
}

impl Windows {
    /// From the first, or from where an earlier reading stood.
    pub fn new(texts: &Texts, meter: Meter, cut: Cut, to: Option<Position>) -> Self {
        let at = Position { sha256: hex(&Sha256::new().finalize()), ..Position::default() };
        let to = to.filter(|to| to.documents > 0 || to.windows > 0);
        let cut = Cut { length: cut.length.max(2), ..cut };
        Self {
            documents: Documents::new(texts, meter),
            cut,
            ids: VecDeque::new(),
            document: 0,
            fresh: true,
            whole: false,
            hash: Sha256::new(),
            at,
            to,
        }
    }

    /// Where reading stands.
    pub const fn position(&self) -> &Position {
        &self.at
    }

    /// Whether reading has come to where it is to stop.
    pub fn is_over(&self) -> bool {
        self.at.ended || self.cut.most.is_some_and(|most| self.at.passed >= most)
    }

    /// The document of which windows may still come.
    pub fn reading(&self) -> Option<u32> {
        (!self.at.ended && self.at.windows > 0).then_some(self.at.documents as u32)
    }

    /// The next window of this shard; none where reading is over.
    ///
    /// # Errors
    /// What is wrong with the text, that it is not the one that was read before, or that it cannot be spelled.
    pub fn next(&mut self, tokenizer: &Tokenizer) -> Result<Option<Window>, Report> {
        loop {
            if self.to.is_none() && self.is_over() {
                return Ok(None);
            }
            if let Some(ids) = self.cut_off() {
                let window = Window { document: self.document, number: self.at.windows, ids };
                self.at.windows += 1;
                self.at.passed += window.ids.len() as u64 - 1;
                if self.is_behind() && self.is_mine(window.document) {
                    return Ok(Some(window));
                }
                continue;
            }
            if self.whole {
                self.end_document();
            }
            if let Some(piece) = self.documents.next()? {
                self.add(&piece, tokenizer)?;
                continue;
            }
            self.at.ended = true;
            self.check()?;
            // What stood behind the end of a text that is shorter now.
            if self.to.take().is_some_and(|to| (to.documents, to.windows) != (self.at.documents, 0)) {
                return Err(changed("it is shorter than it was"));
            }
        }
    }

    /// Tokens of the next window, where there are enough of them.
    fn cut_off(&mut self) -> Option<Vec<u32>> {
        let room = self.cut.length - usize::from(self.cut.bos.is_some());
        let take = if self.ids.len() >= room { room } else { self.ids.len() };
        if take == 0 || (take < room && !self.whole) {
            return None;
        }
        Some(self.cut.bos.into_iter().chain(self.ids.drain(..take)).collect())
    }

    fn is_mine(&self, document: u64) -> bool {
        document % self.cut.shard.1.max(1) == self.cut.shard.0
    }

    /// Whether this window was not given before; notes when the place is reached.
    fn is_behind(&mut self) -> bool {
        let Some(to) = &self.to else { return true };
        if (self.at.documents, self.at.windows) < (to.documents, to.windows) {
            return false;
        }
        let new = (self.at.documents, self.at.windows) > (to.documents, to.windows);
        self.to = None;
        new
    }

    fn end_document(&mut self) {
        self.at = Position {
            documents: self.at.documents + 1,
            sha256: hex(&self.hash.clone().finalize()),
            windows: 0,
            passed: self.at.passed,
            passed_documents: self.at.passed,
            ended: false,
        };
        (self.whole, self.fresh) = (false, true);
    }

    fn add(&mut self, piece: &Piece, tokenizer: &Tokenizer) -> Result<(), Report> {
        self.check()?;
        self.document = piece.document;
        self.hash.update(piece.text.as_bytes());
        if piece.ends {
            // No text has this byte: documents cannot be parted in two ways.
            self.hash.update([0xff]);
        }
        self.whole = piece.ends;
        // Of documents before the place where reading stood, nothing but the hash is needed.
        let known = self.to.as_ref().is_some_and(|to| piece.document < to.documents);
        if known || piece.text.is_empty() {
            return Ok(());
        }
        let cannot = |error| failure::of_model("cannot use the text", &error);
        for id in tokenizer.encode(&piece.text).map_err(cannot)? {
            // A document that spells the token which stands in front of it has it once.
            if self.fresh && self.cut.bos == Some(id) {
                continue;
            }
            self.fresh = false;
            self.ids.push_back(id);
        }
        Ok(())
    }

    /// Sees, when the document is reached that was read last, that all before it is as it was.
    fn check(&mut self) -> Result<(), Report> {
        let Some(to) = &self.to else { return Ok(()) };
        if self.at.documents == to.documents && self.at.windows == 0 && self.ids.is_empty() {
            if self.at.sha256 != to.sha256 {
                return Err(changed("what was read before is another text now"));
            }
            (self.at.passed, self.at.passed_documents) = (to.passed_documents, to.passed_documents);
            if to.windows == 0 {
                self.to = None;
            }
        }
        Ok(())
    }
}

fn changed(why: &str) -> Report {
    Report::new("the text has changed since the index was begun")
        .because(why)
        .hint("give back the text that was read, or begin another index with --out DIR")
}
