//! Files of hub repositories, in the cache that Hugging Face's own tools share.
//! Not here: which files a suite needs, and what is in them.

mod cache;
mod client;
mod digest;
mod environment;
mod error;
mod meter;
pub mod name;
mod pages;
mod sound;
mod stored;
mod transfer;
mod visit;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cache::Folder;
use client::HubClient;
pub use digest::Difference;
pub use environment::Environment;
pub use error::{Error, bytes};
use sound::Thorough;
pub use stored::difference;
pub use transfer::Patience;
use visit::Missing;
pub use visit::Visit;

use crate::task::{Cancel, Cancelled, OnProgress};

/// How soon a raised [`Cancel`] is noticed.
const NOTICE: Duration = Duration::from_millis(25);

/// A repository at a revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repo {
    /// `owner/name`, or `name`.
    pub id: String,
    /// Branch, tag or commit.
    pub revision: String,
}

impl Repo {
    /// A repository at its main branch.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), revision: "main".to_owned() }
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if self.revision != "main" {
            write!(f, "@{}", self.revision)?;
        }
        Ok(())
    }
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoFile {
    /// The repository.
    pub repo: Repo,
    /// The file's name in it, parts separated by `/`.
    pub file: String,
}

/// What the hub says about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// Names the content: the SHA-256 of files in large file storage, Git's hash of others.
    pub etag: String,
    /// The commit that the revision is.
    pub commit: String,
    /// Bytes, when the hub says so.
    pub size: Option<u64>,
}

/// Finds files that are on this machine already.
pub trait Locator {
    /// The path of a repository's file, without asking the network.
    fn find(&self, repo: &Repo, file: &str) -> Option<PathBuf>;

    /// The repository at commits that its revision may have been before and of which something is on this machine, the
    /// newest first. Files of different commits do not belong together.
    fn earlier(&self, repo: &Repo) -> Vec<Repo> {
        let _ = repo;
        Vec::new()
    }
}

/// The hub and its cache. Making one asks nothing of the network. Every call that does runs its own runtime, which ends
/// with the call.
#[derive(Clone, Debug)]
pub struct Hub {
    environment: Environment,
    patience: Patience,
    /// Whether a commit's files in the cache may be links.
    symlinks: bool,
    thorough: Thorough,
}

impl Locator for Hub {
    fn find(&self, repo: &Repo, file: &str) -> Option<PathBuf> {
        self.folder(repo).ok()?.find(&repo.revision, file)
    }

    fn earlier(&self, repo: &Repo) -> Vec<Repo> {
        let commits = self.folder(repo).map_or_else(|_| Vec::new(), |folder| folder.earlier(&repo.revision));
        commits.into_iter().map(|revision| Repo { id: repo.id.clone(), revision }).collect()
    }
}

impl Hub {
    /// The hub that the environment names, read through `env`.
    ///
    /// # Errors
    /// [`Error::Endpoint`], [`Error::NoHome`].
    pub fn from_env(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        Ok(Self::new(Environment::read(&env)?).symlinks(!environment::symlinks_disabled(&env)))
    }

