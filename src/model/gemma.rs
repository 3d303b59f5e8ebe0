//! Gemma 2 and 3: *Gemma 2: Improving Open Language Models at a Practical Size* (Gemma Team, 2024) and *Gemma 3
//! Technical Report* (2025), as `transformers/models/{gemma2,gemma3}/modeling_*.py` compute them with eager attention,
//! in f32. Of Gemma 3's models that see, what reads text.
//! Not here: the pieces they are made of.

use candle_core::Tensor;

use super::attention::Attention;
use super::config::Config;
use super::decoder::{Block, Family, Plan, Step};
use super::layers::{Activation, add};
use super::norm::{Kind, Norm, Norms};
use super::parts::Parts;
use super::projections::{GatedMlp, HeadNorms, SplitAttention};
use super::rope::{self, Names, Rope};
use super::{Error, Shape};
use crate::site::SiteKind;
use crate::weights::Array;

/// The base of the angles of Gemma 3's blocks that see all positions, and of those that see a window.
const GLOBAL: Names = Names { theta: &["rope_theta"], default: 1_000_000.0, part: None };
const LOCAL: Names = Names { theta: &["rope_local_base_freq"], default: 10_000.0, part: None };

/// What names of Gemma 3's tensors begin with: alone, in a model that sees as the hub has it, as `transformers` 5 does.
const PREFIXES: &[&str] = &["language_model.model.", "model.language_model.", "model."];

/// A Gemma as one config describes it, with the defaults of `Gemma2Config` or `Gemma3TextConfig`.
#[derive(Debug)]
pub(super) struct Gemma {
    plan: Plan,
    inner: usize,
    activation: Activation,
    attention_bias: bool,
    /// What the scores are multiplied by: it need not be the root of the head's size.
    scale: f32,
    /// c of c · tanh(score / c).
    score_cap: Option<f32>,
    /// How many positions a block sees that does not see all.
    window: Option<usize>,
    local: Local,
    /// Whether each head's queries and keys are normed.
    head_norms: bool,
}

/// Which blocks see a window. A config can state any number of layers, so no table is made for them.
#[derive(Debug)]
enum Local {
    /// All but every so-manieth.
    ButEvery(usize),
    /// As `layer_types` says, block by block.
    Listed(Vec<bool>),
}

#[derive(Debug)]
pub(super) struct GemmaBlock {
    before_attention: Norm,
    attention: SplitAttention,
    after_attention: Norm,
    before_mlp: Norm,
    mlp: GatedMlp,
    after_mlp: Norm,
}

impl Gemma {
    pub(super) fn read_2(config: &Config) -> Result<Self, Error> {
        let shape = Shape::read(config, Some(256))?;
        let rope = Rope::read(config, rope::NAMES, shape.d_head, shape.context)?;
        let plan = Plan {
            kv_heads: config.size_or_none(&["num_key_value_heads"])?.unwrap_or(4),
            prefixes: &["model."],
            logit_cap: cap(config, "final_logit_softcapping", Some(30.0))?,
            ..plan(config, shape, vec![rope])?
        };
        Ok(Self {
            score_cap: cap(config, "attn_logit_softcapping", Some(50.0))?,
            local: local(config, plan.shape.layers, 2)?,
            ..Self::read(config, plan)?
        })
    }

    /// `config` is that of what reads text.
    pub(super) fn read_3(config: &Config) -> Result<Self, Error> {
        // Configs of models that see leave out what is as usual.
        let usual = |name, value: usize| config.size_or_none(&[name]).map(|stated| stated.unwrap_or(value));
        let shape = Shape {
            d_model: config.size(&["hidden_size"])?,
            layers: config.size(&["num_hidden_layers"])?,
            heads: usual("num_attention_heads", 8)?,
            d_head: usual("head_dim", 256)?,
            vocab: usual("vocab_size", 262_208)?,
            context: usual("max_position_embeddings", 131_072)?,
            parallel: false,
        };
        let parameters = config.section("rope_parameters")?;
        let kind = |name| parameters.as_ref().map_or(Ok(None), |kinds| kinds.section(name));
        // Scaling, where it is stated for all, is of the blocks that see all positions.
        let global = match config.section("rope_scaling")? {
            Some(scaling) => Some(scaling),
            None => kind("full_attention")?,
        };
        let rope = |section, names| Rope::of(config, section, names, shape.d_head, shape.context);
        let ropes = vec![rope(global.as_ref(), GLOBAL)?, rope(kind("sliding_attention")?.as_ref(), LOCAL)?];
        let plan = Plan {
            kv_heads: usual("num_key_value_heads", 4)?,
            prefixes: PREFIXES,
            logit_cap: cap(config, "final_logit_softcapping", None)?,
            ..plan(config, shape, ropes)?
        };
        let pattern = usual("sliding_window_pattern", 6)?;
        Ok(Self { local: local(config, plan.shape.layers, pattern)?, head_norms: true, ..Self::read(config, plan)? })
    }

