//! The layout of the published meta-SAE: `SAE.pt`, a state dictionary, and `Config.json` of its training.
//! Not here: PyTorch's file format (`weights::pickle`).
//!
//! Layout and forward pass are those of the authors' `BatchTopKSAE`: a = ReLU((w − b_dec)·W_enc), kept where a > τ.
//! The file holds a `b_enc` that the forward pass never uses, and no τ.

use crate::blob::Blob;
use crate::json_file::JsonFile;
use crate::sae::{Activation, Error, Normalisation, Sae, SaeWeights};
use crate::task::Cancel;
use crate::weights::{self, Array, pickle};

use super::table;

/// A meta-SAE as it was published: everything but τ, which the file does not hold.
#[derive(Debug)]
pub struct Published {
    /// With τ = 0.
    sae: Sae,
    /// k it was trained with, where its configuration says so.
    pub k: Option<usize>,
}

/// Opens `SAE.pt` and its configuration.
///
/// # Errors
/// [`Error::Weights`] and [`Error::Config`], each naming the file.
pub fn published(weights: &Blob, config: Option<&Blob>) -> Result<Published, Error> {
    let file = weights.name();
    let state = pickle::open(weights)?.unwrapped();
    let pickle::Value::Dict(pairs) = &state else {
        let why = format!("it holds {}, not a dictionary of tensors", state.kind());
        return Err(weights::Error::Pickle { file: file.to_owned(), why }.into());
    };
    let known = ["W_enc", "W_dec", "b_enc", "b_dec"];
    if let Some((stranger, _)) = pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        let why = format!("it holds `{}`, which no BatchTopK SAE has", stranger.escape_debug());
        return Err(Error::Config { file: file.to_owned(), why });
    }
    let (width, d_in) = match *state.tensor_of(file, "W_dec")?.shape() {
        [width, d_in] if width > 0 && d_in > 0 => (width, d_in),
        ref found => {
            return Err(Error::Weights(weights::Error::Shape {
                file: file.to_owned(),
                tensor: "W_dec".to_owned(),
                found: found.to_vec(),
                expected: "[meta-latents, d_in], both at least 1".to_owned(),
            }));
        }
    };
    let tensor = |name: &str, shape: &[usize]| state.tensor(file, name, shape);
    let parts = SaeWeights {
        w_enc: tensor("W_enc", &[d_in, width])?.into(),
        b_enc: Array::owned(vec![0.0; width], &[width]),
        w_dec: tensor("W_dec", &[width, d_in])?.into(),
        b_dec: tensor("b_dec", &[d_in])?,
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: false,
        activation: Activation::JumpRelu { threshold: Array::owned(vec![0.0; width], &[width]) },
        normalisation: Normalisation::None,
    };
    let mut sae = Sae::new(parts).map_err(|error| match error {
        Error::PartNotFinite { tensor, value, index } => {
            Error::Weights(weights::Error::NotFinite { file: file.to_owned(), tensor: tensor.to_owned(), value, index })
        }
        error => error,
    })?;
    "batch-topk".clone_into(&mut sae.metadata.architecture);
    let k = config.map(|config| read_k(config, width, d_in, file)).transpose()?.flatten();
    Ok(Published { sae, k })
}

/// k of a configuration whose sizes must be those of the weights.
fn read_k(config: &Blob, width: usize, d_in: usize, weights: &str) -> Result<Option<usize>, Error> {
    let config = JsonFile::open(config)?;
    config.must_be("dict_size", width, "W_dec", weights)?;
    config.must_be("act_size", d_in, "W_dec", weights)?;
    match config.size("top_k")? {
        Some(k) if !(1..=width).contains(&k) => {
            let why = format!("`top_k` is {k}, expected 1 to the number of meta-latents, {width}");
            Err(Error::Config { file: config.file().to_owned(), why })
        }
        k => Ok(k),
    }
}

impl Published {
    /// The SAE as the file has it, with τ = 0.
    pub const fn sae(&self) -> &Sae {
        &self.sae
    }

    /// The SAE with this τ.
    ///
    /// # Errors
    /// [`Error::Meta`] for a τ that is not finite or negative.
    pub fn with_threshold(self, threshold: f32) -> Result<Sae, Error> {
        if !(threshold.is_finite() && threshold >= 0.0) {
            return Err(Error::Meta { what: format!("its threshold is {threshold}, expected 0 or a positive number") });
        }
        let width = self.sae.width();
        let mut parts = self.sae.parts().clone();
        parts.activation = Activation::JumpRelu { threshold: Array::owned(vec![threshold; width], &[width]) };
        let mut sae = Sae::new(parts)?;
        sae.metadata = self.sae.metadata;
        Ok(sae)
    }

    /// The SAE with the τ at which, in the mean over the decoder rows of `of`, k meta-latents are active.
    ///
    /// # Errors
    /// [`Error::Meta`] where rows do not fit or nothing fires, [`Error::Cancelled`].
    pub fn fitted(self, of: &Sae, k: usize, cancel: &Cancel) -> Result<Sae, Error> {
        let threshold = table::threshold_for(&self.sae, of, k, cancel)?;
        self.with_threshold(threshold)
    }
}
