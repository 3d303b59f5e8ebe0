//! What the session and its aides share: the suite that is open and the text that is chosen.
//! Not here: threads; what is computed from them.
//!
//! An aide works on what is open under a lease. Who opens another suite calls the leases in and waits until they are
//! given back, so that two suites never need memory at once.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::report::{Kind, Report};
use crate::session::shared::Shared;
use crate::task::Cancel;

/// How long the session waits for leases: more than any step between two looks at a cancel flag takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The text that is measured on.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Grows with every choice, so that what was measured on another text is not taken for this one's.
    pub generation: u64,
    /// The person's own; none for the suite's or the program's.
    pub file: Option<PathBuf>,
    /// How many tokens are read at most.
    pub most: Option<usize>,
}

/// What the session and its aides share.
#[derive(Default)]
pub struct Desk {
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    open: Option<Arc<Shared>>,
    text: Chosen,
    leases: Vec<(u64, Cancel)>,
    next: u64,
}

/// The open suite in an aide's hands.
pub struct Lease<'a> {
    // Fields are dropped in this order: who waits for the return may then count on the suite's memory.
    shared: Arc<Shared>,
    _given_back: GivenBack<'a>,
}

struct GivenBack<'a> {
    desk: &'a Desk,
    number: u64,
}

impl Desk {
    /// The open suite for a job that ends soon after `cancel` is raised.
    pub fn lease(&self, cancel: &Cancel) -> Result<Lease<'_>, Report> {
        let mut state = self.lock();
        let shared = state.open.clone().ok_or_else(nothing)?;
        let number = state.next;
        state.next += 1;
        state.leases.push((number, cancel.clone()));
        Ok(Lease { shared, _given_back: GivenBack { desk: self, number } })
    }

    /// Puts a suite on the desk.
    pub fn put(&self, shared: Arc<Shared>) {
        self.lock().open = Some(shared);
    }

    /// Takes the suite away, ends what aides do with it, and waits until they have let it go.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.open = None;
        state.leases.iter().for_each(|(_, cancel)| cancel.cancel());
        let until = Instant::now() + PATIENCE;
        while !state.leases.is_empty() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            state = self.returned.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The text that is measured on.
    pub fn text(&self) -> Chosen {
        self.lock().text.clone()
    }

    /// Chooses another text.
    pub fn choose(&self, file: Option<PathBuf>, most: Option<usize>) {
        let mut state = self.lock();
        let generation = state.text.generation + 1;
        state.text = Chosen { generation, file, most };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That there is nothing to work on.
pub fn nothing() -> Report {
    Report::new("no suite is loaded").hint("choose one from the list of suites").kind(Kind::Missing)
}

impl Deref for Lease<'_> {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for GivenBack<'_> {
    fn drop(&mut self) {
        self.desk.lock().leases.retain(|(number, _)| *number != self.number);
        self.desk.returned.notify_all();
    }
}
