//! Products of many rows with a matrix whose columns are contiguous: its columns are copied side by side into panels,
//! so that a block of the result stays in registers and needs no sums over lanes.
//! Not here: few rows, for which copying does not pay (`across.rs`).
//!
//! The result has the bits of `across.rs`: there, lane l of L adds up the products of the inner indices l, l + L, l + 2L
//! and so on, and then the lanes are added by halves: l and l + L/2, those sums likewise, until one is left. Here the
//! panel holds the inner indices in that order, so that each lane's sum is a chain of its own.

#![expect(clippy::inline_always, reason = "vectors live in registers only where the whole loop is one function")]

use std::ops::Range;

use pulp::Simd;

use super::View;
use super::panels::Panels;

/// Vectors of a panel's row.
const ACROSS: usize = 3;

/// Most values of a column: with vectors of 16, a panel of this many rows is 768 KiB, which stays in the second-level
/// cache.
const DEEPEST: usize = 4096;

/// From this many rows on, copying pays.
const FROM: usize = 32;

/// The most lanes that there are, and how many times they are halved before one is left, with the one.
const MOST: usize = 16;
const LEVELS: usize = 5;

/// Whether a product of this shape is better computed here. Vectors whose lanes are not added by halves never are.
pub(super) const fn pays<S: Simd>(rows: usize, depth: usize) -> bool {
    cfg!(target_arch = "x86_64") && S::F32_LANES <= MOST && rows >= FROM && depth <= DEEPEST
}

/// `out = a · b`, a row of it in each slice.
#[inline(always)]
pub(super) fn product<S: Simd, const R: usize>(simd: S, out: &mut [&mut [f32]], a: View<'_>, b: View<'_>) {
    let (width, steps) = (ACROSS * S::F32_LANES, a.cols.div_ceil(S::F32_LANES));
    let mut panels = Panels::take(steps * S::F32_LANES * width);
    for first in (0..b.cols).step_by(width) {
        let columns = first..b.cols.min(first + width);
        turn::<S>(simd, panels.values(), b.columns(columns.clone()), steps);
        rows::<S, R>(simd, out, a, panels.values(), &columns);
    }
}

/// Copies columns side by side, the inner indices lane by lane: index i·L + l becomes row l·steps + i.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "the group is a place within each row of the panel, not a row of it")]
fn turn<S: Simd>(simd: S, panel: &mut [f32], b: View<'_>, steps: usize) {
    let lanes = S::F32_LANES;
    let panel = S::as_mut_simd_f32s(panel).0.as_chunks_mut::<ACROSS>().0;
    for group in 0..ACROSS {
        // Past the last column there is room to be filled with anything.
        let columns: [&[f32]; MOST] = std::array::from_fn(|i| {
            let start = (group * lanes + i).min(b.cols - 1) * b.col_stride;
            &b.data[start..start + b.rows]
        });
        for step in 0..steps {
            let inner = step * lanes..b.rows.min((step + 1) * lanes);
            let mut square = [simd.splat_f32s(0.0); MOST];
            for (vector, column) in square.iter_mut().zip(columns).take(lanes) {
                // Loading what may be partial costs more.
                *vector = match S::as_simd_f32s(&column[inner.clone()]).0 {
                    [whole] => *whole,
                    _ => simd.partial_load_f32s(&column[inner.clone()]),
                };
            }
            let square: &[f32] = bytemuck::cast_slice(&square);
            for lane in 0..lanes {
                let out: &mut [f32] =
                    bytemuck::cast_slice_mut(std::slice::from_mut(&mut panel[lane * steps + step][group]));
                for (column, out) in out.iter_mut().enumerate() {
                    *out = square[column * lanes + lane];
                }
            }
        }
    }
}

/// All rows of the result, in the columns of the panel, `R` at a time.
#[inline(always)]
fn rows<S: Simd, const R: usize>(simd: S, out: &mut [&mut [f32]], a: View<'_>, panel: &[f32], columns: &Range<usize>) {
    let mut row = 0;
    while row + R <= a.rows {
        block::<S, R>(simd, out, a, row, panel, columns);
        row += R;
    }
    while row < a.rows {
        block::<S, 1>(simd, out, a, row, panel, columns);
        row += 1;
    }
}

/// `R` rows of the result, from `row` on, in the columns of the panel.
#[inline(always)]
fn block<S: Simd, const R: usize>(
    simd: S,
    out: &mut [&mut [f32]],
    a: View<'_>,
    row: usize,
    panel: &[f32],
    columns: &Range<usize>,
) {
    let lanes = S::F32_LANES;
    let panel = S::as_simd_f32s(panel).0.as_chunks::<ACROSS>().0;
    let steps = panel.len() / lanes;
    let tokens: [&[f32]; R] = std::array::from_fn(|r| {
        let start = (row + r) * a.row_stride;
        &a.data[start..start + a.cols]
    });
    // Sums over 1, 2, 4, … lanes that wait for the other half.
    let mut waiting = [[[simd.splat_f32s(0.0); ACROSS]; R]; LEVELS];
    let bits = lanes.trailing_zeros();
    for count in 0..lanes {
        let lane = if bits == 0 { 0 } else { count.reverse_bits() >> (usize::BITS - bits) };
        let mut sums = chain::<S, R>(simd, &panel[lane * steps..(lane + 1) * steps], tokens, lane);
        let mut level = 0;
        while count >> level & 1 == 1 {
            for r in 0..R {
                for c in 0..ACROSS {
                    sums[r][c] = simd.add_f32s(waiting[level][r][c], sums[r][c]);
                }
            }
            level += 1;
        }
        waiting[level] = sums;
    }
    let sums = &waiting[bits as usize];
    let width = columns.len();
    for (out, sums) in out[row..row + R].iter_mut().zip(sums) {
        let out = &mut out[columns.clone()];
        if width == ACROSS * lanes {
            S::as_mut_simd_f32s(out).0.copy_from_slice(sums);
        } else {
            for (part, sum) in out.chunks_mut(lanes).zip(sums) {
                simd.partial_store_f32s(part, *sum);
            }
        }
    }
}

/// What one lane adds up, for `R` tokens and all columns of the panel.
#[inline(always)]
fn chain<S: Simd, const R: usize>(
    simd: S,
    panel: &[[S::f32s; ACROSS]],
    tokens: [&[f32]; R],
    lane: usize,
) -> [[S::f32s; ACROSS]; R] {
    let mut sums = [[simd.splat_f32s(0.0); ACROSS]; R];
    let vectors = tokens.map(|token| S::as_simd_f32s(token).0);
    let whole = vectors[0].len();
    assert!(vectors.iter().all(|token| token.len() == whole) && lane < S::F32_LANES);
    for (step, weights) in panel[..whole].iter().enumerate() {
        for r in 0..R {
            let token: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&vectors[r][step]));
            let factor = simd.splat_f32s(token[lane]);
            for c in 0..ACROSS {
                sums[r][c] = simd.mul_add_e_f32s(factor, weights[c], sums[r][c]);
            }
        }
    }
    if let Some(weights) = panel.get(whole) {
        for r in 0..R {
            let factor = simd.splat_f32s(S::as_simd_f32s(tokens[r]).1.get(lane).copied().unwrap_or(0.0));
            for c in 0..ACROSS {
                sums[r][c] = simd.mul_add_e_f32s(factor, weights[c], sums[r][c]);
            }
        }
    }
    sums
}
