//! Progress on one line of standard error, and ^C as a cancel.
//! Not here: the explorer's progress.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crate::cli::output;
use crate::task::{Cancel, Progress, Unit};
use crate::tui::format;

/// How often the line changes.
const EVERY: Duration = Duration::from_millis(200);

/// One line of progress; nothing where nobody watches.
pub struct Line {
    watched: bool,
    started: Instant,
    /// Bytes or steps done when this began, to measure what this run did.
    first: Cell<Option<u64>>,
    drawn: Cell<Option<Instant>>,
}

impl Line {
    /// A line that is not drawn yet.
    pub fn new() -> Self {
        Self { watched: output::is_watched(), started: Instant::now(), first: Cell::new(None), drawn: Cell::new(None) }
    }

    /// Shows how far the work is.
    pub fn show(&self, progress: &Progress) {
        let now = Instant::now();
        if !self.watched || self.drawn.get().is_some_and(|at| now - at < EVERY) {
            return;
        }
        self.drawn.set(Some(now));
        let line = self.words(progress, now);
        let mut out = io::stderr().lock();
        let _ = write!(out, "\r\x1b[K{}", output::shown(&line)).and_then(|()| out.flush());
    }

    /// Ends the line.
    pub fn end(&self) {
        if self.drawn.take().is_some() {
            let mut out = io::stderr().lock();
            let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
        }
    }

    fn words(&self, progress: &Progress, now: Instant) -> String {
        let amount = |count: u64| match progress.unit {
            Unit::Bytes => format::bytes(count),
            Unit::Steps => format::count(count),
        };
        let of = |done: u64, total: Option<u64>| match total {
            Some(total) => format!("{} of {}", amount(done), amount(total)),
            None => amount(done),
        };
        let mut line = format!("{}  {}", shown(&progress.what), of(progress.done, progress.total));
        let (done, total) = match progress.whole {
            Some(whole) => {
                let all = of(whole.done, Some(whole.total));
                // Writing to a string does not fail.
                let _ = write!(line, "  ·  file {} of {}, {all}", whole.part, whole.parts);
                (whole.done, Some(whole.total))
            }
            None => (progress.done, progress.total),
        };
        let first = self.first.get().unwrap_or(done);
        self.first.set(Some(first));
        let seconds = (now - self.started).as_secs_f64();
        if progress.unit == Unit::Bytes && done > first && seconds > 0.5 {
            let speed = (done - first) as f64 / seconds;
            let _ = write!(line, "  ·  {}/s", format::bytes(speed as u64));
            if let Some(left) = total.map(|total| total.saturating_sub(done) as f64 / speed) {
                let _ = write!(line, ", {} left", duration(left));
            }
        }
        line
    }
}

/// Names from a hub are foreign text: nothing in them reaches the terminal as a control.
fn shown(text: &str) -> String {
    crate::text::prose(text, crate::text::Charset::Unicode)
}

fn duration(seconds: f64) -> String {
    match seconds as u64 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A cancel that ^C raises; a second ^C ends the program at once, as does SIGTERM.
pub fn cancel_on_interrupt() -> Cancel {
    let cancel = Cancel::new();
    #[cfg(unix)]
    {
        let raised = cancel.clone();
        // Without a signal handler ^C ends the program, which loses nothing either: downloads resume.
        if let Ok(mut signals) = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT]) {
            let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
                for _ in signals.forever() {
                    if raised.is_cancelled() {
                        let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGINT);
                    }
                    raised.cancel();
                }
            });
        }
    }
    cancel
}
