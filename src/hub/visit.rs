//! One visit to the hub: each revision is resolved once, and everything of it is asked at that commit, so that a commit
//! pushed meanwhile mixes nothing.
//! Not here: HTTP, how one file is fetched, and how files are laid out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use futures::StreamExt;

use super::cache::{self, Folder};
use super::client::HubClient;
use super::digest::Difference;
use super::meter::Meter;
use super::sound::{self, Thorough};
use super::transfer::{Transfer, is_whole};
use super::{Error, FileInfo, Hub, Patience, Repo, RepoFile, check_room, name};
use crate::task::{Cancel, OnProgress};

/// Files whose heads are asked for at the same time.
const AT_ONCE: usize = 8;
/// Further tries where there is no connection at all, before anything has begun.
const UNREACHABLE: u32 = 1;

/// One visit to the hub.
pub struct Visit<'a> {
    hub: &'a Hub,
    cancel: &'a Cancel,
    on: OnProgress<'a>,
    /// What the hub has said of files so far.
    heads: RefCell<HashMap<RepoFile, FileInfo>>,
    /// The commit that each revision was when it was first asked about.
    commits: RefCell<HashMap<Repo, String>>,
    mended: RefCell<Vec<RepoFile>>,
    checked: Cell<usize>,
}

/// A file that a visit is to bring.
struct Wanted<'w> {
    index: usize,
    file: &'w RepoFile,
    folder: &'w Folder,
    /// Where it is already, as far as the cache knows.
    here: Option<PathBuf>,
}

/// A file that is to be fetched.
pub(super) struct Missing<'w> {
    index: usize,
    pub(super) file: &'w RepoFile,
    pub(super) folder: &'w Folder,
    pub(super) info: FileInfo,
    /// How what is in the cache differs from what it should be.
    damage: Option<Difference>,
}

impl<'a> Visit<'a> {
    /// A visit that has asked nothing yet.
    pub(super) fn new(hub: &'a Hub, cancel: &'a Cancel, on: OnProgress<'a>) -> Self {
        let (heads, commits) = (RefCell::default(), RefCell::default());
        Self { hub, cancel, on, heads, commits, mended: RefCell::default(), checked: Cell::new(0) }
    }

    /// Files that were damaged in the cache and have been fetched again.
    #[must_use]
    pub fn mended(&self) -> Vec<RepoFile> {
        self.mended.borrow().clone()
    }

    /// Files of the cache whose content was hashed and is what it should be.
    #[must_use]
    pub fn checked(&self) -> usize {
        self.checked.get()
    }

