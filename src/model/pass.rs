//! What every model's forward pass does alike: checking what is asked, and letting the hook look and replace.
//! Not here: the computation.

use candle_core::{DType, Tensor};

use super::{AttentionPattern, Cache, Error, Hook, Logits, Pass, Shape};
use crate::site::{Site, SiteKind};

impl Pass<'_> {
    /// Checks that the pass can be run on `ids` behind the cache, and gives how many blocks it is to run.
    pub(super) fn begin(&self, ids: &[u32], cache: &Cache, shape: &Shape) -> Result<usize, Error> {
        check_tokens(ids, cache, shape)?;
        if cache.first() > 0 {
            return Err(Error::Elsewhere { asked: 0, held: cache.first() });
        }
        let layers = match self.logits {
            Logits::None => self.layers.map_or(shape.layers, |layers| layers.min(shape.layers)),
            Logits::Last | Logits::All => shape.layers,
        };
        if layers > cache.depth() {
            return Err(Error::Shallow { asked: layers, held: cache.depth() });
        }
        Ok(layers)
    }
}

/// Fails where there are no tokens, the model cannot take so many, or one is beyond its vocabulary.
pub(super) fn check_tokens(ids: &[u32], cache: &Cache, shape: &Shape) -> Result<(), Error> {
    if ids.is_empty() {
        return Err(Error::Empty);
    }
    let asked = cache.len() + ids.len();
    if asked > shape.context {
        return Err(Error::TooLong { asked, context: shape.context });
    }
    match ids.iter().find(|id| **id as usize >= shape.vocab) {
        Some(id) => Err(Error::BadToken { id: *id, vocab: shape.vocab }),
        None => Ok(()),
    }
}

/// Fails where the residual stream that left the last block run is not finite: finite weights can overflow, and a hook
/// can replace by anything.
pub(super) fn check_finite(residual: &Tensor, blocks: usize) -> Result<(), Error> {
    // A sum is finite only where every value is. Scaled down, large values do not overflow by being many.
    let sum = (residual.abs()? * f64::from(f32::EPSILON))?.sum_all()?.to_scalar::<f32>()?;
    if sum.is_finite() { Ok(()) } else { Err(Error::Overflow { blocks }) }
}

/// Offers activations to the hook of a pass.
pub(super) struct Visitor<'a> {
    hook: Option<&'a mut dyn Hook>,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(hook: Option<&'a mut dyn Hook>) -> Self {
        Self { hook }
    }

    /// Says at which position the pass begins.
    pub(super) fn begin(&mut self, first: usize) {
        if let Some(hook) = self.hook.as_deref_mut() {
            hook.begin(first);
        }
    }

    /// The activation that is to stand at the site: the given one, or what the hook replaces it by.
    pub(super) fn visit(&mut self, layer: usize, kind: SiteKind, activation: Tensor) -> Result<Tensor, Error> {
        let site = Site { layer, kind };
        let Some(hook) = self.hook.as_deref_mut().filter(|hook| hook.is_active(site)) else { return Ok(activation) };
        let Some(new) = hook.visit(site, &activation)? else { return Ok(activation) };
        if new.dims() != activation.dims() {
            return Err(Error::Replacement { site, found: new.dims().to_vec(), expected: activation.dims().to_vec() });
        }
        Ok(new.to_dtype(DType::F32)?.to_device(activation.device())?)
    }

    /// Whether the hook wants to know what a block's attention mixes.
    pub(super) fn wants_pattern(&self, layer: usize) -> bool {
        self.hook.as_deref().is_some_and(|hook| hook.wants_pattern(layer))
    }

    /// Reports to the hook what a block's attention mixes.
    pub(super) fn attention_pattern(
        &mut self,
        layer: usize,
        attention_pattern: &AttentionPattern,
    ) -> Result<(), Error> {
        self.hook.as_deref_mut().map_or(Ok(()), |hook| Ok(hook.attention_pattern(layer, attention_pattern)?))
    }
}
