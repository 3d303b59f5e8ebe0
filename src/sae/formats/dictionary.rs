//! `dictionary_learning` and SAEBench: `config.json` and `ae.pt`, a state dictionary for each of its classes.
//! Not here: PyTorch's file format (`weights::pickle`).
//!
//! The classes are those of `dictionary.py` and `trainers/*.py`; what each does is what its `encode` and `decode` do
//! after `from_pretrained`. BatchTopK classes use their threshold there, TopK ranks.

use crate::weights::Array;

use super::{
    Activation, Config, Error, Files, Metadata, Normalisation, Other, Sae, SaeWeights, State, config, finish,
    one_threshold, other,
};

const CLASSES: &str = "supported are `AutoEncoder`, `AutoEncoderNew`, `GatedAutoEncoder`, `JumpReluAutoEncoder`, \
                       `AutoEncoderTopK`, `BatchTopKSAE` and `MatryoshkaBatchTopKSAE`";

pub fn open(files: &Files) -> Result<Sae, Error> {
    let (config, weights) = (Config::open(config(files)?)?, &files.weights);
    let trainer = config.object("trainer")?;
    let class = trainer.text("dict_class")?.ok_or_else(|| trainer.missing("dict_class"))?;
    refuse_others(&config, class, weights.name())?;
    let state = State::open(weights)?;
    let parts = match class {
        "AutoEncoder" => plain(&state)?,
        "AutoEncoderNew" => new(&state)?,
        "GatedAutoEncoder" => gated(&state)?,
        "JumpReluAutoEncoder" => jump_relu(&state)?,
        "AutoEncoderTopK" => top_k(&state, &trainer)?,
        "BatchTopKSAE" => batch_top_k(&state)?,
        "MatryoshkaBatchTopKSAE" => matryoshka(&state)?,
        other => return Err(trainer.unsupported(format!("`dict_class` `{}`", other.escape_debug()), CLASSES)),
    };
    let encoder = if state.get("W_enc").is_some() { "W_enc" } else { "encoder.weight" };
    trainer.must_be("activation_dim", parts.w_enc.d_in(), encoder, &state.file)?;
    trainer.must_be("dict_size", parts.w_enc.width(), encoder, &state.file)?;
    let mut notes = Vec::new();
    let metadata = Metadata {
        architecture: class.to_owned(),
        model_name: trainer.described_text("lm_name", &mut notes),
        hook_name: trainer.described_text("submodule_name", &mut notes),
        hook_layer: trainer.described_size("layer", &mut notes),
        notes,
        ..Metadata::default()
    };
    finish(parts, metadata, &state.file, &[])
}

/// The library's buffers say whether what goes in is what comes out; where there is none, the name tells.
fn refuse_others(config: &Config, class: &str, file: &str) -> Result<(), Error> {
    if class.contains("CrossCoder") {
        return Err(Other::Crosscoder.refused(&config.file, &format!("`dict_class` is `{}`", class.escape_debug())));
    }
    let buffer = config.has("buffer").then(|| config.object("buffer")).transpose()?;
    match buffer.as_ref().map(|buffer| buffer.text("io")).transpose()?.flatten() {
        Some("in_and_out") => {
            let why = "`buffer.io` is `in_and_out`: it reads a module's input and writes its output";
            Err(Other::Transcoder.refused(&config.file, why))
        }
        Some(_) => Ok(()),
        None => other::check_name(file),
    }
}

/// The parts of a class with two linear layers, the biases set apart.
fn linear(state: &State, b_enc: Option<&str>, b_dec: &str) -> Result<SaeWeights, Error> {
    let (width, d_in) = state.sizes("encoder.weight", "[latents, d_in]")?;
    Ok(SaeWeights {
        w_enc: state.linear_encoder("encoder.weight", d_in, width)?,
        b_enc: b_enc.map_or_else(|| Ok(Array::owned(vec![0.0; width], &[width])), |name| state.vector(name, width))?,
        w_dec: state.linear_decoder("decoder.weight", d_in, width)?,
        b_dec: state.vector(b_dec, d_in)?,
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
    })
}

