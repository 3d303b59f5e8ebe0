//! Which files a model and an SAE are made of, and their bytes wherever they are on this machine.
//! Not here: what is in them, and fetching those that are missing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, MetaEntry, Part, SaeEntry, Source, Suite, embedded};
use crate::blob::Blob;
use crate::format::{FileNames, Files, Format};
use crate::hub::{Locator, Repo, name};
use crate::json_file::{self, JsonFile};

/// What kind of model it is; every model has it.
pub(super) const CONFIG: &str = "config.json";
/// One file that holds a whole model.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// The list of the files that hold a model in shards.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// Which tokens are special; not every model has it.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The same in older repositories.
const SPECIALS: &str = "special_tokens_map.json";
/// Tokens that were added to a vocabulary, in older repositories.
const ADDED: &str = "added_tokens.json";
/// Most bytes of such a list.
const MAX_INDEX: u64 = 64 << 20;

/// The files of a model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelParts {
    /// `config.json`.
    pub config: Blob,
    /// The safetensors files, one or more.
    pub weights: Vec<Blob>,
    /// The tokenizer.
    pub tokenizer: TokenizerParts,
    /// What stands beside the tokenizer's own files.
    pub said: TokenizerSaid,
}

/// What stands beside a tokenizer's own files, as far as it is there.
#[derive(Clone, Debug, Default)]
pub struct TokenizerSaid {
    /// `tokenizer_config.json`.
    pub config: Option<Blob>,
    /// `special_tokens_map.json`.
    pub specials: Option<Blob>,
    /// `added_tokens.json`.
    pub added: Option<Blob>,
}

impl TokenizerSaid {
    /// Those that are there.
    pub fn all(&self) -> impl Iterator<Item = &Blob> {
        self.config.iter().chain(&self.specials).chain(&self.added)
    }
}

/// The files of a tokenizer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenizerParts {
    /// `tokenizer.json`.
    Json(Blob),
    /// `vocab.json` and `merges.txt`.
    Bpe {
        /// `vocab.json`.
        vocab: Blob,
        /// `merges.txt`.
        merges: Blob,
    },
}

/// The file names a model needs, given which names exist. Where of several alternatives none exists, the first is
/// named, so that its absence can be reported.
pub(super) fn model_names(exists: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut names = vec![CONFIG];
    names.push(if !exists(WEIGHTS) && exists(INDEX) { INDEX } else { WEIGHTS });
    if !exists("tokenizer.json") && exists("vocab.json") && exists("merges.txt") {
        names.extend(["vocab.json", "merges.txt"]);
    } else {
        names.push("tokenizer.json");
    }
    names.extend([TOKENIZER_CONFIG, SPECIALS, ADDED].into_iter().filter(|name| exists(name)));
    names
}

/// Says which tensors of a model are wanted, given its `config.json` and the names of all.
pub type Pick<'a> = &'a dyn Fn(&Blob, &[&str]) -> Picked;

/// The tensors of a model that are wanted.
#[derive(Clone, Debug, Default)]
pub struct Picked {
    /// Those that must be there.
    pub required: Vec<String>,
    /// Those that are taken where they are there.
    pub welcome: Vec<String>,
}

impl Picked {
    /// All tensors of a model, for [`Pick`].
    #[must_use]
    pub fn every(_: &Blob, names: &[&str]) -> Self {
        Self { required: names.iter().map(|name| (*name).to_owned()).collect(), welcome: Vec::new() }
    }
}

/// The shards that a model's index names, each once.
#[derive(Debug, Default)]
pub(super) struct Shards {
    /// Those that hold something that is wanted.
    pub wanted: Vec<String>,
    /// The others.
    pub left: Vec<String>,
}