    /// The files directly in a folder of a repository, or in its root: names within the repository, and sizes. `known`
    /// is a file that such a repository has, which says what commit is listed.
    ///
    /// # Errors
    /// As [`Hub::list`], and what the hub has against `known`, its absence apart.
    pub fn list(&self, repo: &Repo, folder: Option<&str>, known: Option<&str>) -> Result<Vec<(String, u64)>, Error> {
        name::repository(&repo.id)?;
        name::revision(&repo.revision)?;
        folder.map_or(Ok(()), name::file)?;
        if self.hub.environment.offline {
            return Err(Error::Offline { repo: repo.clone(), file: "the list of files".to_owned() });
        }
        self.hub.run(self.cancel, async |client| {
            if let Some(known) = known {
                let known = RepoFile { repo: repo.clone(), file: known.to_owned() };
                match self.head(client, &known, self.hub.patience).await {
                    Ok(_) | Err(Error::NoFile { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let mut failures = 0;
            loop {
                let commit = self.commit(repo);
                match client.list(repo, commit.as_ref().unwrap_or(&repo.revision), folder).await {
                    Ok(listed) => return Ok(listed),
                    Err(error) => failures = self.failed(failures, error, self.hub.patience).await?,
                }
            }
        })
    }

    /// The paths of files in the cache, in their order. See [`Hub::fetch_all`].
    ///
    /// # Errors
    /// As [`Hub::fetch_all`].
    pub fn fetch_all(&self, wanted: &[RepoFile]) -> Result<Vec<PathBuf>, Error> {
        let folders: Vec<Folder> = wanted
            .iter()
            .map(|wanted| name::file(&wanted.file).map_err(Error::from).and_then(|()| self.hub.folder(&wanted.repo)))
            .collect::<Result<_, Error>>()?;
        let mut places: Vec<Option<PathBuf>> = vec![None; wanted.len()];
        let mut asked = Vec::new();
        for (index, (file, folder)) in wanted.iter().zip(&folders).enumerate() {
            let here = folder.find(&file.repo.revision, &file.file);
            let offline = self.hub.environment.offline;
            match &here {
                Some(place) if offline || cache::is_commit(&file.repo.revision) => {
                    match self.damage_by_name(place, file)? {
                        None if offline || self.hub.thorough == Thorough::WhereCheap => places[index] = here,
                        Some(damage) if offline => return Err(damaged(file, &damage)),
                        _ => asked.push(Wanted { index, file, folder, here }),
                    }
                }
                None if offline => {
                    return Err(Error::Offline { repo: file.repo.clone(), file: file.file.clone() });
                }
                _ => asked.push(Wanted { index, file, folder, here }),
            }
        }
        if !asked.is_empty() {
            self.hub.run(self.cancel, async |client| self.bring(client, &asked, &mut places).await)?;
        }
        Ok(places.into_iter().flatten().collect())
    }

    /// What the hub says about files, each at the revision it is wanted at; several are asked at a time.
    pub(super) async fn ask_all(&self, client: &HubClient<'_>, files: &[RepoFile]) -> Vec<Result<FileInfo, Error>> {
        let ask = async |file: &RepoFile| self.head(client, file, self.hub.patience).await;
        futures::stream::iter(files).map(ask).buffered(AT_ONCE).collect().await
    }

    /// Finds out what is missing and fetches it.
    async fn bring(
        &self,
        client: &HubClient<'_>,
        asked: &[Wanted<'_>],
        places: &mut [Option<PathBuf>],
    ) -> Result<(), Error> {
        let heads = self.heads_of(client, asked).await?;
        let hashed = heads.iter().filter(|head| head.is_some()).count();
        let mut meter = Meter::new(self.on, hashed, None);
        let (mut missing, mut elsewhere) = (Vec::new(), Vec::new());
        for (wanted, info) in asked.iter().zip(heads) {
            let Some(info) = info else {
                places[wanted.index].clone_from(&wanted.here);
                continue;
            };
            let Wanted { index, file, folder, .. } = *wanted;
            let place = self.present(folder, file, &info)?;
            let damage = place.as_ref().map(|place| self.damage(place, file, &info, &mut meter)).transpose()?.flatten();
            match (place, damage) {
                (Some(place), None) => {
                    if place != folder.pointer(&info.commit, &file.file) {
                        elsewhere.push(&file.repo);
                    }
                    places[index] = Some(place);
                }
                (_, damage) => missing.push(Missing { index, file, folder, info, damage }),
            }
        }
        check_room(&self.hub.environment.cache, &missing)?;
        let total = missing.iter().map(|missing| missing.info.size).sum();
        let mut meter = Meter::new(self.on, missing.len(), total);
        for Missing { index, file, folder, info, damage } in &missing {
            let patience = self.hub.patience;
            // Whoever has nothing yet finds what has arrived, also when the rest does not come.
            if folder.commit(&file.repo.revision).is_none() {
                folder.note_commit(&file.repo.revision, &info.commit)?;
            }
            let transfer = Transfer { client, patience, folder, wanted: file, info, damage: damage.as_ref() };
            let fetched = transfer.run(&mut meter).await?;
            places[*index] = Some(fetched.place);
            if damage.is_some() && !fetched.same {
                self.mended.borrow_mut().push((*file).clone());
            }
        }
        // Last, so that an older commit stays what is found for as long as the newer one is not whole.
        for Wanted { file, folder, .. } in asked {
            let Some(commit) = self.heads.borrow().get(*file).map(|info| info.commit.clone()) else { continue };
            if elsewhere.contains(&&file.repo) {
                continue;
            }
            let noted = folder.note_commit(&file.repo.revision, &commit);
            // The cache may be mounted read-only, and all is here.
            if missing.iter().any(|missing| missing.file.repo == file.repo) {
                noted?;
            }
        }
        Ok(())
    }

    /// What the hub says about files; `None` for those that serve as they are because the hub does not answer.
    async fn heads_of(&self, client: &HubClient<'_>, asked: &[Wanted<'_>]) -> Result<Vec<Option<FileInfo>>, Error> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (at, wanted) in asked.iter().enumerate() {
            match groups.iter_mut().find(|group| asked[group[0]].file.repo == wanted.file.repo) {
                Some(group) => group.push(at),
                None => groups.push(vec![at]),
            }
        }
        let mut heads: Vec<Option<FileInfo>> = vec![None; asked.len()];
        // The first file of each repository says which commit its revision is.
        let first = async |group: &Vec<usize>| self.first_head(client, asked, group).await;
        let firsts: Vec<_> = futures::stream::iter(&groups).map(first).buffered(AT_ONCE).collect().await;
        let mut rest = Vec::new();
        for (group, answer) in groups.iter().zip(firsts) {
            heads[group[0]] = answer?;
            if heads[group[0]].is_some() {
                rest.extend_from_slice(&group[1..]);
            }
        }
        let ask = async |at: &usize| (*at, self.head(client, asked[*at].file, self.hub.patience).await);
        let answers: Vec<_> = futures::stream::iter(&rest).map(ask).buffered(AT_ONCE).collect().await;
        for (at, answer) in answers {
            heads[at] = Some(self.or_as_it_is(&asked[at], answer)?);
        }
        Ok(heads)
    }

    /// What the hub says about the first file of a repository; `None` where all of the repository's files are here and
    /// the hub does not answer.
    async fn first_head(
        &self,
        client: &HubClient<'_>,
        asked: &[Wanted<'_>],
        group: &[usize],
    ) -> Result<Option<FileInfo>, Error> {
        let serve = self.hub.thorough == Thorough::WhereCheap && group.iter().all(|at| asked[*at].here.is_some());
        // Files that are here anyway are not worth waiting for the hub.
        let failures = if serve { 0 } else { self.hub.patience.failures };
        let file = asked[group[0]].file;
        match self.head(client, file, Patience { failures, ..self.hub.patience }).await {
            Err(error) if serve && error.is_transient() => {
                tracing::warn!(repo = %file.repo, %error, "the cached files serve");
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }

    /// The answer, or what the link says where the hub stopped answering and the commit's file is here.
    fn or_as_it_is(&self, wanted: &Wanted<'_>, answer: Result<FileInfo, Error>) -> Result<FileInfo, Error> {
        let error = match answer {
            Ok(info) => return Ok(info),
            Err(error) => error,
        };
        let here = self.commit(&wanted.file.repo).and_then(|commit| {
            let place = wanted.folder.find(&commit, &wanted.file.file).filter(|_| error.is_transient())?;
            Some(FileInfo { etag: sound::linked_etag(&place)?, commit, size: None })
        });
        here.ok_or(error)
    }

    /// What the hub says about a file at the visit's commit, patiently. The first file of a repository resolves its
    /// revision.
    async fn head(&self, client: &HubClient<'_>, file: &RepoFile, patience: Patience) -> Result<FileInfo, Error> {
        if let Some(known) = self.heads.borrow().get(file) {
            return Ok(known.clone());
        }
        let mut failures = 0;
        loop {
            let commit = self.commit(&file.repo);
            let at = commit.as_ref().unwrap_or(&file.repo.revision);
            match client.info(&file.repo, at, &file.file).await {
                Ok(info) => {
                    if let Some(commit) = commit.filter(|commit| *commit != info.commit) {
                        return Err(client.other_commit(&file.file, &commit, &info.commit));
                    }
                    // A server whose commits are none cannot be asked at them.
                    if cache::is_commit(&info.commit) {
                        self.commits.borrow_mut().entry(file.repo.clone()).or_insert_with(|| info.commit.clone());
                    }
                    self.heads.borrow_mut().insert(file.clone(), info.clone());
                    return Ok(info);
                }
                Err(error) => failures = self.failed(failures, error, patience).await?,
            }
        }
    }

    /// Waits before the next try, and counts.
    async fn failed(&self, failures: u32, error: Error, patience: Patience) -> Result<u32, Error> {
        let failures = failures + 1;
        // Nothing has begun yet: a person without a network wants to know soon.
        if error.is_unreachable() && failures > UNREACHABLE {
            return Err(error);
        }
        patience.wait(failures, error, |_| {}).await?;
        Ok(failures)
    }

    /// The commit that a repository's revision was when this visit first asked.
    fn commit(&self, repo: &Repo) -> Option<String> {
        self.commits.borrow().get(repo).cloned()
    }

    /// The place of a file whose announced content is in the cache, under this commit or another.
    fn present(&self, folder: &Folder, file: &RepoFile, info: &FileInfo) -> Result<Option<PathBuf>, Error> {
        let pointer = folder.pointer(&info.commit, &file.file);
        if is_whole(&pointer, info.size) {
            return Ok(Some(pointer));
        }
        let before = folder.find(&file.repo.revision, &file.file).filter(|before| is_whole(before, info.size));
        let blob = folder.blob(&info.etag);
        if is_whole(&blob, info.size) {
            let is_it = |before: &PathBuf| std::fs::canonicalize(before).ok() == std::fs::canonicalize(&blob).ok();
            // In a cache that cannot be written to, the older commit's link to the same content serves.
            let placed = folder.place(&info.commit, &file.file, &info.etag, false);
            return placed.or_else(|error| before.filter(is_it).ok_or(error)).map(Some);
        }
        // Where files are not links, the same content may be here under the commit before.
        let Some(before) = before.filter(|before| !before.is_symlink() && sound::is_hash(&info.etag)) else {
            return Ok(None);
        };
        if sound::difference(&before, &info.etag, info.size, &mut |_| Ok(self.cancel.check()?))?.is_some() {
            return Ok(None);
        }
        Ok(Some(folder.copy(&before, &info.commit, &file.file).unwrap_or(before)))
    }

    /// How a file of the cache differs from what the hub announced, as far as that is looked at.
    fn damage(
        &self,
        place: &Path,
        file: &RepoFile,
        info: &FileInfo,
        meter: &mut Meter<'_>,
    ) -> Result<Option<Difference>, Error> {
        if !sound::is_hash(&info.etag) || !self.hub.thorough.wants(place) {
            return Ok(None);
        }
        let shown = self.hub.thorough == Thorough::Everywhere;
        if shown {
            meter.begin(&file.file, info.size);
        }
        let found = sound::difference(place, &info.etag, info.size, &mut |seen| {
            if shown {
                meter.checking(seen);
            }
            Ok(self.cancel.check()?)
        })?;
        if found.is_none() {
            self.checked.set(self.checked.get() + 1);
            sound::note_unchanged(place);
        }
        Ok(found)
    }

    /// The same by what the link to the file names, without asking the hub.
    fn damage_by_name(&self, place: &Path, file: &RepoFile) -> Result<Option<Difference>, Error> {
        let Some(etag) = sound::linked_etag(place) else { return Ok(None) };
        let info = FileInfo { etag, commit: String::new(), size: None };
        self.damage(place, file, &info, &mut Meter::new(self.on, 1, None))
    }
}

/// What is wrong with a file of the cache that cannot be fetched again.
fn damaged(file: &RepoFile, difference: &Difference) -> Error {
    Error::Damaged { repo: file.repo.clone(), file: file.file.clone(), why: difference.to_string() }
}
