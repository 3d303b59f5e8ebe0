//! A question that the explorer asks, the question that its value answers, and whether an answer is awaited.
//! Not here: which questions there are (`update/questions.rs`), and when they are asked (`update/requests.rs`).

use std::sync::Arc;
use std::time::Duration;

use crate::report::{Kind, Report};
use crate::session::{Query, Slot};
use crate::task::{Progress, Ticket, Tickets};
use crate::tui::msg::Effect;
use crate::worker::{Answer, Job};

/// A question with what was asked last, and the last good answer with the question that it answers. `When` is what the
/// answer depends on beside the question, such as which run of the prompt it is about.
#[derive(Debug)]
pub struct Ask<Q: Query, When = ()> {
    value: Option<Arc<Q::Answer>>,
    question: Option<(Q, When)>,
    answers: Option<(Q, When)>,
    ticket: Ticket,
    pending: bool,
    failure: Option<Report>,
    progress: Option<Progress>,
}

/// What happens to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is being answered, at a time since the start of the program.
    Progress(Duration),
    /// It was answered.
    Answered,
    /// It failed.
    Failed,
    /// It was ended without an answer.
    Ended,
    /// The person wants what failed or was ended asked again.
    Retried,
    /// Another suite is open: all of it was forgotten.
    Cleared,
}

/// A question of any kind, for what is done with all of them alike.
pub trait AnyAsk {
    /// What a newer asking of it replaces; empty before the first.
    fn slot(&self) -> Slot;
    /// Which asking was the last.
    fn ticket(&self) -> Ticket;
    /// Whether an answer is awaited.
    fn is_pending(&self) -> bool;
    /// Why the last asking that ended failed, if it did.
    fn last_failure(&self) -> Option<&Report>;
    /// Notes how far the asking under way is.
    fn note(&mut self, progress: Progress);
    /// Takes the answer of the asking under way; gives which of the three ends it was.
    fn take(&mut self, answer: Result<Answer, Report>) -> Turn;
    /// Ends the asking under way: its late answer will be stale, and it is asked for again only when the question changes
    /// or by [`AnyAsk::retry`].
    fn end(&mut self);
    /// Lets a question that failed or was ended be asked again.
    fn retry(&mut self);
    /// Lets what was asked last be asked again, whatever came of it.
    fn forget_question(&mut self);
    /// Asks again what was asked last; none where nothing was.
    fn again(&mut self, tickets: &mut Tickets) -> Option<Effect>;
    /// Forgets question, value and failure.
    fn clear(&mut self);
}

impl<Q: Query, When> Default for Ask<Q, When> {
    fn default() -> Self {
        Self {
            value: None,
            question: None,
            answers: None,
            ticket: Ticket::default(),
            pending: false,
            failure: None,
            progress: None,
        }
    }
}

impl<Q: Query, When: Clone + PartialEq> Ask<Q, When> {
    /// Asks unless this was asked last.
    pub fn want(&mut self, query: Q, when: When, tickets: &mut Tickets) -> Option<Effect> {
        let asked = self.question.as_ref().is_some_and(|(last, since)| *last == query && *since == when);
        (!asked).then(|| self.ask(query, when, tickets))
    }

    /// Asks; answers to earlier askings no longer count.
    pub fn ask(&mut self, query: Q, when: When, tickets: &mut Tickets) -> Effect {
        self.ticket = tickets.issue();
        self.pending = true;
        self.progress = None;
        self.question = Some((query.clone(), when));
        Effect::Ask { ticket: self.ticket, job: Job::new(query) }
    }

    /// The value that answers this question, if it is there.
    #[must_use]
    pub fn of(&self, query: &Q, when: &When) -> Option<&Arc<Q::Answer>> {
        let answers = self.answers.as_ref().is_some_and(|(last, since)| last == query && since == when);
        self.value.as_ref().filter(|_| answers)
    }

    /// The last good value, whatever it answers.
    #[must_use]
    pub const fn value(&self) -> Option<&Arc<Q::Answer>> {
        self.value.as_ref()
    }

    /// Puts another form of the value in its place.
    pub fn put(&mut self, value: Q::Answer) {
        self.value = Some(Arc::new(value));
    }

    /// The question that the value answers.
    #[must_use]
    pub const fn answers(&self) -> Option<&(Q, When)> {
        self.answers.as_ref()
    }

    /// The question asked last.
    #[must_use]
    pub const fn question(&self) -> Option<&(Q, When)> {
        self.question.as_ref()
    }

    /// Whether an answer is awaited.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.pending
    }

    /// Whether what is shown answers an earlier question than the last one asked.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        self.pending || self.failure.is_some()
    }

    /// Whether what was asked last has failed or was ended: it is not asked for again by itself.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        !self.pending && self.question.is_some() && (self.question != self.answers || self.failure.is_some())
    }

    /// How far the asking under way is, if it said so.
    #[must_use]
    pub const fn progressed(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// Why the last asking failed, if it did and no other is under way.
    #[must_use]
    pub fn failure(&self) -> Option<&Report> {
        self.failure.as_ref().filter(|_| !self.pending)
    }

    /// Why the last asking that ended failed, if it did, whatever has been asked since.
    #[must_use]
    pub const fn last_failure(&self) -> Option<&Report> {
        self.failure.as_ref()
    }

    /// Which asking was the last.
    #[must_use]
    pub const fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Lets what was asked last be asked again, whatever came of it.
    pub fn forget(&mut self) {
        self.question = None;
    }
}

