//! Which asking an answer belongs to, how far the answer is, and whether it is still wanted.
//! Not here: threads, clocks, and what the work is.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

/// Which asking an answer belongs to. Later askings have larger tickets; 0 is that of none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Ticket(pub u64);

/// Where tickets come from: none comes twice, whatever is asked and forgotten in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tickets(u64);

impl Tickets {
    /// The next ticket.
    pub const fn issue(&mut self) -> Ticket {
        self.0 += 1;
        Ticket(self.0)
    }
}

/// A flag that says that the work is no longer wanted. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the work is no longer wanted.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work is no longer wanted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `Err(Cancelled)` once the work is no longer wanted, so that loops can use `?`.
    ///
    /// # Errors
    /// [`Cancelled`] when [`Cancel::cancel`] was called on any clone.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

/// The work stopped because nobody wants it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// How far a piece of work is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    /// What is being done, for a person: `model.safetensors`, `step`, …
    pub what: String,
    /// Units done so far.
    pub done: u64,
    /// Units in all, when known.
    pub total: Option<u64>,
    /// What a unit is.
    pub unit: Unit,
    /// The whole of which this is a part (a file of a download), when there is one.
    pub whole: Option<Whole>,
    /// Measured numbers worth showing beside it, such as a training loss.
    pub figures: Vec<(String, f64)>,
    /// What is there of the answer, where it can be shown as it grows.
    #[serde(skip)]
    pub so_far: Option<SoFar>,
}

/// A part of an answer, of a type that who asked knows.
#[derive(Clone)]
pub struct SoFar(Arc<dyn Any + Send + Sync>);

impl SoFar {
    /// A part of an answer.
    pub fn new(part: impl Any + Send + Sync) -> Self {
        Self(Arc::new(part))
    }

    /// The part, if it is of this type.
    #[must_use]
    pub fn of<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for SoFar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoFar")
    }
}

impl PartialEq for SoFar {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The whole of which a [`Progress`] is a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Whole {
    /// Units done so far, over all parts.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// Which part this is, from 1.
    pub part: usize,
    /// How many parts there are.
    pub parts: usize,
}

/// What the numbers of a [`Progress`] count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Unit {
    /// Steps, layers, rows.
    #[default]
    Steps,
    /// Bytes.
    Bytes,
}

impl Progress {
    /// Progress in steps.
    #[must_use]
    pub fn steps(what: impl Into<String>, done: u64, total: u64) -> Self {
        Self { what: what.into(), done, total: Some(total), ..Self::default() }
    }
}

/// Where a job reports its progress.
pub type OnProgress<'a> = &'a dyn Fn(Progress);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ticket_comes_twice() {
        let mut tickets = Tickets::default();
        let (first, second) = (tickets.issue(), tickets.issue());
        assert!(Ticket::default() < first && first < second);
    }

    #[test]
    fn clones_of_a_cancel_share_it() {
        let cancel = Cancel::new();
        let other = cancel.clone();
        assert!(other.check().is_ok());
        cancel.cancel();
        assert_eq!(other.check(), Err(Cancelled));
    }
}
