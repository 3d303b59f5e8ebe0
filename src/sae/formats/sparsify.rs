//! EleutherAI's sparsify, formerly `sae`: `cfg.json` and `sae.safetensors`, as its `sparse_coder.py` reads them.
//! Not here: its transcoders and skip connections, which are refused.
//!
//! f = the k largest of ReLU((x − b_dec)·encoderᵀ + bias) of a token (`groupmax`: the largest of each of k groups),
//! x̂ = f·W_dec + b_dec; W_dec holds a latent in each row as it is. SAELens' own reader of this format turns W_dec and may leave b_dec in the input; the authors do neither.

use super::{
    Activation, Config, Encoder, Error, Files, Metadata, Normalisation, Other, Sae, SaeWeights, config, finish,
    no_matrix, other, tensors,
};

/// The library's own k, where the configuration says nothing.
const K: usize = 32;

pub fn open(files: &Files) -> Result<Sae, Error> {
    let (config, weights) = (Config::open(config(files)?)?, &files.weights);
    let tensors = tensors(weights)?;
    let file = weights.name();
    let activation = activation(&config)?;
    let known = ["encoder.weight", "encoder.bias", "W_dec", "b_dec"];
    if tensors.has("W_skip") {
        return Err(skip(&config));
    }
    if let Some(name) = tensors.names().into_iter().find(|name| !known.contains(name)) {
        let why = format!("it holds `{}`, which no SAE of this release has", name.escape_debug());
        return Err(Error::Config { file: file.to_owned(), why });
    }
    let (width, d_in) = match *tensors.shape("encoder.weight")? {
        [width, d_in] if width > 0 && d_in > 0 => (width, d_in),
        ref found => return Err(no_matrix(file, "encoder.weight", found, "[latents, d_in], both at least 1")),
    };
    if let [latents, d_out] = *tensors.shape("W_dec")?
        && latents == width
    {
        other::check_sizes(file, d_in, d_out)?;
    }
    config.must_be("d_in", d_in, "encoder.weight", file)?;
    if config.size("num_latents")?.is_some_and(|latents| latents > 0) {
        config.must_be("num_latents", width, "encoder.weight", file)?;
    }
    let parts = SaeWeights {
        w_enc: Encoder::Rows(tensors.matrix("encoder.weight", width, d_in)?),
        b_enc: tensors.get_shaped("encoder.bias", &[width])?,
        w_dec: tensors.matrix("W_dec", width, d_in)?,
        b_dec: tensors.get_shaped("b_dec", &[d_in])?,
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation,
        normalisation: Normalisation::None,
    };
    let architecture = if matches!(parts.activation, Activation::GroupMax { .. }) { "groupmax" } else { "topk" };
    let metadata = Metadata { architecture: architecture.to_owned(), ..Metadata::default() };
    finish(parts, metadata, file, &[("W_enc", "encoder.weight"), ("b_enc", "encoder.bias")])
}

fn activation(config: &Config) -> Result<Activation, Error> {
    if config.boolean("transcode")?.unwrap_or(false) {
        return Err(Other::Transcoder.refused(&config.file, "`transcode` is true"));
    }
    if config.boolean("skip_connection")?.unwrap_or(false) {
        return Err(skip(config));
    }
    if config.boolean("signed")?.unwrap_or(false) {
        return Err(config.unsupported("`signed`: negative activations".to_owned(), "activations of ReLU can be read"));
    }
    let k = config.size("k")?.unwrap_or(K);
    match config.text("activation")?.unwrap_or("topk") {
        "topk" => Ok(Activation::TopK { k }),
        "groupmax" => Ok(Activation::GroupMax { k }),
        other => {
            let what = format!("`activation` `{}`", other.escape_debug());
            Err(config.unsupported(what, "`topk` and `groupmax` can be read"))
        }
    }
}

fn skip(config: &Config) -> Error {
    config.unsupported("a skip connection (`W_skip`)".to_owned(), "SAEs without one can be read")
}
