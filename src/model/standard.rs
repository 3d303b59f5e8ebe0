//! The block of most families since Llama: attention from separate projections, turned by position, and a gated MLP, with
//! a norm wherever the family has one. Not here: which family has which (`families`), and models with other blocks.

use candle_core::Tensor;

use super::activation::Activation;
use super::attention::Attention;
use super::config::Config;
use super::family::{Block, BlockStep, Family};
use super::layers::add;
use super::norm::Norm;
use super::plan::Plan;
use super::projections::{Biases, GatedMlp, HeadNorms, SplitAttention};
use super::rope::{self, Rope};
use super::weight_loader::WeightLoader;
use super::windows::Windows;
use super::{Error, Shape};
use crate::site::SiteKind;
use crate::weights::Array;

/// A family of such blocks, configured.
#[derive(Debug)]
pub(super) struct Standard {
    pub(super) plan: Plan,
    pub(super) norms: NormNames,
    /// Norms of queries and keys, before they are turned.
    pub(super) head_norms: Option<Across>,
    pub(super) biases: Biases,
    /// Values between the projections of the MLP.
    pub(super) inner: usize,
    pub(super) activation: Activation,
    /// What scores are multiplied by.
    pub(super) scale: f32,
    /// c of c · tanh(score / c).
    pub(super) score_cap: Option<f32>,
    pub(super) windows: Windows,
}

/// What a block calls its norms; one without a name it does not have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NormNames {
    pub(super) pre_attn: Option<&'static str>,
    /// Of what attention adds.
    pub(super) post_attn: Option<&'static str>,
    pub(super) pre_mlp: Option<&'static str>,
    /// Of what the MLP adds.
    pub(super) post_mlp: Option<&'static str>,
}

/// Over which values a norm of queries or keys goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Across {
    /// Those of one head; all heads share the gain.
    EachHead,
    /// Those of all heads together.
    AllHeads,
}

#[derive(Debug)]
struct StandardBlock {
    pre_attn: Option<Norm>,
    attention: SplitAttention,
    post_attn: Option<Norm>,
    pre_mlp: Option<Norm>,
    mlp: GatedMlp,
    post_mlp: Option<Norm>,
}

impl Standard {
    /// What Llama's config says, without biases.
    pub(super) fn read(config: &Config) -> Result<Self, Error> {
        Self::with_heads(config, None)
    }

    /// The same, where heads are of `d_head` values unless the config says otherwise.
    pub(super) fn with_heads(config: &Config, d_head: Option<usize>) -> Result<Self, Error> {
        let shape = Shape::read(config, d_head)?;
        let ropes = vec![Rope::read(config, rope::NAMES, shape.d_head, shape.context)?];
        let this = Self::of(config, Plan::read(config, shape, ropes)?)?;
        Ok(Self { activation: config.activation("hidden_act", Activation::Silu)?, ..this })
    }

    /// Llama's blocks, without biases, with silu, under another plan.
    pub(super) fn of(config: &Config, plan: Plan) -> Result<Self, Error> {
        Ok(Self {
            norms: NormNames {
                pre_attn: Some("input_layernorm"),
                pre_mlp: Some("post_attention_layernorm"),
                ..NormNames::default()
            },
            head_norms: None,
            biases: Biases::default(),
            inner: config.size(&["intermediate_size"])?,
            activation: Activation::Silu,
            scale: 1.0 / (plan.shape.d_head as f32).sqrt(),
            score_cap: None,
            windows: Windows::none(),
            plan,
        })
    }

    /// The family, where it can be run.
    pub(super) fn family(self, config: &Config) -> Result<Box<dyn Family>, Error> {
        self.plan.check_heads(config)?;
        Ok(Box::new(self))
    }
}

impl Family for Standard {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The last turns the blocks that see a window, the first the others; most families have one for all.
    fn rope(&self, layer: usize) -> Option<usize> {
        if self.windows.is_in(layer) { self.plan.ropes.len().checked_sub(1) } else { Some(0) }
    }

    fn block(&self, parts: &WeightLoader, layer: usize) -> Result<Box<dyn Block>, Error> {
        let Plan { shape, norms, kv_heads, blocks, .. } = &self.plan;
        let (d, name) = (shape.d_model, |part: &str| format!("{blocks}{layer}.{part}"));
        let attention = Attention {
            heads: shape.heads,
            kv_heads: *kv_heads,
            size: shape.d_head,
            scale: self.scale,
            cap: self.score_cap,
            window: self.windows.width(layer),
        };
        let norm = |part: Option<&str>| part.map(|part| norms.read(parts, &name(part), d)).transpose();
        let head_norms = self.head_norms.map(|across| {
            let of = |part, heads: usize| {
                let size = if across == Across::EachHead { shape.d_head } else { heads * shape.d_head };
                norms.read(parts, &name(part), size)
            };
            let (queries, keys) = (of("self_attn.q_norm", shape.heads)?, of("self_attn.k_norm", *kv_heads)?);
            Ok::<_, Error>(HeadNorms { queries, keys })
        });
        let (names, biases) = (&self.norms, self.biases);
        Ok(Box::new(StandardBlock {
            pre_attn: norm(names.pre_attn)?,
            attention: SplitAttention::read(parts, &name("self_attn"), d, attention, biases)?
                .with_norms(head_norms.transpose()?),
            post_attn: norm(names.post_attn)?,
            pre_mlp: norm(names.pre_mlp)?,
            mlp: GatedMlp::read(parts, &name("mlp"), (d, self.inner), self.activation, biases.mlp)?,
            post_mlp: norm(names.post_mlp)?,
        }))
    }
}

impl Block for StandardBlock {
    fn forward(&self, residual: &Tensor, step: &mut BlockStep<'_, '_>) -> Result<Tensor, Error> {
        let attention = self.attention.forward(&normed(self.pre_attn.as_ref(), residual)?, step)?;
        // What the block adds, so after the norm: as TransformerLens' `hook_attn_out` and `hook_mlp_out`, the latter what
        // Gemma Scope was trained on.
        let attention = step.visit(SiteKind::AttnOut, normed(self.post_attn.as_ref(), &attention)?)?;
        let residual = step.visit(SiteKind::ResidMid, add(residual, &attention)?)?;
        let mlp = self.mlp.forward(&normed(self.pre_mlp.as_ref(), &residual)?)?;
        let mlp = step.visit(SiteKind::MlpOut, normed(self.post_mlp.as_ref(), &mlp)?)?;
        Ok(add(&residual, &mlp)?)
    }

    fn head_outputs(&self) -> Result<Array, Error> {
        let weights = self.attention.head_outputs()?;
        let Some(norm) = &self.post_attn else { return Ok(weights) };
        let gain = norm.gain()?;
        let scaled: Vec<f32> = weights.iter().zip(gain.iter().cycle()).map(|(weight, gain)| weight * gain).collect();
        Ok(Array::owned(scaled, weights.shape()))
    }

    fn norms_heads(&self) -> bool {
        self.post_attn.is_some()
    }

    fn value_bias(&self) -> Result<Option<Tensor>, Error> {
        self.attention.value_bias()
    }
}

/// x through a norm, or as it is where there is none.
fn normed(norm: Option<&Norm>, x: &Tensor) -> candle_core::Result<Tensor> {
    norm.map_or_else(|| Ok(x.clone()), |norm| norm.forward(x))
}
