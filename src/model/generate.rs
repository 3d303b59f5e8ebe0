//! Goes on with a text, token by token.
//! Not here: the model, and how tokens are shown.

use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling as Candle};

use super::{Cache, Error, Hook, Logits, Model, Pass};
use crate::task::Cancel;

/// The lowest temperature at which logits are divided by it: below, they would overflow, and chance chooses nothing.
const COLDEST: f64 = 1e-7;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Sampling {
    /// The likeliest token.
    #[default]
    Greedy,
    /// By chance; the same seed gives the same tokens.
    Random {
        /// Above 0; 1 leaves the model's probabilities as they are.
        temperature: f64,
        /// Only the likeliest tokens that together have this probability; 1 keeps all.
        top_p: f64,
        /// Of the chance.
        seed: u64,
    },
}

/// What [`generate`] is to do.
pub struct Generate<'a> {
    /// The text so far; at least one token.
    pub ids: &'a [u32],
    /// Most tokens to add.
    pub tokens: usize,
    /// How each is chosen.
    pub sampling: Sampling,
    /// Tokens that end the text.
    pub stop: &'a [u32],
    /// Looks at or replaces activations of every pass. Positions already in the cache are not run again.
    pub hook: Option<&'a mut dyn Hook>,
    /// Checked before every block.
    pub cancel: &'a Cancel,
}

/// Goes on with a text and gives the new tokens. `on_token` gets each as it comes and may end it. It also ends when the
/// context is full and after a token of `stop`, which is the last one given. The cache keeps what it shares with the
/// text.
///
/// # Errors
/// As [`Model::forward`].
pub fn generate(
    model: &dyn Model,
    cache: &mut Cache,
    asked: Generate<'_>,
    on_token: &mut dyn FnMut(u32) -> ControlFlow<()>,
) -> Result<Vec<u32>, Error> {
    let Generate { ids, tokens, sampling, stop, mut hook, cancel } = asked;
    let mut chooser = Chooser::new(sampling);
    let mut new = Vec::new();
    let kept = cache.keep_for(ids, model.shape().layers);
    let mut next = ids[kept..].to_vec();
    while new.len() < tokens && (new.is_empty() || cache.len() < model.shape().context) {
        let hook = hook.as_deref_mut().map(|hook| hook as &mut dyn Hook);
        let pass = Pass { layers: None, logits: Logits::Last, hook, cancel };
        let Some(logits) = model.forward(&next, cache, pass)? else { break };
        let id = chooser.choose(&logits.flatten_all()?.to_vec1()?)?;
        new.push(id);
        if on_token(id).is_break() || stop.contains(&id) {
            break;
        }
        next = vec![id];
    }
    Ok(new)
}

/// Chooses the next token of one text, again and again.
pub struct Chooser(Option<LogitsProcessor>);

impl Chooser {
    /// A chooser, which draws what the seed gives it.
    #[must_use]
    pub fn new(sampling: Sampling) -> Self {
        Self(match sampling {
            Sampling::Random { temperature, top_p, seed } if temperature.is_finite() && temperature >= COLDEST => {
                Some(LogitsProcessor::from_sampling(seed, Candle::TopP { p: top_p, temperature }))
            }
            Sampling::Greedy | Sampling::Random { .. } => None,
        })
    }

    /// The next token by the logits of the last position, \[vocab\]; the likeliest, ties to the lower number, where nothing
    /// is drawn.
    ///
    /// # Errors
    /// [`Error::Tensor`] where the logits are no distribution.
    pub fn choose(&mut self, logits: &[f32]) -> Result<u32, Error> {
        match &mut self.0 {
            Some(processor) => {
                let logits = Tensor::from_slice(logits, logits.len(), &Device::Cpu)?;
                Ok(processor.sample(&logits)?)
            }
            None => Ok(likeliest(logits)),
        }
    }
}

/// The place of the largest value, the first of several.
fn likeliest(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, logit) in logits.iter().enumerate() {
        if *logit > best.1 {
            best = (id, *logit);
        }
    }
    best.0 as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_is_the_first_of_equals_and_the_same_seed_draws_the_same() {
        let mut greedy = Chooser::new(Sampling::Greedy);
        assert_eq!(greedy.choose(&[0.0, 3.0, -1.0, 3.0]).unwrap(), 1);
        assert_eq!(greedy.choose(&[f32::NEG_INFINITY, -2.0]).unwrap(), 1);
        let draw = |seed| {
            let mut chooser = Chooser::new(Sampling::Random { temperature: 1.0, top_p: 1.0, seed });
            (0..40).map(|_| chooser.choose(&[0.1, 0.2, 0.3, 0.0]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        let cold = Sampling::Random { temperature: 0.0, top_p: 1.0, seed: 0 };
        assert_eq!(Chooser::new(cold).choose(&[0.0, 1.0]).unwrap(), 1);
    }
}