impl<Q: Query, When: Clone + PartialEq> AnyAsk for Ask<Q, When> {
    fn slot(&self) -> Slot {
        self.question.as_ref().map_or(Q::NAME, |(query, _)| query.slot())
    }

    fn ticket(&self) -> Ticket {
        self.ticket
    }

    fn is_pending(&self) -> bool {
        self.pending
    }

    fn last_failure(&self) -> Option<&Report> {
        self.failure.as_ref()
    }

    fn note(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    fn take(&mut self, answer: Result<Answer, Report>) -> Turn {
        self.end();
        match answer.and_then(Answer::of::<Q>) {
            Ok(value) => {
                self.value = Some(value);
                self.failure = None;
                self.answers.clone_from(&self.question);
                Turn::Answered
            }
            Err(report) if report.kind == Kind::Cancelled => Turn::Ended,
            Err(report) => {
                self.failure = Some(report);
                Turn::Failed
            }
        }
    }

    fn end(&mut self) {
        self.pending = false;
        self.progress = None;
    }

    fn retry(&mut self) {
        if self.is_unanswered() {
            self.question = None;
        }
    }

    fn forget_question(&mut self) {
        self.forget();
    }

    fn again(&mut self, tickets: &mut Tickets) -> Option<Effect> {
        let (query, when) = self.question.clone()?;
        Some(self.ask(query, when, tickets))
    }

    fn clear(&mut self) {
        *self = Self { ticket: self.ticket, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Found, PackQuery, SearchQuery};

    fn query(of: &str) -> SearchQuery {
        SearchQuery { sae: "s".to_owned(), query: of.to_owned() }
    }

    fn found(of: &str) -> Found {
        Found { sae: "s".to_owned(), query: of.to_owned(), meaning: String::new(), hits: Vec::new() }
    }

    #[test]
    fn asks_once_and_knows_what_its_value_answers() {
        let (mut ask, mut tickets) = (Ask::<SearchQuery>::default(), Tickets::default());
        assert!(ask.want(query("a"), (), &mut tickets).is_some());
        assert!(ask.want(query("a"), (), &mut tickets).is_none());
        assert_eq!(ask.take(Ok(Answer::new(found("a")))), Turn::Answered);
        assert!(ask.of(&query("a"), &()).is_some());
        assert!(ask.want(query("b"), (), &mut tickets).is_some());
        assert!(ask.of(&query("b"), &()).is_none() && ask.value().is_some(), "the last good one stays");
        assert!(ask.is_stale() && !ask.is_unanswered());
        assert_eq!(ask.take(Ok(Answer::new(found("b")))), Turn::Answered);
        assert!(ask.of(&query("a"), &()).is_none() && ask.of(&query("b"), &()).is_some());
    }

    #[test]
    fn a_failure_keeps_the_last_good_value_and_is_not_asked_for_again_by_itself() {
        let (mut ask, mut tickets) = (Ask::<SearchQuery, u64>::default(), Tickets::default());
        ask.ask(query("a"), 1, &mut tickets);
        ask.take(Ok(Answer::new(found("a"))));
        assert!(ask.want(query("a"), 2, &mut tickets).is_some(), "it is about another run");
        assert_eq!(ask.take(Err(Report::new("no"))), Turn::Failed);
        assert!(ask.value().is_some() && ask.failure().is_some() && ask.is_unanswered());
        assert!(ask.want(query("a"), 2, &mut tickets).is_none());
        ask.retry();
        assert!(ask.want(query("a"), 2, &mut tickets).is_some());
        assert!(ask.failure().is_none() && ask.last_failure().is_some(), "until the next has ended");
    }

    #[test]
    fn what_was_ended_is_no_failure_and_another_kind_of_answer_is() {
        let (mut ask, mut tickets) = (Ask::<SearchQuery>::default(), Tickets::default());
        ask.ask(query("a"), (), &mut tickets);
        assert_eq!(ask.take(Err(crate::task::Cancelled.into())), Turn::Ended);
        assert!(ask.failure().is_none() && !ask.is_pending() && ask.is_unanswered());
        assert!(ask.want(query("a"), (), &mut tickets).is_none());
        assert!(ask.again(&mut tickets).is_some());
        assert_eq!(ask.take(Ok(Answer::new(7_u64))), Turn::Failed);
        assert_eq!(ask.failure().map(|report| report.kind), Some(Kind::Bug));
        assert!(Ask::<PackQuery>::default().again(&mut tickets).is_none(), "nothing was asked");
    }
}
