//! The next token with something taken out, set against the clean one.
//! Not here: what is taken out.

use crate::analysis::tokens;

/// What a branch did to the next token.
#[derive(Clone, Copy, Default)]
pub(super) struct Outcome {
    pub(super) delta_logprob: f64,
    pub(super) delta_logit: f64,
    pub(super) kl: f64,
}

/// The logits of one position.
pub(super) struct Distribution<'a> {
    logits: std::borrow::Cow<'a, [f32]>,
    normaliser: f64,
    mean: f64,
}

impl Distribution<'static> {
    pub(super) fn of(logits: &[f32]) -> Self {
        let mean = logits.iter().map(|logit| f64::from(*logit)).sum::<f64>() / logits.len().max(1) as f64;
        Self { normaliser: tokens::log_sum_exp(logits), mean, logits: logits.to_vec().into() }
    }
}

impl Distribution<'_> {
    fn logprob(&self, token: usize) -> f64 {
        self.logits.get(token).map_or(f64::NEG_INFINITY, |logit| f64::from(*logit) - self.normaliser)
    }

    /// What separates this one, the clean one, from another.
    pub(super) fn against(&self, other: &Self, token: usize) -> Outcome {
        let both = self.logits.iter().zip(other.logits.iter());
        let term = |(clean, other_logit): (&f32, &f32)| {
            let clean = f64::from(*clean) - self.normaliser;
            let p = clean.exp();
            if p == 0.0 { 0.0 } else { p * (clean - (f64::from(*other_logit) - other.normaliser)) }
        };
        let centred = |of: &Self| of.logits.get(token).map_or(0.0, |logit| f64::from(*logit)) - of.mean;
        Outcome {
            delta_logprob: self.logprob(token) - other.logprob(token),
            delta_logit: centred(self) - centred(other),
            // Rounding may leave less than nothing.
            kl: both.map(term).sum::<f64>().max(0.0),
        }
    }
}
