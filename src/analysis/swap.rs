//! Interchange: what a base prompt's position lacks to a source prompt's is put in, one latent after the other, and the rest
//! of the model run. Not here: the passes (`branches`), and where the two activations come from.
//!
//! Geiger et al. 2021, "Causal Abstractions of Neural Networks" (arXiv 2106.02997), with latents in the place of neurons.

mod units;

use std::sync::Arc;

use serde::Serialize;

use crate::analysis::branches::Branches;
use crate::analysis::intervention::{ActivationEdit, Compiled, Failure, Intervention, Setting, Where};
use crate::analysis::live::{LOGIT_ROWS, Live};
use crate::analysis::{NextToken, tokens};
use crate::model::{self, Model};
use crate::sae::stitch::shuffle;
use crate::site::Site;
use crate::task::{Cancel, OnProgress, Progress};

pub use units::{Contribution, SwapUnit, differences, meta_units, units};

/// Random orders that stand beside the curve.
pub const ORDERS: u64 = 16;
/// Most rows of the residual stream that are run at once.
const ROWS: usize = 512;

/// An interchange (the JSON of `saescope swap`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SwapView {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE whose meta-latents are exchanged; none where latents are.
    pub meta: Option<String>,
    /// The base's position.
    pub position: usize,
    /// The source's.
    pub source_position: usize,
    /// The base's own answer, with its log-probability untouched.
    pub token: NextToken,
    /// The source's answer, with its log-probability there.
    pub other: NextToken,
    /// In which order latents are exchanged: `effect` or `difference`.
    pub order: SwapOrder,
    /// The latents in which the positions differ, in that order.
    pub latents: Vec<SwapLatent>,
    /// After each k, from 0.
    pub curve: Vec<SwapPoint>,
    /// The smallest k after which the other answer has the higher logit; none where there is none.
    pub flips_at: Option<usize>,
    /// With the whole activation exchanged: the ceiling.
    pub whole: SwapEnd,
    /// k latents drawn among those in which the positions differ: the floor.
    pub random: Vec<SwapRandom>,
    /// How many random orders were drawn.
    pub orders: u64,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// In which order latents are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SwapOrder {
    /// By |change of logprob(token) − logprob(other) when it alone is exchanged|, the largest first.
    #[default]
    Effect,
    /// By the length of what it adds, |Δf|·‖d‖ in the model's units, the longest first.
    Difference,
}

/// A latent in which the positions differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SwapLatent {
    /// Its index, in the meta-SAE where meta-latents are exchanged.
    pub latent: u32,
    /// How strongly it fires in the base. A meta-latent: Σ_i f_i·‖d_i‖·a_i.
    pub base: f32,
    /// How strongly in the source.
    pub source: f32,
    /// Change of logprob(token) − logprob(other) when it alone is exchanged, in nats.
    pub effect: f64,
}

/// Both answers after the first k latents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SwapPoint {
    /// How many latents are exchanged.
    pub k: usize,
    /// The base's answer.
    pub logprob_token: f64,
    /// The source's.
    pub logprob_other: f64,
}

/// Both answers with the whole activation exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SwapEnd {
    /// The base's answer.
    pub logprob_token: f64,
    /// The source's.
    pub logprob_other: f64,
    /// Whether the source's has the higher logit.
    pub flips: bool,
}

/// What k random latents do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SwapRandom {
    /// How many.
    pub k: usize,
    /// In what share of the draws the other answer has the higher logit.
    pub flips: f64,
    /// The base's answer, the mean over the draws.
    pub logprob_token: f64,
    /// The source's.
    pub logprob_other: f64,
}

/// A base prompt, run to its end, and what is asked of it.
pub struct Exchange<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// The base's pass.
    pub live: &'a Live,
    /// Where the SAE reads.
    pub site: Site,
    /// The base's position.
    pub position: usize,
    /// Where the next token is read.
    pub read: usize,
    /// The base's answer.
    pub token: u32,
    /// The source's.
    pub other: u32,
}

/// How an interchange is made.
#[derive(Clone, Copy, Debug)]
pub struct SwapPlan {
    /// In which order.
    pub order: SwapOrder,
    /// How many random orders stand beside it, and from which seed.
    pub random: (u64, u64),
}

/// What came of an interchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchanged {
    /// See [`SwapView`].
    pub latents: Vec<SwapLatent>,
    /// See [`SwapView`].
    pub curve: Vec<SwapPoint>,
    /// See [`SwapView`].
    pub flips_at: Option<usize>,
    /// See [`SwapView`].
    pub whole: SwapEnd,
    /// See [`SwapView`].
    pub random: Vec<SwapRandom>,
}

