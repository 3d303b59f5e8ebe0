//! A product block by block: which part of the left side meets which part of a panel, and in which order.
//! Not here: the blocks themselves (`block.rs`), threads and tiles (`lib.rs`).

#![expect(clippy::inline_always, reason = "what calls the blocks must be compiled for the same vectors")]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::block::{ACROSS, Block, Rows};
use super::left::Left;
use super::micro::{shape, widest};
use super::panels::{self, Panels};
use super::scratch::ScratchBuffer;
use super::{MAX_TILE_COLUMNS, MEMORY_BOUND_ROWS, TILE, View, rows_of};

/// Inner indices that a block adds up before the next block does: their part of a panel is 32 KiB, which stay in the
/// first-level cache.
const DEPTH: usize = 256;

/// Most groups of rows that use a part of a panel before the next part: 20 × 14 rows × [`DEPTH`] values are 280 KiB,
/// which stay in the second-level cache.
const GROUPS: usize = 20;

/// Groups of rows in runs of no more than [`GROUPS`], all about as long: one group alone would wait for memory.
pub(super) fn runs(groups: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
    let (start, count) = (groups.start, groups.len());
    let runs = count.div_ceil(GROUPS);
    (0..runs).map(move |run| start + count * run / runs..start + count * (run + 1) / runs)
}

/// Columns and inner indices that are copied into panels at a time, with rows contiguous and with columns contiguous:
/// 512 KiB, or what one panel takes, so that memory is read in long pieces where there are few rows, and panels stay in
/// the second-level cache.
pub(super) const COPIED: [[(usize, usize); 2]; 2] =
    [[(MAX_TILE_COLUMNS, 64), (32, 1024)], [(TILE, DEPTH), (TILE, DEPTH)]];

/// `out = left · b` in some of the columns of `out`, `b` copied into panels on the way.
pub(super) fn through_panels(
    out: &mut [&mut [f32]],
    columns: Range<usize>,
    left: &Left,
    groups: &Range<usize>,
    b: View<'_>,
) {
    let (many, width) = (usize::from(out.len() > MEMORY_BOUND_ROWS), shape().width);
    let (together, depth) = COPIED[many][usize::from(!b.rows_are_contiguous())];
    let together = together.next_multiple_of(width);
    let mut scratch = ScratchBuffer::take(together.min(columns.len()).next_multiple_of(width) * depth.min(b.rows));
    for first in (0..b.cols).step_by(together) {
        let part = first..b.cols.min(first + together);
        let within = columns.start + part.start..columns.start + part.end;
        let b = b.columns(part);
        for k in (0..b.rows).step_by(depth) {
            let inner = k..b.rows.min(k + depth);
            panels::copy(&mut scratch, b, inner.clone());
            let panels = Panels::new(&scratch, inner.clone());
            widest(Apply { out, columns: within.clone(), left, groups: groups.clone(), panels, inner });
        }
    }
}

/// Adds to the result, or begins it, what some inner indices give.
pub(super) struct Apply<'a, 'o> {
    /// The rows of the result.
    pub out: &'a mut [&'o mut [f32]],
    /// Which columns of `out` are those of the panels.
    pub columns: Range<usize>,
    pub left: &'a Left,
    pub groups: Range<usize>,
    pub panels: Panels<'a>,
    pub inner: Range<usize>,
}

impl WithSimd for Apply<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = ACROSS * S::F32_LANES;
        let (whole, rest) = (self.columns.len() / width, self.columns.len() % width);
        self.panels_of(simd, 0..whole);
        if rest > 0 {
            self.last_panel(simd, whole, rest);
        }
    }
}

impl Apply<'_, '_> {
    /// Goes through some panels that are whole.
    #[inline(always)]
    fn panels_of<S: Simd>(&mut self, simd: S, of: Range<usize>) {
        let Self { out, columns, left, groups, panels, inner } = self;
        let width = ACROSS * S::F32_LANES;
        let (count, parts) = (of.len(), inner.len().div_ceil(DEPTH));
        let few = out.len() <= MEMORY_BOUND_ROWS;
        // Few rows go through memory as it lies; for many, a part of the left side is used with all panels.
        let place = |step: usize| {
            let (panel, part) = if few { (step / parts, step % parts) } else { (step % count, step / count) };
            (of.start + panel, part)
        };
        let indices = |part: usize| {
            let start = inner.start + part * DEPTH;
            start..inner.end.min(start + DEPTH)
        };
        let before = left.rows_of(groups.start).start;
        for groups in runs(groups) {
            for step in 0..count * parts {
                let (panel, part) = place(step);
                let next = place(step + 1);
                let ahead = panels.get(next.0, indices(next.1)).unwrap_or_default();
                let share = ahead.len().div_ceil(groups.len());
                for group in groups.clone() {
                    let rows = left.rows_of(group);
                    let at = ((group - groups.start) * share).min(ahead.len());
                    let block = Block {
                        out: &mut out[rows.start - before..rows.end - before],
                        column: columns.start + panel * width,
                        begins: part == 0 && inner.start == 0,
                        left: left.group(group, indices(part)),
                        panel: panels.part(panel, indices(part)),
                        ahead: &ahead[at..ahead.len().min(at + share)],
                    };
                    Rows::<S>::OF[rows.len() - 1](simd, block);
                }
            }
        }
    }

    /// Goes through a panel of which only some columns are there, in room beside the result.
    fn last_panel<S: Simd>(&mut self, simd: S, panel: usize, columns: usize) {
        let width = ACROSS * S::F32_LANES;
        let start = self.columns.start + panel * width;
        let mut scratch = vec![0.0; self.out.len() * width];
        for (row, out) in scratch.chunks_exact_mut(width).zip(self.out.iter()) {
            row[..columns].copy_from_slice(&out[start..start + columns]);
        }
        let mut rows = rows_of(&mut scratch, width);
        let panels = self.panels.from(panel);
        let (left, groups, inner) = (self.left, self.groups.clone(), self.inner.clone());
        Apply { out: &mut rows, columns: 0..width, left, groups, panels, inner }.panels_of(simd, 0..1);
        for (row, out) in scratch.chunks_exact(width).zip(self.out.iter_mut()) {
            out[start..start + columns].copy_from_slice(&row[..columns]);
        }
    }
}
