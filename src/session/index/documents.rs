//! The documents of texts, one behind the other, in pieces: a document may be longer than memory.
//! Not here: opening files (`texts.rs`), and tokens (`windows.rs`).

use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;

use crate::model::{PIECE, cut};
use crate::report::Report;
use crate::session::index::table::Table;
use crate::session::index::texts::{Form, Meter, Source, Texts};
use crate::session::prompt::{without_end, without_mark};

/// What stands between the documents of a plain text.
const SEPARATOR: &[u8] = b"<|endoftext|>";
/// Most bytes of a line of JSON: a longer one is not a document.
const LONGEST: u64 = 1 << 30;

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The document's number, from 0.
    pub document: u64,
    pub text: String,
    /// Whether the document ends with it.
    pub ends: bool,
}

/// The documents of texts. It ends after the first error.
pub struct Documents {
    sources: std::vec::IntoIter<Source>,
    open: Option<Reader>,
    meter: Meter,
    next: u64,
}

/// The documents of one file.
enum Reader {
    Plain(Plain),
    Lines(Lines),
    Table(Box<Table>, Rest),
}

/// A document that is cut into pieces, as far as it is not given yet.
#[derive(Default)]
pub struct Rest {
    text: String,
    from: usize,
}

impl Documents {
    /// From the first.
    pub fn new(texts: &Texts, meter: Meter) -> Self {
        Self { sources: texts.sources.clone().into_iter(), open: None, meter, next: 0 }
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    /// That a file cannot be read, is not UTF-8 or not what its name says, by file and line.
    pub fn next(&mut self) -> Result<Option<Piece>, Report> {
        loop {
            let found = match &mut self.open {
                None => None,
                Some(Reader::Plain(plain)) => plain.next()?,
                Some(Reader::Lines(lines)) => lines.next()?,
                Some(Reader::Table(table, rest)) => next_of(rest, || table.next())?,
            };
            if let Some((text, ends)) = found {
                let document = self.next;
                self.next += u64::from(ends);
                return Ok(Some(Piece { document, text, ends }));
            }
            let Some(source) = self.sources.next() else { return Ok(None) };
            self.open = Some(Reader::open(source, &self.meter)?);
        }
    }
}

impl Reader {
    fn open(source: Source, meter: &Meter) -> Result<Self, Report> {
        Ok(match source.form {
            Form::Table => Self::Table(Box::new(Table::open(&source, source.seekable(meter)?)?), Rest::default()),
            Form::Plain => Self::Plain(Plain::new(source.open(meter)?, source)),
            Form::Lines => {
                let from = BufReader::with_capacity(1 << 16, source.open(meter)?);
                Self::Lines(Lines { source, from, line: 0, rest: Rest::default() })
            }
        })
    }
}

/// The next piece of the document that is given, or of the next one; and whether it ends with it.
fn next_of(
    rest: &mut Rest,
    document: impl FnOnce() -> Result<Option<String>, Report>,
) -> Result<Option<(String, bool)>, Report> {
    if rest.from >= rest.text.len() {
        let Some(text) = document()? else { return Ok(None) };
        *rest = Rest { text, from: 0 };
    }
    let left = &rest.text.as_bytes()[rest.from..];
    let end = if left.len() > 2 * PIECE { cut(left, PIECE) } else { left.len() };
    // A cut lies between characters, so that nothing is lost here.
    let piece = String::from_utf8_lossy(&left[..end]).into_owned();
    rest.from += end;
    Ok(Some((piece, rest.from >= rest.text.len())))
}

/// A text in UTF-8 with documents parted by `<|endoftext|>`; one line break before it and one after it belong to it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "where reading stands is four things that do not follow from each other"
)]
struct Plain {
    source: Source,
    from: Box<dyn Read + Send>,
    /// What was read and not yet given, from `start` on.
    bytes: Vec<u8>,
    start: usize,
    /// Where no separator begins before.
    searched: usize,
    ended: bool,
    /// Whether anything was read.
    begun: bool,
    /// Whether anything of the document was given.
    inside: bool,
    /// Whether a document was given whole.
    parted: bool,
    line: usize,
}

