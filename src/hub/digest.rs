//! Whether the bytes that arrived are those the hub announced: their number and their hash.
//! Not here: what is done when they are not.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What the hub announced about a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// The SHA-256 of the content: files in large file storage.
    Sha256(String),
    /// The hash that Git gives the content: small files. Mirrors are known that put the bare SHA-1 in its place.
    Git(String),
    /// An ETag that tells nothing of the content.
    Nothing,
}

impl Announced {
    /// What an ETag announces, by its form.
    pub fn by(etag: &str) -> Self {
        let hex = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        match etag.len() {
            64 if hex => Self::Sha256(etag.to_ascii_lowercase()),
            40 if hex => Self::Git(etag.to_ascii_lowercase()),
            _ => Self::Nothing,
        }
    }
}

/// The hash of a content as it comes in.
#[derive(Clone)]
pub struct Check {
    announced: Announced,
    size: Option<u64>,
    seen: u64,
    sha256: Sha256,
    /// Git hashes a header with the length before the content.
    git: Sha1,
    sha1: Sha1,
}

impl Check {
    /// Begins with no bytes seen.
    pub fn new(etag: &str, size: Option<u64>) -> Self {
        let mut git = Sha1::new();
        git.update(format!("blob {}\0", size.unwrap_or(0)));
        Self { announced: Announced::by(etag), size, seen: 0, sha256: Sha256::new(), git, sha1: Sha1::new() }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        match self.announced {
            Announced::Sha256(_) => self.sha256.update(bytes),
            Announced::Git(_) => {
                self.git.update(bytes);
                self.sha1.update(bytes);
            }
            Announced::Nothing => {}
        }
    }

    /// The number of bytes taken.
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// What differs from the announcement.
    ///
    /// # Errors
    /// [`Difference`] when the number of bytes or the hash is another.
    pub fn finish(self) -> Result<(), Difference> {
        if let Some(size) = self.size
            && size != self.seen
        {
            return Err(Difference::Size { want: size, have: self.seen });
        }
        match self.announced {
            Announced::Nothing => Ok(()),
            Announced::Sha256(want) => {
                let have = hex(&self.sha256.finalize());
                if have == want { Ok(()) } else { Err(Difference::Sha256 { want, have }) }
            }
            Announced::Git(want) => {
                let (git, sha1) = (hex(&self.git.finalize()), hex(&self.sha1.finalize()));
                // Without a size Git's header is unknown, and the ETag says nothing.
                if self.size.is_none() || want == git || want == sha1 {
                    Ok(())
                } else {
                    Err(Difference::Git { want, have: git })
                }
            }
        }
    }
}

/// How a content differs from what was announced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// Another number of bytes.
    #[error("it has {have} bytes in place of {want}")]
    Size {
        /// Bytes announced.
        want: u64,
        /// Bytes that came.
        have: u64,
    },
    /// Another SHA-256.
    #[error("its SHA-256 is {have} in place of {want}")]
    Sha256 {
        /// The announced one.
        want: String,
        /// That of the content.
        have: String,
    },
    /// Another Git hash.
    #[error("its Git hash is {have} in place of {want}")]
    Git {
        /// The announced one.
        want: String,
        /// That of the content.
        have: String,
    },
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(etag: &str, size: Option<u64>, content: &[u8]) -> Result<(), Difference> {
        let mut check = Check::new(etag, size);
        for part in content.chunks(2) {
            check.update(part);
        }
        check.finish()
    }

    #[test]
    fn the_content_is_held_to_the_hash_that_the_etag_is() {
        // `printf hello | sha256sum`, `printf hello | git hash-object --stdin`, `printf hello | sha1sum`
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let git = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        let sha1 = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";
        for etag in [sha256, git, sha1, "any-other-tag"] {
            assert_eq!(check(etag, Some(5), b"hello"), Ok(()), "{etag}");
        }
        assert!(matches!(check(sha256, None, b"hellO"), Err(Difference::Sha256 { .. })));
        assert!(matches!(check(git, Some(5), b"hellO"), Err(Difference::Git { .. })));
        assert_eq!(check("any-other-tag", Some(5), b"hell"), Err(Difference::Size { want: 5, have: 4 }));
    }
}
