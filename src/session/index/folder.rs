//! The folder of an index: written whole or not at all, and what of it is read first.
//! Not here: what is in its Parquet files (`tables_out.rs`, `tables_in.rs`).
//!
//! What is written goes into a folder of its own inside. When all of it is there, that folder is named `.ready`; then its
//! files are moved out one by one, the note last. Who finds `.ready` takes its files before the others, so that a move
//! that was broken off costs nothing, and finishes it when it next writes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::analysis::index::{Corpus, Reader, Writer};
use crate::report::{Kind, Report};
use crate::session::content::hex;
use crate::session::index::note::{Note, NoteSae, unusable};
use crate::session::index::tables_out;

/// What the index is of.
pub const NOTE: &str = "index.json";
/// What is needed to continue.
pub const STATE: &str = "state.bin";
/// How long it took: no part of what is counted.
pub const TIMES: &str = "times.json";
/// Where new files are written.
const NEXT: &str = ".next";
/// Where new files wait until they are moved.
const READY: &str = ".ready";
/// Most bytes of a note.
const LONGEST: u64 = 64 << 20;
/// What the file of what is needed to continue begins with.
const MAGIC: &[u8; 8] = b"saescope";

/// The folder of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(pub PathBuf);

#[derive(Default, Serialize, Deserialize)]
struct Times {
    seconds: f64,
}