impl Plain {
    fn new(from: Box<dyn Read + Send>, source: Source) -> Self {
        let bytes = Vec::new();
        Self {
            source,
            from,
            bytes,
            start: 0,
            searched: 0,
            ended: false,
            begun: false,
            inside: false,
            parted: false,
            line: 1,
        }
    }

    fn next(&mut self) -> Result<Option<(String, bool)>, Report> {
        loop {
            let found = find(&self.bytes[self.searched..]).map(|at| self.searched + at);
            // The line break behind it must be here too.
            let whole = |at: &usize| self.ended || self.bytes.len() >= at + SEPARATOR.len() + 2;
            if let Some(at) = found.filter(|at| at - self.start > 2 * PIECE) {
                let end = self.start + cut(&self.bytes[self.start..at], PIECE);
                let text = self.take(end, false)?;
                (self.inside, self.searched) = (true, at);
                return Ok(Some((text, false)));
            }
            if let Some(at) = found.filter(whole) {
                let text = self.take(at, true)?;
                self.skip(SEPARATOR.len());
                let line = [&b"\r\n"[..], b"\n"].into_iter().find(|line| self.bytes[self.start..].starts_with(line));
                self.skip(line.map_or(0, <[u8]>::len));
                (self.inside, self.parted, self.searched) = (false, true, self.start);
                return Ok(Some((text, true)));
            }
            if found.is_none() {
                // A separator may begin in the last bytes.
                self.searched = self.bytes.len().saturating_sub(SEPARATOR.len() - 1).max(self.start);
                let left = self.bytes.len() - self.start;
                if left >= 2 * PIECE {
                    let end = self.start + cut(&self.bytes[self.start..], PIECE);
                    let text = self.take(end, false)?;
                    (self.inside, self.searched) = (true, self.searched.max(self.start));
                    return Ok(Some((text, false)));
                }
                if self.ended {
                    // An editor's line break at the end of a file is not a part of its last document.
                    let text = self.take(self.bytes.len(), true)?;
                    let any = self.begun && (self.inside || !self.parted || !text.is_empty());
                    self.begun = false;
                    return Ok(any.then_some((text, true)));
                }
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), Report> {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        let read = (&mut self.from).take(4 * PIECE as u64).read_to_end(&mut self.bytes);
        let read = read.map_err(|error| self.source.unread(&error))?;
        self.ended = read == 0;
        if read > 0 && !self.begun {
            self.begun = true;
            self.start = self.bytes.len() - without_mark(&self.bytes).len();
            self.searched = self.start;
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.line += lines_in(&self.bytes[self.start..self.start + bytes]);
        self.start += bytes;
    }

    /// Takes the bytes up to `end`, of a document's end without its line break.
    fn take(&mut self, end: usize, ends: bool) -> Result<String, Report> {
        let bytes = &self.bytes[self.start..end];
        let text = if ends { without_end(bytes) } else { bytes };
        let text = std::str::from_utf8(text).map_err(|error| {
            let before = lines_in(&bytes[..error.valid_up_to()]);
            not_utf8(&self.source.name, self.line + before)
        })?;
        let text = text.to_owned();
        self.skip(end - self.start);
        Ok(text)
    }
}

/// Line breaks in some bytes.
fn lines_in(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

/// Where a separator begins.
fn find(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == b'<') {
        if bytes[from + at..].starts_with(SEPARATOR) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// JSON, a document a line.
struct Lines {
    source: Source,
    from: BufReader<Box<dyn Read + Send>>,
    line: usize,
    rest: Rest,
}

/// What is read of a line.
#[derive(Deserialize)]
struct Row {
    text: String,
}

impl Lines {
    fn next(&mut self) -> Result<Option<(String, bool)>, Report> {
        let Self { source, from, line, rest } = self;
        next_of(rest, || {
            let mut bytes = Vec::new();
            loop {
                bytes.clear();
                *line += 1;
                let read = from.take(LONGEST).read_until(b'\n', &mut bytes);
                if read.map_err(|error| source.unread(&error))? == 0 {
                    return Ok(None);
                }
                let json = if *line == 1 { without_mark(&bytes) } else { &bytes };
                if !json.trim_ascii().is_empty() {
                    return document(json, &source.name, *line).map(Some);
                }
            }
        })
    }
}

fn document(json: &[u8], name: &str, line: usize) -> Result<String, Report> {
    if std::str::from_utf8(json).is_err() {
        return Err(not_utf8(name, line));
    }
    let row: Result<Row, _> = serde_json::from_slice(json);
    row.map(|row| row.text).map_err(|error| {
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        Report::new(format!("cannot read line {line} of the text `{name}`"))
            .because(why)
            .hint("each line is one JSON object with a string under `text`")
    })
}

fn not_utf8(name: &str, line: usize) -> Report {
    Report::new(format!("the text `{name}` is not UTF-8"))
        .because(format!("line {line} has a byte that begins no character"))
        .hint("convert it, for example with iconv")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn pieces(name: &str, bytes: &[u8]) -> Result<Vec<Piece>, Report> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("is written");
        let mut documents = Documents::new(&Texts::of(&[path])?, Meter::default());
        let mut pieces = Vec::new();
        while let Some(piece) = documents.next()? {
            pieces.push(piece);
        }
        Ok(pieces)
    }

    /// The documents, put together again.
    fn documents(name: &str, bytes: &[u8]) -> Vec<String> {
        let mut whole: Vec<String> = Vec::new();
        let mut ended = true;
        for piece in pieces(name, bytes).expect("is text") {
            if ended {
                whole.push(String::new());
            }
            assert_eq!(piece.document as usize, whole.len() - 1);
            whole.last_mut().expect("has one").push_str(&piece.text);
            ended = piece.ends;
        }
        assert!(ended, "every document ends");
        whole
    }

    #[test]
    fn plain_texts_are_parted_at_their_separators() {
        assert_eq!(documents("a.txt", b"one\n<|endoftext|>\ntwo\r\n<|endoftext|>\r\nthree\n"), ["one", "two", "three"]);
        assert_eq!(documents("a.txt", b"<|endoftext|><|endoftext|>b<|endoftext|>\n"), ["", "", "b"]);
        assert_eq!(documents("a.txt", b"\xef\xbb\xbfa <b\n\n"), ["a <b\n"]);
        assert_eq!(documents("a.txt", b"\n"), [""]);
        assert_eq!(documents("a.txt", b""), Vec::<String>::new());
    }

    #[test]
    fn long_documents_come_in_pieces_and_none_is_lost() {
        let long = "the cat sat on the mat ".repeat(40_000);
        let text = format!("{long}<|endoftext|>{long}end");
        assert_eq!(documents("a.txt", text.as_bytes()), [long.clone(), format!("{long}end")]);
        assert!(pieces("a.txt", text.as_bytes()).expect("is text").iter().all(|piece| piece.text.len() <= 2 * PIECE));
        let lines = format!("{{\"text\":\"{long}\"}}\n\n{{\"id\":1,\"text\":\"\"}}\n{{\"text\":\"é\"}}");
        assert_eq!(documents("a.jsonl", lines.as_bytes()), [long.as_str(), "", "é"]);
    }

    #[test]
    fn what_is_wrong_is_named_by_file_and_line() {
        let wrong = |name: &str, bytes: &[u8]| pieces(name, bytes).expect_err("is wrong").to_string();
        let said = wrong("a.txt", b"one\ntwo<|endoftext|>\nthree\xff");
        assert!(said.contains("a.txt` is not UTF-8") && said.contains("line 3"), "{said}");
        let said = wrong("a.jsonl", b"{\"text\":\"a\"}\n{\"txt\":\"b\"}\n");
        assert!(said.contains("line 2 of the text") && said.contains("missing field `text`"), "{said}");
        assert!(wrong("a.jsonl", b"{\"text\":\xff}").contains("line 1"));
        assert!(wrong("a.jsonl", b"{\"text\":").contains("line 1"));
        assert!(wrong("a.txt.gz", b"no gzip").contains("a.txt.gz"));
        assert!(wrong("a.txt.zst", b"no zstd").contains("a.txt.zst"));
        assert!(wrong("a.parquet", b"no parquet").contains("a.parquet"));
        let said = wrong("a.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
        assert!(said.contains("Git LFS"), "{said}");
    }
}
