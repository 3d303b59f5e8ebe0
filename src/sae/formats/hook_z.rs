//! Kissane et al.'s SAEs on the concatenated z of attention heads: a `.pt` with a `_cfg.json` beside it.
//! Not here: what was folded into the z they were trained on, which is the model's and the suite's concern.

use super::{Activation, Config, Error, Files, Metadata, Normalisation, Sae, SaeWeights, State, finish, other};

/// f = ReLU((z − b_dec)·W_enc + b_enc), x̂ = f·W_dec + b_dec.
pub fn open(files: &Files) -> Result<Sae, Error> {
    let (config, state) = (files.config.as_ref(), State::open(&files.weights)?);
    other::check_name(&state.file)?;
    state.only("an SAE of this release", &["W_enc", "b_enc", "W_dec", "b_dec"])?;
    let (d_in, width) = state.sizes("W_enc", "[d_in, latents]")?;
    let mut metadata = Metadata { architecture: "standard".to_owned(), ..Metadata::default() };
    if let Some(config) = config.map(Config::open).transpose()? {
        config.must_be("act_size", d_in, "W_enc", &state.file)?;
        config.must_be("dict_size", width, "W_enc", &state.file)?;
        let notes = &mut metadata.notes;
        metadata.model_name = config.described_text("model_name", notes);
        metadata.hook_name = config.described_text("act_name", notes);
        metadata.context_size = config.described_size("seq_len", notes);
    }
    let parts = SaeWeights {
        w_enc: state.encoder("W_enc", d_in, width)?,
        b_enc: state.vector("b_enc", width)?,
        w_dec: state.decoder("W_dec", d_in, width)?,
        b_dec: state.vector("b_dec", d_in)?,
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::Relu,
        normalisation: Normalisation::None,
    };
    finish(parts, metadata, &state.file, &[])
}
