//! Training a BatchTopK SAE on rows of activations (or on another SAE's decoder rows: a meta-SAE).
//! Not here: where the rows come from, and reading what was saved.
//!
//! The method is that of Bussmann, Leask, Nanda, *BatchTopK Sparse Autoencoders* (arXiv 2412.06410): of a batch of B
//! rows the k·B largest activations are kept, wherever they are. Only these carry gradient, so a backward pass costs
//! what is active and not what there is; nothing of size B × width is ever stored. What comes out is a JumpReLU SAE
//! with one threshold, which no longer depends on the batch (arXiv 2502.04878, eq. 8).
//!
//! The same seed gives the same bits, however many threads there are: sums run over fixed pieces in a fixed order.

use crate::task::{Cancel, Cancelled, OnProgress, Progress};

mod adam;
mod checkpoint;
mod data;
mod save;
mod select;
mod step;

pub use checkpoint::{Keep, hex};
pub use save::{Dtype, Origin};

use data::Data;
pub(super) use data::directions;
use step::State;

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Latents.
    pub width: usize,
    /// Mean number of activations kept for a row.
    pub k: usize,
    /// Steps of Adam.
    pub steps: usize,
    /// Rows of a step; more than there are means all of them.
    pub batch: usize,
    /// Adam's learning rate, reached after `warmup` steps.
    pub rate: f32,
    /// Steps over which the rate rises from 0.
    pub warmup: usize,
    /// Share of the steps, at the end, over which the rate falls to 0.
    pub decay: f32,
    /// A latent is dead when it was silent for this many batches.
    pub dead_after: u32,
    /// Weight of the auxiliary loss, by which dead latents learn what the living ones leave.
    pub auxiliary: f32,
    /// How many of the dead latents, the most active ones, learn in a step.
    pub revived: usize,
    /// Seed of the first weights and of the order of the rows.
    pub seed: u64,
}

impl Config {
    /// The paper's settings for a width and a k.
    #[must_use]
    pub const fn new(width: usize, k: usize) -> Self {
        Self {
            width,
            k,
            steps: 2_000,
            batch: 4_096,
            rate: 1e-3,
            warmup: 100,
            decay: 0.2,
            dead_after: 100,
            auxiliary: 1.0 / 16.0,
            revived: 512,
            seed: 0,
        }
    }
}

