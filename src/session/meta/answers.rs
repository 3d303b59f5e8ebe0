//! Answers about meta-SAEs that are not analysis: which there are, and how one is trained.
//! Not here: what a latent is made of (`analysis::meta`).

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::analysis::{MetaInfo, MetaName};
use crate::report::Report;

/// A meta-SAE that is there, or was to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaState {
    /// Its id.
    pub meta: String,
    /// The SAE whose decoder rows it takes apart.
    pub sae: String,
    /// Meta-latents; none where it cannot be used.
    pub width: Option<usize>,
    /// Whether this program trained it.
    pub trained: bool,
    /// What is known of it, once its table was made ([`MetaQuery`](super::MetaQuery)).
    pub info: Option<Arc<MetaInfo>>,
    /// Why it cannot be used.
    pub failure: Option<Report>,
}

/// Names of meta-latents of one meta-SAE.
#[derive(Clone, Debug, PartialEq)]
pub struct MetaNames {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id.
    pub meta: String,
    /// The names.
    pub names: Vec<MetaName>,
}

/// How a meta-SAE is to be trained (methods §5).
#[derive(Clone, Debug, PartialEq)]
pub struct MetaRecipe {
    /// The SAE's id.
    pub sae: String,
    /// Meta-latents; 3/64 of the SAE's latents otherwise.
    pub width: Option<usize>,
    /// Meta-latents active in a row, in the mean.
    pub k: usize,
    /// Steps of Adam.
    pub steps: usize,
    /// Rows of a step; more than there are means all.
    pub batch: usize,
    /// Learning rate.
    pub rate: f32,
    /// Seed of the first weights and of the order of the rows.
    pub seed: u64,
    /// The folder it is written to; the program's own otherwise.
    pub out: Option<PathBuf>,
}

impl MetaRecipe {
    /// The paper's settings.
    #[must_use]
    pub fn new(sae: impl Into<String>) -> Self {
        let config = crate::sae::meta::recipe(0, crate::sae::meta::MEAN_ACTIVE);
        let (k, steps, batch, rate, seed) = (config.k, config.steps, config.batch, config.rate, config.seed);
        Self { sae: sae.into(), width: None, k, steps, batch, rate, seed, out: None }
    }
}

/// A meta-SAE that was trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaTrained {
    /// What is known of it.
    #[serde(flatten)]
    pub info: MetaInfo,
    /// How long training took, this time.
    pub seconds: f64,
    /// Where it is kept.
    pub folder: PathBuf,
}
