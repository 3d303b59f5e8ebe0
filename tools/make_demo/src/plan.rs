//! The sizes and seeds of the demo: the whole recipe in one place.
//! It does nothing itself.

use crate::lm::Shape;
use crate::lm_train::Recipe;

pub struct Plan {
    /// Bytes of the text that the tokenizer and the model learn from.
    pub text: usize,
    pub vocab: usize,
    /// Rows of 128 tokens whose activations the ladder learns from.
    pub rows: usize,
    /// Rows of unseen text that everything is measured on.
    pub measured: usize,
    pub epochs: usize,
    /// Width, k and steps of each SAE.
    pub ladder: Vec<(usize, usize, usize)>,
}

/// Seeds of the texts: one for learning, one for activations, one for measuring.
pub const TEXT_SEEDS: [u64; 3] = [1, 2, 3];
/// The site: the residual stream before this block.
pub const LAYER: usize = 3;
/// Bytes of `text.txt`.
pub const SAMPLE_TEXT: usize = 16_000;

impl Plan {
    /// What is kept in `assets/demo/`.
    pub fn full() -> Self {
        // One k for all: where the widths have k of their own, each says things in its own way, and most latents of
        // the next width look new.
        let ladder = [128, 256, 512, 1024, 2048, 4096].map(|width| (width, 8, 5_000)).to_vec();
        Self { text: 26_000_000, vocab: 4096, rows: 6_000, measured: 512, epochs: 1, ladder }
    }

    /// The same in a few minutes, and much worse.
    pub fn quick() -> Self {
        let full = Self::full();
        let ladder = full.ladder.iter().map(|(width, k, _)| (*width, *k, 600)).collect();
        Self { text: 3_600_000, rows: 1_500, measured: 128, ladder, ..full }
    }

    pub fn shape(vocab: usize) -> Shape {
        Shape { vocab, context: 128, width: 128, layers: 4, heads: 4 }
    }

    pub fn recipe(&self) -> Recipe {
        Recipe { rate: 3e-3, batch: 8, epochs: self.epochs, seed: 3 }
    }
}
