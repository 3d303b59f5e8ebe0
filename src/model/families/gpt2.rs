//! GPT-2, every size: *Language Models are Unsupervised Multitask Learners* (Radford et al., 2019), as
//! `transformers/models/gpt2/modeling_gpt2.py` computes it.
//! Not here: the pieces it is made of.

use candle_core::Tensor;

use crate::model::activation::Activation;
use crate::model::attention::Attention;
use crate::model::config::Config;
use crate::model::family::{Block, BlockStep, Family};
use crate::model::layers::{Layout, Linear, add};
use crate::model::norm::{Kind, Norm, Norms};
use crate::model::plan::Plan;
use crate::model::weight_loader::{Sizes, WeightLoader};
use crate::model::{Error, Shape};
use crate::site::SiteKind;
use crate::weights::Array;

/// GPT-2 as one config describes it, with the defaults of `GPT2Config`.
#[derive(Debug)]
struct Gpt2 {
    plan: Plan,
    inner: usize,
    activation: Activation,
    /// Whether scores are divided by the root of the head's size.
    scaled: bool,
    /// Whether scores are divided by the block's number, from 1, too.
    scaled_by_layer: bool,
}

#[derive(Debug)]
struct Gpt2Block {
    before_attention: Norm,
    /// Queries, keys and values side by side, [d_model, 3 · d_model].
    attention_in: Linear,
    attention: Attention,
    attention_out: Linear,
    before_mlp: Norm,
    mlp_in: Linear,
    mlp_out: Linear,
}

pub(super) fn read(config: &Config) -> Result<Box<dyn Family>, Error> {
    let d_model = config.size(&["n_embd", "hidden_size"])?;
    let heads = config.size(&["n_head", "num_attention_heads"])?;
    if !d_model.is_multiple_of(heads) {
        return Err(config.bad(format!("`n_embd` {d_model} is not a multiple of `n_head` {heads}")));
    }
    let shape = Shape {
        d_model,
        layers: config.size(&["n_layer", "num_hidden_layers"])?,
        heads,
        d_head: d_model / heads,
        vocab: config.size(&["vocab_size"])?,
        context: config.size(&["n_positions", "max_position_embeddings", "n_ctx"])?,
        parallel: false,
    };
    let plan = Plan {
        shape,
        kv_heads: heads,
        prefixes: &["transformer."],
        blocks: "h.",
        embedding: "wte.weight",
        embedding_scale: 1.0,
        positions: Some("wpe.weight"),
        ropes: Vec::new(),
        norms: Norms { kind: Kind::Layer, epsilon: config.positive(&["layer_norm_epsilon"], 1e-5)? },
        final_norm: "ln_f",
        head: &["lm_head.weight"],
        tied: config.flag("tie_word_embeddings", true)?,
        logit_cap: None,
    };
    Ok(Box::new(Gpt2 {
        plan,
        inner: config.size_or_none(&["n_inner"])?.unwrap_or(4 * d_model),
        activation: config.activation("activation_function", Activation::GeluTanh)?,
        scaled: config.flag("scale_attn_weights", true)?,
        scaled_by_layer: config.flag("scale_attn_by_inverse_layer_idx", false)?,
    }))
}

impl Family for Gpt2 {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn block(&self, parts: &WeightLoader, layer: usize) -> Result<Box<dyn Block>, Error> {
        let Plan { shape, norms, .. } = &self.plan;
        let (d, name) = (shape.d_model, |part: &str| format!("h.{layer}.{part}"));
        // GPT-2's `Conv1D`: a linear layer whose weight lies [inputs, outputs].
        let conv1d =
            |part, inputs, outputs| parts.linear(&name(part), Layout::InOut, Sizes { inputs, outputs, biased: true });
        let mut scale = if self.scaled { 1.0 / (shape.d_head as f32).sqrt() } else { 1.0 };
        if self.scaled_by_layer {
            scale /= (layer + 1) as f32;
        }
        let (heads, size) = (shape.heads, shape.d_head);
        Ok(Box::new(Gpt2Block {
            before_attention: norms.read(parts, &name("ln_1"), d)?,
            attention_in: conv1d("attn.c_attn", d, 3 * d)?,
            attention: Attention { heads, kv_heads: heads, size, scale, cap: None, window: None },
            attention_out: conv1d("attn.c_proj", d, d)?,
            before_mlp: norms.read(parts, &name("ln_2"), d)?,
            mlp_in: conv1d("mlp.c_fc", d, self.inner)?.then(self.activation),
            mlp_out: conv1d("mlp.c_proj", self.inner, d)?,
        }))
    }
}

impl Block for Gpt2Block {
    fn forward(&self, residual: &Tensor, step: &mut BlockStep<'_, '_>) -> Result<Tensor, Error> {
        let d = residual.dim(1)?;
        let qkv = self.attention_in.forward(&self.before_attention.forward(residual)?)?;
        let part = |index: usize| qkv.narrow(1, index * d, d);
        let mixed = step.attend(&self.attention, &part(0)?, &part(1)?, &part(2)?)?;
        let attention = step.visit(SiteKind::AttnOut, self.attention_out.forward(&mixed)?)?;
        let residual = step.visit(SiteKind::ResidMid, add(residual, &attention)?)?;
        let mlp = self.mlp_out.forward(&self.mlp_in.forward(&self.before_mlp.forward(&residual)?)?)?;
        let mlp = step.visit(SiteKind::MlpOut, mlp)?;
        Ok(add(&residual, &mlp)?)
    }

    fn head_outputs(&self) -> Result<Array, Error> {
        Ok(self.attention_out.weights()?)
    }

    fn value_bias(&self) -> Result<Option<Tensor>, Error> {
        let Some(bias) = self.before_attention.bias()? else { return Ok(None) };
        let d = bias.dim(1)?;
        Ok(Some(self.attention_in.forward(&bias)?.narrow(1, 2 * d, d)?.contiguous()?))
    }
}
