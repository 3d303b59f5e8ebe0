//! Values that are computed once and shared: who asks for one that another thread is computing waits for it.
//! Not here: what the values are.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::report::Report;
use crate::task::{Cancel, OnProgress, Progress};

/// How often who waits looks at its cancel flag.
const LOOK: Duration = Duration::from_millis(30);

/// Values by key.
pub struct SingleFlight<K, V> {
    cells: Mutex<HashMap<K, Cell<V>>>,
    changed: Condvar,
}

enum Cell<V> {
    /// Somebody computes it, and is so far.
    Busy(Progress),
    Ready(V),
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self { cells: Mutex::default(), changed: Condvar::new() }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> SingleFlight<K, V> {
    /// The value, if it is there.
    pub fn get(&self, key: &K) -> Option<V> {
        match self.lock().get(key) {
            Some(Cell::Ready(value)) => Some(value.clone()),
            _ => None,
        }
    }

    /// The value, computed where it is not there; if another thread computes it, its progress is passed on. Nothing is
    /// kept of a computation that fails, is cancelled or panics: who waits then computes it.
    pub fn get_or(
        &self,
        key: &K,
        cancel: &Cancel,
        progress: OnProgress<'_>,
        compute: impl FnOnce(OnProgress<'_>) -> Result<V, Report>,
    ) -> Result<V, Report> {
        let mut cells = self.lock();
        loop {
            match cells.get(key) {
                Some(Cell::Ready(value)) => return Ok(value.clone()),
                Some(Cell::Busy(so_far)) => {
                    let so_far = so_far.clone();
                    drop(cells);
                    cancel.check()?;
                    progress(so_far);
                    let waited = self.changed.wait_timeout(self.lock(), LOOK);
                    cells = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => break,
            }
        }
        cells.insert(key.clone(), Cell::Busy(Progress::default()));
        drop(cells);
        let claim = Claim { once: self, key };
        let value = compute(&|so_far: Progress| {
            self.lock().insert(key.clone(), Cell::Busy(so_far.clone()));
            progress(so_far);
        })?;
        self.lock().insert(key.clone(), Cell::Ready(value.clone()));
        drop(claim);
        Ok(value)
    }

    /// Forgets the values whose keys are not wanted any more; what is being computed continues.
    pub fn retain(&self, wanted: impl Fn(&K) -> bool) {
        self.lock().retain(|key, cell| matches!(cell, Cell::Busy(_)) || wanted(key));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Cell<V>>> {
        // No code that can panic runs under this lock.
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the mark away when its computation ends without a value, and wakes who waits.
struct Claim<'a, K: Eq + Hash + Clone, V: Clone> {
    once: &'a SingleFlight<K, V>,
    key: &'a K,
}

impl<K: Eq + Hash + Clone, V: Clone> Drop for Claim<'_, K, V> {
    fn drop(&mut self) {
        let mut cells = self.once.lock();
        if matches!(cells.get(self.key), Some(Cell::Busy(_))) {
            cells.remove(self.key);
        }
        drop(cells);
        self.once.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_computed_once_and_a_failure_is_not_kept() {
        let once: SingleFlight<u8, u8> = SingleFlight::default();
        let cancel = Cancel::new();
        let fails = once.get_or(&1, &cancel, &|_| (), |_| Err(Report::new("no")));
        assert!(fails.is_err() && once.get(&1).is_none());
        assert_eq!(once.get_or(&1, &cancel, &|_| (), |_| Ok(7)).unwrap(), 7);
        assert_eq!(once.get_or(&1, &cancel, &|_| (), |_| Ok(8)).unwrap(), 7);
        once.retain(|key| *key != 1);
        assert_eq!(once.get(&1), None);
    }

    #[test]
    fn who_waits_gets_what_another_computes_or_is_cancelled() {
        let once: SingleFlight<u8, u8> = SingleFlight::default();
        let (begun, go) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                once.get_or(&1, &Cancel::new(), &|_| (), |progress| {
                    progress(Progress::steps("table", 3, 9));
                    begun.wait();
                    go.wait();
                    Ok(7)
                })
            });
            begun.wait();
            let cancel = Cancel::new();
            let seen = Mutex::new(None);
            let note = |progress: Progress| {
                *seen.lock().unwrap() = Some(progress.done);
                cancel.cancel();
            };
            let waited = once.get_or(&1, &cancel, &note, |_| Ok(0));
            assert!(waited.is_err(), "who is cancelled does not wait for the other");
            assert_eq!(*seen.lock().unwrap(), Some(3));
            go.wait();
            assert_eq!(once.get_or(&1, &Cancel::new(), &|_| (), |_| Ok(0)).unwrap(), 7);
        });
    }
}
