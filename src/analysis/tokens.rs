//! Tokens as plain data: their text, and the likeliest next ones out of logits.
//! Not here: how a terminal shows them.

use crate::analysis::{NextToken, TokenValue, TokenView};
use crate::kernel::maps;
use crate::model::Tokenizer;
use crate::text;

/// The tokens of a prompt.
pub fn views(ids: &[u32], tokenizer: &Tokenizer) -> Vec<TokenView> {
    ids.iter().enumerate().map(|(position, &id)| TokenView { position, id, text: shown(id, tokenizer) }).collect()
}

/// A token's text; bytes that are not a whole character are shown as bytes.
pub fn shown(id: u32, tokenizer: &Tokenizer) -> String {
    text::from_bytes(tokenizer.bytes_of(id))
}

/// Token values with their texts.
pub fn values(pairs: &[(u32, f32)], tokenizer: &Tokenizer) -> Vec<TokenValue> {
    pairs.iter().map(|&(id, value)| TokenValue { id, text: shown(id, tokenizer), value }).collect()
}

/// The `count` likeliest next tokens by one position's logits, `[vocab]`, best first, ties by the lower number. Numbers
/// that the tokenizer does not have (rows that pad the embedding) count in the sum but are not named.
pub fn likeliest(logits: &[f32], count: usize, tokenizer: &Tokenizer) -> Vec<NextToken> {
    let normaliser = log_sum_exp(logits);
    let named = &logits[..logits.len().min(tokenizer.vocab_size())];
    top(named, count)
        .into_iter()
        .map(|(id, logit)| NextToken {
            id,
            text: shown(id, tokenizer),
            logprob: (f64::from(logit) - normaliser) as f32,
        })
        .collect()
}

/// ln Σ exp(logit), in f64.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let max = maps::largest(logits);
    f64::from(max) + maps::sum_of_exponentials(logits, max).ln()
}

/// The `count` largest values with their places, largest first, ties by the lower place.
pub fn top(values: &[f32], count: usize) -> Vec<(u32, f32)> {
    /// Values that are compared with the least of the largest so far together: hardly any group holds a larger one.
    const VALUES_PER_CHECK: usize = 64;
    let mut kept: Vec<(u32, f32)> = Vec::with_capacity(count.min(values.len()) + 1);
    for (group, values) in values.chunks(VALUES_PER_CHECK).enumerate() {
        let floor = kept.last().filter(|_| kept.len() >= count).map(|(_, least)| *least);
        // Equal values, one of which may be a negative zero, and what is not a number are for the exact comparison.
        let below = |floor: f32| values.iter().filter(|value| **value < floor).count();
        if floor.is_some_and(|floor| below(floor) == values.len()) {
            continue;
        }
        for (at, &value) in values.iter().enumerate() {
            let place = kept.partition_point(|(_, other)| other.total_cmp(&value).is_ge());
            if place < count {
                kept.insert(place, ((group * VALUES_PER_CHECK + at) as u32, value));
                kept.truncate(count);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn log_sum_exp_does_not_overflow() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-9);
        assert!((log_sum_exp(&[-1000.0]) + 1000.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn the_top_is_that_of_a_full_sort(values in proptest::collection::vec(-3i8..3, 0..400), count in 0usize..50) {
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            let mut all: Vec<(u32, f32)> = values.iter().enumerate().map(|(i, v)| (i as u32, *v)).collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(count);
            prop_assert_eq!(top(&values, count), all);
        }
    }
}
