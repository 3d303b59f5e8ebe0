//! Which head and which token made a latent of an attention-z SAE fire: direct attribution through frozen attention.
//! Not here: how attention is computed, and whether a latent fires.
//!
//! Kissane et al., *Interpreting Attention Layer Outputs with Sparse Autoencoders* (2024): z of a head at a position is
//! a weighted sum of values at the positions it looks at, and the pre-activation is linear in z, so it is a sum over
//! (source, head) and a constant: Σ_s Σ_h A_h\[position, s\] · (v_h\[s\] · w_h) + bias, w_h being the head's part of the
//! latent's encoder direction.

use candle_core::Tensor;
use serde::Serialize;

use crate::analysis::TokenView;
use crate::model::{self, AttentionPattern, Cache, Hook, Logits, Model, Pass};
use crate::sae::{self, LinearForm, Sae};
use crate::site::{Site, SiteKind};
use crate::task::Cancel;

/// Where the pre-activation of a latent at one position comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attribution {
    /// The position it is looked at, from 0.
    pub position: usize,
    /// How strongly it fires there; 0 where it does not.
    pub activation: f32,
    /// What must exceed its threshold for it to fire: the bias and all parts add up to it.
    pub pre_activation: f32,
    /// What is there whatever was read.
    pub bias: f32,
    /// What each head brought, by its number.
    pub heads: Vec<HeadValue>,
    /// What each position up to this one brought.
    pub sources: Vec<SourceValue>,
    /// For each source what each head brought from there.
    pub parts: Vec<Vec<f32>>,
}

/// What a head brought.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HeadValue {
    /// The head, from 0.
    pub head: usize,
    /// In units of the pre-activation.
    pub value: f32,
    /// The head's share of the latent's decoder row: ‖W_dec\[latent, head\]‖ over the sum of that over heads. The same
    /// for every prompt.
    pub decoder_share: f32,
}

/// What a position brought.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceValue {
    /// The position, from 0.
    pub position: usize,
    /// Its token's number in the vocabulary.
    pub id: u32,
    /// Its token's text.
    pub text: String,
    /// In units of the pre-activation.
    pub value: f32,
}

impl Attribution {
    /// What each source brought through one head, or through all.
    #[must_use]
    pub fn through(&self, head: Option<usize>) -> Vec<f32> {
        match head {
            None => self.sources.iter().map(|source| source.value).collect(),
            Some(head) => self.parts.iter().map(|heads| heads.get(head).copied().unwrap_or(0.0)).collect(),
        }
    }
}

/// What attention mixed at one position of a prompt: all that attributions of any latent there are made of.
#[derive(Debug, Default)]
pub struct AttentionCapture {
    layer: usize,
    /// [heads, sources]; the position is the last of the sources.
    weights: Vec<f32>,
    /// [sources, heads of the values · d_head].
    values: Vec<f32>,
    /// z, [heads · d_head].
    z: Vec<f32>,
    sources: usize,
    d_head: usize,
}

impl Hook for AttentionCapture {
    fn is_active(&self, site: Site) -> bool {
        site == Site { layer: self.layer, kind: SiteKind::AttnZ }
    }

    fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.z = activation.flatten_all()?.to_vec1()?;
        Ok(None)
    }

    fn wants_pattern(&self, layer: usize) -> bool {
        layer == self.layer
    }

    fn attention_pattern(&mut self, _: usize, attention_pattern: &AttentionPattern) -> candle_core::Result<()> {
        self.weights = attention_pattern.weights.flatten_all()?.to_vec1()?;
        self.values = attention_pattern.values.flatten_all()?.to_vec1()?;
        Ok(())
    }
}

