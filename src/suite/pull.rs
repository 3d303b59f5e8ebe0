//! Fetching what a choice needs: which files that is, as the repositories are, and then those that are missing.
//! Not here: how one file is fetched.

use std::collections::HashMap;

use super::files::{CONFIG, INDEX, Pick, Picked, Shards, WEIGHTS, model_names};
use super::{Choice, Error, Part, PullPlan, Source, Suite};
use crate::blob::Blob;
use crate::hub::{self, Hub, Repo, RepoFile, Visit};
use crate::task::{Cancel, OnProgress};

/// The files of a model's repository.
struct PullItem {
    names: Vec<&'static str>,
    /// Bytes by name, as far as the hub lists them.
    sizes: HashMap<String, u64>,
}

impl Suite {
    /// Fetches what of a choice is missing and gives what is here afterwards. Local and embedded parts need nothing.
    /// What has arrived when this fails or is cancelled is kept.
    ///
    /// # Errors
    /// [`Error::UnknownPart`], [`Error::Unsupported`] and [`Error::Absent`] before anything large is fetched,
    /// [`Error::Index`], and [`Error::Hub`] with what the hub, the network or the disk have against it.
    pub fn pull(&self, choice: &Choice, hub: &Hub, cancel: &Cancel, on: OnProgress<'_>) -> Result<PullPlan, Error> {
        self.pull_with(choice, &Picked::every, hub, cancel, on)
    }

    /// The same where only these tensors of the model are wanted: of a model in shards those that hold none of them are
    /// left where they are.
    ///
    /// # Errors
    /// As [`Suite::pull`].
    pub fn pull_with(
        &self,
        choice: &Choice,
        pick: Pick<'_>,
        hub: &Hub,
        cancel: &Cancel,
        on: OnProgress<'_>,
    ) -> Result<PullPlan, Error> {
        let visit = hub.visit(cancel, on);
        let sizes = match self.fetch(choice, pick, hub, &visit) {
            Ok(sizes) => sizes,
            // Where the hub cannot be asked, what is here serves, each part as it was at some commit.
            Err(Error::Hub(error)) if cannot_be_asked(&error) && !hub.is_verifying() => {
                let plan = self.plan_with(choice, pick, hub)?;
                return if plan.ready() { Ok(plan) } else { Err(Error::Hub(error)) };
            }
            Err(error) => return Err(self.with_mirrors(error)),
        };
        let mut plan = self.plan_with(choice, pick, hub)?;
        for left in plan.needs.iter_mut().flat_map(|need| &mut need.left) {
            left.bytes = left.bytes.or_else(|| sizes.get(&left.file).copied());
        }
        (plan.mended, plan.checked) = (visit.mended(), visit.checked());
        Ok(plan)
    }

    /// Fetches what of a choice is missing, and gives the sizes of the model's files as far as the hub lists them.
    fn fetch(
        &self,
        choice: &Choice,
        pick: Pick<'_>,
        hub: &Hub,
        visit: &Visit<'_>,
    ) -> Result<HashMap<String, u64>, Error> {
        let (mut wanted, mut sizes) = (Vec::new(), HashMap::new());
        for part in self.parts_of(choice)? {
            if let (Part::Model, Source::Hub(repo)) = (&part, &self.model_source(hub)) {
                let listed = self.model_listed(repo, hub, visit)?;
                wanted.extend(Self::model_wanted(repo, &listed, pick, visit)?);
                sizes = listed.sizes;
            } else {
                let files = self.need(&part, pick, hub)?.into_iter().flat_map(|need| need.files);
                wanted.extend(files.map(|need| RepoFile { repo: need.repo, file: need.file }));
            }
        }
        visit.fetch_all(&wanted)?;
        Ok(sizes)
    }

    /// The files that make up the model, as its repository has them.
    fn model_listed(&self, repo: &Repo, hub: &Hub, visit: &Visit<'_>) -> Result<PullItem, Error> {
        let sizes: HashMap<String, u64> = match visit.list(repo, None, Some(CONFIG)) {
            Ok(listed) => listed.into_iter().collect(),
            // Mirrors without listings, and a network that is down: what is here, or else what is usual.
            Err(error) if is_unlisted(&error) => {
                return Ok(PullItem { names: self.usual(&error, hub), sizes: HashMap::new() });
            }
            Err(error) => return Err(error.into()),
        };
        let names = model_names(|name| sizes.contains_key(name));
        match names.iter().find(|name| !sizes.contains_key(**name)) {
            Some(missing) => Err(Error::Absent { place: repo.to_string(), file: either(missing) }),
            None => Ok(PullItem { names, sizes }),
        }
    }

    /// Those of a model's files that hold what is wanted; its index is fetched where it has one.
    fn model_wanted(repo: &Repo, listed: &PullItem, pick: Pick<'_>, visit: &Visit<'_>) -> Result<Vec<RepoFile>, Error> {
        let file = |file: &str| RepoFile { repo: repo.clone(), file: file.to_owned() };
        let mut wanted: Vec<RepoFile> = listed.names.iter().map(|name| file(name)).collect();
        if listed.names.contains(&INDEX) {
            let fetched = visit.fetch_all(&[file(CONFIG), file(INDEX)])?;
            let mut fetched = fetched.into_iter().map(Blob::path);
            if let (config, Some(index)) = (fetched.next(), fetched.next()) {
                let shards = Shards::of(&index, config.as_ref(), pick)?;
                wanted.extend(shards.wanted.iter().map(|shard| file(shard)));
            }
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

/// Whether a repository may be there although it cannot be listed.
fn is_unlisted(error: &hub::Error) -> bool {
    matches!(error, hub::Error::Malformed { .. } | hub::Error::Unlisted { .. }) || cannot_be_asked(error)
}

/// Whether the hub is out of reach, or may not be asked.
fn cannot_be_asked(error: &hub::Error) -> bool {
    matches!(error, hub::Error::Offline { .. }) || error.is_transient()
}

/// What a repository lacks, with the alternative that would do.
fn either(missing: &str) -> String {
    match missing {
        WEIGHTS => format!("{WEIGHTS} (nor {INDEX})"),
        "tokenizer.json" => "tokenizer.json (nor vocab.json with merges.txt)".to_owned(),
        other => other.to_owned(),
    }
}
