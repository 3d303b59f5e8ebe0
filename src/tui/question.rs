//! An entry of the list of everything that the explorer asks: where it stands in the state, and what happens to it.
//! Not here: the list (`update/questions.rs`).

use crate::tui::app::App;
use crate::tui::ask::{AnyAsk, Turn};
use crate::tui::msg::Effect;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A person who looks at it.
    Soon,
    /// Nobody: it follows what is on screen, or was set going.
    Long,
    /// Nobody, and nothing on screen depends on it.
    Unseen,
}

/// What happens to the state around a question.
pub type Then = fn(&mut App, Turn, &mut Vec<Effect>);

/// A question of the explorer.
#[derive(Clone, Copy)]
pub struct Question {
    /// Where it stands.
    pub of: fn(&App) -> &dyn AnyAsk,
    /// The same, to be changed.
    pub of_mut: fn(&mut App) -> &mut dyn AnyAsk,
    /// Who waits for its answer.
    pub wait: Wait,
    /// Whether it is about no suite in particular: it is kept when another is opened.
    pub lasts: bool,
    /// Whether its answer is another suite: all that was asked about the one before is forgotten.
    pub renews: bool,
    /// What a person is reported who ended it.
    pub ended: &'static str,
    /// What else changes with it.
    pub then: Then,
}

impl Question {
    /// One that a person waits for, of the suite that is open, and with which nothing else changes.
    #[must_use]
    pub const fn new(of: fn(&App) -> &dyn AnyAsk, of_mut: fn(&mut App) -> &mut dyn AnyAsk) -> Self {
        let (wait, ended, then): (Wait, &str, Then) = (Wait::Soon, "cancelled; r asks again", |_, _, _| {});
        Self { of, of_mut, wait, lasts: false, renews: false, ended, then }
    }

    /// The same with what else changes.
    #[must_use]
    pub const fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    /// The same with who waits for it.
    #[must_use]
    pub const fn wait(self, wait: Wait) -> Self {
        Self { wait, ..self }
    }

    /// The same with what a person is reported who ended it.
    #[must_use]
    pub const fn ended(self, ended: &'static str) -> Self {
        Self { ended, ..self }
    }

    /// The same, whose answer is another suite.
    #[must_use]
    pub const fn renewing(self) -> Self {
        Self { renews: true, ..self }
    }

    /// The same, kept when another suite is opened.
    #[must_use]
    pub const fn lasting(self) -> Self {
        Self { lasts: true, ..self }
    }
}

/// The question that stands at a place of the state: `question!(stitch.pair)`.
macro_rules! question {
    ($($path:tt)+) => {
        $crate::tui::question::Question::new(|app| &app.$($path)+, |app| &mut app.$($path)+)
    };
}

pub(crate) use question;
