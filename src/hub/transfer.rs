//! One file from the hub into the cache: locked, resumed, verified before it gets its name, retried.
//! Not here: HTTP, and where the cache has its files.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::{self, Folder, make_parent};
use super::client::{HubClient, Part};
use super::digest::{Check, Difference};
use super::meter::Meter;
use super::{Error, FileInfo, RepoFile};

/// How often something that may well succeed later is tried, and how long is waited in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Failures in a row that are borne; bytes that arrive begin a new row.
    pub failures: u32,
    /// The first wait; each further one is twice as long.
    pub first: Duration,
    /// The longest wait. A server that asks for more is not asked again.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { failures: 5, first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

impl Patience {
    /// Waits before the next try.
    ///
    /// # Errors
    /// Gives `error` back when there is to be no next try.
    pub async fn wait(&self, failures: u32, error: Error, say: impl FnOnce(&str)) -> Result<(), Error> {
        let asked = match &error {
            Error::Status { after, .. } => *after,
            _ => None,
        };
        let growing = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.longest);
        let pause = asked.unwrap_or(growing);
        if !error.is_transient() || failures > self.failures || pause > self.longest {
            return Err(error);
        }
        let why = match &error {
            Error::Status { .. } => "the hub is busy",
            _ => "the connection failed",
        };
        tracing::warn!(%error, ?pause, "trying again");
        say(&format!("{why}, trying again in {} s", pause.as_secs_f64().ceil()));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// How often a lock that another program holds is asked for.
const LOCK_EVERY: Duration = Duration::from_millis(100);

/// The file under its blob's name that grows.
struct Partial {
    path: PathBuf,
    file: File,
    /// Knows exactly the bytes in front of the file's cursor.
    check: Check,
}

/// One file on its way into the cache.
pub struct Transfer<'a> {
    /// Who is asked.
    pub client: &'a HubClient<'a>,
    /// How patiently.
    pub patience: Patience,
    /// Where it goes.
    pub folder: &'a Folder,
    /// What is fetched.
    pub wanted: &'a RepoFile,
    /// What the hub announced.
    pub info: &'a FileInfo,
    /// How the content that is in the cache already differs from it.
    pub damage: Option<&'a Difference>,
}

/// A file that has arrived.
pub struct Fetched {
    /// Where it is.
    pub place: PathBuf,
    /// Whether it differs from what was announced just as what was in the cache did, so that nothing was damaged.
    pub same: bool,
}

