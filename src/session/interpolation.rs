//! The whole way from a narrower to a wider SAE, on the part of the text that is kept.
//! Not here: how a step changes the reconstruction (`sae::stitch`).

use std::sync::Arc;

use crate::analysis::{CurvePoint, Order, Phase};
use crate::report::Report;
use crate::sae::stitch::{self, Pair, Scores, Selection, Step};
use crate::sae::{Classes, Error};
use crate::session::current::Corpus;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::session::spliced::InterpolationKey;
use crate::task::{Cancel, OnProgress};

impl MemoKey for InterpolationKey {
    type Value = Arc<Interpolation>;
    fn generation(&self) -> Option<u64> {
        Some(self.generation)
    }
}

/// All steps in their order, with the points that were measured.
pub struct Interpolation {
    steps: Vec<Step>,
    pub points: Vec<CurvePoint>,
    /// The step after which phase swap begins, that after which phase drop begins, and the last.
    pub phases: [usize; 3],
}

/// What is asked of a way.
pub struct CurveRequest<'a> {
    pub corpus: &'a Corpus,
    pub places: (usize, usize),
    pub threshold: f32,
    pub order: Order,
}

impl CurveRequest<'_> {
    /// What the way is of.
    pub fn key(&self) -> InterpolationKey {
        let Self { corpus, places, threshold, order } = *self;
        InterpolationKey { generation: corpus.generation, places, threshold: threshold.to_bits(), order }
    }
}

impl Interpolation {
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

impl LoadedSuite {
    /// The way with all its steps.
    pub fn interpolation(
        &self,
        asked: &CurveRequest<'_>,
        points: usize,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Arc<Interpolation>, Report> {
        let key = asked.key();
        // They are large, and one pair is looked at at a time.
        self.memo.retain(|kept: &InterpolationKey| kept.places == key.places);
        self.memo.get_or(&key, cancel, progress, |progress| {
            let pair = self.pair(asked.places)?;
            let table = self.table(asked.places, asked.threshold, cancel, progress)?;
            let text = self.sample(asked.corpus, cancel, progress)?;
            let small = self.codes(asked.corpus, asked.places.0, cancel, progress)?;
            let large = self.codes(asked.corpus, asked.places.1, cancel, progress)?;
            let bench = self.text_bench(asked.corpus, asked.places, cancel, progress)?;
            let walk = || -> Result<Interpolation, Error> {
                let steps = stitch::changes(&Classes::new(&table.comparison, asked.threshold)?);
                let mut scores = Scores::of(pair, steps.iter().map(|step| &step.change))?;
                let sample = &text.sample;
                scores.add(pair, &sample.x, &small, &large, &sample.counts, cancel)?;
                let steps = stitch::plan(steps, scores.scores(), asked.order);
                let curve = if let Some(bench) = &bench {
                    stitch::curve(&mut (**bench).clone(), &steps, cancel, progress)?
                } else {
                    let per_phase = (points / 3).max(1);
                    let counts = &sample.counts;
                    stitch::curve_by_encoding(pair, &sample.x, counts, &steps, per_phase, cancel, progress)?
                };
                let phases = phases(&steps);
                Ok(Interpolation { steps, points: curve.points, phases })
            };
            walk().map(Arc::new).map_err(|error| failure::of_sae("the way cannot be measured", &error))
        })
    }
}

fn phases(steps: &[Step]) -> [usize; 3] {
    let until = |phase: Phase| steps.partition_point(|step| step.phase <= phase);
    [until(Phase::Novel), until(Phase::Swap), steps.len()]
}
