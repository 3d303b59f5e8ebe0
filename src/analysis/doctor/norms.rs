//! What could be done to an SAE's input in place of what is done to it now, as releases differ in it.
//! Not here: the other conventions, and measuring what a change does.

use crate::sae::Normalisation;

/// What an SAE's input is like.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// √d_in over the mean length of an activation.
    pub scale: f32,
    /// The length of an activation.
    pub d_in: usize,
    /// Whether it is what goes into the first block.
    pub is_embedding: bool,
}

/// What could be done to the input instead.
pub fn norms(now: Normalisation, input: Input) -> Vec<Normalisation> {
    let mut all = vec![Normalisation::None, Normalisation::ConstantNorm, Normalisation::LayerNorm];
    let mut factors: Vec<f32> = Vec::new();
    for factor in scales(now, input) {
        let known = |known: &f32| (0.99..1.01).contains(&(known / factor));
        // A factor near 1 would change nothing that can be seen.
        if factor.is_normal() && factor > 0.0 && !(0.9..1.11).contains(&factor) && !factors.iter().any(known) {
            factors.push(factor);
        }
    }
    all.extend(factors.into_iter().map(Normalisation::Scale));
    all.retain(|norm| *norm != now);
    all
}

/// Factors for all activations that releases train with: to a mean length of √d_in (SAELens), to one of 1
/// (`dictionary_learning`), and what an embedding is multiplied by on its way into the model (Gemma). Each could be
/// missing, or be in the weights already.
fn scales(now: Normalisation, input: Input) -> Vec<f32> {
    let (scale, root) = (input.scale, (input.d_in as f32).sqrt());
    match now {
        Normalisation::None => {
            let embedding = input.is_embedding.then_some(1.0 / root);
            embedding.into_iter().chain([scale, 1.0 / scale, scale / root, root / scale]).collect()
        }
        Normalisation::Scale(factor) => vec![factor * factor],
        Normalisation::ConstantNorm | Normalisation::LayerNorm => vec![scale],
    }
}

/// A factor with five digits that count, as a suite file can have it.
pub fn digits(factor: f32) -> String {
    let before = factor.abs().log10().floor().clamp(-20.0, 20.0) as i32;
    let behind = usize::try_from(4 - before).unwrap_or(0);
    format!("{factor:.behind$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Input = Input { scale: 0.1, d_in: 16, is_embedding: false };

    #[test]
    fn what_is_tried_differs_from_what_is_there() {
        for now in [Normalisation::None, Normalisation::Scale(0.5), Normalisation::LayerNorm] {
            assert!(!norms(now, INPUT).contains(&now), "{now:?}");
        }
        let factors = |input: Input| {
            let all = norms(Normalisation::None, input).into_iter();
            all.filter(|norm| matches!(norm, Normalisation::Scale(_))).collect::<Vec<_>>()
        };
        let near_one = Input { scale: 1.1, d_in: 1, ..INPUT };
        assert_eq!(factors(near_one), [], "they would change nothing that can be seen");
        assert_eq!(factors(INPUT), [0.1, 10.0, 0.025, 40.0].map(Normalisation::Scale));
        assert_eq!(factors(Input { is_embedding: true, ..INPUT })[0], Normalisation::Scale(0.25));
    }

    #[test]
    fn a_factor_has_five_digits_that_count() {
        assert_eq!(
            [1.0 / 48.0, 1.895_852_2, 59.866_52, 1.0, 0.000_012_3].map(digits),
            ["0.020833", "1.8959", "59.867", "1.0000", "0.000012300"]
        );
        assert_eq!([123_456.0, 1e-30].map(|factor: f32| digits(factor).parse::<f32>().is_ok()), [true, true]);
    }
}
