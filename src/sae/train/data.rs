//! The rows that training reads: checked, scaled, in a seeded order.
//! Not here: what is learnt from them.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::{Config, TrainError};

/// Rows \[count, d_in\] with the scale that makes their mean squared distance from their mean d_in, so that one
/// learning rate suits activations of any size.
pub struct Data<'a> {
    rows: &'a [f32],
    d_in: usize,
    batch: usize,
    scale: f32,
    mean: Vec<f32>,
    order: Vec<u32>,
    at: usize,
    rng: StdRng,
}

impl<'a> Data<'a> {
    pub fn new(rows: &'a [f32], d_in: usize, config: &Config) -> Result<Self, TrainError> {
        let count = rows.len().checked_div(d_in).unwrap_or(0);
        if count == 0 || count * d_in != rows.len() || u32::try_from(count).is_err() {
            return Err(TrainError::Rows { values: rows.len(), d_in });
        }
        if let Some(at) = rows.iter().position(|v| !v.is_finite()) {
            return Err(TrainError::NotFinite { row: at / d_in, dim: at % d_in, value: rows[at] });
        }
        let mut sums = vec![0.0f64; d_in];
        for row in rows.chunks_exact(d_in) {
            sums.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
        }
        let centre: Vec<f64> = sums.iter().map(|s| s / count as f64).collect();
        let mut squares = 0.0f64;
        for row in rows.chunks_exact(d_in) {
            squares += row.iter().zip(&centre).map(|(v, c)| (f64::from(*v) - c).powi(2)).sum::<f64>();
        }
        let scale = (d_in as f64 * count as f64 / squares).sqrt() as f32;
        if !scale.is_finite() || scale == 0.0 {
            return Err(TrainError::Constant);
        }
        let mean = centre.iter().map(|c| *c as f32 * scale).collect();
        let mut rng = StdRng::seed_from_u64(config.seed ^ 0x6f72_6465_7200);
        let mut order: Vec<u32> = (0..count as u32).collect();
        order.shuffle(&mut rng);
        Ok(Self { rows, d_in, batch: config.batch.min(count), scale, mean, order, at: 0, rng })
    }

    /// What the rows are multiplied with.
    pub const fn scale(&self) -> f32 {
        self.scale
    }

    /// The mean row, scaled.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Brings the order of the rows to where it is after `batches`, without reading them.
    pub fn skip(&mut self, batches: usize) {
        for _ in 0..batches {
            if self.at + self.batch > self.order.len() {
                self.order.shuffle(&mut self.rng);
                self.at = 0;
            }
            self.at += self.batch;
        }
    }

    /// The rows as they came.
    pub const fn rows(&self) -> &[f32] {
        self.rows
    }

    /// Fills `batch` with the next rows, scaled; after all rows were seen they come in another order.
    pub fn next_batch(&mut self, batch: &mut Vec<f32>) {
        batch.clear();
        if self.at + self.batch > self.order.len() {
            self.order.shuffle(&mut self.rng);
            self.at = 0;
        }
        for &row in &self.order[self.at..self.at + self.batch] {
            let start = row as usize * self.d_in;
            batch.extend(self.rows[start..start + self.d_in].iter().map(|v| v * self.scale));
        }
        self.at += self.batch;
    }
}

/// Unit vectors in random directions, \[count, d\].
pub fn directions(count: usize, d: usize, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut out: Vec<f32> = (0..count * d)
        .map(|_| {
            let (a, b) = (1.0 - rng.random::<f32>(), rng.random::<f32>());
            (-2.0 * a.ln()).sqrt() * (std::f32::consts::TAU * b).cos()
        })
        .collect();
    for row in out.chunks_exact_mut(d.max(1)) {
        normalise(row);
    }
    out
}

/// Scales a vector to length 1; one of length 0 becomes the first axis.
pub fn normalise(row: &mut [f32]) {
    let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32;
    if norm > 0.0 {
        for value in row {
            *value /= norm;
        }
    } else if let Some(first) = row.first_mut() {
        *first = 1.0;
    }
}
