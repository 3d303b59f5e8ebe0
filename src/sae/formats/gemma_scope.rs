//! Gemma Scope (Lieberum et al., arXiv 2408.05147; `params.npz`) and Gemma Scope 2 (`params.safetensors`, `config.json`).
//! Not here: which of their folders are the canonical ones (the catalogue), and transcoders, which are refused.
//!
//! pre = x·W_enc + b_enc, f = pre where pre > θ of the latent (equation 10), x̂ = f·W_dec + b_dec; b_dec is not taken
//! from the input. The activations' scale was folded into biases and θ before the release (appendix A).

use std::path::Path;

use crate::blob::Blob;

use super::{
    Activation, Config, Encoder, Error, Files, Matrix, Memory, Metadata, Normalisation, Other, Sae, SaeWeights,
    TensorFiles, finish, no_matrix, ones, other, weights,
};

/// Most bytes of a matrix that is copied to where f32 can be used, which is faster. `numpy.savez` does not align arrays,
/// so they lie at odd places; a larger one is read out of its file part by part.
const COPIED: u64 = 1 << 30;

pub fn open(files: &Files) -> Result<Sae, Error> {
    let (config, weights) = (files.config.as_ref(), &files.weights);
    let tensors = tensors(weights)?;
    let file = weights.name();
    let config = config.map(Config::open).transpose()?;
    let names = Names::of(&tensors);
    refuse_others(&tensors, config.as_ref(), &names, file)?;
    let (d_in, width) = match *tensors.shape(names.w_enc)? {
        [d_in, width] if d_in > 0 && width > 0 => (d_in, width),
        ref found => return Err(no_matrix(file, names.w_enc, found, "[d_in, latents], both at least 1")),
    };
    if let [latents, d_out] = *tensors.shape(names.w_dec)?
        && latents == width
    {
        other::check_sizes(file, d_in, d_out)?;
    }
    let parts = SaeWeights {
        w_enc: Encoder::Columns(usable(tensors.matrix(names.w_enc, d_in, width)?)),
        b_enc: tensors.get_shaped("b_enc", &[width])?,
        w_dec: usable(tensors.matrix(names.w_dec, width, d_in)?),
        b_dec: tensors.get_shaped("b_dec", &[d_in])?,
        apply_b_dec_to_input: false,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::JumpRelu { threshold: tensors.get_shaped("threshold", &[width])? },
        normalisation: Normalisation::None,
    };
    let mut notes = vec![super::NOT_BOS.to_owned()];
    let mut text = |key: &str| config.as_ref().and_then(|config| config.described_text(key, &mut notes));
    let metadata = Metadata {
        architecture: "jumprelu".to_owned(),
        model_name: text("model_name"),
        hook_name: text("hf_hook_point_in"),
        prepend_bos: Some(true),
        context_size: Some(1024),
        notes,
        ..Metadata::default()
    };
    finish(parts, metadata, file, &[("W_enc", names.w_enc), ("W_dec", names.w_dec)])
}

pub fn memory(weights: &Blob) -> Result<Memory, Error> {
    let tensors = tensors(weights)?;
    let names = Names::of(&tensors);
    let mut memory = Memory { held: 0, mapped: tensors.size() };
    for name in [names.w_enc, names.w_dec, "b_enc", "b_dec", "threshold"] {
        let bytes = tensors.bytes(name).unwrap_or(0);
        let copied = [names.w_enc, names.w_dec].contains(&name);
        if tensors.is_moved(name) || (copied && !tensors.is_aligned(name) && bytes <= COPIED) {
            memory = Memory { held: memory.held + bytes, mapped: memory.mapped.saturating_sub(bytes) };
        }
    }
    Ok(memory)
}

fn tensors(weights: &Blob) -> Result<TensorFiles, weights::Error> {
    let npz = Path::new(weights.name()).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
    if npz { TensorFiles::open_npz(weights) } else { super::tensors(weights) }
}

fn usable(matrix: Matrix) -> Matrix {
    if matrix.is_unaligned() && matrix.bytes() <= COPIED { matrix.to_array().into() } else { matrix }
}

/// The first release spells its matrices `W_enc`, the second `w_enc`.
struct Names {
    w_enc: &'static str,
    w_dec: &'static str,
}

impl Names {
    fn of(tensors: &TensorFiles) -> Self {
        if tensors.has("w_enc") {
            Self { w_enc: "w_enc", w_dec: "w_dec" }
        } else {
            Self { w_enc: "W_enc", w_dec: "W_dec" }
        }
    }
}

/// Transcoders, cross-layer transcoders and crosscoders lie in the same repositories under the same names.
fn refuse_others(tensors: &TensorFiles, config: Option<&Config>, names: &Names, file: &str) -> Result<(), Error> {
    if tensors.has("affine_skip_connection") {
        return Err(Other::Transcoder.refused(file, "it has `affine_skip_connection`"));
    }
    if tensors.shape(names.w_dec)?.len() == 3 {
        let why = format!("`{}` has three dimensions: it writes to several layers", names.w_dec);
        return Err(Other::Transcoder.refused(file, &why));
    }
    ones(tensors, "scaling_factor", "fold it into the weights")?;
    let known = [names.w_enc, names.w_dec, "b_enc", "b_dec", "threshold", "scaling_factor"];
    if let Some(stranger) = tensors.names().into_iter().find(|name| !known.contains(name)) {
        let why = format!("it holds `{}`, which no SAE of this release has", stranger.escape_debug());
        return Err(Error::Config { file: file.to_owned(), why });
    }
    let Some(config) = config else { return other::check_name(file) };
    if let Some(architecture) = config.text("architecture")?
        && !["jump_relu", "jumprelu"].contains(&architecture)
    {
        let what = format!("architecture `{}`", architecture.escape_debug());
        return Err(config.unsupported(what, "`jump_relu` can be read"));
    }
    let named = other::check_type(config, "type")?;
    let hooked = other::check_hooks(config, ["hf_hook_point_in", "hf_hook_point_out"])?;
    if config.boolean("affine_connection")?.unwrap_or(false) {
        return Err(Other::Transcoder.refused(&config.file, "`affine_connection` is true"));
    }
    if named || hooked { Ok(()) } else { other::check_name(file) }
}
