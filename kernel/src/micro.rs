//! The widest vectors the processor has, and what of a product fits into its registers.
//! Not here: the loops themselves.

use pulp::{Scalar256b, Simd, WithSimd};

use super::block;

/// What of a product stands in the registers at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Most rows of the result.
    pub rows: usize,
    /// Columns, those of a panel.
    pub width: usize,
}

/// The shape for this processor.
pub(super) fn shape() -> Shape {
    struct Ask;

    impl WithSimd for Ask {
        type Output = Shape;

        fn with_simd<S: Simd>(self, _: S) -> Shape {
            Shape { rows: block::most_rows::<S>(), width: block::ACROSS * S::F32_LANES }
        }
    }

    widest(Ask)
}

#[cfg(test)]
thread_local! {
    /// Whether a test asks, for its own thread, for what a processor without the widest vectors does.
    pub(super) static NARROW: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(all(test, target_arch = "x86_64"))]
fn is_narrow() -> bool {
    NARROW.get()
}

#[cfg(all(not(test), target_arch = "x86_64"))]
const fn is_narrow() -> bool {
    false
}

/// Runs the loops in the widest vectors there are.
pub(super) fn widest<O: WithSimd>(op: O) -> O::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = pulp::x86::V4::try_new()
            && !is_narrow()
        {
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
