//! A weight matrix in the element type of its file, made f32 a part at a time, while it is used: half precision keeps
//! taking half the memory, and the numbers are those that converting the whole would give.
//! Not here: vectors, which are converted when they are loaded (`Array`).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use safetensors::Dtype;

use super::element::{CHUNK, Element, Narrow, transposed};
use super::{Array, Bytes, Storage, TensorFile};
use crate::kernel::{Columns, Packed, View};

/// Values made f32 at a time: 256 KiB of them stay in a core's second-level cache.
const MADE: usize = 1 << 16;

/// Columns made at a time are a multiple of this, which the panels of products have columns by.
const STEP: usize = 32;

/// Columns made at a time where they lie across the file: 128 f32 are 8 cache lines.
const STRIDED: usize = 128;

/// A row-major matrix. Clones share it.
#[derive(Clone)]
pub struct Matrix {
    stored: Stored,
    rows: usize,
    cols: usize,
    /// Copies for products that come again, of the matrix and of the transposed one.
    packed: Arc<[OnceLock<Packed>; 2]>,
}

/// A matrix, and which way products go through it.
#[derive(Clone, Debug)]
pub struct PackableMatrix {
    /// The matrix.
    pub matrix: Matrix,
    /// Whether its rows are the columns of the product.
    pub transposed: bool,
}

impl PackableMatrix {
    /// The bytes that [`PackableMatrix::pack`] would take; 0 where it has nothing to do.
    pub fn wanted(&self) -> u64 {
        let lies_in_file = self.matrix.is_plain() && self.matrix.is_mapped();
        let is_packed = self.matrix.kept_for(self.transposed).is_some();
        if lies_in_file && !is_packed { self.matrix.bytes() } else { 0 }
    }

    /// Copies the matrix, on all threads, into the order in which products read it, and lets go of the file's part of
    /// the memory; later products give the same bits from the copy. Nothing happens where the matrix is not used in its
    /// file, in f32. Gives false where `keep_going` did, and nothing was kept.
    ///
    /// # Errors
    /// Where the system has no memory for it.
    pub fn pack(&self, keep_going: &(dyn Fn() -> bool + Sync)) -> std::io::Result<bool> {
        if self.wanted() == 0 {
            return Ok(true);
        }
        let matrix = &self.matrix;
        let packed =
            if self.transposed { Packed::copy(matrix.t(), keep_going) } else { Packed::copy(matrix, keep_going) };
        let Some(packed) = packed? else { return Ok(false) };
        // Whoever came first has the same.
        let _ = matrix.packed[usize::from(self.transposed)].set(packed);
        if let Stored::Single(Array { storage: Storage::Mapped { file, range }, .. }) = &matrix.stored {
            file.let_go(range);
        }
        Ok(true)
    }
}

#[derive(Clone)]
enum Stored {
    Single(Array),
    Other { file: Arc<TensorFile>, range: Range<usize>, element: Element },
}

/// A matrix whose rows are the columns of a product.
#[derive(Clone, Copy)]
pub struct Transposed<'m>(&'m Matrix);

impl Matrix {
    /// A matrix of a file, or `None` where the element type cannot be read.
    pub(super) fn stored(
        file: &Arc<TensorFile>,
        range: Range<usize>,
        dtype: Dtype,
        (rows, cols): (usize, usize),
    ) -> Option<Self> {
        let aligned = bytemuck::try_cast_slice::<u8, f32>(&file.bytes[range.clone()]).is_ok();
        let stored = if dtype == Dtype::F32 && aligned {
            let storage = Storage::Mapped { file: Arc::clone(file), range: range.clone() };
            Stored::Single(Array { storage, shape: vec![rows, cols] })
        } else {
            Stored::Other { file: Arc::clone(file), range, element: Element::of(dtype)? }
        };
        Some(Self { stored, rows, cols, packed: Arc::default() })
    }

    /// The number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// The bytes it takes.
    pub fn bytes(&self) -> u64 {
        let of_element = match &self.stored {
            Stored::Single(_) => size_of::<f32>(),
            Stored::Other { element, .. } => element.size(),
        };
        (self.rows as u64).saturating_mul(self.cols as u64).saturating_mul(of_element as u64)
    }

