//! What all families have in common: an embedding, blocks one after the other, a final norm, a head; with hooks at the
//! sites, a KV cache, and blocks that are read when a pass first needs them.
//! Not here: what is in a block (one file per family), and how it is computed (`layers`, `attention`, `norm`, `rope`).

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};

use super::attention::Attention;
use super::config::Config;
use super::extent::Extent;
use super::layers::{Activation, Embedding, Layout, Linear, add};
use super::norm::{Norm, Norms};
use super::parts::Parts;
use super::pass::{Visitor, check_finite, check_tokens};
use super::rope::{Rope, Turns};
use super::{Attended, Cache, Error, Logits, Model, Pass, Shape, Unembedding};
use crate::kernel;
use crate::site::{Site, SiteKind};
use crate::task::Cancel;
use crate::weights::{self, Array, Factor, Matrix};

/// What a config says about the parts that are alike in every family, and where the files keep them.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) shape: Shape,
    /// Heads of keys and values.
    pub(super) kv_heads: usize,
    /// What names may begin with; the first that fits counts.
    pub(super) prefixes: &'static [&'static str],
    /// What names of a block begin with, after the prefix and before its number.
    pub(super) blocks: &'static str,
    /// The embedding of the tokens, [vocab, d_model].
    pub(super) embedding: &'static str,
    /// What its rows are multiplied by.
    pub(super) embedding_scale: f32,
    /// The embedding of the positions, [context, d_model], where there is one.
    pub(super) positions: Option<&'static str>,
    /// How queries and keys are turned, where they are; [`Family::rope`] says in which block by which of them.
    pub(super) ropes: Vec<Rope>,
    pub(super) norms: Norms,
    /// The norm behind the last block.
    pub(super) final_norm: &'static str,
    /// Names of the head, [vocab, d_model]; the first that is there counts.
    pub(super) head: &'static [&'static str],
    /// Whether the embedding is the head where the files have none.
    pub(super) tied: bool,
    /// c of c · tanh(logit / c).
    pub(super) logit_cap: Option<f32>,
}

/// One family of models, configured.
pub(super) trait Family: std::fmt::Debug + Send + Sync {
    /// What a block holds.
    type Block: Block;

    /// What is alike in every family.
    fn plan(&self) -> &Plan;

    /// Which of the plan's ropes turns the queries and keys of a block.
    fn rope(&self, _layer: usize) -> usize {
        0
    }

    /// Reads one block.
    fn block(&self, parts: &Parts, layer: usize) -> Result<Self::Block, Error>;
}

/// One block of a model.
pub(super) trait Block: std::fmt::Debug + Send + Sync {
    /// The residual stream, [positions, d_model], through the block.
    fn forward(&self, residual: &Tensor, step: &mut Step<'_, '_>) -> Result<Tensor, Error>;

    /// What its heads write into the residual stream per unit of z, [heads · d_head, d_model].
    fn head_outputs(&self) -> Result<Array, Error>;

    /// What its attention adds to z whatever the tokens are, [1, heads · d_head], in families with such biases.
    fn value_bias(&self) -> Result<Option<Tensor>, Error> {
        Ok(None)
    }
}

/// What a block may do while a pass goes through it.
pub(super) struct Step<'a, 'h> {
    layer: usize,
    cache: &'a mut Cache,
    visitor: &'a mut Visitor<'h>,
    turns: Option<&'a Turns>,
}

impl Step<'_, '_> {
    /// The activation that is to stand at a site of this block.
    pub(super) fn visit(&mut self, kind: SiteKind, activation: Tensor) -> Result<Tensor, Error> {
        self.visitor.visit(self.layer, kind, activation)
    }

    /// Keys and values of all positions, given those of the new ones.
    pub(super) fn remember(&mut self, keys: &Tensor, values: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        self.cache.append(self.layer, keys, values)
    }

