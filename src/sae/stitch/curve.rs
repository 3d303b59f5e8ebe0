//! The whole way from the smaller to the larger SAE, step by step (methods §4): novel latents go in, groups are
//! swapped, unmatched latents drop out.
//! Not here: cross-entropy along the way, which is measured by splicing.

use serde::Serialize;

use crate::task::{Cancel, OnProgress, Progress};

use super::super::{Class, Classes, Error};
use super::{Change, Pair, Point, Score, Selection, Workbench};

/// A part of the way, in their order. The last one (choice) makes the way end exactly at the larger SAE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing is changed yet: no step's phase.
    Start,
    /// Novel latents are put in.
    Novel,
    /// Groups are swapped.
    Swap,
    /// Latents of the smaller SAE that nothing matches are taken out.
    Drop,
}

/// One step of the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its phase.
    pub phase: Phase,
    /// What it changes.
    pub change: Change,
    /// m of a novel latent, the largest m of a group; none for a latent that drops out.
    pub cosine: Option<f32>,
}

/// In which order the steps of a phase are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Order {
    /// Best c* first; what never fires on the text last.
    #[default]
    Effect,
    /// The newest of the novel latents first (lowest m), the surest of the groups first (highest cosine).
    Cosine,
    /// Shuffled with this seed.
    Random(u64),
}

/// A point of the way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// How many steps were taken.
    pub step: usize,
    /// The phase of the last of them.
    pub phase: Phase,
    /// Latents of the larger SAE that are in.
    pub inserted: usize,
    /// Latents of the smaller SAE that are out.
    pub removed: usize,
    /// Mean number of latents that fire.
    pub l0: f64,
    /// Mean over tokens and dimensions of the squared error.
    pub mse: f64,
    /// 1 − Σ‖x−x̂‖² / Σ‖x−x̄‖²; none when all tokens are equal.
    pub explained_variance: Option<f64>,
    /// Cross-entropy by splicing, which takes the model: none until who has it measures it.
    pub ce: Option<f64>,
}

/// The way from the smaller to the larger SAE.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Curve {
    /// From no step taken to all of them.
    pub points: Vec<CurvePoint>,
    /// On how many tokens.
    pub tokens: usize,
}

impl CurvePoint {
    /// The point after so many steps, where the smaller SAE has `width` latents.
    fn new(step: usize, phase: Phase, point: Point, width: usize) -> Self {
        let Point { small, large, mse, l0, explained_variance, .. } = point;
        Self { step, phase, inserted: large, removed: width - small, l0, mse, explained_variance, ce: None }
    }
}

/// All steps, phase by phase, each by rising latents: every latent of either SAE stands in exactly one.
#[must_use]
pub fn changes(classes: &Classes) -> Vec<Step> {
    let novel = classes.classes.iter().enumerate().filter(|(_, class)| **class == Class::Novel);
    let novel = novel.map(|(latent, _)| Step {
        phase: Phase::Novel,
        change: Change::Insert(latent as u32),
        cosine: Some(classes.max_cosine[latent]),
    });
    let swaps = classes.groups.iter().map(|group| Step {
        phase: Phase::Swap,
        change: group.into(),
        cosine: group.large.iter().map(|&latent| classes.max_cosine[latent as usize]).max_by(f32::total_cmp),
    });
    let drops = classes.unmatched.iter();
    let drops = drops.map(|&latent| Step { phase: Phase::Drop, change: Change::Remove(latent), cosine: None });
    novel.chain(swaps).chain(drops).collect()
}

/// The steps in the order they are taken. `scores` are those of the steps' changes, in the same order.
#[must_use]
pub fn plan(steps: Vec<Step>, scores: &[Score], order: Order) -> Vec<Step> {
    let mut keyed: Vec<(usize, Step)> = steps.into_iter().enumerate().collect();
    let effect = |at: usize| scores.get(at).and_then(Score::c_star).unwrap_or(f64::NEG_INFINITY);
    match order {
        Order::Effect => keyed.sort_by(|a, b| effect(b.0).total_cmp(&effect(a.0)).then(a.0.cmp(&b.0))),
        Order::Cosine => keyed.sort_by(|a, b| by_cosine(&a.1).total_cmp(&by_cosine(&b.1)).then(a.0.cmp(&b.0))),
        Order::Random(seed) => shuffle(&mut keyed, seed),
    }
    keyed.sort_by_key(|(_, step)| step.phase);
    keyed.into_iter().map(|(_, step)| step).collect()
}

fn by_cosine(step: &Step) -> f32 {
    let cosine = step.cosine.unwrap_or(0.0);
    if step.phase == Phase::Swap { -cosine } else { cosine }
}

/// Fisher–Yates with SplitMix64, so that a seed means the same with every version of every library.
pub fn shuffle<T>(items: &mut [T], mut seed: u64) {
    let mut next = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    for last in (1..items.len()).rev() {
        items.swap(last, (next() % (last as u64 + 1)) as usize);
    }
}

/// Goes the way on `bench`, which must stand at the smaller SAE, with a point after every step. Costs what fires.
///
/// # Errors
/// [`Error::Latent`], [`Error::Cancelled`].
pub fn curve(bench: &mut Workbench, steps: &[Step], cancel: &Cancel, progress: OnProgress<'_>) -> Result<Curve, Error> {
    let width = bench.selection().small.len();
    let mut points = vec![CurvePoint::new(0, Phase::Start, bench.point(), width)];
    for (at, step) in steps.iter().enumerate() {
        if at % 1024 == 0 {
            cancel.check()?;
            progress(Progress::steps("stitching", at as u64, steps.len() as u64));
        }
        bench.set(&step.change, true)?;
        points.push(CurvePoint::new(at + 1, step.phase, bench.point(), width));
    }
    progress(Progress::steps("stitching", steps.len() as u64, steps.len() as u64));
    Ok(Curve { points, tokens: bench.tokens() })
}

/// The way for SAEs whose latents compete: `x`, row-major \[rows, d_in\], is encoded again at the start, at the end of
/// every phase and at about `per_phase` points within it.
///
/// # Errors
/// As [`Pair::measure`].
pub fn curve_by_encoding(
    pair: Pair<'_>,
    x: &[f32],
    counts: &[bool],
    steps: &[Step],
    per_phase: usize,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<Curve, Error> {
    let (mut selection, width) = (Selection::small_sae(pair), pair.small.width());
    let measure = |selection: &Selection| -> Result<Point, Error> {
        let quality = pair.measure(x, counts, selection, cancel)?;
        let (small, large) = selection.counts();
        let mse = quality.mse.unwrap_or(0.0);
        Ok(Point {
            small,
            large,
            sse: mse * (quality.tokens * pair.small.d_out()) as f64,
            mse,
            l0: quality.l0.unwrap_or(0.0),
            explained_variance: quality.explained_variance,
        })
    };
    let mut points = vec![CurvePoint::new(0, Phase::Start, measure(&selection)?, width)];
    let mut done = 0;
    for phase in steps.chunk_by(|a, b| a.phase == b.phase) {
        let stride = phase.len().div_ceil(per_phase.max(1));
        for part in phase.chunks(stride) {
            progress(Progress::steps("stitching", done as u64, steps.len() as u64));
            part.iter().try_for_each(|step| selection.set(&step.change, true))?;
            done += part.len();
            points.push(CurvePoint::new(done, phase[0].phase, measure(&selection)?, width));
        }
    }
    progress(Progress::steps("stitching", done as u64, steps.len() as u64));
    Ok(Curve { points, tokens: counts.iter().filter(|counts| **counts).count() })
}
