//! What comes next at some positions of the prompt that is being typed.
//! Not here: the pass behind the site (`analysis::live`).

use std::sync::Arc;
use std::time::Instant;

use crate::analysis::{NextToken, live};
use crate::kernel;
use crate::model;
use crate::report::Report;
use crate::session::failure;
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query};
use crate::session::run::ms;
use crate::task::Cancel;

/// What comes next at some positions of a prompt: it begins where [`RunQuery`](super::RunQuery) stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextQuery {
    /// What was typed.
    pub prompt: String,
    /// Positions from 0; those beyond the prompt are left out.
    pub positions: Vec<usize>,
    /// Likeliest next tokens wanted for each.
    pub count: usize,
}

impl Query for NextQuery {
    type Answer = Predictions;
    const NAME: &'static str = "next";
    const PRIORITY: u8 = 90;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Predictions, Report> {
        let cancel = cx.cancel;
        kernel::awake(|| cx.prompt()?.next(&self.prompt, &self.positions, self.count, cancel))
    }
}

/// What comes next at some positions of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Positions with their likeliest next tokens, best first.
    pub next: Vec<(usize, Vec<NextToken>)>,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

impl PromptSession {
    /// The likeliest next tokens at some positions of the prompt, which is taken through the rest of the model first.
    fn next(
        &mut self,
        prompt: &str,
        positions: &[usize],
        count: usize,
        cancel: &Cancel,
    ) -> Result<Predictions, Report> {
        let ids = self.typed(prompt)?.ids;
        let started = Instant::now();
        let wrong = |error: live::Error| failure::of_run(&error);
        let shared = Arc::clone(self.shared());
        let model::Loaded { model, tokenizer } = &shared.model;
        if self.live.ids() != ids {
            self.live.forward(&ids, &**model, cancel).map_err(wrong)?;
        }
        let next = self.live.predict(positions, count, &**model, tokenizer, cancel).map_err(wrong)?;
        Ok(Predictions { next, ms: ms(started.elapsed()) })
    }
}
