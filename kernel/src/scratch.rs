//! Room for what a product copies before it is used, kept by each thread between products.
//! Not here: what is copied there, and how.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

/// Values of a cache line. A vector that lies across two of them costs two reads.
const LINE: usize = 16;

/// Most values of a piece of room that is kept: 32 MiB.
const LARGEST: usize = 1 << 23;

/// Most pieces that a thread keeps: for both sides of a product, and of one within its reader.
const KEPT: usize = 4;

/// Values from which large pages are asked for: 8 MiB of them.
#[cfg(target_os = "linux")]
const LARGE_PAGES_FROM: usize = 1 << 21;

/// Bytes of a large page, a multiple of those of a small one.
#[cfg(target_os = "linux")]
const LARGE_PAGE: usize = 1 << 21;

thread_local! {
    /// Getting fresh memory from the system costs more than filling it.
    static HELD: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Some room that begins where a cache line does; what is in it was left by whoever had it before.
#[derive(Debug)]
pub(super) struct ScratchBuffer {
    held: Vec<f32>,
    length: usize,
}

impl ScratchBuffer {
    /// Room for this many values.
    pub(super) fn take(length: usize) -> Self {
        let needed = length + LINE;
        let fitting = |held: &mut Vec<Vec<f32>>| {
            // The smallest that is large enough; else the largest, which grows.
            let best = (0..held.len()).min_by_key(|place| {
                let there = held[*place].len();
                if there >= needed { (0, there) } else { (1, usize::MAX - there) }
            });
            best.map(|place| held.swap_remove(place))
        };
        let mut held = HELD.with_borrow_mut(fitting).unwrap_or_default();
        if held.len() < needed {
            // Not `resize`, which would move what nobody needs.
            held = vec![0.0; needed];
        }
        Self { held, length }
    }

    fn start(&self) -> usize {
        self.held.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE)
    }
}

impl Deref for ScratchBuffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        let start = self.start();
        &self.held[start..start + self.length]
    }
}

impl DerefMut for ScratchBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let start = self.start();
        &mut self.held[start..start + self.length]
    }
}

impl Drop for ScratchBuffer {
    fn drop(&mut self) {
        if self.held.len() > LARGEST {
            return;
        }
        let held = std::mem::take(&mut self.held);
        // A thread that ends keeps nothing.
        let _ = HELD.try_with(|all| {
            let mut all = all.borrow_mut();
            if all.len() < KEPT {
                all.push(held);
            }
        });
    }
}

/// So many values, which `write` writes: they are not made zero before, which for the results of a pass would take
/// longer than some of its products.
///
/// Where they are many, the system is asked for large pages: every page stops the thread that first writes to it, and a
/// hundred megabytes are 25,000 small ones.
///
/// # Safety
/// Where `write` returns it must have written all of them.
#[expect(unsafe_code, reason = "advice on memory, and memory that is written before it is read, have no safe calls")]
pub(super) unsafe fn fresh(length: usize, write: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    let scratch = &mut values.spare_capacity_mut()[..length];
    #[cfg(target_os = "linux")]
    if length >= LARGE_PAGES_FROM {
        let (start, bytes) = (scratch.as_mut_ptr().cast::<u8>(), size_of_val(scratch));
        let before = start.align_offset(LARGE_PAGE).min(bytes);
        let whole = (bytes - before) / LARGE_PAGE * LARGE_PAGE;
        // SAFETY: whole pages within `scratch`, and the advice changes nothing in them. Systems that do not heed it go
        // without.
        let _ = unsafe { libc::madvise(start.add(before).cast(), whole, libc::MADV_HUGEPAGE) };
    }
    write(scratch);
    // SAFETY: it returned, so it has written all of them.
    unsafe { values.set_len(length) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "see `fresh`")]
    fn fresh_values_are_those_that_were_written() {
        for length in [0, 5, 1 << 20, (3 << 20) + 12_345] {
            let write = |scratch: &mut [MaybeUninit<f32>]| {
                assert_eq!(scratch.len(), length);
                scratch.iter_mut().enumerate().for_each(|(at, value)| {
                    value.write(at as f32);
                });
            };
            // SAFETY: all are written.
            let values = unsafe { fresh(length, write) };
            assert!(values.len() == length && values.iter().enumerate().all(|(at, value)| *value == at as f32));
        }
    }

    #[test]
    fn room_is_as_large_as_asked_for_and_begins_a_cache_line() {
        for length in [1, 1000, 17, 0] {
            let (scratch, another) = (ScratchBuffer::take(length), ScratchBuffer::take(2 * length));
            assert_eq!((scratch.len(), another.len()), (length, 2 * length));
            assert_eq!(scratch.as_ptr() as usize % 64, 0);
        }
        HELD.with_borrow(|held| assert_eq!(held.len(), 2, "what was given back is taken again"));
    }

    #[test]
    fn too_large_a_room_is_not_kept() {
        drop(ScratchBuffer::take(LARGEST));
        HELD.with_borrow(|held| assert!(held.is_empty()));
    }
}
