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
pub(super) struct Panels {
    held: Vec<f32>,
    room: usize,
}

impl Panels {
    /// Room for this many values.
    pub(super) fn take(room: usize) -> Self {
        let mut held = HELD.take();
        if held.len() < room + LINE {
            held.resize(room + LINE, 0.0);
        }
        Self { held, room }
    }

    /// The room.
    pub(super) fn values(&mut self) -> &mut [f32] {
        let start = self.held.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        &mut self.held[start..start + self.room]
    }
}

impl Drop for Panels {
    fn drop(&mut self) {
        HELD.set(std::mem::take(&mut self.held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_as_large_as_asked_for_and_begins_a_cache_line() {
        for room in [1, 1000, 17, 0] {
            let mut panels = Panels::take(room);
            assert_eq!(panels.values().len(), room);
            assert_eq!(panels.values().as_ptr() as usize % 64, 0);
        }
    }
}