    /// What attention gives for these queries, at its site; the hook is told what is mixed if it wants to know.
    pub(super) fn mix(
        &mut self,
        attention: &Attention,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<Tensor, Error> {
        if self.visitor.wants_attention(self.layer) {
            let weights = attention.weights(queries, keys)?;
            self.visitor.attended(self.layer, &Attended { weights, values: values.clone() })?;
        }
        self.visit(SiteKind::AttnZ, attention.forward(queries, keys, values)?)
    }

    /// Queries or keys, heads of `size` values side by side, turned to their positions.
    pub(super) fn turn(&self, x: &Tensor, size: usize) -> candle_core::Result<Tensor> {
        self.turns.map_or_else(|| Ok(x.clone()), |turns| turns.apply(x, size))
    }
}

/// A model of a family, on its device.
#[derive(Debug)]
pub(super) struct Decoder<F: Family> {
    family: F,
    parts: Parts,
    tokens: Embedding,
    positions: Option<Embedding>,
    /// Those that are open. Each is read, and its values looked at, when a pass first goes through it: layers that no
    /// question needs are never read.
    blocks: Vec<OnceLock<F::Block>>,
    /// None where the files that are open do not hold it.
    final_norm: Option<Norm>,
    /// Read when logits are first wanted.
    head: OnceLock<Linear>,
    unembedding: Option<Unembedding>,
}

impl<F: Family> Decoder<F> {
    /// Sees that all tensors of the extent are there, with the right shapes and types, and reads those outside the
    /// blocks.
    pub(super) fn load(family: F, parts: Parts, extent: Extent) -> Result<Self, Error> {
        let plan = family.plan();
        let blocks = extent.blocks(plan.shape.layers);
        let (d, vocab) = (plan.shape.d_model, plan.shape.vocab);
        let headers = parts.headers();
        headers.matrix(plan.embedding, vocab, d)?;
        for layer in 0..blocks {
            family.block(&headers, layer)?;
        }
        let tokens = parts.matrix(plan.embedding, vocab, d)?;
        // A matrix of some gigabytes is looked at once, not twice.
        let unembedding = match plan.head_name(&parts) {
            None => plan.unembedding_of(&parts, tokens.clone()),
            Some(_) => plan.unembedding(&parts),
        };
        // Where predictions are not wanted, words are welcome and not needed.
        let spare = extent != Extent::Whole;
        let final_norm = or_none(plan.norms.read(&parts, plan.final_norm, d), spare)?;
        let positions = plan.positions.map(|name| parts.matrix(name, plan.shape.context, d)).transpose()?;
        let embedding = |rows| Embedding { rows, device: parts.device().cloned() };
        Ok(Self {
            tokens: embedding(tokens),
            positions: positions.map(embedding),
            blocks: std::iter::repeat_with(OnceLock::new).take(blocks).collect(),
            final_norm,
            head: OnceLock::new(),
            unembedding: or_none(unembedding, spare)?,
            family,
            parts,
        })
    }

    fn block(&self, layer: usize) -> Result<&F::Block, Error> {
        let cell = &self.blocks[layer];
        if let Some(block) = cell.get() {
            return Ok(block);
        }
        let block = self.family.block(&self.parts, layer)?;
        Ok(cell.get_or_init(|| block))
    }

    fn head(&self) -> Result<&Linear, Error> {
        if let Some(head) = self.head.get() {
            return Ok(head);
        }
        let plan = self.family.plan();
        let matrix = match (plan.head_name(&self.parts), &self.unembedding) {
            (None, _) => &self.tokens.rows,
            (Some(_), Some(unembedding)) => unembedding.matrix(),
            (Some(_), None) => return Err(self.not_open()),
        };
        let weight = self.parts.place_matrix(matrix.clone())?;
        let activation = plan.logit_cap.map(Activation::SoftCap);
        Ok(self.head.get_or_init(|| Linear { weight, layout: Layout::OutIn, bias: None, activation }))
    }

    fn not_open(&self) -> Error {
        Error::NotOpen { open: self.blocks.len(), layers: self.family.plan().shape.layers }
    }

    fn residual(&self, ids: &[u32], start: usize) -> candle_core::Result<Tensor> {
        let mut residual = self.tokens.forward(ids)?;
        let scale = self.family.plan().embedding_scale;
        if scale != 1.0 {
            residual = (residual * f64::from(scale))?;
        }
        match &self.positions {
            None => Ok(residual),
            Some(positions) => {
                let places: Vec<u32> = (start..start + ids.len()).map(|position| position as u32).collect();
                add(&residual, &positions.forward(&places)?)
            }
        }
    }

