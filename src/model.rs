//! Language models: tokens in, hooks at sites, logits out, and a KV cache that can be cut back to a common prefix.
//! Not here: where the files come from, and what is done with an activation.

mod activation;
mod arms;
mod attention;
mod backend;
mod cache;
mod config;
mod decoder;
mod families;
mod family;
mod fan;
mod generate;
mod graph;
mod jacobian;
mod layers;
mod lend;
mod load;
mod model_scope;
mod needs;
mod norm;
mod pass;
mod pieces;
mod plan;
mod projections;
mod rope;
mod standard;
mod tokenizer;
mod unembed;
mod weight_loader;
mod weights_only;
mod windows;

use std::sync::Arc;

use candle_core::Tensor;

pub use self::arms::Arms;
pub use self::backend::Backend;
pub use self::cache::Cache;
pub use self::fan::Fan;
pub use self::generate::{Chooser, Generate, Sampling, generate};
pub use self::jacobian::{JacobianLens, LensError, SKIPPED, jacobians, write as write_jacobian_lens};
pub use self::lend::lend;
pub use self::load::{load, load_part, memory_needed, needs, needs_of, wanted};
pub use self::model_scope::{ModelScope, Wanted};
pub use self::needs::Needs;
pub use self::pieces::{PIECE, cut};
pub use self::tokenizer::{Stated, Tokenizer};
pub use self::unembed::{TopLogits, Unembedding};
use crate::blob::Blob;
use crate::device::DeviceName;
use crate::site::{Site, SiteKind};
use crate::task::{Cancel, Cancelled};
use crate::weights::{Array, PackableMatrix};

/// The sizes of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Size of the residual stream.
    pub d_model: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Number of attention heads of a block.
    pub heads: usize,
    /// Size of a head.
    pub d_head: usize,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Most positions the model can take.
    pub context: usize,
    /// Whether attention and MLP of a block read the same residual stream, as in GPT-NeoX with `use_parallel_residual`.
    pub parallel: bool,
}

impl Shape {
    /// The size of the activation at a site.
    ///
    /// # Errors
    /// [`Error::NoSite`] when the model has no such site.
    pub fn site_size(&self, site: Site) -> Result<usize, Error> {
        let none = |why| Err(Error::NoSite { site, why });
        match site.kind {
            _ if site.layer >= self.layers => none(format!("its layers are 0 to {}", self.layers.saturating_sub(1))),
            SiteKind::ResidMid if self.parallel => none(
                "GPT-NeoX with `use_parallel_residual` adds what attention and MLP made of the same residual stream, so \
                 nothing stands between them"
                    .to_owned(),
            ),
            SiteKind::AttnZ => Ok(self.heads * self.d_head),
            _ => Ok(self.d_model),
        }
    }
}

/// The files of one model.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// `config.json`.
    pub config: Blob,
    /// The safetensors files, one or more.
    pub weights: Vec<Blob>,
    /// The tokenizer.
    pub tokenizer: TokenizerFiles,
    /// What is said of the tokenizer beside its own files.
    pub said: TokenizerSaid,
}

/// What stands beside the files of a tokenizer, and whether it counts.
#[derive(Clone, Debug, Default)]
pub struct TokenizerSaid {
    /// `tokenizer_config.json`, where there is one.
    pub config: Option<Blob>,
    /// `special_tokens_map.json`, where there is one.
    pub specials: Option<Blob>,
    /// `added_tokens.json`, where there is one.
    pub added: Option<Blob>,
    /// Whether the tokenizer's own files have the last word, and not what `transformers` makes of all of them.
    pub own_word: bool,
}

/// The files of one tokenizer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenizerFiles {
    /// `tokenizer.json`.
    Json(Blob),
    /// `vocab.json` and `merges.txt` of a byte-level BPE.
    Bpe {
        /// `vocab.json`.
        vocab: Blob,
        /// `merges.txt`.
        merges: Blob,
    },
}

/// A model and its tokenizer.
#[derive(Clone)]
pub struct Loaded {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
}

