//! Products of few rows with a matrix whose rows are contiguous, which are used where they lie: reading them once is the
//! whole cost.
//! Not here: anything else (`block.rs`).
//!
//! As there, each element is one chain of multiply-adds by rising inner index.

#![expect(clippy::inline_always, reason = "vectors live in registers only where the whole loop is one function")]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::View;

/// Up to this many rows: from more, copying the matrix into panels pays.
pub(super) const MAX_ROWS: usize = 4;

/// Results that are summed where they lie: 8,192 values of f32 are 32 KiB, which stay in the first-level cache.
const BLOCK: usize = 8192;

pub(super) struct Few<'a, 'o> {
    /// The rows of the result.
    pub out: &'a mut [&'o mut [f32]],
    pub a: View<'a>,
    /// With contiguous rows.
    pub b: View<'a>,
    /// Whether the chains begin with what stands in the result instead of with 0.
    pub onto: bool,
}

impl WithSimd for Few<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.in_place::<S, 8>(simd) } else { self.in_place::<S, 4>(simd) }
    }
}

impl Few<'_, '_> {
    #[inline(always)]
    fn in_place<S: Simd, const DEPTH: usize>(mut self, simd: S) {
        let cols = self.b.cols;
        if !self.onto {
            self.out.iter_mut().for_each(|row| row.fill(0.0));
        }
        let span = BLOCK / self.a.rows.max(1);
        for first in (0..cols).step_by(span) {
            let columns = first..cols.min(first + span);
            let mut k = 0;
            while k + DEPTH <= self.a.cols {
                self.add::<S, DEPTH>(simd, k, columns.clone());
                k += DEPTH;
            }
            while k < self.a.cols {
                self.add::<S, 1>(simd, k, columns.clone());
                k += 1;
            }
        }
    }

    /// Adds what `DEPTH` rows of `b`, from `k` on, give to some columns of the result.
    #[inline(always)]
    fn add<S: Simd, const DEPTH: usize>(&mut self, simd: S, k: usize, columns: Range<usize>) {
        let (a, b) = (self.a, self.b);
        let weights: [&[f32]; DEPTH] = std::array::from_fn(|i| {
            let start = (k + i) * b.row_stride + columns.start;
            &b.data[start..start + columns.len()]
        });
        let (pairs, last) = self.out.as_chunks_mut::<2>();
        for (pair, [one, two]) in pairs.iter_mut().enumerate() {
            let factors = [factors(simd, a, 2 * pair, k), factors(simd, a, 2 * pair + 1, k)];
            add_rows(simd, [&mut one[columns.clone()], &mut two[columns.clone()]], factors, weights);
        }
        if let [last] = last {
            let factors = [factors(simd, a, a.rows - 1, k)];
            add_rows(simd, [&mut last[columns]], factors, weights);
        }
    }
}

/// `DEPTH` values of a row of `a`, from `k` on, each in all lanes.
#[inline(always)]
fn factors<S: Simd, const DEPTH: usize>(simd: S, a: View<'_>, row: usize, k: usize) -> [S::f32s; DEPTH] {
    std::array::from_fn(|i| simd.splat_f32s(a.at(row, k + i)))
}

#[inline(always)]
fn add_rows<S: Simd, const ROWS: usize, const DEPTH: usize>(
    simd: S,
    out: [&mut [f32]; ROWS],
    factors: [[S::f32s; DEPTH]; ROWS],
    weights: [&[f32]; DEPTH],
) {
    let weights = weights.map(S::as_simd_f32s);
    let mut out = out.map(S::as_mut_simd_f32s);
    let vectors = weights[0].0.len();
    assert!(weights.iter().all(|row| row.0.len() == vectors) && out.iter().all(|row| row.0.len() == vectors));
    for i in 0..vectors {
        let weight: [S::f32s; DEPTH] = std::array::from_fn(|k| weights[k].0[i]);
        for (out, factors) in out.iter_mut().zip(&factors) {
            let mut sum = out.0[i];
            for k in 0..DEPTH {
                sum = simd.mul_add_e_f32s(factors[k], weight[k], sum);
            }
            out.0[i] = sum;
        }
    }
    if !weights[0].1.is_empty() {
        for (out, factors) in out.iter_mut().zip(&factors) {
            let mut sum = simd.partial_load_f32s(out.1);
            for k in 0..DEPTH {
                sum = simd.mul_add_e_f32s(factors[k], simd.partial_load_f32s(weights[k].1), sum);
            }
            simd.partial_store_f32s(out.1, sum);
        }
    }
}
