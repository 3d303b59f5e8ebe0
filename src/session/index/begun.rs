//! The indexes that are being made of the open suite.
//! Not here: making one (`live.rs`).

use std::sync::{Arc, Mutex, PoisonError};

use crate::report::Report;
use crate::session::index::live::{Live, Plan};

/// The indexes that are being made of the open suite.
#[derive(Default)]
pub struct Begun(Mutex<Vec<Arc<Live>>>);

impl Begun {
    /// The one of a plan, opened where it is not there.
    ///
    /// # Errors
    /// As [`Live::open`].
    pub fn of(&self, plan: Plan) -> Result<Arc<Live>, Report> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |live: &&Arc<Live>| {
            let of = &live.plan;
            of.folder == plan.folder
                && of.origin == plan.origin
                && of.rule == plan.rule
                && of.shard == plan.shard
                && of.most == plan.most
        };
        if let Some(live) = all.iter().find(same) {
            return Ok(Arc::clone(live));
        }
        // One folder is written by one.
        all.retain(|live| plan.folder.is_none() || live.plan.folder != plan.folder);
        let live = Arc::new(Live::open(plan)?);
        all.push(Arc::clone(&live));
        Ok(live)
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Live>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