impl Folder {
    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        let ready = self.0.join(READY).join(name);
        if ready.is_file() { ready } else { self.0.join(name) }
    }

    /// What the index is of; none where there is no index.
    ///
    /// # Errors
    /// That something else lies there, or that it is half written.
    pub fn note(&self) -> Result<Option<Note>, Report> {
        let path = self.path(NOTE);
        let bytes = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unread(&error)),
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(LONGEST).read_to_end(&mut bytes).map_err(|error| self.unread(&error))?;
                bytes
            }
        };
        Note::read(&self.0.display().to_string(), Ok(bytes.into()), &|name| Ok(fs::metadata(self.path(name))?.len()))
            .map(Some)
    }

    /// Seconds that it took.
    pub fn seconds(&self) -> f64 {
        fs::read(self.path(TIMES)).map_or(0.0, |bytes| seconds_of(&bytes))
    }

    /// What was counted.
    ///
    /// # Errors
    /// That it is not there or broken.
    pub fn state(&self, note: &Note) -> Result<Corpus, Report> {
        let path = self.path(STATE);
        let hint = "build the index again, into another folder or after this one is deleted";
        let file = File::open(&path).map_err(|error| {
            Report::caused(format!("cannot continue the index `{}`", self.0.display()), &error)
                .hint(format!("it can be read, but not continued or merged without `{STATE}`; {hint}"))
        })?;
        let wrong = |why: String| self.unusable(format!("`{STATE}`: {why}")).hint(hint);
        let mut from = Hashed { inner: BufReader::with_capacity(1 << 20, file), hash: Sha256::new() };
        let mut magic = [0; 8];
        io::Read::read_exact(&mut from, &mut magic).map_err(|error| wrong(error.to_string()))?;
        if &magic != MAGIC {
            return Err(wrong("it is another file".to_owned()));
        }
        let corpus = Reader(&mut from).corpus().map_err(|error| wrong(error.to_string()))?;
        let made = from.hash.finalize();
        let mut said = Vec::new();
        from.inner.read_to_end(&mut said).map_err(|error| wrong(error.to_string()))?;
        let widths = corpus.saes.iter().map(|sae| (&sae.id, &sae.meta, sae.latents.len()));
        if said != made.as_slice() || !widths.eq(note.saes.iter().map(|sae| (&sae.id, &sae.meta, sae.width))) {
            return Err(wrong("its bytes are not those that were written".to_owned()));
        }
        Ok(corpus)
    }

    /// Sees that an index may be written here: there is one, or nothing.
    ///
    /// # Errors
    /// That something else lies there.
    pub fn check(&self) -> Result<(), Report> {
        let other = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.unread(&error)),
            Ok(mut entries) => {
                entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != NEXT && entry.file_name() != READY))
            }
        };
        if other && !self.path(NOTE).is_file() {
            return Err(Report::new(format!("cannot write an index into `{}`", self.0.display()))
                .because(format!("other files lie there, and no {NOTE}"))
                .hint("name a new folder with --out DIR")
                .kind(Kind::Usage));
        }
        Ok(())
    }

    /// Writes an index; the corpus must be closed. Gives the note with what the files hold.
    ///
    /// # Errors
    /// Why it cannot be written; what was here before stays.
    pub fn write(&self, mut note: Note, corpus: &Corpus, seconds: f64) -> Result<Note, Report> {
        let written = self.try_write(&mut note, corpus, seconds);
        if let Err(error) = written {
            // What is half written is of no use.
            let _ = fs::remove_dir_all(self.0.join(NEXT));
            let before = if self.path(NOTE).is_file() {
                "; what was written before is whole, and the same command continues from there"
            } else {
                ""
            };
            return Err(Report::caused(format!("cannot write the index `{}`", self.0.display()), &error)
                .hint(format!("make room, or name another folder with --out DIR{before}")));
        }
        Ok(note)
    }

    fn try_write(&self, note: &mut Note, corpus: &Corpus, seconds: f64) -> io::Result<()> {
        let (next, ready) = (self.0.join(NEXT), self.0.join(READY));
        fs::create_dir_all(&self.0)?;
        self.finish()?;
        if next.exists() {
            fs::remove_dir_all(&next)?;
        }
        fs::create_dir(&next)?;
        note.saes = NoteSae::all(corpus);
        let groups = tables_out::write(&next, corpus)?;
        note.saes.iter_mut().zip(groups).for_each(|(sae, groups)| sae.example_groups = groups);
        write_state(&next.join(STATE), corpus)?;
        note.files = BTreeMap::new();
        for name in [tables_out::TOKENS, tables_out::LATENTS, tables_out::EXAMPLES, STATE] {
            note.files.insert(name.to_owned(), fs::metadata(next.join(name))?.len());
        }
        write_json(&next.join(TIMES), &Times { seconds })?;
        write_json(&next.join(NOTE), note)?;
        fs::rename(&next, &ready)?;
        self.finish()
    }

    /// Moves what is ready to its place, the note last.
    fn finish(&self) -> io::Result<()> {
        let ready = self.0.join(READY);
        let names = match fs::read_dir(&ready) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?,
        };
        let last = |name: &std::ffi::OsString| name == NOTE;
        for name in names.iter().filter(|name| !last(name)).chain(names.iter().filter(|name| last(name))) {
            fs::rename(ready.join(name), self.0.join(name))?;
        }
        fs::remove_dir(ready)
    }

    fn unread(&self, error: &io::Error) -> Report {
        Report::caused(format!("cannot read the index `{}`", self.0.display()), error)
    }

    fn unusable(&self, why: String) -> Report {
        unusable(&self.0.display().to_string(), why)
    }
}

/// Seconds that an index took, out of the bytes of its file of times.
pub fn seconds_of(bytes: &[u8]) -> f64 {
    serde_json::from_slice::<Times>(bytes).unwrap_or_default().seconds
}

fn write_state(path: &Path, corpus: &Corpus) -> io::Result<()> {
    let mut to = Hashed { inner: BufWriter::with_capacity(1 << 20, File::create(path)?), hash: Sha256::new() };
    to.write_all(MAGIC)?;
    Writer(&mut to).corpus(corpus)?;
    let hash = to.hash.finalize();
    to.inner.write_all(&hash)?;
    to.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(serde_json::to_string_pretty(value)?.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// A file with the hash of what goes through it.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<T: io::Write> io::Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: io::Read> io::Read for Hashed<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}

/// The hash by which a folder is named.
pub fn short(text: &str) -> String {
    hex(&Sha256::digest(text)[..8])
}
