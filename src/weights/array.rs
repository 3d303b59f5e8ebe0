//! A tensor as f32, where its file holds it or in memory of its own.
//! Not here: other element types (`element`), and matrices that stay in them (`matrix`).

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::{Bytes, TensorFile};
use crate::kernel::View;

/// An f32 tensor: mapped from its file where the file holds f32, converted once where it does not. Clones share it.
#[derive(Clone)]
pub struct Array {
    pub(super) storage: Storage,
    pub(super) shape: Vec<usize>,
}

#[derive(Clone)]
pub(super) enum Storage {
    Mapped { file: Arc<TensorFile>, range: Range<usize> },
    Owned(Arc<Vec<f32>>),
}

impl Array {
    /// An array of its own.
    ///
    /// # Panics
    /// When the number of values is not that of the shape.
    pub fn owned(values: impl Into<Vec<f32>>, shape: &[usize]) -> Self {
        let values = Arc::new(values.into());
        assert_eq!(values.len(), shape.iter().product::<usize>(), "values of shape {shape:?}");
        Self { storage: Storage::Owned(values), shape: shape.to_vec() }
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The two-dimensional array as a matrix.
    ///
    /// # Panics
    /// When it does not have two dimensions.
    pub fn view(&self) -> View<'_> {
        let [rows, cols] = self.shape[..] else { panic!("a matrix of shape {:?}", self.shape) };
        View::new(self, rows, cols)
    }

    /// One row of a two-dimensional array, `[cols]`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        let [rows, cols] = self.shape[..] else { panic!("a row of shape {:?}", self.shape) };
        assert!(row < rows, "row {row} of {rows}");
        &self[row * cols..(row + 1) * cols]
    }

    /// The place of the first value that is not finite, counted in elements.
    pub fn first_not_finite(&self) -> Option<usize> {
        const CHUNK: usize = 1 << 14;
        // All exponent bits set means infinite or not a number. A chunk is looked at without branches.
        let bad = |value: &f32| value.to_bits() & 0x7f80_0000 == 0x7f80_0000;
        let chunk = self.par_chunks(CHUNK).position_first(|chunk| chunk.iter().fold(false, |any, v| any | bad(v)))?;
        self[chunk * CHUNK..].iter().position(bad).map(|at| chunk * CHUNK + at)
    }

    /// Whether the values lie in the file's own memory map.
    pub fn is_mapped(&self) -> bool {
        matches!(&self.storage, Storage::Mapped { file, .. } if !matches!(file.bytes, Bytes::Owned(_)))
    }
}

impl std::ops::Deref for Array {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match &self.storage {
            // The cast was tried when the array was made, on the same bytes at the same address.
            Storage::Mapped { file, range } => bytemuck::cast_slice(&file.bytes[range.clone()]),
            Storage::Owned(values) => values,
        }
    }
}

impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Array").field("shape", &self.shape).field("mapped", &self.is_mapped()).finish_non_exhaustive()
    }
}
