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
    place: Location,
    wide: bool,
}

/// Bytes in which a page must show itself as one.
const BEGINNING: usize = 512;

/// What lies where a file should be, when a download went wrong in a way that leaves a file behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Instead {
    /// A few lines that name the file's hash.
    #[error("it is a Git LFS pointer, which only names the file's bytes")]
    Pointer,
    /// What a browser shows: a login, a licence, an error.
    #[error("it is a web page, not the file")]
    Page,
    /// Nothing.
    #[error("it is empty")]
    Empty,
}

impl Instead {
    /// What these bytes are, the first of a file or all of them.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        // <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>: the version comes first.
        const POINTERS: [&[u8]; 2] =
            [b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/"];
        const PAGES: [&[u8]; 3] = [b"<!doctype html", b"<html", b"<?xml"];
        if bytes.is_empty() {
            return Some(Self::Empty);
        }
        if POINTERS.iter().any(|pointer| bytes.starts_with(pointer)) {
            return Some(Self::Pointer);
        }
        let beginning = &bytes[..bytes.len().min(BEGINNING)];
        let text = beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning).trim_ascii_start();
        let begins = |page: &[u8]| text.get(..page.len()).is_some_and(|text| text.eq_ignore_ascii_case(page));
        PAGES.iter().any(|page| begins(page)).then_some(Self::Page)
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Pointer => "run `git lfs pull` in the folder that was cloned: it fetches the file itself",
            Self::Page => "open it to see what it asks for, such as a login or a licence, and download the file again",
            Self::Empty => "download or copy it again",
        }
    }

    /// The same behind an error, however deep.
    #[must_use]
    pub fn behind(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            // An I/O error that wraps another does not name it as its source.
            let mut inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            while let Some(error) = inner {
                if let Some(instead) = error.downcast_ref::<Self>() {
                    return Some(*instead);
                }
                inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            }
            cause = error.source();
        }
        None
    }
}

impl From<Instead> for io::Error {
    fn from(instead: Instead) -> Self {
        Self::new(io::ErrorKind::InvalidData, instead)
    }
}

/// Where the bytes of a [`Blob`] are.
#[derive(Clone)]
pub enum Location {
    /// Compiled into the program.
    Embedded(&'static [u8]),
    /// On disk.
    Path(Arc<Path>),
}

impl Blob {
    /// A file compiled into the program.
    pub fn embedded(name: impl Into<Arc<str>>, bytes: &'static [u8]) -> Self {
        Self { name: name.into(), place: Location::Embedded(bytes), wide: false }
    }

    /// A file on disk, named by its path.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        let path: PathBuf = path.into();
        Self { name: path.display().to_string().into(), place: Location::Path(path.into()), wide: false }
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
    pub const fn place(&self) -> &Location {
        &self.place
    }

    /// All the bytes, read at once: for small files.
    ///
    /// # Errors
    /// Whatever reading the path answers; [`Instead`] where something else lies there.
    pub fn read(&self) -> io::Result<Cow<'static, [u8]>> {
        match &self.place {
            Location::Embedded(bytes) => Ok(Cow::Borrowed(bytes)),
            Location::Path(path) => {
                let bytes = std::fs::read(path)?;
                Instead::of(&bytes).map_or(Ok(Cow::Owned(bytes)), |instead| Err(instead.into()))
            }
        }
    }

    /// The number of bytes.
    ///
    /// # Errors
    /// Whatever asking for the path's metadata answers.
    pub fn size(&self) -> io::Result<u64> {
        match &self.place {
            Location::Embedded(bytes) => Ok(bytes.len() as u64),
            Location::Path(path) => std::fs::metadata(path).map(|data| data.len()),
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blob").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_instead_of_a_file_is_known_by_its_first_bytes() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        let cases: [(&[u8], Option<Instead>); 8] = [
            (pointer, Some(Instead::Pointer)),
            (b"", Some(Instead::Empty)),
            (b"<!DOCTYPE html><html>", Some(Instead::Page)),
            (b"\xef\xbb\xbf\r\n <HTML lang=en>", Some(Instead::Page)),
            (b"<?xml version=\"1.0\"?><Error>", Some(Instead::Page)),
            (b"{\"a\": \"<html>\"}", None),
            (b"version of the text", None),
            (b"<", None),
        ];
        for (bytes, wanted) in cases {
            assert_eq!(Instead::of(bytes), wanted, "{}", String::from_utf8_lossy(bytes));
        }
        let error = io::Error::other(io::Error::from(Instead::Page));
        assert_eq!(Instead::behind(&error), Some(Instead::Page));
        assert_eq!(Instead::behind(&io::Error::other("else")), None);
    }
}