impl Transfer<'_> {
    /// Fetches the content, unless it is there, and links it to its name. What has arrived when this fails or is
    /// dropped stays, and the next call continues from there.
    ///
    /// # Errors
    /// What the hub, the network and the disk have against it; [`Error::Corrupt`] when the content is twice not what
    /// was announced.
    pub async fn run(&self, meter: &mut Meter<'_>) -> Result<Fetched, Error> {
        let FileInfo { etag, commit, size } = self.info;
        meter.begin(&self.wanted.file, *size);
        let blob = self.folder.blob(etag);
        make_parent(&blob)?;
        let lock = loop {
            if let Some(lock) = self.folder.try_lock(etag)? {
                break lock;
            }
            meter.waiting(0, "another program is fetching it");
            tokio::time::sleep(LOCK_EVERY).await;
        };
        let pointer = self.folder.pointer(commit, &self.wanted.file);
        // Another program may have fetched it meanwhile.
        let here = |place: &Path| self.damage.is_none() && is_whole(place, *size);
        let (place, same) = if here(&pointer) {
            (pointer, false)
        } else {
            let new = !here(&blob);
            let same = new && self.fetch(&blob, meter).await?;
            (self.folder.place(commit, &self.wanted.file, etag, new)?, same)
        };
        meter.end(fs::metadata(&place).map_err(|error| Error::io(&place, error))?.len());
        drop(lock);
        Ok(Fetched { place, same })
    }

    /// Brings the content under its blob's name, and says whether it differs just as what was in the cache did.
    async fn fetch(&self, blob: &Path, meter: &mut Meter<'_>) -> Result<bool, Error> {
        let (mut earlier, mut again) = (self.damage.cloned(), false);
        loop {
            let partial = self.receive(meter).await?;
            let Partial { path, file, check } = partial;
            let mut same = false;
            match check.finish() {
                Ok(()) => {}
                // A server whose ETags are not Git's, and twice the same bytes: nothing was garbled on the way.
                Err(difference @ Difference::Git { .. }) if earlier.as_ref() == Some(&difference) => {
                    tracing::warn!(file = self.wanted.file, %difference, "the server's ETag is not a Git hash");
                    same = self.damage == Some(&difference);
                }
                Err(difference) => {
                    fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
                    if again {
                        return Err(self.corrupt(difference.to_string()));
                    }
                    tracing::warn!(file = self.wanted.file, %difference, "fetching it again");
                    meter.waiting(0, "it arrived damaged, fetching it again");
                    (earlier, again) = (Some(difference), true);
                    continue;
                }
            }
            // On the disk before it has its name: a name says that the content is whole.
            file.sync_all().map_err(|error| Error::io(&path, error))?;
            fs::rename(&path, blob).map_err(|error| Error::io(blob, error))?;
            return Ok(same);
        }
    }

    /// Receives until everything that was announced is in the partial file.
    async fn receive(&self, meter: &mut Meter<'_>) -> Result<Partial, Error> {
        let mut partial = self.open(meter).await?;
        // Only what gets past the farthest byte so far is progress: a round may begin again from the first.
        let (mut failures, mut farthest) = (0, partial.check.seen());
        loop {
            if self.info.size == Some(partial.check.seen()) {
                return Ok(partial);
            }
            let error = match self.receive_once(&mut partial, meter).await {
                Ok(()) => return Ok(partial),
                Err(error) => error,
            };
            let have = partial.check.seen();
            failures = if have > farthest { 1 } else { failures + 1 };
            farthest = farthest.max(have);
            self.patience.wait(failures, error, |why| meter.waiting(have, why)).await?;
        }
    }

    /// Receives what one connection gives.
    async fn receive_once(&self, partial: &mut Partial, meter: &mut Meter<'_>) -> Result<(), Error> {
        let RepoFile { repo, file } = self.wanted;
        // At the commit that was announced, so that a branch which moves meanwhile changes nothing.
        let commit = &self.info.commit;
        let at = if cache::is_commit(commit) { commit } else { &repo.revision };
        let mut body = match self.client.bytes(repo, at, file, partial.check.seen()).await? {
            Part::Body(body) => body,
            // All that the server has is here; where more was announced, that is too little.
            Part::Nothing(Some(have)) if have == partial.check.seen() => match self.info.size {
                None => return Ok(()),
                Some(want) => return Err(Error::Short { file: file.clone(), have, want }),
            },
            Part::Nothing(have) => {
                // What is here is not the beginning of it.
                partial.restart(self.info)?;
                let (have, want) = (have.unwrap_or(0), self.info.size.unwrap_or(0));
                return Err(Error::Short { file: file.clone(), have, want });
            }
        };
        // A server that heeds no ranges begins again: what is here already is passed over.
        let mut skip = usize::try_from(partial.check.seen() - body.start).unwrap_or(usize::MAX);
        while let Some(bytes) = body.next().await? {
            let bytes = bytes.as_ref();
            let new = bytes.get(skip.min(bytes.len())..).unwrap_or_default();
            skip = skip.saturating_sub(bytes.len());
            if let Some(size) = self.info.size
                && partial.check.seen() + new.len() as u64 > size
            {
                return Err(self.corrupt(format!("it has more than the {size} bytes announced")));
            }
            partial.write(new)?;
            meter.at(partial.check.seen(), new.len() as u64);
        }
        match self.info.size {
            // The connection was not cut: that would have been an error above.
            Some(want) if partial.check.seen() < want => {
                Err(Error::Short { file: file.clone(), have: partial.check.seen(), want })
            }
            _ => Ok(()),
        }
    }

    /// Opens the partial file and takes up what is in it.
    async fn open(&self, meter: &mut Meter<'_>) -> Result<Partial, Error> {
        let path = self.folder.partial(&self.info.etag);
        let wrong = |error| Error::io(&path, error);
        let file = cache::open_own(&path)?;
        let length = file.metadata().map_err(wrong)?.len();
        let mut partial = Partial { file, check: self.check(), path: path.clone() };
        if self.info.size.is_some_and(|size| length > size) {
            partial.restart(self.info)?;
            return Ok(partial);
        }
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = partial.file.read(&mut buffer).map_err(wrong)?;
            if count == 0 {
                return Ok(partial);
            }
            partial.check.update(buffer.get(..count).unwrap_or_default());
            meter.at(partial.check.seen(), 0);
            // Gigabytes take seconds to hash; cancelling gets its turn.
            tokio::task::yield_now().await;
        }
    }

    fn check(&self) -> Check {
        Check::new(&self.info.etag, self.info.size)
    }

    fn corrupt(&self, why: String) -> Error {
        Error::Corrupt { repo: self.wanted.repo.clone(), file: self.wanted.file.clone(), why }
    }
}

impl Partial {
    /// Writes at the cursor, which is where the bytes belong: two programs that both do so harm nothing.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| Error::io(&self.path, error))?;
        self.check.update(bytes);
        Ok(())
    }

    /// Forgets what is in it.
    fn restart(&mut self, info: &FileInfo) -> Result<(), Error> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|error| Error::io(&self.path, error))?;
        self.check = Check::new(&info.etag, info.size);
        Ok(())
    }
}

/// Whether a blob is there with the announced size. Other programs have been seen to store error pages as blobs.
pub fn is_whole(blob: &Path, size: Option<u64>) -> bool {
    fs::metadata(blob).is_ok_and(|data| data.is_file() && size.is_none_or(|size| size == data.len()))
}
