//! What of a suite is wanted, which files that needs, how large they are and which are here already.
//! Not here: fetching them.

use std::fmt;

use super::files::{CONFIG, INDEX, Pick, Picked, Shards, model_names, open, within};
use super::{Error, Source, Suite};
use crate::format::Format;
use crate::hub::{Locator, Repo, RepoFile};

/// Which parts of a suite are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// SAEs by id.
    pub saes: Vec<String>,
    /// Meta-SAEs by id.
    pub metas: Vec<String>,
    /// Everything.
    pub all: bool,
}

/// One part of a suite.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The model.
    Model,
    /// An SAE, by id.
    Sae(String),
    /// A meta-SAE, by id.
    Meta(String),
}

impl Part {
    /// The options of `saescope pull` that choose this part.
    #[must_use]
    pub fn option(&self) -> Option<String> {
        match self {
            Self::Model => None,
            Self::Sae(id) => Some(format!("--sae {id}")),
            Self::Meta(id) => Some(format!("--meta {id}")),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model => f.write_str("the model"),
            Self::Sae(id) => write!(f, "SAE `{id}`"),
            Self::Meta(id) => write!(f, "meta-SAE `{id}`"),
        }
    }
}

/// A file that a part needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileNeed {
    /// Its repository.
    pub repo: Repo,
    /// Its name there.
    pub file: String,
    /// Its bytes, when known without asking.
    pub bytes: Option<u64>,
    /// Whether it is on this machine.
    pub cached: bool,
}

/// What one part needs of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Need {
    /// The part.
    pub part: Part,
    /// The bytes of all its files, when known without asking.
    pub bytes: Option<u64>,
    /// Its files. For a model that was never listed these are the usual ones.
    pub files: Vec<FileNeed>,
    /// Shards of a model that hold nothing of what is wanted.
    pub left: Vec<FileNeed>,
}

/// What a choice needs of the hub. Parts that are local directories or embedded need nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullPlan {
    /// One entry for each part that comes from the hub.
    pub needs: Vec<Need>,
    /// After a pull: files that were damaged in the cache and have been fetched again.
    pub mended: Vec<RepoFile>,
    /// After a pull: how many files of the cache were hashed and found sound.
    pub checked: usize,
}

impl Need {
    /// Whether every file is on this machine.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.files.iter().all(|file| file.cached)
    }

    /// The bytes of its files that are on this machine.
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.files.iter().filter(|file| file.cached).filter_map(|file| file.bytes).sum()
    }

    /// The bytes of all its files, when known without asking: measured where all are here, else as the suite says.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        let measured: Option<u64> = self.files.iter().map(|file| file.bytes).sum();
        measured.or_else(|| self.bytes.map(|bytes| bytes.max(self.cached_bytes())))
    }
}

impl PullPlan {
    /// Whether every file is on this machine.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.needs.iter().all(Need::ready)
    }

    /// The bytes that are on this machine.
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.needs.iter().map(Need::cached_bytes).sum()
    }

    /// Shards of the model that are not wanted and not on this machine.
    pub fn left_out(&self) -> impl Iterator<Item = &FileNeed> {
        self.needs.iter().flat_map(|need| &need.left).filter(|file| !file.cached)
    }

    /// The bytes of everything, when known without asking.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        self.needs.iter().map(Need::total_bytes).sum()
    }
}

impl Choice {
    /// Everything of a suite.
    #[must_use]
    pub const fn all() -> Self {
        Self { saes: Vec::new(), metas: Vec::new(), all: true }
    }

    const fn is_default(&self) -> bool {
        !self.all && self.saes.is_empty() && self.metas.is_empty()
    }
}

impl Suite {
    /// The parts that a choice means: always the model; without a choice the default SAEs and every meta-SAE.
    ///
    /// # Errors
    /// [`Error::UnknownPart`] when the suite has no such SAE or meta-SAE.
    pub fn parts_of(&self, choice: &Choice) -> Result<Vec<Part>, Error> {
        for id in &choice.saes {
            self.sae(id)?;
        }
        for id in &choice.metas {
            self.meta(id)?;
        }
        let default = choice.is_default();
        let saes = self.saes.iter().filter(|sae| choice.all || choice.saes.contains(&sae.id) || default && sae.default);
        let metas = self.metas.iter().filter(|meta| choice.all || default || choice.metas.contains(&meta.id));
        let saes = saes.map(|sae| Part::Sae(sae.id.clone()));
        Ok(std::iter::once(Part::Model).chain(saes).chain(metas.map(|meta| Part::Meta(meta.id.clone()))).collect())
    }

