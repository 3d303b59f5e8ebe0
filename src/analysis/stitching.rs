//! What stitching two SAEs says, as plain data: verdicts, workbench, curve, groups (methods §3–4).
//! Not here: the work queue of a pair (`pair_view.rs`), and the computing.
//!
//! `small` and `large` are ids of SAEs; the small one is the narrower.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Change, Class, CurvePoint, Neighbour, Order};

/// One of the two SAEs of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The narrower.
    Small,
    /// The wider.
    Large,
}

/// The text that was measured on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TextInfo {
    /// A file's name, or what the program's own text is called.
    pub name: String,
    /// Tokens that count; beginning-of-sequence tokens in front of a row do not.
    pub tokens: usize,
}

/// How well an SAE, stitched or not, reconstructs some tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// Mean over tokens and dimensions of the squared error.
    pub mse: f64,
    /// 1 − Σ‖x−x̂‖² / Σ‖x−x̄‖²; none when all tokens are equal.
    pub explained_variance: Option<f64>,
    /// Mean number of latents that fire.
    pub l0: f64,
    /// Next-token cross-entropy in nats with the activation replaced; none until it is measured.
    pub ce: Option<f64>,
}

/// What putting one latent in does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Effect {
    /// On how many tokens.
    pub tokens: usize,
    /// On how many of them the latent fires.
    pub fired: u64,
    /// c*: above ½ exactly when putting the latent in lowers the squared error, the decoder bias held. None when the
    /// latent does not fire.
    pub c_star: Option<f64>,
    /// The smaller SAE.
    pub before: Measures,
    /// The smaller SAE with the latent in it, measured.
    pub after: Measures,
}

/// Writes a largest cosine under its name, and under `m`, the name that it had before.
pub(crate) fn max_cosine<S: Serializer>(cosine: &impl Serialize, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(2))?;
    map.serialize_entry("m", cosine)?;
    map.serialize_entry("max_cosine", cosine)?;
    map.end()
}

/// Whether a latent of a larger SAE is new with respect to a smaller one, and what putting it in does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The smaller SAE.
    pub small: String,
    /// The larger SAE.
    pub large: String,
    /// The latent of the larger SAE.
    pub latent: u32,
    /// Its largest cosine with a latent of the smaller SAE.
    #[serde(flatten, serialize_with = "crate::analysis::stitching::max_cosine")]
    pub max_cosine: f32,
    /// The latent of the smaller SAE that has it.
    pub nearest: Neighbour,
    /// θ.
    pub threshold: f32,
    /// By the cosine rule: novel when m < θ. None for a decoder row of zeros, which points nowhere.
    pub class: Option<Class>,
    /// Whether c* says the same (above ½ for a novel latent, at most ½ for a reconstruction), on the text where that
    /// is measured, else on the prompt. None when the latent fires on neither.
    pub agrees: Option<bool>,
    /// On the prompt.
    pub prompt: Effect,
    /// On the measuring text; none until the pair is measured there.
    pub text: Option<Effect>,
    /// Whether latents compete (TopK), so that what is measured was encoded again.
    pub reencoded: bool,
    /// All of it in a sentence or two.
    pub words: String,
}

/// A stitched SAE built by hand, measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkbenchView {
    /// The smaller SAE.
    pub small: String,
    /// The larger SAE.
    pub large: String,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// On the prompt.
    pub prompt: Measures,
    /// On the measuring text; none until the pair is measured there, and where latents compete (see [`BenchLoss`]).
    pub text: Option<Measures>,
    /// The same for the two SAEs it is made of: the smaller, the larger; on the prompt, on the text.
    pub parents: [(Measures, Option<Measures>); 2],
    /// Latents of the larger SAE that are in.
    pub inserted: usize,
    /// Latents of the smaller SAE that are out.
    pub removed: usize,
    /// Tokens that count: of the prompt, of the text (0 until it is measured).
    pub tokens: (usize, usize),
    /// For each position of the prompt the squared error of the smaller SAE, of the stitched one and of the larger;
    /// zeros where the position does not count.
    pub errors: Vec<(f64, f64, f64)>,
    /// Whether latents compete (TopK), so that the prompt was encoded again.
    pub reencoded: bool,
}

/// Cross-entropies of a stitched SAE and of the two it is made of, by splicing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchLoss {
    /// The smaller SAE.
    pub small: String,
    /// The larger SAE.
    pub large: String,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// On the prompt.
    pub prompt: Losses,
    /// On the measuring text.
    pub text: Losses,
    /// Where latents compete: the stitched SAE on the text, encoded again.
    pub reencoded: Option<Measures>,
}

/// Cross-entropies in nats. None where no position that counts has a next token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Losses {
    /// The activation kept.
    pub clean: Option<f64>,
    /// Replaced by the smaller SAE's reconstruction.
    pub small: Option<f64>,
    /// Replaced by the stitched SAE's.
    pub now: Option<f64>,
    /// Replaced by the larger SAE's.
    pub large: Option<f64>,
    /// On how many predictions.
    pub predictions: usize,
}

/// The way from the smaller to the larger SAE.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurveView {
    /// The smaller SAE.
    pub small: String,
    /// The larger SAE.
    pub large: String,
    /// θ.
    pub threshold: f32,
    /// In which order steps are taken within a phase.
    pub order: Order,
    /// The text it was measured on.
    pub text: TextInfo,
    /// Area under the ROC curve of the cosine rule (−m against whether inserting the latent lowers the error), over the
    /// latents that fire. None when there are only such or only others.
    pub auc: Option<f64>,
    /// Some of the points, by rising step: the start, the end of each phase, and others evenly between.
    pub points: Vec<CurvePoint>,
    /// The step after which phase swap begins, that after which phase drop begins, and the last.
    pub phases: [usize; 3],
    /// Whether latents compete (TopK), so that every point was encoded again.
    pub reencoded: bool,
}

/// Cross-entropies at points of a curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurveLoss {
    /// The smaller SAE.
    pub small: String,
    /// The larger SAE.
    pub large: String,
    /// θ of the curve.
    pub threshold: f32,
    /// The curve's order.
    pub order: Order,
    /// Each step asked for with its cross-entropy in nats.
    pub ce: Vec<(usize, Option<f64>)>,
    /// On how many predictions.
    pub predictions: usize,
}

/// A swap group: latents of both SAEs that are linked at a threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupView {
    /// θ.
    pub threshold: f32,
    /// Latents of the smaller SAE, rising.
    pub small: Vec<u32>,
    /// Latents of the larger SAE, rising.
    pub large: Vec<u32>,
    /// (latent of the smaller, latent of the larger, cosine) of pairs with cosine ≥ θ, by large, then small latent.
    pub edges: Vec<(u32, u32, f32)>,
    /// Whether all such pairs are there; of a very large group only those that hold it together are.
    pub complete: bool,
}
