//! Products with a matrix whose rows are contiguous: rows of the result are sums of its rows.
//! Not here: matrices whose columns are contiguous (`across.rs`).
//!
//! For few tokens reading the weights once is the whole cost, and they are used where they lie. For more, some columns
//! of the weights are copied into panels first, from which the registers are filled, and a block of the result stays in
//! registers over the whole inner size. Either way each element is the same chain of multiply-adds.

#![expect(clippy::inline_always, reason = "vectors live in registers only where the whole loop is one function")]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::View;
use super::panels::Panels;

/// From this many rows on, copying the weights into panels pays.
const PACKED_FROM: usize = 5;

/// Results that are summed where they lie: 8,192 values of f32 are 32 KiB, which stay in the first-level cache.
const BLOCK: usize = 8192;

/// Vectors of a panel's row.
const ACROSS: usize = 3;

/// Rows and columns of `b` that are packed at a time: 792 KiB, which stay in the second-level cache. Few rows of many
/// columns for few tokens, where reading the weights counts: long pieces of few rows come faster from memory than short
/// pieces of many, each of which lies in another page.
const PACK: [(usize, usize); 2] = [(96, 2112), (384, 528)];

pub(super) struct Along<'a, 'o> {
    /// The rows of the result.
    pub out: &'a mut [&'o mut [f32]],
    pub a: View<'a>,
    /// With contiguous rows.
    pub b: View<'a>,
}

impl WithSimd for Along<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.a.rows >= PACKED_FROM, S::REGISTER_COUNT >= 32) {
            (false, true) => self.in_place::<S, 8>(simd),
            (false, false) => self.in_place::<S, 4>(simd),
            (true, true) => self.packed::<S, 8>(simd),
            (true, false) => self.packed::<S, 4>(simd),
        }
    }
}

/// The weights where they lie, the results in the first-level cache.
impl Along<'_, '_> {
    #[inline(always)]
    fn in_place<S: Simd, const DEPTH: usize>(mut self, simd: S) {
        let cols = self.b.cols;
        self.out.iter_mut().for_each(|row| row.fill(0.0));
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
    let start = row * a.row_stride + k;
    let values = &a.data[start..start + DEPTH];
    std::array::from_fn(|i| simd.splat_f32s(values[i]))
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

/// The weights packed, a block of results in registers.
impl Along<'_, '_> {
    #[inline(always)]
    fn packed<S: Simd, const R: usize>(self, simd: S) {
        let Self { out, a, b } = self;
        let width = ACROSS * S::F32_LANES;
        if b.rows == 0 {
            for row in out.iter_mut() {
                row.fill(0.0);
            }
        }
        let (depth, together) = PACK[usize::from(a.rows > super::FEW)];
        let together = together.min(b.cols).next_multiple_of(width);
        let mut panels = Panels::take(b.rows.min(depth) * together);
        let panels = panels.values();
        for first_col in (0..b.cols).step_by(together) {
            let columns = first_col..b.cols.min(first_col + together);
            for k in (0..b.rows).step_by(depth) {
                let part = b.select_rows(k..b.rows.min(k + depth)).columns(columns.clone());
                pack::<S>(panels, part);
                for (panel, start) in panels.chunks_exact(part.rows * width).zip(columns.clone().step_by(width)) {
                    let columns = start..columns.end.min(start + width);
                    rows::<S, R>(simd, out, a, k, panel, &columns);
                }
            }
        }
    }
}

/// All rows of the result, in the columns of one panel, `R` at a time.
#[inline(always)]
fn rows<S: Simd, const R: usize>(
    simd: S,
    out: &mut [&mut [f32]],
    a: View<'_>,
    k: usize,
    panel: &[f32],
    columns: &Range<usize>,
) {
    let mut row = 0;
    while row + R <= a.rows {
        block::<S, R>(simd, out, a, (row, k), panel, columns);
        row += R;
    }
    if R > 4 && row + 4 <= a.rows {
        block::<S, 4>(simd, out, a, (row, k), panel, columns);
        row += 4;
    }
    if row + 2 <= a.rows {
        block::<S, 2>(simd, out, a, (row, k), panel, columns);
        row += 2;
    }
    if row < a.rows {
        block::<S, 1>(simd, out, a, (row, k), panel, columns);
    }
}

/// Copies `b` into panels of some vectors, one after the other, each row-major; the last is filled up with what was
/// there.
#[inline(always)]
fn pack<S: Simd>(panels: &mut [f32], b: View<'_>) {
    let width = ACROSS * S::F32_LANES;
    for (index, first) in (0..b.cols).step_by(width).enumerate() {
        let columns = b.cols.min(first + width) - first;
        let panel = &mut panels[index * b.rows * width..(index + 1) * b.rows * width];
        if columns == width {
            for (row, out) in S::as_mut_simd_f32s(panel).0.as_chunks_mut::<ACROSS>().0.iter_mut().enumerate() {
                let start = row * b.row_stride + first;
                out.copy_from_slice(S::as_simd_f32s(&b.data[start..start + width]).0);
            }
        } else {
            for (row, out) in panel.chunks_exact_mut(width).enumerate() {
                let start = row * b.row_stride + first;
                out[..columns].copy_from_slice(&b.data[start..start + columns]);
            }
        }
    }
}

/// Adds to `R` rows of the result, from row `at.0` on, in some columns, what the panel of these columns gives; its first
/// row belongs to inner index `at.1`, and where that is 0 the sums begin.
#[inline(always)]
fn block<S: Simd, const R: usize>(
    simd: S,
    out: &mut [&mut [f32]],
    a: View<'_>,
    at: (usize, usize),
    panel: &[f32],
    columns: &Range<usize>,
) {
    let panel = S::as_simd_f32s(panel).0.as_chunks::<ACROSS>().0;
    let tokens: [&[f32]; R] = std::array::from_fn(|r| {
        let start = (at.0 + r) * a.row_stride + at.1;
        &a.data[start..start + panel.len()]
    });
    let out = &mut out[at.0..at.0 + R];
    let (width, lanes) = (columns.len(), S::F32_LANES);
    // Loops of constant length only, so that the sums never leave the registers.
    let place = |c: usize| columns.start + width.min(c * lanes)..columns.start + width.min((c + 1) * lanes);
    let mut sums = [[simd.splat_f32s(0.0); ACROSS]; R];
    if at.1 > 0 && width == ACROSS * lanes {
        for r in 0..R {
            sums[r].copy_from_slice(S::as_simd_f32s(&out[r][columns.clone()]).0);
        }
    } else if at.1 > 0 {
        sums = std::array::from_fn(|r| std::array::from_fn(|c| simd.partial_load_f32s(&out[r][place(c)])));
    }
    for (k, weights) in panel.iter().enumerate() {
        for r in 0..R {
            let factor = simd.splat_f32s(tokens[r][k]);
            for c in 0..ACROSS {
                sums[r][c] = simd.mul_add_e_f32s(factor, weights[c], sums[r][c]);
            }
        }
    }
    for r in 0..R {
        if width == ACROSS * lanes {
            S::as_mut_simd_f32s(&mut out[r][columns.clone()]).0.copy_from_slice(&sums[r]);
        } else {
            for c in 0..ACROSS {
                simd.partial_store_f32s(&mut out[r][place(c)], sums[r][c]);
            }
        }
    }
}
