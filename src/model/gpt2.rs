//! GPT-2, every size: *Language Models are Unsupervised Multitask Learners* (Radford et al., 2019), as
//! `transformers/models/gpt2/modeling_gpt2.py` computes it.
//! Not here: the pieces it is made of.

use candle_core::Tensor;

use super::config::Config;
use super::layers::{Activation, Embedding, LayerNorm, Layout, Linear, attend};
use super::load::Parts;
use super::pass::{Visitor, check_finite};
use super::{Cache, Error, Logits, Model, Pass, Shape, Unembedding};
use crate::site::{Site, SiteKind};

/// A GPT-2 on its device.
#[derive(Debug)]
pub(super) struct Gpt2 {
    shape: Shape,
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<Block>,
    final_norm: LayerNorm,
    head: Linear,
    unembedding: Unembedding,
}

#[derive(Debug)]
struct Block {
    before_attention: LayerNorm,
    /// Queries, keys and values side by side, [d_model, 3 · d_model].
    attention_in: Linear,
    attention_out: Linear,
    /// What the scores are multiplied by.
    scale: f32,
    before_mlp: LayerNorm,
    mlp_in: Linear,
    mlp_out: Linear,
}

/// The sizes that a config states.
pub(super) fn sizes(config: &Config) -> Result<Shape, Error> {
    let d_model = config.size(&["n_embd", "hidden_size"])?;
    let heads = config.size(&["n_head", "num_attention_heads"])?;
    if d_model % heads != 0 {
        return Err(config.bad(format!("`n_embd` {d_model} is no multiple of `n_head` {heads}")));
    }
    Ok(Shape {
        d_model,
        layers: config.size(&["n_layer", "num_hidden_layers"])?,
        heads,
        d_head: d_model / heads,
        vocab: config.size(&["vocab_size"])?,
        context: config.size(&["n_positions", "max_position_embeddings", "n_ctx"])?,
    })
}

/// What a config states beside the sizes, with the defaults of `GPT2Config`.
struct Settings {
    inner: usize,
    epsilon: f32,
    activation: Activation,
    scaled: bool,
    scaled_by_layer: bool,
    tied: bool,
}

impl Settings {
    fn read(config: &Config, shape: &Shape) -> Result<Self, Error> {
        let activation = match config.text("activation_function")? {
            None | Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast") => Activation::GeluTanh,
            Some("gelu") => Activation::GeluErf,
            Some("relu") => Activation::Relu,
            Some(other) => {
                let known = "gelu_new, gelu_pytorch_tanh, gelu_fast, gelu, relu";
                return Err(config.bad(format!("`activation_function` is `{other}`, expected one of {known}")));
            }
        };
        Ok(Self {
            inner: config.size_or_none(&["n_inner"])?.unwrap_or(4 * shape.d_model),
            epsilon: config.positive(&["layer_norm_epsilon"], 1e-5)?,
            activation,
            scaled: config.flag("scale_attn_weights", true)?,
            scaled_by_layer: config.flag("scale_attn_by_inverse_layer_idx", false)?,
            tied: config.flag("tie_word_embeddings", true)?,
        })
    }
}

impl Gpt2 {
    pub(super) fn load(config: &Config, parts: &Parts<'_>) -> Result<Self, Error> {
        let shape = sizes(config)?;
        let settings = Settings::read(config, &shape)?;
        let (d, vocab) = (shape.d_model, shape.vocab);
        let embedding = parts.array("wte.weight", &[vocab, d])?;
        let matrix = if settings.tied { embedding.clone() } else { parts.array("lm_head.weight", &[vocab, d])? };
        let tokens = parts.place(embedding)?;
        let head = if settings.tied { tokens.clone() } else { parts.place(matrix.clone())? };
        let positions = Embedding(parts.values("wpe.weight", &[shape.context, d])?);
        let mut blocks = Vec::new();
        for layer in 0..shape.layers {
            blocks.push(Block::load(parts, layer, &shape, &settings)?);
        }
        Ok(Self {
            tokens: Embedding(tokens),
            positions,
            blocks,
            final_norm: norm(parts, "ln_f", d, settings.epsilon)?,
            head: Linear { weight: head, layout: Layout::OutIn, bias: None, activation: None },
            unembedding: Unembedding::new(matrix, parts.array("ln_f.weight", &[d])?, true),
            shape,
        })
    }

    fn residual(&self, ids: &[u32], start: usize) -> candle_core::Result<Tensor> {
        let positions: Vec<u32> = (start..start + ids.len()).map(|position| position as u32).collect();
        self.tokens.forward(ids)? + self.positions.forward(&positions)?
    }

