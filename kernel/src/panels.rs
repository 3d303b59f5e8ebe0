//! The right side of a product, copied into panels of as many columns as a block of the result has, each of which is
//! read straight on.
//! Not here: the left side (`left.rs`), the multiplication (`block.rs`).

use std::ops::Range;

use memmap2::{MmapMut, MmapOptions};
use rayon::prelude::*;

use super::micro::{shape, widest};
use super::transpose::Turn;
use super::{Columns, View};

/// Columns that one thread copies at a time. Long pieces of rows come faster from memory.
const COLUMNS_PER_TASK: usize = 1024;

/// Some columns of a matrix in panels: of each panel a row for each inner index, one panel `stride` values after the
/// other. The last may be of fewer columns; what stands beyond them means nothing.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    values: &'a [f32],
    stride: usize,
    width: usize,
    /// The first inner index that is there.
    first: usize,
}

impl<'a> Panels<'a> {
    /// Panels that hold the inner indices of `inner` and lie one after the other.
    pub(super) fn new(values: &'a [f32], inner: Range<usize>) -> Self {
        let width = shape().width;
        Self { values, stride: inner.len() * width, width, first: inner.start }
    }

    /// Those from one panel on.
    pub(super) fn from(&self, panel: usize) -> Self {
        Self { values: &self.values[panel * self.stride..], ..*self }
    }

    /// Some inner indices of one panel, \[indices, width\].
    pub(super) fn part(&self, panel: usize, inner: Range<usize>) -> &'a [f32] {
        self.get(panel, inner).expect("a panel that was copied")
    }

    /// [`Panels::part`], where there are so many panels.
    pub(super) fn get(&self, panel: usize, inner: Range<usize>) -> Option<&'a [f32]> {
        let start = panel * self.stride + inner.start.checked_sub(self.first)? * self.width;
        self.values.get(start..start + inner.len() * self.width)
    }
}

/// Copies some inner indices of `b`, \[inner, columns\], into panels.
pub(super) fn copy(panels: &mut [f32], b: View<'_>, inner: Range<usize>) {
    let width = shape().width;
    let (depth, b) = (inner.len(), b.select_rows(inner));
    let stride = depth * width;
    if depth == 0 {
        return;
    }
    let panels = &mut panels[..b.cols().div_ceil(width) * stride];
    if b.rows_are_contiguous() {
        for k in 0..depth {
            let row = b.row(k).unwrap_or_default();
            for (panel, values) in panels.chunks_exact_mut(stride).zip(row.chunks(width)) {
                let out = &mut panel[k * width..][..values.len()];
                match (<&mut [f32; 32]>::try_from(&mut *out), <&[f32; 32]>::try_from(values)) {
                    // A length that the compiler knows spares a call for every piece.
                    (Ok(out), Ok(values)) => *out = *values,
                    _ => out.copy_from_slice(values),
                }
            }
        }
        return;
    }
    for (panel, first) in panels.chunks_exact_mut(stride).zip((0..).step_by(width)) {
        let columns = first..b.cols().min(first + width);
        if b.columns_are_contiguous() {
            let columns: Vec<&[f32]> = columns.filter_map(|column| b.t().row(column)).collect();
            widest(Turn { out: panel, width, columns: &columns });
        } else {
            for (k, out) in panel.chunks_exact_mut(width).enumerate() {
                out.iter_mut().zip(columns.clone()).for_each(|(out, column)| *out = b.at(k, column));
            }
        }
    }
}

/// A whole matrix in panels, for products that come again. It takes as much memory as the matrix in f32.
#[derive(Debug)]
pub struct Packed {
    values: MmapMut,
    inner: usize,
    columns: usize,
}

impl Packed {
    /// Copies a matrix on all threads, as long as `keep_going` says so; `None` where it did not.
    ///
    /// # Errors
    /// Where the system has no room for it.
    pub fn copy(b: impl Columns, keep_going: &(dyn Fn() -> bool + Sync)) -> std::io::Result<Option<Self>> {
        let (inner, columns, width) = (b.inner(), b.count(), shape().width);
        let length = columns.div_ceil(width) * width * inner;
        let mut values = MmapOptions::new().len((length * size_of::<f32>()).max(1)).map_anon()?;
        // Fewer places to look up: worth some hundredths to a tenth of a product. Systems without them go without.
        #[cfg(target_os = "linux")]
        let _ = values.advise(memmap2::Advice::HugePage);
        if length > 0 {
            let panels: &mut [f32] = bytemuck::cast_slice_mut(&mut values[..length * size_of::<f32>()]);
            let parts = panels
                .par_chunks_mut(COLUMNS_PER_TASK * inner)
                .zip((0..columns).into_par_iter().step_by(COLUMNS_PER_TASK));
            parts.for_each_init(Vec::new, |made, (out, first)| {
                if keep_going() {
                    copy_whole(out, b, first..columns.min(first + COLUMNS_PER_TASK), made);
                }
            });
        }
        Ok(keep_going().then_some(Self { values, inner, columns }))
    }

    /// The inner size: the rows of the matrix.
    #[inline]
    #[must_use]
    pub const fn inner(&self) -> usize {
        self.inner
    }

    /// The number of columns.
    #[inline]
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Some of the columns as they were, row-major \[inner, columns\].
    pub(super) fn unpack(&self, columns: Range<usize>, out: &mut Vec<f32>) {
        let (all, width) = (self.panels(0), shape().width);
        out.clear();
        for k in 0..self.inner {
            out.extend(columns.clone().map(|column| all.part(column / width, k..k + 1)[column % width]));
        }
    }

    /// Its panels from that of a column on, which must be the first of a panel.
    pub(super) fn panels(&self, column: usize) -> Panels<'_> {
        let all: &[f32] = bytemuck::cast_slice(&self.values[..self.values.len() / 4 * 4]);
        Panels::new(&all[column * self.inner..], 0..self.inner)
    }
}

/// Copies some columns of `b`, whole, into panels, of which the first column must be the first.
pub(super) fn copy_whole(out: &mut [f32], b: impl Columns, columns: Range<usize>, made: &mut Vec<f32>) {
    let (inner, width) = (b.inner(), shape().width);
    let most = (b.most() / width * width).max(width);
    for start in columns.clone().step_by(most) {
        let part = start..columns.end.min(start.saturating_add(most));
        let out = &mut out[(start - columns.start) * inner..];
        copy(out, b.view(part, made), 0..inner);
    }
}