    /// The hub of an environment.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        let (patience, thorough) = (Patience::default(), Thorough::default());
        Self { environment, patience, symlinks: true, thorough }
    }

    /// The same with other patience.
    #[must_use]
    pub const fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The same where a commit's files in the cache are links to contents, which commits share, or the contents
    /// themselves.
    #[must_use]
    pub const fn symlinks(mut self, symlinks: bool) -> Self {
        self.symlinks = symlinks;
        self
    }

    /// The same that hashes everything which is in the cache already before it serves, not only what is small or was
    /// written to.
    #[must_use]
    pub const fn verifying(mut self) -> Self {
        self.thorough = Thorough::Everywhere;
        self
    }

    /// Whether everything which is in the cache already is hashed before it serves.
    #[must_use]
    pub fn is_verifying(&self) -> bool {
        self.thorough == Thorough::Everywhere
    }

    /// Where the hub is, where its files are kept and who asks.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The files directly in a folder of a repository, or in its root: names within the repository, and sizes.
    ///
    /// # Errors
    /// [`Error::NoRepository`], [`Error::NoRevision`], [`Error::Gated`], [`Error::Denied`], [`Error::Unlisted`],
    /// [`Error::Offline`], network errors, [`Error::Cancelled`].
    pub fn list(&self, repo: &Repo, folder: Option<&str>, cancel: &Cancel) -> Result<Vec<(String, u64)>, Error> {
        self.visit(cancel, &|_| {}).list(repo, folder, None)
    }

    /// What the hub says about files, in their order; several are asked at a time.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or that no client can be made; each file has its own answer.
    pub fn info(&self, files: &[RepoFile], cancel: &Cancel) -> Result<Vec<Result<FileInfo, Error>>, Error> {
        let visit = self.visit(cancel, &|_| {});
        self.run(cancel, async |client| Ok(visit.ask_all(client, files).await))
    }

    /// A visit, in which a revision is the same commit for everything that is asked.
    #[must_use]
    pub fn visit<'a>(&'a self, cancel: &'a Cancel, on: OnProgress<'a>) -> Visit<'a> {
        Visit::new(self, cancel, on)
    }

    /// A file's path in the cache, fetched first if it is not there. See [`Hub::fetch_all`].
    ///
    /// # Errors
    /// As [`Hub::fetch_all`].
    pub fn fetch(&self, wanted: &RepoFile, cancel: &Cancel, on: OnProgress<'_>) -> Result<PathBuf, Error> {
        let mut places = self.fetch_all(std::slice::from_ref(wanted), cancel, on)?;
        places.pop().ok_or_else(|| Error::Client("nothing was fetched".to_owned()))
    }

    /// The paths of files in the cache, in their order; those that are missing, have changed or are damaged are fetched.
    /// What has arrived when this fails or is cancelled stays and is not fetched again. Where the hub cannot be reached,
    /// files that are here serve as they are.
    ///
    /// # Errors
    /// The first thing that is wrong: [`Error::NoRoom`] before anything is fetched, what the hub or the network have
    /// against a file, [`Error::Offline`], [`Error::Damaged`], [`Error::Cancelled`].
    pub fn fetch_all(&self, wanted: &[RepoFile], cancel: &Cancel, on: OnProgress<'_>) -> Result<Vec<PathBuf>, Error> {
        self.visit(cancel, on).fetch_all(wanted)
    }

    /// Where a repository's files are in the cache.
    fn folder(&self, repo: &Repo) -> Result<Folder, Error> {
        Ok(Folder::new(&self.environment.cache, repo)?.symlinks(self.symlinks))
    }

    /// Runs work that talks to the hub on a runtime of its own, and drops it when it is cancelled.
    fn run<T>(&self, cancel: &Cancel, work: impl AsyncFnOnce(&HubClient<'_>) -> Result<T, Error>) -> Result<T, Error> {
        cancel.check()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Client(error.to_string()))?;
        let done = runtime.block_on(async {
            let client = HubClient::new(&self.environment)?;
            tokio::select! {
                biased;
                done = work(&client) => done,
                () = raised(cancel) => Err(Error::Cancelled(Cancelled)),
            }
        });
        // A name being looked up may hang for long; nobody waits for it.
        runtime.shutdown_background();
        done
    }
}

/// Ends when the flag is raised.
async fn raised(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(NOTICE).await;
    }
}

/// Refuses to begin what the disk cannot hold.
fn check_room(cache: &Path, missing: &[Missing<'_>]) -> Result<(), Error> {
    let left = |missing: &Missing<'_>| {
        let partial = std::fs::symlink_metadata(missing.folder.partial(&missing.info.etag));
        let have = partial.ok().filter(std::fs::Metadata::is_file).map_or(0, |data| data.len());
        missing.info.size.unwrap_or(0).saturating_sub(have)
    };
    let needed = missing.iter().fold(0_u64, |sum, missing| sum.saturating_add(left(missing)));
    let existing = cache.ancestors().find(|directory| directory.is_dir()).unwrap_or(cache);
    match cache::free_bytes(existing) {
        Some(free) if free < needed => Err(Error::NoRoom { path: cache.to_owned(), needed, free }),
        _ => Ok(()),
    }
}
