//! What all families have in common: an embedding, blocks one after the other, a final norm, a head; with hooks at the
//! sites, a KV cache, and blocks that are read when a pass first needs them.
//! Not here: what is in a block (`family`), and how it is computed (`layers`, `attention`, `norm`, `rope`).

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};

use super::activation::Activation;
use super::arms::Arms;
use super::family::{Block, BlockStep, Family, Memory};
use super::fan::Fan;
use super::layers::{Embedding, Layout, Linear, add};
use super::model_scope::ModelScope;
use super::norm::Norm;
use super::pass::{Visitor, check_finite, check_tokens};
use super::plan::Head;
use super::rope::Rope;
use super::weight_loader::WeightLoader;
use super::{Cache, Error, Logits, Model, Pass, Shape, Unembedding};
use crate::kernel;
use crate::site::{Site, SiteKind};
use crate::task::Cancel;
use crate::weights::{self, Array, PackableMatrix};

/// A model of a family, on its device.
#[derive(Debug)]
pub(super) struct Decoder {
    family: Box<dyn Family>,
    parts: WeightLoader,
    /// How much of the model the files are to hold.
    extent: ModelScope,
    tokens: Embedding,
    positions: Option<Embedding>,
    /// Those that are open. Each is read, and its values looked at, when a pass first goes through it: layers that no
    /// question needs are never read.
    blocks: Vec<OnceLock<Box<dyn Block>>>,
    /// None where the files that are open do not hold it.
    final_norm: Option<Norm>,
    /// Read when logits are first wanted.
    head: OnceLock<Linear>,
    unembedding: Option<Unembedding>,
}

impl Decoder {
    /// Sees that all tensors of the extent are there, with the right shapes and types, and reads those outside the
    /// blocks.
    pub(super) fn load(family: Box<dyn Family>, parts: WeightLoader, extent: ModelScope) -> Result<Self, Error> {
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
        let unembedding = match plan.head_in(&parts) {
            Head::Embedding => plan.unembedding_of(&parts, tokens.clone()).map(Some),
            Head::Own(_) | Head::Nowhere => plan.unembedding(&parts),
        };
        // Where predictions are not wanted, words are welcome and not needed.
        let spare = extent != ModelScope::Whole;
        let final_norm = or_none(plan.norms.read(&parts, plan.final_norm, d), spare)?;
        let positions = plan.positions.map(|name| parts.matrix(name, plan.shape.context, d)).transpose()?;
        let embedding = |rows| Embedding { rows, device: parts.device().cloned() };
        Ok(Self {
            tokens: embedding(tokens),
            positions: positions.map(embedding),
            blocks: std::iter::repeat_with(OnceLock::new).take(blocks).collect(),
            final_norm,
            head: OnceLock::new(),
            unembedding: or_none(unembedding, spare)?.flatten(),
            family,
            parts,
            extent,
        })
    }

    fn block(&self, layer: usize) -> Result<&dyn Block, Error> {
        let cell = &self.blocks[layer];
        if let Some(block) = cell.get() {
            return Ok(&**block);
        }
        let block = self.family.block(&self.parts, layer)?;
        Ok(&**cell.get_or_init(|| block))
    }

    fn head(&self) -> Result<&Linear, Error> {
        if let Some(head) = self.head.get() {
            return Ok(head);
        }
        let plan = self.family.plan();
        let matrix = match (plan.head_in(&self.parts), &self.unembedding) {
            (Head::Embedding, _) => &self.tokens.rows,
            (Head::Own(_), Some(unembedding)) => unembedding.matrix(),
            (Head::Own(_), None) => return Err(self.not_open()),
            (Head::Nowhere, _) => return Err(self.no_head()),
        };
        let weight = self.parts.place_matrix(matrix.clone())?;
        let activation = plan.logit_cap.map(Activation::SoftCap);
        Ok(self.head.get_or_init(|| Linear { weight, layout: Layout::OutIn, bias: None, activation }))
    }

    fn not_open(&self) -> Error {
        Error::NotOpen { open: self.blocks.len(), layers: self.family.plan().shape.layers }
    }

    /// That the files hold no head, or not those files that are open.
    fn no_head(&self) -> Error {
        if self.extent == ModelScope::Whole {
            self.family.plan().no_head(self.parts.file_names())
        } else {
            self.not_open()
        }
    }

