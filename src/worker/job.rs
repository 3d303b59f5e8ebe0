//! A question of any kind and its answer, without their types: what threads pass on.
//! Not here: the questions themselves (`session`).

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::report::{Kind, Report};
use crate::session::{Cx, Lane, Query, Slot};
use crate::task::Progress;
use crate::task::Ticket;

/// A question of any kind. Clones share it.
#[derive(Clone)]
pub struct Job(Arc<dyn AnyQuery>);

/// An answer of any kind. Clones share it.
#[derive(Clone)]
pub struct Answer {
    value: Arc<dyn Any + Send + Sync>,
    shown: fn(&(dyn Any + Send + Sync), &mut fmt::Formatter<'_>) -> fmt::Result,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub struct JobEvent {
    /// Which asking it was.
    pub ticket: Ticket,
    /// What happened.
    pub event: Event,
}

/// What happened to a question.
#[derive(Clone, Debug)]
pub enum Event {
    /// It is being answered.
    Progress(Progress),
    /// It ended.
    Done(Result<Answer, Report>),
}

trait AnyQuery: Send + Sync {
    fn slot(&self) -> Slot;
    fn lane(&self) -> Lane;
    fn priority(&self) -> u8;
    fn run(&self, cx: &mut Cx<'_>) -> Result<Answer, Report>;
    fn as_any(&self) -> &dyn Any;
    fn is(&self, other: &dyn AnyQuery) -> bool;
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl<Q: Query> AnyQuery for Q {
    fn slot(&self) -> Slot {
        Query::slot(self)
    }

    fn lane(&self) -> Lane {
        Q::LANE
    }

    fn priority(&self) -> u8 {
        Query::priority(self)
    }

    fn run(&self, cx: &mut Cx<'_>) -> Result<Answer, Report> {
        Query::run(self, cx).map(Answer::new)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is(&self, other: &dyn AnyQuery) -> bool {
        other.as_any().downcast_ref::<Q>() == Some(self)
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Job {
    /// Of a question.
    pub fn new<Q: Query>(query: Q) -> Self {
        Self(Arc::new(query))
    }

    /// The question, if it is of this kind.
    #[must_use]
    pub fn get<Q: Query>(&self) -> Option<&Q> {
        self.0.as_any().downcast_ref()
    }

    /// What a newer asking of it replaces.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.0.slot()
    }

    /// Where it is answered.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.0.lane()
    }

    /// How urgent it is among those that wait on its lane: the smallest is answered first.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.0.priority()
    }

    /// Answers it, on the calling thread.
    ///
    /// # Errors
    /// As the question's own `run`.
    pub fn run(&self, cx: &mut Cx<'_>) -> Result<Answer, Report> {
        self.0.run(cx)
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.0.is(&*other.0)
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(f)
    }
}

impl Answer {
    /// Of a value.
    pub fn new<T: fmt::Debug + Send + Sync + 'static>(value: T) -> Self {
        let shown = |value: &(dyn Any + Send + Sync), f: &mut fmt::Formatter<'_>| match value.downcast_ref::<T>() {
            Some(value) => value.fmt(f),
            None => f.write_str("an answer"),
        };
        Self { value: Arc::new(value), shown }
    }

    /// The value, if it is what answers this question.
    ///
    /// # Errors
    /// A mistake of the program's: who answers was asked something else.
    pub fn of<Q: Query>(self) -> Result<Arc<Q::Answer>, Report> {
        self.value.downcast().map_err(|_| {
            Report::new(format!("internal error: an answer to another question than `{}`", Q::NAME)).kind(Kind::Bug)
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.shown)(&*self.value, f)
    }
}
