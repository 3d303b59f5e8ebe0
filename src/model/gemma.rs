//! Gemma 2: *Gemma 2: Improving Open Language Models at a Practical Size* (Gemma Team, 2024), as
//! `transformers/models/gemma2/modeling_gemma2.py` computes it with eager attention, in f32.
//! Not here: the pieces it is made of.

use candle_core::Tensor;

use super::attention::Attention;
use super::config::Config;
use super::decoder::{Block, Family, Plan, Step};
use super::layers::Activation;
use super::norm::{Kind, Norm, Norms};
use super::parts::Parts;
use super::projections::{GatedMlp, SplitAttention};
use super::rope::{self, Rope};
use super::{Error, Shape};
use crate::site::SiteKind;
use crate::weights::Array;

/// Gemma 2 as one config describes it, with the defaults of `Gemma2Config`.
#[derive(Debug)]
pub(super) struct Gemma2 {
    plan: Plan,
    inner: usize,
    activation: Activation,
    attention_bias: bool,
    /// What the scores are multiplied by: it need not be the root of the head's size.
    scale: f32,
    /// c of c · tanh(score / c).
    score_cap: Option<f32>,
    /// How many positions each block sees.
    windows: Vec<Option<usize>>,
}

#[derive(Debug)]
pub(super) struct Gemma2Block {
    before_attention: Norm,
    attention: SplitAttention,
    after_attention: Norm,
    before_mlp: Norm,
    mlp: GatedMlp,
    after_mlp: Norm,
}

impl Gemma2 {
    pub(super) fn read(config: &Config) -> Result<Self, Error> {
        if config.flag("use_bidirectional_attention", false)? {
            return Err(config.bad("`use_bidirectional_attention` is true: it is no model of the next token"));
        }
        let shape = Shape::read(config, Some(256))?;
        let plan = Plan {
            kv_heads: config.size_or_none(&["num_key_value_heads"])?.unwrap_or(4),
            prefix: "model.",
            blocks: "layers.",
            embedding: "embed_tokens.weight",
            embedding_scale: (shape.d_model as f64).sqrt() as f32,
            positions: None,
            rope: Some(Rope::read(config, rope::NAMES, shape.d_head, shape.context)?),
            norms: Norms { kind: Kind::RmsLessOne, epsilon: config.positive(&["rms_norm_eps"], 1e-6)? },
            final_norm: "norm",
            head: &["lm_head.weight"],
            tied: config.flag("tie_word_embeddings", true)?,
            logit_cap: cap(config, "final_logit_softcapping", 30.0)?,
            shape,
        };
        plan.check_heads(config)?;
        Ok(Self {
            inner: config.size(&["intermediate_size"])?,
            activation: config.activation("hidden_activation", Activation::GeluTanh)?,
            attention_bias: config.flag("attention_bias", false)?,
            scale: config.number(&["query_pre_attn_scalar"])?.unwrap_or(256.0).powf(-0.5) as f32,
            score_cap: cap(config, "attn_logit_softcapping", 50.0)?,
            windows: windows(config, plan.shape.layers)?,
            plan,
        })
    }
}

/// A soft cap: the default where the key is absent, none where it is null.
fn cap(config: &Config, key: &str, default: f32) -> Result<Option<f32>, Error> {
    if config.is_null(key) { Ok(None) } else { config.positive(&[key], default).map(Some) }
}

/// How many positions each block sees: a window in the first, none in the second, and so on, unless `layer_types` says
/// otherwise.
fn windows(config: &Config, layers: usize) -> Result<Vec<Option<usize>>, Error> {
    let stated = config.size_or_none(&["sliding_window"])?;
    let window = if config.is_null("sliding_window") { None } else { stated.or(Some(4096)) };
    let Some(kinds) = config.texts("layer_types")? else {
        // A config can state any number of layers; no table is made before the files have shown that they are there.
        return Ok(vec![window, None]);
    };
    if kinds.len() != layers {
        return Err(config.bad(format!("`layer_types` has {} entries for {layers} layers", kinds.len())));
    }
    let of = |kind: &str| match kind {
        "sliding_attention" => Ok(window),
        "full_attention" => Ok(None),
        other => {
            let why = format!("`layer_types` names `{other}`, expected sliding_attention or full_attention");
            Err(config.bad(why))
        }
    };
    kinds.into_iter().map(of).collect()
}

impl Family for Gemma2 {
    type Block = Gemma2Block;

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn block(&self, parts: &Parts, layer: usize) -> Result<Gemma2Block, Error> {
        let Plan { shape, norms, kv_heads, .. } = &self.plan;
        let (d, name) = (shape.d_model, |part: &str| format!("layers.{layer}.{part}"));
        let attention = Attention {
            heads: shape.heads,
            kv_heads: *kv_heads,
            size: shape.d_head,
            scale: self.scale,
            cap: self.score_cap,
            window: self.windows[layer % self.windows.len()],
        };
        let norm = |part| norms.read(parts, &name(part), d);
        Ok(Gemma2Block {
            before_attention: norm("input_layernorm")?,
            attention: SplitAttention::read(parts, &name("self_attn"), d, attention, self.attention_bias)?,
            after_attention: norm("post_attention_layernorm")?,
            before_mlp: norm("pre_feedforward_layernorm")?,
            mlp: GatedMlp::read(parts, &name("mlp"), (d, self.inner), self.activation, false)?,
            after_mlp: norm("post_feedforward_layernorm")?,
        })
    }
}

impl Block for Gemma2Block {
    fn forward(&self, residual: &Tensor, step: &mut Step<'_, '_>) -> Result<Tensor, Error> {
        let attention = self.attention.forward(&self.before_attention.forward(residual)?, step)?;
        let residual = (residual + self.after_attention.forward(&attention)?)?;
        let mlp = self.mlp.forward(&self.before_mlp.forward(&residual)?)?;
        // What the block adds, so after the norm: as TransformerLens' `hook_mlp_out`, which Gemma Scope was trained on.
        let mlp = step.visit(SiteKind::MlpOut, self.after_mlp.forward(&mlp)?)?;
        Ok((residual + mlp)?)
    }

    fn head_outputs(&self) -> Result<Array, Error> {
        let (weights, gain) = (self.attention.head_outputs()?, self.after_attention.gain()?);
        let scaled: Vec<f32> = weights.iter().zip(gain.iter().cycle()).map(|(weight, gain)| weight * gain).collect();
        Ok(Array::owned(scaled, weights.shape()))
    }

    fn value_bias(&self) -> Result<Option<Tensor>, Error> {
        self.attention.value_bias()
    }
}
