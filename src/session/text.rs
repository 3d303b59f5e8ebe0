//! The text that is measured on, cut into rows of tokens: read as it goes, so that its length costs no memory.
//! Not here: what is measured.
//!
//! Documents are separated by `<|endoftext|>`; one line break before it and one after it belong to it. They are joined
//! by the beginning-of-sequence token where the suite's prompts begin with one, and cut into rows of equal length, each
//! of which begins with that token.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Cursor, Read};

use crate::blob::{Blob, Instead, Location};
use crate::model::{PIECE, Tokenizer, cut};
use crate::report::Report;
use crate::session::failure;
use crate::session::prompt::{without_end, without_mark};

/// What stands between documents.
const SEPARATOR: &[u8] = b"<|endoftext|>";

/// A text in UTF-8.
#[derive(Clone, Debug)]
pub struct Text {
    /// What a person calls it by.
    pub name: String,
    blob: Blob,
}

/// How rows are cut.
#[derive(Clone, Copy)]
pub struct Cut<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Tokens of a row, the beginning-of-sequence token included; at least 2.
    pub length: usize,
    /// What rows begin with.
    pub bos: Option<u32>,
}

/// The rows of a text. It ends after the first error.
pub struct Rows<'a> {
    text: Text,
    cut: Cut<'a>,
    from: Box<dyn Read>,
    /// What was read and not yet cut off; `start` is its place in the file.
    bytes: Vec<u8>,
    start: u64,
    ended: bool,
    row: Vec<u32>,
    /// Whether nothing of the document is in rows yet.
    fresh: bool,
    ready: VecDeque<Vec<u32>>,
}

impl Text {
    /// A text in a file or in the program.
    pub fn new(name: impl Into<String>, blob: Blob) -> Self {
        Self { name: name.into(), blob }
    }

    /// Its rows, from the first.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn rows<'a>(&self, cut: Cut<'a>) -> Result<Rows<'a>, Report> {
        let from: Box<dyn Read> = match self.blob.place() {
            Location::Embedded(bytes) => Box::new(Cursor::new(*bytes)),
            Location::Path(path) => Box::new(File::open(path).map_err(|error| self.unread(&error))?),
        };
        let cut = Cut { length: cut.length.max(2), ..cut };
        let (text, bytes, row) = (self.clone(), Vec::new(), Vec::new());
        Ok(Rows { text, cut, from, bytes, start: 0, ended: false, row, fresh: true, ready: VecDeque::new() })
    }

    /// Its first `most` bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn beginning(&self, most: u64) -> Result<Vec<u8>, Report> {
        let mut bytes = Vec::new();
        let read = match self.blob.place() {
            Location::Embedded(all) => all.take(most).read_to_end(&mut bytes),
            Location::Path(path) => File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)),
        };
        read.map_err(|error| self.unread(&error))?;
        self.check(&bytes)?;
        Ok(without_mark(&bytes).to_vec())
    }

    /// Its length in bytes, where it can be known.
    pub fn bytes(&self) -> Option<u64> {
        self.blob.size().ok()
    }

    /// Fails where these first bytes show that something else lies where the text should be.
    fn check(&self, bytes: &[u8]) -> Result<(), Report> {
        let Some(instead) = Instead::of(bytes).filter(|instead| *instead != Instead::Empty) else { return Ok(()) };
        let hint = match instead {
            Instead::Page => "save its text alone; where the page is what is to be read, put a line of text before it",
            other => other.hint(),
        };
        Err(self.unread(&instead.into()).hint(hint))
    }

    /// Its name in backticks, and its file's where that is another.
    pub fn quoted(&self) -> String {
        let file = if self.blob.name() == self.name { String::new() } else { format!(", `{}`", self.blob.name()) };
        format!("`{}`{file}", self.name)
    }

    fn unread(&self, error: &std::io::Error) -> Report {
        Report::caused(format!("cannot read the text {}", self.quoted()), error)
            .hint("give another one with --text FILE, or take `text` out of the config file")
    }
}

