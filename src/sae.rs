//! Sparse autoencoders: formats, encode, decode, nearest latents, training.
//! Not here: the model whose activations they read.

use crate::weights::Array;

/// What a latent's pre-activation must do to fire.
#[derive(Clone, Debug)]
pub enum Activation {
    /// f = max(pre, 0).
    Relu,
    /// f = pre where pre > θ, per latent [width] (and pre > 0).
    JumpRelu {
        /// θ, [width].
        threshold: Array,
    },
    /// The k largest pre-activations of a token, then ReLU.
    TopK {
        /// k.
        k: usize,
    },
    /// f = [x·W_enc + b_gate > 0] · ReLU(x·(W_enc·exp(r_mag)) + b_mag).
    Gated {
        /// [width].
        b_gate: Array,
        /// [width].
        b_mag: Array,
        /// [width].
        r_mag: Array,
    },
}

/// What fires, token by token: for each row the latents that are not zero, by rising index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Codes {
    /// Where each row starts in `latents` and `values`; one more entry than rows.
    pub starts: Vec<usize>,
    /// Latent of each active pair.
    pub latents: Vec<u32>,
    /// Activation of each active pair.
    pub values: Vec<f32>,
}

impl Codes {
    /// The number of rows (tokens).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The latents and activations of one row.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.latents[range.clone()], &self.values[range])
    }
}
