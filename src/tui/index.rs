//! The index of a corpus as the explorer knows it: what was asked about it, and how far it is to be read.
//! Not here: drawing it, and making it (`session`).

use crate::analysis::IndexView;
use crate::session::IndexQuery;
use crate::session::Query as _;
use crate::task::Progress;
use crate::tui::ask::Ask;
use crate::tui::ask::{AnyAsk as _, Turn};
use crate::tui::msg::Effect;

/// Seconds of one core that a suite without an index is read for without being asked.
const UNASKED: f64 = 60.0;

/// The index of the open suite.
#[derive(Debug, Default)]
pub struct Index {
    /// What was asked and answered.
    pub asked: Ask<IndexQuery>,
    /// How far it is to be read; none where nothing is to be read.
    pub wanted: Option<f64>,
    /// How far the reading was that is under way, or gives way to what a person waits for.
    pub so_far: Option<Progress>,
    /// Whether nothing is to be read without being asked any more.
    stopped: bool,
    /// Whether no suite's text is read without being asked.
    never: bool,
}

impl Index {
    /// What there is, as far as it was answered.
    #[must_use]
    pub fn view(&self) -> Option<&IndexView> {
        self.asked.value().map(|view| &**view)
    }

    /// Grows as more of the text is counted, by steps of about four tenths: what was said of a latent before can be asked
    /// again then.
    #[must_use]
    pub fn version(&self) -> u64 {
        let said = self.view().map_or(0, |view| view.tokens);
        let tokens = self.so_far.as_ref().map_or(0, |so_far| so_far.done).max(said);
        let steps = (tokens.max(1) as f64).log2() * 2.0;
        steps as u64 * 2 + u64::from(self.wanted.is_none() && tokens > 0)
    }

    /// Whether anything is read without being asked.
    #[must_use]
    pub const fn reads_unasked(&self) -> bool {
        !self.never
    }

    /// Reads nothing without being asked: a picture does not depend on how far a reading came.
    pub const fn leave_unread(&mut self) {
        self.never = true;
    }

    /// Reads on to the end of the text; what is read is not read again.
    pub fn read_on(&mut self) {
        (self.wanted, self.stopped) = (Some(f64::INFINITY), false);
    }

    /// Reads no further.
    pub fn stop(&mut self, effects: &mut Vec<Effect>) {
        (self.wanted, self.stopped) = (None, true);
        self.pause(effects);
    }

    /// Lets the reading go until nobody waits for anything; what was read stays counted.
    pub fn pause(&mut self, effects: &mut Vec<Effect>) {
        if self.asked.is_pending() {
            effects.push(Effect::Cancel(IndexQuery::NAME));
            self.asked.end();
        }
    }

    /// What else changes with what came of the question.
    pub fn turned(&mut self, turn: Turn) {
        match turn {
            Turn::Progress(_) => self.so_far = self.asked.progressed().cloned(),
            Turn::Answered => {
                let read = self.asked.answers().is_some_and(|(query, ())| query.read.is_some());
                let view = self.asked.value();
                let begin = view.is_some_and(|view| view.tokens == 0 && !view.complete);
                self.wanted = Some(UNASKED).filter(|_| begin && !read && !self.stopped && !self.never);
                self.so_far = None;
            }
            Turn::Failed | Turn::Ended => (self.wanted, self.stopped) = (None, true),
            Turn::Retried => {}
            Turn::Cleared => {
                *self = Self { asked: std::mem::take(&mut self.asked), never: self.never, ..Self::default() };
            }
        }
    }
}
