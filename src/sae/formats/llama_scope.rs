//! Llama Scope (He et al., arXiv 2410.20526): `hyperparams.json` and `checkpoints/final.safetensors`, bf16; and what its
//! authors save since (`config.json`, `sae_weights.safetensors`), as for the distilled R1. Not here: its transcoders,
//! which are refused.
//!
//! The authors' recipe, with s = √d / (mean norm of the training activations): x is multiplied by s before the encoder,
//! so dividing both biases by s gives the same in the scale of the model's own activations. Where
//! `sparsity_include_decoder_norm` holds, pre-activations are judged after multiplying by the decoder column's length.
//! θ is one number, and is judged in the model's scale. The later files have one for each latent, log θ, which training
//! judged in the scale of s·x, so it is divided by s too; they keep the mean norm among the tensors.

use crate::blob::Blob;
use crate::weights::Array;

use super::{
    Activation, Config, Encoder, Error, Files, Memory, Metadata, Normalisation, Other, Sae, SaeWeights, TensorFiles,
    config, finish, no_matrix, one_threshold, other, tensors,
};

const LOG_THRESHOLD: &str = "log_jumprelu_threshold";
/// What stands before the hook point in the names of tensors that hold mean norms.
const NORM: &str = "dataset_average_activation_norm.";

pub fn open(files: &Files) -> Result<Sae, Error> {
    let (config, weights) = (Config::open(config(files)?)?, &files.weights);
    let tensors = tensors(weights)?;
    let file = weights.name();
    refuse_others(&config, &tensors, file)?;
    let (width, d_in) = match *tensors.shape("encoder.weight")? {
        [width, d_in] if width > 0 && d_in > 0 => (width, d_in),
        ref found => return Err(no_matrix(file, "encoder.weight", found, "[latents, d_in], both at least 1")),
    };
    if let [d_out, latents] = *tensors.shape("decoder.weight")?
        && latents == width
    {
        other::check_sizes(file, d_in, d_out)?;
    }
    config.must_be("d_model", d_in, "encoder.weight", file)?;
    config.must_be("d_sae", width, "encoder.weight", file)?;
    let scale = scale(&config, &tensors, d_in)?;
    let divided = |name: &str, size: usize| -> Result<Array, Error> {
        let bias = tensors.get_shaped(name, &[size])?;
        Ok(Array::owned(bias.iter().map(|bias| bias / scale).collect::<Vec<_>>(), &[size]))
    };
    let has_bias = config.boolean("use_decoder_bias")?.unwrap_or(true);
    let parts = SaeWeights {
        w_enc: Encoder::Rows(tensors.matrix("encoder.weight", width, d_in)?),
        b_enc: divided("encoder.bias", width)?,
        w_dec: tensors.matrix("decoder.weight", d_in, width)?.transposed(),
        b_dec: if has_bias { divided("decoder.bias", d_in)? } else { Array::owned(vec![0.0; d_in], &[d_in]) },
        apply_b_dec_to_input: config.boolean("apply_decoder_bias_to_pre_encoder")?.unwrap_or(false),
        rescale_acts_by_decoder_norm: config.boolean("sparsity_include_decoder_norm")?.unwrap_or(false),
        activation: activation(&config, &tensors, width, scale)?,
        normalisation: Normalisation::None,
    };
    let mut notes = vec![super::NOT_BOS.to_owned()];
    let metadata = Metadata {
        architecture: config.text("act_fn")?.unwrap_or("jumprelu").to_owned(),
        // The later files are of several models and name none.
        model_name: (!tensors.has(LOG_THRESHOLD)).then(|| "meta-llama/Llama-3.1-8B".to_owned()),
        hook_name: config.described_text("hook_point_in", &mut notes),
        prepend_bos: Some(true),
        context_size: Some(1024),
        notes,
        ..Metadata::default()
    };
    finish(parts, metadata, file, &[("W_enc", "encoder.weight"), ("W_dec", "decoder.weight")])
}

pub fn memory(weights: &Blob) -> Result<Memory, Error> {
    let tensors = tensors(weights)?;
    // The decoder is turned when it is opened.
    let held = tensors.bytes("decoder.weight").unwrap_or(0);
    Ok(Memory { held, mapped: tensors.size().saturating_sub(held) })
}

