//! Files of hub repositories, in the cache that Hugging Face's own tools share.
//! Not here: which files a suite needs, and what is in them.

mod cache;
mod digest;
mod environment;
mod error;
mod meter;
pub mod name;
mod remote;
mod transfer;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;

use cache::Folder;
pub use environment::Environment;
pub use error::{Error, bytes};
use meter::Meter;
use remote::Remote;
pub use transfer::Patience;
use transfer::{Transfer, is_whole};

use crate::task::{Cancel, Cancelled, OnProgress};

/// Files whose heads are asked for at the same time.
const AT_ONCE: usize = 8;
/// Further tries where there is no connection at all, before anything has begun.
const UNREACHABLE: u32 = 1;
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
}

/// The hub and its cache. Making one asks nothing of the network. Every call that does runs its own runtime, which ends
/// with the call.
#[derive(Clone, Debug)]
pub struct Hub {
    environment: Environment,
    patience: Patience,
}

impl Locator for Hub {
    fn find(&self, repo: &Repo, file: &str) -> Option<PathBuf> {
        Folder::new(&self.environment.cache, repo).ok()?.find(&repo.revision, file)
    }
}

impl Hub {
    /// The hub that the environment names, read through `env`.
    ///
    /// # Errors
    /// [`Error::Endpoint`], [`Error::NoHome`].
    pub fn from_env(env: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        Ok(Self::new(Environment::read(&env)?))
    }

