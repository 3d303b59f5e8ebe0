//! What the explorer knows of stitching: which two SAEs are compared, θ, and what was asked about them.
//! Not here: how it changes (`update`), how it looks (`view`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::{
    Bench, BenchLoss, Change, Counts, CurveLoss, CurveView, Family, GroupView, Order, PairView, Side, TextInfo, Verdict,
};
use crate::report::Report;
use crate::session::Found;
use crate::task::Remote;
use crate::tui::app::{Focus, LatentRef};

mod asked;
mod changes;
mod queue;

pub use asked::Asked;
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

/// What a verdict is about: pair, latent of the wider SAE, θ, which run of the prompt, and whether the pair was measured
/// on the text.
pub type VerdictKey = (PairIds, u32, ThetaBits, u64, bool);
/// What a workbench is about: pair, changes, which run of the prompt, and whether the pair was measured on the text.
pub type BenchKey = (PairIds, Vec<Change>, u64, bool);
/// What a curve is about: pair, θ, order.
pub type CurveKey = (PairIds, ThetaBits, Order);
/// What a group is about: pair, side, latent, θ.
pub type GroupKey = (PairIds, Side, u32, ThetaBits);

/// What an SAE does in the prompt is about: which run, token and SAE.
pub type PromptKey = (u64, usize, String);

/// What cross-entropies are about: they share a slot, since they share the model.
#[derive(Clone, Debug, PartialEq)]
pub enum LossKey {
    /// Of the smaller SAE with one latent in it.
    Verdict(VerdictKey),
    /// Of the workbench.
    Bench(BenchKey),
}

/// Cross-entropies that arrived.
#[derive(Clone, Debug)]
pub enum Loss {
    /// Of the smaller SAE with one latent in it.
    Verdict(Arc<Verdict>),
    /// Of the workbench.
    Bench(Arc<BenchLoss>),
}

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
    /// How many runs of the prompt have arrived: what was measured on an older one is old.
    pub runs: u64,
    /// The work queue.
    pub pair: Asked<(PairIds, ThetaBits), Arc<PairView>>,
    /// What θ makes of it, and for which θ that holds.
    pub sums: Option<(ThetaBits, Sums)>,
    /// The order and filter of the work queue.
    pub queue: Queue,
    /// Latents that the queue's text filter found.
    pub found: Asked<(String, String), Found>,
    /// The relatives of the chosen latent.
    pub family: Asked<(LatentRef, ThetaBits, bool), Arc<Family>>,
    /// Whether every pair of SAEs has been compared.
    pub tables: Remote<Vec<String>, Report>,
    /// Whether that was asked for.
    pub tables_asked: bool,
    /// The verdict on the chosen latent.
    pub verdict: Asked<VerdictKey, Arc<Verdict>>,
    /// What was put in and taken out, for every pair.
    pub changes: BTreeMap<PairIds, Changes>,
    /// The chosen row of the workbench's list of changes.
    pub change_row: usize,
    /// The workbench.
    pub bench: Asked<BenchKey, Arc<Bench>>,
    /// The cross-entropies asked for last.
    pub loss: Asked<LossKey, Loss>,
    /// What gave no cross-entropies: not asked for again by itself.
    pub refused: Vec<LossKey>,
    /// The last cross-entropies of a verdict.
    pub verdict_loss: Option<(VerdictKey, Arc<Verdict>)>,
    /// The last cross-entropies of the workbench.
    pub bench_loss: Option<(BenchKey, Arc<BenchLoss>)>,
    /// The way from the narrower to the wider SAE.
    pub curve: Asked<CurveKey, Arc<CurveView>>,
    /// In which order its steps are taken.
    pub order: Order,
    /// The chosen point of the curve.
    pub point: usize,
    /// Cross-entropies along it.
    pub curve_loss: Asked<CurveKey, Arc<CurveLoss>>,
    /// The latents that hang together with the chosen one; none inside for a latent in no group.
    pub group: Asked<GroupKey, Option<Arc<GroupView>>>,
    /// The chosen row of the group: latents of the smaller SAE first.
    pub group_row: usize,
    /// Writing the stitched SAE.
    pub export: Remote<PathBuf, Report>,
    /// Choosing the text to measure on.
    pub text: Remote<TextInfo, Report>,
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
            runs: 0,
            pair: Asked::default(),
            sums: None,
            queue: Queue::default(),
            found: Asked::default(),
            family: Asked::default(),
            tables: Remote::default(),
            tables_asked: false,
            verdict: Asked::default(),
            changes: BTreeMap::new(),
            change_row: 0,
            bench: Asked::default(),
            loss: Asked::default(),
            refused: Vec::new(),
            verdict_loss: None,
            bench_loss: None,
            curve: Asked::default(),
            order: Order::default(),
            point: 0,
            curve_loss: Asked::default(),
            group: Asked::default(),
            group_row: 0,
            export: Remote::default(),
            text: Remote::default(),
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
        self.pair = Asked::default();
        self.sums = None;
        self.queue.forget();
        self.verdict = Asked::default();
        self.bench = Asked::default();
        self.loss = Asked::default();
        self.verdict_loss = None;
        self.bench_loss = None;
        self.refused.clear();
        self.curve = Asked::default();
        self.curve_loss = Asked::default();
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

    /// Whether anything is awaited that comes soon; what takes the model over a text is not, see [`Self::is_measuring`].
    #[must_use]
    pub fn is_computing(&self) -> bool {
        self.pair.is_pending()
            || self.found.is_pending()
            || self.family.is_pending()
            || self.verdict.is_pending()
            || self.bench.is_pending()
            || self.curve.is_pending()
            || self.group.is_pending()
            || self.export.is_pending()
            || self.text.is_pending()
    }

    /// Whether something is measured that follows what is on screen already: cross-entropies, tables ahead of need.
    #[must_use]
    pub fn is_measuring(&self) -> bool {
        self.loss.is_pending() || self.curve_loss.is_pending() || self.tables.is_pending()
    }

    /// Makes everything that failed be asked for again.
    pub fn ask_again(&mut self) {
        self.pair.retry();
        self.found.retry();
        self.family.retry();
        self.verdict.retry();
        self.bench.retry();
        self.loss.retry();
        self.refused.clear();
        self.curve.retry();
        self.curve_loss.retry();
        self.group.retry();
    }

    /// The last failure, of what is most basic.
    #[must_use]
    pub fn failure(&self) -> Option<&Report> {
        self.pair
            .failure()
            .or(self.verdict.failure())
            .or(self.bench.failure())
            .or(self.export.failure())
            .or(self.text.failure())
            .or(self.curve.failure())
            .or(self.group.failure())
            .or(self.loss.failure())
            .or(self.curve_loss.failure())
            .or(self.family.failure())
            .or(self.tables.failure())
    }
}