    /// What enters the first block: the tokens of one or several texts, each of so many positions from `start` on.
    fn residual(&self, ids: &[u32], start: usize, positions: usize) -> candle_core::Result<Tensor> {
        let mut residual = self.tokens.forward(ids)?;
        let scale = self.family.plan().embedding_scale;
        if scale != 1.0 {
            residual = (residual * f64::from(scale))?;
        }
        match &self.positions {
            None => Ok(residual),
            Some(embedding) => {
                let places: Vec<u32> = (0..ids.len()).map(|at| (start + at % positions) as u32).collect();
                add(&residual, &embedding.forward(&places)?)
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
        visitor.begin(cache.len());
        let start = self.residual(ids, cache.len(), ids.len())?;
        let residual = self.run(0..layers, start, Memory::Growing(cache), visitor, cancel)?;
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

    /// Arms that can be run, each of so many positions, through so many blocks.
    fn pass_apart(&self, arms: Arms<'_>, positions: usize, layers: usize) -> Result<Option<Tensor>, Error> {
        let Arms { ids, caches, logits, hook, cancel, .. } = arms;
        let visitor = &mut Visitor::new(hook);
        let before = caches.first().map_or(0, Cache::len);
        visitor.begin(before);
        let start = self.residual(ids, before, positions)?;
        let residual = self.run(0..layers, start, Memory::Apart(caches), visitor, cancel)?;
        let mut given = None;
        if layers < self.shape().layers {
            visitor.visit(layers, SiteKind::ResidPre, residual)?;
        } else {
            cancel.check()?;
            given = match logits {
                Logits::None => None,
                Logits::Last => {
                    let last: Vec<u32> = (1..=caches.len()).map(|arm| (arm * positions - 1) as u32).collect();
                    let last = Tensor::new(last, residual.device())?;
                    Some(self.logits(&residual.index_select(&last, 0)?)?)
                }
                Logits::All => Some(self.logits(&residual)?),
            };
        }
        for (cache, ids) in caches.iter_mut().zip(ids.chunks_exact(positions)) {
            cache.commit(ids, layers);
        }
        Ok(given)
    }

    /// Runs one block after the other on the residual stream of the rows that stand behind `memory`, and gives what leaves
    /// the last of them.
    fn run(
        &self,
        blocks: Range<usize>,
        mut residual: Tensor,
        mut memory: Memory<'_>,
        visitor: &mut Visitor<'_>,
        cancel: &Cancel,
    ) -> Result<Tensor, Error> {
        let (before, branches) = (memory.positions(), memory.branches());
        let positions = residual.dim(0)? / branches.max(1);
        let turn = |rope: &Rope| rope.rotary(before, positions, branches, self.parts.device());
        let rotary = self.family.plan().ropes.iter().map(turn).collect::<candle_core::Result<Vec<_>>>()?;
        let end = blocks.end;
        for layer in blocks {
            cancel.check()?;
            let block = self.block(layer)?;
            residual = visitor.visit(layer, SiteKind::ResidPre, residual)?;
            let rotary = self.family.rope(layer).and_then(|rope| rotary.get(rope));
            let memory = memory.lend();
            residual = block.forward(&residual, &mut BlockStep { layer, memory, visitor, rotary })?;
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

impl Model for Decoder {
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

    fn norms_heads(&self, layer: usize) -> Result<bool, Error> {
        if layer < self.blocks.len() { Ok(self.block(layer)?.norms_heads()) } else { Ok(false) }
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
        let residual = kernel::awake(|| {
            visitor.begin(cache.len());
            self.run(first..shape.layers, start, Memory::Growing(cache), visitor, cancel)
        })?;
        cache.commit(ids, shape.layers);
        Ok(residual.to_device(&Device::Cpu)?)
    }

    fn fan(&self, fan: Fan<'_>) -> Result<Tensor, Error> {
        fan.begin(self.shape())?;
        let Fan { branches, blocks, residual, shared, hook, cancel } = fan;
        if blocks.end > self.blocks.len() {
            return Err(self.not_open());
        }
        let device = self.parts.device().unwrap_or(&Device::Cpu);
        let start = residual.to_dtype(DType::F32)?.to_device(device)?;
        let visitor = &mut Visitor::new(hook);
        visitor.begin(shared.len());
        let residual = kernel::awake(|| self.run(blocks, start, Memory::Shared(shared, branches), visitor, cancel))?;
        Ok(residual.to_device(&Device::Cpu)?)
    }

    fn arms(&self, arms: Arms<'_>) -> Result<Option<Tensor>, Error> {
        let (positions, layers) = arms.begin(self.shape())?;
        if layers > self.blocks.len() {
            return Err(self.not_open());
        }
        kernel::awake(|| self.pass_apart(arms, positions, layers))
    }

    fn final_scales(&self, residual: &[f32]) -> Result<Vec<f64>, Error> {
        let norm = self.final_norm.as_ref().ok_or_else(|| self.not_open())?;
        Ok(residual.chunks_exact(self.shape().d_model.max(1)).map(|row| norm.scale(row)).collect())
    }

    fn logits(&self, residual: &Tensor) -> Result<Tensor, Error> {
        let device = self.parts.device().unwrap_or(&Device::Cpu);
        let (head, final_norm) = (self.head()?, self.final_norm.as_ref().ok_or_else(|| self.not_open())?);
        let logits = head.forward(&final_norm.forward(&residual.to_device(device)?)?)?;
        // Whoever reads single rows would copy all of them from a device each time.
        Ok(logits.to_device(&Device::Cpu)?)
    }

    fn check_logits(&self) -> Result<(), Error> {
        match self.family.plan().head_in(&self.parts) {
            Head::Nowhere => Err(self.no_head()),
            _ if self.blocks.len() < self.shape().layers || self.unembedding.is_none() => Err(self.not_open()),
            Head::Own(_) | Head::Embedding => Ok(()),
        }
    }

    fn unembedding(&self) -> Option<&Unembedding> {
        self.unembedding.as_ref()
    }

    fn packable(&self) -> Vec<PackableMatrix> {
        let head =
            self.unembedding.as_ref().map(|words| PackableMatrix { matrix: words.matrix().clone(), transposed: true });
        self.parts.packable().into_iter().chain(head.filter(|_| self.parts.device().is_none())).collect()
    }
}
