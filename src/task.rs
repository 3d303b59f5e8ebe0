//! What is being asked for, which asking of it, how far it is and whether it is still wanted.
//! Not here: threads, clocks, and what the work is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

/// A place on screen or in the program that holds at most one running and one waiting job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// Loading a suite.
    Suite,
    /// The prompt through model and ladder.
    Run,
    /// The card of the chosen latent.
    Card,
    /// Which heads and tokens made the chosen latent fire.
    Origins,
    /// Short names of the latents on screen.
    Labels,
    /// Latents by number or promoted token.
    Search,
    /// Latents that the work queue is filtered by.
    Filter,
    /// What putting a latent of a wider SAE into a narrower one does.
    Verdict,
    /// The stitched SAE that is built by hand.
    Bench,
    /// What comes after the tokens of the prompt.
    Next,
    /// A latent's relatives in every SAE.
    Family,
    /// Which text is measured on.
    Text,
    /// The work queue of two SAEs.
    Pair,
    /// The latents that hang together with one.
    Group,
    /// The way from a narrower to a wider SAE.
    Curve,
    /// Cross-entropies of a verdict or of the stitched SAE.
    Loss,
    /// Cross-entropies along the way.
    CurveLoss,
    /// Writing the stitched SAE.
    Export,
    /// What a latent is made of.
    Breakdown,
    /// The card of a meta-latent.
    MetaCard,
    /// The prompt by meta-latents.
    MetaRun,
    /// Short names of the meta-latents on screen.
    MetaLabels,
    /// What comes next with a latent's decoder row edited.
    Surgery,
    /// How the untouched model goes on, the edited one, and the one with a random edit.
    Untouched,
    /// See [`Slot::Untouched`].
    Edited,
    /// See [`Slot::Untouched`].
    Random,
    /// Which meta-SAEs there are, and making their tables.
    Metas,
    /// Training a meta-SAE.
    MetaTrain,
    /// Weights copied into the order in which products read them.
    Pack,
    /// Whether the suite is wired as its SAEs need it.
    Doctor,
    /// Comparing all SAEs with each other.
    Tables,
    /// The list of known suites with what is cached.
    Catalogue,
    /// A download.
    Pull,
}

/// Which asking of a slot an answer belongs to. Later askings have larger tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The ticket after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
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

/// A value computed elsewhere: the last good one stays while the next is computed, and a failure keeps it too.
#[derive(Clone, Debug)]
pub struct Remote<T, E> {
    value: Option<T>,
    asked: Ticket,
    answered: Ticket,
    failure: Option<E>,
    progress: Option<Progress>,
}

impl<T, E> Default for Remote<T, E> {
    fn default() -> Self {
        Self { value: None, asked: Ticket(0), answered: Ticket(0), failure: None, progress: None }
    }
}

impl<T, E> Remote<T, E> {
    /// Notes a new asking and gives its ticket; answers to earlier ones no longer count.
    pub fn ask(&mut self) -> Ticket {
        self.asked = self.asked.next();
        self.progress = None;
        self.asked
    }

    /// Takes an answer; gives false, and changes nothing, when a newer asking has replaced it.
    pub fn answer(&mut self, ticket: Ticket, answer: Result<T, E>) -> bool {
        if ticket != self.asked || self.answered == ticket {
            return false;
        }
        self.answered = ticket;
        self.progress = None;
        match answer {
            Ok(value) => {
                self.value = Some(value);
                self.failure = None;
            }
            Err(failure) => self.failure = Some(failure),
        }
        true
    }

    /// Takes news of an asking still under way; gives false when it is stale.
    pub fn progress(&mut self, ticket: Ticket, progress: Progress) -> bool {
        let current = ticket == self.asked && self.answered != ticket;
        if current {
            self.progress = Some(progress);
        }
        current
    }

    /// Ends the asking under way without an answer: its late answer will be stale.
    pub fn abandon(&mut self) {
        self.asked = self.asked.next();
        self.answered = self.asked;
        self.progress = None;
    }

    /// Forgets value and failure as well.
    pub fn clear(&mut self) {
        self.abandon();
        self.value = None;
        self.failure = None;
    }

    /// The last good value, current or stale.
    pub const fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Why the last asking failed, if it did.
    pub const fn failure(&self) -> Option<&E> {
        self.failure.as_ref()
    }

    /// How far the asking under way is, if it said so.
    pub const fn progressed(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// Whether an answer is still awaited.
    pub fn is_pending(&self) -> bool {
        self.asked != self.answered
    }

    /// Whether what is shown answers an earlier question than the last one asked.
    pub fn is_stale(&self) -> bool {
        self.is_pending() || self.failure.is_some()
    }

    /// The ticket of the last asking.
    pub const fn ticket(&self) -> Ticket {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_answer_changes_nothing() {
        let mut remote: Remote<u8, &str> = Remote::default();
        let first = remote.ask();
        let second = remote.ask();
        assert!(!remote.answer(first, Ok(1)));
        assert_eq!(remote.value(), None);
        assert!(remote.is_pending());
        assert!(remote.answer(second, Ok(2)));
        assert!(!remote.answer(second, Ok(3)), "an asking is answered once");
        assert_eq!(remote.value(), Some(&2));
        assert!(!remote.is_pending());
    }

    #[test]
    fn a_failure_keeps_the_last_good_value() {
        let mut remote: Remote<u8, &str> = Remote::default();
        let ticket = remote.ask();
        remote.answer(ticket, Ok(1));
        let ticket = remote.ask();
        assert!(remote.is_stale());
        remote.answer(ticket, Err("no"));
        assert_eq!((remote.value(), remote.failure()), (Some(&1), Some(&"no")));
        let ticket = remote.ask();
        remote.answer(ticket, Ok(2));
        assert_eq!((remote.value(), remote.failure()), (Some(&2), None));
    }

    #[test]
    fn an_abandoned_asking_has_no_answer() {
        let mut remote: Remote<u8, &str> = Remote::default();
        let ticket = remote.ask();
        remote.abandon();
        assert!(!remote.is_pending());
        assert!(!remote.answer(ticket, Ok(1)));
        assert!(!remote.progress(ticket, Progress::default()));
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
