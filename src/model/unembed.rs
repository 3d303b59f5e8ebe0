//! What a direction of the residual stream says about the next token (methods §6).
//! Not here: whose direction it is.
//!
//! For a direction v: u = (v − mean v) ⊙ gain, without centring for RMSNorm; value(token) = u · row(token) − the mean
//! of u · row over the vocabulary. The final norm's scale, which depends on the rest of the stream, is left out.

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::kernel::{self, View};
use crate::weights::{Array, Matrix};

/// Rows that one thread sums at a time; the parts are added in order, so that the sum has the same bits every time.
const SUMMED: usize = 4096;

/// The part of a model after the last block, for single directions. Clones share it.
#[derive(Clone, Debug)]
pub struct Unembedding {
    matrix: Matrix,
    gain: Array,
    centred: bool,
    /// The mean row, made when first asked for: it costs a pass over the matrix.
    mean: Arc<OnceLock<Vec<f32>>>,
}

/// The tokens at the two ends of a direction, strongest first, ties by the lower token number.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TopLogits {
    /// Tokens it makes likelier, with their values.
    pub promoted: Vec<(u32, f32)>,
    /// Tokens it makes less likely, with their values.
    pub suppressed: Vec<(u32, f32)>,
}

impl Unembedding {
    /// `matrix` is `[vocab, d_model]`, `gain` the final norm's, `[d_model]`; `centred` where that norm removes the mean.
    ///
    /// # Panics
    /// When the two do not agree in `d_model`.
    pub fn new(matrix: impl Into<Matrix>, gain: Array, centred: bool) -> Self {
        let matrix = matrix.into();
        assert_eq!(matrix.cols(), gain.len(), "sizes of unembedding and gain");
        Self { matrix, gain, centred, mean: Arc::default() }
    }

    /// [vocab, d_model].
    pub const fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// The tokens that each direction promotes and suppresses most, `count` of either. `directions` is [n, d_model];
    /// no more than a tile of the values is held at a time.
    ///
    /// # Panics
    /// When the directions are not of the model's size.
    pub fn top_logits(&self, directions: View<'_>, count: usize) -> Vec<TopLogits> {
        let (n, d) = (directions.rows(), self.gain.len());
        assert_eq!(directions.cols(), d, "size of the directions");
        let mut read = Vec::with_capacity(n * d);
        for row in 0..n {
            let start = read.len();
            read.extend((0..d).map(|column| directions.at(row, column)));
            self.prepare(&mut read[start..]);
        }
        let tiles = kernel::read_tiles(View::new(&read, n, d), self.matrix.t(), |columns, tile| {
            let first = columns.start as u32;
            tile.chunks_exact(columns.len()).map(|row| TopLogits::of(row, first, count)).collect::<Vec<_>>()
        });
        let mut all = vec![TopLogits::default(); n];
        for tile in tiles {
            for (top_logits, part) in all.iter_mut().zip(tile) {
                top_logits.merge(part, count);
            }
        }
        let mean = self.mean();
        for (row, top_logits) in all.iter_mut().enumerate() {
            let shift = kernel::dot(&read[row * d..(row + 1) * d], mean);
            top_logits.promoted.iter_mut().chain(&mut top_logits.suppressed).for_each(|(_, value)| *value -= shift);
        }
        all
    }

    /// The direction q for which value(token) of any direction v is v · q, `[d_model]`.
    ///
    /// # Panics
    /// When the token is beyond the vocabulary.
    pub fn token_direction(&self, token: u32) -> Vec<f32> {
        // Centring is a symmetric projection: (C v ⊙ g) · w = v · C (g ⊙ w).
        let row = self.matrix.row(token as usize);
        let row = row.iter().zip(self.mean());
        let mut direction: Vec<f32> = row.zip(&*self.gain).map(|((value, mean), gain)| (value - mean) * gain).collect();
        if self.centred {
            centre(&mut direction);
        }
        direction
    }

    fn prepare(&self, direction: &mut [f32]) {
        if self.centred {
            centre(direction);
        }
        direction.iter_mut().zip(&*self.gain).for_each(|(value, gain)| *value *= gain);
    }

