//! The cache on disk as Hugging Face's own tools lay it out: blobs by ETag, links to them by commit and name, refs.
//! Not here: where its files come from.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, Repo, name};

/// Longest content of a ref that is read: a commit is shorter.
const MAX_REF: u64 = 256;
/// Snapshots and refs of one repository that are looked at.
const MAX_LOOKED_AT: usize = 1000;

/// The places of one repository in the cache.
#[derive(Clone, Debug)]
pub struct Folder {
    /// `models--owner--name`.
    root: PathBuf,
    locks: PathBuf,
    /// Whether a commit's files may be links to blobs.
    symlinks: bool,
}

impl Folder {
    /// The places of a repository of models; nothing is made.
    ///
    /// # Errors
    /// [`Error::Name`] when the repository's or the revision's name is none.
    pub fn new(cache: &Path, repo: &Repo) -> Result<Self, Error> {
        name::repository(&repo.id)?;
        name::revision(&repo.revision)?;
        let folder = hf_hub::Repo::model(repo.id.clone()).folder_name();
        Ok(Self { locks: cache.join(".locks").join(&folder), root: cache.join(folder), symlinks: true })
    }

    /// The same where a commit's files may, or may not, be links to blobs.
    pub const fn symlinks(mut self, symlinks: bool) -> Self {
        self.symlinks = symlinks;
        self
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
        read_ref(&self.reference(revision))
    }

