//! A model's words for a latent, and how often they are right: which windows of a text it is shown, what it is asked, what
//! its answers say. Not here: running the text, and asking.
//!
//! Detection and fuzzing are those of delphi (Paulo et al. 2024, arXiv 2410.13928): a model that reads the words tells
//! windows in which the latent fires from others, and marks that are right from marks that are not.

mod answers;
mod prompts;
mod windows;

pub use answers::{explanation, judgements};
pub use prompts::{Case, Message, Task, explain, judge};
pub use windows::{BLOCK, Evidence, LEAST, Reading, Snippet};

/// Windows that are judged at once.
pub const AT_ONCE: usize = 5;

/// What a model said of windows of which it is known whether the latent fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Fires, and it said so.
    pub hits: u64,
    /// Fires, and it said not.
    pub misses: u64,
    /// Does not fire, and it said so.
    pub passes: u64,
    /// Does not fire, and it said that it does.
    pub alarms: u64,
    /// It said nothing that could be read.
    pub silent: u64,
}

impl Judged {
    /// Counts a judgement of a window, or that there is none.
    pub fn add(&mut self, fires: bool, said: Option<bool>) {
        let count = match (fires, said) {
            (_, None) => &mut self.silent,
            (true, Some(true)) => &mut self.hits,
            (true, Some(false)) => &mut self.misses,
            (false, Some(false)) => &mut self.passes,
            (false, Some(true)) => &mut self.alarms,
        };
        *count += 1;
    }

    /// Windows of which it said something.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.hits + self.misses + self.passes + self.alarms
    }

    /// The mean of the shares of windows that are judged rightly where the latent fires and where it does not; none where
    /// less than half of them were judged, or none of one kind.
    #[must_use]
    pub fn balanced_accuracy(&self) -> Option<f64> {
        let share = |right: u64, wrong: u64| (right + wrong > 0).then(|| right as f64 / (right + wrong) as f64);
        let both = share(self.hits, self.misses).zip(share(self.passes, self.alarms));
        both.filter(|_| self.answered() >= self.silent).map(|(fires, silent)| f64::midpoint(fires, silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_windows_must_be_judged() {
        let mut judged = Judged::default();
        for (fires, said) in [(true, Some(true)), (true, Some(false)), (false, Some(false)), (false, None)] {
            judged.add(fires, said);
        }
        assert_eq!((judged.answered(), judged.balanced_accuracy()), (3, Some(0.75)));
        (0..3).for_each(|_| judged.add(true, None));
        assert_eq!(judged.balanced_accuracy(), None);
        assert_eq!(
            Judged { hits: 4, ..Judged::default() }.balanced_accuracy(),
            None,
            "no window without it was judged"
        );
    }
}
