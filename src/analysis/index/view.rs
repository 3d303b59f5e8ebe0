//! The answers of an index: the JSON of `saescope index` and of `corpus` in a latent's JSON.
//! Not here: how any of the figures is counted.

use std::path::PathBuf;

use serde::Serialize;

/// An index as a whole (the JSON of `saescope index build` and `index info`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IndexView {
    /// The folder; none where it is held in memory alone, or there is no index.
    pub index: Option<PathBuf>,
    /// The suite's id.
    pub suite: String,
    /// Positions that are neither skipped nor sinks.
    pub tokens: u64,
    /// Documents that were begun, empty ones included; of a shard its own alone.
    pub documents: u64,
    /// Windows that were run.
    pub windows: u64,
    /// Tokens of a window at most, the beginning-of-sequence token included.
    pub context: usize,
    /// Which position of each window is skipped.
    pub skipped_positions: SkippedPositions,
    /// Positions whose activation is so long that they count nowhere else.
    pub sinks: u64,
    /// One entry for each SAE, by rising width.
    pub saes: Vec<IndexSae>,
    /// One entry for each meta-SAE of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metas: Vec<IndexMeta>,
    /// Seconds that reading and running took, over all the times that it was continued.
    pub seconds: f64,
    /// `tokens` by `seconds`; 0 where nothing was run.
    pub tokens_per_second: f64,
    /// Whether the texts have been read to their end, or to the number of tokens that was asked for.
    pub complete: bool,
    /// The texts that were read, as a person named them.
    pub texts: Vec<String>,
    /// Which shard it is and of how many; none for all of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<(u32, u32)>,
    /// Things worth saying.
    pub notes: Vec<String>,
    /// What is new in it for who looked before; not printed.
    #[serde(skip)]
    pub news: IndexNews,
}

/// What tells one state of an index from the next: it grows with every window that is counted in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IndexNews(pub u64);

/// Which position of each window is skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkippedPositions {
    /// That of the beginning-of-sequence token, with which each window begins.
    #[default]
    Bos,
    /// The first, whatever stands there.
    First,
}

/// One SAE in an index.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IndexSae {
    /// The SAE's id in the suite.
    pub id: String,
    /// How many latents it has.
    pub width: usize,
    /// Latents that never fire.
    pub silent: usize,
    /// Latents that fire on more than 10 % of the tokens.
    pub dense: usize,
    /// Latents that fire on a token, in the mean.
    pub l0: f64,
}

/// One meta-SAE in an index.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IndexMeta {
    /// Its id.
    pub id: String,
    /// The id of the SAE whose decoder rows it takes apart.
    pub sae: String,
    /// How many meta-latents it has.
    pub width: usize,
    /// Meta-latents that are nowhere.
    pub silent: usize,
    /// Meta-latents on more than 10 % of the tokens.
    pub dense: usize,
    /// Meta-latents on a token, in the mean.
    pub l0: f64,
}

/// A meta-latent in a text (`corpus` in a meta-latent's JSON); its activation at a position is Σ_i f_i·a_{i,m}.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum MetaCorpus {
    /// Counted in the index.
    Index(LatentCorpus),
    /// Of the stored examples of its members: the meta-SAE is none of those that were counted.
    Members(MembersCorpus),
}

/// What the stored examples of a meta-latent's members say of it; how often it is where is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MembersCorpus {
    /// Tokens of the index.
    pub tokens: u64,
    /// Windows that were looked at.
    pub windows: usize,
    /// Members whose examples they are.
    pub members: usize,
    /// Its largest activation in them.
    pub max: f32,
    /// Where it peaks in them, by falling activation.
    pub examples: Vec<Example>,
}

/// A latent in an index (`corpus` in a latent's JSON).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LatentCorpus {
    /// Tokens of the index.
    pub tokens: u64,
    /// On how many of them it fires.
    pub count: u64,
    /// `count` by `tokens`.
    pub density: f64,
    /// Its largest activation; 0 where it never fires.
    pub max: f32,
    /// Its mean activation where it fires; none where it never does.
    pub mean_when_active: Option<f64>,
    /// How often it fires how strongly.
    pub histogram: ActivationHistogram,
    /// Quantiles of its activations where it fires.
    pub quantiles: Quantiles,
    /// The tokens it fires on most, by falling count, ties by number; ten at most.
    pub top_tokens: Vec<TopToken>,
    /// The best places first, by falling activation; then those of the quantile bins 10 to 1.
    pub examples: Vec<Example>,
}

/// A histogram of activations.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ActivationHistogram {
    /// Bin i reaches from edge i to edge i + 1; one more edge than bins; none where it never fires.
    pub edges: Vec<f64>,
    /// Activations in each bin; 30 bins at most.
    pub counts: Vec<u64>,
}

/// Quantiles of the activations where a latent fires: the geometric middle of the fine bin (1.1 % wide) that holds the
/// rank; none where it never fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// The median.
    #[serde(rename = "0.5")]
    pub half: Option<f64>,
    /// Nine tenths are below.
    #[serde(rename = "0.9")]
    pub tenth: Option<f64>,
    /// 99 of 100 are below.
    #[serde(rename = "0.99")]
    pub hundredth: Option<f64>,
}

/// A token that a latent fires on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopToken {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// How often the latent fires on it.
    pub count: u64,
    /// The latent's mean activation where it does.
    pub mean: f64,
}

/// A place where a latent fires.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// The document's number, from 0 in the order read.
    pub document: u64,
    /// The window's number within its document, from 0.
    pub window: u32,
    /// The position within the window, from 0, the beginning-of-sequence token included.
    pub position: usize,
    /// How strongly it fires there.
    pub activation: f32,
    /// Which tenth of its activations this is in: 1 the weakest, 10 the strongest; 0 where that is not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub quantile_bin: u8,
    /// Whether it is one of the best, or a sample of its quantile bin.
    #[serde(skip)]
    pub best: bool,
    /// Where the example is from.
    pub source: ExampleSource,
    /// The whole window, from position 0.
    pub tokens: Vec<CorpusToken>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(bin: &u8) -> bool {
    *bin == 0
}

/// Where an example is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExampleSource {
    /// The index of the person's own text.
    #[default]
    Index,
    /// What Neuronpedia publishes.
    Neuronpedia,
    /// A stored example of a member of a meta-latent.
    Members,
}

/// A token of an example.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CorpusToken {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Its text; bytes that are not a whole character are shown as `⟨e2 96⟩`.
    pub text: String,
    /// How strongly the latent fires on it; 0 where it does not, and where the position is skipped.
    pub activation: f32,
}
