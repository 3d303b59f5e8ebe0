//! A block of a product: some rows of the result by two vectors of its columns, summed in registers.
//! Not here: which blocks there are and what they read (`lib.rs`, `left.rs`, `panels.rs`).
//!
//! Each element is one chain of multiply-adds by rising inner index, whatever block it stands in.

#![expect(clippy::inline_always, reason = "vectors live in registers only where the whole loop is one function")]

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

/// Vectors of a block's row.
pub(super) const ACROSS: usize = 2;

/// Most rows of a block: with 32 registers, 14 × 2 sums, two vectors of the panel and one factor; with 16, 6 × 2.
pub(super) const fn most_rows<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 14 } else { 6 }
}

/// Inner indices between two looks at what is to be fetched.
const STEPS: usize = 8;

/// Values of a cache line.
const LINE: usize = 16;

/// What a block is computed from.
pub(super) struct Block<'a, 'o> {
    /// The rows of the result that are in it.
    pub out: &'a mut [&'o mut [f32]],
    /// The first of its columns.
    pub column: usize,
    /// Whether the sums begin here, or continue from what `out` holds.
    pub begins: bool,
    /// \[inner, rows\].
    pub left: &'a [f32],
    /// \[inner, two vectors\].
    pub panel: &'a [f32],
    /// What will be read after this: it is fetched into the cache meanwhile.
    pub ahead: &'a [f32],
}

/// How a block of so many rows is computed: each number of rows is a function of its own, for in one function with all
/// of them the sums do not stay in the registers.
pub(super) struct Rows<S>(PhantomData<S>);

impl<S: Simd> Rows<S> {
    /// By the number of rows, less one.
    pub(super) const OF: [fn(S, Block<'_, '_>); 14] = [
        run::<S, 1>,
        run::<S, 2>,
        run::<S, 3>,
        run::<S, 4>,
        run::<S, 5>,
        run::<S, 6>,
        run::<S, 7>,
        run::<S, 8>,
        run::<S, 9>,
        run::<S, 10>,
        run::<S, 11>,
        run::<S, 12>,
        run::<S, 13>,
        run::<S, 14>,
    ];
}

fn run<S: Simd, const R: usize>(simd: S, block: Block<'_, '_>) {
    struct Of<'a, 'o, const R: usize>(Block<'a, 'o>);

    impl<const R: usize> WithSimd for Of<'_, '_, R> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            compute::<S, R>(simd, self.0);
        }
    }

    simd.vectorize(Of::<R>(block));
}

#[inline(always)]
fn compute<S: Simd, const R: usize>(simd: S, block: Block<'_, '_>) {
    let Block { out, column, begins, left, panel, ahead } = block;
    let columns = column..column + ACROSS * S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); ACROSS]; R];
    if !begins {
        for r in 0..R {
            sums[r].copy_from_slice(S::as_simd_f32s(&out[r][columns.clone()]).0);
        }
    }
    let panel = S::as_simd_f32s(panel).0.as_chunks::<ACROSS>().0;
    let left = left.as_chunks::<R>().0;
    let (panels, last_panels) = panel.as_chunks::<STEPS>();
    let (lefts, last_lefts) = left.as_chunks::<STEPS>();
    let mut ahead = ahead.chunks(LINE * ahead.len().div_ceil(LINE * panels.len().max(1)).max(1));
    for (panel, left) in panels.iter().zip(lefts) {
        if let Some(part) = ahead.next() {
            fetch(part);
        }
        for i in 0..STEPS {
            add(simd, &mut sums, &left[i], &panel[i]);
        }
    }
    for (panel, left) in last_panels.iter().zip(last_lefts) {
        add(simd, &mut sums, left, panel);
    }
    for r in 0..R {
        S::as_mut_simd_f32s(&mut out[r][columns.clone()]).0.copy_from_slice(&sums[r]);
    }
}

#[inline(always)]
fn add<S: Simd, const R: usize>(
    simd: S,
    sums: &mut [[S::f32s; ACROSS]; R],
    left: &[f32; R],
    panel: &[S::f32s; ACROSS],
) {
    for r in 0..R {
        let factor = simd.splat_f32s(left[r]);
        for c in 0..ACROSS {
            sums[r][c] = simd.mul_add_e_f32s(factor, panel[c], sums[r][c]);
        }
    }
}

/// Asks for values that will be needed soon, where the processor can be asked.
#[inline(always)]
pub fn fetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(sse) = pulp::core_arch::x86::Sse::try_new() {
        for line in values.chunks(LINE) {
            sse._mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}
