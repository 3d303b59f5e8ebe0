//! Arms: texts that go on beside each other, each behind a cache of its own, so that a step reads the weights once for all
//! of them. Not here: the passes (`decoder`), and what each of them is (`analysis::steering`).

use super::{Cache, Error, Hook, Logits, Shape};
use crate::task::Cancel;

/// A pass of several texts as one batch. All have as many tokens in their caches and as many to run; none sees anything of
/// the others.
pub struct Arms<'a> {
    /// The tokens to run, [arms · positions], arm after arm.
    pub ids: &'a [u32],
    /// For each arm keys and values of the positions in front; what is run is added to them.
    pub caches: &'a mut [Cache],
    /// As in a [`Pass`](super::Pass).
    pub layers: Option<usize>,
    /// Which logits are wanted: of the last position of each arm, or of all positions, arm after arm.
    pub logits: Logits,
    /// Looks at or replaces activations, [arms · positions, size]. What attention mixes is not offered.
    pub hook: Option<&'a mut dyn Hook>,
    /// Checked before every block.
    pub cancel: &'a Cancel,
}

impl Arms<'_> {
    /// Checks that they can be run, and gives how many positions each has and how many blocks are to run.
    pub(super) fn begin(&self, shape: &Shape) -> Result<(usize, usize), Error> {
        let Self { ids, caches, .. } = self;
        let Some(first) = caches.first() else { return Err(Error::Empty) };
        let positions = ids.len() / caches.len();
        if positions == 0 || positions * caches.len() != ids.len() {
            return Err(Error::Empty);
        }
        let asked = first.len() + positions;
        if asked > shape.context {
            return Err(Error::TooLong { asked, context: shape.context });
        }
        if let Some(id) = ids.iter().find(|id| **id as usize >= shape.vocab) {
            return Err(Error::BadToken { id: *id, vocab: shape.vocab });
        }
        let layers = match self.logits {
            Logits::None => self.layers.map_or(shape.layers, |layers| layers.min(shape.layers)),
            Logits::Last | Logits::All => shape.layers,
        };
        for cache in caches.iter() {
            if cache.first() > 0 || cache.len() != first.len() {
                return Err(Error::Elsewhere { asked: 0, held: cache.first().max(cache.len()) });
            }
            if layers > cache.depth() {
                return Err(Error::Shallow { asked: layers, held: cache.depth() });
            }
        }
        Ok((positions, layers))
    }
}
