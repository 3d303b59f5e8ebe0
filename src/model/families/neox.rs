//! GPT-NeoX, and Pythia of every size: *GPT-NeoX-20B* (Black et al., 2022) and *Pythia* (Biderman et al., 2023), as
//! `transformers/models/gpt_neox/modeling_gpt_neox.py` computes it.
//! Not here: the pieces it is made of.

use candle_core::Tensor;

use crate::model::activation::Activation;
use crate::model::attention::Attention;
use crate::model::config::Config;
use crate::model::family::{Block, BlockStep, Family};
use crate::model::layers::{Layout, Linear, add};
use crate::model::norm::{Kind, Norm, Norms};
use crate::model::plan::Plan;
use crate::model::rope::{Names, Rope};
use crate::model::weight_loader::{Sizes, WeightLoader};
use crate::model::{Error, Shape};
use crate::site::SiteKind;
use crate::weights::Array;

/// What its configs call the base of the angles and the part of a head that is turned.
const NAMES: Names = Names {
    theta: &["rotary_emb_base", "rope_theta"],
    default: 10_000.0,
    part: Some((&["rotary_pct", "partial_rotary_factor"], 0.25)),
};

/// GPT-NeoX as one config describes it, with the defaults of `GPTNeoXConfig`.
#[derive(Debug)]
struct NeoX {
    plan: Plan,
    inner: usize,
    activation: Activation,
    /// Whether the projections of attention have biases.
    attention_bias: bool,
}

#[derive(Debug)]
struct NeoXBlock {
    before_attention: Norm,
    /// For each head its query, key and value, one after the other, [3 · d_model, d_model].
    attention_in: Linear,
    attention: Attention,
    attention_out: Linear,
    before_mlp: Norm,
    mlp_in: Linear,
    mlp_out: Linear,
    parallel: bool,
}

pub(super) fn read(config: &Config) -> Result<Box<dyn Family>, Error> {
    let parallel = config.flag("use_parallel_residual", true)?;
    let shape = Shape { parallel, ..Shape::read(config, None)? };
    if shape.d_model != shape.heads * shape.d_head {
        return Err(config.bad("`head_dim` is not `hidden_size` / `num_attention_heads`"));
    }
    let ropes = vec![Rope::read(config, NAMES, shape.d_head, shape.context)?];
    let plan = Plan {
        kv_heads: shape.heads,
        prefixes: &["gpt_neox."],
        blocks: "layers.",
        embedding: "embed_in.weight",
        embedding_scale: 1.0,
        positions: None,
        shape: shape.turned_by(&ropes),
        ropes,
        norms: Norms { kind: Kind::Layer, epsilon: config.positive(&["layer_norm_eps"], 1e-5)? },
        final_norm: "final_layer_norm",
        head: &["embed_out.weight", "lm_head.weight"],
        tied: config.flag("tie_word_embeddings", false)?,
        logit_cap: None,
    };
    Ok(Box::new(NeoX {
        plan,
        inner: config.size(&["intermediate_size"])?,
        activation: config.activation("hidden_act", Activation::GeluErf)?,
        attention_bias: config.flag("attention_bias", true)?,
    }))
}

impl Family for NeoX {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn block(&self, parts: &WeightLoader, layer: usize) -> Result<Box<dyn Block>, Error> {
        let Plan { shape, norms, .. } = &self.plan;
        let (d, name) = (shape.d_model, |part: &str| format!("layers.{layer}.{part}"));
        let linear =
            |part, inputs, outputs, biased| parts.linear(&name(part), Layout::OutIn, Sizes { inputs, outputs, biased });
        let (heads, size) = (shape.heads, shape.d_head);
        let scale = 1.0 / (size as f32).sqrt();
        Ok(Box::new(NeoXBlock {
            before_attention: norms.read(parts, &name("input_layernorm"), d)?,
            attention_in: linear("attention.query_key_value", d, 3 * d, self.attention_bias)?,
            attention: Attention { heads, kv_heads: heads, size, scale, cap: None, window: None },
            attention_out: linear("attention.dense", d, d, self.attention_bias)?,
            before_mlp: norms.read(parts, &name("post_attention_layernorm"), d)?,
            mlp_in: linear("mlp.dense_h_to_4h", d, self.inner, true)?.then(self.activation),
            mlp_out: linear("mlp.dense_4h_to_h", self.inner, d, true)?,
            parallel: shape.parallel,
        }))
    }
}

impl NeoXBlock {
    fn attend(&self, residual: &Tensor, step: &mut BlockStep<'_, '_>) -> Result<Tensor, Error> {
        let (rows, d) = residual.dims2()?;
        let Attention { heads, size, .. } = self.attention;
        let all = self.attention_in.forward(&self.before_attention.forward(residual)?)?;
        let all = all.reshape((rows, heads, 3, size))?;
        let part = |index| all.narrow(2, index, 1)?.contiguous()?.reshape((rows, d));
        let (queries, keys) = (step.turn(&part(0)?, size)?, step.turn(&part(1)?, size)?);
        let mixed = step.attend(&self.attention, &queries, &keys, &part(2)?)?;
        step.visit(SiteKind::AttnOut, self.attention_out.forward(&mixed)?)
    }

    fn mlp(&self, residual: &Tensor, step: &mut BlockStep<'_, '_>) -> Result<Tensor, Error> {
        let mlp = self.mlp_out.forward(&self.mlp_in.forward(&self.before_mlp.forward(residual)?)?)?;
        step.visit(SiteKind::MlpOut, mlp)
    }
}

impl Block for NeoXBlock {
    fn forward(&self, residual: &Tensor, step: &mut BlockStep<'_, '_>) -> Result<Tensor, Error> {
        let attention = self.attend(residual, step)?;
        if self.parallel {
            let mlp = self.mlp(residual, step)?;
            return Ok(add(&add(&mlp, &attention)?, residual)?);
        }
        let residual = step.visit(SiteKind::ResidMid, add(residual, &attention)?)?;
        Ok(add(&self.mlp(&residual, step)?, &residual)?)
    }

    fn head_outputs(&self) -> Result<Array, Error> {
        Ok(self.attention_out.weights()?)
    }

    fn value_bias(&self) -> Result<Option<Tensor>, Error> {
        let Some(bias) = self.before_attention.bias()? else { return Ok(None) };
        let Attention { heads, size, .. } = self.attention;
        let all = self.attention_in.forward(&bias)?.reshape((1, heads, 3, size))?;
        Ok(Some(all.narrow(2, 2, 1)?.contiguous()?.reshape((1, heads * size))?))
    }
}
