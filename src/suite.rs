//! Which model, which SAEs, and where they live: suite files, the catalogue, the embedded demo.
//! Not here: tensors, and how a file is fetched.

mod canonical;
mod catalogue;
mod embedded;
mod files;
mod parse;
mod plan;
mod pull;
mod release;

use std::fmt;
use std::path::PathBuf;

pub use catalogue::{CatalogueEntry, catalogue, find};
pub use files::{ModelParts, Pick, Picked, TokenizerParts, TokenizerSaid};
pub use parse::{Base, parse};
pub use plan::{Choice, FileNeed, Need, Part, PullPlan};

use crate::blob::Instead;
use crate::format::Format;
use crate::hub::Repo;
use crate::report::{Kind, Report};
use crate::site::Site;

/// The id of the suite that is part of the program.
pub const DEMO: &str = "demo";

/// A model, a site, and the SAEs (and meta-SAEs) that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// What a person calls it by.
    pub id: String,
    /// What finds it again: its id, or the path that it was read by.
    pub name: String,
    /// What it is, on one line.
    pub title: String,
    /// θ: cosine below which a latent of a larger SAE is novel (methods §3).
    pub threshold: f32,
    /// A prompt to start with.
    pub prompt: Option<String>,
    /// A file of text to measure on; documents are separated by `<|endoftext|>`.
    pub text: Option<Source>,
    /// The folder of an index of its SAEs that it comes with.
    pub index: Option<Source>,
    /// The model.
    pub model: ModelEntry,
    /// Where activations are taken.
    pub site: Site,
    /// Where the activation is that SAEs reconstruct: the site itself. (A transcoder's would be another.)
    pub target: Site,
    /// Whether the mean over d_model is subtracted from activations before SAEs see them.
    pub center: bool,
    /// Whether what the values' bias adds to attention heads' z is taken out before SAEs see it.
    pub fold_value_bias: bool,
    /// The SAEs, in the file's order.
    pub saes: Vec<SaeEntry>,
    /// The meta-SAEs, in the file's order.
    pub metas: Vec<MetaEntry>,
}

/// The model of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEntry {
    /// Where its files are.
    pub source: Source,
    /// Whether prompts begin with a beginning-of-sequence token.
    pub prepend_bos: bool,
    /// Whose word counts where `transformers` and the tokenizer's own files spell texts differently.
    pub tokenizer: TokenizerWord,
    /// Its licence, such as `MIT`.
    pub licence: Option<String>,
    /// Whether the licence must be accepted at the hub before anything can be downloaded.
    pub gated: bool,
    /// Bytes of the files that are needed, when known without asking.
    pub bytes: Option<u64>,
    /// Repositories that hold the same files and ask for no licence to be accepted.
    pub mirrors: Vec<String>,
    /// What of this entry nobody has checked against the files.
    pub unverified: Vec<String>,
}

/// Whose word counts where `transformers` and a tokenizer's own files spell texts differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenizerWord {
    /// That of `transformers`, which SAEs were trained with.
    #[default]
    Transformers,
    /// The files'.
    File,
}

impl TokenizerWord {
    /// Each by its name in suite files and flags.
    pub const NAMES: [(&'static str, Self); 2] = [("transformers", Self::Transformers), ("file", Self::File)];
}

/// An SAE of a suite.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SaeEntry {
    /// What a person calls it by, within the suite.
    pub id: String,
    /// How its files are to be read.
    pub format: Format,
    /// Where its files are.
    pub source: Source,
    /// The folder within the source; the source itself when `None`.
    pub folder: Option<String>,
    /// The file of its tensors, where the format's usual name is not it, or there is none.
    pub file: Option<String>,
    /// What activations are multiplied by before they are encoded, and reconstructions divided by.
    pub norm_scaling_factor: Option<f32>,
    /// What is done to each activation by itself before it is encoded, and undone after it is decoded.
    pub normalize_activations: Option<NormalizeActivations>,
    /// Whether it is loaded at the start.
    pub default: bool,
    /// Its source on Neuronpedia, `model/source`.
    pub neuronpedia: Option<String>,
    /// What its authors measured.
    pub expect: Expect,
    /// The licence of its files, such as `CC-BY-4.0`.
    pub licence: Option<String>,
    /// What of this entry nobody has checked against the files: for the doctor, and for a person.
    pub unverified: Vec<String>,
    /// Bytes of the files that are needed, when known without asking.
    pub bytes: Option<u64>,
}

/// SAELens' `normalize_activations`, where a suite says it in place of the SAE's own files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormalizeActivations {
    /// Activations are taken as they are.
    None,
    /// Each is scaled to length √d_in.
    ConstantNormRescale,
    /// The mean is taken from each, and it is divided by its standard deviation.
    LayerNorm,
}

