//! What a family of models is: its plan, its blocks, and what a block may do while a pass goes through it.
//! Not here: the families, and the passes (`decoder`).

use candle_core::Tensor;

use super::attention::Attention;
use super::pass::Visitor;
use super::plan::Plan;
use super::rope::RotaryTable;
use super::weight_loader::WeightLoader;
use super::{AttentionPattern, Cache, Error};
use crate::site::SiteKind;
use crate::weights::Array;

/// One family of models, configured.
pub(super) trait Family: std::fmt::Debug + Send + Sync {
    /// What is alike in every family.
    fn plan(&self) -> &Plan;

    /// Which of the plan's ropes turns the queries and keys of a block, if one does.
    fn rope(&self, _layer: usize) -> Option<usize> {
        Some(0)
    }

    /// Reads one block.
    fn block(&self, parts: &WeightLoader, layer: usize) -> Result<Box<dyn Block>, Error>;
}

/// One block of a model.
pub(super) trait Block: std::fmt::Debug + Send + Sync {
    /// The residual stream, [positions, d_model], through the block.
    fn forward(&self, residual: &Tensor, step: &mut BlockStep<'_, '_>) -> Result<Tensor, Error>;

    /// What its heads write into the residual stream per unit of z, [heads · d_head, d_model].
    fn head_outputs(&self) -> Result<Array, Error>;

    /// Whether a norm stands behind what its heads write.
    fn norms_heads(&self) -> bool {
        false
    }

    /// What its attention adds to z whatever the tokens are, [1, heads · d_head], in families with such biases.
    fn value_bias(&self) -> Result<Option<Tensor>, Error> {
        Ok(None)
    }
}

/// What a block may do while a pass goes through it.
pub(super) struct BlockStep<'a, 'h> {
    pub(super) layer: usize,
    pub(super) memory: Memory<'a>,
    pub(super) visitor: &'a mut Visitor<'h>,
    pub(super) rotary: Option<&'a RotaryTable>,
}

/// The keys and values of positions in front of a pass.
pub(super) enum Memory<'a> {
    /// Those of the pass are added to them.
    Growing(&'a mut Cache),
    /// They stay as they are, and so many branches share them.
    Shared(&'a Cache, usize),
    /// Each arm has its own, of equally many positions, and those of the pass are added to them.
    Apart(&'a mut [Cache]),
}

impl Memory<'_> {
    /// How many positions stand in front.
    pub(super) fn positions(&self) -> usize {
        match self {
            Self::Growing(cache) => cache.len(),
            Self::Shared(cache, _) => cache.len(),
            Self::Apart(caches) => caches.first().map_or(0, Cache::len),
        }
    }

    /// How many branches stand side by side.
    pub(super) const fn branches(&self) -> usize {
        match self {
            Self::Growing(_) => 1,
            Self::Shared(_, branches) => *branches,
            Self::Apart(caches) => caches.len(),
        }
    }

    /// The same, lent for one block.
    pub(super) fn lend(&mut self) -> Memory<'_> {
        match self {
            Self::Growing(cache) => Memory::Growing(cache),
            Self::Shared(cache, branches) => Memory::Shared(cache, *branches),
            Self::Apart(caches) => Memory::Apart(caches),
        }
    }
}

impl BlockStep<'_, '_> {
    /// The activation that is to stand at a site of this block.
    pub(super) fn visit(&mut self, kind: SiteKind, activation: Tensor) -> Result<Tensor, Error> {
        self.visitor.visit(self.layer, kind, activation)
    }

    /// What attention gives for these queries, at its site, given the keys and values of the same rows: they see those of
    /// the positions in front too. The hook is reported what is mixed if it wants to know.
    pub(super) fn attend(
        &mut self,
        attention: &Attention,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<Tensor, Error> {
        let mixed = match &mut self.memory {
            Memory::Growing(cache) => {
                let (keys, values) = cache.append(self.layer, keys, values)?;
                if self.visitor.wants_pattern(self.layer) {
                    let weights = attention.weights(queries, &keys)?;
                    self.visitor
                        .attention_pattern(self.layer, &AttentionPattern { weights, values: values.clone() })?;
                }
                attention.forward(queries, &keys, &values)?
            }
            Memory::Shared(cache, branches) => {
                attention.fan((queries, keys, values), cache.held(self.layer)?.as_ref(), *branches)?
            }
            Memory::Apart(caches) => attend_apart(attention, caches, self.layer, (queries, keys, values))?,
        };
        self.visit(SiteKind::AttnZ, mixed)
    }

    /// Queries or keys, heads of `size` values side by side, turned to their positions.
    pub(super) fn turn(&self, x: &Tensor, size: usize) -> candle_core::Result<Tensor> {
        self.rotary.map_or_else(|| Ok(x.clone()), |rotary| rotary.apply(x, size))
    }
}

/// What attention gives for each arm behind its own keys and values: what it would give alone.
fn attend_apart(
    attention: &Attention,
    caches: &mut [Cache],
    layer: usize,
    (queries, keys, values): (&Tensor, &Tensor, &Tensor),
) -> candle_core::Result<Tensor> {
    let own = queries.dim(0)? / caches.len().max(1);
    let mut mixed = Vec::with_capacity(caches.len());
    for (arm, cache) in caches.iter_mut().enumerate() {
        let rows = |x: &Tensor| x.narrow(0, arm * own, own);
        let (keys, values) = cache.append(layer, &rows(keys)?, &rows(values)?)?;
        mixed.push(attention.forward(&rows(queries)?, &keys, &values)?);
    }
    Tensor::cat(&mixed, 0)
}
