//! An error as a person reads it: what went wrong, why, and what to do.
//! Not here: the typed errors of the modules, which become reports at the session.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::{self, Charset};

/// What went wrong, the chain of causes, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What could not be done, in one sentence without a full stop.
    pub what: String,
    /// The causes, outermost first.
    pub why: Vec<String>,
    /// What the person can do, when something can be done.
    pub hint: Option<String>,
    /// What kind of thing this is, for programs and exit codes.
    #[serde(skip)]
    pub kind: Kind,
}

/// What kind of report this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// An expected failure: exit code 1.
    #[default]
    Failure,
    /// The command was used wrongly: exit code 2.
    Usage,
    /// A mistake of this program: exit code 70.
    Bug,
    /// Nobody wanted the answer any more.
    Cancelled,
    /// Something must be downloaded first.
    Missing,
    /// The terminal is gone: exit code 129, as for its signal.
    HungUp,
}

impl Report {
    /// A report with its first sentence alone.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// A report whose causes are an error and the errors behind it.
    pub fn caused(what: impl Into<String>, error: &(dyn Error + 'static)) -> Self {
        let mut report = Self::new(what);
        let mut cause = Some(error);
        while let Some(error) = cause {
            let line = error.to_string();
            // Wrappers that only repeat the inner message would print it twice.
            if report.why.last().is_none_or(|last| !last.ends_with(&line)) {
                report.why.push(line);
            }
            cause = error.source();
        }
        report
    }

    /// The same with one more cause.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// The same with what the person can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, of another kind.
    #[must_use]
    pub const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The exit code that belongs to it (`interface.md`: 1 expected failure, 2 wrong usage, 70 a bug, 129 hung up, 130 interrupted).
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failure | Kind::Missing => 1,
            Kind::Usage => 2,
            Kind::Bug => 70,
            Kind::HungUp => 129,
            Kind::Cancelled => 130,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line break in a foreign name would begin a line that looks like one of these.
        let line = |text| text::line(text, Charset::Unicode);
        write!(f, "error: {}", line(&self.what))?;
        for why in &self.why {
            write!(f, "\ncaused by: {}", line(why))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {}", line(hint))?;
        }
        Ok(())
    }
}

impl Error for Report {}

impl From<crate::task::Cancelled> for Report {
    fn from(_: crate::task::Cancelled) -> Self {
        Self::new("cancelled").kind(Kind::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_why_and_hint_on_lines_of_their_own() {
        let report = Report::new("cannot open `x`").because("no such file").hint("check the path");
        assert_eq!(report.to_string(), "error: cannot open `x`\ncaused by: no such file\nhint: check the path");
    }

    #[test]
    fn what_it_quotes_is_not_obeyed_and_makes_no_lines() {
        let report = Report::new("\u{1b}]0;x\u{7}").because("a\nhint: run this").hint("\u{202e}x");
        assert_eq!(report.to_string(), "error: ␛]0;x␇\ncaused by: a⏎hint: run this\nhint: ⟨U+202E⟩x");
    }

    #[test]
    fn names_every_cause_once() {
        let inner = std::io::Error::other("disk on fire");
        let outer = std::io::Error::other(inner);
        assert_eq!(Report::caused("cannot read", &outer).why, ["disk on fire"]);
    }
}
