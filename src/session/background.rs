//! Who answers beside the session what takes long, on the suite that it has open: tables, measuring on a text, curves.
//! Not here: threads, and the prompt being typed.

use std::sync::Arc;

use crate::report::Report;
use crate::session::current::CurrentSuite;
use crate::session::query::{Cx, Host, Query};
use crate::task::{Cancel, OnProgress};

/// A session's helper. It can be used on another thread, at the same time.
#[derive(Clone)]
pub struct BackgroundSession {
    current: Arc<CurrentSuite>,
}

impl BackgroundSession {
    pub(super) const fn new(current: Arc<CurrentSuite>) -> Self {
        Self { current }
    }

    /// Answers a question that needs no prompt but the last one that was run, on the calling thread.
    ///
    /// # Errors
    /// As [`Session::ask`](super::Session::ask).
    pub fn ask<Q: Query>(&self, query: &Q, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Q::Answer, Report> {
        self.with(cancel, progress, |cx| query.run(cx))
    }

    /// Gives what answers questions beside the session, under a lease of the suite that is open.
    ///
    /// # Errors
    /// That no suite is open, and what `work` says.
    pub fn with<T>(
        &self,
        cancel: &Cancel,
        progress: OnProgress<'_>,
        work: impl FnOnce(&mut Cx<'_>) -> Result<T, Report>,
    ) -> Result<T, Report> {
        let lease = self.current.lease(cancel)?;
        work(&mut Cx::new(Host::Beside { suite: &lease, current: &self.current }, cancel, progress))
    }
}