impl NormalizeActivations {
    /// By their names in suite files, which are SAELens'.
    pub const NAMES: [(&'static str, Self); 3] =
        [("none", Self::None), ("constant_norm_rescale", Self::ConstantNormRescale), ("layer_norm", Self::LayerNorm)];
}

/// Figures that an SAE's authors published.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expect {
    /// Mean number of latents that fire on a token.
    pub l0: Option<f64>,
    /// Share of the activations' variance that the reconstruction explains.
    pub explained_variance: Option<f64>,
    /// Mean squared error of an element.
    pub mse: Option<f64>,
    /// (CE with zeros − CE with the reconstruction) / (CE with zeros − CE).
    pub loss_recovered: Option<f64>,
}

/// A meta-SAE of a suite: an SAE on the decoder rows of another.
#[derive(Clone, Debug, PartialEq)]
pub struct MetaEntry {
    /// What a person calls it by, within the suite.
    pub id: String,
    /// The id of the SAE whose decoder rows it decomposes.
    pub sae: String,
    /// How its files are to be read.
    pub format: Format,
    /// Where its files are.
    pub source: Source,
    /// The folder within the source; the source itself when `None`.
    pub folder: Option<String>,
    /// τ: activation above which a meta-latent is active, where the files do not say.
    pub threshold: Option<f32>,
    /// Bytes of the files that are needed, when known without asking.
    pub bytes: Option<u64>,
}

/// Where a directory of files is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A repository of the hub.
    Hub(Repo),
    /// A directory (or file) on this machine.
    Path(PathBuf),
    /// A directory (or file) of the demo that is part of the program.
    Embedded(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub(repo) => write!(f, "{repo}"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Embedded(folder) => write!(f, "embedded {folder}"),
        }
    }
}

