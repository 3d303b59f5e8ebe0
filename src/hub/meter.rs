//! How far a download is, how fast it goes and how long it will take, said now and then.
//! Not here: the bytes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::task::{OnProgress, Progress, Unit, Whole};

/// At most this often is anything said.
const EVERY: Duration = Duration::from_millis(100);
/// Speed is measured over this long.
const WINDOW: Duration = Duration::from_secs(5);

/// Reports a download of one or more files.
pub struct Meter<'a> {
    on: OnProgress<'a>,
    file: String,
    size: Option<u64>,
    whole: Option<Whole>,
    /// Bytes of the files that are complete.
    before: u64,
    said: Option<Instant>,
    /// Bytes fetched so far, at a time. Bytes that were here already do not count for the speed.
    fetched: VecDeque<(Instant, u64)>,
    total_fetched: u64,
}

impl<'a> Meter<'a> {
    /// A meter for `parts` files of `total` bytes together, where that is known.
    pub fn new(on: OnProgress<'a>, parts: usize, total: Option<u64>) -> Self {
        let whole = total.map(|total| Whole { done: 0, total, part: 0, parts });
        let (fetched, total_fetched) = (VecDeque::new(), 0);
        Self { on, file: String::new(), size: None, whole, before: 0, said: None, fetched, total_fetched }
    }

    /// The next file begins.
    pub fn begin(&mut self, file: &str, size: Option<u64>) {
        file.clone_into(&mut self.file);
        self.size = size;
        if let Some(whole) = &mut self.whole {
            whole.part += 1;
        }
        self.say(0, None);
    }

    /// Of the present file `done` bytes are here, `new` of which have just arrived.
    pub fn at(&mut self, done: u64, new: u64) {
        self.total_fetched += new;
        let now = Instant::now();
        if self.said.is_none_or(|said| now.duration_since(said) >= EVERY) {
            self.fetched.push_back((now, self.total_fetched));
            while self.fetched.front().is_some_and(|(then, _)| now.duration_since(*then) > WINDOW) {
                self.fetched.pop_front();
            }
            self.say(done, None);
        }
    }

    /// Of the present file, which was here already, `done` bytes are checked.
    pub fn checking(&mut self, done: u64) {
        if self.said.is_none_or(|said| said.elapsed() >= EVERY) {
            self.say(done, Some("checking"));
        }
    }

    /// Says why nothing comes at the moment.
    pub fn waiting(&mut self, done: u64, why: &str) {
        self.fetched.clear();
        self.say(done, Some(why));
    }

    /// The present file is complete.
    pub fn end(&mut self, size: u64) {
        self.size = Some(size);
        self.say(size, None);
        self.before += size;
    }

    fn say(&mut self, done: u64, why: Option<&str>) {
        self.said = Some(Instant::now());
        let mut whole = self.whole;
        if let Some(whole) = &mut whole {
            whole.done = (self.before + done).min(whole.total);
        }
        let mut figures = Vec::new();
        if let Some(speed) = speed(&self.fetched) {
            figures.push(("bytes_per_second".to_owned(), speed));
            let left = whole.map(|whole| whole.total - whole.done).or(self.size.map(|size| size.saturating_sub(done)));
            figures.extend(left.map(|left| ("seconds_left".to_owned(), left as f64 / speed)));
        }
        let what = why.map_or_else(|| self.file.clone(), |why| format!("{} ({why})", self.file));
        (self.on)(Progress { what, done, total: self.size, unit: Unit::Bytes, whole, figures, so_far: None });
    }
}

/// Bytes per second from the first to the last of the window; none while nothing came.
fn speed(fetched: &VecDeque<(Instant, u64)>) -> Option<f64> {
    let ((first, from), (last, to)) = (fetched.front()?, fetched.back()?);
    let seconds = last.duration_since(*first).as_secs_f64();
    (seconds > 0.0 && to > from).then(|| (to - from) as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_whole_never_goes_back_and_ends_full() {
        let said = RefCell::new(Vec::new());
        let on = |progress: Progress| said.borrow_mut().push(progress);
        let mut meter = Meter::new(&on, 2, Some(30));
        for (file, size) in [("a", 10), ("b", 20)] {
            meter.begin(file, Some(size));
            meter.at(size / 2, size / 2);
            meter.waiting(size / 2, "the hub is busy");
            meter.end(size);
        }
        let said = said.into_inner();
        let whole: Vec<u64> = said.iter().filter_map(|progress| progress.whole).map(|whole| whole.done).collect();
        assert!(whole.is_sorted(), "{whole:?}");
        assert_eq!(said.last().and_then(|last| last.whole), Some(Whole { done: 30, total: 30, part: 2, parts: 2 }));
        assert!(said.iter().any(|progress| progress.what == "b (the hub is busy)"));
    }

    #[test]
    fn speed_is_bytes_over_time() {
        let start = Instant::now();
        let window = VecDeque::from([(start, 100), (start + Duration::from_secs(2), 300)]);
        assert_eq!(speed(&window), Some(100.0));
        assert_eq!(speed(&VecDeque::from([(start, 100)])), None);
    }
}
