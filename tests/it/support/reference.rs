//! What fixtures that other programs computed are held against: models, SAEs with each convention, how near is near.
//! Not here: any one of the references.

use std::path::{Path, PathBuf};

use saescope::blob::Blob;
use saescope::device::DeviceName;
use saescope::model::{Backend, Loaded, ModelFiles, ModelScope, TokenizerFiles, TokenizerSaid};
use saescope::sae::{Activation, Normalisation, Sae, SaeWeights};
use saescope::weights::Array;

pub const MODELS: [&str; 5] = ["plain", "gemma2", "llama", "neox", "pythia"];
pub const CONVENTIONS: [&str; 7] = ["none", "scale", "constant_norm", "layer_norm", "center", "rescale", "bias_out"];

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub fn model(name: &str, device: DeviceName) -> Loaded {
    let folder = fixtures().join("models").join(name);
    let files = ModelFiles {
        config: Blob::path(folder.join("config.json")),
        weights: vec![Blob::path(folder.join("model.safetensors"))],
        tokenizer: TokenizerFiles::Json(Blob::path(fixtures().join("tokenizer/tokenizer.json"))),
        said: TokenizerSaid::default(),
    };
    Backend::open(device).expect("is always there").load(&files, ModelScope::Whole).expect("the fixture loads")
}

/// An SAE of a fixture with one of the conventions.
pub fn sae_of(get: &dyn Fn(&str) -> Array, convention: &str) -> Sae {
    let parts = SaeWeights {
        w_enc: get("w_enc").into(),
        b_enc: get("b_enc"),
        w_dec: get("w_dec").into(),
        b_dec: get("b_dec"),
        apply_b_dec_to_input: convention != "bias_out",
        rescale_acts_by_decoder_norm: convention == "rescale",
        activation: Activation::Relu,
        normalisation: match convention {
            "scale" => Normalisation::Scale(0.3),
            "constant_norm" => Normalisation::ConstantNorm,
            "layer_norm" => Normalisation::LayerNorm,
            _ => Normalisation::None,
        },
    };
    Sae::new(parts).expect("fits together")
}

pub fn close(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-4 * want.abs().max(1.0), "{what}: {got}, expected {want}");
}
