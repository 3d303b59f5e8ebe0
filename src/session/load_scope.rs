//! How much of a suite's model a session opens.
//! Not here: opening it, and whether it fits into memory.

use serde::Serialize;

use crate::blob::Blob;
use crate::model::{self, ModelScope};
use crate::report::Report;
use crate::site::{Site, SiteKind};
use crate::suite::{Picked, Suite};

/// How much of a suite's model is opened; each has what the ones before it have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LoadScope {
    /// SAEs and the words of the model, as far as they are there: neighbours, classes, meta-SAEs, promoted tokens.
    WeightsOnly,
    /// The model up to the suite's site: which latents fire.
    Site,
    /// All of the model: what it says next, too.
    #[default]
    Whole,
}

impl LoadScope {
    /// The part of the model that it takes.
    pub(super) const fn extent(self, site: Site) -> ModelScope {
        match self {
            Self::WeightsOnly => ModelScope::Unembedding,
            Self::Site => ModelScope::Blocks(site.blocks()),
            Self::Whole => ModelScope::Whole,
        }
    }

    /// Which tensors that takes; all of a model that cannot be understood, since what is wrong with it is reported when it
    /// is loaded, and none where it is not needed.
    pub(super) fn pick(self, site: Site) -> impl Fn(&Blob, &[&str]) -> Picked {
        move |config, names| match model::wanted(config, self.extent(site), names) {
            Ok(model::Wanted { required, welcome }) => Picked { required, welcome },
            Err(_) if self == Self::WeightsOnly => Picked::default(),
            Err(_) => Picked::every(config, names),
        }
    }

    /// How much of it a question needs that runs no prompt: words; on attention's z the block too, whose heads' outputs
    /// give latents words, and whose values' bias moves encoders.
    #[must_use]
    pub fn without_prompt(self, suite: &Suite) -> Self {
        let heads = suite.fold_value_bias || suite.site.kind == SiteKind::AttnZ;
        if heads { self.min(Self::Site) } else { Self::WeightsOnly }
    }

    /// What a person reads where it is not all.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::WeightsOnly => Some("weights only"),
            Self::Site => Some("no predictions"),
            Self::Whole => None,
        }
    }

    /// The arguments that choose it.
    #[must_use]
    pub const fn flag(self) -> Option<&'static str> {
        match self {
            Self::WeightsOnly => Some("--weights-only"),
            Self::Site => Some("--no-predictions"),
            Self::Whole => None,
        }
    }
}

/// What is to be opened.
pub struct OpenRequest<'a> {
    /// The suite.
    pub suite: Suite,
    /// The ids of its SAEs that are to be loaded.
    pub saes: &'a [String],
    /// How much of its model.
    pub reach: LoadScope,
    /// Whether it is an error when the words of the model are not there.
    pub words: bool,
}

/// That something needs a model, and none is open.
pub(super) fn needs_model(what: impl Into<String>) -> Report {
    Report::new(what).because("weights only: the model is not loaded").hint(WITH_MODEL)
}

/// What to do where the model is not loaded.
pub(super) const WITH_MODEL: &str = "open the suite with its model: M in the explorer, no --weights-only elsewhere";
/// What to do where the rest of the model is not open.
pub(super) const WITH_PREDICTIONS: &str = "open the suite without --no-predictions";
