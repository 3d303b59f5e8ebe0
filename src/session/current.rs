//! What the session and those beside it share: the suite that is open and the text that is chosen.
//! Not here: threads; what is computed from them.
//!
//! A background session works on what is open under a lease. Who opens another suite calls the leases in and waits until they are
//! given back, so that two suites never need memory at once.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::report::{Kind, Report};
use crate::session::loaded_suite::LoadedSuite;
use crate::task::Cancel;

/// How long the session waits for leases: more than any step between two looks at a cancel flag takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The text that is measured on.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// Grows with every choice, so that what was measured on another text is not taken for this one's.
    pub generation: u64,
    /// The person's own; none for the suite's or the program's.
    pub file: Option<PathBuf>,
    /// How many tokens are read at most.
    pub max_tokens: Option<usize>,
}

/// What the session and those beside it share.
#[derive(Default)]
pub struct CurrentSuite {
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    open: Option<Arc<LoadedSuite>>,
    text: Corpus,
    leases: Vec<(u64, Cancel)>,
    next: u64,
}

/// The open suite, lent.
pub struct Lease<'a> {
    // Fields are dropped in this order: who waits for the return may then count on the suite's memory.
    shared: Arc<LoadedSuite>,
    _given_back: GivenBack<'a>,
}

struct GivenBack<'a> {
    current: &'a CurrentSuite,
    number: u64,
}

impl CurrentSuite {
    /// The open suite for a job that ends soon after `cancel` is raised.
    pub fn lease(&self, cancel: &Cancel) -> Result<Lease<'_>, Report> {
        let mut state = self.lock();
        let shared = state.open.clone().ok_or_else(nothing)?;
        let number = state.next;
        state.next += 1;
        state.leases.push((number, cancel.clone()));
        Ok(Lease { shared, _given_back: GivenBack { current: self, number } })
    }

    /// Makes a suite the one that is open.
    pub fn put(&self, shared: Arc<LoadedSuite>) {
        self.lock().open = Some(shared);
    }

    /// Takes the suite away, ends what is done with it beside the session, and waits until they have let it go.
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
    pub fn corpus(&self) -> Corpus {
        self.lock().text.clone()
    }

    /// Chooses another text.
    pub fn choose(&self, file: Option<PathBuf>, max_tokens: Option<usize>) {
        let mut state = self.lock();
        let generation = state.text.generation + 1;
        state.text = Corpus { generation, file, max_tokens };
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
    type Target = LoadedSuite;
    fn deref(&self) -> &LoadedSuite {
        &self.shared
    }
}

impl Drop for GivenBack<'_> {
    fn drop(&mut self) {
        self.current.lock().leases.retain(|(number, _)| *number != self.number);
        self.current.returned.notify_all();
    }
}
