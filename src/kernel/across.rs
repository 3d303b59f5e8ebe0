//! Products with a matrix whose columns are contiguous: elements of the result are dot products with its columns.
//! Not here: matrices whose rows are contiguous (`along.rs`).
//!
//! An element is one chain of multiply-adds for each lane, and the lanes are added at the end. Many rows go another way
//! to the same bits (`turned.rs`).

#![expect(clippy::inline_always, reason = "vectors live in registers only where the whole loop is one function")]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::View;
use super::turned;

/// Values of some rows of `a` that are gone through with every column: 24 KiB, which stay in the first-level cache
/// while the columns come from the second.
const BLOCK: usize = 6144;

pub(super) struct Across<'a, 'o> {
    /// The rows of the result.
    pub out: &'a mut [&'o mut [f32]],
    pub a: View<'a>,
    /// With contiguous columns.
    pub b: View<'a>,
}

impl WithSimd for Across<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let wide = S::REGISTER_COUNT >= 32;
        let Self { out, a, b } = self;
        match (turned::pays::<S>(a.rows, a.cols), wide) {
            (true, true) => turned::product::<S, 8>(simd, out, a, b),
            (true, false) => turned::product::<S, 4>(simd, out, a, b),
            (false, true) => Self { out, a, b }.run::<S, 4, 6>(simd),
            (false, false) => Self { out, a, b }.run::<S, 2, 4>(simd),
        }
    }
}

impl Across<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const C: usize>(mut self, simd: S) {
        let (rows, cols) = (self.a.rows, self.b.cols);
        let together = (BLOCK / self.a.cols.max(1)).max(R).next_multiple_of(R);
        for first in (0..rows).step_by(together) {
            let rows = first..rows.min(first + together);
            let mut col = 0;
            while col + C <= cols {
                self.columns::<S, R, C>(simd, rows.clone(), col);
                col += C;
            }
            while col < cols {
                self.columns::<S, R, 1>(simd, rows.clone(), col);
                col += 1;
            }
        }
    }

    #[inline(always)]
    fn columns<S: Simd, const R: usize, const C: usize>(&mut self, simd: S, rows: Range<usize>, col: usize) {
        let depth = self.a.cols;
        let weights: [&[f32]; C] = std::array::from_fn(|i| {
            let start = (col + i) * self.b.col_stride;
            &self.b.data[start..start + depth]
        });
        let mut row = rows.start;
        while row + R <= rows.end {
            self.dots::<S, R, C>(simd, row, col, weights);
            row += R;
        }
        while row < rows.end {
            self.dots::<S, 1, C>(simd, row, col, weights);
            row += 1;
        }
    }

    #[inline(always)]
    fn dots<S: Simd, const R: usize, const C: usize>(&mut self, simd: S, row: usize, col: usize, weights: [&[f32]; C]) {
        let depth = self.a.cols;
        let tokens: [&[f32]; R] = std::array::from_fn(|i| {
            let start = (row + i) * self.a.row_stride;
            &self.a.data[start..start + depth]
        });
        let (weights, tokens) = (weights.map(S::as_simd_f32s), tokens.map(S::as_simd_f32s));
        let vectors = weights[0].0.len();
        assert!(weights.iter().all(|row| row.0.len() == vectors) && tokens.iter().all(|row| row.0.len() == vectors));
        let mut sums = [[simd.splat_f32s(0.0); C]; R];
        for i in 0..vectors {
            let weight: [S::f32s; C] = std::array::from_fn(|c| weights[c].0[i]);
            for (sums, token) in sums.iter_mut().zip(&tokens) {
                for c in 0..C {
                    sums[c] = simd.mul_add_e_f32s(token.0[i], weight[c], sums[c]);
                }
            }
        }
        if !weights[0].1.is_empty() {
            for (sums, token) in sums.iter_mut().zip(&tokens) {
                let token = simd.partial_load_f32s(token.1);
                for c in 0..C {
                    sums[c] = simd.mul_add_e_f32s(token, simd.partial_load_f32s(weights[c].1), sums[c]);
                }
            }
        }
        for (out, sums) in self.out[row..row + R].iter_mut().zip(sums) {
            for (out, sum) in out[col..col + C].iter_mut().zip(sums) {
                *out = simd.reduce_sum_f32s(sum);
            }
        }
    }
}
