//! The cache on disk as Hugging Face's own tools lay it out: blobs by ETag, links to them by commit and name, refs.
//! Not here: where its files come from.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, Repo, name};

/// The places of one repository in the cache.
#[derive(Clone, Debug)]
pub struct Folder {
    /// `models--owner--name`.
    root: PathBuf,
    locks: PathBuf,
}

impl Folder {
    /// The places of a repository of models; nothing is made.
    ///
    /// # Errors
    /// [`Error::Name`] when the repository's or the revision's name is none.
    pub fn new(cache: &Path, repo: &Repo) -> Result<Self, Error> {
        name::repository(&repo.id)?;
        name::revision(&repo.revision)?;
        let folder = format!("models--{}", repo.id.replace('/', "--"));
        Ok(Self { locks: cache.join(".locks").join(&folder), root: cache.join(folder) })
    }

    /// Where the content of an ETag is.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// Where the content of an ETag grows while it arrives.
    pub fn partial(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// Where a file of a commit is: a link to its blob.
    pub fn pointer(&self, commit: &str, file: &str) -> PathBuf {
        self.root.join("snapshots").join(commit).join(file)
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.root.join("refs").join(revision)
    }

    /// The commit that a revision was when it was last asked for.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let commit = fs::read_to_string(self.reference(revision)).ok()?.trim().to_owned();
        name::etag(&commit).is_ok().then_some(commit)
    }

    /// A file that is here, or `None`.
    pub fn find(&self, revision: &str, file: &str) -> Option<PathBuf> {
        name::file(file).ok()?;
        let pointer = self.pointer(&self.commit(revision)?, file);
        pointer.is_file().then_some(pointer)
    }

    /// Notes which commit a revision is.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DiskFull`].
    pub fn note_commit(&self, revision: &str, commit: &str) -> Result<(), Error> {
        if revision == commit || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.reference(revision);
        let folder = make_parent(&path)?;
        // Whoever reads it meanwhile sees the old commit or the new one, never half of it.
        let new = tempfile::NamedTempFile::new_in(folder).map_err(|error| Error::io(folder, error))?;
        fs::write(new.path(), commit).map_err(|error| Error::io(&path, error))?;
        readable(new.as_file());
        new.persist(&path).map_err(|error| Error::io(&path, error.error))?;
        Ok(())
    }

    /// Makes a commit's file a link to the blob of its ETag.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DiskFull`].
    pub fn link(&self, commit: &str, file: &str, etag: &str) -> Result<PathBuf, Error> {
        let pointer = self.pointer(commit, file);
        let folder = make_parent(&pointer)?;
        // A relative link, so that the cache can be moved: out of each part of the name, the commit and `snapshots`.
        let up = "../".repeat(file.split('/').count() + 1);
        let target = PathBuf::from(format!("{up}blobs/{etag}"));
        if fs::read_link(&pointer).is_ok_and(|now| now == target) {
            return Ok(pointer);
        }
        let blob = self.blob(etag);
        let new = folder.join(format!(".{etag}.{}.new", std::process::id()));
        let made =
            symlink(&target, &new).or_else(|_| fs::hard_link(&blob, &new)).or_else(|_| fs::copy(&blob, &new).map(drop));
        made.and_then(|()| fs::rename(&new, &pointer)).map_err(|error| {
            let _ = fs::remove_file(&new);
            Error::io(&pointer, error)
        })?;
        Ok(pointer)
    }

    /// Takes the lock of an ETag, the same that Python takes; `None` while another program holds it.
    ///
    /// # Errors
    /// [`Error::Io`] when the lock's file cannot be made.
    pub fn try_lock(&self, etag: &str) -> Result<Option<Lock>, Error> {
        let path = self.locks.join(format!("{etag}.lock"));
        make_parent(&path)?;
        let open = File::options().create(true).write(true).truncate(false).open(&path);
        let file = open.map_err(|error| Error::io(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            // Some network file systems have no locks. Without one two programs may fetch the same bytes to the same
            // places of one file, which wastes time and harms nothing.
            Err(TryLockError::Error(_)) => Ok(Some(Lock { _file: None })),
        }
    }
}

/// Held while a blob is being written; given back when dropped, also by the death of the program.
#[derive(Debug)]
pub struct Lock {
    _file: Option<File>,
}

/// Whether a revision names a commit itself.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Makes the directory that a file is in, and gives it.
pub fn make_parent(path: &Path) -> Result<&Path, Error> {
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
    Ok(parent)
}

/// Bytes that this person can still write below a directory, when the system says.
pub fn free_bytes(directory: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let room = rustix::fs::statvfs(directory).ok()?;
        room.f_bavail.checked_mul(room.f_frsize)
    }
    #[cfg(not(unix))]
    {
        let _ = directory;
        None
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    // Needs a privilege that few have; the blob is linked hard or copied instead, as Python does.
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Temporary files are private; a cache may be shared.
fn readable(file: &File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = file.set_permissions(fs::Permissions::from_mode(0o644));
    }
    #[cfg(not(unix))]
    let _ = file;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(cache.path(), &Repo::new("owner/name")).expect("is a name");
        (cache, folder)
    }

    #[test]
    fn links_and_refs_are_laid_out_as_python_has_them() {
        let (cache, folder) = folder();
        let blob = folder.blob("abc");
        make_parent(&blob).expect("is made");
        fs::write(&blob, "content").expect("is written");
        assert_eq!(folder.find("main", "a/b.txt"), None);
        let pointer = folder.link("c0ffee", "a/b.txt", "abc").expect("is linked");
        folder.note_commit("main", "c0ffee").expect("is noted");
        let root = cache.path().join("models--owner--name");
        assert_eq!(pointer, root.join("snapshots/c0ffee/a/b.txt"));
        assert_eq!(fs::read_link(&pointer).expect("is a link"), Path::new("../../../blobs/abc"));
        assert_eq!(fs::read_to_string(&pointer).expect("leads somewhere"), "content");
        assert_eq!(fs::read_to_string(root.join("refs/main")).expect("is there"), "c0ffee");
        assert_eq!(folder.find("main", "a/b.txt"), Some(pointer.clone()));
        assert_eq!(folder.link("c0ffee", "a/b.txt", "abc").expect("is linked still"), pointer);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_no_file() {
        let (_cache, folder) = folder();
        folder.note_commit("main", "c0ffee").expect("is noted");
        folder.link("c0ffee", "a.txt", "gone").expect("is linked");
        assert_eq!(folder.find("main", "a.txt"), None);
    }

    #[test]
    fn nothing_outside_the_cache_is_ever_found() {
        let (cache, folder) = folder();
        fs::write(cache.path().join("secret"), "s").expect("is written");
        folder.note_commit("main", "c0ffee").expect("is noted");
        make_parent(&folder.pointer("c0ffee", "x")).expect("is made");
        assert_eq!(folder.find("main", "../../../secret"), None);
        fs::write(folder.reference("main"), "../../..").expect("is written");
        assert_eq!(folder.find("main", "secret"), None, "a ref that is no commit leads nowhere");
    }

    #[test]
    fn one_lock_is_held_once() {
        let (_cache, folder) = folder();
        let lock = folder.try_lock("abc").expect("can lock");
        assert!(lock.is_some());
        assert!(folder.try_lock("abc").expect("can ask").is_none());
        drop(lock);
        assert!(folder.try_lock("abc").expect("can lock").is_some());
    }
}
