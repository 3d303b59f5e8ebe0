//! How much memory a model takes, part by part, known from config and headers before anything is loaded.
//! Not here: how much there is.

use super::Error;
use super::config::Config;
use super::decoder::Plan;
use super::parts::Parts;

/// Positions whose keys and values are counted in: prompts are rarely longer, and the cache grows only with the prompt.
const POSITIONS: usize = 4096;

/// Names of what older files hold beside the weights, masks and angles: nobody reads them.
const BUFFERS: [&str; 5] =
    [".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"];

/// The bytes that a model's parts take on the CPU: large matrices in the element type of their files, all else as f32.
/// Mapped weights can be taken back by the system; a part that no question needs is never read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Embeddings of tokens and positions.
    pub embedding: u64,
    /// The blocks, from the first.
    pub blocks: Vec<u64>,
    /// The head, where it is not the embedding.
    pub head: u64,
    /// The embedding that is also the head.
    pub tied: bool,
    /// Keys and values of one block for a prompt of 4,096 positions, or of the whole context where that is shorter.
    pub cache: u64,
}

impl Needs {
    /// Reads them off the headers.
    pub(super) fn of(plan: &Plan, parts: &Parts, config: &Config) -> Result<Self, Error> {
        let is_head = |name: &str| plan.head.contains(&name);
        let is_buffer = |name: &str| BUFFERS.iter().any(|buffer| name.ends_with(buffer));
        let number = |name: &str| -> Option<usize> {
            let rest = name.strip_prefix(plan.blocks)?;
            rest.split_once('.')?.0.parse().ok()
        };
        let layers = plan.shape.layers;
        // More layers than there are tensors is a config that lies; no table of them is made.
        if (0..layers).any(|layer| parts.bytes(|name| number(name) == Some(layer)) == 0) {
            return Err(config.bad(format!("it states {layers} layers, and the files hold fewer")));
        }
        let blocks =
            (0..layers).map(|layer| parts.bytes(|name| number(name) == Some(layer) && !is_buffer(name))).collect();
        let positions = plan.shape.context.min(POSITIONS);
        let cache = [2, positions, plan.kv_heads, plan.shape.d_head, size_of::<f32>()];
        let head = parts.bytes(is_head);
        Ok(Self {
            embedding: parts.bytes(|name| number(name).is_none() && !is_head(name)),
            blocks,
            head,
            tied: head == 0,
            cache: cache.into_iter().fold(1, |product, size| product.saturating_mul(size as u64)),
        })
    }

    /// All of it, for passes through `layers` blocks; with all blocks when `None`. Predictions need all blocks and the
    /// head, fewer blocks still need the head for the words that latents promote.
    pub fn through(&self, layers: Option<usize>) -> u64 {
        let layers = layers.map_or(self.blocks.len(), |layers| layers.min(self.blocks.len()));
        let blocks = self.blocks[..layers].iter().copied().fold(0, u64::saturating_add);
        let cache = self.cache.saturating_mul(layers as u64);
        self.embedding.saturating_add(self.head).saturating_add(blocks).saturating_add(cache)
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
