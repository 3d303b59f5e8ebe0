//! How each of three models continues a prompt: the untouched one, the edited one, and the one with a random edit.
//! Not here: the passes (`analysis::surgery`).

use crate::analysis::{Arm, Continuation, Sampling, SurgeryEdit, tokens as shown};
use crate::report::Report;
use crate::session::failure;
use crate::session::meta::Scope;
use crate::session::query::{Cx, Query, Slot};
use crate::task::{Cancel, OnProgress, Progress};

/// How one of the three models continues a prompt; progress carries the text so far.
#[derive(Clone, Debug, PartialEq)]
pub struct ContinueQuery {
    /// The edit.
    pub operation: SurgeryEdit,
    /// The prompt.
    pub prompt: String,
    /// Which model.
    pub arm: Arm,
    /// Tokens wanted.
    pub tokens: usize,
    /// How each is chosen.
    pub sampling: Sampling,
}

impl Query for ContinueQuery {
    type Answer = Continuation;
    const NAME: &'static str = "continue";
    const PRIORITY: u8 = 150;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Continuation, Report> {
        let (operation, cancel, progress) = (&self.operation, cx.cancel, cx.progress);
        let scope = cx.session()?.scope(&operation.sae, &operation.meta, cancel)?;
        scope.continued(self, cancel, progress)
    }

    fn slot(&self) -> Slot {
        Self::slot_of(self.arm)
    }

    /// The untouched model first: it is compared with.
    fn priority(&self) -> u8 {
        let at = Arm::ALL.iter().position(|arm| *arm == self.arm).unwrap_or(0);
        Self::PRIORITY + at as u8
    }
}

impl ContinueQuery {
    /// Each of the three models has a slot of its own.
    #[must_use]
    pub const fn slot_of(arm: Arm) -> Slot {
        match arm {
            Arm::Untouched => "continue-untouched",
            Arm::Edited => "continue-edited",
            Arm::Random => "continue-random",
        }
    }
}

impl Scope<'_> {
    fn continued(
        &self,
        asked: &ContinueQuery,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Continuation, Report> {
        let ContinueQuery { operation, prompt, arm, tokens, sampling } = asked;
        let (rows, ids) = (self.rows(operation, cancel)?, self.room.typed(prompt)?.ids);
        let place = Arm::ALL.iter().position(|known| known == arm).unwrap_or(0);
        let mut tell = |done: usize, text: &str| progress(Progress::steps(text, done as u64, *tokens as u64));
        let new = self
            .context(operation.latent)
            .continue_text(&ids, &rows[place], *tokens, *sampling, cancel, &mut tell)
            .map_err(|error| failure::of_model("cannot continue the prompt", &error))?;
        let tokenizer = &self.room.model.tokenizer;
        let mut tokens = shown::views(&new, tokenizer);
        for token in &mut tokens {
            token.position += ids.len();
        }
        Ok(Continuation { arm: *arm, tokens, text: tokenizer.decode(&new) })
    }
}