    /// What a choice needs of the hub and what of it is here, without asking the network.
    ///
    /// # Errors
    /// [`Error::UnknownPart`], [`Error::Unsupported`] for a format whose files are not known, [`Error::Index`] when
    /// the model's list of shards is here and cannot be used.
    pub fn plan(&self, choice: &Choice, locator: &dyn Locator) -> Result<PullPlan, Error> {
        self.plan_with(choice, &Picked::every, locator)
    }

    /// The same where only these tensors of the model are wanted.
    ///
    /// # Errors
    /// As [`Suite::plan`].
    pub fn plan_with(&self, choice: &Choice, pick: Pick<'_>, locator: &dyn Locator) -> Result<PullPlan, Error> {
        let mut plan = PullPlan::default();
        for part in self.parts_of(choice)? {
            plan.needs.extend(self.whole_need(&part, pick, locator)?);
        }
        Ok(plan)
    }

    /// What one part needs of the hub; nothing when it is not from there.
    pub(super) fn need(&self, part: &Part, pick: Pick<'_>, locator: &dyn Locator) -> Result<Option<Need>, Error> {
        self.need_of(part, &self.source_of(part, locator)?, pick, locator)
    }

    /// The same, at the newest older commit that is whole on this machine where the newest is not.
    fn whole_need(&self, part: &Part, pick: Pick<'_>, locator: &dyn Locator) -> Result<Option<Need>, Error> {
        let source = self.source_of(part, locator)?;
        let now = self.need_of(part, &source, pick, locator)?;
        let (Some(need), Source::Hub(repo)) = (&now, &source) else { return Ok(now) };
        if need.ready() {
            return Ok(now);
        }
        let earlier = locator
            .earlier(repo)
            .into_iter()
            .find_map(|repo| self.need_of(part, &Source::Hub(repo), pick, locator).ok().flatten().filter(Need::ready));
        Ok(earlier.or(now))
    }

    /// Where a part comes from.
    fn source_of(&self, part: &Part, locator: &dyn Locator) -> Result<Source, Error> {
        Ok(match part {
            Part::Model => self.model_source(locator),
            Part::Sae(id) => self.sae(id)?.source.clone(),
            Part::Meta(id) => self.meta(id)?.source.clone(),
        })
    }

    /// What one part needs of its source.
    fn need_of(
        &self,
        part: &Part,
        source: &Source,
        pick: Pick<'_>,
        locator: &dyn Locator,
    ) -> Result<Option<Need>, Error> {
        let bytes = match part {
            Part::Model => self.model.bytes,
            Part::Sae(id) => self.sae(id)?.bytes,
            Part::Meta(id) => self.meta(id)?.bytes,
        };
        let Source::Hub(repo) = source else { return Ok(None) };
        let needed = |file: String| -> Result<FileNeed, Error> {
            let blob = open(source, &file, locator)?;
            let bytes = blob.as_ref().and_then(|blob| blob.size().ok());
            Ok(FileNeed { repo: repo.clone(), file, bytes, cached: blob.is_some() })
        };
        let Shards { wanted, left } = self.names(part, source, pick, locator)?;
        let files = wanted.into_iter().map(needed).collect::<Result<_, _>>()?;
        let left = left.into_iter().map(needed).collect::<Result<_, _>>()?;
        Ok(Some(Need { part: part.clone(), bytes, files, left }))
    }

    /// The names of a part's files in its source.
    fn names(&self, part: &Part, source: &Source, pick: Pick<'_>, locator: &dyn Locator) -> Result<Shards, Error> {
        let (format, folder, weights) = match part {
            Part::Model => {
                let here = |file: &str| matches!(open(source, file, locator), Ok(Some(_)));
                let names = model_names(here);
                let index = names.contains(&INDEX).then(|| open(source, INDEX, locator)).transpose()?.flatten();
                let config = open(source, CONFIG, locator)?;
                let shards = index.map(|index| Shards::of(&index, config.as_ref(), pick)).transpose()?;
                let Shards { wanted, left } = shards.unwrap_or_default();
                return Ok(Shards { wanted: names.into_iter().map(ToOwned::to_owned).chain(wanted).collect(), left });
            }
            Part::Sae(id) => self.sae(id).map(|sae| (sae.format, sae.folder.as_deref(), sae.file.as_deref()))?,
            Part::Meta(id) => self.meta(id).map(|meta| (meta.format, meta.folder.as_deref(), None))?,
        };
        sae_names(part, format, folder, weights).map(|wanted| Shards { wanted, left: Vec::new() })
    }
}

/// The names of the files that an SAE cannot do without.
fn sae_names(part: &Part, format: Format, folder: Option<&str>, file: Option<&str>) -> Result<Vec<String>, Error> {
    let Some(names) = format.files(file) else { return Err(Error::Unsupported { part: part.clone(), format }) };
    Ok(names.config.into_iter().chain([names.weights]).map(|file| within(folder, &file)).collect())
}
