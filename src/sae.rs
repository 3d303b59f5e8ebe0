//! Sparse autoencoders: the one form all releases reduce to, encode, decode, nearest latents, training.
//! Not here: the model whose activations they read.
//!
//! The form, for an activation x of length d_in, which an SAE reconstructs (so that d_out is d_in):
//! x′ = normalise(x), pre = (x′ − c·b_dec)·W_enc + b_enc, f = act(pre), x̂ = undo(f·W_dec + b_dec), c ∈ {0, 1}.

use std::borrow::Cow;
use std::sync::OnceLock;

use crate::json_file;
use crate::task::Cancelled;
use crate::weights::{self, Array, Matrix};

pub mod classes;
mod codes;
mod column;
mod decode;
mod encode;
mod encoder;
mod forest;
mod form;
pub mod formats;
pub mod lens;
pub mod meta;
pub mod metrics;
mod nearest;
mod shift;
pub mod stitch;
pub mod table;
pub mod train;

pub use classes::{Census, Class, Classes, Group};
pub use codes::{Affine, Codes};
pub use column::Column;
pub use encoder::Encoder;
pub use forest::{Comparison, Edge, Forest, compare};
pub use form::LinearForm;
pub use lens::SaeFiles;
pub use nearest::{NearestTable, Neighbour, nearest_all};

/// Most bytes of a matrix that is read through before use, so that what is not finite is found at once. In a larger one
/// it is found where it matters, when an activation or a reconstruction overflows.
const READ_THROUGH: u64 = 4 << 30;

