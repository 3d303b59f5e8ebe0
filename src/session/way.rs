//! The whole way from a narrower to a wider SAE, on the part of the text that is kept.
//! Not here: how a step changes the reconstruction (`sae::stitch`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::analysis::{CurveLoss, CurvePoint, CurveView, Order, Phase};
use crate::report::Report;
use crate::sae::stitch::{self, Pair, Scores, Selection, Step};
use crate::sae::{Classes, Error};
use crate::session::desk::Chosen;
use crate::session::failure;
use crate::session::loss::{Spliced, mean};
use crate::session::shared::Shared;
use crate::task::{Cancel, OnProgress};

/// What a way is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WayKey {
    pub generation: u64,
    pub places: (usize, usize),
    /// Bits of θ.
    pub threshold: u32,
    pub order: Order,
}

/// All steps in their order, with the points that were measured.
pub struct Way {
    steps: Vec<Step>,
    points: Vec<CurvePoint>,
    /// The step after which phase swap begins, that after which phase drop begins, and the last.
    pub phases: [usize; 3],
}

/// What is asked of a way.
pub struct Asked<'a> {
    pub chosen: &'a Chosen,
    pub places: (usize, usize),
    pub threshold: f32,
    pub order: Order,
}

impl Asked<'_> {
    fn key(&self) -> WayKey {
        let Self { chosen, places, threshold, order } = *self;
        WayKey { generation: chosen.generation, places, threshold: threshold.to_bits(), order }
    }
}

impl Way {
    /// The latents that are there after some steps.
    ///
    /// # Errors
    /// [`Error::Latent`] when there are not so many steps.
    pub fn selection(&self, pair: Pair<'_>, steps: usize) -> Result<Selection, Error> {
        let taken = self.steps.get(..steps).ok_or(Error::Latent { latent: steps, width: self.steps.len() })?;
        let mut selection = Selection::small_sae(pair);
        taken.iter().try_for_each(|step| selection.set(&step.change, true))?;
        Ok(selection)
    }
}

impl Shared {
    /// The way with all its steps.
    pub fn way(
        &self,
        asked: &Asked<'_>,
        points: usize,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Arc<Way>, Report> {
        let key = asked.key();
        // They are large, and one pair is looked at at a time.
        self.ways.retain(|kept| kept.places == key.places);
        self.ways.get_or(&key, cancel, progress, |progress| {
            let pair = self.pair(asked.places)?;
            let table = self.table(asked.places, asked.threshold, cancel, progress)?;
            let text = self.sample(asked.chosen, cancel, progress)?;
            let small = self.codes(asked.chosen, asked.places.0, cancel, progress)?;
            let large = self.codes(asked.chosen, asked.places.1, cancel, progress)?;
            let bench = self.text_bench(asked.chosen, asked.places, cancel, progress)?;
            let walk = || -> Result<Way, Error> {
                let steps = stitch::changes(&Classes::new(&table.comparison, asked.threshold)?);
                let mut scores = Scores::of(pair, steps.iter().map(|step| &step.change))?;
                let sample = &text.sample;
                scores.add(pair, &sample.x, &small, &large, &sample.counts, cancel)?;
                let steps = stitch::plan(steps, scores.scores(), asked.order.into());
                let curve = if let Some(bench) = &bench {
                    stitch::curve(&mut (**bench).clone(), &steps, cancel, progress)?
                } else {
                    let per_phase = (points / 3).max(1);
                    let counts = &sample.counts;
                    stitch::curve_by_encoding(pair, &sample.x, counts, &steps, per_phase, cancel, progress)?
                };
                let phases = phases(&steps);
                let points = curve.points.iter().map(|point| plain(point, pair)).collect();
                Ok(Way { steps, points, phases })
            };
            walk().map(Arc::new).map_err(|error| failure::of_sae("the way cannot be measured", &error))
        })
    }

    /// About so many points of the way.
    pub fn curve(
        &self,
        asked: &Asked<'_>,
        points: usize,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<CurveView, Report> {
        let view = self.pair_view(asked.chosen, asked.places, asked.threshold, cancel, progress)?;
        let way = self.way(asked, points, cancel, progress)?;
        let text = self.sample(asked.chosen, cancel, progress)?;
        let (small, large) = self.names(asked.places);
        Ok(CurveView {
            small,
            large,
            threshold: asked.threshold,
            order: asked.order,
            text: text.info.clone(),
            auc: view.auc,
            points: some(&way.points, &way.phases, points),
            phases: way.phases,
            reencoded: view.competes,
        })
    }

    /// Writes the stitched SAE after some steps of the way.
    pub fn export_step(
        &self,
        asked: &Asked<'_>,
        step: usize,
        folder: &Path,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<PathBuf, Report> {
        let way = self.way(asked, 1, cancel, progress)?;
        let selection = way.selection(self.pair(asked.places)?, step);
        let selection = selection.map_err(|error| failure::of_sae(format!("the way has no step {step}"), &error))?;
        self.export(asked.places, &selection, folder)
    }

    /// Cross-entropies at steps of the way.
    pub fn curve_loss(
        &self,
        asked: &Asked<'_>,
        at: &[usize],
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<CurveLoss, Report> {
        let (pair, way) = (self.pair(asked.places)?, self.way(asked, at.len(), cancel, progress)?);
        let (mut ce, mut predictions) = (Vec::new(), 0);
        for &step in at {
            let selection = way.selection(pair, step);
            let cannot = |error| failure::of_sae(format!("the way has no step {step}"), &error);
            let which = Spliced::Step { way: asked.key(), step };
            let selection = selection.map_err(cannot)?;
            let sum = self.text_loss(asked.chosen, which, Some((asked.places, &selection)), cancel, progress)?;
            predictions = sum.1;
            ce.push((step, mean(sum)));
        }
        let (small, large) = self.names(asked.places);
        Ok(CurveLoss { small, large, threshold: asked.threshold, order: asked.order, ce, predictions })
    }
}

impl From<Order> for stitch::Order {
    fn from(order: Order) -> Self {
        match order {
            Order::Effect => Self::Effect,
            Order::Cosine => Self::Cosine,
            Order::Random(seed) => Self::Random(seed),
        }
    }
}

fn phases(steps: &[Step]) -> [usize; 3] {
    let until = |phase: stitch::Phase| steps.partition_point(|step| step.phase <= phase);
    [until(stitch::Phase::Novel), until(stitch::Phase::Swap), steps.len()]
}

fn plain(point: &stitch::CurvePoint, pair: Pair<'_>) -> CurvePoint {
    CurvePoint {
        step: point.steps,
        phase: match point.phase {
            None => Phase::Start,
            Some(stitch::Phase::Novel) => Phase::Novel,
            Some(stitch::Phase::Swap) => Phase::Swap,
            Some(stitch::Phase::Drop) => Phase::Drop,
        },
        inserted: point.point.large,
        removed: pair.small().width() - point.point.small,
        l0: point.point.l0,
        mse: point.point.mse,
        explained_variance: point.point.explained_variance,
        ce: None,
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