fn activation(config: &Config, tensors: &TensorFiles, width: usize, scale: f32) -> Result<Activation, Error> {
    if tensors.has(LOG_THRESHOLD) {
        let log = tensors.get_shaped(LOG_THRESHOLD, &[width])?;
        let threshold = Array::owned(log.iter().map(|log| log.exp() / scale).collect::<Vec<_>>(), &[width]);
        return Ok(Activation::JumpRelu { threshold });
    }
    match config.text("act_fn")?.unwrap_or("jumprelu") {
        "jumprelu" => {
            let threshold = config.number("jump_relu_threshold")?;
            let threshold = threshold.ok_or_else(|| config.missing("jump_relu_threshold"))? as f32;
            if !threshold.is_finite() {
                return Err(config.bad(format!("`jump_relu_threshold` is {threshold}")));
            }
            Ok(one_threshold(threshold, width))
        }
        "topk" => Ok(Activation::TopK { k: config.size("top_k")?.ok_or_else(|| config.missing("top_k"))? }),
        "relu" => Ok(Activation::Relu),
        other => Err(config.unsupported(format!("`act_fn` `{other}`"), "`jumprelu`, `topk` and `relu` can be read")),
    }
}

/// s, or 1 where activations were not scaled.
fn scale(config: &Config, tensors: &TensorFiles, d_in: usize) -> Result<f32, Error> {
    match config.text("norm_activation")?.unwrap_or("dataset-wise") {
        "dataset-wise" => {}
        "no-norm" | "inference" => return Ok(1.0),
        other => {
            let supported = "`dataset-wise`, `no-norm` and `inference` can be read";
            return Err(config.unsupported(format!("`norm_activation` `{other}`"), supported));
        }
    }
    let (before, after) = match norms(tensors)?[..] {
        [] => stated(config)?,
        [one] => (one, one),
        [first, second, ..] => (first, second),
    };
    for norm in [before, after] {
        if !norm.is_normal() || norm <= 0.0 {
            let why = format!("`dataset_average_activation_norm` is {norm}, expected a number above zero");
            return Err(config.bad(why));
        }
    }
    if (before / after - 1.0).abs() > 1e-6 {
        return Err(config.unsupported(
            format!("a `dataset_average_activation_norm` of {before} in and {after} out"),
            "an SAE's input and output are the same activation",
        ));
    }
    Ok(((d_in as f64).sqrt() / before) as f32)
}

/// The mean norms of in and out as the configuration has them.
fn stated(config: &Config) -> Result<(f64, f64), Error> {
    let norms = config.object("dataset_average_activation_norm")?;
    let norm = |key: &str| norms.number(key)?.ok_or_else(|| norms.missing(key));
    Ok((norm("in")?, norm("out")?))
}

/// The mean norms that the tensors hold, one for each hook point.
fn norms(tensors: &TensorFiles) -> Result<Vec<f64>, Error> {
    let named = tensors.names().into_iter().filter(|name| name.starts_with(NORM));
    let one = |name: &str| -> Result<f64, Error> {
        let found = tensors.get(name)?;
        match found[..] {
            [norm] => Ok(f64::from(norm)),
            _ => Err(no_matrix(&tensors.file_of(name), name, tensors.shape(name)?, "one value")),
        }
    };
    named.map(one).collect()
}

fn refuse_others(config: &Config, tensors: &TensorFiles, file: &str) -> Result<(), Error> {
    let named = other::check_type(config, "sae_type")?;
    let hooked = other::check_hooks(config, ["hook_point_in", "hook_point_out"])?;
    if config.boolean("is_transcoder")?.unwrap_or(false) {
        return Err(Other::Transcoder.refused(&config.file, "`is_transcoder` is true"));
    }
    if !named && !hooked {
        other::check_name(file)?;
    }
    if config.boolean("use_glu_encoder")?.unwrap_or(false) {
        return Err(config.unsupported("`use_glu_encoder`".to_owned(), "encoders of one linear layer can be read"));
    }
    let known = ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias", LOG_THRESHOLD];
    match tensors.names().into_iter().find(|name| !known.contains(name) && !name.starts_with(NORM)) {
        None => Ok(()),
        Some(name) => {
            let why = format!("it holds `{}`, which no SAE of this release has", name.escape_debug());
            Err(Error::Config { file: file.to_owned(), why })
        }
    }
}