impl Shards {
    /// All are wanted where there is no config to choose by.
    pub fn of(index: &Blob, config: Option<&Blob>, pick: Pick<'_>) -> Result<Self, Error> {
        let shard_of = shard_of_each(index)?;
        let all: BTreeSet<&String> = shard_of.values().collect();
        let wanted: BTreeSet<&String> = config.map_or_else(
            || all.clone(),
            |config| {
                let names: Vec<&str> = shard_of.keys().map(String::as_str).collect();
                let Picked { required, welcome } = pick(config, &names);
                required.iter().chain(&welcome).filter_map(|name| shard_of.get(name)).collect()
            },
        );
        let left = all.difference(&wanted).map(|shard| (*shard).clone()).collect();
        Ok(Self { left, wanted: wanted.into_iter().cloned().collect() })
    }
}

/// The shard of each tensor that a model's index names.
fn shard_of_each(index: &Blob) -> Result<BTreeMap<String, String>, Error> {
    let wrong = |why: String| Error::Index { file: index.name().to_owned(), why };
    let json = JsonFile::open_up_to(index, MAX_INDEX).map_err(|error| match error {
        json_file::Error::Read { file, source } => Error::Read { path: file, source },
        error => wrong(error.why()),
    })?;
    let map = json.section("weight_map").map_err(|error| wrong(error.why()))?;
    let map = map.ok_or_else(|| wrong("it has no `weight_map`".to_owned()))?;
    let mut shards = BTreeMap::new();
    for (tensor, file) in map.keys() {
        let file = file
            .as_str()
            .ok_or_else(|| wrong(format!("the shard of `{}` is not a file name", tensor.escape_debug())))?;
        name::file(file).map_err(|error| wrong(error.to_string()))?;
        shards.insert(tensor.clone(), file.to_owned());
    }
    if shards.is_empty() {
        return Err(wrong("it names no shard".to_owned()));
    }
    Ok(shards)
}

/// The path of a file below an optional folder.
pub(super) fn within(folder: Option<&str>, file: &str) -> String {
    folder.map_or_else(|| file.to_owned(), |folder| format!("{folder}/{file}"))
}

/// A file of a source, if it is on this machine.
pub(super) fn open(source: &Source, file: &str, locator: &dyn Locator) -> Result<Option<Blob>, Error> {
    name::file(file)?;
    Ok(match source {
        Source::Hub(repo) => locator.find(repo, file).map(|path| Blob::path(path).named(format!("{repo}: {file}"))),
        Source::Path(directory) => Some(directory.join(file)).filter(|path| path.is_file()).map(Blob::path),
        Source::Embedded(folder) => {
            let path = format!("{folder}/{file}");
            embedded::file(&path).map(|bytes| Blob::embedded(format!("demo: {path}"), bytes))
        }
    })
}

/// What `read` makes of a source; where files of a repository are missing, of the newest older commit in the cache that
/// has them all. Files of two commits are never mixed.
pub(super) fn whole<T>(
    source: &Source,
    locator: &dyn Locator,
    read: impl Fn(&Source) -> Result<T, Error>,
) -> Result<T, Error> {
    let now = read(source);
    match (&now, source) {
        (Err(Error::Missing { .. }), Source::Hub(repo)) => {
            let earlier = locator.earlier(repo).into_iter().find_map(|repo| {
                let found = read(&Source::Hub(repo.clone())).ok()?;
                tracing::warn!(%repo, "the newest commit in the cache is not whole: an older one serves");
                Some(found)
            });
            earlier.map_or(now, Ok)
        }
        _ => now,
    }
}

/// Collects files of one part, and names all that are missing at once.
struct Gather<'a> {
    suite: &'a str,
    part: Part,
    source: &'a Source,
    locator: &'a dyn Locator,
    missing: Vec<String>,
}