/// Why an SAE could not be had or could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor is missing, has the wrong shape or type, or holds a value that is not finite.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// The configuration cannot be read.
    #[error("cannot read `{file}`")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{file}`")]
    Write {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The configuration says something that makes no sense.
    #[error("`{file}`: {why}")]
    Config {
        /// The file.
        file: String,
        /// What is wrong, naming the key.
        why: String,
    },
    /// The configuration asks for something this program cannot do.
    #[error("`{file}`: {what} is not supported; {supported}")]
    Unsupported {
        /// The file.
        file: String,
        /// What was asked for.
        what: String,
        /// What could be.
        supported: String,
    },
    /// A release whose files include a configuration, without it.
    #[error("`{file}` has no `{name}` beside it")]
    NoConfig {
        /// The weights.
        file: String,
        /// What is missing.
        name: String,
    },
    /// The parts of an SAE do not fit together.
    #[error("`{tensor}` has shape {found:?}, expected {expected:?}")]
    SaeWeights {
        /// The part.
        tensor: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape the other parts ask for.
        expected: Vec<usize>,
    },
    /// A part of an SAE holds a value that is not finite, and does not switch a latent off.
    #[error("`{tensor}` holds {value} at element {index}")]
    PartNotFinite {
        /// The part.
        tensor: &'static str,
        /// The value.
        value: f32,
        /// Its place, counted in elements.
        index: usize,
    },
    /// An encoder that is not a matrix, or one without rows or columns.
    #[error("`W_enc` has shape {found:?}, expected [d_in, latents], both at least 1")]
    Empty {
        /// Its shape.
        found: Vec<usize>,
    },
    /// TopK with a k that no latent or more than all of them could fill.
    #[error("k is {k}, expected 1 to the number of latents, {width}")]
    K {
        /// k.
        k: usize,
        /// The number of latents.
        width: usize,
    },
    /// Groups of latents that cannot be of the same size.
    #[error("k is {k}, which does not divide the {width} latents into groups of the same size")]
    Groups {
        /// k.
        k: usize,
        /// The number of latents.
        width: usize,
    },
    /// An activation that is not a whole number of rows.
    #[error("{found} values are not a whole number of rows of {d_in}")]
    InputSize {
        /// How many values there are.
        found: usize,
        /// The SAE's input size.
        d_in: usize,
    },
    /// An activation that is not finite.
    #[error("the activation at row {row}, dimension {dim} is {value}")]
    InputNotFinite {
        /// The row.
        row: usize,
        /// The dimension.
        dim: usize,
        /// The value.
        value: f32,
    },
    /// A finite activation that overflowed on its way through the encoder or the decoder.
    #[error("row {row} overflows at {place} {index}")]
    Overflow {
        /// The row.
        row: usize,
        /// `latent` or `dimension`.
        place: &'static str,
        /// Which one.
        index: usize,
    },
    /// Latents that the SAE does not have.
    #[error("there is no latent {latent}; the SAE has {width}")]
    Latent {
        /// The latent asked for.
        latent: usize,
        /// The number of latents.
        width: usize,
    },
    /// Two SAEs, or an SAE and a direction, of different input sizes.
    #[error("a decoder row of length {left} cannot be compared with one of length {right}")]
    Sizes {
        /// One input size.
        left: usize,
        /// The other.
        right: usize,
    },
    /// Two SAEs that cannot be stitched.
    #[error("the two SAEs cannot be stitched: {what}")]
    Unlike {
        /// Why.
        what: &'static str,
    },
    /// Changes that name a latent more than once.
    #[error("latent {latent} of the {side} SAE stands in more than one change")]
    Twice {
        /// `smaller` or `larger`.
        side: &'static str,
        /// The latent.
        latent: u32,
    },
    /// A threshold that is not a cosine.
    #[error("the threshold is {theta}, expected −1 to 1")]
    Threshold {
        /// The threshold.
        theta: f32,
    },
    /// A threshold below the one that two SAEs were compared down to.
    #[error("the threshold is {theta}, but the SAEs were compared down to {floor}")]
    Floor {
        /// The threshold.
        theta: f32,
        /// The lowest one that can be answered.
        floor: f32,
    },
    /// A meta-SAE that does not fit what it is asked about.
    #[error("the meta-SAE does not fit: {what}")]
    Meta {
        /// Why.
        what: String,
    },
    /// Memory that the system does not give.
    #[error("there is no memory to compare the SAEs in")]
    Memory {
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A latent whose decoder row is zero: it has no direction.
    #[error("the decoder row of latent {latent} is zero: there is nothing to take apart")]
    Zero {
        /// The latent.
        latent: usize,
    },
    /// Nobody wants the answer any more.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<json_file::Error> for Error {
    fn from(error: json_file::Error) -> Self {
        match error {
            json_file::Error::Read { file, source } => Self::Read { file, source },
            error => Self::Config { file: error.file().to_owned(), why: error.why() },
        }
    }
}

/// Directions of length 1, \[count, d\], drawn evenly: the same seed gives the same ones.
#[must_use]
pub fn random_directions(count: usize, d: usize, seed: u64) -> Vec<f32> {
    train::directions(count, d, seed)
}

/// What a latent's pre-activation must do to fire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Activation {
    /// f = max(pre, 0).
    Relu,
    /// f = pre where pre > θ and pre > 0.
    JumpRelu {
        /// θ, \[width\].
        threshold: Array,
    },
    /// The k largest pre-activations of a token, then ReLU. Ties go to the lower index.
    TopK {
        /// k, from 1 to the width.
        k: usize,
    },
    /// The latents stand in k groups of as many, side by side: the largest pre-activation of each, then ReLU. Ties go to
    /// the lower index.
    GroupMax {
        /// k, from 1 to the width, which it divides.
        k: usize,
    },
    /// f = \[x·W_enc + b_gate > 0\] · ReLU(x·(W_enc·exp(r_mag)) + b_mag). `SaeWeights::b_enc` is not used.
    Gated {
        /// \[width\].
        b_gate: Array,
        /// \[width\].
        b_mag: Array,
        /// \[width\].
        r_mag: Array,
    },
}

/// What is done to an activation before it is encoded, and undone after it is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Normalisation {
    /// Nothing.
    #[default]
    None,
    /// x·s with one factor for all tokens (SAELens `expected_average_only_in`, where it is not folded in).
    Scale(f32),
    /// x·√d_in / ‖x‖ (SAELens `constant_norm_rescale`). A zero row stays zero.
    ConstantNorm,
    /// (x − mean) / (std + 1e-5), std with d_in − 1 (SAELens `layer_norm`).
    LayerNorm,
}

/// What an SAE is made of. [`Sae::new`] checks that it fits together.
#[derive(Clone, Debug)]
pub struct SaeWeights {
    /// x·W_enc, \[d_in, width\].
    pub w_enc: Encoder,
    /// \[width\].
    pub b_enc: Array,
    /// \[width, d_out\].
    pub w_dec: Matrix,
    /// \[d_out\].
    pub b_dec: Array,
    /// Whether b_dec is taken from the input before it is encoded (c = 1).
    pub apply_b_dec_to_input: bool,
    /// Whether pre-activations are multiplied by the length of their decoder rows before they are judged, and
    /// activations divided by it before they are decoded.
    pub rescale_acts_by_decoder_norm: bool,
    /// What makes a latent fire.
    pub activation: Activation,
    /// What is done to the input.
    pub normalisation: Normalisation,
}

