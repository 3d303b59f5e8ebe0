//! Plain data out of tensors: what one prompt yields, a latent's card. The explorer draws these, `--json` prints them,
//! golden tests compare them. Not here: threads, files, clocks.

pub mod align;
pub mod attribution;
pub mod branches;
pub mod card;
pub mod compare;
pub mod doctor;
pub mod effect;
pub mod explain;
mod family;
pub mod index;
pub mod intervention;
pub mod label;
pub mod lens;
pub mod live;
pub mod measuring;
pub mod meta;
mod pair_view;
pub mod rules;
pub mod search;
pub mod splice;
pub mod steering;
mod stitching;
pub mod surgery;
pub mod swap;
pub mod tokens;
mod verdict;

use serde::{Deserialize, Serialize};

pub use self::attribution::{Attribution, HeadValue, SourceValue};
pub use self::compare::CompareView;
pub use self::effect::{
    CellEffect, EffectView, GridView, LatentEffect, MetaEffectView, MetaLatentEffect, PositionEffect, RelativeEffect,
    SaeEffect, SaeGrid,
};
pub use crate::sae::meta::Edit;
pub use crate::sae::metrics::Quality;
pub use crate::sae::stitch::{Change, CurvePoint, Order, Phase};
pub use crate::sae::{Class, Neighbour};
pub use family::{Family, Relation, Rung};
pub use index::{
    ActivationHistogram, CorpusToken, Example, ExampleSource, IndexMeta, IndexNews, IndexSae, IndexView, LatentCorpus,
    LatentFrequency, MembersCorpus, MetaCorpus, Quantiles, SkippedPositions, TopToken,
};
pub use label::{Label, LabelScores, LabelSource, LatentLabel, RulePart, RuleValue};
pub use lens::{JacobianView, LayerView, LensView};
pub use meta::{BreakdownView, Histogram, Member, MemberFiring, MetaCard, MetaInfo, MetaName, MetaRun, TokenFiring};
pub use pair_view::{Counts, PairView, QueueRow};
pub use search::{FoundBy, Hit};
pub use steering::{SteerArm, SteerToken, SteerView, Strength, SweepPoint};
pub use stitching::{
    BenchLoss, CurveLoss, CurveView, Effect, GroupView, Losses, Measures, Side, TextInfo, Verdict, WorkbenchView,
};
pub use surgery::{Arm, ArmView, Continuation, Named, Sampling, SurgeryEdit, SurgeryView};
pub use swap::{SwapOrder, SwapView};

use crate::sae::{Activation, Sae};
use crate::site::Site;

/// What one prompt yields (the JSON of `saescope run`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// The suite's id.
    pub suite: String,
    /// The model's repository or directory.
    pub model: String,
    /// Where activations were taken.
    pub site: Site,
    /// The prompt's tokens, one for each position.
    pub tokens: Vec<TokenView>,
    /// How many positions in front are left out of metrics: those of beginning-of-sequence tokens.
    pub left_out: usize,
    /// For each position the likeliest next tokens, best first.
    pub next: Vec<Vec<NextToken>>,
    /// One entry for each SAE that was asked for, in the ladder's order.
    pub saes: Vec<SaeRun>,
    /// What a person should know of the suite and of this prompt's tokens.
    pub notes: Vec<String>,
    /// How long it took.
    pub timings_ms: Timings,
}

/// A token as a person and a program can use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenView {
    /// Position in the prompt, from 0.
    pub position: usize,
    /// Its number in the vocabulary.
    pub id: u32,
    /// Its text; bytes that are not a whole character are shown as `⟨e2 96⟩`.
    pub text: String,
}

/// A token that may come next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NextToken {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// What one SAE makes of a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SaeRun {
    /// The SAE's id in the suite.
    pub id: String,
    /// How many latents it has.
    pub width: usize,
    /// In which element types it is stored and computed.
    pub dtype: SaeTypes,
    /// What is to be known of it, from how its files were read.
    pub notes: Vec<String>,
    /// How well it reconstructs the prompt's activations.
    pub metrics: Metrics,
    /// One entry for each position.
    pub positions: Vec<PositionRun>,
}

/// What is to be known of an SAE: from how its files were read, and from how it is computed here.
#[must_use]
pub fn notes_on(sae: &Sae) -> Vec<String> {
    let mut notes = sae.metadata.notes.clone();
    let types = SaeTypes::of(sae);
    if let (Some(other), Activation::TopK { k }) = (types.other(), &sae.parts().activation) {
        notes.push(format!(
            "computed in {} here, while its own library computes in {other}: which latent is the last of the {k} can differ",
            types.computed
        ));
    }
    notes
}

/// Element types of an SAE, as PyTorch names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SaeTypes {
    /// That of its files.
    pub stored: String,
    /// The one that its configuration states, in which SAELens computes; none where it states none.
    pub stated: Option<String>,
    /// The one that it is computed in here.
    pub computed: String,
}

impl SaeTypes {
    /// Those of an SAE.
    #[must_use]
    pub fn of(sae: &Sae) -> Self {
        let (stored, computed) = (sae.stored().to_owned(), "float32".to_owned());
        Self { stored, stated: sae.metadata.dtype.clone(), computed }
    }

