//! Fetching what a choice needs: which files that is, as the repositories are, and then those that are missing.
//! Not here: how one file is fetched.

use super::files::{INDEX, WEIGHTS, model_names, shards};
use super::{Choice, Error, Part, Plan, Source, Suite};
use crate::blob::Blob;
use crate::hub::{self, Hub, Repo, RepoFile};
use crate::task::{Cancel, OnProgress};

impl Suite {
    /// Fetches what of a choice is missing and gives what is here afterwards. Local and embedded parts need nothing.
    /// What has arrived when this fails or is cancelled is kept.
    ///
    /// # Errors
    /// [`Error::UnknownPart`], [`Error::Unsupported`] and [`Error::Absent`] before anything large is fetched,
    /// [`Error::Index`], and [`Error::Hub`] with what the hub, the network or the disk have against it.
    pub fn pull(&self, choice: &Choice, hub: &Hub, cancel: &Cancel, on: OnProgress<'_>) -> Result<Plan, Error> {
        let mut wanted = Vec::new();
        for part in self.parts_of(choice)? {
            if let (Part::Model, Source::Hub(repo)) = (&part, &self.model_source(hub)) {
                let files = self.model_wanted(repo, hub, cancel, on).map_err(|error| self.with_mirrors(error))?;
                wanted.extend(files);
            } else {
                let files = self.need(&part, hub)?.into_iter().flat_map(|need| need.files);
                wanted.extend(files.map(|need| RepoFile { repo: need.repo, file: need.file }));
            }
        }
        hub.fetch_all(&wanted, cancel, on).map_err(|error| self.with_mirrors(error.into()))?;
        self.plan(choice, hub)
    }

    /// The model's files as its repository has them.
    fn model_wanted(
        &self,
        repo: &Repo,
        hub: &Hub,
        cancel: &Cancel,
        on: OnProgress<'_>,
    ) -> Result<Vec<RepoFile>, Error> {
        let file = |file: &str| RepoFile { repo: repo.clone(), file: file.to_owned() };
        let names = match hub.list(repo, None, cancel) {
            Ok(listed) => {
                let exists = |name: &str| listed.iter().any(|(listed, _)| listed == name);
                let names = model_names(exists);
                if let Some(missing) = names.iter().find(|name| !exists(name)) {
                    return Err(Error::Absent { place: repo.to_string(), file: either(missing) });
                }
                names
            }
            // Mirrors without listings, and a network that is down: what is here, or else what is usual.
            Err(error @ (hub::Error::Offline { .. } | hub::Error::Malformed { .. })) => self.usual(&error, hub),
            Err(error) if error.is_transient() => self.usual(&error, hub),
            Err(error) => return Err(error.into()),
        };
        let mut wanted: Vec<RepoFile> = names.iter().map(|name| file(name)).collect();
        if names.contains(&INDEX) {
            let index = hub.fetch(&file(INDEX), cancel, on)?;
            wanted.extend(shards(&Blob::path(index))?.iter().map(|shard| file(shard)));
        }
        Ok(wanted)
    }

    /// Adds the open copies of a model to a refusal of the hub.
    fn with_mirrors(&self, error: Error) -> Error {
        match error {
            Error::Hub(source @ (hub::Error::Gated { .. } | hub::Error::Denied { .. }))
                if !self.model.mirrors.is_empty() =>
            {
                Error::Closed { source: Box::new(source), mirrors: self.model.mirrors.clone() }
            }
            other => other,
        }
    }

    /// The names that the cache suggests.
    fn usual(&self, error: &hub::Error, hub: &Hub) -> Vec<&'static str> {
        tracing::warn!(%error, "the model's repository cannot be listed");
        let source = self.model_source(hub);
        let here = |name: &str| matches!(super::files::open(&source, name, hub), Ok(Some(_)));
        model_names(here)
    }
}

/// What a repository lacks, with the alternative that would do.
fn either(missing: &str) -> String {
    match missing {
        WEIGHTS => format!("{WEIGHTS} (nor {INDEX})"),
        "tokenizer.json" => "tokenizer.json (nor vocab.json with merges.txt)".to_owned(),
        other => other.to_owned(),
    }
}