    /// Commits that a branch or tag may have been before, as far as something of them is here: snapshots that no ref
    /// names, the newest first. None where nothing was ever fetched under the revision's name.
    pub fn earlier(&self, revision: &str) -> Vec<String> {
        if is_commit(revision) || self.commit(revision).is_none() {
            return Vec::new();
        }
        let named = named_commits(&self.root.join("refs"));
        let snapshots = fs::read_dir(self.root.join("snapshots")).into_iter().flatten().flatten().take(MAX_LOOKED_AT);
        let mut found: Vec<_> = snapshots
            .filter_map(|entry| {
                let commit = entry.file_name().into_string().ok()?;
                let made = entry.metadata().ok().filter(fs::Metadata::is_dir)?.modified().ok()?;
                (name::etag(&commit).is_ok() && !named.contains(&commit)).then_some((made, commit))
            })
            .collect();
        found.sort();
        found.into_iter().rev().map(|(_, commit)| commit).collect()
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

    /// Makes a commit's file a link to the blob of its ETag; where there are to be no links, or can be none, the blob
    /// itself if it is `new`, else a copy, since another commit may have it as well.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DiskFull`].
    pub fn place(&self, commit: &str, file: &str, etag: &str, new: bool) -> Result<PathBuf, Error> {
        let pointer = self.pointer(commit, file);
        let folder = make_parent(&pointer)?;
        // A relative link, so that the cache can be moved: out of each part of the name, the commit and `snapshots`.
        let up = "../".repeat(file.split('/').count() + 1);
        let target = PathBuf::from(format!("{up}blobs/{etag}"));
        if !new && fs::read_link(&pointer).is_ok_and(|now| now == target) {
            return Ok(pointer);
        }
        let blob = self.blob(etag);
        let short = etag.get(..40).unwrap_or(etag);
        let beside = folder.join(format!(".{short}.{}.new", std::process::id()));
        let linked =
            if self.symlinks { symlink(&target, &beside) } else { Err(io::Error::from(io::ErrorKind::Unsupported)) };
        let made = linked
            .or_else(|_| if new { fs::rename(&blob, &beside) } else { fs::copy(&blob, &beside).map(drop) })
            .and_then(|()| fs::rename(&beside, &pointer));
        made.map_err(|error| {
            let _ = fs::remove_file(&beside);
            Error::io(&pointer, error)
        })?;
        Ok(pointer)
    }

    /// A copy of a file that is here, under another commit.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DiskFull`].
    pub fn copy(&self, from: &Path, commit: &str, file: &str) -> Result<PathBuf, Error> {
        let pointer = self.pointer(commit, file);
        let beside = make_parent(&pointer)?.join(format!(".copy.{}.new", std::process::id()));
        fs::copy(from, &beside).and_then(|_| fs::rename(&beside, &pointer)).map_err(|error| {
            let _ = fs::remove_file(&beside);
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
        let file = open_own(&path)?;
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

/// Makes a link anew, at once.
///
/// # Errors
/// What the system has against it.
pub fn link_anew(target: &Path, pointer: &Path) -> io::Result<()> {
    let beside = pointer.with_file_name(format!(".link.{}.new", std::process::id()));
    symlink(target, &beside).and_then(|()| fs::rename(&beside, pointer))
}

/// The commit that a ref names. Nothing but a short file is read: a pipe would never end.
fn read_ref(path: &Path) -> Option<String> {
    fs::metadata(path).ok().filter(|data| data.is_file() && data.len() <= MAX_REF)?;
    let commit = fs::read_to_string(path).ok()?.trim().to_owned();
    name::etag(&commit).is_ok().then_some(commit)
}

/// The commits that the refs below a directory name.
fn named_commits(refs: &Path) -> HashSet<String> {
    let (mut named, mut folders) = (HashSet::new(), vec![refs.to_owned()]);
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            looked_at += 1;
            match entry.file_type() {
                _ if looked_at > MAX_LOOKED_AT => return named,
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => named.extend(read_ref(&entry.path())),
            }
        }
    }
    named
}

/// Opens a file that only programs like this one write, made where it is not there. Whatever else has its name is not
/// followed, written to or waited for: a link, a pipe, a device, a file that has another name elsewhere.
///
/// # Errors
/// [`Error::Io`] also where something other than a file has the name and cannot be removed, as a directory.
pub fn open_own(path: &Path) -> Result<File, Error> {
    let wrong = |error| Error::io(path, error);
    if fs::symlink_metadata(path).is_ok_and(|data| !is_own(&data)) {
        tracing::warn!(path = %path.display(), "something else has the name of a file of the cache: it is removed");
        fs::remove_file(path).map_err(wrong)?;
    }
    let mut options = File::options();
    options.create(true).read(true).write(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // For what takes the name in between.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let file = options.open(path).map_err(wrong)?;
    if is_own(&file.metadata().map_err(wrong)?) {
        Ok(file)
    } else {
        Err(wrong(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file")))
    }
}

/// Whether this is a plain file with one name.
fn is_own(data: &fs::Metadata) -> bool {
    #[cfg(unix)]
    let names = std::os::unix::fs::MetadataExt::nlink(data);
    #[cfg(not(unix))]
    let names = 1;
    data.is_file() && names <= 1
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
    // Needs a privilege that few have; the blob is moved or copied instead, as Python does.
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
        let pointer = folder.place("c0ffee", "a/b.txt", "abc", true).expect("is linked");
        folder.note_commit("main", "c0ffee").expect("is noted");
        let root = cache.path().join("models--owner--name");
        assert_eq!(pointer, root.join("snapshots/c0ffee/a/b.txt"));
        assert_eq!(fs::read_link(&pointer).expect("is a link"), Path::new("../../../blobs/abc"));
        assert_eq!(fs::read_to_string(&pointer).expect("leads somewhere"), "content");
        assert_eq!(fs::read_to_string(root.join("refs/main")).expect("is there"), "c0ffee");
        assert_eq!(folder.find("main", "a/b.txt"), Some(pointer.clone()));
        assert_eq!(folder.place("c0ffee", "a/b.txt", "abc", false).expect("is linked still"), pointer);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_no_file() {
        let (_cache, folder) = folder();
        folder.note_commit("main", "c0ffee").expect("is noted");
        folder.place("c0ffee", "a.txt", "gone", false).expect("is linked");
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
        assert_eq!(folder.find("main", "secret"), None, "a ref that is not a commit leads nowhere");
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
