//! OpenAI's autoencoders for GPT-2 small (Gao et al., arXiv 2406.04093) as they were published: one `.pt` for each layer.
//! Not here: the copies in SAELens' layout, which `lens` reads.
//!
//! As `sparse_autoencoder/model.py` has it: TopK autoencoders normalise each token to mean 0 and deviation 1 (with
//! d − 1), undone after decoding; f = act((x − pre_bias)·encoderᵀ + latent_bias), x̂ = f·decoderᵀ + pre_bias.

use crate::weights::pickle::Value;

use super::{Activation, Error, Files, Metadata, Normalisation, Sae, SaeWeights, State, finish, other};

/// Statistics of training, which encoding and decoding do not use.
const STATISTICS: [&str; 3] = ["stats_last_nonzero", "latents_activation_frequency", "latents_mean_square"];

pub fn open(files: &Files) -> Result<Sae, Error> {
    let state = State::open(&files.weights)?;
    other::check_name(&state.file)?;
    let own = ["pre_bias", "latent_bias", "encoder.weight", "decoder.weight", "activation", "activation_state_dict"];
    state.only("an autoencoder of this release", &[&own[..], &STATISTICS].concat())?;
    let (width, d_in) = state.sizes("encoder.weight", "[latents, d_in]")?;
    let (activation, normalisation) = activation(&state)?;
    let parts = SaeWeights {
        w_enc: state.linear_encoder("encoder.weight", d_in, width)?,
        b_enc: state.vector("latent_bias", width)?,
        w_dec: state.linear_decoder("decoder.weight", d_in, width)?,
        b_dec: state.vector("pre_bias", d_in)?,
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation,
        normalisation,
    };
    let metadata = Metadata {
        architecture: if normalisation == Normalisation::None { "standard" } else { "topk" }.to_owned(),
        model_name: Some("gpt2-small".to_owned()),
        prepend_bos: Some(false),
        context_size: Some(64),
        ..Metadata::default()
    };
    finish(parts, metadata, &state.file, &[])
}

fn activation(state: &State) -> Result<(Activation, Normalisation), Error> {
    let unsupported = |what: String| Error::Unsupported {
        file: state.file.clone(),
        what,
        supported: "`ReLU`, and `TopK` followed by ReLU, can be read".to_owned(),
    };
    let text = |value: Option<&Value>| match value {
        None => Ok("ReLU".to_owned()),
        Some(Value::Text(text)) => Ok(text.clone()),
        Some(other) => Err(unsupported(format!("an `activation` that is {}", other.kind()))),
    };
    match text(state.get("activation"))?.as_str() {
        "ReLU" => Ok((Activation::Relu, Normalisation::None)),
        "TopK" => {
            let own = state.get("activation_state_dict");
            let after = text(own.and_then(|own| own.get("postact_fn")))?;
            if after != "ReLU" {
                return Err(unsupported(format!("`TopK` followed by `{}`", after.escape_debug())));
            }
            let Some(Value::Int(k)) = own.and_then(|own| own.get("k")) else {
                let why = "`activation_state_dict` has no whole number `k`".to_owned();
                return Err(Error::Config { file: state.file.clone(), why });
            };
            let k = usize::try_from(*k).unwrap_or(0);
            Ok((Activation::TopK { k }, Normalisation::LayerNorm))
        }
        other => Err(unsupported(format!("`activation` `{}`", other.escape_debug()))),
    }
}
