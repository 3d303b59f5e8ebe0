//! A list of plain values: in memory, or in a mapped file.
//! Not here: what the values mean, and whether the file is right.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::Mmap;

/// Values of one type that lie side by side. Clones share them.
#[derive(Clone)]
pub struct Column<T> {
    place: Place<T>,
}

#[derive(Clone)]
enum Place<T> {
    Owned(Arc<[T]>),
    Mapped { map: Arc<Mmap>, bytes: Range<usize>, values: PhantomData<T> },
}

impl<T: Pod> Column<T> {
    /// The values in some bytes of a mapped file; none when the bytes are not there, or not whole aligned values.
    pub(super) fn mapped(map: &Arc<Mmap>, bytes: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(map.get(bytes.clone())?).ok()?;
        Some(Self { place: Place::Mapped { map: Arc::clone(map), bytes, values: PhantomData } })
    }

    /// Whether the values lie in a mapped file.
    pub const fn is_mapped(&self) -> bool {
        matches!(self.place, Place::Mapped { .. })
    }
}

impl<T> From<Vec<T>> for Column<T> {
    fn from(values: Vec<T>) -> Self {
        Self { place: Place::Owned(values.into()) }
    }
}

impl<T: Pod> Deref for Column<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match &self.place {
            Place::Owned(values) => values,
            // The cast was tried when the column was made, on the same bytes.
            Place::Mapped { map, bytes, .. } => bytemuck::cast_slice(&map[bytes.clone()]),
        }
    }
}

impl<T: Pod + PartialEq> PartialEq for Column<T> {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
