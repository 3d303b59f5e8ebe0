//! The bytes of one file: a path on disk, or part of this program.
//! Not here: where the file came from, and what its bytes mean.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file's bytes and the name a person knows it by.
#[derive(Clone)]
pub struct Blob {
    name: Arc<str>,
    place: Place,
    wide: bool,
}

/// Where the bytes of a [`Blob`] are.
#[derive(Clone)]
pub enum Place {
    /// Compiled into the program.
    Embedded(&'static [u8]),
    /// On disk.
    Path(Arc<Path>),
}

impl Blob {
    /// A file compiled into the program.
    pub fn embedded(name: impl Into<Arc<str>>, bytes: &'static [u8]) -> Self {
        Self { name: name.into(), place: Place::Embedded(bytes), wide: false }
    }

    /// A file on disk, named by its path.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        let path: PathBuf = path.into();
        Self { name: path.display().to_string().into(), place: Place::Path(path.into()), wide: false }
    }

    /// The same file under a name that says more to a person, such as `gpt2: model.safetensors`.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// The same file, of which more is read again and again than memory holds.
    #[must_use]
    pub fn wider_than_memory(mut self) -> Self {
        self.wide = true;
        self
    }

    /// Whether more of it is read again and again than memory holds.
    pub const fn is_wider_than_memory(&self) -> bool {
        self.wide
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the bytes are.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// All the bytes, read at once: for small files.
    ///
    /// # Errors
    /// Whatever reading the path answers.
    pub fn read(&self) -> io::Result<Cow<'static, [u8]>> {
        match &self.place {
            Place::Embedded(bytes) => Ok(Cow::Borrowed(bytes)),
            Place::Path(path) => std::fs::read(path).map(Cow::Owned),
        }
    }

    /// The number of bytes.
    ///
    /// # Errors
    /// Whatever asking for the path's metadata answers.
    pub fn size(&self) -> io::Result<u64> {
        match &self.place {
            Place::Embedded(bytes) => Ok(bytes.len() as u64),
            Place::Path(path) => std::fs::metadata(path).map(|data| data.len()),
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blob").field(&self.name).finish()
    }
}
