//! What a question to a session is: the type of its answer, where it is answered and how urgent it is, beside how it is
//! answered. Not here: any one of the questions; each has a file of its own.

use std::fmt;

use crate::report::{Kind, Report};
use crate::session::current::{Corpus, CurrentSuite, nothing};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::prompt_session::PromptSession;
use crate::session::{Session, SessionConfig};
use crate::task::{Cancel, OnProgress};

/// Where a question waits and is answered: each lane is a thread of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Lane {
    /// What a person waits for. It owns the session: only here the prompt that was run last is there.
    Compute,
    /// What is looked at: relatives, groups, writing files. Short, unless a table is missing.
    Interactive,
    /// What was asked for and takes long: measuring pairs, curves, cross-entropies.
    Long,
    /// Training.
    Training,
    /// What will be asked for: all tables.
    Prefetch,
    /// What is done without being asked for, once: weights packed, and how the suite is wired.
    Maintenance,
    /// Downloads. No suite is open here.
    Download,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Compute,
        Self::Interactive,
        Self::Long,
        Self::Training,
        Self::Prefetch,
        Self::Maintenance,
        Self::Download,
    ];

    /// The name of its thread.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Interactive => "interactive",
            Self::Long => "long",
            Self::Training => "training",
            Self::Prefetch => "prefetch",
            Self::Maintenance => "maintenance",
            Self::Download => "download",
        }
    }
}

/// What holds at most one running and one waiting question: the question's name, unless it says otherwise.
pub type Slot = &'static str;

/// A question: what is asked, as plain data.
pub trait Query: Clone + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// What answers it.
    type Answer: fmt::Debug + Send + Sync + 'static;
    /// Its name, which no other question has.
    const NAME: &'static str;
    /// Where it is answered.
    const LANE: Lane = Lane::Compute;
    /// How urgent it is among those that wait on its lane: the smallest is answered first.
    const PRIORITY: u8;

    /// Answers it, on the calling thread.
    ///
    /// # Errors
    /// What went wrong as a person reads it; of kind [`Kind::Cancelled`] when it was cancelled.
    fn run(&self, cx: &mut Cx<'_>) -> Result<Self::Answer, Report>;

    /// What a newer asking of it replaces.
    fn slot(&self) -> Slot {
        Self::NAME
    }

    /// How urgent this one is.
    fn priority(&self) -> u8 {
        Self::PRIORITY
    }
}

/// What a question is answered with.
pub struct Cx<'a> {
    host: Host<'a>,
    /// Whether the answer is still wanted.
    pub cancel: &'a Cancel,
    /// Where progress is reported.
    pub progress: OnProgress<'a>,
}

/// Who answers.
pub(super) enum Host<'a> {
    /// The session itself.
    Session(&'a mut Session),
    /// Someone beside it, on the suite that it has open.
    Beside { suite: &'a LoadedSuite, current: &'a CurrentSuite },
    /// Someone who has nothing open.
    SessionConfig(&'a SessionConfig),
}

impl<'a> Cx<'a> {
    pub(super) const fn new(host: Host<'a>, cancel: &'a Cancel, progress: OnProgress<'a>) -> Self {
        Self { host, cancel, progress }
    }

    /// The session that owns prompt and suite.
    pub(super) fn session(&mut self) -> Result<&mut Session, Report> {
        match &mut self.host {
            Host::Session(session) => Ok(session),
            Host::Beside { .. } | Host::SessionConfig(_) => Err(elsewhere("the prompt")),
        }
    }

    /// The open suite with the prompt that was run last.
    pub(super) fn prompt(&mut self) -> Result<&mut PromptSession, Report> {
        self.session()?.prompt_mut()
    }

    /// The open suite.
    pub(super) fn suite(&self) -> Result<&LoadedSuite, Report> {
        match &self.host {
            Host::Session(session) => session.prompt().map(|prompt| &**prompt),
            Host::Beside { suite, .. } => Ok(suite),
            Host::SessionConfig(_) => Err(nothing()),
        }
    }

    /// What is shared of the open suite.
    pub(super) fn current(&self) -> Result<&CurrentSuite, Report> {
        match &self.host {
            Host::Session(session) => Ok(session.current()),
            Host::Beside { current, .. } => Ok(current),
            Host::SessionConfig(_) => Err(elsewhere("the text")),
        }
    }

    /// The text that is measured on.
    pub(super) fn corpus(&self) -> Result<Corpus, Report> {
        self.current().map(CurrentSuite::corpus)
    }

    /// Where things are found.
    pub(super) fn setup(&self) -> &SessionConfig {
        match &self.host {
            Host::Session(session) => session.setup(),
            Host::Beside { suite, .. } => &suite.setup,
            Host::SessionConfig(setup) => setup,
        }
    }
}

/// That a question was put on a lane that lacks what it needs.
fn elsewhere(what: &str) -> Report {
    Report::new(format!("internal error: {what} is not on this lane")).kind(Kind::Bug)
}
