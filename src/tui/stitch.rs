//! What the explorer knows of stitching: which two SAEs are compared, θ, and what was asked about them.
//! Not here: how it changes (`update`), how it looks (`view`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::analysis::{BenchLoss, Change, Counts, Order, PairView, Verdict};
use crate::session::{
    CurveLossQuery, CurveQuery, ExportQuery, FamilyQuery, FilterQuery, GroupQuery, Loss, LossQuery, PairQuery,
    TablesQuery, TextQuery, VerdictQuery, WorkbenchQuery,
};
use crate::tui::ask::{AnyAsk as _, Ask};
use crate::tui::location::Focus;

mod changes;
mod queue;

pub use changes::Changes;
pub use queue::{Filter, InPrompt, Queue, Show, Sort};

/// Two SAEs that are compared, by their ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairIds {
    /// The narrower.
    pub small: String,
    /// The wider.
    pub large: String,
}

/// A threshold, so that it can be compared: its bits.
pub type ThetaBits = u32;

/// What a measurement depends on beside its question: which run of the prompt, and whether the pair was measured on the
/// text.
pub type Measured = (u64, bool);

/// What cross-entropies are about.
pub type LossKey = (LossQuery, Measured);

/// What an SAE does in the prompt is about: which run, token and SAE.
pub type PromptKey = (u64, usize, String);

/// What θ makes of the pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// How many there are of each; none when θ lies below what was compared.
    pub counts: Option<Counts>,
    /// Latents on which the two rules disagree.
    pub disagree: usize,
}

/// What the explorer knows of stitching.
#[derive(Debug)]
pub struct Stitch {
    /// The pane that is shown large: queue, workbench, curve or group.
    pub shown: Focus,
    /// The pane of the explorer that had the focus before.
    pub left: Focus,
    /// θ.
    pub threshold: f32,
    /// The narrower SAE to compare with, when the person chose one; else it is the next one down.
    pub against: Option<String>,
    /// The work queue.
    pub pair: Ask<PairQuery>,
    /// What θ makes of it, and for which θ that holds.
    pub sums: Option<(ThetaBits, Sums)>,
    /// The order and filter of the work queue.
    pub queue: Queue,
    /// Latents that the queue's text filter found.
    pub found: Ask<FilterQuery>,
    /// The relatives of the chosen latent, before and after every pair of SAEs has been compared.
    pub family: Ask<FamilyQuery, bool>,
    /// Whether every pair of SAEs has been compared.
    pub tables: Ask<TablesQuery>,
    /// The verdict on the chosen latent.
    pub verdict: Ask<VerdictQuery, Measured>,
    /// What was put in and taken out, for every pair.
    pub changes: BTreeMap<PairIds, Changes>,
    /// The chosen row of the workbench's list of changes.
    pub change_row: usize,
    /// The workbench.
    pub bench: Ask<WorkbenchQuery, Measured>,
    /// The cross-entropies asked for last.
    pub loss: Ask<LossQuery, Measured>,
    /// What gave no cross-entropies: not asked for again by itself.
    pub refused: Vec<LossKey>,
    /// The last cross-entropies of a verdict.
    pub verdict_loss: Option<(LossKey, Arc<Loss>)>,
    /// The last cross-entropies of the workbench.
    pub bench_loss: Option<(LossKey, Arc<Loss>)>,
    /// The way from the narrower to the wider SAE.
    pub curve: Ask<CurveQuery>,
    /// In which order its steps are taken.
    pub order: Order,
    /// The chosen point of the curve.
    pub point: usize,
    /// Cross-entropies along it.
    pub curve_loss: Ask<CurveLossQuery>,
    /// The latents that are linked to the chosen one; none inside for a latent in no group.
    pub group: Ask<GroupQuery>,
    /// The chosen row of the group: latents of the smaller SAE first.
    pub group_row: usize,
    /// Writing the stitched SAE.
    pub export: Ask<ExportQuery>,
    /// Choosing the text to measure on.
    pub text: Ask<TextQuery>,
    /// What every latent of the wider SAE does in the prompt: for which run, token and SAE.
    pub prompt: Option<(PromptKey, Arc<Vec<InPrompt>>)>,
}

impl Default for Stitch {
    fn default() -> Self {
        Self {
            shown: Focus::Queue,
            left: Focus::Tokens,
            threshold: 0.7,
            against: None,
            pair: Ask::default(),
            sums: None,
            queue: Queue::default(),
            found: Ask::default(),
            family: Ask::default(),
            tables: Ask::default(),
            verdict: Ask::default(),
            changes: BTreeMap::new(),
            change_row: 0,
            bench: Ask::default(),
            loss: Ask::default(),
            refused: Vec::new(),
            verdict_loss: None,
            bench_loss: None,
            curve: Ask::default(),
            order: Order::default(),
            point: 0,
            curve_loss: Ask::default(),
            group: Ask::default(),
            group_row: 0,
            export: Ask::default(),
            text: Ask::default(),
            prompt: None,
        }
    }
}

impl Stitch {
    /// The state for a suite just opened, whose θ is this.
    #[must_use]
    pub fn opened(threshold: f32) -> Self {
        Self { threshold, ..Self::default() }
    }

    /// θ's bits.
    #[must_use]
    pub const fn theta(&self) -> ThetaBits {
        self.threshold.to_bits()
    }

    /// The work queue of a pair, if it is there, for whatever θ it was asked.
    #[must_use]
    pub fn view(&self, pair: &PairIds) -> Option<&Arc<PairView>> {
        self.pair.value().filter(|view| view.small == pair.small && view.large == pair.large)
    }

    /// Forgets what was measured on a text, as when another is chosen; what is built stays.
    pub fn forget_measured(&mut self) {
        self.pair.clear();
        self.sums = None;
        self.queue.forget();
        self.verdict.clear();
        self.bench.clear();
        self.loss.clear();
        self.verdict_loss = None;
        self.bench_loss = None;
        self.refused.clear();
        self.curve.clear();
        self.curve_loss.clear();
    }

    /// What was put in and taken out of a pair.
    #[must_use]
    pub fn changes(&self, pair: &PairIds) -> &[Change] {
        self.changes.get(pair).map_or(&[], |changes| changes.now())
    }

    /// What θ makes of the pair shown, when it has been counted.
    #[must_use]
    pub fn sums(&self) -> Option<&Sums> {
        self.sums.as_ref().filter(|(theta, _)| *theta == self.theta()).map(|(_, sums)| sums)
    }

    /// The verdict on screen with cross-entropies, once they have come.
    #[must_use]
    pub fn verdict_with_loss(&self) -> Option<&Verdict> {
        let (query, when) = self.verdict.answers()?;
        let ((of, since), loss) = self.verdict_loss.as_ref()?;
        match (of, &**loss) {
            (LossQuery::Verdict(of), Loss::Verdict(verdict)) if of == query && since == when => Some(verdict),
            _ => None,
        }
    }

    /// Cross-entropies of the workbench on screen, once they have come.
    #[must_use]
    pub fn bench_with_loss(&self) -> Option<&BenchLoss> {
        let (query, when) = self.bench.answers()?;
        let ((of, since), loss) = self.bench_loss.as_ref()?;
        match (of, &**loss) {
            (LossQuery::Bench(of), Loss::Bench(bench)) if of == query && since == when => Some(bench),
            _ => None,
        }
    }
}
