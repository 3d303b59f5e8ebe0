//! What comes next after the tokens of the prompt, as far as it is known: the chosen token's is asked for first, the
//! others' while nothing else is wanted. Not here: computing and drawing it.

use crate::analysis::NextToken;
use crate::report::Report;
use crate::session::NextQuery;
use crate::tui::ask::{AnyAsk, Ask, Turn};

/// Positions asked for at a time once the chosen one is known: few, so that other questions get between.
const BATCH: usize = 8;

/// What comes next at the positions of the run shown.
#[derive(Debug, Default)]
pub struct NextStore {
    known: Vec<Option<Vec<NextToken>>>,
    /// The list that was shown last, and the token it comes after.
    last: Option<(String, Vec<NextToken>)>,
    ms: Option<f64>,
    /// What is asked.
    pub ask: Ask<NextQuery>,
}

impl NextStore {
    /// A run of so many tokens is shown: nothing is known of it. The list shown last stays until there is another.
    pub fn restart(&mut self, tokens: usize) {
        self.known = vec![None; tokens];
        self.ms = None;
        self.ask.clear();
    }

    /// The likeliest next tokens after a position, best first.
    #[must_use]
    pub fn at(&self, position: usize) -> Option<&[NextToken]> {
        self.known.get(position)?.as_deref()
    }

    /// The list that was shown last, and the token it comes after.
    #[must_use]
    pub fn last(&self) -> Option<(&str, &[NextToken])> {
        self.last.as_ref().map(|(after, next)| (after.as_str(), next.as_slice()))
    }

    /// Notes that a position is looked at; its list, if known, is the one shown last.
    pub fn look(&mut self, position: usize, token: &str) {
        if let Some(next) = self.known.get(position).cloned().flatten() {
            self.last = Some((token.to_owned(), next));
        }
    }

    /// The positions to ask for next: the one that is looked at, then the nearest that are missing.
    #[must_use]
    pub fn missing(&self, position: usize) -> Vec<usize> {
        let absent = |at: &usize| self.known.get(*at).is_some_and(Option::is_none);
        if self.ask.is_pending() || self.ask.is_unanswered() {
            return Vec::new();
        }
        if absent(&position) {
            return vec![position];
        }
        let mut missing: Vec<usize> = (0..self.known.len()).filter(absent).collect();
        missing.sort_by_key(|at| at.abs_diff(position));
        missing.truncate(BATCH);
        missing
    }

    /// Whether an answer is awaited.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.ask.is_pending()
    }

    /// Ends the asking under way; gives whether there was one.
    pub fn abandon(&mut self) -> bool {
        let pending = self.ask.is_pending();
        self.ask.end();
        pending
    }

    /// Why what comes next is not known.
    #[must_use]
    pub const fn failure(&self) -> Option<&Report> {
        self.ask.last_failure()
    }

    /// How long the first answer took, in milliseconds: it takes the prompt through the rest of the model.
    #[must_use]
    pub const fn ms(&self) -> Option<f64> {
        self.ms
    }

    /// Takes what came of the asking.
    pub fn turn(&mut self, turn: Turn) {
        match (turn, self.ask.value()) {
            (Turn::Answered, Some(predictions)) => {
                self.ms.get_or_insert(predictions.ms);
                for (position, next) in &predictions.next {
                    if let Some(known) = self.known.get_mut(*position) {
                        *known = Some(next.clone());
                    }
                }
            }
            (Turn::Cleared, _) => self.clear(),
            _ => {}
        }
    }

    /// Forgets everything, as when another suite is opened.
    pub fn clear(&mut self) {
        self.restart(0);
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Predictions;
    use crate::task::Tickets;
    use crate::worker::Answer;

    fn next(position: usize) -> (usize, Vec<NextToken>) {
        (position, vec![NextToken { id: position as u32, text: format!("t{position}"), logprob: -0.5 }])
    }

    fn ask(store: &mut NextStore) {
        let query = NextQuery { prompt: String::new(), positions: Vec::new(), count: 1 };
        store.ask.ask(query, (), &mut Tickets::default());
    }

    fn answer(store: &mut NextStore, answer: Result<Predictions, Report>) {
        let turn = if answer.is_ok() { Turn::Answered } else { Turn::Failed };
        store.ask.take(answer.map(Answer::new));
        store.turn(turn);
    }

    #[test]
    fn the_chosen_position_comes_first_then_its_neighbours_until_all_are_known() {
        let mut store = NextStore::default();
        store.restart(20);
        let mut order = Vec::new();
        loop {
            let missing = store.missing(5);
            if missing.is_empty() {
                break;
            }
            ask(&mut store);
            assert!(store.missing(5).is_empty(), "one asking at a time");
            let next = missing.iter().copied().map(next).collect();
            order.push(missing);
            answer(&mut store, Ok(Predictions { next, ms: order.len() as f64 }));
        }
        assert_eq!(order[0], [5]);
        assert_eq!(order[1], [4, 6, 3, 7, 2, 8, 1, 9]);
        assert_eq!(order.concat().len(), 20);
        assert_eq!(store.ms(), Some(1.0), "the time of the first");
    }

    #[test]
    fn the_list_shown_last_stays_through_a_new_run_and_a_failure_is_not_asked_for_again() {
        let mut store = NextStore::default();
        store.restart(2);
        ask(&mut store);
        answer(&mut store, Ok(Predictions { next: vec![next(1)], ms: 1.0 }));
        store.look(1, " Paris");
        store.restart(3);
        store.look(2, " Rome");
        assert_eq!((store.at(2), store.last().map(|(after, _)| after)), (None, Some(" Paris")));
        ask(&mut store);
        answer(&mut store, Err(Report::new("no")));
        assert!(store.missing(2).is_empty() && store.failure().is_some());
        store.restart(3);
        assert_eq!(store.missing(2), [2]);
        store.clear();
        assert!(store.last().is_none());
    }
}