    /// The hub of an environment.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { environment, patience: Patience::default() }
    }

    /// The same with other patience.
    #[must_use]
    pub const fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Where the hub is, where its files are kept and who asks.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The files directly in a folder of a repository, or in its root: names within the repository, and sizes.
    ///
    /// # Errors
    /// [`Error::NoRepository`], [`Error::NoRevision`], [`Error::Gated`], [`Error::Denied`], [`Error::Offline`], network
    /// errors, [`Error::Cancelled`].
    pub fn list(&self, repo: &Repo, folder: Option<&str>, cancel: &Cancel) -> Result<Vec<(String, u64)>, Error> {
        name::repository(&repo.id)?;
        name::revision(&repo.revision)?;
        folder.map_or(Ok(()), name::file)?;
        if self.environment.offline {
            return Err(Error::Offline { repo: repo.clone(), file: "the list of files".to_owned() });
        }
        self.run(cancel, async |remote| remote.list(repo, folder).await)
    }

    /// What the hub says about files, in their order; several are asked at a time.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or that no client can be made; each file has its own answer.
    pub fn info(&self, files: &[RepoFile], cancel: &Cancel) -> Result<Vec<Result<FileInfo, Error>>, Error> {
        self.run(cancel, async |remote| Ok(self.ask_all(remote, files.iter()).await))
    }

    /// A file's path in the cache, fetched first if it is not there. See [`Hub::fetch_all`].
    ///
    /// # Errors
    /// As [`Hub::fetch_all`].
    pub fn fetch(&self, wanted: &RepoFile, cancel: &Cancel, on: OnProgress<'_>) -> Result<PathBuf, Error> {
        let mut places = self.fetch_all(std::slice::from_ref(wanted), cancel, on)?;
        places.pop().ok_or_else(|| Error::Client("nothing was fetched".to_owned()))
    }

    /// The paths of files in the cache, in their order; those that are missing or have changed are fetched. What has
    /// arrived when this fails or is cancelled stays and is not fetched again. Where the hub cannot be reached, files
    /// that are here serve as they are.
    ///
    /// # Errors
    /// The first thing that is wrong: [`Error::NoRoom`] before anything is fetched, what the hub or the network have
    /// against a file, [`Error::Offline`], [`Error::Cancelled`].
    pub fn fetch_all(&self, wanted: &[RepoFile], cancel: &Cancel, on: OnProgress<'_>) -> Result<Vec<PathBuf>, Error> {
        let folders: Vec<Folder> = wanted
            .iter()
            .map(|wanted| {
                name::file(&wanted.file)?;
                Folder::new(&self.environment.cache, &wanted.repo)
            })
            .collect::<Result<_, Error>>()?;
        let mut places: Vec<Option<PathBuf>> = vec![None; wanted.len()];
        let mut asked = Vec::new();
        for (index, (wanted, folder)) in wanted.iter().zip(&folders).enumerate() {
            let here = folder.find(&wanted.repo.revision, &wanted.file);
            if here.is_some() && (self.environment.offline || cache::is_commit(&wanted.repo.revision)) {
                places[index] = here;
            } else if self.environment.offline {
                return Err(Error::Offline { repo: wanted.repo.clone(), file: wanted.file.clone() });
            } else {
                asked.push((index, wanted, folder, here));
            }
        }
        if !asked.is_empty() {
            self.run(cancel, async |remote| {
                let infos = self.ask_all(remote, asked.iter().map(|(_, wanted, ..)| *wanted)).await;
                let mut missing = Vec::new();
                for ((index, wanted, folder, here), info) in asked.iter().zip(infos) {
                    match (info, here) {
                        (Ok(info), _) => match present(folder, wanted, &info)? {
                            Some(place) => places[*index] = Some(place),
                            None => missing.push((*index, *wanted, *folder, info)),
                        },
                        (Err(error), Some(here)) if error.is_transient() => {
                            tracing::warn!(file = wanted.file, %error, "the cached file serves");
                            places[*index] = Some(here.clone());
                        }
                        (Err(error), _) => return Err(error),
                    }
                }
                check_room(&self.environment.cache, &missing)?;
                let total = missing.iter().map(|(.., info)| info.size).sum();
                let mut meter = Meter::new(on, missing.len(), total);
                for (index, wanted, folder, info) in &missing {
                    let transfer = Transfer { remote, patience: self.patience, folder, wanted, info };
                    places[*index] = Some(transfer.run(&mut meter).await?);
                }
                Ok(())
            })?;
        }
        Ok(places.into_iter().flatten().collect())
    }

    /// The heads of files, patiently, several at a time.
    async fn ask_all<'f>(
        &self,
        remote: &Remote<'_>,
        files: impl Iterator<Item = &'f RepoFile>,
    ) -> Vec<Result<FileInfo, Error>> {
        let ask = async |wanted: &RepoFile| {
            // A file that is here anyway is not worth waiting for the hub.
            let here = self.find(&wanted.repo, &wanted.file).is_some();
            let patience = if here { Patience { failures: 0, ..self.patience } } else { self.patience };
            let mut failures = 0;
            loop {
                match remote.info(&wanted.repo, &wanted.file).await {
                    Ok(info) => return Ok(info),
                    Err(error) => {
                        failures += 1;
                        // Nothing has begun yet: a person without a network wants to know soon.
                        if error.is_unreachable() && failures > UNREACHABLE {
                            return Err(error);
                        }
                        patience.wait(failures, error, |_| {}).await?;
                    }
                }
            }
        };
        futures::stream::iter(files).map(ask).buffered(AT_ONCE).collect().await
    }

    /// Runs work that talks to the hub on a runtime of its own, and drops it when it is cancelled.
    fn run<T>(&self, cancel: &Cancel, work: impl AsyncFnOnce(&Remote<'_>) -> Result<T, Error>) -> Result<T, Error> {
        cancel.check()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Client(error.to_string()))?;
        let done = runtime.block_on(async {
            let remote = Remote::new(&self.environment)?;
            tokio::select! {
                biased;
                done = work(&remote) => done,
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

/// The place of a file whose announced content is in the cache, under this commit or another.
fn present(folder: &Folder, wanted: &RepoFile, info: &FileInfo) -> Result<Option<PathBuf>, Error> {
    let pointer = folder.pointer(&info.commit, &wanted.file);
    if is_whole(&pointer, info.size) {
        // The cache may be mounted read-only, and all is here.
        let _ = folder.note_commit(&wanted.repo.revision, &info.commit);
        return Ok(Some(pointer));
    }
    if is_whole(&folder.blob(&info.etag), info.size) {
        let place = folder.link(&info.commit, &wanted.file, &info.etag)?;
        folder.note_commit(&wanted.repo.revision, &info.commit)?;
        return Ok(Some(place));
    }
    Ok(None)
}

/// Refuses to begin what the disk cannot hold.
fn check_room(cache: &Path, missing: &[(usize, &RepoFile, &Folder, FileInfo)]) -> Result<(), Error> {
    let left = |folder: &Folder, info: &FileInfo| {
        let have = std::fs::metadata(folder.partial(&info.etag)).map_or(0, |data| data.len());
        info.size.unwrap_or(0).saturating_sub(have)
    };
    let needed = missing.iter().fold(0_u64, |sum, (_, _, folder, info)| sum.saturating_add(left(folder, info)));
    let existing = cache.ancestors().find(|directory| directory.is_dir()).unwrap_or(cache);
    match cache::free_bytes(existing) {
        Some(free) if free < needed => Err(Error::NoRoom { path: cache.to_owned(), needed, free }),
        _ => Ok(()),
    }
}
