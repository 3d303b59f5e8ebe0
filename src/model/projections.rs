//! What the blocks of most families are made of: attention from separate projections, and a gated MLP.
//! Not here: the norms between them (`standard`), and models with fused projections.

use candle_core::Tensor;

use super::Error;
use super::activation::Activation;
use super::attention::Attention;
use super::family::BlockStep;
use super::layers::{Layout, Linear, scale};
use super::norm::Norm;
use super::weight_loader::{Sizes, WeightLoader};
use crate::weights::Array;

/// Attention with a projection each for queries, keys and values, turned by position.
#[derive(Debug)]
pub(super) struct SplitAttention {
    queries: Linear,
    keys: Linear,
    values: Linear,
    norms: Option<HeadNorms>,
    attention: Attention,
    out: Linear,
}

/// Norms of queries and keys, before they are turned: of each head, or of all heads together.
#[derive(Debug)]
pub(super) struct HeadNorms {
    pub(super) queries: Norm,
    pub(super) keys: Norm,
}

/// Which projections of a block have biases.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Biases {
    /// Those of queries, keys and values.
    pub(super) inputs: bool,
    /// What takes z back into the residual stream.
    pub(super) output: bool,
    /// Those of the MLP.
    pub(super) mlp: bool,
}

impl SplitAttention {
    /// The attention of this name.
    pub(super) fn read(
        parts: &WeightLoader,
        name: &str,
        d_model: usize,
        attention: Attention,
        biases: Biases,
    ) -> Result<Self, Error> {
        let (width, kv_width) = (attention.heads * attention.size, attention.kv_heads * attention.size);
        let linear = |part: &str, inputs, outputs, biased| {
            parts.linear(&format!("{name}.{part}"), Layout::OutIn, Sizes { inputs, outputs, biased })
        };
        Ok(Self {
            queries: linear("q_proj", d_model, width, biases.inputs)?,
            keys: linear("k_proj", d_model, kv_width, biases.inputs)?,
            values: linear("v_proj", d_model, kv_width, biases.inputs)?,
            norms: None,
            attention,
            out: linear("o_proj", width, d_model, biases.output)?,
        })
    }

    /// The same with norms of its queries and keys.
    pub(super) fn with_norms(self, norms: Option<HeadNorms>) -> Self {
        Self { norms, ..self }
    }

    /// What it gives for the normed residual stream, [positions, d_model].
    pub(super) fn forward(&self, x: &Tensor, step: &mut BlockStep<'_, '_>) -> Result<Tensor, Error> {
        let size = self.attention.size;
        let (mut queries, mut keys) = (self.queries.forward(x)?, self.keys.forward(x)?);
        if let Some(norms) = &self.norms {
            (queries, keys) = (norms.queries.groups(&queries)?, norms.keys.groups(&keys)?);
        }
        let (queries, keys) = (step.turn(&queries, size)?, step.turn(&keys, size)?);
        let mixed = step.attend(&self.attention, &queries, &keys, &self.values.forward(x)?)?;
        Ok(self.out.forward(&mixed)?)
    }

    /// What its heads write per unit of z, [heads · size, d_model].
    pub(super) fn head_outputs(&self) -> Result<Array, Error> {
        Ok(self.out.weights()?)
    }

    /// What the bias of the values adds to z, [1, heads · size], where there is one; RMSNorm has none before it.
    pub(super) fn value_bias(&self) -> Result<Option<Tensor>, Error> {
        let Some(bias) = &self.values.bias else { return Ok(None) };
        let Attention { heads, kv_heads, size, .. } = self.attention;
        let bias = bias.row()?.reshape((kv_heads, 1, size))?.expand((kv_heads, heads / kv_heads, size))?;
        Ok(Some(bias.contiguous()?.reshape((1, heads * size))?))
    }
}

/// down(act(gate(x)) ⊙ up(x)): a gated MLP (Shazeer, *GLU Variants Improve Transformer*, 2020).
#[derive(Debug)]
pub(super) struct GatedMlp {
    /// With its activation function.
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl GatedMlp {
    /// The MLP of this name.
    pub(super) fn read(
        parts: &WeightLoader,
        name: &str,
        (d_model, inner): (usize, usize),
        activation: Activation,
        biased: bool,
    ) -> Result<Self, Error> {
        let linear = |part: &str, inputs, outputs| {
            parts.linear(&format!("{name}.{part}"), Layout::OutIn, Sizes { inputs, outputs, biased })
        };
        Ok(Self {
            gate: linear("gate_proj", d_model, inner)?.then(activation),
            up: linear("up_proj", d_model, inner)?,
            down: linear("down_proj", inner, d_model)?,
        })
    }

    /// [positions, d_model] to the same.
    pub(super) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.down.forward(&scale(&self.gate.forward(x)?, &self.up.forward(x)?)?)
    }
}
