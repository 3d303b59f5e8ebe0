//! The encoder's matrix, as its release stores it: \[d_in, width\] or, as PyTorch's linear layers have it, \[width, d_in\].
//! Not here: biases and what makes a latent fire.

use std::ops::Range;

use crate::kernel::{Columns, Packed, View};
use crate::weights::{Array, Matrix, PackableMatrix};

/// W_enc of x·W_enc, in either orientation and any element type. Clones share it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Encoder {
    /// \[d_in, width\]: a latent is a column.
    Columns(Matrix),
    /// \[width, d_in\]: a latent is a row.
    Rows(Matrix),
}

impl Encoder {
    /// The length of an activation.
    #[must_use]
    pub const fn d_in(&self) -> usize {
        match self {
            Self::Columns(matrix) => matrix.rows(),
            Self::Rows(matrix) => matrix.cols(),
        }
    }

    /// The number of latents.
    #[must_use]
    pub const fn width(&self) -> usize {
        match self {
            Self::Columns(matrix) => matrix.cols(),
            Self::Rows(matrix) => matrix.rows(),
        }
    }

    /// What a latent multiplies an activation by, \[d_in\]; the latent must be one of the encoder's.
    #[must_use]
    pub fn direction(&self, latent: usize) -> Vec<f32> {
        let mut made = Vec::new();
        match self {
            Self::Rows(matrix) => matrix.row(latent).into_owned(),
            Self::Columns(matrix) => {
                let column = matrix.columns_made(latent..latent + 1, &mut made);
                (0..column.rows()).map(|row| column.at(row, 0)).collect()
            }
        }
    }

    /// The matrix as it is stored.
    #[must_use]
    pub const fn matrix(&self) -> &Matrix {
        match self {
            Self::Columns(matrix) | Self::Rows(matrix) => matrix,
        }
    }

    /// The matrix and which way products go through it.
    #[must_use]
    pub fn factor(&self) -> PackableMatrix {
        PackableMatrix { matrix: self.matrix().clone(), transposed: matches!(self, Self::Rows(_)) }
    }

    /// The whole as f32, \[d_in, width\].
    #[must_use]
    pub fn to_array(&self) -> Array {
        match self {
            Self::Columns(matrix) => matrix.to_array(),
            Self::Rows(matrix) => matrix.transposed().to_array(),
        }
    }
}

impl From<Array> for Encoder {
    /// # Panics
    /// When the array does not have two dimensions.
    fn from(array: Array) -> Self {
        Self::Columns(array.into())
    }
}

impl Columns for &Encoder {
    fn inner(&self) -> usize {
        self.d_in()
    }

    fn count(&self) -> usize {
        self.width()
    }

    fn most(&self) -> usize {
        match self {
            Encoder::Columns(matrix) => Columns::most(&matrix),
            Encoder::Rows(matrix) => matrix.t().most(),
        }
    }

    fn view<'s>(&'s self, columns: Range<usize>, made: &'s mut Vec<f32>) -> View<'s> {
        match self {
            Encoder::Columns(matrix) => matrix.columns_made(columns, made),
            Encoder::Rows(matrix) => matrix.rows_made(columns, made),
        }
    }

    fn packed(&self) -> Option<&Packed> {
        match self {
            Encoder::Columns(matrix) => matrix.kept_for(false),
            Encoder::Rows(matrix) => matrix.kept_for(true),
        }
    }
}
