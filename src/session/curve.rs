//! The curve from a narrower to a wider SAE, its cross-entropies, and writing the SAE of one of its steps.
//! Not here: the way along which it goes (`interpolation.rs`).

use std::path::{Path, PathBuf};

use crate::analysis::{CurveLoss, CurvePoint, CurveView, Order};
use crate::report::Report;
use crate::session::failure;
use crate::session::interpolation::CurveRequest;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::query::{Cx, Lane, Query};
use crate::session::spliced::{Spliced, mean};
use crate::task::{Cancel, OnProgress};

/// The way from the narrower to the wider SAE.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveQuery {
    /// The narrower SAE.
    pub small: String,
    /// The wider SAE.
    pub large: String,
    /// θ.
    pub threshold: f32,
    /// In which order steps are taken within a phase.
    pub order: Order,
    /// About how many points are wanted.
    pub points: usize,
}

impl Query for CurveQuery {
    type Answer = CurveView;
    const NAME: &'static str = "curve";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 20;

    fn run(&self, cx: &mut Cx<'_>) -> Result<CurveView, Report> {
        let (suite, corpus) = (cx.suite()?, cx.corpus()?);
        let places = suite.places(&self.small, &self.large)?;
        let asked = CurveRequest { corpus: &corpus, places, threshold: self.threshold, order: self.order };
        suite.curve(&asked, self.points, cx.cancel, cx.progress)
    }
}

/// Cross-entropies at steps of the way.
#[derive(Clone, Debug, PartialEq)]
pub struct CurveLossQuery {
    /// The narrower SAE.
    pub small: String,
    /// The wider SAE.
    pub large: String,
    /// θ.
    pub threshold: f32,
    /// In which order steps are taken within a phase.
    pub order: Order,
    /// The steps.
    pub at: Vec<usize>,
}

impl Query for CurveLossQuery {
    type Answer = CurveLoss;
    const NAME: &'static str = "curve-loss";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 40;

    fn run(&self, cx: &mut Cx<'_>) -> Result<CurveLoss, Report> {
        let (suite, corpus) = (cx.suite()?, cx.corpus()?);
        let places = suite.places(&self.small, &self.large)?;
        let asked = CurveRequest { corpus: &corpus, places, threshold: self.threshold, order: self.order };
        suite.curve_loss(&asked, &self.at, cx.cancel, cx.progress)
    }
}

impl LoadedSuite {
    /// About so many points of the way.
    fn curve(
        &self,
        asked: &CurveRequest<'_>,
        points: usize,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<CurveView, Report> {
        let view = self.pair_view(asked.corpus, asked.places, asked.threshold, cancel, progress)?;
        let interpolation = self.interpolation(asked, points, cancel, progress)?;
        let text = self.sample(asked.corpus, cancel, progress)?;
        let (small, large) = self.names(asked.places);
        Ok(CurveView {
            small,
            large,
            threshold: asked.threshold,
            order: asked.order,
            text: text.info.clone(),
            auc: view.auc,
            points: some(&interpolation.points, &interpolation.phases, points),
            phases: interpolation.phases,
            reencoded: view.competes,
        })
    }

    /// Writes the stitched SAE after some steps of the way.
    pub fn export_step(
        &self,
        asked: &CurveRequest<'_>,
        step: usize,
        folder: &Path,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<PathBuf, Report> {
        let interpolation = self.interpolation(asked, 1, cancel, progress)?;
        let selection = interpolation.selection(self.pair(asked.places)?, step);
        let selection = selection.map_err(|error| failure::of_sae(format!("the way has no step {step}"), &error))?;
        self.export(asked.places, &selection, folder)
    }

    /// Cross-entropies at steps of the way.
    fn curve_loss(
        &self,
        asked: &CurveRequest<'_>,
        at: &[usize],
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<CurveLoss, Report> {
        let (pair, interpolation) = (self.pair(asked.places)?, self.interpolation(asked, at.len(), cancel, progress)?);
        let (mut ce, mut predictions) = (Vec::new(), 0);
        for &step in at {
            let selection = interpolation.selection(pair, step);
            let cannot = |error| failure::of_sae(format!("the way has no step {step}"), &error);
            let which = Spliced::Step { interpolation: asked.key(), step };
            let selection = selection.map_err(cannot)?;
            let sum = self.text_loss(asked.corpus, which, Some((asked.places, &selection)), cancel, progress)?;
            predictions = sum.1;
            ce.push((step, mean(sum)));
        }
        let (small, large) = self.names(asked.places);
        Ok(CurveLoss { small, large, threshold: asked.threshold, order: asked.order, ce, predictions })
    }
}

/// About `wanted` of the points, evenly, with both ends and the ends of the phases.
fn some(points: &[CurvePoint], phases: &[usize; 3], wanted: usize) -> Vec<CurvePoint> {
    let last = points.len().saturating_sub(1);
    let gaps = wanted.saturating_sub(1).max(1);
    let mut chosen: Vec<usize> = (0..=gaps).map(|gap| (last * gap + gaps / 2) / gaps).collect();
    // Where only some steps were measured, a point's place is not its step.
    chosen.extend(phases.iter().filter_map(|step| points.binary_search_by_key(step, |point| point.step).ok()));
    chosen.sort_unstable();
    chosen.dedup();
    chosen.into_iter().filter_map(|at| points.get(at).copied()).collect()
}