    /// A pass that can be made, through so many blocks.
    fn pass(
        &self,
        ids: &[u32],
        cache: &mut Cache,
        layers: usize,
        Pass { logits, hook, cancel, .. }: Pass<'_>,
    ) -> Result<Option<Tensor>, Error> {
        let visitor = &mut Visitor::new(hook);
        let start = self.residual(ids, cache.len())?;
        let residual = self.run(0..layers, (ids, start), cache, visitor, cancel)?;
        if layers < self.shape().layers {
            visitor.visit(layers, SiteKind::ResidPre, residual)?;
            cache.commit(ids, layers);
            return Ok(None);
        }
        cancel.check()?;
        let logits = match logits {
            Logits::None => None,
            Logits::Last => Some(self.logits(&residual.narrow(0, ids.len() - 1, 1)?)?),
            Logits::All => Some(self.logits(&residual)?),
        };
        cache.commit(ids, layers);
        Ok(logits)
    }

    /// Runs one block after the other on the residual stream of `ids`, and gives what leaves the last of them.
    fn run(
        &self,
        blocks: Range<usize>,
        (ids, mut residual): (&[u32], Tensor),
        cache: &mut Cache,
        visitor: &mut Visitor<'_>,
        cancel: &Cancel,
    ) -> Result<Tensor, Error> {
        let turn = |rope: &Rope| rope.turns(cache.len(), ids.len(), self.parts.device());
        let turns = self.family.plan().ropes.iter().map(turn).collect::<candle_core::Result<Vec<_>>>()?;
        let end = blocks.end;
        for layer in blocks {
            cancel.check()?;
            let block = self.block(layer)?;
            residual = visitor.visit(layer, SiteKind::ResidPre, residual)?;
            let turns = turns.get(self.family.rope(layer));
            residual = block.forward(&residual, &mut Step { layer, cache, visitor, turns })?;
            residual = visitor.visit(layer, SiteKind::ResidPost, residual)?;
        }
        check_finite(&residual, end)?;
        Ok(residual)
    }
}

/// None for what may be missing and is.
fn or_none<T>(read: Result<T, Error>, spare: bool) -> Result<Option<T>, Error> {
    match read {
        Err(Error::Weights(weights::Error::Missing { .. })) if spare => Ok(None),
        read => read.map(Some),
    }
}

impl Shape {
    /// The sizes that a config in the spelling of most families states; `d_head` is what stands for a missing
    /// `head_dim`, where it is not the heads' share of the residual stream.
    pub(super) fn read(config: &Config, d_head: Option<usize>) -> Result<Self, Error> {
        let (d_model, heads) = (config.size(&["hidden_size"])?, config.size(&["num_attention_heads"])?);
        let d_head = match config.size_or_none(&["head_dim"])?.or(d_head) {
            Some(d_head) => d_head,
            None if d_model.is_multiple_of(heads) => d_model / heads,
            None => {
                let why = format!("`hidden_size` {d_model} is no multiple of `num_attention_heads` {heads}");
                return Err(config.bad(why));
            }
        };
        Ok(Self {
            d_model,
            layers: config.size(&["num_hidden_layers"])?,
            heads,
            d_head,
            vocab: config.size(&["vocab_size"])?,
            context: config.size(&["max_position_embeddings"])?,
            parallel: false,
        })
    }
}

impl Shape {
    /// The same with no more positions than can be turned.
    pub(super) fn turned_by(self, ropes: &[Rope]) -> Self {
        Self { context: ropes.iter().fold(self.context, |context, rope| rope.within(context)), ..self }
    }
}

impl Plan {
    /// A name without what it begins with.
    pub(super) fn bare<'n>(&self, name: &'n str) -> &'n str {
        self.prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
    }

    /// Whether a tensor, by its bare name, is an embedding of tokens or positions.
    pub(super) fn is_front(&self, name: &str) -> bool {
        name == self.embedding || self.positions == Some(name)
    }

    /// Whether a tensor, by its bare name, is of the norm behind the last block.
    pub(super) fn is_final_norm(&self, name: &str) -> bool {
        name.strip_prefix(self.final_norm).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Fails where the heads cannot share the keys and values.
    pub(super) fn check_heads(&self, config: &Config) -> Result<(), Error> {
        let (heads, kv_heads) = (self.shape.heads, self.kv_heads);
        if heads.is_multiple_of(kv_heads) {
            return Ok(());
        }
        Err(config.bad(format!("`num_attention_heads` {heads} is no multiple of `num_key_value_heads` {kv_heads}")))
    }

    /// The number of the block that a tensor belongs to, by its bare name.
    pub(super) fn block_of(&self, name: &str) -> Option<usize> {
        name.strip_prefix(self.blocks)?.split_once('.')?.0.parse().ok()
    }

    /// The head's name in these files, or `None` where the embedding is the head.
    fn head_name(&self, parts: &Parts) -> Option<&'static str> {
        let found = self.head.iter().copied().find(|name| parts.has(name));
        // Where neither is true, the first name is the one to be missed.
        if self.tied { found } else { found.or(self.head.first().copied()) }
    }

    /// What turns directions of the residual stream into token space.
    pub(super) fn unembedding(&self, parts: &Parts) -> Result<Unembedding, Error> {
        let name = self.head_name(parts).unwrap_or(self.embedding);
        self.unembedding_of(parts, parts.matrix(name, self.shape.vocab, self.shape.d_model)?)
    }

    fn unembedding_of(&self, parts: &Parts, head: Matrix) -> Result<Unembedding, Error> {
        let gain = self.norms.gain(parts, self.final_norm, self.shape.d_model)?;
        Ok(Unembedding::new(head, gain, self.norms.centred()))
    }
}

