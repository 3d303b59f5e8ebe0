//! The model with one decoder row edited: x + f_i(x)·(w′ − w) wherever latent i fires (methods §5), beside the untouched
//! model and a random edit of the same size. Not here: how w′ is made (`sae::meta`).

use std::ops::ControlFlow;

use serde::Serialize;

use crate::analysis::intervention::{ActivationEdit, EditHook, Intervention, LatentId, Setting, Where};
use crate::analysis::measuring::Apart;
use crate::analysis::{NextToken, TokenView, tokens};
use crate::model::{self, Generate, Logits, Model, Pass, Tokenizer};
use crate::sae::Sae;
use crate::sae::meta::Edit;
use crate::site::Site;
use crate::task::Cancel;

pub use crate::model::Sampling;

/// Which model is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// As it is.
    Untouched,
    /// With the edited row.
    Edited,
    /// With the row moved as far, in a random direction.
    Random,
}

impl Arm {
    /// All of them, as they stand beside each other.
    pub const ALL: [Self; 3] = [Self::Untouched, Self::Edited, Self::Random];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Edited => "edited",
            Self::Random => "random",
        }
    }
}

/// An edit and what is to be asked of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SurgeryEdit {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id.
    pub meta: String,
    /// The latent whose decoder row is edited.
    pub latent: u32,
    /// What is done to it.
    pub edits: Vec<Edit>,
    /// Seed of the random edit.
    pub seed: u64,
}

/// What the three models say next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SurgeryView {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id.
    pub meta: String,
    /// The latent whose decoder row is edited.
    pub latent: u32,
    /// ‖w′ − w‖ / ‖w‖.
    pub size: f32,
    /// Where the latent fires in the prompt: nowhere else does the edit change anything.
    pub fires: Vec<super::meta::TokenFiring>,
    /// What each model says next.
    pub arms: Vec<ArmView>,
    /// The tokens that were named, with their log-probabilities.
    pub named: Vec<Named>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What one model says next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmView {
    /// Which one.
    pub arm: Arm,
    /// Its likeliest next tokens, best first.
    pub next: Vec<NextToken>,
}

/// A text that was named, and how likely each model finds it as what comes next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Named {
    /// What was named.
    pub text: String,
    /// Its tokens: one, where a token spells it (with a space before it or without), else the pieces of its spelling
    /// with a space before it.
    pub ids: Vec<u32>,
    /// Natural logarithm of its probability, pieces multiplied, by model in the order of [`Arm::ALL`].
    pub logprobs: [f32; 3],
}

/// How one model continues a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Continuation {
    /// Which model.
    pub arm: Arm,
    /// The tokens it adds.
    pub tokens: Vec<TokenView>,
    /// Their text.
    pub text: String,
}

/// A model and one latent's decoder row in it.
pub struct EditContext<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Where the SAE reads and the edit writes.
    pub site: Site,
    /// Whether the SAE sees activations without their mean.
    pub center: bool,
    /// The SAE.
    pub sae: &'a Sae,
    /// The latent.
    pub latent: u32,
}

/// What one model answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its likeliest next tokens, best first.
    pub next: Vec<NextToken>,
    /// Log-probabilities of the texts that were named.
    pub logprobs: Vec<f32>,
    /// Where the latent fires.
    pub fires: Vec<super::meta::TokenFiring>,
}