/// What a release says about an SAE beside its weights. Nothing here changes what [`Sae::encode`] does.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Metadata {
    /// The architecture as the configuration spells it.
    pub architecture: String,
    /// The model it was trained on, such as `gpt2-small`.
    pub model_name: Option<String>,
    /// Where in the model, such as `blocks.8.hook_resid_pre`.
    pub hook_name: Option<String>,
    /// The layer, where the configuration gives it apart from the name.
    pub hook_layer: Option<usize>,
    /// The one attention head whose output it reads, when it reads one.
    pub hook_head_index: Option<usize>,
    /// Whether prompts began with a beginning-of-sequence token; unknown when the release does not say.
    pub prepend_bos: Option<bool>,
    /// Its name on Neuronpedia, such as `gpt2-small/8-res-jb`.
    pub neuronpedia_id: Option<String>,
    /// The length of the texts it was trained on.
    pub context_size: Option<usize>,
    /// The SAELens that wrote it.
    pub sae_lens_version: Option<String>,
    /// The element type that the configuration states, such as `bfloat16`; SAELens computes in it.
    pub dtype: Option<String>,
    /// What a person should know about how the files were read.
    pub notes: Vec<String>,
}

/// A sparse autoencoder, ready to use. Clones share the weights.
#[derive(Clone, Debug)]
pub struct Sae {
    parts: SaeWeights,
    /// Beside the weights: what the release says.
    pub metadata: Metadata,
    /// log10 of how often each latent fired in training, \[width\], where the release has it.
    pub log_sparsity: Option<Array>,
    squared_norms: OnceLock<Vec<f32>>,
    decoder_hash: OnceLock<[u8; 32]>,
}

impl Sae {
    /// An SAE of these parts.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::SaeWeights`] when shapes disagree, [`Error::PartNotFinite`], [`Error::K`], [`Error::Groups`].
    pub fn new(parts: SaeWeights) -> Result<Self, Error> {
        let (d_in, width) = (parts.w_enc.d_in(), parts.w_enc.width());
        if d_in == 0 || width == 0 {
            return Err(Error::Empty { found: vec![d_in, width] });
        }
        let (rows, d_out) = (parts.w_dec.rows(), parts.w_dec.cols());
        // What is taken from the input, and what is undone of it, has its size.
        let same = parts.apply_b_dec_to_input || parts.normalisation != Normalisation::None;
        if rows != width || d_out == 0 || (same && d_out != d_in) {
            let expected = vec![width, if same || d_out == 0 { d_in } else { d_out }];
            return Err(Error::SaeWeights { tensor: "W_dec", found: vec![rows, d_out], expected });
        }
        for (tensor, matrix) in [("W_enc", parts.w_enc.matrix()), ("W_dec", &parts.w_dec)] {
            if matrix.bytes() <= READ_THROUGH
                && let Some((index, value)) = matrix.first_not_finite()
            {
                return Err(Error::PartNotFinite { tensor, value, index });
            }
        }
        for (tensor, array, expected) in parts.named(d_out, width) {
            if array.shape() != expected {
                return Err(Error::SaeWeights { tensor, found: array.shape().to_vec(), expected });
            }
            // Most arrays are finite, and that is seen at once.
            if array.first_not_finite().is_some()
                && let Some(index) = array.iter().position(|value| !value.is_finite() && !switches_off(tensor, *value))
            {
                return Err(Error::PartNotFinite { tensor, value: array[index], index });
            }
        }
        if let Activation::TopK { k } | Activation::GroupMax { k } = parts.activation
            && !(1..=width).contains(&k)
        {
            return Err(Error::K { k, width });
        }
        if let Activation::GroupMax { k } = parts.activation
            && !width.is_multiple_of(k)
        {
            return Err(Error::Groups { k, width });
        }
        Ok(Self {
            parts,
            metadata: Metadata::default(),
            log_sparsity: None,
            squared_norms: OnceLock::new(),
            decoder_hash: OnceLock::new(),
        })
    }

