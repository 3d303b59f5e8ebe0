//! The element types that files hold weights in, and their values as f32.
//! Not here: which tensor has which, and f32 that is used where it lies.

use rayon::prelude::*;
use safetensors::Dtype;

use crate::kernel::maps;

/// The types that can be read, for messages.
pub const READABLE: &str = "F32, F16, BF16, F64, F8_E4M3 and F8_E5M2";

/// Elements that one thread looks at or converts at a time.
pub(super) const CHUNK: usize = 1 << 14;

/// An element type whose values are made f32 before they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// f32 at a place where it cannot be used: not at a multiple of four bytes.
    Unaligned,
    F64,
    Narrow(Narrow),
}

/// An element type of fewer bytes than f32, all of whose values f32 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Narrow {
    /// bfloat16: eight bits of exponent.
    Bf16,
    /// IEEE's half precision: five bits of exponent.
    F16,
    /// Four bits of exponent, three of fraction, without infinities (Micikevicius et al., *FP8 Formats for Deep
    /// Learning*, 2022).
    F8E4M3,
    /// Five bits of exponent, two of fraction: the upper byte of [`Narrow::F16`].
    F8E5M2,
}

impl Narrow {
    /// The bytes of an element.
    pub const fn size(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F8E4M3 | Self::F8E5M2 => 1,
        }
    }

    /// The values of stored elements.
    ///
    /// # Panics
    /// When `out` has another number of values.
    pub fn widen(self, stored: &[u8], out: &mut [f32]) {
        match self {
            Self::Bf16 => maps::widen_bf16(stored, out),
            Self::F16 => maps::widen_f16(stored, out),
            Self::F8E4M3 => maps::widen_f8_e4m3(stored, out),
            Self::F8E5M2 => maps::widen_f8_e5m2(stored, out),
        }
    }
}

impl Element {
    /// The type under this name, or `None` where it cannot be read.
    pub fn of(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::F32 => Self::Unaligned,
            Dtype::F64 => Self::F64,
            Dtype::BF16 => Self::Narrow(Narrow::Bf16),
            Dtype::F16 => Self::Narrow(Narrow::F16),
            Dtype::F8_E4M3 => Self::Narrow(Narrow::F8E4M3),
            Dtype::F8_E5M2 => Self::Narrow(Narrow::F8E5M2),
            _ => return None,
        })
    }

    /// Its name in PyTorch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unaligned => "float32",
            Self::F64 => "float64",
            Self::Narrow(Narrow::Bf16) => "bfloat16",
            Self::Narrow(Narrow::F16) => "float16",
            Self::Narrow(Narrow::F8E4M3) => "float8_e4m3fn",
            Self::Narrow(Narrow::F8E5M2) => "float8_e5m2",
        }
    }

    /// The bytes of an element.
    pub const fn size(self) -> usize {
        match self {
            Self::Unaligned => 4,
            Self::F64 => 8,
            Self::Narrow(narrow) => narrow.size(),
        }
    }

    /// The values of stored elements.
    pub fn widen(self, stored: &[u8], out: &mut [f32]) {
        match self {
            Self::Narrow(narrow) => narrow.widen(stored, out),
            Self::Unaligned => each(stored, out, f32::from_le_bytes),
            Self::F64 => each(stored, out, |bytes| f64::from_le_bytes(bytes) as f32),
        }
    }

    /// The values of all of a tensor's elements, made on all threads.
    pub fn widened(self, stored: &[u8]) -> Vec<f32> {
        let mut values = vec![0.0; stored.len() / self.size()];
        let parts = values.par_chunks_mut(CHUNK).zip(stored.par_chunks(CHUNK * self.size()));
        parts.for_each(|(out, stored)| self.widen(stored, out));
        values
    }

    /// The place of the first element that is infinite, or no number, as f32.
    pub fn first_not_finite(self, stored: &[u8]) -> Option<usize> {
        // Where all exponent bits are set a value is infinite or no number; of E4M3 only where all others are too.
        match self {
            Self::Unaligned => first(stored, |b| !f32::from_le_bytes(b).is_finite()),
            Self::F64 => first(stored, |b| !(f64::from_le_bytes(b) as f32).is_finite()),
            Self::Narrow(Narrow::Bf16) => first(stored, |b| u16::from_le_bytes(b) & 0x7f80 == 0x7f80),
            Self::Narrow(Narrow::F16) => first(stored, |b| u16::from_le_bytes(b) & 0x7c00 == 0x7c00),
            Self::Narrow(Narrow::F8E4M3) => first(stored, |[b]| b & 0x7f == 0x7f),
            Self::Narrow(Narrow::F8E5M2) => first(stored, |[b]| b & 0x7c == 0x7c),
        }
    }

    /// The elements of a row-major matrix, column by column.
    pub fn transposed(self, stored: &[u8], rows: usize, cols: usize) -> Vec<u8> {
        match self.size() {
            1 => transposed(stored, rows, cols),
            2 => transposed(stored.as_chunks::<2>().0, rows, cols).into_flattened(),
            4 => transposed(stored.as_chunks::<4>().0, rows, cols).into_flattened(),
            _ => transposed(stored.as_chunks::<8>().0, rows, cols).into_flattened(),
        }
    }
}

fn each<const N: usize>(stored: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    out.iter_mut().zip(stored.as_chunks().0).for_each(|(out, bytes)| *out = value(*bytes));
}

/// The first element that is `bad`; a chunk is looked at without branches.
fn first<const N: usize>(stored: &[u8], bad: impl Fn([u8; N]) -> bool + Sync) -> Option<usize> {
    let elements = stored.as_chunks::<N>().0;
    let any = |chunk: &[[u8; N]]| chunk.iter().fold(false, |any, element| any | bad(*element));
    let chunk = elements.par_chunks(CHUNK).position_first(any)?;
    elements[chunk * CHUNK..].iter().position(|element| bad(*element)).map(|at| chunk * CHUNK + at)
}

/// The elements of a row-major matrix, column by column, on all threads.
pub(super) fn transposed<T: Copy + Default + Send + Sync>(elements: &[T], rows: usize, cols: usize) -> Vec<T> {
    /// Columns that are moved together: a row's part of them fills some cache lines.
    const COLUMNS_PER_TASK: usize = 64;
    let mut out = vec![T::default(); rows * cols];
    out.par_chunks_mut((COLUMNS_PER_TASK * rows).max(1)).enumerate().for_each(|(index, out)| {
        let first = index * COLUMNS_PER_TASK;
        let columns = out.len() / rows.max(1);
        for (row, elements) in elements.chunks_exact(cols.max(1)).enumerate() {
            for (column, element) in elements[first..first + columns].iter().enumerate() {
                out[column * rows + row] = *element;
            }
        }
    });
    out
}