/// Both answers at a branch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Outcome {
    token: f64,
    other: f64,
}

impl Outcome {
    /// Logits differ as log-probabilities do.
    fn flips(self) -> bool {
        self.other > self.token
    }

    fn point(self, k: usize) -> SwapPoint {
        SwapPoint { k, logprob_token: self.token, logprob_other: self.other }
    }
}

/// For how many latents something is said where not for all: 1, 2, 3, 4, 6, 8, 12 … and all.
#[must_use]
pub fn steps(all: usize) -> Vec<usize> {
    let mut steps: Vec<usize> = [1usize, 2, 3].into_iter().filter(|k| *k <= all).collect();
    steps.extend((2..).flat_map(|power| [1usize << power, 3 << (power - 1)]).take_while(|k| *k <= all));
    if steps.last().is_some_and(|last| *last < all) {
        steps.push(all);
    }
    steps
}

impl Exchange<'_> {
    /// Exchanges units for those of the source, whose whole activation is \[size\] as the model has it: each alone, the first
    /// k for every k, all of the activation, and random k.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn run(
        &self,
        units: &[SwapUnit],
        source: &[f32],
        plan: SwapPlan,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Exchanged, Failure> {
        let start = Branches::new(self.model, self.live, self.site, self.position..self.read + 1, cancel)?;
        let add = |adds: &Arc<[f32]>| vec![ActivationEdit::Add { direction: Arc::clone(adds), strength: 1.0 }];
        let mut branches = vec![Vec::new(), vec![ActivationEdit::Whole(source.into())]];
        branches.extend(units.iter().map(|unit| add(&unit.adds)));
        let alone = self.outcomes(&start, &branches, cancel, progress)?;
        let [base, whole, alone @ ..] = &alone[..] else { return Err(Failure::Model(model::Error::Empty)) };
        let effect = |one: &Outcome| (one.token - one.other) - (base.token - base.other);
        let effects: Vec<f64> = alone.iter().map(effect).collect();
        let order = order_of(units, &effects, plan.order);
        let mut branches: Vec<_> = sums(units, &order, &all(units.len())).iter().map(add).collect();
        let at = steps(units.len());
        for seed in 0..plan.random.0 {
            let mut drawn: Vec<usize> = (0..units.len()).collect();
            shuffle(&mut drawn, plan.random.1.wrapping_mul(0x9e37_79b9).wrapping_add(seed));
            branches.extend(sums(units, &drawn, &at).iter().map(add));
        }
        let outcomes = self.outcomes(&start, &branches, cancel, progress)?;
        let (way, random) = outcomes.split_at(units.len());
        let curve: Vec<Outcome> = [*base].into_iter().chain(way.iter().copied()).collect();
        let latent = |&at: &usize| {
            let SwapUnit { id, base, source, .. } = &units[at];
            SwapLatent { latent: *id, base: *base, source: *source, effect: effects[at] }
        };
        Ok(Exchanged {
            latents: order.iter().map(latent).collect(),
            flips_at: curve.iter().position(|outcome| outcome.flips()),
            curve: curve.iter().enumerate().map(|(k, outcome)| outcome.point(k)).collect(),
            whole: SwapEnd { logprob_token: whole.token, logprob_other: whole.other, flips: whole.flips() },
            random: averaged(random, &at),
        })
    }

    /// Both answers in each branch, in batches.
    fn outcomes(
        &self,
        start: &Branches<'_>,
        branches: &[Vec<ActivationEdit>],
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Vec<Outcome>, Failure> {
        let at_once = (ROWS / start.positions().max(1)).clamp(1, LOGIT_ROWS);
        let mut outcomes = Vec::with_capacity(branches.len());
        for part in branches.chunks(at_once) {
            progress(Progress::steps("interchange", outcomes.len() as u64, branches.len() as u64));
            let part: Vec<(Compiled<'_>, Vec<_>)> =
                part.iter().map(|edits| Ok((self.compile(edits)?, Vec::new()))).collect::<Result<_, Failure>>()?;
            let read = start.read(self.position, &part, cancel, |logits| {
                let normaliser = tokens::log_sum_exp(logits);
                let of = |token: u32| {
                    logits.get(token as usize).map_or(f64::NEG_INFINITY, |logit| f64::from(*logit) - normaliser)
                };
                Outcome { token: of(self.token), other: of(self.other) }
            });
            outcomes.extend(read?);
        }
        Ok(outcomes)
    }

    fn compile(&self, edits: &[ActivationEdit]) -> Result<Compiled<'static>, Failure> {
        let intervention = Intervention::new(self.site, Where::Positions(vec![self.position]), edits.to_vec());
        let size = self.model.site_size(self.site)?;
        // What is added has no SAE, and the whole activation is given as the model has it.
        Ok(intervention.compile(Setting { sae: &|_| None, size, center: false, bos: 0 })?)
    }
}

