//! SAEs of two linear layers in one PyTorch file without a configuration: Goodfire's for Llama, and qresearch's for the
//! distilled R1. Not here: PyTorch's file format (`weights::pickle`), and files that come with a configuration.
//!
//! f = ReLU(x·encoderᵀ + bias), x̂ = f·decoderᵀ + bias; nothing is taken from the input.

use super::{Activation, Error, Files, Metadata, Normalisation, Sae, SaeWeights, State, finish, other};

/// What the two layers are called.
const LAYERS: [[&str; 4]; 2] = [
    ["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"],
    ["encoder_linear.weight", "encoder_linear.bias", "decoder_linear.weight", "decoder_linear.bias"],
];

pub fn open(files: &Files) -> Result<Sae, Error> {
    let state = State::open(&files.weights)?;
    other::check_name(&state.file)?;
    let layers = LAYERS.iter().find(|[encoder, ..]| state.get(encoder).is_some()).unwrap_or(&LAYERS[0]);
    state.only("an SAE of two linear layers", layers)?;
    let [encoder, b_enc, decoder, b_dec] = *layers;
    let (width, d_in) = state.sizes(encoder, "[latents, d_in]")?;
    let parts = SaeWeights {
        w_enc: state.linear_encoder(encoder, d_in, width)?,
        b_enc: state.vector(b_enc, width)?,
        w_dec: state.linear_decoder(decoder, d_in, width)?,
        b_dec: state.vector(b_dec, d_in)?,
        apply_b_dec_to_input: false,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
    };
    let metadata = Metadata { architecture: "standard".to_owned(), ..Metadata::default() };
    finish(parts, metadata, &state.file, &[])
}
