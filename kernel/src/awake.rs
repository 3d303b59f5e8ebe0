//! Threads that stay awake between products that follow each other closely.
//! Not here: products.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a thread looks for work in vain before it may sleep all the same: what lies between two products of one
/// pass takes less, and so does the last tile of one. It bounds, too, how long a thread can be kept that somebody waits
/// for.
const PATIENCE: Duration = Duration::from_millis(10);

/// Looks for work between two looks at the clock.
const LOOKS: u32 = 64;

/// Does `work`, while the other threads of this thread's pool stay awake: waking one takes about as long as a small
/// product, and a pass has dozens of these. Elsewhere than in a pool it is the work alone.
pub fn awake<T>(work: impl FnOnce() -> T) -> T {
    let Some(own) = rayon::current_thread_index() else { return work() };
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    rayon::spawn_broadcast(move |context| {
        if context.index() != own {
            help(&seen);
        }
    });
    let result = work();
    over.store(true, Ordering::Relaxed);
    result
}

/// Does what there is to do in the pool until it is over.
fn help(over: &AtomicBool) {
    let (mut since, mut looks) = (Instant::now(), 0u32);
    while !over.load(Ordering::Relaxed) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            (since, looks) = (Instant::now(), 0);
            continue;
        }
        spin_loop();
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(LOOKS) && since.elapsed() > PATIENCE {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rayon::prelude::*;

    /// Work within work, of which each part waits for others.
    fn nested(depth: u64) -> u64 {
        if depth == 0 {
            return 1;
        }
        let below = awake(|| rayon::join(|| nested(depth - 1), || nested(depth - 1)));
        below.0 + below.1 + (0..100u64).into_par_iter().map(|_| 0).sum::<u64>()
    }

    #[test]
    fn everything_is_done_once_however_deep_and_with_however_many_threads() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| nested(6)), 64, "{threads} threads");
        }
        assert_eq!(awake(|| 7), 7, "where there is no pool");
    }

    #[test]
    fn work_that_fails_leaves_nobody_waiting() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let fails = AssertUnwindSafe(|| pool.install(|| awake(|| panic!("as it should"))));
        let failed = catch_unwind(fails);
        assert!(failed.is_err());
        assert_eq!(pool.install(|| nested(3)), 8);
    }
}