    /// The type that the SAE's own library computes in where it is not the one used here.
    #[must_use]
    pub fn other(&self) -> Option<&str> {
        Some(self.stated.as_ref().unwrap_or(&self.stored).as_str()).filter(|other| *other != self.computed)
    }
}

/// The latents of one SAE at one position.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PositionRun {
    /// Position in the prompt, from 0.
    pub position: usize,
    /// How many latents fire.
    pub l0: usize,
    /// Those that fire, strongest first, ties by index; all of them unless cut for printing.
    pub latents: Vec<Firing>,
}

/// A latent that fires.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Firing {
    /// Its index in the SAE.
    pub latent: u32,
    /// How strongly.
    pub activation: f32,
    /// The share of its own activations in the index that are smaller; none where there is no index, or nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f32>,
}

/// Metrics over some tokens (methods §2); beginning-of-sequence tokens in front are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// How well it reconstructs.
    #[serde(flatten)]
    pub quality: Quality,
    /// Cross-entropies by splicing; none where they were not asked for.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub cross_entropy: Option<CrossEntropy>,
}

/// Next-token cross-entropies in nats with the activation kept or replaced (methods §2).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CrossEntropy {
    /// Kept.
    pub ce_clean: f64,
    /// Replaced by its reconstruction.
    pub ce_spliced: f64,
    /// Replaced by zero.
    pub ce_zero: f64,
    /// Replaced by its mean over the tokens.
    pub ce_mean: f64,
    /// (zero − spliced) / (zero − clean); none when the two are equal.
    pub loss_recovered: Option<f64>,
    /// (mean − spliced) / (mean − clean); none when the two are equal.
    pub loss_recovered_mean: Option<f64>,
}

/// How long the parts of a run took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Opening model and SAEs, when that was part of it.
    pub load: f64,
    /// Tokens to activations and logits; no further than the site where no predictions are wanted.
    pub forward: f64,
    /// Of that, what came after the site: the rest of the blocks, and logits.
    pub predictions: f64,
    /// Activations to latents and metrics.
    pub encode: f64,
}

/// A latent's card (the JSON of `saescope latent`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatentCard {
    /// The SAE's id in the suite.
    pub sae: String,
    /// The latent's index.
    pub latent: u32,
    /// Length of its decoder row.
    pub decoder_norm: f32,
    /// Whether its decoder row is zero: then it writes nothing, promotes nothing, and nothing is near to it.
    pub zero: bool,
    /// Encoder bias; null in JSON where it is −∞, which switches the latent off.
    pub encoder_bias: f32,
    /// The tokens its direction promotes most (methods §6), best first.
    pub promoted: Vec<TokenValue>,
    /// The tokens it suppresses most, strongest first.
    pub suppressed: Vec<TokenValue>,
    /// Its nearest latents in every other SAE of the suite, in the ladder's order.
    pub ladder: Vec<LadderEntry>,
    /// Its breakdown by every meta-SAE of its SAE.
    pub meta: Vec<MetaEntry>,
    /// How often it has fired in what this program has run since the suite was opened.
    pub seen: Seen,
    /// Things worth saying: how the SAE's files were read, a meta-SAE of it that cannot be used.
    pub notes: Vec<String>,
}

/// A token and what a direction adds to its logit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenValue {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Units of the logit per unit of activation, before the final norm's scale; mean over the vocabulary removed.
    pub value: f32,
}

/// The nearest latents in one other SAE.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LadderEntry {
    /// The other SAE's id.
    pub sae: String,
    /// The other SAE's width.
    pub width: usize,
    /// By signed cosine of decoder rows, nearest first, ties by index.
    pub nearest: Vec<Neighbour>,
    /// Its class with respect to a narrower SAE; none for wider ones, and for a decoder row of zeros.
    pub class: Option<Class>,
    /// The threshold of the class.
    pub threshold: f32,
}

/// A latent's meta-latents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaEntry {
    /// The meta-SAE's id.
    pub meta: String,
    /// Share of the decoder row's squared length that is explained: 1 − ‖w − ŵ‖² / ‖w‖².
    pub explained: f32,
    /// What the meta-SAE's b_dec brings, as a share in the sense of [`MetaComponent::share`].
    pub bias: f32,
    /// What is left, in the same sense: shares, bias and rest add up to 1.
    pub rest: f32,
    /// Its meta-latents, strongest first.
    pub components: Vec<MetaComponent>,
}

/// A meta-latent within a latent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaComponent {
    /// Its index in the meta-SAE.
    pub meta_latent: u32,
    /// How strongly, for the decoder row scaled to length 1.
    pub activation: f32,
    /// a·(d·w)/‖w‖²: what it brings to the row's squared length, as a share.
    pub share: f32,
    /// The tokens it promotes most, best first.
    pub promoted: Vec<TokenValue>,
    /// The latents it is in most strongly.
    pub members: Vec<Member>,
    /// Whether the run of another seed found it too; none where there is no other run.
    pub stable: Option<bool>,
}

/// How often a latent has fired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// On how many tokens it fired.
    pub fired: u64,
    /// Of how many.
    pub tokens: u64,
}
