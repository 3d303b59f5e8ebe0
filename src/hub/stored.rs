//! Whether a file that lies in the cache still holds what was downloaded.
//! Not here: files on their way (`transfer`), and those that are pulled again (`sound`).

use std::path::Path;

use super::digest::Difference;
use super::sound;

/// Bytes of the largest file that is read through to answer this: some seconds. What is not known is not said.
const LARGEST: u64 = 8 << 30;

/// How a file of the cache differs from what its name there says of it; none where it does not, and where the name, as of
/// files outside the cache, says nothing.
#[must_use]
pub fn difference(path: &Path) -> Option<Difference> {
    // The cache keeps contents as `models--OWNER--NAME/blobs/ETAG`, to which the names in snapshots link.
    let stored = std::fs::canonicalize(path).ok()?;
    stored.parent().filter(|folder| folder.file_name().is_some_and(|name| name == "blobs"))?;
    let etag = stored.file_name()?.to_str()?;
    if std::fs::metadata(&stored).ok()?.len() > LARGEST {
        return None;
    }
    // Nobody waits for more than this answer: it is not broken off.
    sound::difference(&stored, etag, None, &mut |_| Ok(())).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_is_named_by_a_hash_can_be_known_to_differ() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = folder.path().join("models--a--b/blobs");
        std::fs::create_dir_all(&blobs).expect("a folder");
        // `printf hello | sha256sum` and `printf hello | git hash-object --stdin`.
        let names = [
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0",
            "an-etag-of-another-server",
        ];
        for (name, known) in names.into_iter().zip([true, true, false]) {
            let blob = blobs.join(name);
            std::fs::write(&blob, "hello").expect("is written");
            assert_eq!(difference(&blob), None, "{name}");
            std::fs::write(&blob, "hellO").expect("is written");
            assert_eq!(difference(&blob).is_some(), known, "{name}");
            let elsewhere = folder.path().join(name);
            std::fs::write(&elsewhere, "hellO").expect("is written");
            assert_eq!(difference(&elsewhere), None, "{name} outside the cache");
        }
    }
}
