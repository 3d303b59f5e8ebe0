//! The innermost loops of a product, in the widest vectors the processor has, for weights as they lie in their files.
//! Not here: tiles and threads.
//!
//! Nothing is packed: a pass over some tokens reads every weight once, and for few tokens that reading is the whole
//! cost. Each element of the result is one chain of multiply-adds over the inner size (or one for each lane), so it is
//! the same bits whatever rows and columns are computed with it: a token's numbers do not depend on the batch.

#![expect(clippy::inline_always, reason = "vectors live in registers only where the whole loop is one function")]

use std::ops::Range;

use pulp::{Scalar256b, Simd, WithSimd};

use super::View;

/// Rows that are computed together. With the columns of [`span`] their results stay in the first-level cache.
const ROWS: usize = 32;

/// From this many rows on, copying the weights into panels that the registers can be filled from pays.
const PACKED_FROM: usize = 40;

/// Vectors of a panel's row.
const ACROSS: usize = 3;

/// Rows of `b` and panels that are packed at a time: 768 KiB with vectors of 16, which stay in the second-level cache.
const PACK: (usize, usize) = (1024, 4);

/// Results of a block: 8,192 values of f32 are 32 KiB.
const BLOCK: usize = 8192;

/// `out = a · b`, `out` row-major, where the rows of `a` are contiguous and so are the rows or the columns of `b`.
/// Gives false, and does nothing, where they are not.
pub(super) fn product(out: &mut [f32], a: View<'_>, b: View<'_>) -> bool {
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

/// `b` has contiguous rows: rows of the result are sums of its rows.
struct Along<'a> {
    out: &'a mut [f32],
    a: View<'a>,
    b: View<'a>,
}

impl WithSimd for Along<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.out.fill(0.0);
        match (self.a.rows >= PACKED_FROM, S::REGISTER_COUNT >= 32) {
            (false, true) => self.run::<S, 8>(simd),
            (false, false) => self.run::<S, 4>(simd),
            (true, true) => self.run_packed::<S, 8>(simd),
            (true, false) => self.run_packed::<S, 4>(simd),
        }
    }
}

impl Along<'_> {
    #[inline(always)]
    fn run<S: Simd, const DEPTH: usize>(mut self, simd: S) {
        let (rows, cols) = (self.a.rows, self.b.cols);
        let span = BLOCK / rows.min(ROWS);
        for first_col in (0..cols).step_by(span) {
            let columns = first_col..cols.min(first_col + span);
            for first_row in (0..rows).step_by(ROWS) {
                let block = first_row..rows.min(first_row + ROWS);
                let mut k = 0;
                while k + DEPTH <= self.a.cols {
                    self.add::<S, DEPTH>(simd, k, block.clone(), columns.clone());
                    k += DEPTH;
                }
                while k < self.a.cols {
                    self.add::<S, 1>(simd, k, block.clone(), columns.clone());
                    k += 1;
                }
            }
        }
    }

    /// Adds what `DEPTH` rows of `b`, from `k` on, give to a block of the result.
    #[inline(always)]
    fn add<S: Simd, const DEPTH: usize>(&mut self, simd: S, k: usize, rows: Range<usize>, columns: Range<usize>) {
        let (a, b) = (self.a, self.b);
        let cols = b.cols;
        let weights: [&[f32]; DEPTH] = std::array::from_fn(|i| {
            let start = (k + i) * b.row_stride + columns.start;
            &b.data[start..start + columns.len()]
        });
        let out = &mut self.out[rows.start * cols..rows.end * cols];
        let mut pairs = out.chunks_exact_mut(2 * cols);
        let mut row = rows.start;
        for pair in pairs.by_ref() {
            let (one, two) = pair.split_at_mut(cols);
            let factors = [factors(simd, a, row, k), factors(simd, a, row + 1, k)];
            add_rows(simd, [&mut one[columns.clone()], &mut two[columns.clone()]], factors, weights);
            row += 2;
        }
        let last = pairs.into_remainder();
        if !last.is_empty() {
            let factors = [factors(simd, a, row, k)];
            add_rows(simd, [&mut last[columns]], factors, weights);
        }
    }
}

