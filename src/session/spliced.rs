//! What is spliced into the model in place of an activation, so that a cross-entropy is known by it.
//! Not here: measuring it (`loss.rs`, `curve.rs`).

use crate::analysis::{Change, Order};

/// What a way is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterpolationKey {
    pub generation: u64,
    pub places: (usize, usize),
    /// Bits of θ.
    pub threshold: u32,
    pub order: Order,
}

/// What stands in place of the activation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Spliced {
    /// Itself.
    Clean,
    /// The reconstruction of an SAE of the ladder.
    Sae(usize),
    /// That of a stitched SAE, built by hand.
    Changed { places: (usize, usize), changes: Vec<Change> },
    /// That of a stitched SAE on the way from one to another.
    Step { interpolation: InterpolationKey, step: usize },
}

/// A mean out of a sum and a number of predictions.
pub fn mean((sum, predictions): (f64, usize)) -> Option<f64> {
    (predictions > 0).then(|| sum / predictions as f64)
}
