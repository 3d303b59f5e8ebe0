//! The left side of a product, copied so that a block of the result reads it straight on.
//! Not here: the right side (`panels.rs`), the multiplication (`block.rs`).

use std::ops::Range;

use rayon::prelude::*;

use super::View;
use super::micro::shape;
use super::scratch::ScratchBuffer;

/// Inner indices that are copied at a time.
const INNER_PER_COPY: usize = 128;

/// Values that one thread copies: more are shared out.
const COPIED: usize = 1 << 14;

/// The rows of a matrix, some of them at a time: of each such group all values of the first inner index, then all of the
/// next. Groups have as many rows as a block of the result keeps in registers, or a few less, so that they are alike.
#[derive(Debug)]
pub struct Left {
    values: ScratchBuffer,
    rows: usize,
    inner: usize,
    groups: usize,
}

impl Left {
    /// Copies a matrix, \[rows, inner\].
    ///
    /// # Panics
    /// When the view reaches beyond its data.
    #[must_use]
    pub fn new(a: View<'_>) -> Self {
        assert!(a.fits(), "a view reaches beyond its data");
        let (rows, inner) = (a.rows(), a.cols());
        let groups = rows.div_ceil(shape().rows);
        let mut this = Self { values: ScratchBuffer::take(rows * inner), rows, inner, groups };
        if inner == 0 {
            return this;
        }
        let mut parts = Vec::with_capacity(groups);
        let mut rest = &mut this.values[..];
        for group in 0..groups {
            let rows = place(rows, groups, group);
            let (part, others) = rest.split_at_mut(rows.len() * inner);
            parts.push((rows, part));
            rest = others;
        }
        let copy = |(rows, part): (Range<usize>, &mut [f32])| {
            let together = rows.len();
            // Some values of each row at a time, so that all places they go to stay in the first-level cache.
            for (some, part) in part.chunks_mut(INNER_PER_COPY * together).enumerate() {
                for (within, row) in rows.clone().enumerate() {
                    let values = part[within..].iter_mut().step_by(together);
                    match a.row(row) {
                        Some(row) => values.zip(&row[some * INNER_PER_COPY..]).for_each(|(out, value)| *out = *value),
                        None => values.zip(some * INNER_PER_COPY..).for_each(|(out, k)| *out = a.at(row, k)),
                    }
                }
            }
        };
        if rows * inner <= COPIED {
            parts.into_iter().for_each(copy);
        } else {
            parts.into_par_iter().for_each(copy);
        }
        this
    }

    /// The number of rows.
    #[inline]
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The inner size.
    #[inline]
    #[must_use]
    pub const fn inner(&self) -> usize {
        self.inner
    }

    /// The number of groups.
    pub(super) const fn groups(&self) -> usize {
        self.groups
    }

    /// The rows of a group.
    pub(super) const fn rows_of(&self, group: usize) -> Range<usize> {
        place(self.rows, self.groups, group)
    }

    /// A group as a matrix.
    pub(super) fn view(&self, group: usize) -> View<'_> {
        let rows = self.rows_of(group).len();
        View { data: self.group(group, 0..self.inner), rows, cols: self.inner, row_stride: 1, col_stride: rows }
    }

    /// The rows of some groups that follow each other.
    pub(super) const fn rows_of_all(&self, groups: &Range<usize>) -> Range<usize> {
        if groups.start >= groups.end {
            return 0..0;
        }
        self.rows_of(groups.start).start..self.rows_of(groups.end - 1).end
    }

    /// The values of a group for some inner indices, \[indices, rows of the group\].
    pub(super) fn group(&self, group: usize, inner: Range<usize>) -> &[f32] {
        let rows = self.rows_of(group);
        let start = rows.start * self.inner;
        &self.values[start + inner.start * rows.len()..start + inner.end * rows.len()]
    }
}

/// Which of `rows` rows are those of a group.
const fn place(rows: usize, groups: usize, group: usize) -> Range<usize> {
    rows * group / groups..rows * (group + 1) / groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_every_row_once_and_no_more_than_the_registers() {
        let most = shape().rows;
        for rows in [1, 2, most - 1, most, most + 1, 32, 128, 1000] {
            let data: Vec<f32> = (0..rows * 3).map(|i| i as f32).collect();
            let (straight, turned) = (View::new(&data, rows, 3), View::new(&data, 3, rows).t());
            for a in [straight, turned] {
                let left = Left::new(a);
                let mut next = 0;
                for group in 0..left.groups() {
                    let of = left.rows_of(group);
                    assert!(of.start == next && !of.is_empty() && of.len() <= most, "{rows}: {of:?}");
                    next = of.end;
                    let part = left.group(group, 1..3);
                    for (at, value) in part.iter().enumerate() {
                        assert_eq!(*value, a.at(of.start + at % of.len(), 1 + at / of.len()));
                    }
                }
                assert_eq!(next, rows);
            }
        }
        assert_eq!(Left::new(View::new(&[], 0, 5)).groups(), 0);
    }
}