impl Gather<'_> {
    fn has(&self, file: &str) -> bool {
        matches!(open(self.source, file, self.locator), Ok(Some(_)))
    }

    fn take(&mut self, file: &str) -> Result<Option<Blob>, Error> {
        let blob = open(self.source, file, self.locator)?;
        if blob.is_none() {
            self.missing.push(file.to_owned());
        }
        Ok(blob)
    }

    /// The shards of the tensors that are wanted; none where one that must be there is not.
    fn shards(&mut self, shard_of: &BTreeMap<String, String>, picked: Picked) -> Result<Option<Vec<Blob>>, Error> {
        let files =
            |names: Vec<String>| -> BTreeSet<&String> { names.iter().filter_map(|name| shard_of.get(name)).collect() };
        let (required, welcome) = (files(picked.required), files(picked.welcome));
        let found: Result<Vec<_>, _> = required.iter().map(|shard| self.take(shard)).collect();
        let Some(mut found) = found?.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        for shard in welcome.difference(&required) {
            found.extend(open(self.source, shard, self.locator)?);
        }
        Ok(Some(found))
    }

    fn all<T>(&self, found: Option<T>) -> Result<T, Error> {
        found.ok_or_else(|| match self.source {
            Source::Hub(repo) => Error::Missing {
                suite: self.suite.to_owned(),
                part: self.part.clone(),
                files: self.missing.iter().map(|file| format!("{repo}: {file}")).collect(),
            },
            Source::Path(_) | Source::Embedded(_) => {
                Error::Absent { place: self.source.to_string(), file: self.missing.join(", ") }
            }
        })
    }
}

impl Suite {
    /// Where the model's files are: its repository, or the first mirror that is on this machine where that is not.
    pub(super) fn model_source(&self, locator: &dyn Locator) -> Source {
        let Source::Hub(repo) = &self.model.source else { return self.model.source.clone() };
        let has_config = |source: &Source| matches!(open(source, CONFIG, locator), Ok(Some(_)));
        let here = |source: &Source| {
            let Source::Hub(repo) = source else { return false };
            has_config(source) || locator.earlier(repo).into_iter().any(|repo| has_config(&Source::Hub(repo)))
        };
        let mirror = |id: &String| Source::Hub(Repo { id: id.clone(), revision: repo.revision.clone() });
        if here(&self.model.source) {
            return self.model.source.clone();
        }
        self.model.mirrors.iter().map(mirror).find(here).unwrap_or_else(|| self.model.source.clone())
    }

    /// The model's files on this machine.
    ///
    /// # Errors
    /// [`Error::Missing`] when files must be downloaded first, [`Error::Absent`] when a local directory lacks them,
    /// [`Error::Index`] when the list of shards cannot be used.
    pub fn model_files(&self, locator: &dyn Locator) -> Result<ModelParts, Error> {
        self.model_files_with(locator, &Picked::every)
    }

    /// The model's files on this machine that hold the tensors which are wanted: where the model is in shards, those
    /// that hold none of them need not be there and are not given.
    ///
    /// # Errors
    /// As [`Suite::model_files`].
    pub fn model_files_with(&self, locator: &dyn Locator, pick: Pick<'_>) -> Result<ModelParts, Error> {
        whole(&self.model_source(locator), locator, |source| self.model_parts(source, locator, pick))
    }

    /// The model's files in a source.
    fn model_parts(&self, source: &Source, locator: &dyn Locator, pick: Pick<'_>) -> Result<ModelParts, Error> {
        let mut gather = Gather { suite: &self.name, part: Part::Model, source, locator, missing: Vec::new() };
        let names = model_names(|file| gather.has(file));
        let config = gather.take(CONFIG)?;
        let weights = if names.contains(&INDEX) {
            let index = open(source, INDEX, locator)?;
            let shards = index.as_ref().map(shard_of_each).transpose()?.unwrap_or_default();
            gather.shards(
                &shards,
                config.as_ref().map_or_else(Picked::default, |config| {
                    pick(config, &shards.keys().map(String::as_str).collect::<Vec<_>>())
                }),
            )?
        } else {
            gather.take(WEIGHTS)?.map(|weights| vec![weights])
        };
        let tokenizer = if names.contains(&"vocab.json") {
            let (vocab, merges) = (gather.take("vocab.json")?, gather.take("merges.txt")?);
            vocab.zip(merges).map(|(vocab, merges)| TokenizerParts::Bpe { vocab, merges })
        } else {
            gather.take("tokenizer.json")?.map(TokenizerParts::Json)
        };
        let beside = |name: &str| open(source, name, locator);
        let said =
            TokenizerSaid { config: beside(TOKENIZER_CONFIG)?, specials: beside(SPECIALS)?, added: beside(ADDED)? };
        let parts = config.zip(weights).zip(tokenizer);
        gather.all(parts).map(|((config, weights), tokenizer)| ModelParts { config, weights, tokenizer, said })
    }