    /// What both have, without what Gemma 2 alone caps and Gemma 3 alone norms.
    fn read(config: &Config, plan: Plan) -> Result<Self, Error> {
        if config.flag("use_bidirectional_attention", false)? {
            return Err(config.bad("`use_bidirectional_attention` is true: it is no model of the next token"));
        }
        plan.check_heads(config)?;
        let window = config.size_or_none(&["sliding_window"])?;
        Ok(Self {
            inner: config.size(&["intermediate_size"])?,
            activation: config.activation("hidden_activation", Activation::GeluTanh)?,
            attention_bias: config.flag("attention_bias", false)?,
            scale: config.number(&["query_pre_attn_scalar"])?.unwrap_or(256.0).powf(-0.5) as f32,
            score_cap: None,
            window: if config.is_null("sliding_window") { None } else { window.or(Some(4096)) },
            local: Local::ButEvery(1),
            head_norms: false,
            plan,
        })
    }

    fn is_local(&self, layer: usize) -> bool {
        match &self.local {
            Local::ButEvery(number) => !(layer + 1).is_multiple_of(*number),
            Local::Listed(kinds) => kinds.get(layer).copied().unwrap_or(false),
        }
    }
}

/// What is alike in both.
fn plan(config: &Config, shape: Shape, ropes: Vec<Rope>) -> Result<Plan, Error> {
    Ok(Plan {
        kv_heads: shape.heads,
        prefixes: &[],
        blocks: "layers.",
        embedding: "embed_tokens.weight",
        embedding_scale: (shape.d_model as f64).sqrt() as f32,
        positions: None,
        shape: shape.turned_by(&ropes),
        ropes,
        norms: Norms { kind: Kind::RmsLessOne, epsilon: config.positive(&["rms_norm_eps"], 1e-6)? },
        final_norm: "norm",
        head: &["lm_head.weight"],
        tied: config.flag("tie_word_embeddings", true)?,
        logit_cap: None,
    })
}

/// A soft cap: the default where the key is absent, none where it is null.
fn cap(config: &Config, key: &str, default: Option<f32>) -> Result<Option<f32>, Error> {
    if config.is_null(key) {
        return Ok(None);
    }
    Ok(config.number(&[key])?.map(|cap| cap as f32).or(default))
}

/// Which blocks see a window: all but every `number`-th, unless `layer_types` says otherwise.
fn local(config: &Config, layers: usize, number: usize) -> Result<Local, Error> {
    let Some(kinds) = config.texts("layer_types")? else { return Ok(Local::ButEvery(number)) };
    if kinds.len() != layers {
        return Err(config.bad(format!("`layer_types` has {} entries for {layers} layers", kinds.len())));
    }
    let of = |kind: &str| match kind {
        "sliding_attention" => Ok(true),
        "full_attention" => Ok(false),
        other => {
            let why = format!("`layer_types` names `{other}`, expected sliding_attention or full_attention");
            Err(config.bad(why))
        }
    };
    kinds.into_iter().map(of).collect::<Result<_, _>>().map(Local::Listed)
}

impl Family for Gemma {
    type Block = GemmaBlock;

    fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Gemma 2 turns in all blocks by the same.
    fn rope(&self, layer: usize) -> usize {
        if self.is_local(layer) { self.plan.ropes.len() - 1 } else { 0 }
    }

    fn block(&self, parts: &Parts, layer: usize) -> Result<GemmaBlock, Error> {
        let Plan { shape, norms, kv_heads, .. } = &self.plan;
        let (d, name) = (shape.d_model, |part: &str| format!("layers.{layer}.{part}"));
        let attention = Attention {
            heads: shape.heads,
            kv_heads: *kv_heads,
            size: shape.d_head,
            scale: self.scale,
            cap: self.score_cap,
            window: if self.is_local(layer) { self.window } else { None },
        };
        let norm = |part| norms.read(parts, &name(part), d);
        let head_norm = |part| norms.read(parts, &name(part), shape.d_head);
        let head_norms = if self.head_norms {
            Some(HeadNorms { queries: head_norm("self_attn.q_norm")?, keys: head_norm("self_attn.k_norm")? })
        } else {
            None
        };
        Ok(GemmaBlock {
            before_attention: norm("input_layernorm")?,
            attention: SplitAttention::read(parts, &name("self_attn"), d, attention, self.attention_bias)?
                .with_norms(head_norms),
            after_attention: norm("post_attention_layernorm")?,
            before_mlp: norm("pre_feedforward_layernorm")?,
            mlp: GatedMlp::read(parts, &name("mlp"), (d, self.inner), self.activation, false)?,
            after_mlp: norm("post_feedforward_layernorm")?,
        })
    }
}

impl Block for GemmaBlock {
    fn forward(&self, residual: &Tensor, step: &mut Step<'_, '_>) -> Result<Tensor, Error> {
        let attention = self.attention.forward(&self.before_attention.forward(residual)?, step)?;
        // What the block adds, so after the norm: as TransformerLens' `hook_attn_out` and `hook_mlp_out`, the latter what
        // Gemma Scope was trained on.
        let attention = step.visit(SiteKind::AttnOut, self.after_attention.forward(&attention)?)?;
        let residual = step.visit(SiteKind::ResidMid, add(residual, &attention)?)?;
        let mlp = self.mlp.forward(&self.before_mlp.forward(&residual)?)?;
        let mlp = step.visit(SiteKind::MlpOut, self.after_mlp.forward(&mlp)?)?;
        Ok(add(&residual, &mlp)?)
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