impl<F: Family> Model for Decoder<F> {
    fn shape(&self) -> &Shape {
        &self.family.plan().shape
    }

    fn value_bias(&self, layer: usize) -> Result<Option<Vec<f32>>, Error> {
        if layer >= self.blocks.len() {
            return Ok(None);
        }
        let bias = self.block(layer)?.value_bias()?;
        Ok(bias.map(|bias| bias.flatten_all()?.to_vec1()).transpose()?)
    }

    fn head_outputs(&self, layer: usize) -> Result<Option<Array>, Error> {
        if layer >= self.blocks.len() {
            return Ok(None);
        }
        self.block(layer)?.head_outputs().map(Some)
    }

    fn cache_behind(&self, blocks: usize) -> Cache {
        Cache::new(blocks, self.shape().layers)
    }

    fn forward(&self, ids: &[u32], cache: &mut Cache, pass: Pass<'_>) -> Result<Option<Tensor>, Error> {
        let layers = pass.begin(ids, cache, self.shape())?;
        if layers > self.blocks.len() {
            return Err(self.not_open());
        }
        kernel::awake(|| self.pass(ids, cache, layers, pass))
    }

    fn resume(&self, ids: &[u32], residual: &Tensor, cache: &mut Cache, cancel: &Cancel) -> Result<Tensor, Error> {
        let (first, shape) = (cache.first(), self.shape());
        check_tokens(ids, cache, shape)?;
        if self.blocks.len() < shape.layers {
            return Err(self.not_open());
        }
        if first > shape.layers {
            return Err(Error::Elsewhere { asked: shape.layers, held: first });
        }
        let expected = vec![ids.len(), shape.d_model];
        if residual.dims() != expected {
            let site = Site { layer: first, kind: SiteKind::ResidPre };
            return Err(Error::Replacement { site, found: residual.dims().to_vec(), expected });
        }
        let device = self.parts.device().unwrap_or(&Device::Cpu);
        let start = residual.to_dtype(DType::F32)?.to_device(device)?;
        let visitor = &mut Visitor::new(None);
        let residual = kernel::awake(|| self.run(first..shape.layers, (ids, start), cache, visitor, cancel))?;
        cache.commit(ids, shape.layers);
        Ok(residual.to_device(&Device::Cpu)?)
    }

    fn logits(&self, residual: &Tensor) -> Result<Tensor, Error> {
        let device = self.parts.device().unwrap_or(&Device::Cpu);
        let final_norm = self.final_norm.as_ref().ok_or_else(|| self.not_open())?;
        let logits = self.head()?.forward(&final_norm.forward(&residual.to_device(device)?)?)?;
        // Whoever reads single rows would copy all of them from a device each time.
        Ok(logits.to_device(&Device::Cpu)?)
    }

    fn unembedding(&self) -> Option<&Unembedding> {
        self.unembedding.as_ref()
    }

    fn factors(&self) -> Vec<Factor> {
        let head = self.unembedding.as_ref().map(|words| Factor { matrix: words.matrix().clone(), turned: true });
        self.parts.factors().into_iter().chain(head.filter(|_| self.parts.device().is_none())).collect()
    }
}