/// The same sums with the weights packed, a block of results in registers.
impl Along<'_> {
    #[inline(always)]
    fn run_packed<S: Simd, const R: usize>(self, simd: S) {
        let Self { out, a, b } = self;
        let width = ACROSS * S::F32_LANES;
        let mut panels = vec![0.0; b.rows.min(PACK.0) * width * PACK.1];
        for first_col in (0..b.cols).step_by(width * PACK.1) {
            for k in (0..b.rows).step_by(PACK.0) {
                let depth = (b.rows - k).min(PACK.0);
                let columns = first_col..b.cols.min(first_col + width * PACK.1);
                pack(&mut panels, b.select_rows(k..k + depth).columns(columns.clone()), width);
                for (panel, start) in panels.chunks_exact(depth * width).zip(columns.clone().step_by(width)) {
                    let columns = start..columns.end.min(start + width);
                    let mut row = 0;
                    while row + R <= a.rows {
                        block::<S, R>(simd, out, a, (row, k), panel, &columns);
                        row += R;
                    }
                    while row < a.rows {
                        block::<S, 1>(simd, out, a, (row, k), panel, &columns);
                        row += 1;
                    }
                }
            }
        }
    }
}

/// Copies `b` into panels of `width` columns, one after the other, each row-major; the last is filled up with what
/// was there.
fn pack(panels: &mut [f32], b: View<'_>, width: usize) {
    for k in 0..b.rows {
        let row = &b.data[k * b.row_stride..][..b.cols];
        for (panel, values) in row.chunks(width).enumerate() {
            let start = (panel * b.rows + k) * width;
            panels[start..start + values.len()].copy_from_slice(values);
        }
    }
}

/// Adds to `R` rows of the result, from row `at.0` on, in some columns, what the panel of these columns gives; its first
/// row belongs to inner index `at.1`.
#[inline(always)]
fn block<S: Simd, const R: usize>(
    simd: S,
    out: &mut [f32],
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
    let (cols, width) = (out.len() / a.rows, columns.len());
    // Loops of constant length only, so that the sums never leave the registers.
    let place = |r: usize, c: usize| {
        let (start, lanes) = ((at.0 + r) * cols + columns.start, S::F32_LANES);
        start + width.min(c * lanes)..start + width.min((c + 1) * lanes)
    };
    let mut sums: [[S::f32s; ACROSS]; R] =
        std::array::from_fn(|r| std::array::from_fn(|c| simd.partial_load_f32s(&out[place(r, c)])));
    for (k, weights) in panel.iter().enumerate() {
        for r in 0..R {
            let factor = simd.splat_f32s(tokens[r][k]);
            for c in 0..ACROSS {
                sums[r][c] = simd.mul_add_e_f32s(factor, weights[c], sums[r][c]);
            }
        }
    }
    for r in 0..R {
        for c in 0..ACROSS {
            simd.partial_store_f32s(&mut out[place(r, c)], sums[r][c]);
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

/// `b` has contiguous columns: elements of the result are dot products of its columns.
struct Across<'a> {
    out: &'a mut [f32],
    a: View<'a>,
    b: View<'a>,
}

impl WithSimd for Across<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.run::<S, 4, 6>(simd) } else { self.run::<S, 2, 4>(simd) }
    }
}

impl Across<'_> {
    #[inline(always)]
    fn run<S: Simd, const R: usize, const C: usize>(mut self, simd: S) {
        let cols = self.b.cols;
        let mut col = 0;
        while col + C <= cols {
            self.columns::<S, R, C>(simd, col);
            col += C;
        }
        while col < cols {
            self.columns::<S, R, 1>(simd, col);
            col += 1;
        }
    }

    #[inline(always)]
    fn columns<S: Simd, const R: usize, const C: usize>(&mut self, simd: S, col: usize) {
        let (rows, depth) = (self.a.rows, self.a.cols);
        let weights: [&[f32]; C] = std::array::from_fn(|i| {
            let start = (col + i) * self.b.col_stride;
            &self.b.data[start..start + depth]
        });
        let mut row = 0;
        while row + R <= rows {
            self.dots::<S, R, C>(simd, row, col, weights);
            row += R;
        }
        while row < rows {
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
        for (r, sums) in sums.into_iter().enumerate() {
            let start = (row + r) * self.b.cols + col;
            for (out, sum) in self.out[start..start + C].iter_mut().zip(sums) {
                *out = simd.reduce_sum_f32s(sum);
            }
        }
    }
}