impl Rows<'_> {
    /// Bytes of the text that were used up.
    pub const fn read(&self) -> u64 {
        self.start
    }

    /// Reads on until there is a row, or the text ends.
    fn fill(&mut self) -> Result<(), Report> {
        while self.ready.is_empty() && !(self.ended && self.bytes.is_empty()) {
            let found = find(&self.bytes, SEPARATOR);
            // The line break behind it must be here too.
            let whole = |end: &usize| self.ended || self.bytes.len() >= end + SEPARATOR.len() + 2;
            if let Some(end) = found.filter(whole) {
                let document = self.take(end + SEPARATOR.len());
                let document = &document[..end];
                self.add(without_end(document), self.start)?;
                self.separate();
                let after = [&b"\r\n"[..], b"\n"].into_iter().find(|line| self.bytes.starts_with(line));
                self.take(after.map_or(0, <[u8]>::len));
            } else if self.ended {
                let rest = self.take(self.bytes.len());
                // An editor's line break at the end of a file is not a part of its last document.
                self.add(without_end(&rest), self.start)?;
            } else if let Some(end) =
                (found.is_none() && self.bytes.len() >= 2 * PIECE).then(|| cut(&self.bytes, PIECE))
            {
                let piece = self.take(end);
                self.add(&piece, self.start)?;
            } else {
                self.read_more()?;
            }
        }
        if self.ready.is_empty() && self.row.len() > usize::from(self.cut.bos.is_some()) {
            self.ready.push_back(std::mem::take(&mut self.row));
        }
        Ok(())
    }

    fn read_more(&mut self) -> Result<(), Report> {
        let before = self.bytes.len();
        let read = (&mut self.from).take(PIECE as u64).read_to_end(&mut self.bytes);
        read.map_err(|error| self.text.unread(&error))?;
        self.ended = self.bytes.len() == before;
        if self.start == 0 && before == 0 {
            self.text.check(&self.bytes)?;
            let mark = self.bytes.len() - without_mark(&self.bytes).len();
            self.take(mark);
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(count);
        self.start += count as u64;
        std::mem::replace(&mut self.bytes, rest)
    }

    /// Adds a piece of a document; `end` is about where it ends in the file.
    fn add(&mut self, piece: &[u8], end: u64) -> Result<(), Report> {
        let text = std::str::from_utf8(piece).map_err(|error| {
            let at = end.saturating_sub(piece.len() as u64) + error.valid_up_to() as u64;
            Report::new(format!("the text `{}` is not UTF-8", self.text.name))
                .because(format!("the byte at about {at} begins no character"))
                .hint("convert it, for example with iconv")
        })?;
        if text.is_empty() {
            return Ok(());
        }
        let cannot = |error| failure::of_model(format!("cannot use the text `{}`", self.text.name), &error);
        let ids = self.cut.tokenizer.encode(text).map_err(cannot)?;
        for id in ids {
            if self.row.is_empty() {
                self.row.extend(self.cut.bos);
            }
            // A document that spells the token which stands in front of it has it once.
            if self.fresh && self.cut.bos == Some(id) {
                continue;
            }
            self.fresh = false;
            self.row.push(id);
            if self.row.len() >= self.cut.length {
                self.ready.push_back(std::mem::take(&mut self.row));
            }
        }
        Ok(())
    }

    /// Ends a document.
    fn separate(&mut self) {
        self.fresh = true;
        let Some(bos) = self.cut.bos.filter(|bos| self.row.last().is_some_and(|last| last != bos)) else { return };
        self.row.push(bos);
        if self.row.len() >= self.cut.length {
            self.ready.push_back(std::mem::take(&mut self.row));
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Vec<u32>, Report>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty()
            && let Err(report) = self.fill()
        {
            (self.ended, self.bytes, self.row) = (true, Vec::new(), Vec::new());
            return Some(Err(report));
        }
        self.ready.pop_front().map(Ok)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        let fixture = |name: &str| {
            Blob::path(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizer").join(name))
        };
        Tokenizer::load(&crate::model::TokenizerFiles::Json(fixture("tokenizer.json")), Some(0)).expect("is one")
    }

    fn rows(text: &[u8], length: usize, bos: Option<u32>) -> Result<Vec<Vec<u32>>, Report> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text.txt");
        std::fs::write(&path, text).expect("is written");
        let tokenizer = tokenizer();
        Text::new("text.txt", Blob::path(path)).rows(Cut { tokenizer: &tokenizer, length, bos })?.collect()
    }

    #[test]
    fn rows_have_one_length_and_begin_with_the_token_that_joins_documents() {
        let ids = |text: &str| tokenizer().encode(text).expect("is text");
        let (a, b) = (ids("the cat sat"), ids("a dog"));
        let whole: Vec<u32> = [&a[..], &[0], &b].concat();
        let got = rows(b"the cat sat\n<|endoftext|>\na dog\n", 5, Some(0)).expect("is text");
        assert!(got.iter().rev().skip(1).all(|row| row.len() == 5), "{got:?}");
        assert!(got.iter().all(|row| row[0] == 0), "{got:?}");
        let joined: Vec<u32> = got.iter().flat_map(|row| row[1..].to_vec()).collect();
        assert_eq!(joined, whole);
        let got = rows(b"the cat sat<|endoftext|>a dog", 1000, None).expect("is text");
        assert_eq!(got, [[a, b].concat()]);
        for nothing in ["", "\n", "<|endoftext|>", "<|endoftext|>\n<|endoftext|>\n"] {
            assert_eq!(rows(nothing.as_bytes(), 5, Some(0)).expect("is text"), Vec::<Vec<u32>>::new(), "{nothing:?}");
        }
    }

    #[test]
    fn marks_and_line_ends_of_other_systems_are_no_part_of_a_text() {
        let plain = rows(b"the cat sat\n<|endoftext|>\na dog\n", 5, Some(0)).expect("is text");
        let other = rows(b"\xef\xbb\xbfthe cat sat\r\n<|endoftext|>\r\na dog\r\n", 5, Some(0)).expect("is text");
        assert_eq!(other, plain);
    }

    #[test]
    fn a_document_that_spells_the_token_in_front_of_it_has_it_once() {
        // Number 0 is spelled `!` in this vocabulary.
        let plain = rows(b"the cat<|endoftext|>a dog", 50, Some(0)).expect("is text");
        assert_eq!(rows(b"!the cat<|endoftext|>!!a dog", 50, Some(0)).expect("is text"), plain);
        let inside = rows(b"the!cat", 50, Some(0)).expect("is text");
        assert_eq!(inside[0].iter().filter(|id| **id == 0).count(), 2, "{inside:?}");
    }

    #[test]
    fn a_long_text_gives_the_rows_of_one_piece() {
        let line = "the cat sat on the mat\n";
        let text = line.repeat(3 * PIECE / line.len());
        let got = rows(text.as_bytes(), 64, Some(0)).expect("is text");
        let joined: Vec<u32> = got.iter().flat_map(|row| row[1..].to_vec()).collect();
        assert_eq!(joined, tokenizer().encode(text.trim_end()).expect("is text"));
        let words = "the cat sat on the mat ".repeat(3 * PIECE / line.len());
        let got = rows(words.trim_end().as_bytes(), 64, Some(0)).expect("is text");
        let joined: Vec<u32> = got.iter().flat_map(|row| row[1..].to_vec()).collect();
        assert_eq!(joined, tokenizer().encode(words.trim_end()).expect("is text"), "one line is cut between words");
        let unbroken = "é".repeat(2 * PIECE);
        assert!(!rows(unbroken.as_bytes(), 64, None).expect("is cut between characters").is_empty());
    }

    #[test]
    fn what_lies_instead_of_a_text_is_named() {
        for (bytes, what, hint) in [
            (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"[..], "Git LFS", "git lfs pull"),
            (b"<!doctype html>\n<title>Log in</title>", "a web page", "a line of text before it"),
        ] {
            let report = rows(bytes, 5, None).expect_err("is no text");
            assert!(report.why[0].contains(what) && report.hint.is_some_and(|is| is.contains(hint)), "{what}");
        }
    }

    #[test]
    fn what_is_not_utf8_names_its_place_after_the_rows_before_it() {
        let report = rows(b"the cat<|endoftext|>ab\xff", 50, Some(0)).expect_err("is not UTF-8");
        assert!(report.why[0].contains("at about 22"), "{report}");
    }
}
