//! The hash of a file's content, and how hashes are written. Not here: what depends on it (`index::origin`, `versions`).

use std::fs::{self, File};
use std::io::{self, Read as _};

use sha2::{Digest, Sha256};

use crate::blob::{Blob, Location};
use crate::report::Report;
use crate::task::Cancel;

/// SHA-256 of a file, in hexadecimal digits: where the hub's cache names it by that, its name.
///
/// # Errors
/// That the file cannot be read.
pub fn hash_of(blob: &Blob, cancel: &Cancel) -> Result<String, Report> {
    let path = match blob.place() {
        Location::Embedded(bytes) => return Ok(hex(&Sha256::digest(bytes))),
        Location::Path(path) => path,
    };
    let unread = |error: &io::Error| Report::caused(format!("cannot read `{}`", blob.name()), error);
    let real = fs::canonicalize(path).map_err(|error| unread(&error))?;
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let named = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if named && real.parent().is_some_and(|folder| folder.ends_with("blobs")) {
        return Ok(name);
    }
    let (mut file, mut hash) = (File::open(&real).map_err(|error| unread(&error))?, Sha256::new());
    let mut part = vec![0; 1 << 20];
    loop {
        cancel.check()?;
        let read = file.read(&mut part).map_err(|error| unread(&error))?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&part[..read]);
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
