//! Calls into code of others that may panic on bytes from elsewhere: a panic there becomes an error, and prints nothing.
//! Not here: what becomes of a panic of this program's own (`worker`, `tui`).

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many guarded calls this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Counts one guarded call for as long as it lives.
struct Entered;

impl Entered {
    fn new() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Whether this thread is in a guarded call, where a panic hook has nothing to say.
#[must_use]
pub fn is_inside() -> bool {
    DEPTH.try_with(Cell::get).is_ok_and(|depth| depth > 0)
}

/// Does some work of which a panic is an error. The panic hook stays silent for it; that of a thread which the work
/// starts does not, as it cannot be distinguished from any other.
///
/// # Errors
/// What the panic said.
pub fn call<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !is_inside() {
                before(info);
            }
        }));
    });
    let entered = Entered::new();
    // What the work leaves half done is not looked at again: callers give up what it worked on.
    let done = catch_unwind(AssertUnwindSafe(work));
    drop(entered);
    done.map_err(|panic| message(&*panic))
}

/// What a panic said.
#[must_use]
pub fn message(panic: &(dyn Any + Send)) -> String {
    let said =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    said.unwrap_or_else(|| "it did not say why".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;

    /// A stand-in for a library that ends in a panic where its input is not what it expects.
    fn library(input: &str) -> usize {
        assert!(input.is_ascii(), "{input} was not expected");
        input.len()
    }

    #[test]
    fn a_panic_within_the_guard_is_an_error_and_is_not_told() {
        let (told, ours) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(vec![thread::current().id()])));
        // Other tests panic too, and want to be told: they continue to the hook that was there.
        let before = Arc::new(take_hook());
        set_hook(Box::new({
            let (told, ours, before) = (Arc::clone(&told), Arc::clone(&ours), Arc::clone(&before));
            move |info| {
                if ours.lock().is_ok_and(|ours| ours.contains(&thread::current().id())) {
                    told.lock().expect("is free").push(message(info.payload()));
                } else {
                    before(info);
                }
            }
        }));

        assert_eq!(call(|| library("fine")), Ok(4));
        assert_eq!(call(|| library("é")), Err("é was not expected".to_owned()));
        // Within each other, and after one that ended in a panic.
        assert_eq!(call(|| (call(|| library("é")).is_err(), is_inside())), Ok((true, true)));
        assert_eq!(call(|| std::panic::panic_any(7)), Err::<(), _>("it did not say why".to_owned()));
        assert!(!is_inside());
        assert!(told.lock().expect("is free").is_empty(), "the hook was silent: {told:?}");

        assert!(catch_unwind(|| panic!("of this program's own")).is_err());
        let other = thread::spawn({
            let ours = Arc::clone(&ours);
            move || {
                ours.lock().expect("is free").push(thread::current().id());
                panic!("in another thread");
            }
        });
        assert_eq!(call(|| other.join().is_err()), Ok(true));
        assert_eq!(*told.lock().expect("is free"), ["of this program's own", "in another thread"]);
    }
}
