//! What is said of one latent in the end: figures, quantiles, usual tokens, examples.
//! Not here: counting, and the text of tokens.

use super::edges::{lower, middle};
use super::latent::Tally;
use super::spot::Spot;
use super::view::{ActivationHistogram, Quantiles};

/// Quantile bins, each a tenth of the activations as far as edge bins allow.
const BINS: u64 = 10;
/// Examples of each.
const EACH: usize = 5;
/// Tokens it fires on most that are named.
const TOKENS: usize = 10;
/// Bins of a histogram that is shown.
const SHOWN: usize = 30;

/// What is said of one latent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatentRow {
    /// On how many tokens it fires.
    pub count: u64,
    /// The sum of its activations.
    pub sum: f64,
    /// Its largest activation; 0 where it never fires.
    pub max: f32,
    /// Edge bins with their counts, by rising edge.
    pub histogram: Vec<(i32, u64)>,
    /// The tokens it fires on most: number, count, mean activation.
    pub top_tokens: Vec<(u32, u64, f64)>,
    /// The best first, then those of the quantile bins 10 to 1.
    pub examples: Vec<RowExample>,
}

/// An example in a row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowExample {
    /// Whether it is one of the best.
    pub best: bool,
    /// 1 the weakest tenth, 10 the strongest.
    pub quantile_bin: u8,
    /// Where it is.
    pub spot: Spot,
}

impl LatentRow {
    /// Of a latent that was counted and closed; the best `most` are named.
    #[must_use]
    pub fn of(tally: &Tally, most: usize) -> Self {
        let histogram: Vec<(i32, u64)> = tally.histogram().collect();
        let mut top_tokens: Vec<(u32, u64, f64)> = tally.tokens().collect();
        top_tokens.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        top_tokens.truncate(TOKENS);
        let best = tally.best.clone().list(most);
        let mut drawn: Vec<Vec<RowExample>> = vec![Vec::new(); BINS as usize];
        for (_, spot) in &tally.sample {
            if best.iter().any(|best| best.at() == spot.at()) {
                continue;
            }
            let quantile_bin = bin_of(&histogram, tally.count, spot.activation);
            let bin = &mut drawn[usize::from(quantile_bin) - 1];
            if bin.len() < EACH {
                bin.push(RowExample { best: false, quantile_bin, spot: spot.clone() });
            }
        }
        let of_best = |spot: Spot| RowExample {
            best: true,
            quantile_bin: bin_of(&histogram, tally.count, spot.activation),
            spot,
        };
        let examples: Vec<RowExample> =
            best.into_iter().map(of_best).chain(drawn.into_iter().rev().flatten()).collect();
        Self { count: tally.count, sum: tally.total(), max: tally.max, histogram, top_tokens, examples }
    }

    /// Mean activation where it fires.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The quantiles that are reported.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let at = |tenths: u64, of: u64| quantile(&self.histogram, self.count, tenths, of);
        Quantiles { half: at(1, 2), tenth: at(9, 10), hundredth: at(99, 100) }
    }

    /// The histogram in so few bins that it can be shown: each of the same number of edge bins.
    #[must_use]
    pub fn shown(&self) -> ActivationHistogram {
        let (Some(first), Some(last)) = (self.histogram.first(), self.histogram.last()) else {
            return ActivationHistogram::default();
        };
        let span = (last.0 - first.0 + 1) as usize;
        let wide = span.div_ceil(SHOWN);
        let bins = span.div_ceil(wide);
        let edges = (0..=bins).map(|bin| lower(first.0 + (bin * wide) as i32)).collect();
        let mut counts = vec![0; bins];
        for (edge, count) in &self.histogram {
            counts[(edge - first.0) as usize / wide] += count;
        }
        ActivationHistogram { edges, counts }
    }
}

/// The geometric middle of the edge bin that holds the rank ⌈q·n⌉, q = `part` / `of`.
fn quantile(histogram: &[(i32, u64)], n: u64, part: u64, of: u64) -> Option<f64> {
    let rank = (u128::from(n) * u128::from(part)).div_ceil(u128::from(of)) as u64;
    let mut below = 0;
    histogram.iter().find_map(|(edge, count)| {
        below += count;
        (below >= rank).then(|| middle(*edge))
    })
}

/// The quantile bin of an activation: the tenth that holds the middle rank of its edge bin.
fn bin_of(histogram: &[(i32, u64)], n: u64, activation: f32) -> u8 {
    let edge = super::edges::edge_of(activation);
    let mut below = 0;
    for (of, count) in histogram {
        if *of == edge {
            let middle = u128::from(2 * below + count - 1);
            return (middle * u128::from(BINS) / u128::from(2 * n)) as u8 + 1;
        }
        below += count;
    }
    BINS as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_bins_are_those_of_ranks() {
        let histogram = [(0, 50), (64, 40), (128, 10)];
        assert_eq!(quantile(&histogram, 100, 1, 2), Some(middle(0)));
        assert_eq!(quantile(&histogram, 100, 9, 10), Some(middle(64)));
        assert_eq!(quantile(&histogram, 100, 99, 100), Some(middle(128)));
        assert_eq!(quantile(&[], 0, 1, 2), None);
        assert_eq!([1.0, 2.0, 4.0].map(|value| bin_of(&histogram, 100, value)), [3, 7, 10]);
        assert_eq!(bin_of(&[(0, 1)], 1, 1.0), 1);
    }

    #[test]
    fn what_is_shown_has_thirty_bins_at_most_and_all_counts() {
        let row = LatentRow { histogram: vec![(-300, 2), (10, 5), (400, 1)], ..LatentRow::default() };
        let shown = row.shown();
        assert!(shown.counts.len() <= 30 && shown.edges.len() == shown.counts.len() + 1);
        assert_eq!(shown.counts.iter().sum::<u64>(), 8);
        assert_eq!((shown.counts[0], *shown.counts.last().expect("has bins")), (2, 1));
        assert_eq!(LatentRow { histogram: vec![(3, 9)], ..LatentRow::default() }.shown().counts, [9]);
    }
}
