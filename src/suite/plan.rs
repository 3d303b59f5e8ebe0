//! What of a suite is wanted, which files that needs, how large they are and which are here already.
//! Not here: fetching them.

use std::fmt;

use super::files::{INDEX, model_names, open, shards, within};
use super::{Error, Format, Source, Suite};
use crate::hub::{Locator, Repo};

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
pub struct Need {
    /// The part.
    pub part: Part,
    /// The bytes of all its files, when known without asking.
    pub bytes: Option<u64>,
    /// Its files. For a model that was never listed these are the usual ones.
    pub files: Vec<FileNeed>,
}

/// What a choice needs of the hub. Parts that are local directories or embedded need nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One entry for each part that comes from the hub.
    pub needs: Vec<Need>,
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

impl Plan {
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
    pub fn plan(&self, choice: &Choice, locator: &dyn Locator) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        for part in self.parts_of(choice)? {
            plan.needs.extend(self.need(&part, locator)?);
        }
        Ok(plan)
    }

    /// What one part needs of the hub; nothing when it is not from there.
    pub(super) fn need(&self, part: &Part, locator: &dyn Locator) -> Result<Option<Need>, Error> {
        let model = self.model_source(locator);
        let (source, bytes) = match part {
            Part::Model => (&model, self.model.bytes),
            Part::Sae(id) => self.sae(id).map(|sae| (&sae.source, sae.bytes))?,
            Part::Meta(id) => self.meta(id).map(|meta| (&meta.source, meta.bytes))?,
        };
        let Source::Hub(repo) = source else { return Ok(None) };
        let mut files = Vec::new();
        for file in self.names(part, source, locator)? {
            let blob = open(source, &file, locator)?;
            let bytes = blob.as_ref().and_then(|blob| blob.size().ok());
            files.push(FileNeed { repo: repo.clone(), file, bytes, cached: blob.is_some() });
        }
        Ok(Some(Need { part: part.clone(), bytes, files }))
    }

    /// The names of a part's files in its source.
    fn names(&self, part: &Part, source: &Source, locator: &dyn Locator) -> Result<Vec<String>, Error> {
        let (format, folder, weights) = match part {
            Part::Model => {
                let here = |file: &str| matches!(open(source, file, locator), Ok(Some(_)));
                let mut names: Vec<String> = model_names(here).into_iter().map(ToOwned::to_owned).collect();
                if names.iter().any(|name| name == INDEX)
                    && let Some(index) = open(source, INDEX, locator)?
                {
                    names.extend(shards(&index)?);
                }
                return Ok(names);
            }
            Part::Sae(id) => self.sae(id).map(|sae| (sae.format, sae.folder.as_deref(), sae.file.as_deref()))?,
            Part::Meta(id) => self.meta(id).map(|meta| (meta.format, meta.folder.as_deref(), None))?,
        };
        sae_names(part, format, folder, weights)
    }
}

/// The names of the files that an SAE cannot do without.
fn sae_names(part: &Part, format: Format, folder: Option<&str>, file: Option<&str>) -> Result<Vec<String>, Error> {
    let Some(names) = format.names(file) else { return Err(Error::Unsupported { part: part.clone(), format }) };
    Ok(names.config.into_iter().chain([names.weights]).map(|file| within(folder, &file)).collect())
}
