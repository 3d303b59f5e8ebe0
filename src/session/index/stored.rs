//! An index that is only read: in a folder, or one that the suite comes with.
//! Not here: writing one (`folder.rs`), and what is in its Parquet files (`tables_in.rs`).

use std::io;
use std::path::PathBuf;

use crate::blob::Blob;
use crate::report::Report;
use crate::session::index::folder::{Folder, NOTE, TIMES, seconds_of};
use crate::session::index::note::Note;
use crate::session::index::tables_out::{EXAMPLES, LATENTS, TOKENS};
use crate::suite::Suite;

/// Where the files of an index are.
#[derive(Clone, Debug)]
pub enum Stored {
    /// In a folder, which another process may be writing.
    Folder(Folder),
    /// Beside the suite's own files.
    Shipped(Vec<(&'static str, Blob)>),
}

impl Stored {
    /// The index that a suite comes with; none where it has none that can be used.
    pub fn shipped(suite: &Suite) -> Option<(Self, Note)> {
        let files = [NOTE, TIMES, TOKENS, LATENTS, EXAMPLES];
        let stored = Self::Shipped(files.iter().filter_map(|name| Some((*name, suite.index_file(name)?))).collect());
        match stored.note() {
            Ok(note) => note.map(|note| (stored, note)),
            Err(error) => {
                // The suite is of use without it.
                tracing::warn!(%error, "the index that the suite comes with is not used");
                None
            }
        }
    }

    /// One of its files.
    ///
    /// # Errors
    /// That it is not there.
    pub fn blob(&self, name: &str) -> io::Result<Blob> {
        match self {
            Self::Folder(folder) => Ok(Blob::path(folder.path(name))),
            Self::Shipped(files) => {
                let found = files.iter().find(|(of, _)| *of == name);
                found.map(|(_, blob)| blob.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    /// What it is of; none where there is no index.
    ///
    /// # Errors
    /// That something else lies there, or that it is half written.
    pub fn note(&self) -> Result<Option<Note>, Report> {
        match self {
            Self::Folder(folder) => folder.note(),
            Self::Shipped(_) => match self.blob(NOTE) {
                Ok(blob) => Note::read(&self.name(), blob.read(), &|name| self.blob(name)?.size()).map(Some),
                Err(_) => Ok(None),
            },
        }
    }

    /// Seconds that it took.
    pub fn seconds(&self) -> f64 {
        self.blob(TIMES).and_then(|blob| blob.read()).map_or(0.0, |bytes| seconds_of(&bytes))
    }

    /// What a person knows it as.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.0.display().to_string(),
            Self::Shipped(files) => files.first().map_or_else(String::new, |(_, blob)| blob.name().to_owned()),
        }
    }

    /// Its folder; none where it is compiled into the program.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.0.clone()),
            Self::Shipped(_) => None,
        }
    }
}
