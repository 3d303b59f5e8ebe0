//! Llama and what is built like it: *The Llama 3 Herd of Models* (Grattafiori et al., 2024), as
//! `transformers/models/llama/modeling_llama.py` computes it.
//! Not here: the pieces it is made of.

use candle_core::Tensor;

use super::attention::Attention;
use super::config::Config;
use super::decoder::{Block, Family, Plan, Step};
use super::layers::{Activation, add};
use super::norm::{Kind, Norm, Norms};
use super::parts::Parts;
use super::projections::{GatedMlp, SplitAttention};
use super::rope::{self, Rope};
use super::{Error, Shape};
use crate::site::SiteKind;
use crate::weights::Array;

/// Llama as one config describes it, with the defaults of `LlamaConfig`.
#[derive(Debug)]
pub(super) struct Llama {
    plan: Plan,
    inner: usize,
    activation: Activation,
    /// Whether the projections of attention have biases.
    attention_bias: bool,
    /// Whether those of the MLP have.
    mlp_bias: bool,
}

#[derive(Debug)]
pub(super) struct LlamaBlock {
    before_attention: Norm,
    attention: SplitAttention,
    before_mlp: Norm,
    mlp: GatedMlp,
}

impl Llama {
    pub(super) fn read(config: &Config) -> Result<Self, Error> {
        let shape = Shape::read(config, None)?;
        let ropes = vec![Rope::read(config, rope::NAMES, shape.d_head, shape.context)?];
        let plan = Plan {
            kv_heads: config.size_or_none(&["num_key_value_heads"])?.unwrap_or(shape.heads),
            prefixes: &["model."],
            blocks: "layers.",
            embedding: "embed_tokens.weight",
            embedding_scale: 1.0,
            positions: None,
            shape: shape.turned_by(&ropes),
            ropes,
            norms: Norms { kind: Kind::Rms, epsilon: config.positive(&["rms_norm_eps"], 1e-6)? },
            final_norm: "norm",
            head: &["lm_head.weight"],
            tied: config.flag("tie_word_embeddings", false)?,
            logit_cap: None,
        };
        plan.check_heads(config)?;
        Ok(Self {
            plan,
            inner: config.size(&["intermediate_size"])?,
            activation: config.activation("hidden_act", Activation::Silu)?,
            attention_bias: config.flag("attention_bias", false)?,
            mlp_bias: config.flag("mlp_bias", false)?,
        })
    }
}

impl Family for Llama {
    type Block = LlamaBlock;

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn block(&self, parts: &Parts, layer: usize) -> Result<LlamaBlock, Error> {
        let Plan { shape, norms, kv_heads, .. } = &self.plan;
        let (d, name) = (shape.d_model, |part: &str| format!("layers.{layer}.{part}"));
        let attention = Attention {
            heads: shape.heads,
            kv_heads: *kv_heads,
            size: shape.d_head,
            scale: 1.0 / (shape.d_head as f32).sqrt(),
            cap: None,
            window: None,
        };
        Ok(LlamaBlock {
            before_attention: norms.read(parts, &name("input_layernorm"), d)?,
            attention: SplitAttention::read(parts, &name("self_attn"), d, attention, self.attention_bias)?,
            before_mlp: norms.read(parts, &name("post_attention_layernorm"), d)?,
            mlp: GatedMlp::read(parts, &name("mlp"), (d, self.inner), self.activation, self.mlp_bias)?,
        })
    }
}

impl Block for LlamaBlock {
    fn forward(&self, residual: &Tensor, step: &mut Step<'_, '_>) -> Result<Tensor, Error> {
        let attention = self.attention.forward(&self.before_attention.forward(residual)?, step)?;
        let attention = step.visit(SiteKind::AttnOut, attention)?;
        let residual = step.visit(SiteKind::ResidMid, add(residual, &attention)?)?;
        let mlp = self.mlp.forward(&self.before_mlp.forward(&residual)?)?;
        let mlp = step.visit(SiteKind::MlpOut, mlp)?;
        Ok(add(&residual, &mlp)?)
    }

    fn head_outputs(&self) -> Result<Array, Error> {
        self.attention.head_outputs()
    }

    fn value_bias(&self) -> Result<Option<Tensor>, Error> {
        self.attention.value_bias()
    }
}
