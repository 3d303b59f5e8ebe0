//! Room for what a product copies before it is used, kept by each thread between products.
//! Not here: what is copied there, and how.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Values of a cache line. A vector that lies across two of them costs two reads.
const LINE: usize = 16;

/// Most values of a piece of room that is kept: 32 MiB.
const LARGEST: usize = 1 << 23;

/// Most pieces that a thread keeps: for both sides of a product, and of one within its reader.
const KEPT: usize = 4;

thread_local! {
    /// Getting fresh memory from the system costs more than filling it.
    static HELD: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Some room that begins where a cache line does; what is in it was left by whoever had it before.
#[derive(Debug)]
pub(super) struct Room {
    held: Vec<f32>,
    length: usize,
}

impl Room {
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

impl Deref for Room {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        let start = self.start();
        &self.held[start..start + self.length]
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut [f32] {
        let start = self.start();
        &mut self.held[start..start + self.length]
    }
}

impl Drop for Room {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_as_large_as_asked_for_and_begins_a_cache_line() {
        for length in [1, 1000, 17, 0] {
            let (room, another) = (Room::take(length), Room::take(2 * length));
            assert_eq!((room.len(), another.len()), (length, 2 * length));
            assert_eq!(room.as_ptr() as usize % 64, 0);
        }
        HELD.with_borrow(|held| assert_eq!(held.len(), 2, "what was given back is taken again"));
    }

    #[test]
    fn too_large_a_room_is_not_kept() {
        drop(Room::take(LARGEST));
        HELD.with_borrow(|held| assert!(held.is_empty()));
    }
}