/// What one forward pass is to do.
pub struct Pass<'a> {
    /// Run only this many blocks from the first; all when `None`, and all when logits are wanted. The residual stream
    /// that leaves the last of them is offered to the hook as `resid_pre` of the next block too.
    pub layers: Option<usize>,
    /// Which logits are wanted.
    pub logits: Logits,
    /// Looks at or replaces activations.
    pub hook: Option<&'a mut dyn Hook>,
    /// Checked before every block.
    pub cancel: &'a Cancel,
}

/// Which logits a pass gives, [positions, vocab].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Logits {
    /// None.
    None,
    /// Of the last position.
    Last,
    /// Of every position of the pass.
    All,
}

/// Looks at activations during a forward pass, and may replace them.
pub trait Hook {
    /// Whether activations are wanted at this site; others are not built.
    fn is_active(&self, site: Site) -> bool;

    /// Takes the position at which a pass begins, which is how many stand in its cache: once for each pass, before all
    /// activations. The rows of an activation are of the positions from there on; in a [`Fan`] of those positions of each
    /// branch in turn.
    fn begin(&mut self, _first: usize) {}

    /// Takes the activation of the pass's positions, f32 [positions, size], on the model's device, and gives what stands
    /// there instead, of the same shape, or `None` to leave it.
    ///
    /// # Errors
    /// Whatever ends the pass.
    fn visit(&mut self, site: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>>;

    /// Whether what the attention of a block mixes is wanted; of others the weights of the heads are never held all at
    /// once.
    fn wants_pattern(&self, _layer: usize) -> bool {
        false
    }

    /// Takes what the attention of a block mixes for the pass's positions.
    ///
    /// # Errors
    /// Whatever ends the pass.
    fn attention_pattern(&mut self, _layer: usize, _attended: &AttentionPattern) -> candle_core::Result<()> {
        Ok(())
    }
}

/// What the attention of one block mixes into its heads' z: for a position of the pass, z of head h is
/// Σ weights\[h, position, source\] · values\[source, head g\] over the sources, where neighbouring heads h may share
/// one head g of the values (Ainslie et al., *GQA*, 2023).
#[derive(Debug)]
#[non_exhaustive]
pub struct AttentionPattern {
    /// f32 [heads, positions of the pass, all positions]; rows add up to 1.
    pub weights: Tensor,
    /// f32 [all positions, heads of the values · d_head].
    pub values: Tensor,
}

/// A language model on its device. Nothing in it changes by a forward pass; what a pass leaves is in the [`Cache`].
pub trait Model: Send + Sync {
    /// Its sizes.
    fn shape(&self) -> &Shape;

    /// The size of the activation at a site.
    ///
    /// # Errors
    /// As [`Shape::site_size`].
    fn site_size(&self, site: Site) -> Result<usize, Error> {
        self.shape().site_size(site)
    }

    /// A new, empty cache.
    fn cache(&self) -> Cache {
        self.cache_behind(0)
    }

    /// A new, empty cache for [`Model::resume`] behind the first `blocks`.
    fn cache_behind(&self, blocks: usize) -> Cache;