/// Why a suite, or a file of it, cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The suite file is wrong.
    #[error(transparent)]
    File(#[from] crate::toml_file::Error),
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The suite file is larger than any person writes.
    #[error("`{path}` is {bytes} bytes long: that is not a suite file")]
    TooLarge {
        /// The file.
        path: String,
        /// Its length.
        bytes: u64,
    },
    /// No suite of that id.
    #[error("there is no suite `{}`", id.escape_debug())]
    Unknown {
        /// What was asked for.
        id: String,
        /// The known suite it most likely means.
        nearest: Option<String>,
    },
    /// No SAE or meta-SAE of that id.
    #[error("suite `{suite}` has no {what} `{}`", id.escape_debug())]
    UnknownPart {
        /// The suite.
        suite: String,
        /// SAE or meta-SAE.
        what: &'static str,
        /// What was asked for.
        id: String,
        /// The known one it most likely means.
        nearest: Option<String>,
    },
    /// Files that must be downloaded first.
    #[error("{part} of suite `{suite}` is not on this machine")]
    Missing {
        /// The suite.
        suite: String,
        /// The model, or which SAE.
        part: Part,
        /// The files that are missing, with their repository.
        files: Vec<String>,
    },
    /// A directory that lacks a file, where nothing can be downloaded.
    #[error("`{place}` has no {file}")]
    Absent {
        /// The directory.
        place: String,
        /// The file, or the files of which one is needed.
        file: String,
    },
    /// The index of a model's shards cannot be used.
    #[error("`{file}` cannot be used: {why}")]
    Index {
        /// The index.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A format that this program cannot read yet.
    #[error("{part} is in the format `{}`, which this version cannot read", format.name())]
    Unsupported {
        /// Which SAE.
        part: Part,
        /// Its format.
        format: Format,
    },
    /// A name that would leave its folder.
    #[error(transparent)]
    Name(#[from] crate::hub::name::Error),
    /// A model that is not open to everybody, of which there are open copies.
    #[error("{source}")]
    Closed {
        /// What the hub says.
        source: Box<crate::hub::Error>,
        /// Repositories with the same files.
        mirrors: Vec<String>,
    },
    /// What the hub, the network or the disk have against a file.
    #[error(transparent)]
    Hub(#[from] crate::hub::Error),
}

impl From<&Error> for Report {
    fn from(error: &Error) -> Self {
        let did_you_mean = |nearest: &Option<String>, otherwise: String| match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None => otherwise,
        };
        match error {
            Error::Hub(error) => Self::from(error),
            Error::Closed { source, mirrors } => {
                let mut report = Self::from(&**source);
                let copies = mirrors.iter().map(|mirror| format!("`{mirror}`")).collect::<Vec<_>>().join(" and ");
                report
                    .why
                    .push(format!("open copies are at {copies}; one that is downloaded is used, or name it as `repo`"));
                report
            }
            Error::File(file) => file.report(format!("cannot use the suite file `{}`", file.file)),
            Error::Unknown { nearest, .. } => Self::new(error.to_string())
                .hint(did_you_mean(
                    nearest,
                    "`saescope suites` lists the known ones; a file is named by its path".into(),
                ))
                .kind(Kind::Usage),
            Error::UnknownPart { nearest, .. } => Self::new(error.to_string())
                .hint(did_you_mean(nearest, "`saescope suites` lists what each suite has".into()))
                .kind(Kind::Usage),
            Error::Missing { suite, files, part } => {
                let mut report = Self::new(error.to_string()).kind(Kind::Missing).hint(format!(
                    "`saescope pull {}{}` downloads it",
                    argument(suite),
                    part.option().map(|option| format!(" {option}")).unwrap_or_default()
                ));
                report.why = files.iter().map(|file| format!("missing: {file}")).collect();
                report
            }
            Error::Read { source, .. } => {
                let report = Self::new(error.to_string()).because(source.to_string());
                match Instead::behind(source) {
                    Some(instead) => report.hint(instead.hint()),
                    None => report,
                }
            }
            Error::TooLarge { .. }
            | Error::Absent { .. }
            | Error::Index { .. }
            | Error::Unsupported { .. }
            | Error::Name(_) => Self::new(error.to_string()),
        }
    }
}

/// A suite's name as a person types it in a shell.
#[must_use]
pub fn argument(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/~+,:@%=".contains(c);
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(plain) {
        return name.to_owned();
    }
    let path = if name.starts_with('-') { format!("./{name}") } else { name.to_owned() };
    format!("'{}'", path.replace('\'', r"'\''"))
}

impl From<Error> for Report {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl Suite {
    /// The ids of the SAEs that are loaded at the start.
    #[must_use]
    pub fn default_saes(&self) -> Vec<String> {
        self.saes.iter().filter(|sae| sae.default).map(|sae| sae.id.clone()).collect()
    }

    /// The SAE of that id.
    ///
    /// # Errors
    /// [`Error::UnknownPart`] with the nearest id.
    pub fn sae(&self, id: &str) -> Result<&SaeEntry, Error> {
        self.saes.iter().find(|sae| sae.id == id).ok_or_else(|| Error::UnknownPart {
            suite: self.id.clone(),
            what: "SAE",
            id: id.to_owned(),
            nearest: nearest(id, self.saes.iter().map(|sae| sae.id.as_str())),
        })
    }

    /// The meta-SAE of that id.
    ///
    /// # Errors
    /// [`Error::UnknownPart`] with the nearest id.
    pub fn meta(&self, id: &str) -> Result<&MetaEntry, Error> {
        self.metas.iter().find(|meta| meta.id == id).ok_or_else(|| Error::UnknownPart {
            suite: self.id.clone(),
            what: "meta-SAE",
            id: id.to_owned(),
            nearest: nearest(id, self.metas.iter().map(|meta| meta.id.as_str())),
        })
    }
}

fn nearest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    crate::toml_file::nearest(given, known).map(ToOwned::to_owned)
}
