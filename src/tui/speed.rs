//! How fast a download is and how long it will take, out of progress and times.
//! Not here: a clock.

use std::collections::VecDeque;
use std::time::Duration;

/// How much of the past counts: long enough to be calm, short enough to follow a change.
const WINDOW: Duration = Duration::from_secs(8);

/// What was done when.
#[derive(Clone, Debug, Default)]
pub struct Speed {
    samples: VecDeque<(Duration, u64)>,
}

impl Speed {
    /// Notes how much was done at a time.
    pub fn note(&mut self, at: Duration, done: u64) {
        // A file that starts again takes bytes back; what was measured before says nothing then.
        if self.samples.back().is_some_and(|(_, last)| *last > done) {
            self.samples.clear();
        }
        self.samples.push_back((at, done));
        while self.samples.len() > 2 && self.samples.front().is_some_and(|(first, _)| *first + WINDOW < at) {
            self.samples.pop_front();
        }
    }

    /// Units a second; none before there is something to measure.
    #[must_use]
    pub fn per_second(&self) -> Option<f64> {
        let (first_at, first) = self.samples.front()?;
        let (last_at, last) = self.samples.back()?;
        let seconds = last_at.checked_sub(*first_at)?.as_secs_f64();
        (seconds >= 0.5 && last > first).then(|| (last - first) as f64 / seconds)
    }

    /// How long the rest will take at this speed.
    #[must_use]
    pub fn left(&self, total: u64) -> Option<Duration> {
        let done = self.samples.back()?.1;
        Duration::try_from_secs_f64(total.saturating_sub(done) as f64 / self.per_second()?).ok()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.samples.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn measures_over_the_window_alone() {
        let mut speed = Speed::default();
        assert_eq!(speed.per_second(), None);
        speed.note(seconds(0), 0);
        assert_eq!(speed.per_second(), None);
        for s in 1..=20 {
            speed.note(seconds(s), s * 100);
        }
        assert_eq!(speed.per_second(), Some(100.0));
        for s in 21..=40 {
            speed.note(seconds(s), 2000 + (s - 20) * 10);
        }
        assert_eq!(speed.per_second(), Some(10.0), "an old burst is forgotten");
        assert_eq!(speed.left(2300), Some(seconds(10)));
    }

    #[test]
    fn a_download_that_starts_again_is_measured_anew() {
        let mut speed = Speed::default();
        speed.note(seconds(0), 0);
        speed.note(seconds(1), 1000);
        speed.note(seconds(2), 10);
        assert_eq!(speed.per_second(), None);
    }
}
