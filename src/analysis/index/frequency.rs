//! How often and how strongly a latent fires in an index, and how unusual an activation of it is.
//! Not here: counting, and where in the text it fires.

use serde::Serialize;

use super::edges::edge_of;
use super::view::TopToken;

/// The share of tokens above which a latent is dense: what it fires on says little about it.
pub const DENSE: f64 = 0.1;

/// How often and how strongly a latent fires in an index.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LatentFrequency {
    /// On how many tokens it fires.
    pub count: u64,
    /// `count` by the tokens of the index.
    pub density: f64,
    /// Its largest activation; 0 where it never fires.
    pub max: f32,
    /// Edge bins with their counts, by rising edge.
    #[serde(skip)]
    pub histogram: Vec<(i32, u64)>,
    /// The tokens it fires on most, by falling count, ties by number.
    pub top_tokens: Vec<TopToken>,
}

impl LatentFrequency {
    /// The quantile of an activation: the share of the latent's own activations in the index that are smaller, as far as
    /// the fixed edges (1.1 % apart) tell them apart; none where it never fires in the index.
    #[must_use]
    pub fn quantile(&self, activation: f32) -> Option<f64> {
        if self.count == 0 || activation.is_nan() || activation <= 0.0 {
            return None;
        }
        let edge = edge_of(activation);
        let smaller: u64 = self.histogram.iter().take_while(|(of, _)| *of < edge).map(|(_, count)| count).sum();
        Some(smaller as f64 / self.count as f64)
    }

    /// Whether it fires on more than [`DENSE`] of the tokens.
    #[must_use]
    pub fn is_dense(&self) -> bool {
        self.density > DENSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_share_of_activations_in_lower_bins() {
        let frequency = LatentFrequency {
            count: 100,
            density: 0.1,
            histogram: vec![(0, 50), (64, 40), (128, 10)],
            ..LatentFrequency::default()
        };
        let of = |activation| frequency.quantile(activation);
        assert_eq!([0.5, 1.0, 1.5, 2.0, 3.9, 4.0, 9.0].map(of), [0.0, 0.0, 0.5, 0.5, 0.9, 0.9, 1.0].map(Some));
        assert_eq!([0.0, -1.0, f32::NAN].map(of), [None; 3]);
        assert_eq!(LatentFrequency::default().quantile(1.0), None);
        assert!(!frequency.is_dense());
    }
}
