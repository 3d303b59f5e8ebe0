//! The places a person visited, to go back and forward through.
//! Not here: what a visit does to the screen.

/// Most visits kept.
const MAX_VISITS: usize = 200;

/// Visits, and which of them is shown.
#[derive(Clone, Debug)]
pub struct History<T> {
    visits: Vec<T>,
    at: usize,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self { visits: Vec::new(), at: 0 }
    }
}

impl<T: Clone + PartialEq> History<T> {
    /// Notes that the person leaves one place for another; what lay ahead is forgotten.
    pub fn visit(&mut self, from: Option<T>, to: T) {
        self.visits.truncate(self.at + 1);
        for visit in from.into_iter().chain([to]) {
            if self.visits.last() != Some(&visit) {
                self.visits.push(visit);
            }
        }
        let excess = self.visits.len().saturating_sub(MAX_VISITS);
        self.visits.drain(..excess);
        self.at = self.visits.len().saturating_sub(1);
    }

    /// The visit before, if there is one; `now` is what is shown, which may be none of the visits.
    pub fn back(&mut self, now: Option<T>) -> Option<T> {
        // What is shown but was never a visit is where Forward must lead again.
        if let Some(now) = now
            && self.visits.get(self.at).is_some_and(|visit| *visit != now)
        {
            self.visit(None, now);
        }
        let before = self.at.checked_sub(1)?;
        let visit = self.visits.get(before)?.clone();
        self.at = before;
        Some(visit)
    }

    /// The visit after, if there is one.
    pub fn forward(&mut self) -> Option<T> {
        let visit = self.visits.get(self.at + 1)?.clone();
        self.at += 1;
        Some(visit)
    }

    /// How many visits lie behind and ahead.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        (self.at, self.visits.len().saturating_sub(self.at + 1))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::location::LatentRef;

    fn at(latent: u32) -> LatentRef {
        LatentRef { sae: "a".into(), latent }
    }

    #[test]
    fn goes_back_to_where_one_came_from_and_forward_again() {
        let mut history = History::default();
        history.visit(Some(at(1)), at(2));
        history.visit(Some(at(2)), at(3));
        assert_eq!(history.back(Some(at(3))), Some(at(2)));
        assert_eq!(history.back(Some(at(2))), Some(at(1)));
        assert_eq!(history.back(Some(at(1))), None);
        assert_eq!(history.forward(), Some(at(2)));
        assert_eq!(history.forward(), Some(at(3)));
        assert_eq!(history.forward(), None);
    }

    #[test]
    fn a_new_visit_forgets_what_lay_ahead() {
        let mut history = History::default();
        history.visit(Some(at(1)), at(2));
        history.back(Some(at(2)));
        history.visit(Some(at(1)), at(9));
        assert_eq!(history.forward(), None);
        assert_eq!(history.back(Some(at(9))), Some(at(1)));
    }

    #[test]
    fn a_latent_reached_without_a_visit_can_be_returned_to() {
        let mut history = History::default();
        history.visit(Some(at(1)), at(2));
        assert_eq!(history.back(Some(at(7))), Some(at(2)));
        assert_eq!(history.forward(), Some(at(7)));
    }

    #[test]
    fn keeps_no_more_than_it_should() {
        let mut history = History::default();
        for i in 0..1000 {
            history.visit(None, at(i));
        }
        assert_eq!(history.depth(), (MAX_VISITS - 1, 0));
    }
}