    /// An SAE's files on this machine.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Absent`], [`Error::Unsupported`].
    pub fn sae_files(&self, sae: &SaeEntry, locator: &dyn Locator) -> Result<Files, Error> {
        let place = Location { source: &sae.source, folder: sae.folder.as_deref(), file: sae.file.as_deref() };
        self.parts(Part::Sae(sae.id.clone()), sae.format, place, locator)
    }

    /// The suite's own text to measure on, when it has one.
    ///
    /// # Errors
    /// [`Error::Absent`] when there is no such file.
    pub fn text_file(&self) -> Result<Option<Blob>, Error> {
        let absent = |place: &str| Error::Absent { place: place.to_owned(), file: "measuring text".to_owned() };
        match &self.text {
            None | Some(Source::Hub(_)) => Ok(None),
            Some(Source::Path(path)) if path.is_file() => Ok(Some(Blob::path(path.clone()))),
            Some(Source::Path(path)) => Err(absent(&path.display().to_string())),
            Some(Source::Embedded(path)) => {
                let bytes = embedded::file(path).ok_or_else(|| absent(path))?;
                Ok(Some(Blob::embedded(format!("demo: {path}"), bytes)))
            }
        }
    }

    /// A file of the index that the suite comes with; none where it has no index, or no such file is in it.
    pub fn index_file(&self, name: &str) -> Option<Blob> {
        match self.index.as_ref()? {
            Source::Hub(_) => None,
            Source::Path(folder) => Some(folder.join(name)).filter(|path| path.is_file()).map(Blob::path),
            Source::Embedded(folder) => {
                let path = format!("{folder}/{name}");
                embedded::file(&path).map(|bytes| Blob::embedded(format!("demo: {path}"), bytes))
            }
        }
    }

    /// A meta-SAE's files on this machine.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Absent`], [`Error::Unsupported`].
    pub fn meta_files(&self, meta: &MetaEntry, locator: &dyn Locator) -> Result<Files, Error> {
        let place = Location { source: &meta.source, folder: meta.folder.as_deref(), file: None };
        self.parts(Part::Meta(meta.id.clone()), meta.format, place, locator)
    }

    fn parts(&self, part: Part, format: Format, place: Location<'_>, locator: &dyn Locator) -> Result<Files, Error> {
        let Some(names) = format.files(place.file) else { return Err(Error::Unsupported { part, format }) };
        whole(place.source, locator, |source| {
            self.sae_parts(part.clone(), format, &names, Location { source, ..place }, locator)
        })
    }

    /// The files of an SAE in a source.
    fn sae_parts(
        &self,
        part: Part,
        format: Format,
        names: &FileNames,
        place: Location<'_>,
        locator: &dyn Locator,
    ) -> Result<Files, Error> {
        let Location { source, folder, .. } = place;
        let mut gather = Gather { suite: &self.name, part, source, locator, missing: Vec::new() };
        let config = names.config.as_ref().map(|config| gather.take(&within(folder, config))).transpose()?;
        let weights = gather.take(&within(folder, &names.weights))?;
        let optional = |file: Option<&str>| -> Result<Option<Blob>, Error> {
            Ok(file.map(|file| open(source, &within(folder, file), locator)).transpose()?.flatten())
        };
        let (sparsity, extra) = (optional(names.sparsity)?, optional(names.extra)?);
        // A format without a configuration lacks nothing.
        let config = config.map_or(Some(extra), |found| found.map(Some));
        gather.all(config.zip(weights)).map(|(config, weights)| Files { format, config, weights, sparsity })
    }
}

/// Where an SAE's files are.
#[derive(Clone, Copy)]
struct Location<'a> {
    source: &'a Source,
    folder: Option<&'a str>,
    file: Option<&'a str>,
}
