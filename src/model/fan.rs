//! A fan: alternatives of the same positions, side by side behind the keys and values of what stands before them.
//! Not here: the passes (`decoder`), and the attention of a fan (`attention::fan`).

use std::ops::Range;

use candle_core::Tensor;

use super::{Cache, Error, Hook, Shape};
use crate::site::{Site, SiteKind};
use crate::task::Cancel;

/// Branches that are run through some blocks as one batch. Each is an alternative of the same positions, which stand
/// behind those that all of them share, and sees nothing of the others.
pub struct Fan<'a> {
    /// How many branches there are.
    pub branches: usize,
    /// The blocks to run.
    pub blocks: Range<usize>,
    /// The residual stream that enters the first of these blocks, f32 [branches · positions, d_model], branch after
    /// branch.
    pub residual: Tensor,
    /// Keys and values of the positions in front, in every one of these blocks. A fan adds nothing to it.
    pub shared: &'a Cache,
    /// Looks at or replaces activations, [branches · positions, size]. What attention mixes is not offered.
    pub hook: Option<&'a mut dyn Hook>,
    /// Checked before every block.
    pub cancel: &'a Cancel,
}

impl Fan<'_> {
    /// Checks that it can be run, and gives how many positions each branch has.
    pub(super) fn begin(&self, shape: &Shape) -> Result<usize, Error> {
        let Self { branches, blocks, residual, shared, .. } = self;
        let rows = residual.dims().first().copied().unwrap_or(0);
        let positions = rows.checked_div(*branches).unwrap_or(0);
        let expected = vec![branches * positions.max(1), shape.d_model];
        if positions == 0 || residual.dims() != expected {
            let site = Site { layer: blocks.start, kind: SiteKind::ResidPre };
            return Err(Error::Replacement { site, found: residual.dims().to_vec(), expected });
        }
        let asked = shared.len() + positions;
        if asked > shape.context {
            return Err(Error::TooLong { asked, context: shape.context });
        }
        if blocks.end > shape.layers || blocks.start > blocks.end || shared.first() > blocks.start {
            return Err(Error::Elsewhere { asked: blocks.start, held: shared.first() });
        }
        if blocks.end > shared.depth() {
            return Err(Error::Shallow { asked: blocks.end, held: shared.depth() });
        }
        Ok(positions)
    }
}
