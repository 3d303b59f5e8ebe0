//! What latents do to a token, as plain data: the answer of `saescope effect`.
//! Not here: measuring it.

use serde::Serialize;

use super::outcome::Outcome;
use crate::analysis::{NextToken, Relation};

/// Which latents do what to a token (the JSON of `saescope effect`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EffectView {
    /// Where latents are taken out.
    pub position: usize,
    /// Where the next token is read.
    pub read: usize,
    /// The token asked about, as the untouched model has it.
    pub token: NextToken,
    /// How figures are signed.
    pub sign: &'static str,
    /// One entry for each SAE.
    pub saes: Vec<SaeEffect>,
    /// Where they were asked for: a latent's parents and children in these SAEs that fire here, in the order of SAEs,
    /// each in that of its latents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relatives: Option<Vec<RelativeEffect>>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What an SAE's latents do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SaeEffect {
    /// The SAE's id.
    pub id: String,
    /// Those that fire, the largest change of log-probability first, ties by index.
    pub latents: Vec<LatentEffect>,
    /// All that fire taken out together; b_dec stays.
    pub all_latents: PartEffect,
    /// What the SAE does not reconstruct taken out.
    pub error: ErrorEffect,
    /// Random directions as long as the largest contribution.
    pub random: RandomEffect,
}

/// What one latent does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatentEffect {
    /// The latent.
    pub latent: u32,
    /// How strongly it fires.
    pub activation: f32,
    /// Change of the token's log-probability, in nats.
    pub delta_logprob: f64,
    /// Change of the token's logit less the mean of all logits.
    pub delta_logit: f64,
    /// KL(clean ‖ without it) of the next token, in nats.
    pub kl: f64,
    /// What it adds to the token's logit, less the mean over the vocabulary, straight through the final norm with the
    /// clean scale, before any soft cap; none where the token is read elsewhere or a norm stands in between.
    pub direct: Option<f64>,
}

/// What a parent or child of a latent does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RelativeEffect {
    /// Its SAE's id.
    pub sae: String,
    /// Whether it is a parent, in a narrower SAE, or a child, in a wider one.
    pub relation: Relation,
    /// The cosine of the two decoder rows.
    pub cosine: f32,
    /// What it does.
    #[serde(flatten)]
    pub effect: LatentEffect,
}

/// What something does, in the sense of [`LatentEffect`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PartEffect {
    /// Change of the token's log-probability, in nats.
    pub delta_logprob: f64,
    /// KL, in nats.
    pub kl: f64,
}

/// What an SAE's error does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ErrorEffect {
    /// Change of the token's log-probability, in nats.
    pub delta_logprob: f64,
    /// KL, in nats.
    pub kl: f64,
    /// ‖x − x̂‖.
    pub norm: f64,
    /// Random directions of this length.
    pub random: ControlEffect,
}

/// What random directions do, taken out like anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ControlEffect {
    /// Mean change of the token's log-probability, in nats.
    pub delta_logprob: f64,
    /// Mean KL, in nats.
    pub kl: f64,
    /// Largest KL, in nats.
    pub kl_max: f64,
}

/// What random directions of some length do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RandomEffect {
    /// Their length.
    pub norm: f64,
    /// Mean change of the token's log-probability, in nats.
    pub delta_logprob: f64,
    /// Mean KL, in nats.
    pub kl: f64,
    /// Largest KL, in nats.
    pub kl_max: f64,
    /// How many there were.
    pub directions: usize,
}

impl PartEffect {
    pub(super) const fn of(outcome: &Outcome) -> Self {
        Self { delta_logprob: outcome.delta_logprob, kl: outcome.kl }
    }
}

impl ControlEffect {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let count = outcomes.len().max(1) as f64;
        let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / count;
        Self {
            delta_logprob: mean(|outcome| outcome.delta_logprob),
            kl: mean(|outcome| outcome.kl),
            kl_max: outcomes.iter().map(|outcome| outcome.kl).fold(0.0, f64::max),
        }
    }
}

impl SaeEffect {
    pub(super) fn empty(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            latents: Vec::new(),
            all_latents: PartEffect::default(),
            error: ErrorEffect::default(),
            random: RandomEffect::default(),
        }
    }
}
