//! Whether a file of the cache still has the content that its hash says.
//! Not here: what is done when it has not, and bytes that are arriving.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::digest::{Announced, Check, Difference};
use super::{Error, cache};

/// Files up to so many bytes are hashed whenever they are pulled again: it takes a fraction of a second.
const ALWAYS_UP_TO: u64 = 32 << 20;
/// Bytes hashed at a time.
const PART: usize = 1 << 20;

/// How much of what is in the cache already is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thorough {
    /// What is small, and what was written to after it had got its name.
    #[default]
    WhereCheap,
    /// Every file.
    Everywhere,
}

impl Thorough {
    /// Whether a file is to be hashed.
    pub fn wants(self, place: &Path) -> bool {
        self == Self::Everywhere
            || fs::metadata(place).is_ok_and(|data| data.len() <= ALWAYS_UP_TO)
            || changed_since_linked(place)
    }
}

/// Whether a blob was written to after the link to it was made, which comes last when it is fetched.
pub fn changed_since_linked(place: &Path) -> bool {
    let linked =
        fs::symlink_metadata(place).ok().filter(fs::Metadata::is_symlink).and_then(|data| data.modified().ok());
    let written = fs::metadata(place).and_then(|data| data.modified()).ok();
    matches!((linked, written), (Some(linked), Some(written)) if written > linked)
}

/// Makes the link to a blob anew where the blob was written to after it, so that what was found sound is not hashed each
/// time. A cache that cannot be written to stays as it is.
pub fn note_unchanged(place: &Path) {
    let (true, Ok(target)) = (changed_since_linked(place), fs::read_link(place)) else { return };
    let _ = cache::link_anew(&target, place);
}

/// Whether an ETag says anything of the content.
pub fn is_hash(etag: &str) -> bool {
    Announced::by(etag) != Announced::Nothing
}

/// The ETag of a file as its link names it.
pub fn linked_etag(place: &Path) -> Option<String> {
    let target = fs::read_link(place).ok()?;
    target.file_name()?.to_str().map(ToOwned::to_owned)
}

/// How a file differs from what its ETag says; `None` where it does not. `watch` is reported the bytes seen so far.
///
/// # Errors
/// [`Error::Io`] when it cannot be read, and what `watch` has against going on.
pub fn difference(
    place: &Path,
    etag: &str,
    size: Option<u64>,
    watch: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<Option<Difference>, Error> {
    let wrong = |error| Error::io(place, error);
    let mut file = File::open(place).map_err(wrong)?;
    let size = size.map_or_else(|| file.metadata().map(|data| data.len()).map_err(wrong), Ok)?;
    let mut check = Check::new(etag, Some(size));
    let mut buffer = vec![0; PART];
    loop {
        let count = file.read(&mut buffer).map_err(wrong)?;
        if count == 0 {
            return Ok(check.finish().err());
        }
        check.update(buffer.get(..count).unwrap_or_default());
        watch(check.seen())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_to_after_it_had_its_name_is_hashed_whatever_its_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let (blob, place) = (folder.path().join("blob"), folder.path().join("link"));
        let file = File::create(&blob).expect("is made");
        file.set_len(ALWAYS_UP_TO + 1).expect("is made long");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("can be set");
        #[cfg(unix)]
        std::os::unix::fs::symlink("blob", &place).expect("is linked");
        #[cfg(not(unix))]
        fs::copy(&blob, &place).expect("is copied");
        assert!(!Thorough::WhereCheap.wants(&place));
        assert!(Thorough::Everywhere.wants(&place));
        file.set_len(ALWAYS_UP_TO).expect("is cut");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("can be set");
        assert!(Thorough::WhereCheap.wants(&place), "it is small");
        #[cfg(unix)]
        {
            file.set_len(ALWAYS_UP_TO + 1).expect("is made long");
            let later = std::time::SystemTime::now() + std::time::Duration::from_mins(1);
            file.set_modified(later).expect("can be set");
            assert!(Thorough::WhereCheap.wants(&place), "it was written to");
        }
    }

    #[test]
    fn a_flipped_byte_is_a_difference() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("x");
        // `printf hello | sha256sum`
        let etag = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        fs::write(&place, "hello").expect("is written");
        let found = |size| difference(&place, etag, size, &mut |_| Ok(())).expect("can be read");
        assert_eq!(found(Some(5)), None);
        assert!(matches!(found(Some(6)), Some(Difference::Size { want: 6, have: 5 })));
        fs::write(&place, "hellO").expect("is written");
        assert!(matches!(found(None), Some(Difference::Sha256 { .. })));
    }
}
