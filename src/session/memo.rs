//! What was computed once of an open suite, of every kind, in one place: who asks for a value that another thread is
//! computing waits for it. Not here: what the values are, and who computes them.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use crate::report::Report;
use crate::session::single_flight::SingleFlight;
use crate::task::{Cancel, OnProgress};

/// What a value is of. Every kind of key has values of its own.
pub trait MemoKey: Clone + Eq + Hash + Send + Sync + 'static {
    /// The value; cheap to clone.
    type Value: Clone + Send + Sync + 'static;

    /// The choice of the text that it was measured on; none where no text is measured.
    fn generation(&self) -> Option<u64> {
        None
    }
}

/// Values by key, whatever the kind of key.
#[derive(Default)]
pub struct Memo {
    stores: Mutex<HashMap<TypeId, Stored>>,
}

/// The values of one kind of key.
struct Stored {
    store: Arc<dyn Any + Send + Sync>,
    /// Lets go of what was measured on other texts.
    forget_others: fn(&(dyn Any + Send + Sync), u64),
}

impl Memo {
    /// The value, if it is there.
    pub fn get<K: MemoKey>(&self, key: &K) -> Option<K::Value> {
        self.store::<K>().get(key)
    }

    /// The value, computed where it is not there; see [`SingleFlight::get_or`].
    pub fn get_or<K: MemoKey>(
        &self,
        key: &K,
        cancel: &Cancel,
        progress: OnProgress<'_>,
        compute: impl FnOnce(OnProgress<'_>) -> Result<K::Value, Report>,
    ) -> Result<K::Value, Report> {
        self.store::<K>().get_or(key, cancel, progress, compute)
    }

    /// Forgets the values of one kind whose keys are not wanted any more; what is being computed is kept.
    pub fn retain<K: MemoKey>(&self, wanted: impl Fn(&K) -> bool) {
        self.store::<K>().retain(wanted);
    }

    /// Forgets what was measured on every other choice of the text, whatever its kind.
    pub fn forget_other_texts(&self, generation: u64) {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        for Stored { store, forget_others } in stores.values() {
            forget_others(&**store, generation);
        }
    }

    fn store<K: MemoKey>(&self) -> Arc<SingleFlight<K, K::Value>> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = stores.entry(TypeId::of::<K>()).or_insert_with(|| Stored {
            store: Arc::new(SingleFlight::<K, K::Value>::default()),
            forget_others: |store, generation| {
                if let Some(store) = store.downcast_ref::<SingleFlight<K, K::Value>>() {
                    store.retain(|key| key.generation().is_none_or(|of| of == generation));
                }
            },
        });
        // What lies under a key's type was put there for it; an empty store costs a computation, not an answer.
        Arc::clone(&stored.store).downcast().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Table(u8);
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Loss(u64, u8);

    impl MemoKey for Table {
        type Value = u8;
    }

    impl MemoKey for Loss {
        type Value = u32;
        fn generation(&self) -> Option<u64> {
            Some(self.0)
        }
    }

    #[test]
    fn every_kind_has_values_of_its_own_and_another_text_forgets_what_was_measured_alone() {
        let memo = Memo::default();
        let (cancel, progress) = (Cancel::new(), &|_| ());
        assert_eq!(memo.get_or(&Table(1), &cancel, progress, |_| Ok(7)).unwrap(), 7);
        assert_eq!(memo.get_or(&Loss(1, 1), &cancel, progress, |_| Ok(5)).unwrap(), 5);
        assert_eq!(memo.get_or(&Loss(2, 1), &cancel, progress, |_| Ok(25)).unwrap(), 25);
        assert_eq!(memo.get_or(&Table(1), &cancel, progress, |_| Ok(8)).unwrap(), 7, "computed once");
        memo.forget_other_texts(2);
        assert_eq!((memo.get(&Table(1)), memo.get(&Loss(1, 1)), memo.get(&Loss(2, 1))), (Some(7), None, Some(25)));
        memo.retain(|key: &Table| key.0 != 1);
        assert_eq!(memo.get(&Table(1)), None);
    }
}
