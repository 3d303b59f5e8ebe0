//! A value computed elsewhere, and the question that it answers.
//! Not here: asking.

use crate::report::{Kind, Report};
use crate::task::{Progress, Remote, Ticket};

/// A value computed elsewhere with the question asked last and the question that the value answers.
#[derive(Clone, Debug)]
pub struct Asked<K, T> {
    remote: Remote<T, Report>,
    question: Option<K>,
    answers: Option<K>,
}

impl<K, T> Default for Asked<K, T> {
    fn default() -> Self {
        Self { remote: Remote::default(), question: None, answers: None }
    }
}

impl<K: PartialEq + Clone, T> Asked<K, T> {
    /// Asks unless this was asked last; gives the ticket to ask with.
    pub fn want(&mut self, key: &K) -> Option<Ticket> {
        if self.question.as_ref() == Some(key) {
            return None;
        }
        self.question = Some(key.clone());
        Some(self.remote.ask())
    }

    /// Takes an answer; gives false, and changes nothing, when it is stale. One that says "cancelled" only ends the
    /// waiting.
    pub fn answer(&mut self, ticket: Ticket, answer: Result<T, Report>) -> bool {
        if answer.as_ref().is_err_and(|report| report.kind == Kind::Cancelled) {
            let current = ticket == self.remote.ticket() && self.remote.is_pending();
            if current {
                self.remote.abandon();
            }
            return current;
        }
        let fine = answer.is_ok();
        let taken = self.remote.answer(ticket, answer);
        if taken && fine {
            self.answers.clone_from(&self.question);
        }
        taken
    }

    /// Takes news of an asking still under way; gives false when it is stale.
    pub fn progress(&mut self, ticket: Ticket, progress: Progress) -> bool {
        self.remote.progress(ticket, progress)
    }

    /// The value that answers this question, if it is there.
    pub fn of(&self, key: &K) -> Option<&T> {
        self.remote.value().filter(|_| self.answers.as_ref() == Some(key))
    }

    /// The last good value, whatever it answers.
    pub const fn value(&self) -> Option<&T> {
        self.remote.value()
    }

    /// The question that the value answers.
    pub const fn answers(&self) -> Option<&K> {
        self.answers.as_ref()
    }

    /// The question asked last.
    pub const fn question(&self) -> Option<&K> {
        self.question.as_ref()
    }

    /// Whether an answer is awaited.
    pub fn is_pending(&self) -> bool {
        self.remote.is_pending()
    }

    /// How far the asking under way is, if it said so.
    pub const fn progressed(&self) -> Option<&Progress> {
        self.remote.progressed()
    }

    /// Why the last asking failed, if it did and no other is under way.
    pub fn failure(&self) -> Option<&Report> {
        self.remote.failure().filter(|_| !self.is_pending())
    }

    /// The ticket of the last asking.
    pub const fn ticket(&self) -> Ticket {
        self.remote.ticket()
    }

    /// Ends the asking under way; it is asked for again only when the question changes or by [`Self::retry`].
    pub fn abandon(&mut self) {
        self.remote.abandon();
    }

    /// Lets a question that failed or was abandoned be asked again.
    pub fn retry(&mut self) {
        if !self.is_pending() && self.question != self.answers || self.remote.failure().is_some() {
            self.question = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_once_and_knows_what_its_value_answers() {
        let mut asked: Asked<u8, char> = Asked::default();
        let first = asked.want(&1).expect("a ticket");
        assert_eq!(asked.want(&1), None);
        assert!(asked.answer(first, Ok('a')));
        assert_eq!(asked.of(&1), Some(&'a'));
        let second = asked.want(&2).expect("a ticket");
        assert!(!asked.answer(first, Ok('b')), "stale");
        assert_eq!((asked.of(&2), asked.value()), (None, Some(&'a')), "the last good one stays");
        assert!(asked.answer(second, Ok('c')));
        assert_eq!((asked.of(&1), asked.of(&2)), (None, Some(&'c')));
    }

    #[test]
    fn a_failure_is_not_asked_for_again_by_itself() {
        let mut asked: Asked<u8, char> = Asked::default();
        let ticket = asked.want(&1).expect("a ticket");
        assert!(asked.answer(ticket, Err(Report::new("no"))));
        assert_eq!(asked.want(&1), None);
        asked.retry();
        assert!(asked.want(&1).is_some());
    }

    #[test]
    fn cancelled_is_no_failure() {
        let mut asked: Asked<u8, char> = Asked::default();
        let ticket = asked.want(&1).expect("a ticket");
        assert!(asked.answer(ticket, Err(crate::task::Cancelled.into())));
        assert!(asked.failure().is_none() && !asked.is_pending());
        asked.retry();
        assert!(asked.want(&1).is_some());
    }
}