    /// The same SAE with another normalisation of its input; what notes said of the one that its files state goes.
    #[must_use]
    pub fn with_normalisation(mut self, normalisation: Normalisation) -> Self {
        self.parts.normalisation = normalisation;
        let stated = ["`normalize_activations`", "`norm_scaling_factor`"];
        self.metadata.notes.retain(|note| !stated.iter().any(|key| note.contains(key)));
        self
    }

    /// The length of the activation that it reads.
    pub const fn d_in(&self) -> usize {
        self.parts.w_enc.d_in()
    }

    /// The length of the activation that it writes: that of an SAE's input. (A transcoder's may differ.)
    pub const fn d_out(&self) -> usize {
        self.parts.w_dec.cols()
    }

    /// The number of latents.
    pub fn width(&self) -> usize {
        self.parts.w_dec.rows()
    }

    /// The element type of its files: of the encoder, which says what fires.
    pub fn stored(&self) -> &'static str {
        self.parts.w_enc.matrix().element()
    }

    /// What it is made of.
    pub const fn parts(&self) -> &SaeWeights {
        &self.parts
    }

    /// A latent's decoder row, \[d_out\].
    ///
    /// # Errors
    /// [`Error::Latent`].
    pub fn decoder_row(&self, latent: usize) -> Result<Cow<'_, [f32]>, Error> {
        self.check_latent(latent)?;
        Ok(self.parts.w_dec.row(latent))
    }

    /// A latent's encoder bias; for a gated SAE that of its gate.
    ///
    /// # Errors
    /// [`Error::Latent`].
    pub fn encoder_bias(&self, latent: usize) -> Result<f32, Error> {
        self.check_latent(latent)?;
        Ok(match &self.parts.activation {
            Activation::Gated { b_gate, .. } => b_gate[latent],
            _ => self.parts.b_enc[latent],
        })
    }

    /// The length of a latent's decoder row.
    ///
    /// # Errors
    /// [`Error::Latent`].
    pub fn decoder_norm(&self, latent: usize) -> Result<f32, Error> {
        let row = self.decoder_row(latent)?;
        Ok(nearest::squared_norm(&row).sqrt())
    }

    /// What an activation of `latent` is multiplied by when it is decoded: 1, or one over the decoder row's length
    /// where activations are rescaled (then 0 for a zero row, whose direction says nothing).
    pub(crate) fn decode_gain(&self, latent: usize) -> f32 {
        if !self.parts.rescale_acts_by_decoder_norm {
            return 1.0;
        }
        let norm = self.squared_norms()[latent].sqrt();
        if norm == 0.0 { 0.0 } else { 1.0 / norm }
    }

    /// The squared lengths of all decoder rows, \[width\], computed once.
    pub(crate) fn squared_norms(&self) -> &[f32] {
        self.squared_norms.get_or_init(|| nearest::squared_norms(&self.parts.w_dec))
    }

    /// A hash of the decoder rows, by which what was computed from them is kept. Computed once; reads them all.
    pub fn decoder_hash(&self) -> &[u8; 32] {
        self.decoder_hash.get_or_init(|| table::decoder_hash(self))
    }

    fn check_latent(&self, latent: usize) -> Result<(), Error> {
        if latent < self.width() { Ok(()) } else { Err(Error::Latent { latent, width: self.width() }) }
    }
}

/// Whether a value of a vector is one by which people switch a latent off: whatever is added to it or compared with it,
/// the latent does not fire.
fn switches_off(tensor: &str, value: f32) -> bool {
    match tensor {
        "threshold" => value == f32::INFINITY,
        "b_enc" | "b_gate" | "b_mag" => value == f32::NEG_INFINITY,
        _ => false,
    }
}

impl SaeWeights {
    /// Every vector with its name in SAELens files and the shape it must have.
    fn named(&self, d_out: usize, width: usize) -> Vec<(&'static str, &Array, Vec<usize>)> {
        let mut named = vec![("b_enc", &self.b_enc, vec![width]), ("b_dec", &self.b_dec, vec![d_out])];
        match &self.activation {
            Activation::Relu | Activation::TopK { .. } | Activation::GroupMax { .. } => {}
            Activation::JumpRelu { threshold } => named.push(("threshold", threshold, vec![width])),
            Activation::Gated { b_gate, b_mag, r_mag } => {
                named
                    .extend([("b_gate", b_gate), ("b_mag", b_mag), ("r_mag", r_mag)].map(|(n, a)| (n, a, vec![width])));
            }
        }
        named
    }
}