    /// Runs the tokens `ids`, which stand at positions `cache.len()..`, through the blocks and adds them to the
    /// cache. Earlier positions of the cache are attended to. Gives the logits that the pass asks for, f32
    /// [positions, vocab], on the CPU. A pass that fails or is cancelled leaves the cache as it was.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::TooLong`], [`Error::BadToken`], [`Error::Shallow`], [`Error::Replacement`],
    /// [`Error::NoHead`], [`Error::Overflow`], [`Error::Cancelled`], [`Error::Tensor`]; [`Error::Weights`] when a weight that is read for
    /// the first time is not a number.
    fn forward(&self, ids: &[u32], cache: &mut Cache, pass: Pass<'_>) -> Result<Option<Tensor>, Error>;

    /// Goes on with a pass that ended behind the cache's first block: `residual`, f32 [positions, d_model], is the
    /// residual stream that it left at the tokens `ids`, which stand at positions `cache.len()..`. Runs the rest of the
    /// blocks, adds the tokens to the cache and gives the residual stream behind the last block, on the CPU. The two passes give
    /// the bits that one gives.
    ///
    /// # Errors
    /// As [`Model::forward`].
    fn resume(&self, ids: &[u32], residual: &Tensor, cache: &mut Cache, cancel: &Cancel) -> Result<Tensor, Error>;

    /// Runs branches through some blocks as one batch, and gives the residual stream that leaves the last of these,
    /// f32 [branches · positions, d_model], on the CPU. On the CPU each branch gets the bits that it gets alone.
    ///
    /// # Errors
    /// As [`Model::forward`], and [`Error::Elsewhere`] where the cache does not hold the blocks.
    fn fan(&self, fan: Fan<'_>) -> Result<Tensor, Error>;

    /// Runs the next tokens of several texts as one batch, each behind its own cache, and adds them to it. Gives the logits
    /// that are asked for, f32 [rows, vocab], on the CPU, arm after arm. On the CPU each arm gets the bits that it gets
    /// alone. A pass that fails or is cancelled leaves the caches as they were.
    ///
    /// # Errors
    /// As [`Model::forward`], and [`Error::Elsewhere`] where the caches hold another number of positions each.
    fn arms(&self, arms: Arms<'_>) -> Result<Option<Tensor>, Error>;

    /// What the norm behind the last block divides each row of the residual stream there, [rows, d_model], by.
    ///
    /// # Errors
    /// [`Error::NotOpen`], [`Error::WeightsOnly`].
    fn final_scales(&self, residual: &[f32]) -> Result<Vec<f64>, Error>;

    /// The logits, f32 [rows, vocab] on the CPU, of rows of the residual stream behind the last block.
    ///
    /// # Errors
    /// [`Error::Tensor`]; [`Error::Weights`] when the head is read for the first time and holds what is not a number.
    fn logits(&self, residual: &Tensor) -> Result<Tensor, Error>;

    /// Fails where no pass gives logits, and says why.
    ///
    /// # Errors
    /// [`Error::NoHead`], [`Error::NotOpen`], [`Error::WeightsOnly`].
    fn check_logits(&self) -> Result<(), Error> {
        Ok(())
    }

    /// What a block's attention adds to its heads' z whatever the tokens are, [heads · d_head]: b_V + β·W_V, with the
    /// values' bias and the bias of the norm before them. TransformerLens folds it into the output's bias, so SAEs that
    /// were trained on its z have never seen it. `None` where the family has no such biases.
    ///
    /// # Errors
    /// [`Error::Weights`], [`Error::Tensor`].
    fn value_bias(&self, layer: usize) -> Result<Option<Vec<f32>>, Error>;

    /// What a block's heads write into the residual stream per unit of z, [heads · d_head, d_model]: its output
    /// projection, times the gain of the norm behind it where there is one, whose scale is left out. `None` where the
    /// block's weights are not there.
    ///
    /// # Errors
    /// [`Error::Weights`], [`Error::Tensor`].
    fn head_outputs(&self, _layer: usize) -> Result<Option<Array>, Error> {
        Ok(None)
    }

    /// Whether a norm stands between a block's heads and the residual stream, so that what one of them writes depends on
    /// the others.
    ///
    /// # Errors
    /// [`Error::Weights`] where the block is read for the first time and holds what is not a number.
    fn norms_heads(&self, _layer: usize) -> Result<bool, Error> {
        Ok(false)
    }

    /// What turns a direction of the residual stream into token space (methods §6); none where it is not there.
    fn unembedding(&self) -> Option<&Unembedding>;

    /// The matrices that products go through, as far as they have been read: those whose packing makes later passes
    /// faster ([`PackableMatrix::pack`]).
    fn packable(&self) -> Vec<PackableMatrix> {
        Vec::new()
    }
}

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The prompt is longer than the model can take.
    #[error("{asked} tokens are more than the {context} the model can take")]
    TooLong {
        /// Tokens asked for.
        asked: usize,
        /// Tokens the model can take.
        context: usize,
    },
    /// The prompt is so much longer than the model can take that its tokens were not counted to the end.
    #[error("{bytes} bytes are more than twice the {context} tokens the model can take")]
    FarTooLong {
        /// Its length.
        bytes: usize,
        /// Tokens the model can take.
        context: usize,
    },
    /// A text spells a token that the model has no row for.
    #[error("`{}` is token {id}, and the model's embedding has {rows} rows, from 0", token.escape_debug())]
    NoRow {
        /// The token's text.
        token: String,
        /// Its number.
        id: u32,
        /// Rows of the embedding.
        rows: usize,
    },
    /// There are no tokens to run.
    #[error("there are no tokens to run")]
    Empty,
    /// The model is not loaded: only what its words are.
    #[error("weights only: the model is not loaded")]
    WeightsOnly,
    /// The files hold no head.
    #[error(
        "`{files}` has no head, no tensor `{tensor}`, and the config does not say that the embedding is the head: there \
         are no logits"
    )]
    NoHead {
        /// The files searched.
        files: String,
        /// What the head would be called.
        tensor: String,
    },
    /// The model has no such site.
    #[error("the model has no site {site}: {why}")]
    NoSite {
        /// Where.
        site: Site,
        /// Why it has none.
        why: String,
    },
    /// The pass goes deeper than the model is open.
    #[error("the model is open up to its block {open} of {layers}")]
    NotOpen {
        /// Blocks that are open, from the first.
        open: usize,
        /// Blocks that the model has.
        layers: usize,
    },
    /// The cache is of other blocks than those that the pass begins with.
    #[error("a pass that begins behind {asked} blocks cannot continue from a cache that begins behind {held}")]
    Elsewhere {
        /// Blocks in front of the pass.
        asked: usize,
        /// Blocks in front of the cache.
        held: usize,
    },
    /// The pass goes deeper than the one that filled the cache.
    #[error("a pass through {asked} blocks cannot continue from a cache of {held}")]
    Shallow {
        /// Blocks asked for.
        asked: usize,
        /// Blocks whose keys and values are there.
        held: usize,
    },
    /// A hook replaced an activation by one of another shape.
    #[error("the activation at {site} was replaced by one of shape {found:?}, expected {expected:?}")]
    Replacement {
        /// Where.
        site: Site,
        /// The shape of what the hook gave.
        found: Vec<usize>,
        /// The shape it must have.
        expected: Vec<usize>,
    },
    /// The numbers overflowed.
    #[error("the residual stream after {blocks} blocks is not finite")]
    Overflow {
        /// Blocks run.
        blocks: usize,
    },
    /// A token number beyond the embedding.
    #[error("token {id} is beyond the model's vocabulary of {vocab}")]
    BadToken {
        /// The token.
        id: u32,
        /// Rows of the embedding.
        vocab: usize,
    },
    /// This build cannot use such a device.
    #[error("this build has no {}", name.maker().unwrap_or("such device"))]
    NotBuilt {
        /// The device.
        name: DeviceName,
    },
    /// The device is not there, or cannot be used.
    #[error("{name} cannot be used: {why}")]
    NoDevice {
        /// The device.
        name: DeviceName,
        /// What its driver says.
        why: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{file}`")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The model is of an architecture that this program does not know.
    #[error("`{file}` describes a model of type `{found}`; supported: {supported}")]
    Architecture {
        /// The file.
        file: String,
        /// Its `model_type`.
        found: String,
        /// What is supported.
        supported: String,
    },
    /// `config.json` cannot be used.
    #[error("`{file}` cannot be used: {why}")]
    Config {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The tokenizer cannot be used.
    #[error("`{file}` cannot be used as a tokenizer: {why}")]
    Tokenizer {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A tensor of the model is missing or wrong.
    #[error(transparent)]
    Weights(#[from] crate::weights::Error),
    /// A tensor operation failed.
    #[error("a tensor operation failed")]
    Tensor(#[source] candle_core::Error),
    /// Nobody wants the answer any more.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(backend::plain(error))
    }
}
