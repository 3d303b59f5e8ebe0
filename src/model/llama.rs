//! Llama and what is built like it: *The Llama 3 Herd of Models* (Grattafiori et al., 2024), as
//! `transformers/models/llama/modeling_llama.py` computes it.
//! Not here: the pieces it is made of.

use candle_core::Tensor;

use super::attention::Attention;
use super::config::Config;
use super::decoder::{Block, Family, Plan, Step};
use super::layers::{Activation, GatedMlp, Layout, Linear};
use super::norm::{Kind, Norm, Norms};
use super::parts::{Parts, Sizes};
use super::rope::{self, Rope};
use super::{Error, Shape};
use crate::site::SiteKind;

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
        let shape = shape(config, None)?;
        let plan = Plan {
            kv_heads: config.size_or_none(&["num_key_value_heads"])?.unwrap_or(shape.heads),
            prefix: "model.",
            blocks: "layers.",
            embedding: "embed_tokens.weight",
            embedding_scale: 1.0,
            positions: None,
            rope: Some(Rope::read(config, rope::NAMES, shape.d_head, shape.context)?),
            norms: Norms { kind: Kind::Rms, epsilon: config.positive(&["rms_norm_eps"], 1e-6)? },
            final_norm: "norm",
            head: &["lm_head.weight"],
            tied: config.flag("tie_word_embeddings", false)?,
            logit_cap: None,
            shape,
        };
        check_heads(config, &plan)?;
        Ok(Self {
            plan,
            inner: config.size(&["intermediate_size"])?,
            activation: config.activation("hidden_act", Activation::Silu)?,
            attention_bias: config.flag("attention_bias", false)?,
            mlp_bias: config.flag("mlp_bias", false)?,
        })
    }
}

/// The sizes that a config in the spelling of most families states; `d_head` is what stands for a missing `head_dim`,
/// where it is not the heads' share of the residual stream.
pub(super) fn shape(config: &Config, d_head: Option<usize>) -> Result<Shape, Error> {
    let (d_model, heads) = (config.size(&["hidden_size"])?, config.size(&["num_attention_heads"])?);
    let d_head = match config.size_or_none(&["head_dim"])?.or(d_head) {
        Some(d_head) => d_head,
        None if d_model.is_multiple_of(heads) => d_model / heads,
        None => {
            let why = format!("`hidden_size` {d_model} is no multiple of `num_attention_heads` {heads}");
            return Err(config.bad(why));
        }
    };
    Ok(Shape {
        d_model,
        layers: config.size(&["num_hidden_layers"])?,
        heads,
        d_head,
        vocab: config.size(&["vocab_size"])?,
        context: config.size(&["max_position_embeddings"])?,
    })
}

/// Fails where the heads cannot share the keys and values.
pub(super) fn check_heads(config: &Config, plan: &Plan) -> Result<(), Error> {
    let (heads, kv_heads) = (plan.shape.heads, plan.kv_heads);
    if heads.is_multiple_of(kv_heads) {
        return Ok(());
    }
    Err(config.bad(format!("`num_attention_heads` {heads} is no multiple of `num_key_value_heads` {kv_heads}")))
}

/// Attention with a projection each for queries, keys and values, turned by position; Gemma has the same.
#[derive(Debug)]
pub(super) struct SplitAttention {
    queries: Linear,
    keys: Linear,
    values: Linear,
    attention: Attention,
    out: Linear,
}

impl SplitAttention {
    pub(super) fn read(
        parts: &Parts,
        name: &str,
        d_model: usize,
        attention: Attention,
        biased: bool,
    ) -> Result<Self, Error> {
        let (width, kv_width) = (attention.heads * attention.size, attention.kv_heads * attention.size);
        let linear = |part: &str, inputs, outputs| {
            parts.linear(&format!("{name}.{part}"), Layout::OutIn, Sizes { inputs, outputs, biased })
        };
        Ok(Self {
            queries: linear("q_proj", d_model, width)?,
            keys: linear("k_proj", d_model, kv_width)?,
            values: linear("v_proj", d_model, kv_width)?,
            attention,
            out: linear("o_proj", width, d_model)?,
        })
    }

    /// What it gives for the normed residual stream, [positions, d_model].
    pub(super) fn forward(&self, x: &Tensor, step: &mut Step<'_, '_>) -> Result<Tensor, Error> {
        let size = self.attention.size;
        let queries = step.turn(&self.queries.forward(x)?, size)?;
        let keys = step.turn(&self.keys.forward(x)?, size)?;
        let (keys, values) = step.remember(&keys, &self.values.forward(x)?)?;
        let mixed = step.visit(SiteKind::AttnZ, self.attention.forward(&queries, &keys, &values)?)?;
        Ok(self.out.forward(&mixed)?)
    }
}

/// The gated MLP of this name; Gemma has the same.
pub(super) fn gated_mlp(
    parts: &Parts,
    name: &str,
    (d_model, inner): (usize, usize),
    activation: Activation,
    biased: bool,
) -> Result<GatedMlp, Error> {
    let linear = |part: &str, inputs, outputs| {
        parts.linear(&format!("{name}.{part}"), Layout::OutIn, Sizes { inputs, outputs, biased })
    };
    Ok(GatedMlp {
        gate: linear("gate_proj", d_model, inner)?.then(activation),
        up: linear("up_proj", d_model, inner)?,
        down: linear("down_proj", inner, d_model)?,
    })
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
            mlp: gated_mlp(parts, &name("mlp"), (d, self.inner), self.activation, self.mlp_bias)?,
        })
    }
}

impl Block for LlamaBlock {
    fn forward(&self, residual: &Tensor, step: &mut Step<'_, '_>) -> Result<Tensor, Error> {
        let attention = self.attention.forward(&self.before_attention.forward(residual)?, step)?;
        let residual = (residual + attention)?;
        let mlp = self.mlp.forward(&self.before_mlp.forward(&residual)?)?;
        let mlp = step.visit(SiteKind::MlpOut, mlp)?;
        Ok((residual + mlp)?)
    }
}
