//! The texts that an index is made of: which files, in which order, opened and decompressed as they are read.
//! Not here: what documents are in them (`documents.rs`).

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::blob::Instead;
use crate::report::{Kind, Report};

/// Bytes in which something else than a text shows itself.
const BEGINNING: u64 = 512;
/// Endings of the files that are taken of a folder, without those of compression.
const ENDINGS: [(&str, Form); 6] = [
    ("txt", Form::Plain),
    ("md", Form::Plain),
    ("text", Form::Plain),
    ("jsonl", Form::Lines),
    ("ndjson", Form::Lines),
    ("parquet", Form::Table),
];

/// How documents lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// UTF-8 with documents parted by `<|endoftext|>`.
    Plain,
    /// JSON, a document a line.
    Lines,
    /// Parquet, a document a row.
    Table,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    None,
    Gzip,
    Zstd,
}

/// One text.
#[derive(Clone, Debug)]
pub struct Source {
    /// What a person calls it by.
    pub name: String,
    pub form: Form,
    pub packing: Packing,
    place: Location,
}

#[derive(Clone, Debug)]
enum Location {
    File(PathBuf),
    Standard,
    Here(Arc<Vec<u8>>),
}

/// The texts of an index, in the order in which they are read.
#[derive(Clone, Debug)]
pub struct Texts {
    /// As a person named them.
    pub names: Vec<String>,
    pub sources: Vec<Source>,
}

/// How many bytes of the files have been read.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Bytes so far.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Texts {
    /// The texts of these paths: files, folders of files in the order of their names, `-` for standard input.
    ///
    /// # Errors
    /// That there is no such file, or none in a folder that can be read as text.
    pub fn of(paths: &[PathBuf]) -> Result<Self, Report> {
        let mut texts = Self { names: Vec::new(), sources: Vec::new() };
        for path in paths {
            let name = path.display().to_string();
            if name == "-" {
                texts.sources.push(Source {
                    name: "standard input".to_owned(),
                    form: Form::Plain,
                    packing: Packing::None,
                    place: Location::Standard,
                });
            } else if path.is_dir() {
                texts.sources.extend(folder(path)?);
            } else {
                let kept = fs::metadata(path);
                kept.map_err(|error| unread(&name, &error))?;
                texts.sources.push(Source::file(path));
            }
            texts.names.push(name);
        }
        Ok(texts)
    }

    /// A text that is in memory.
    pub fn here(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let name = name.into();
        let place = Location::Here(Arc::new(bytes));
        let source = Source { name: name.clone(), form: Form::Plain, packing: Packing::None, place };
        Self { names: vec![name], sources: vec![source] }
    }

    /// Their bytes, as they lie there; none where that cannot be known.
    pub fn bytes(&self) -> Option<u64> {
        let size = |source: &Source| match &source.place {
            Location::File(path) => fs::metadata(path).ok().map(|data| data.len()),
            Location::Standard => None,
            Location::Here(bytes) => Some(bytes.len() as u64),
        };
        self.sources.iter().map(size).sum()
    }
}

impl Source {
    fn file(path: &Path) -> Self {
        let (form, packing) = named(path);
        let form = form.unwrap_or(Form::Plain);
        Self { name: path.display().to_string(), form, packing, place: Location::File(path.to_owned()) }
    }

    /// Its bytes, decompressed.
    ///
    /// # Errors
    /// That it cannot be opened, or that something else lies there.
    pub fn open(&self, meter: &Meter) -> Result<Box<dyn Read + Send>, Report> {
        let raw: Box<dyn Read + Send> = match &self.place {
            Location::File(path) => Box::new(File::open(path).map_err(|error| self.unread(&error))?),
            Location::Standard => Box::new(io::stdin()),
            Location::Here(bytes) => Box::new(Cursor::new(Shared(Arc::clone(bytes)))),
        };
        let mut raw = Metered { from: raw, meter: meter.clone() };
        let mut beginning = Vec::new();
        (&mut raw).take(BEGINNING).read_to_end(&mut beginning).map_err(|error| self.unread(&error))?;
        if let Some(instead) = Instead::of(&beginning).filter(|instead| *instead != Instead::Empty) {
            return Err(self.unread(&instead.into()).hint(instead.hint()));
        }
        let raw = BufReader::with_capacity(1 << 16, Cursor::new(beginning).chain(raw));
        Ok(match self.packing {
            Packing::None => Box::new(raw),
            Packing::Gzip => Box::new(MultiGzDecoder::new(raw)),
            Packing::Zstd => {
                Box::new(zstd::stream::read::Decoder::with_buffer(raw).map_err(|error| self.unread(&error))?)
            }
        })
    }

    /// The file itself, for who reads here and there in it; what is compressed is written beside the system's other
    /// temporary files first.
    ///
    /// # Errors
    /// That it cannot be read or written.
    pub fn seekable(&self, meter: &Meter) -> Result<File, Report> {
        if let (Location::File(path), Packing::None) = (&self.place, self.packing) {
            return File::open(path).map_err(|error| self.unread(&error));
        }
        let mut whole = tempfile::tempfile().map_err(|error| self.unread(&error))?;
        io::copy(&mut self.open(meter)?, &mut whole).map_err(|error| self.unread(&error))?;
        Ok(whole)
    }

    /// That it cannot be read.
    pub fn unread(&self, error: &io::Error) -> Report {
        unread(&self.name, error)
    }
}

fn unread(name: &str, error: &io::Error) -> Report {
    Report::caused(format!("cannot read the text `{name}`"), error).hint("give another one with --text PATH")
}

/// Form and compression by a file's name; no form where its ending is none of a text's.
fn named(path: &Path) -> (Option<Form>, Packing) {
    let ending = |path: &Path| path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let (packing, inner) = match ending(path).as_deref() {
        Some("gz") => (Packing::Gzip, path.with_extension("")),
        Some("zst") => (Packing::Zstd, path.with_extension("")),
        _ => (Packing::None, path.to_owned()),
    };
    let inner = ending(&inner);
    let form = ENDINGS.iter().find(|(known, _)| inner.as_deref() == Some(*known)).map(|(_, form)| *form);
    (form, packing)
}

/// The texts in a folder, by name.
fn folder(path: &Path) -> Result<Vec<Source>, Report> {
    let name = path.display().to_string();
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| unread(&name, &error))? {
        let path = entry.map_err(|error| unread(&name, &error))?.path();
        if path.is_file() && named(&path).0.is_some() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        let known: Vec<String> = ENDINGS.iter().map(|(ending, _)| format!(".{ending}")).collect();
        return Err(Report::new(format!("the folder `{name}` has no texts"))
            .because(format!("none of its files ends in {}, with .gz or .zst behind it or not", known.join(", ")))
            .hint("name the files themselves, each with --text")
            .kind(Kind::Usage));
    }
    Ok(files.iter().map(|path| Source::file(path)).collect())
}

/// Bytes that several readers share.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct Metered {
    from: Box<dyn Read + Send>,
    meter: Meter,
}

impl Read for Metered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.meter.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_and_compression_are_told_by_the_name() {
        let of = |name: &str| named(Path::new(name));
        assert_eq!(of("a.jsonl.zst"), (Some(Form::Lines), Packing::Zstd));
        assert_eq!(of("a.parquet"), (Some(Form::Table), Packing::None));
        assert_eq!(of("a.TXT.gz"), (Some(Form::Plain), Packing::Gzip));
        assert_eq!(of("README"), (None, Packing::None));
    }
}