impl AttentionCapture {
    /// What the attention of a block mixes at the last of `ids`. Of the cache what it has in common with them is used.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn at_last(
        model: &dyn Model,
        layer: usize,
        ids: &[u32],
        mut cache: Cache,
        cancel: &Cancel,
    ) -> Result<Self, model::Error> {
        let mut mixture = Self { layer, sources: ids.len(), d_head: model.shape().d_head, ..Self::default() };
        let last = ids.len().saturating_sub(1);
        let kept = cache.keep_for(ids, layer + 1);
        let layers = Some(layer + 1);
        // The weights of a whole prompt are [heads, positions, positions]: only one position's are asked for.
        if kept < last {
            let pass = Pass { layers, logits: Logits::None, hook: None, cancel };
            model.forward(&ids[kept..last], &mut cache, pass)?;
        }
        let pass = Pass { layers, logits: Logits::None, hook: Some(&mut mixture), cancel };
        model.forward(ids.get(last..).unwrap_or_default(), &mut cache, pass)?;
        Ok(mixture)
    }

    /// The parts of a latent's pre-activation. `center`: whether SAEs get z less its mean. `value_bias`, [heads · d_head]:
    /// what the SAE has never seen in its z and is taken out of every value, where there is such a thing. `activation` is
    /// how strongly the latent fires here; `tokens` are those of the prompt.
    ///
    /// # Errors
    /// As [`Sae::linear_form`].
    pub fn attribute(
        &self,
        sae: &Sae,
        latent: usize,
        (center, value_bias): (bool, Option<&[f32]>),
        activation: f32,
        tokens: &[TokenView],
    ) -> Result<Attribution, sae::Error> {
        let form = self.form(sae, latent, center)?;
        let parts = self.parts(&form, value_bias);
        // Weights add up to 1, so what is taken out of every value is taken out once: the constant has it back.
        let bias = form.bias + value_bias.map_or(0.0, |bias| form.through(bias));
        let shares = decoder_shares(&sae.decoder_row(latent)?, self.d_head);
        let heads = shares.into_iter().enumerate().map(|(head, decoder_share)| {
            let value = parts.iter().filter_map(|heads| heads.get(head)).sum::<f64>() as f32;
            HeadValue { head, value, decoder_share }
        });
        let sources = tokens.iter().zip(&parts).map(|(token, heads)| SourceValue {
            position: token.position,
            id: token.id,
            text: token.text.clone(),
            value: heads.iter().sum::<f64>() as f32,
        });
        Ok(Attribution {
            position: self.sources.saturating_sub(1),
            activation,
            pre_activation: form.of(&self.z) as f32,
            bias: bias as f32,
            heads: heads.collect(),
            sources: sources.collect(),
            parts: parts.iter().map(|heads| heads.iter().map(|part| *part as f32).collect()).collect(),
        })
    }

    /// What a latent makes of z.
    fn form(&self, sae: &Sae, latent: usize, center: bool) -> Result<LinearForm, sae::Error> {
        if !center {
            return sae.linear_form(latent, &self.z);
        }
        let mut received = self.z.clone();
        super::live::center(&mut received);
        Ok(sae.linear_form(latent, &received)?.centred())
    }

    /// [sources][heads], in f64.
    fn parts(&self, form: &LinearForm, value_bias: Option<&[f32]>) -> Vec<Vec<f64>> {
        let size = self.d_head.max(1);
        let heads = self.z.len() / size;
        let shared = self.values.len() / (size * self.sources).max(1);
        let group = heads / shared.max(1);
        let values = self.values.chunks_exact((shared * size).max(1));
        let part = |(source, values): (usize, &[f32])| {
            let brought = |(head, direction): (usize, &[f64])| {
                let start = head / group.max(1) * size;
                let value = &values[start..start + size];
                let out = value_bias.and_then(|bias| bias.get(head * size..(head + 1) * size));
                let read: f64 = (0..size)
                    .map(|i| direction[i] * (f64::from(value[i]) - out.map_or(0.0, |out| f64::from(out[i]))))
                    .sum();
                f64::from(self.weights[head * self.sources + source]) * read
            };
            form.direction.chunks_exact(size).enumerate().map(brought).collect()
        };
        values.enumerate().map(part).collect()
    }
}

/// The share of each head in a decoder row.
fn decoder_shares(row: &[f32], d_head: usize) -> Vec<f32> {
    let length = |part: &[f32]| part.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    let lengths: Vec<f64> = row.chunks_exact(d_head.max(1)).map(length).collect();
    let sum: f64 = lengths.iter().sum();
    lengths.iter().map(|length| if sum > 0.0 { (length / sum) as f32 } else { 0.0 }).collect()
}
