//! What the latents of the chosen token do to what the model says: what is asked about it, and in which order it is shown.
//! Not here: drawing it, and the arithmetic.

use crate::session::EffectQuery;
use crate::tui::ask::Ask;

/// Effects of the latents that fire at the chosen token.
#[derive(Debug, Default)]
pub struct Effects {
    /// Whether latents stand in the order of their activations instead of their effects.
    pub by_activation: bool,
    /// What was asked and answered, by runs of the prompt.
    pub asked: Ask<EffectQuery, u64>,
}