impl EditContext<'_> {
    /// What makes the latent write `row` in place of its decoder row.
    fn hook<'a>(&'a self, ids: &[u32], row: &[f32], cancel: &'a Cancel) -> Result<EditHook<'a>, model::Error> {
        let latent = LatentId { sae: String::new(), latent: self.latent };
        let edits = vec![ActivationEdit::Row { latent, to: row.into() }];
        let intervention = Intervention::new(self.site, Where::All, edits);
        let (size, bos) = (self.model.site_size(self.site)?, Apart::Bos(self.tokenizer.bos()).of(ids));
        let setting = Setting { sae: &|_| Some(self.sae), size, center: self.center, bos };
        let compiled = intervention.compile(setting).map_err(candle_core::Error::wrap)?;
        Ok(EditHook::new(compiled, cancel))
    }

    /// The likeliest next tokens and the log-probabilities of `named`, each a text in tokens, where the latent
    /// writes `row`, \[d_out\]; and where it fires.
    ///
    /// # Errors
    /// [`model::Error`].
    pub fn ask(
        &self,
        ids: &[u32],
        row: &[f32],
        next: usize,
        named: &[Vec<u32>],
        cancel: &Cancel,
    ) -> Result<Answer, model::Error> {
        let mut hook = self.hook(ids, row, cancel)?;
        let logits = self.logits(ids, Logits::Last, &mut hook, cancel)?;
        let vocab = self.model.shape().vocab;
        let mut logprobs = Vec::with_capacity(named.len());
        for text in named {
            let all = match text.split_last() {
                None => Vec::new(),
                Some((_, [])) => logits.clone(),
                Some((_, before)) => {
                    let mut again = self.hook(ids, row, cancel)?;
                    let whole = [ids, before].concat();
                    let all = self.logits(&whole, Logits::All, &mut again, cancel)?;
                    all[(ids.len() - 1) * vocab..].to_vec()
                }
            };
            let sum: f64 = all.chunks_exact(vocab).zip(text).map(|(row, id)| logprob(row, *id)).sum();
            logprobs.push(sum as f32);
        }
        let next = tokens::likeliest(&logits, next, self.tokenizer);
        Ok(Answer { next, logprobs, fires: hook.fires(0).to_vec() })
    }

    fn logits(
        &self,
        ids: &[u32],
        wanted: Logits,
        hook: &mut EditHook<'_>,
        cancel: &Cancel,
    ) -> Result<Vec<f32>, model::Error> {
        let mut cache = self.model.cache();
        let pass = Pass { layers: None, logits: wanted, hook: Some(hook), cancel };
        let logits = self.model.forward(ids, &mut cache, pass)?;
        Ok(logits.map_or(Ok(Vec::new()), |logits| logits.flatten_all()?.to_vec1())?)
    }

    /// How the model continues the prompt where the latent writes `row`; `tell` gets the text as it grows.
    ///
    /// # Errors
    /// [`model::Error`].
    pub fn continue_text(
        &self,
        ids: &[u32],
        row: &[f32],
        tokens: usize,
        sampling: Sampling,
        cancel: &Cancel,
        tell: &mut dyn FnMut(usize, &str),
    ) -> Result<Vec<u32>, model::Error> {
        let mut hook = self.hook(ids, row, cancel)?;
        let mut cache = self.model.cache();
        let stop: Vec<u32> = self.tokenizer.bos().into_iter().collect();
        let asked = Generate { ids, tokens, sampling, stop: &stop, hook: Some(&mut hook), cancel };
        let mut so_far = Vec::new();
        model::generate(self.model, &mut cache, asked, &mut |id| {
            so_far.push(id);
            tell(so_far.len(), &self.tokenizer.decode(&so_far));
            ControlFlow::Continue(())
        })
    }
}

fn logprob(logits: &[f32], id: u32) -> f64 {
    logits.get(id as usize).map_or(f64::NEG_INFINITY, |logit| f64::from(*logit) - tokens::log_sum_exp(logits))
}

/// The tokens that a named text stands for.
///
/// # Errors
/// As [`Tokenizer::encode`].
pub fn named(text: &str, tokenizer: &Tokenizer) -> Result<Vec<u32>, model::Error> {
    let spelled = [format!(" {text}"), text.to_owned()].iter().find_map(|text| tokenizer.id_of(text));
    spelled.map_or_else(|| tokenizer.encode(&format!(" {text}")), |id| Ok(vec![id]))
}
