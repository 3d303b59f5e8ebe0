//! How much memory a model takes, part by part, known from config and headers before anything is loaded.
//! Not here: how much there is.

use super::Error;
use super::config::Config;
use super::layers::WIDENED;
use super::model_scope::ModelScope;
use super::plan::Plan;
use super::weight_loader::WeightLoader;

/// Positions whose keys and values are counted in: prompts are rarely longer, and the cache grows only with the prompt.
const POSITIONS: usize = 4096;

/// Names of what older files hold beside the weights, masks and angles: nobody reads them.
const BUFFERS: [&str; 5] =
    [".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"];

/// The bytes that a model's parts take on the CPU: large matrices in the element type of their files, all else as f32.
/// Mapped weights can be taken back by the system; a part that no question needs is never read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// Embeddings of tokens and positions.
    pub embedding: u64,
    /// The blocks, from the first.
    pub blocks: Vec<u64>,
    /// The head, where it is not the embedding.
    pub head: u64,
    /// The embedding that is also the head.
    pub tied: bool,
    /// Of the embedding, what is looked up row by row and stays in its file: only the prompt's rows are in memory.
    pub looked_up: u64,
    /// Keys and values of one block for a prompt of 4,096 positions, or of the whole context where that is shorter.
    pub cache: u64,
    /// What a copy of the model with its large matrices in BF16 would take, where the files hold them in F32.
    pub halved: Option<Box<Self>>,
}

impl Needs {
    /// Reads them off the headers.
    pub(super) fn of(plan: &Plan, parts: &WeightLoader, config: &Config, extent: ModelScope) -> Result<Self, Error> {
        let layers = extent.blocks(plan.shape.layers);
        // More layers than there are tensors is a config that lies; no table of them is made.
        let is_block = |name: &str, layer| plan.block_of(&plan.bare(name)) == Some(layer);
        if let Some(lacking) = (0..layers).find(|layer| parts.bytes(|name| is_block(name, *layer), false) == 0) {
            let block = format!("{}{lacking}.", plan.blocks);
            return Err(config.bad(format!(
                "it states {} layers, and the files hold fewer: no tensor is called `{block}…`; {}",
                plan.shape.layers,
                parts.seen(&block)
            )));
        }
        let now = Self::count(plan, parts, layers, false);
        let halved = Self::count(plan, parts, layers, true);
        let halved = (halved != now).then(|| Box::new(halved));
        Ok(Self { halved, ..now })
    }

    /// With all that is kept as F32 in two bytes, where it is `halved`.
    fn count(plan: &Plan, parts: &WeightLoader, layers: usize, halved: bool) -> Self {
        let is_head = |name: &str| plan.is_head(&plan.bare(name));
        let is_buffer = |name: &str| BUFFERS.iter().any(|buffer| name.ends_with(buffer));
        let block =
            |layer| parts.bytes(|name| plan.block_of(&plan.bare(name)) == Some(layer) && !is_buffer(name), halved);
        let positions = plan.shape.context.min(POSITIONS);
        let cache = [2, positions, plan.kv_heads, plan.shape.d_head, size_of::<f32>()];
        let head = parts.bytes(is_head, halved);
        let kept = head > 0 && parts.is_kept(plan.embedding);
        Self {
            embedding: parts
                .bytes(|name| plan.is_front(&plan.bare(name)) || plan.is_final_norm(&plan.bare(name)), halved),
            looked_up: if kept { parts.bytes(|name| plan.bare(name) == plan.embedding, halved) } else { 0 },
            blocks: (0..layers).map(block).collect(),
            head,
            tied: head == 0 && plan.tied,
            cache: cache.into_iter().fold(1, |product, size| product.saturating_mul(size as u64)),
            halved: None,
        }
    }

    /// All of it, for passes through `layers` blocks; with all blocks when `None`. Predictions need all blocks and the
    /// head, fewer blocks still need the head for the words that latents promote.
    pub fn through(&self, layers: Option<usize>) -> u64 {
        let layers = layers.map_or(self.blocks.len(), |layers| layers.min(self.blocks.len()));
        let blocks = self.blocks[..layers].iter().copied().fold(0, u64::saturating_add);
        let cache = self.cache.saturating_mul(layers as u64);
        let ends = (self.embedding - self.looked_up).saturating_add(self.head);
        ends.saturating_add(blocks).saturating_add(cache)
    }

    /// What of it a device holds for passes through `layers` blocks, with the head where it `predicts`, and what it
    /// computes with; rows of embeddings are looked up in their files and sent there.
    pub fn placed(&self, layers: Option<usize>, predicts: bool) -> u64 {
        let layers = layers.map_or(self.blocks.len(), |layers| layers.min(self.blocks.len()));
        let blocks = self.blocks[..layers].iter().copied().fold(0, u64::saturating_add);
        let held = blocks.saturating_add(if predicts { self.words() } else { 0 });
        // At most one matrix made f32, and the weights of one attention.
        let scratch = held.min(2 * (WIDENED * size_of::<f32>()) as u64);
        held.saturating_add(scratch).saturating_add(self.cache.saturating_mul(layers as u64))
    }

    /// The words alone, without a model that runs.
    pub fn words(&self) -> u64 {
        if self.tied { self.embedding } else { self.head }
    }

    /// The most blocks for which `free` bytes are enough, or `None` where they are too few for any.
    pub fn layers_within(&self, free: u64) -> Option<usize> {
        (0..=self.blocks.len()).rev().find(|layers| self.through(Some(*layers)) <= free)
    }
}
