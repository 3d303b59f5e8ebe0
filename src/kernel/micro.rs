//! The innermost loops of a product, in the widest vectors the processor has: which of them is taken.
//! Not here: the loops (`along.rs`, `across.rs`), tiles and threads.
//!
//! Each element of the result is one chain of multiply-adds over the inner size (or one for each lane), so it is the
//! same bits whatever rows and columns are computed with it: a token's numbers do not depend on the batch.

use pulp::{Scalar256b, Simd, WithSimd};

use super::View;
use super::across::Across;
use super::along::Along;

/// `out = a · b`, a row of it in each slice, where the rows of `a` are contiguous and so are the rows or the columns of
/// `b`. Gives false, and does nothing, where they are not.
pub(super) fn product(out: &mut [&mut [f32]], a: View<'_>, b: View<'_>) -> bool {
    if a.col_stride != 1 {
        return false;
    }
    if b.col_stride == 1 {
        widest(Along { out, a, b });
    } else if b.row_stride == 1 {
        widest(Across { out, a, b });
    } else {
        return false;
    }
    true
}

/// Runs the loops in the widest vectors there are.
pub(super) fn widest<O: WithSimd>(op: O) -> O::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = pulp::x86::V4::try_new() {
            return Simd::vectorize(simd, op);
        }
        if let Some(simd) = pulp::x86::V3::try_new() {
            return Simd::vectorize(simd, op);
        }
        Scalar256b.vectorize(op)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = Scalar256b;
        pulp::Arch::new().dispatch(op)
    }
}