    /// The element type of its file as PyTorch names it.
    pub const fn element(&self) -> &'static str {
        match &self.stored {
            Stored::Single(_) => "float32",
            Stored::Other { element, .. } => element.name(),
        }
    }

    /// Its copy for products with it, or with its rows as columns, where there is one.
    pub fn kept_for(&self, transposed: bool) -> Option<&Packed> {
        self.packed[usize::from(transposed)].get()
    }

    /// Its rows as the columns of a product.
    pub const fn t(&self) -> Transposed<'_> {
        Transposed(self)
    }

    /// One row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> Cow<'_, [f32]> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        self.elements(row * self.cols..(row + 1) * self.cols)
    }

    /// Some of the rows, side by side.
    ///
    /// # Panics
    /// When they are not all there.
    pub fn block(&self, rows: Range<usize>) -> Cow<'_, [f32]> {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        self.elements(rows.start * self.cols..rows.end * self.cols)
    }

    /// Whether it is used where it lies in its file, in whatever element type.
    pub fn is_mapped(&self) -> bool {
        match &self.stored {
            Stored::Single(array) => array.is_mapped(),
            Stored::Other { file, .. } => !matches!(file.bytes, Bytes::Owned(_)),
        }
    }

    /// Whether its values are f32 at a place where they cannot be used.
    pub const fn is_unaligned(&self) -> bool {
        matches!(self.stored, Stored::Other { element: Element::Unaligned, .. })
    }

    /// Whether its values are f32 that can be used where they are.
    pub const fn is_plain(&self) -> bool {
        matches!(self.stored, Stored::Single(_))
    }

    /// Its elements as they are stored, along the rows, where they take less than f32.
    pub fn narrow(&self) -> Option<(Narrow, &[u8])> {
        match &self.stored {
            Stored::Other { file, range, element: Element::Narrow(narrow) } => {
                Some((*narrow, &file.bytes[range.clone()]))
            }
            Stored::Other { .. } | Stored::Single(_) => None,
        }
    }

    /// The whole as f32.
    pub fn to_array(&self) -> Array {
        match &self.stored {
            Stored::Single(array) => array.clone(),
            Stored::Other { .. } => {
                let mut values = vec![0.0; self.rows * self.cols];
                values.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, out)| self.fill(chunk * CHUNK, out));
                Array::owned(values, &[self.rows, self.cols])
            }
        }
    }

    /// The place and the value of the first element that is not finite, counted along the rows.
    pub fn first_not_finite(&self) -> Option<(usize, f32)> {
        let at = match &self.stored {
            Stored::Single(array) => array.first_not_finite()?,
            Stored::Other { file, range, element } => element.first_not_finite(&file.bytes[range.clone()])?,
        };
        Some((at, self.elements(at..at + 1)[0]))
    }

    /// Some of the elements, counted along the rows.
    ///
    /// # Panics
    /// When they are not all there.
    pub fn elements(&self, range: Range<usize>) -> Cow<'_, [f32]> {
        match &self.stored {
            Stored::Single(array) => Cow::Borrowed(&array[range]),
            Stored::Other { .. } => {
                let mut values = vec![0.0; range.len()];
                self.fill(range.start, &mut values);
                Cow::Owned(values)
            }
        }
    }

    /// Some of the columns, [rows, columns]; `made` is room to make them f32 in.
    pub fn columns_made<'s>(&'s self, columns: Range<usize>, made: &'s mut Vec<f32>) -> View<'s> {
        if let Stored::Single(array) = &self.stored {
            return array.view().columns(columns);
        }
        let width = columns.len();
        made.resize(self.rows * width, 0.0);
        for (row, out) in made.chunks_exact_mut(width.max(1)).enumerate() {
            self.fill(row * self.cols + columns.start, out);
        }
        View::new(made, self.rows, width)
    }

    /// Some of the rows as columns, [cols, rows]; `made` is room to make them f32 in.
    pub fn rows_made<'s>(&'s self, rows: Range<usize>, made: &'s mut Vec<f32>) -> View<'s> {
        if let Stored::Single(array) = &self.stored {
            return array.view().select_rows(rows).t();
        }
        made.resize(rows.len() * self.cols, 0.0);
        self.fill(rows.start * self.cols, made);
        View::new(made, rows.len(), self.cols).t()
    }

    /// Writes the elements from `first` on, counted along the rows.
    fn fill(&self, first: usize, out: &mut [f32]) {
        match &self.stored {
            Stored::Single(array) => out.copy_from_slice(&array[first..first + out.len()]),
            Stored::Other { file, range, element } => {
                let start = range.start + first * element.size();
                element.widen(&file.bytes[start..start + out.len() * element.size()], out);
            }
        }
    }

    /// The rows as columns, in memory of their own and in the same element type.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let (rows, cols) = (self.cols, self.rows);
        let stored = match &self.stored {
            Stored::Single(array) => {
                Stored::Single(Array::owned(transposed(array, self.rows, self.cols), &[rows, cols]))
            }
            Stored::Other { file, range, element } => {
                let bytes = element.transposed(&file.bytes[range.clone()], self.rows, self.cols);
                let range = 0..bytes.len();
                let file = Arc::new(TensorFile { name: file.name.clone(), bytes: Bytes::Owned(bytes) });
                Stored::Other { file, range, element: *element }
            }
        };
        Self { stored, rows, cols, packed: Arc::default() }
    }

    /// Most rows or columns of `size` values that are made f32 at once.
    fn most(&self, size: usize) -> usize {
        match &self.stored {
            Stored::Single(_) => usize::MAX,
            Stored::Other { .. } => (MADE / size.max(1) / STEP * STEP).max(STEP),
        }
    }
}

impl From<Array> for Matrix {
    /// # Panics
    /// When the array does not have two dimensions.
    fn from(array: Array) -> Self {
        let (rows, cols) = (array.view().rows(), array.view().cols());
        Self { stored: Stored::Single(array), rows, cols, packed: Arc::default() }
    }
}

impl Columns for &Matrix {
    fn inner(&self) -> usize {
        self.rows
    }

    fn count(&self) -> usize {
        self.cols
    }

    fn most(&self) -> usize {
        match &self.stored {
            // A row gives few bytes of each column: what is made is larger, so that reading it is not all waiting.
            Stored::Other { element: Element::Unaligned, .. } => Matrix::most(self, self.rows).max(STRIDED),
            _ => Matrix::most(self, self.rows),
        }
    }

    fn view<'s>(&'s self, columns: Range<usize>, made: &'s mut Vec<f32>) -> View<'s> {
        self.columns_made(columns, made)
    }

    fn packed(&self) -> Option<&Packed> {
        self.kept_for(false)
    }
}

impl Columns for Transposed<'_> {
    fn inner(&self) -> usize {
        self.0.cols
    }

    fn count(&self) -> usize {
        self.0.rows
    }

    fn most(&self) -> usize {
        self.0.most(self.0.cols)
    }

    fn view<'s>(&'s self, columns: Range<usize>, made: &'s mut Vec<f32>) -> View<'s> {
        self.0.rows_made(columns, made)
    }

    fn packed(&self) -> Option<&Packed> {
        self.0.kept_for(true)
    }
}

impl std::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matrix").field("rows", &self.rows).field("cols", &self.cols).finish_non_exhaustive()
    }
}