/// Why training could not start or continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// There is nothing to learn from.
    #[error("{values} values are not rows of {d_in}")]
    Rows {
        /// Values given.
        values: usize,
        /// Values of a row.
        d_in: usize,
    },
    /// A setting that makes no sense.
    #[error("{what} is {found}, expected {expected}")]
    Setting {
        /// Which one.
        what: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// A value that is not finite.
    #[error("the activation at row {row}, dimension {dim} is {value}")]
    NotFinite {
        /// The row.
        row: usize,
        /// The dimension.
        dim: usize,
        /// The value.
        value: f32,
    },
    /// The rows are all the same, so there is nothing to explain.
    #[error("all rows are the same: there is nothing to explain")]
    Constant,
    /// The loss ran away.
    #[error("the loss is no longer a number at step {step}; a smaller learning rate may help")]
    Diverged {
        /// The step.
        step: usize,
    },
    /// A file of the SAE could not be written.
    #[error("cannot write `{file}`")]
    Write {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A weight that the asked type cannot hold.
    #[error("`{tensor}` holds {value} at element {index}, which f16 cannot hold; save it as f32")]
    Overflow {
        /// The tensor.
        tensor: &'static str,
        /// The value.
        value: f32,
        /// Its place, counted in elements.
        index: usize,
    },
    /// Nobody wants the result any more.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A trained SAE: f = pre where pre > threshold, pre = (x − b_dec)·W_enc + b_enc, x̂ = f·W_dec + b_dec.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Values of an input row.
    pub d_in: usize,
    /// Latents.
    pub width: usize,
    /// k it was trained with.
    pub k: usize,
    /// \[d_in, width\], row-major.
    pub w_enc: Vec<f32>,
    /// \[width\].
    pub b_enc: Vec<f32>,
    /// \[width, d_in\], rows of norm 1.
    pub w_dec: Vec<f32>,
    /// \[d_in\].
    pub b_dec: Vec<f32>,
    /// θ of every latent: the mean over the late batches of the smallest activation kept.
    pub threshold: f32,
    /// Latents silent for the last `dead_after` batches.
    pub dead: usize,
    /// 1 − squared error / squared distance to the mean, over the last batches.
    pub explained_variance: f32,
}

/// Share of the steps, at the end, over which the threshold and the closing figures are averaged.
const LATE: f32 = 0.1;
/// Steps between two reports of progress.
const REPORT: usize = 10;

/// Trains on `rows` \[rows, d_in\].
///
/// # Errors
/// Input that is empty, constant or not finite, settings that make no sense, a loss that runs away, and [`Cancelled`]
/// within one step of the flag being raised.
pub fn train(
    rows: &[f32],
    d_in: usize,
    config: &Config,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<Trained, TrainError> {
    let mut training = Training::new(rows, d_in, config)?;
    while !training.is_done() {
        cancel.check()?;
        training.step()?;
        training.report_progress(progress);
    }
    Ok(training.finish())
}

/// [`train`], with checkpoints: what was begun with the same rows and settings and not finished continues where it
/// stopped, and comes to the same bits as if it had never stopped. The checkpoint stays, to be removed once the result
/// is in safety.
///
/// # Errors
/// As [`train`], and [`TrainError::Write`] for a checkpoint that cannot be written; the one before it stays.
pub fn train_kept(
    rows: &[f32],
    d_in: usize,
    config: &Config,
    keep: Keep<'_>,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<Trained, TrainError> {
    let mut training = Training::new(rows, d_in, config)?;
    let mut kept = checkpoint::Kept::begin(keep, &mut training)?;
    while !training.is_done() {
        if cancel.is_cancelled() {
            kept.write(&training)?;
        }
        cancel.check()?;
        training.step()?;
        kept.write_when_due(&training)?;
        training.report_progress(progress);
    }
    Ok(training.finish())
}

/// Training under way.
struct Training<'a> {
    config: &'a Config,
    data: Data<'a>,
    state: State,
    /// Steps done.
    steps: usize,
    /// Sum and number of the smallest activations kept in late batches.
    floors: (f64, usize),
    /// Squared errors and squared distances to the mean of late batches.
    closing: (f64, f64),
    batch: Vec<f32>,
    last: Option<step::Outcome>,
}

impl<'a> Training<'a> {
    fn new(rows: &'a [f32], d_in: usize, config: &'a Config) -> Result<Self, TrainError> {
        check(config)?;
        let data = Data::new(rows, d_in, config)?;
        let state = State::new(d_in, config, data.mean());
        let (floors, closing) = ((0.0, 0), (0.0, 0.0));
        Ok(Self { config, data, state, steps: 0, floors, closing, batch: Vec::new(), last: None })
    }

    const fn is_done(&self) -> bool {
        self.steps >= self.config.steps
    }

    fn step(&mut self) -> Result<(), TrainError> {
        let config = self.config;
        let late = config.steps - ((config.steps as f32 * LATE) as usize).clamp(1, config.steps);
        self.data.next_batch(&mut self.batch);
        let outcome = self.state.step(&self.batch, schedule(config, self.steps) * config.rate, config);
        if !outcome.loss.is_finite() {
            return Err(TrainError::Diverged { step: self.steps });
        }
        if self.steps >= late {
            if let Some(floor) = outcome.floor {
                self.floors = (self.floors.0 + f64::from(floor), self.floors.1 + 1);
            }
            self.closing.0 += f64::from(outcome.loss);
            self.closing.1 += f64::from(outcome.total);
        }
        self.steps += 1;
        self.last = Some(outcome);
        Ok(())
    }

    /// Reports now and then.
    fn report_progress(&self, progress: OnProgress<'_>) {
        let Some(last) = &self.last else { return };
        if self.steps.is_multiple_of(REPORT) || self.is_done() {
            progress(Progress {
                figures: vec![
                    ("explained variance".into(), f64::from(1.0 - last.loss / last.total)),
                    ("dead".into(), self.state.dead(self.config.dead_after) as f64),
                    ("mean active".into(), f64::from(last.active)),
                ],
                ..Progress::steps("step", self.steps as u64, self.config.steps as u64)
            });
        }
    }

    fn finish(self) -> Trained {
        let threshold = self.floors.0 / self.floors.1.max(1) as f64;
        let explained = 1.0 - self.closing.0 / self.closing.1;
        self.state.finish(threshold as f32, explained as f32, self.data.scale(), self.config)
    }
}

fn check(config: &Config) -> Result<(), TrainError> {
    let wrong =
        |what, found: String, expected: &str| Err(TrainError::Setting { what, found, expected: expected.to_owned() });
    for (what, found) in [("width", config.width), ("steps", config.steps), ("batch", config.batch)] {
        if found == 0 {
            return wrong(what, "0".into(), "at least 1");
        }
    }
    if u32::try_from(config.width).is_err() || u32::try_from(config.batch).is_err() {
        return wrong("width or batch", format!("{} or {}", config.width, config.batch), "less than 2³²");
    }
    if config.k == 0 || config.k > config.width {
        return wrong("k", config.k.to_string(), "1 to the width");
    }
    if !(config.rate.is_finite() && config.rate > 0.0) {
        return wrong("rate", config.rate.to_string(), "a positive number");
    }
    if !(0.0..=1.0).contains(&config.decay) {
        return wrong("decay", config.decay.to_string(), "0 to 1");
    }
    if !(config.auxiliary.is_finite() && config.auxiliary >= 0.0) {
        return wrong("auxiliary", config.auxiliary.to_string(), "0 or a positive number");
    }
    Ok(())
}

/// The share of the full learning rate at a step.
fn schedule(config: &Config, step: usize) -> f32 {
    let rise = (step + 1) as f32 / config.warmup.max(1) as f32;
    let fall = (config.steps - step) as f32 / (config.steps as f32 * config.decay).max(1.0);
    rise.min(fall).min(1.0)
}

#[cfg(test)]
mod tests;