    fn mean(&self) -> &[f32] {
        self.mean.get_or_init(|| {
            let (rows, size) = (self.matrix.rows(), self.gain.len());
            let part = |first: usize| {
                let mut sums = vec![0.0f64; size];
                for row in first..rows.min(first + SUMMED) {
                    let row = self.matrix.row(row);
                    sums.iter_mut().zip(&*row).for_each(|(sum, value)| *sum += f64::from(*value));
                }
                sums
            };
            let parts: Vec<Vec<f64>> =
                (0..rows.div_ceil(SUMMED)).into_par_iter().map(|index| part(index * SUMMED)).collect();
            let mut sums = vec![0.0f64; size];
            for part in parts {
                sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
            sums.iter().map(|sum| (sum / rows as f64) as f32).collect()
        })
    }
}

fn centre(values: &mut [f32]) {
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
    for value in values {
        *value -= mean as f32;
    }
}

impl TopLogits {
    fn of(values: &[f32], first: u32, count: usize) -> Self {
        let numbered = || values.iter().enumerate().map(|(i, value)| (first + i as u32, *value));
        Self { promoted: best(numbered(), count, false), suppressed: best(numbered(), count, true) }
    }

    fn merge(&mut self, other: Self, count: usize) {
        let both = |a: &mut Vec<_>, b: Vec<_>, lowest| *a = best(a.drain(..).chain(b), count, lowest);
        both(&mut self.promoted, other.promoted, false);
        both(&mut self.suppressed, other.suppressed, true);
    }
}

/// The `count` highest (or lowest) values, in that order, ties by the lower number. What comes later must have higher
/// numbers.
fn best(values: impl Iterator<Item = (u32, f32)>, count: usize, lowest: bool) -> Vec<(u32, f32)> {
    let before = |a: f32, b: f32| if lowest { a < b } else { a > b };
    let mut kept: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
    for (id, value) in values {
        let beaten = kept.len() == count && !kept.last().is_some_and(|(_, last)| before(value, *last));
        if beaten {
            continue;
        }
        let place = kept.partition_point(|(_, other)| !before(value, *other));
        kept.insert(place, (id, value));
        kept.truncate(count);
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unembedding(vocab: usize, d: usize, centred: bool, seed: u32) -> Unembedding {
        let values = |count: usize, salt: u32| -> Vec<f32> {
            (0..count as u32)
                .map(|i| ((i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(salt)) >> 8) as f32 / 8e6 - 1.0)
                .collect()
        };
        let matrix = Array::owned(values(vocab * d, 3), &[vocab, d]);
        Unembedding::new(matrix, Array::owned(values(d, 5), &[d]), centred)
    }

    /// The definition, in f64 and with everything held.
    fn values(this: &Unembedding, v: &[f32]) -> Vec<f64> {
        let v: Vec<f64> = v.iter().map(|x| f64::from(*x)).collect();
        let mean = if this.centred { v.iter().sum::<f64>() / v.len() as f64 } else { 0.0 };
        let u: Vec<f64> = v.iter().zip(&*this.gain).map(|(x, g)| (x - mean) * f64::from(*g)).collect();
        let raw: Vec<f64> = (0..this.matrix.rows())
            .map(|id| this.matrix.row(id).iter().zip(&u).map(|(w, u)| f64::from(*w) * u).sum())
            .collect();
        let mean = raw.iter().sum::<f64>() / raw.len() as f64;
        raw.iter().map(|value| value - mean).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn ends_and_token_directions_agree_with_the_definition(
            vocab in 1usize..1300, centred: bool, seed: u32, count in 0usize..6,
            v in prop::collection::vec(-2.0f32..2.0, 7),
        ) {
            let this = unembedding(vocab, 7, centred, seed);
            let want = values(&this, &v);
            let two = [v.clone(), vec![0.5; 7]].concat();
            let top_logits = this.top_logits(View::new(&two, 2, 7), count).swap_remove(0);
            let mut order: Vec<usize> = (0..vocab).collect();
            order.sort_by(|a, b| want[*b].total_cmp(&want[*a]));
            prop_assert_eq!(top_logits.promoted.len(), count.min(vocab));
            for ((id, value), best) in top_logits.promoted.iter().zip(&order) {
                prop_assert!((f64::from(*value) - want[*best]).abs() < 1e-4);
                prop_assert!((f64::from(*value) - want[*id as usize]).abs() < 1e-4);
                let q = this.token_direction(*id);
                prop_assert!((kernel::dot(&q, &v) - value).abs() < 1e-4);
            }
            for ((id, value), worst) in top_logits.suppressed.iter().zip(order.iter().rev()) {
                prop_assert!((f64::from(*value) - want[*worst]).abs() < 1e-4);
                prop_assert!((f64::from(*value) - want[*id as usize]).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn ties_go_to_the_lower_number() {
        let values = [1.0, 3.0, 3.0, -1.0, -1.0];
        let top_logits = TopLogits::of(&values, 10, 2);
        assert_eq!(top_logits.promoted, [(11, 3.0), (12, 3.0)]);
        assert_eq!(top_logits.suppressed, [(13, -1.0), (14, -1.0)]);
    }
}
