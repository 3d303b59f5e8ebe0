//! What an index is of: `index.json` of its folder. Whatever is counted depends on nothing else.
//! Not here: counting, and the other files.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use crate::analysis::index::{Corpus, DENSE, Rule, SaeTally, Tally};
use crate::analysis::{IndexMeta, IndexNews, IndexSae, IndexView, SkippedPositions};
use crate::report::Report;
use crate::session::index::folder::{NOTE, STATE};
use crate::session::index::tables_out::{EXAMPLES, LATENTS, TOKENS};
use crate::session::index::windows::Position;

/// Grows when what is counted, or how it is written, changes.
pub const FORMAT: u32 = 1;

/// What an index is of and what is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub format: u32,
    pub program: String,
    pub suite: String,
    /// What stands behind the counts.
    pub of: Origin,
    pub rule: Rule,
    pub skipped_positions: SkippedPositions,
    /// Which shard it is, from 1, and of how many.
    pub shard: Option<(u64, u64)>,
    pub tokens: u64,
    pub documents: u64,
    pub windows: u64,
    pub sinks: u64,
    pub saes: Vec<NoteSae>,
    /// Where reading stands.
    pub position: Position,
    pub complete: bool,
    /// The bytes of each other file of the folder.
    pub files: BTreeMap<String, u64>,
}

/// What an index is of: where any of it differs, so do the counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The site, and what is done to its activations.
    pub site: String,
    /// The token that each window begins with.
    pub bos: Option<u32>,
    /// SHA-256 of the model's files.
    pub model: String,
    /// SHA-256 of the tokenizer's files and of whose word counts.
    pub tokenizer: String,
    /// SHA-256 of each SAE's files and of what the suite says of them.
    pub saes: BTreeMap<String, String>,
    /// For each SAE the hashes of its meta-SAEs' breakdowns of its latents, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metas: BTreeMap<String, BTreeMap<String, String>>,
    /// The texts, as a person named them.
    pub texts: Vec<String>,
}

/// An SAE in an index, or a meta-SAE of one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoteSae {
    pub id: String,
    /// The meta-SAE's id; none for the SAE's own latents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<String>,
    pub width: usize,
    pub silent: usize,
    pub dense: usize,
    pub l0: f64,
    /// For each group of latents its row group in `examples.parquet`; none where none of them fires.
    pub example_groups: Vec<Option<u32>>,
}

impl Origin {
    /// What is another than it was, for a person; none where nothing is.
    pub fn differs(&self, was: &Self) -> Option<String> {
        let changed = |what: &str| Some(format!("{what} is another than it was made of"));
        if self.model != was.model {
            return changed("the model");
        }
        if self.tokenizer != was.tokenizer || self.bos != was.bos {
            return changed("the tokenizer");
        }
        if self.site != was.site {
            return Some(format!("it is of activations at {}, and the suite's are at {}", was.site, self.site));
        }
        if let Some((id, _)) = self.saes.iter().find(|(id, hash)| was.saes.get(*id).is_some_and(|of| of != *hash)) {
            return changed(&format!("SAE `{id}`"));
        }
        if self.saes != was.saes {
            let names: Vec<String> = was.saes.keys().map(|id| format!("`{id}`")).collect();
            return Some(format!("it is of the SAEs {}", names.join(", ")));
        }
        if self.metas != was.metas {
            let names: Vec<String> = was.metas.values().flatten().map(|(id, _)| format!("`{id}`")).collect();
            let names = if names.is_empty() {
                "no meta-SAEs".to_owned()
            } else {
                format!("the meta-SAEs {}", names.join(", "))
            };
            return Some(format!("it is of {names}, as they were then"));
        }
        (self.texts != was.texts).then(|| format!("it is of the texts {}", was.texts.join(", ")))
    }
}

impl NoteSae {
    /// What is in the counts of an SAE; row groups are not known yet.
    pub fn all(corpus: &Corpus) -> Vec<Self> {
        let of = |sae: &SaeTally| {
            let counts = || sae.latents.iter().map(Tally::count);
            let most = corpus.tokens as f64 * DENSE;
            Self {
                id: sae.id.clone(),
                meta: sae.meta.clone(),
                width: sae.latents.len(),
                silent: counts().filter(|count| *count == 0).count(),
                dense: counts().filter(|count| *count as f64 > most).count(),
                l0: counts().sum::<u64>() as f64 / corpus.tokens.max(1) as f64,
                example_groups: Vec::new(),
            }
        };
        corpus.saes.iter().map(of).collect()
    }
}

/// What of a note is the same in every format.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Why an index is of no use.
pub fn unusable(name: &str, why: impl Into<String>) -> Report {
    Report::new(format!("cannot use the index `{name}`")).because(why)
}

impl Note {
    /// The note of the index that a person knows as `name`, out of its bytes; `size` says how long its other files are.
    ///
    /// # Errors
    /// That it cannot be read, is of another format, or that a file has not the bytes that were written.
    pub fn read(
        name: &str,
        bytes: io::Result<Cow<'static, [u8]>>,
        size: &dyn Fn(&str) -> io::Result<u64>,
    ) -> Result<Self, Report> {
        let wrong = |why: String| {
            unusable(name, why).hint("delete the folder, or build the index into another one with --out DIR")
        };
        let bytes = bytes.map_err(|error| wrong(format!("{NOTE}: {error}")))?;
        let version: Version = serde_json::from_slice(&bytes).map_err(|error| wrong(format!("{NOTE}: {error}")))?;
        if version.format != FORMAT {
            return Err(wrong(format!("it is of format {}, and this version writes format {FORMAT}", version.format)));
        }
        let note: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(format!("{NOTE}: {error}")))?;
        for (name, bytes) in &note.files {
            // A name from the note stays in the folder.
            let known = [TOKENS, LATENTS, EXAMPLES, STATE].contains(&name.as_str());
            match if known { size(name) } else { Err(io::ErrorKind::NotFound.into()) } {
                // An index that is only read needs no state.
                Err(_) if name == STATE => {}
                Ok(here) if here == *bytes => {}
                Ok(here) => return Err(wrong(format!("`{name}` has {here} bytes, and {bytes} were written"))),
                Err(error) => return Err(wrong(format!("`{name}`: {error}"))),
            }
        }
        Ok(note)
    }

    /// What is said of the index as a whole.
    pub fn view(&self, seconds: f64) -> IndexView {
        let meta = |of: &NoteSae| {
            let NoteSae { id: sae, meta, width, silent, dense, l0, .. } = of.clone();
            Some(IndexMeta { id: meta?, sae, width, silent, dense, l0 })
        };
        let sae = |sae: &NoteSae| IndexSae {
            id: sae.id.clone(),
            width: sae.width,
            silent: sae.silent,
            dense: sae.dense,
            l0: sae.l0,
        };
        IndexView {
            index: None,
            suite: self.suite.clone(),
            tokens: self.tokens,
            documents: self.documents,
            windows: self.windows,
            context: self.rule.context,
            skipped_positions: self.skipped_positions,
            sinks: self.sinks,
            saes: self.saes.iter().filter(|sae| sae.meta.is_none()).map(sae).collect(),
            metas: self.saes.iter().filter_map(meta).collect(),
            seconds,
            tokens_per_second: if seconds > 0.0 { self.tokens as f64 / seconds } else { 0.0 },
            complete: self.complete,
            texts: self.of.texts.clone(),
            shard: self.shard.map(|(shard, of)| (shard as u32, of as u32)),
            notes: Vec::new(),
            news: IndexNews(self.windows),
        }
    }
}