    fn logits(&self, residual: &Tensor, wanted: Logits) -> candle_core::Result<Option<Tensor>> {
        let rows = residual.dim(0)?;
        let residual = match wanted {
            Logits::None => return Ok(None),
            Logits::Last => residual.narrow(0, rows - 1, 1)?,
            Logits::All => residual.clone(),
        };
        self.head.forward(&self.final_norm.forward(&residual)?).map(Some)
    }
}

impl Block {
    fn load(parts: &Parts<'_>, layer: usize, shape: &Shape, settings: &Settings) -> Result<Self, Error> {
        let (d, name) = (shape.d_model, |part: &str| format!("h.{layer}.{part}"));
        let linear = |part: &str, inputs, outputs, activation| conv1d(parts, &name(part), inputs, outputs, activation);
        let mut scale = if settings.scaled { 1.0 / (shape.d_head as f32).sqrt() } else { 1.0 };
        if settings.scaled_by_layer {
            scale /= (layer + 1) as f32;
        }
        Ok(Self {
            before_attention: norm(parts, &name("ln_1"), d, settings.epsilon)?,
            attention_in: linear("attn.c_attn", d, 3 * d, None)?,
            attention_out: linear("attn.c_proj", d, d, None)?,
            scale,
            before_mlp: norm(parts, &name("ln_2"), d, settings.epsilon)?,
            mlp_in: linear("mlp.c_fc", d, settings.inner, Some(settings.activation))?,
            mlp_out: linear("mlp.c_proj", settings.inner, d, None)?,
        })
    }

    /// The residual stream, [positions, d_model], through block number `layer`.
    fn forward(
        &self,
        residual: &Tensor,
        layer: usize,
        heads: usize,
        cache: &mut Cache,
        visitor: &mut Visitor<'_>,
    ) -> Result<Tensor, Error> {
        let d = residual.dim(1)?;
        let qkv = self.attention_in.forward(&self.before_attention.forward(residual)?)?;
        let (keys, values) = cache.append(layer, &qkv.narrow(1, d, d)?, &qkv.narrow(1, 2 * d, d)?)?;
        let mixed = attend(&qkv.narrow(1, 0, d)?, &keys, &values, heads, self.scale)?;
        let mixed = visitor.visit(layer, SiteKind::AttnZ, mixed)?;
        let residual = (residual + self.attention_out.forward(&mixed)?)?;
        let mlp = self.mlp_out.forward(&self.mlp_in.forward(&self.before_mlp.forward(&residual)?)?)?;
        let mlp = visitor.visit(layer, SiteKind::MlpOut, mlp)?;
        Ok((residual + mlp)?)
    }
}

fn norm(parts: &Parts<'_>, name: &str, size: usize, epsilon: f32) -> Result<LayerNorm, Error> {
    Ok(LayerNorm {
        gain: parts.values(&format!("{name}.weight"), &[size])?,
        bias: parts.values(&format!("{name}.bias"), &[size])?,
        epsilon,
    })
}

/// GPT-2's `Conv1D`: a linear layer whose weight lies [inputs, outputs].
fn conv1d(
    parts: &Parts<'_>,
    name: &str,
    inputs: usize,
    outputs: usize,
    activation: Option<Activation>,
) -> Result<Linear, Error> {
    Ok(Linear {
        weight: parts.values(&format!("{name}.weight"), &[inputs, outputs])?,
        layout: Layout::InOut,
        bias: Some(parts.values(&format!("{name}.bias"), &[outputs])?),
        activation,
    })
}

impl Model for Gpt2 {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn site_size(&self, site: Site) -> Option<usize> {
        // Keys, values and heads of GPT-2 have the residual stream's size together.
        (site.layer < self.shape.layers).then_some(self.shape.d_model)
    }

    fn cache(&self) -> Cache {
        Cache::new(self.shape.layers)
    }

    fn forward(&self, ids: &[u32], cache: &mut Cache, pass: Pass<'_>) -> Result<Option<Tensor>, Error> {
        let layers = pass.begin(ids, cache, &self.shape)?;
        let Pass { logits, hook, cancel, .. } = pass;
        let mut visitor = Visitor::new(hook);
        let mut residual = self.residual(ids, cache.len())?;
        for (layer, block) in self.blocks[..layers].iter().enumerate() {
            cancel.check()?;
            residual = visitor.visit(layer, SiteKind::ResidPre, residual)?;
            residual = block.forward(&residual, layer, self.shape.heads, cache, &mut visitor)?;
            residual = visitor.visit(layer, SiteKind::ResidPost, residual)?;
        }
        check_finite(&residual, layers)?;
        if layers < self.blocks.len() {
            visitor.visit(layers, SiteKind::ResidPre, residual)?;
            cache.commit(ids, layers);
            return Ok(None);
        }
        cancel.check()?;
        let logits = self.logits(&residual, logits)?;
        cache.commit(ids, layers);
        Ok(logits)
    }

    fn unembedding(&self) -> &Unembedding {
        &self.unembedding
    }
}
