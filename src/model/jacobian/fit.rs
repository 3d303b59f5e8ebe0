//! The Jacobians of one prompt, by backward passes through candle's graph, whose parts have gradients of this program
//! on the CPU (`model/graph.rs`).
//! Not here: the mean over prompts.

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use super::super::{Error, Hook, Logits, Model, Pass};
use crate::site::{Site, SiteKind};
use crate::task::Cancel;

/// Positions in front that are left out: sinks of attention, whose residual streams are like no others.
pub const SKIPPED: usize = 16;

/// Adds zeros to what leaves each block but the last, so that the gradient by them is that by the residual stream.
struct Graph {
    last: usize,
    zeros: Vec<Var>,
    leaving: Option<Tensor>,
}

impl Hook for Graph {
    fn is_active(&self, site: Site) -> bool {
        site.kind == SiteKind::ResidPost
    }

    fn visit(&mut self, site: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        if site.layer == self.last {
            self.leaving = Some(activation.clone());
            return Ok(None);
        }
        let zeros = Var::zeros(activation.shape(), activation.dtype(), activation.device())?;
        let with = (activation + zeros.as_tensor())?;
        self.zeros.push(zeros);
        Ok(Some(with))
    }
}

/// J_l of one prompt for every block l but the last, each [d_model, d_model], row-major: the mean over source positions t of
/// Σ_t′ ∂h_final\[t′\]/∂h_l\[t\], over t′ ≥ t. Both leave out the first [`SKIPPED`] positions and the last, which no token
/// follows. None where that leaves no position. The model must hold its weights as tensors, as on a card or the stand-in.
/// Costs one pass, and one backward pass for each of d_model values.
///
/// # Errors
/// [`Error`].
pub fn jacobians(model: &dyn Model, ids: &[u32], cancel: &Cancel) -> Result<Option<Vec<Vec<f32>>>, Error> {
    let shape = model.shape();
    let Some(count) = ids.len().checked_sub(SKIPPED + 1).filter(|count| *count > 0) else { return Ok(None) };
    let mut graph = Graph { last: shape.layers.saturating_sub(1), zeros: Vec::new(), leaving: None };
    let pass = Pass { layers: None, logits: Logits::None, hook: Some(&mut graph), cancel };
    model.forward(ids, &mut model.cache(), pass)?;
    let Some(leaving) = graph.leaving else { return Ok(Some(Vec::new())) };
    let d = shape.d_model;
    let targets = leaving.narrow(0, SKIPPED, count)?;
    // Each output has a backward pass of its own through the same graph, and outputs are shared out among threads.
    let rows = |out: usize| -> Result<Vec<Vec<f32>>, Error> {
        cancel.check()?;
        let gradients = targets.narrow(1, out, 1)?.sum_all()?.backward()?;
        let row = |zeros: &Var| -> Result<Vec<f32>, Error> {
            let Some(gradient) = gradients.get(zeros.as_tensor()) else {
                return Err(candle_core::Error::Msg("the pass left no graph behind it".to_owned()).into());
            };
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            Ok(mean(gradient.chunks_exact(d).skip(SKIPPED).take(count), d))
        };
        graph.zeros.iter().map(row).collect()
    };
    let outputs = (0..d).into_par_iter().map(rows).collect::<Result<Vec<_>, _>>()?;
    let mut all = vec![Vec::with_capacity(d * d); graph.zeros.len()];
    for rows in outputs {
        all.iter_mut().zip(rows).for_each(|(jacobian, row)| jacobian.extend(row));
    }
    Ok(Some(all))
}

/// The mean of rows, \[d\].
fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>, d: usize) -> Vec<f32> {
    let (mut sums, mut count) = (vec![0.0f64; d], 0usize);
    for row in rows {
        count += 1;
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    sums.into_iter().map(|sum| (sum / count.max(1) as f64) as f32).collect()
}
