//! How well an SAE reconstructs: L0, MSE and explained variance over chosen rows, as sums that add up over batches.
//! Not here: cross-entropy, which needs the model.

use serde::Serialize;

use super::{Codes, Error};

/// Reconstruction metrics over some tokens. `None` where a metric is not defined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quality {
    /// On how many tokens.
    pub tokens: usize,
    /// Mean number of latents that fire.
    pub l0: Option<f64>,
    /// Mean over tokens and dimensions of the squared error. (SAELens sums over dimensions.)
    pub mse: Option<f64>,
    /// 1 − Σ‖x−x̂‖² / Σ‖x−x̄‖², x̄ the mean over the same tokens; none when all tokens are equal.
    pub explained_variance: Option<f64>,
}

/// Measures a reconstruction `x_hat` of `target`, both row-major \[rows, d_out\], with the codes it came from. An SAE's
/// target is what it was given. `counts` says which rows count (those of beginning-of-sequence tokens in front do not);
/// sums are in f64.
///
/// # Errors
/// [`Error::InputSize`] when the sizes of `target`, `x_hat`, `codes` and `counts` disagree.
pub fn quality(target: &[f32], x_hat: &[f32], codes: &Codes, counts: &[bool], d_out: usize) -> Result<Quality, Error> {
    let rows = counts.len();
    for found in [target.len(), x_hat.len(), codes.rows() * d_out] {
        if d_out == 0 || found != rows * d_out {
            return Err(Error::InputSize { found, d_in: d_out });
        }
    }
    let chosen: Vec<usize> = (0..rows).filter(|&row| counts[row]).collect();
    let tokens = chosen.len();
    if tokens == 0 {
        return Ok(Quality::default());
    }
    let mut mean = vec![0.0f64; d_out];
    let (mut error, mut active) = (0.0f64, 0usize);
    for &r in &chosen {
        for ((x, x_hat), mean) in row(target, r, d_out).iter().zip(row(x_hat, r, d_out)).zip(&mut mean) {
            *mean += f64::from(*x);
            error += (f64::from(*x) - f64::from(*x_hat)).powi(2);
        }
        active += codes.row(r).1.iter().filter(|value| **value != 0.0).count();
    }
    for mean in &mut mean {
        *mean /= tokens as f64;
    }
    let variance: f64 = chosen
        .iter()
        .map(|&r| row(target, r, d_out).iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2)).sum::<f64>())
        .sum();
    Ok(Quality {
        tokens,
        l0: Some(active as f64 / tokens as f64),
        mse: Some(error / (tokens * d_out) as f64),
        explained_variance: (variance > 0.0).then(|| 1.0 - error / variance),
    })
}

/// The area under the ROC curve of `scores` as a sign of `positive`: the chance that a positive one scores higher than a
/// negative one, ties counting half. None when there are only positive or only negative ones.
///
/// # Panics
/// When the two slices differ in length.
#[must_use]
pub fn roc_auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    assert_eq!(scores.len(), positive.len());
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut below, mut won) = (0usize, 0.0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let positives = tied.iter().filter(|&&at| positive[at]).count();
        let negatives = tied.len() - positives;
        won += positives as f64 * (below as f64 + negatives as f64 / 2.0);
        below += negatives;
    }
    let positives = scores.len() - below;
    (positives > 0 && below > 0).then(|| won / (positives as f64 * below as f64))
}

fn row(values: &[f32], row: usize, size: usize) -> &[f32] {
    &values[row * size..(row + 1) * size]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_do_not_count_change_nothing() {
        let codes = Codes::from_rows([vec![(0, 1.0), (1, 9.0)], vec![(1, 1.0)], vec![(0, 1.0), (1, 1.0)]]);
        let (x, x_hat) = ([7.0, 7.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0, 3.0, 4.0]);
        let got = quality(&x, &x_hat, &codes, &[false, true, true], 2).unwrap();
        // One squared error of 1 over 2 tokens × 2; x̄ = (2, 3), so the variance is 4 × 1.
        assert_eq!(got, Quality { tokens: 2, l0: Some(1.5), mse: Some(0.25), explained_variance: Some(0.75) });
    }

    #[test]
    fn the_area_counts_pairs_in_the_right_order() {
        assert_eq!(roc_auc(&[1.0, 2.0, 3.0, 4.0], &[false, false, true, true]), Some(1.0));
        assert_eq!(roc_auc(&[1.0, 2.0, 3.0, 4.0], &[true, false, true, false]), Some(0.25));
        assert_eq!(roc_auc(&[1.0, 1.0, 1.0], &[true, false, true]), Some(0.5));
        assert_eq!(roc_auc(&[1.0], &[true]), None);
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let codes = Codes::from_rows([vec![(0, 1.0)]]);
        assert_eq!(quality(&[1.0], &[1.0], &codes, &[false], 1).unwrap(), Quality::default());
        let one = quality(&[1.0], &[0.5], &codes, &[true], 1).unwrap();
        assert_eq!((one.mse, one.explained_variance), (Some(0.25), None));
        assert!(quality(&[1.0], &[0.5, 1.0], &codes, &[true], 1).is_err());
    }
}
