//! Training the language model on rows of tokens.
//! It decides neither the text nor the model's shape.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use candle_core::DType;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::lm::Model;

pub struct Recipe {
    pub rate: f64,
    /// Rows of a step.
    pub batch: usize,
    pub epochs: usize,
    pub seed: u64,
}

/// Trains on rows of `context + 1` tokens, the last of which is only predicted. Prints progress and
/// keeps what there is in `checkpoint` now and then. Gives the mean loss of the last 50 steps.
pub fn train(model: &Model, rows: &[Vec<u32>], recipe: &Recipe, checkpoint: &Path) -> Result<f32> {
    let params = ParamsAdamW { lr: 0.0, beta2: 0.98, weight_decay: 0.02, ..Default::default() };
    let mut adam = AdamW::new(model.vars.values().cloned().collect(), params)?;
    let per_epoch = rows.len() / recipe.batch;
    let (steps, length) = (per_epoch * recipe.epochs, model.shape.context);
    let mut rng = StdRng::seed_from_u64(recipe.seed);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let (start, mut recent) = (Instant::now(), Vec::new());
    for step in 0..steps {
        if step % per_epoch == 0 {
            order.shuffle(&mut rng);
        }
        let at = step % per_epoch * recipe.batch;
        let batch: Vec<&[u32]> = order[at..at + recipe.batch].iter().map(|&i| &*rows[i]).collect();
        let ids: Vec<u32> = batch.iter().flat_map(|r| &r[..length]).copied().collect();
        let targets = batch.iter().flat_map(|r| &r[1..=length]).copied().collect();
        adam.set_learning_rate(recipe.rate * schedule(step, steps));
        let loss = model.loss(&ids, targets, length)?;
        let grads = loss.backward()?;
        adam.step(&grads)?;
        recent.push(loss.to_scalar::<f32>()?);
        ensure!(recent.iter().all(|l| l.is_finite()), "the loss is no number at step {step}");
        if recent.len() > 50 {
            recent.remove(0);
        }
        if (step + 1) % 20 == 0 || step + 1 == steps {
            let tokens = (step + 1) * recipe.batch * length;
            let seconds = start.elapsed().as_secs_f64();
            let mean = recent.iter().sum::<f32>() / recent.len() as f32;
            println!(
                "model: step {} of {steps}, loss {mean:.4}, {:.0} tokens/s, {:.0} s left",
                step + 1,
                tokens as f64 / seconds,
                seconds / (step + 1) as f64 * (steps - step - 1) as f64
            );
        }
        if (step + 1) % 250 == 0 {
            model.save(checkpoint, DType::F32)?;
        }
    }
    Ok(recent.iter().sum::<f32>() / recent.len().max(1) as f32)
}

/// The share of the full learning rate: a short rise, then half a cosine down to 2 per cent.
fn schedule(step: usize, steps: usize) -> f64 {
    let warm = (steps / 20).clamp(1, 200);
    if step < warm {
        return (step + 1) as f64 / warm as f64;
    }
    let at = (step - warm) as f64 / (steps - warm).max(1) as f64;
    0.02 + 0.49 * (1.0 + (std::f64::consts::PI * at).cos())
}