fn all(count: usize) -> Vec<usize> {
    (1..=count).collect()
}

fn order_of(units: &[SwapUnit], effects: &[f64], order: SwapOrder) -> Vec<usize> {
    let length = |unit: &SwapUnit| unit.adds.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
    let keys: Vec<f64> = match order {
        SwapOrder::Effect => effects.iter().map(|effect| effect.abs()).collect(),
        SwapOrder::Difference => units.iter().map(length).collect(),
    };
    let mut places: Vec<usize> = (0..units.len()).collect();
    places.sort_by(|&a, &b| keys[b].total_cmp(&keys[a]).then(units[a].id.cmp(&units[b].id)));
    places
}

/// What the first k units of an order add together, for rising k.
fn sums(units: &[SwapUnit], order: &[usize], at: &[usize]) -> Vec<Arc<[f32]>> {
    let size = units.first().map_or(0, |unit| unit.adds.len());
    let (mut sum, mut done, mut all) = (vec![0.0f64; size], 0, Vec::with_capacity(at.len()));
    for &k in at {
        for &unit in &order[done..k] {
            sum.iter_mut().zip(units[unit].adds.iter()).for_each(|(sum, adds)| *sum += f64::from(*adds));
        }
        done = k;
        all.push(sum.iter().map(|value| *value as f32).collect());
    }
    all
}

/// Means over draws, which stand one after the other.
fn averaged(outcomes: &[Outcome], at: &[usize]) -> Vec<SwapRandom> {
    let draws = outcomes.len().checked_div(at.len()).unwrap_or(0);
    let share = |of: &dyn Fn(&Outcome) -> f64, place: usize| {
        outcomes.iter().skip(place).step_by(at.len()).map(of).sum::<f64>() / draws as f64
    };
    let one = |(place, &k): (usize, &usize)| SwapRandom {
        k,
        flips: share(&|outcome| f64::from(u8::from(outcome.flips())), place),
        logprob_token: share(&|outcome| outcome.token, place),
        logprob_other: share(&|outcome| outcome.other, place),
    };
    if draws == 0 { Vec::new() } else { at.iter().enumerate().map(one).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(id: u32, adds: &[f32]) -> SwapUnit {
        SwapUnit { id, base: 0.0, source: 1.0, adds: adds.into() }
    }

    #[test]
    fn steps_end_with_all() {
        assert_eq!(steps(0), Vec::<usize>::new());
        assert_eq!(steps(2), [1, 2]);
        assert_eq!(steps(13), [1, 2, 3, 4, 6, 8, 12, 13]);
        assert_eq!(steps(12), [1, 2, 3, 4, 6, 8, 12]);
    }

    #[test]
    fn units_stand_in_the_order_that_is_asked_for_and_add_up() {
        let units = [unit(5, &[1.0, 0.0]), unit(3, &[0.0, 3.0]), unit(4, &[2.0, 0.0])];
        let effects = [-4.0, 1.0, 1.0];
        assert_eq!(order_of(&units, &effects, SwapOrder::Effect), [0, 1, 2]);
        let order = order_of(&units, &effects, SwapOrder::Difference);
        assert_eq!(order, [1, 2, 0]);
        let sums: Vec<Vec<f32>> = sums(&units, &order, &[1, 3]).iter().map(|sum| sum.to_vec()).collect();
        assert_eq!(sums, [[0.0, 3.0], [3.0, 3.0]]);
    }

    #[test]
    fn random_draws_are_averaged_by_k() {
        let of = |token, other| Outcome { token, other };
        let got = averaged(&[of(-1.0, -3.0), of(-2.0, -1.0), of(-3.0, -1.0), of(-4.0, -1.0)], &[1, 2]);
        assert_eq!(got[0], SwapRandom { k: 1, flips: 0.5, logprob_token: -2.0, logprob_other: -2.0 });
        assert_eq!(got[1].flips, 1.0);
    }
}
