//! The two sides of a product as they are given: a matrix where it lies, and one whose columns are had some at a time.
//! Not here: the order in which a product reads them (`left.rs`, `panels.rs`).

use std::ops::Range;

use super::Packed;

/// A borrowed f32 matrix, `rows` × `cols`, with strides counted in elements.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(super) data: &'a [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix.
    ///
    /// # Panics
    /// When `data` is not `rows` × `cols` long.
    #[inline]
    #[must_use]
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a {rows} × {cols} matrix of {} values", data.len());
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// A matrix whose rows begin `stride` values from each other.
    ///
    /// # Panics
    /// When a row or `data` is shorter than that takes.
    #[inline]
    #[must_use]
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        let this = Self { data, rows, cols, row_stride: stride, col_stride: 1 };
        assert!(cols <= stride && this.fits(), "{rows} rows of {cols}, {stride} apart, in {} values", data.len());
        this
    }

    /// The transposed matrix, without moving anything.
    #[inline]
    #[must_use]
    pub const fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// Some of the columns.
    ///
    /// # Panics
    /// When the range is not within the columns.
    #[inline]
    #[must_use]
    pub fn columns(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.cols, "columns {range:?} of {}", self.cols);
        let start = (range.start * self.col_stride).min(self.data.len());
        Self { data: &self.data[start..], cols: range.len(), ..self }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// When the range is not within the rows.
    #[inline]
    #[must_use]
    pub fn select_rows(self, range: Range<usize>) -> Self {
        self.t().columns(range).t()
    }

    /// The number of rows.
    #[inline]
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[inline]
    #[must_use]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// One element.
    ///
    /// # Panics
    /// When it lies outside.
    #[inline]
    #[must_use]
    pub fn at(&self, row: usize, col: usize) -> f32 {
        assert!(row < self.rows && col < self.cols);
        self.data[row * self.row_stride + col * self.col_stride]
    }

    /// A row, where its values lie side by side.
    pub(super) fn row(&self, row: usize) -> Option<&'a [f32]> {
        let start = row * self.row_stride;
        (row < self.rows && self.rows_are_contiguous()).then(|| &self.data[start..start + self.cols])
    }

    pub(super) const fn rows_are_contiguous(&self) -> bool {
        self.col_stride == 1
    }

    pub(super) const fn columns_are_contiguous(&self) -> bool {
        self.row_stride == 1
    }

    /// Whether every element lies within `data`.
    pub(super) fn fits(&self) -> bool {
        self.rows == 0
            || self.cols == 0
            || (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride < self.data.len()
    }
}

/// The right-hand side of a product, had some columns at a time: a [`View`], or a matrix whose file holds it in another
/// element type and whose columns become f32 only while they are used.
pub trait Columns: Copy + Sync {
    /// The inner size: the rows of this matrix.
    fn inner(&self) -> usize;

    /// The number of columns.
    fn count(&self) -> usize;

    /// Most columns that are asked for at once: as many as stay in the cache where they are made for the asking.
    fn most(&self) -> usize;

    /// Some of the columns, [inner, columns], their rows or their columns contiguous; `made` is room to make them in.
    fn view<'s>(&'s self, columns: Range<usize>, made: &'s mut Vec<f32>) -> View<'s>;

    /// The whole in panels, where it is kept so.
    fn packed(&self) -> Option<&Packed> {
        None
    }
}

impl Columns for View<'_> {
    fn inner(&self) -> usize {
        self.rows
    }

    fn count(&self) -> usize {
        self.cols
    }

    fn most(&self) -> usize {
        usize::MAX
    }

    fn view<'s>(&'s self, columns: Range<usize>, _: &'s mut Vec<f32>) -> View<'s> {
        self.columns(columns)
    }
}

/// The columns of a [`Packed`] matrix, which is all that is kept of it.
impl Columns for &Packed {
    fn inner(&self) -> usize {
        Packed::inner(self)
    }

    fn count(&self) -> usize {
        self.columns()
    }

    fn most(&self) -> usize {
        usize::MAX
    }

    fn view<'s>(&'s self, columns: Range<usize>, made: &'s mut Vec<f32>) -> View<'s> {
        self.unpack(columns.clone(), made);
        View::new(made, Packed::inner(self), columns.len())
    }

    fn packed(&self) -> Option<&Packed> {
        Some(self)
    }
}
