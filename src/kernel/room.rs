//! Room for the part of a matrix that a product copies before it is used, kept by each thread between products.
//! Not here: what is copied there, and how.

use std::cell::Cell;

/// Values of a cache line. A vector that lies across two of them costs two reads.
const LINE: usize = 16;

thread_local! {
    /// Getting fresh memory from the system costs more than filling it.
    static HELD: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Some room that begins where a cache line does; what is in it was left by whoever had it before.
pub(super) struct Room {
    held: Vec<f32>,
    length: usize,
}

impl Room {
    /// Room for this many values.
    pub(super) fn take(length: usize) -> Self {
        let mut held = HELD.take();
        if held.len() < length + LINE {
            held.resize(length + LINE, 0.0);
        }
        Self { held, length }
    }

    /// The room.
    pub(super) fn values(&mut self) -> &mut [f32] {
        let start = self.held.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        &mut self.held[start..start + self.length]
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        HELD.set(std::mem::take(&mut self.held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_as_large_as_asked_for_and_begins_a_cache_line() {
        for length in [1, 1000, 17, 0] {
            let mut room = Room::take(length);
            assert_eq!(room.values().len(), length);
            assert_eq!(room.values().as_ptr() as usize % 64, 0);
        }
    }
}