/// The parts of a class with SAELens' orientation.
fn columns(state: &State) -> Result<SaeWeights, Error> {
    let (d_in, width) = state.sizes("W_enc", "[d_in, latents]")?;
    Ok(SaeWeights {
        w_enc: state.encoder("W_enc", d_in, width)?,
        b_enc: state.vector("b_enc", width)?,
        w_dec: state.decoder("W_dec", d_in, width)?,
        b_dec: state.vector("b_dec", d_in)?,
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
    })
}

/// `from_pretrained` moves the lengths of decoder rows into the encoder.
fn plain(state: &State) -> Result<SaeWeights, Error> {
    state.only("`AutoEncoder`", &["bias", "encoder.weight", "encoder.bias", "decoder.weight"])?;
    Ok(SaeWeights { rescale_acts_by_decoder_norm: true, ..linear(state, Some("encoder.bias"), "bias")? })
}

fn new(state: &State) -> Result<SaeWeights, Error> {
    state.only("`AutoEncoderNew`", &["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"])?;
    Ok(SaeWeights { apply_b_dec_to_input: false, ..linear(state, Some("encoder.bias"), "decoder.bias")? })
}

fn gated(state: &State) -> Result<SaeWeights, Error> {
    let known = ["decoder_bias", "encoder.weight", "r_mag", "gate_bias", "mag_bias", "decoder.weight"];
    state.only("`GatedAutoEncoder`", &known)?;
    let parts = linear(state, None, "decoder_bias")?;
    let vector = |name: &str| state.vector(name, parts.w_enc.width());
    let activation =
        Activation::Gated { b_gate: vector("gate_bias")?, b_mag: vector("mag_bias")?, r_mag: vector("r_mag")? };
    Ok(SaeWeights { activation, ..parts })
}

fn jump_relu(state: &State) -> Result<SaeWeights, Error> {
    state.only("`JumpReluAutoEncoder`", &["W_enc", "b_enc", "W_dec", "b_dec", "threshold"])?;
    let parts = columns(state)?;
    let threshold = state.vector("threshold", parts.w_enc.width())?;
    Ok(SaeWeights { apply_b_dec_to_input: false, activation: Activation::JumpRelu { threshold }, ..parts })
}

/// Ranks at inference too, unless it is reported to use its threshold.
fn top_k(state: &State, trainer: &Config) -> Result<SaeWeights, Error> {
    let known = ["encoder.weight", "encoder.bias", "decoder.weight", "b_dec", "k", "threshold"];
    state.only("`AutoEncoderTopK`", &known)?;
    let k = match (state.k(), trainer.size("k")?) {
        (Some(k), given) => {
            let k = usize::try_from(k).ok();
            let agrees = k.is_some_and(|k| given.is_none_or(|given| given == k));
            k.filter(|_| agrees).ok_or_else(|| trainer.bad("`trainer.k` is not the k of `ae.pt`".to_owned()))?
        }
        (None, Some(k)) => k,
        (None, None) => return Err(trainer.missing("k")),
    };
    Ok(SaeWeights { activation: Activation::TopK { k }, ..linear(state, Some("encoder.bias"), "b_dec")? })
}

fn batch_top_k(state: &State) -> Result<SaeWeights, Error> {
    let known = ["encoder.weight", "encoder.bias", "decoder.weight", "b_dec", "k", "threshold"];
    state.only("`BatchTopKSAE`", &known)?;
    let parts = linear(state, Some("encoder.bias"), "b_dec")?;
    Ok(SaeWeights { activation: threshold(state, parts.w_enc.width())?, ..parts })
}

fn matryoshka(state: &State) -> Result<SaeWeights, Error> {
    let known = ["W_enc", "b_enc", "W_dec", "b_dec", "k", "threshold", "group_sizes"];
    state.only("`MatryoshkaBatchTopKSAE`", &known)?;
    let parts = columns(state)?;
    Ok(SaeWeights { activation: threshold(state, parts.w_enc.width())?, ..parts })
}

/// One θ; −1 where training never set it, which lets through what ReLU does.
fn threshold(state: &State, width: usize) -> Result<Activation, Error> {
    let threshold = state.number("threshold")?;
    if threshold.is_finite() {
        return Ok(one_threshold(threshold, width));
    }
    Err(Error::Config { file: state.file.clone(), why: format!("`threshold` is {threshold}") })
}
