//! Two prompts beside each other: what fires at tokens that belong together.
//! Not here: which tokens those are (`align`), and the passes (`live`).

use serde::Serialize;

use crate::analysis::align::Alignment;
use crate::analysis::{Firing, NextToken, TokenView};
use crate::sae::Codes;

/// Two prompts compared (the JSON of `saescope compare`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CompareView {
    /// The SAE's id.
    pub sae: String,
    /// By how many positions partners in B were moved.
    pub shift: isize,
    /// The tokens of A.
    pub tokens_a: Vec<TokenView>,
    /// The tokens of B.
    pub tokens_b: Vec<TokenView>,
    /// Tokens that belong together, in order.
    pub pairs: Vec<TokenPair>,
    /// Positions of A without a partner.
    pub unpaired_a: Vec<usize>,
    /// Positions of B without a partner.
    pub unpaired_b: Vec<usize>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What fires at every position of A, by rising latent.
    #[serde(skip)]
    pub fires_a: Vec<Vec<Firing>>,
    /// The same of B.
    #[serde(skip)]
    pub fires_b: Vec<Vec<Firing>>,
}

/// A token of A and its partner in B.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TokenPair {
    /// Position in A.
    pub a: usize,
    /// Position in B.
    pub b: usize,
    /// Latents that fire at both, the largest difference of activations first, ties by index.
    pub both: Vec<Difference>,
    /// Those that fire at A's token alone, strongest first.
    pub a_only: Vec<InA>,
    /// Those that fire at B's token alone, strongest first.
    pub b_only: Vec<InB>,
    /// The likeliest next tokens after A's; empty where predictions are not to be had.
    pub next_a: Vec<NextToken>,
    /// The same after B's.
    pub next_b: Vec<NextToken>,
}

/// A latent that fires at both tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The latent.
    pub latent: u32,
    /// How strongly it fires at A's token.
    pub a: f32,
    /// How strongly at B's.
    pub b: f32,
}

/// A latent that fires at A's token alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct InA {
    /// The latent.
    pub latent: u32,
    /// How strongly.
    pub a: f32,
}

/// A latent that fires at B's token alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct InB {
    /// The latent.
    pub latent: u32,
    /// How strongly.
    pub b: f32,
}

/// What fires at every position, by rising latent.
#[must_use]
pub fn firings(codes: &Codes) -> Vec<Vec<Firing>> {
    let row = |row: usize| {
        let (latents, values) = codes.row(row);
        let all = latents.iter().zip(values).filter(|(_, value)| **value != 0.0);
        all.map(|(&latent, &activation)| Firing { latent, activation, quantile: None }).collect()
    };
    (0..codes.rows()).map(row).collect()
}

/// Every pair of tokens with what fires at both, and at one alone. `next` gives what comes after a position of A, of B.
#[must_use]
pub fn pairs(
    alignment: &Alignment,
    (fires_a, fires_b): (&[Vec<Firing>], &[Vec<Firing>]),
    next: (&[Vec<NextToken>], &[Vec<NextToken>]),
) -> Vec<TokenPair> {
    let none = Vec::new();
    let of = |all: &[Vec<NextToken>], at: usize| all.get(at).cloned().unwrap_or_default();
    let pair = |&(a, b): &(usize, usize)| {
        let (in_a, in_b) = (fires_a.get(a).unwrap_or(&none), fires_b.get(b).unwrap_or(&none));
        let mut pair = merged(in_a, in_b);
        (pair.a, pair.b) = (a, b);
        (pair.next_a, pair.next_b) = (of(next.0, a), of(next.1, b));
        pair
    };
    alignment.pairs.iter().map(pair).collect()
}

/// Two rows by rising latent taken together.
fn merged(a: &[Firing], b: &[Firing]) -> TokenPair {
    let mut pair = TokenPair::default();
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.latent == y.latent => {
                pair.both.push(Difference { latent: x.latent, a: x.activation, b: y.activation });
                a.next();
                b.next();
            }
            (Some(x), y) if y.is_none_or(|y| x.latent < y.latent) => {
                pair.a_only.push(InA { latent: x.latent, a: x.activation });
                a.next();
            }
            (_, Some(y)) => {
                pair.b_only.push(InB { latent: y.latent, b: y.activation });
                b.next();
            }
            _ => break,
        }
    }
    let by = |x: f32, y: f32| y.abs().total_cmp(&x.abs());
    pair.both.sort_by(|x, y| by(x.b - x.a, y.b - y.a).then(x.latent.cmp(&y.latent)));
    pair.a_only.sort_by(|x, y| by(x.a, y.a).then(x.latent.cmp(&y.latent)));
    pair.b_only.sort_by(|x, y| by(x.b, y.b).then(x.latent.cmp(&y.latent)));
    pair
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::align::align;

    #[test]
    fn latents_are_parted_and_sorted_by_difference() {
        let codes = |row: &[(u32, f32)]| firings(&Codes::from_rows([row.to_vec()]));
        let a = codes(&[(1, 2.0), (3, 1.0), (5, 4.0), (9, 1.0)]);
        let b = codes(&[(2, 0.5), (3, 4.0), (5, 3.5), (7, 6.0)]);
        let got = pairs(&align(&[0], &[1], 0), (&a, &b), (&[], &[]));
        let [pair] = &got[..] else { panic!("{got:?}") };
        let both: Vec<u32> = pair.both.iter().map(|both| both.latent).collect();
        assert_eq!(both, [3, 5]);
        assert_eq!(pair.both[0], Difference { latent: 3, a: 1.0, b: 4.0 });
        assert_eq!(pair.a_only, [InA { latent: 1, a: 2.0 }, InA { latent: 9, a: 1.0 }]);
        assert_eq!(pair.b_only, [InB { latent: 7, b: 6.0 }, InB { latent: 2, b: 0.5 }]);
    }
}
