//! What was written, as plain data: the answer of `saescope steer`.
//! Not here: writing it.

use serde::Serialize;

use super::Written;
use crate::analysis::{NextToken, tokens};
use crate::model::Tokenizer;

/// What a model writes untouched, under an intervention, and under one as large in a random direction (the JSON of
/// `saescope steer`).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SteerView {
    /// What is done, in words.
    pub interventions: Vec<String>,
    /// For each edit how strong it is.
    pub strengths: Vec<Strength>,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// The mean of ‖x‖ at the site over the prompt's positions, without beginning-of-sequence tokens.
    pub activation_norm: Option<f64>,
    /// What each arm wrote: untouched, steered, random.
    pub arms: Vec<SteerArm>,
    /// The steered arm at other strengths, where a sweep was asked for.
    pub sweep: Vec<SweepPoint>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// How strong an edit is; nothing where it has no strength, or that measure does not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Strength {
    /// The number itself: of activation that is set or added, or the factor.
    pub raw: Option<f64>,
    /// As a multiple of the latent's maximum in the index.
    pub max: Option<f64>,
    /// As a multiple of the mean ‖x‖ over the prompt's positions.
    pub norm: Option<f64>,
}

/// What one arm wrote.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SteerArm {
    /// `untouched`, `steered` or `random`.
    pub arm: &'static str,
    /// The text of its new tokens.
    pub text: String,
    /// The new tokens.
    pub tokens: Vec<SteerToken>,
    /// exp of the mean negative log-probability of the new tokens under the untouched model; none where there are none.
    pub perplexity_untouched: Option<f64>,
    /// The prompt's positions whose activation was changed.
    pub edited_prompt: Vec<usize>,
    /// The mean ‖Δ‖ over all positions whose activation was changed; none where none was.
    pub mean_delta: Option<f64>,
    /// How strongly the first edit's latent fires on the unedited activation of the new tokens, in the mean; none where no
    /// edit is about a latent.
    pub latent_mean: Option<f64>,
}

/// A token that an arm wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SteerToken {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Natural logarithm of its probability in this arm, at temperature 1.
    pub logprob: f64,
    /// Whether the activation at its position was changed: then what comes after it is steered there.
    pub edited: bool,
    /// The likeliest tokens in its place, best first, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<NextToken>,
}

/// The steered arm at one strength.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SweepPoint {
    /// The strength, in the unit that was asked for.
    pub strength: f64,
    /// The text of its new tokens.
    pub text: String,
    /// As of an arm.
    pub perplexity_untouched: Option<f64>,
    /// As of an arm.
    pub latent_mean: Option<f64>,
}

/// What an arm has written so far behind a prompt of so many tokens.
#[must_use]
pub fn view(arm: &'static str, written: &Written<'_>, prompt: usize, tokenizer: &Tokenizer) -> SteerArm {
    let edited = written.edit.edited();
    let is_edited = |position: usize| edited.binary_search_by_key(&position, |(at, _)| *at).is_ok();
    let token = |(at, (id, logprob)): (usize, (&u32, &f64))| SteerToken {
        id: *id,
        text: tokens::shown(*id, tokenizer),
        logprob: *logprob,
        edited: is_edited(prompt + at),
        candidates: written.candidates.get(at).map_or_else(Vec::new, |all| named(all, tokenizer)),
    };
    let fires = written.edit.fires().iter().filter(|firing| firing.position >= prompt);
    SteerArm {
        arm,
        text: tokenizer.decode(&written.ids),
        tokens: written.ids.iter().zip(&written.logprobs).enumerate().map(token).collect(),
        perplexity_untouched: written.perplexity,
        edited_prompt: edited.iter().map(|(at, _)| *at).filter(|at| *at < prompt).collect(),
        mean_delta: mean(edited.iter().map(|(_, norm)| *norm)),
        latent_mean: mean(fires.map(|firing| f64::from(firing.activation))),
    }
}

fn named(candidates: &[(u32, f64)], tokenizer: &Tokenizer) -> Vec<NextToken> {
    let of = |(id, logprob): &(u32, f64)| NextToken {
        id: *id,
        text: tokens::shown(*id, tokenizer),
        logprob: *logprob as f32,
    };
    candidates.iter().map(of).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0usize, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / count as f64)
}
