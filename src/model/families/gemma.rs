//! Gemma 2 and 3: *Gemma 2: Improving Open Language Models at a Practical Size* (Gemma Team, 2024) and *Gemma 3
//! Technical Report* (2025), as `transformers/models/{gemma2,gemma3}/modeling_*.py` compute them with eager attention,
//! in f32, with the defaults of `Gemma2Config` and `Gemma3TextConfig`. Of Gemma 3's models that see, what reads text.
//! Not here: the blocks (`standard`).

use crate::model::activation::Activation;
use crate::model::config::Config;
use crate::model::family::Family;
use crate::model::norm::{Kind, Norms};
use crate::model::plan::Plan;
use crate::model::rope::{self, Names, Rope};
use crate::model::standard::{Across, NormNames, Standard};
use crate::model::windows::Windows;
use crate::model::{Error, Shape};

/// The base of the angles of Gemma 3's blocks that see all positions, and of those that see a window.
const GLOBAL: Names = Names { theta: &["rope_theta"], default: 1_000_000.0, part: None };
const LOCAL: Names = Names { theta: &["rope_local_base_freq"], default: 10_000.0, part: None };

/// What names of Gemma 3's tensors begin with: alone, in a model that sees as the hub has it, as `transformers` 5 does.
const PREFIXES: &[&str] = &["language_model.model.", "model.language_model.", "model."];

/// Gemma 2. It turns all blocks by the same angles.
pub(super) fn read_2(config: &Config) -> Result<Box<dyn Family>, Error> {
    let shape = Shape::read(config, Some(256))?;
    let rope = Rope::read(config, rope::NAMES, shape.d_head, shape.context)?;
    let logit_cap = cap(config, "final_logit_softcapping", Some(30.0))?;
    let this = read(config, Plan { logit_cap, ..plan(config, shape, vec![rope])? }, 2)?;
    Standard { score_cap: cap(config, "attn_logit_softcapping", Some(50.0))?, ..this }.family(config)
}

/// Gemma 3; `config` is that of what reads text.
pub(super) fn read_3(config: &Config) -> Result<Box<dyn Family>, Error> {
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
    let logit_cap = cap(config, "final_logit_softcapping", None)?;
    let plan = Plan { prefixes: PREFIXES, logit_cap, ..plan(config, shape, ropes)? };
    let this = read(config, plan, usual("sliding_window_pattern", 6)?)?;
    Standard { head_norms: Some(Across::EachHead), ..this }.family(config)
}

/// What both have; all blocks but every `number`-th see a window.
fn read(config: &Config, plan: Plan, number: usize) -> Result<Standard, Error> {
    if config.flag("use_bidirectional_attention", false)? {
        return Err(config.bad("`use_bidirectional_attention` is true: it does not predict the next token"));
    }
    let windows =
        Windows::but_every(config, plan.shape.layers, number, config.size_unless_null("sliding_window", 4096)?)?;
    let mut this = Standard::of(config, plan)?;
    this.biases.inputs = config.flag("attention_bias", false)?;
    this.biases.output = this.biases.inputs;
    Ok(Standard {
        norms: NormNames {
            pre_attn: Some("input_layernorm"),
            post_attn: Some("post_attention_layernorm"),
            pre_mlp: Some("pre_feedforward_layernorm"),
            post_mlp: Some("post_feedforward_layernorm"),
        },
        activation: config.activation("hidden_activation", Activation::GeluTanh)?,
        // It need not be the root of the head's size.
        scale: config.number(&["query_pre_attn_scalar"])?.unwrap_or(256.0).powf(-0.5) as f32,
        windows,
        ..this
    })
}

fn plan(config: &Config, shape: Shape, ropes: Vec<Rope>) -> Result<Plan, Error> {
    let embedding_scale = (shape.d_model as f64).sqrt() as f32;
    let plan = Plan::read(config, shape, ropes)?;
    Ok(Plan {
        kv_heads: config.size_or_none(&["num_key_value_heads"])?.unwrap_or(4),
        embedding_scale,
        norms: Norms { kind: Kind::RmsLessOne, ..plan.norms },
        tied: config.flag("tie_word_embeddings", true)?,
        ..plan
    })
}

/// A soft cap: the default where the key is absent, none where it is null.
fn cap(config: &Config, key: &str, default: Option<f32>) -> Result<Option<f32>, Error> {
    if config.is_null(key) {
        return Ok(None);
    }
    Ok(config.number(&[key])?.map(|cap| cap as f32).or(default))
}
