//! What the latents of the chosen token do to what the model says: what is asked about it, and in which order it is shown.
//! Not here: drawing it, and the arithmetic.

use crate::session::{EffectQuery, GridQuery, MetaEffectQuery};
use crate::tui::ask::{AnyAsk, Ask};

/// Effects of the latents that fire at the chosen token, and of those in front of a token further on.
#[derive(Debug, Default)]
pub struct Effects {
    /// What is shown of them.
    pub page: EffectPage,
    /// Whether latents stand in the order of their activations instead of their effects.
    pub by_activation: bool,
    /// Where the next token is read; at the chosen token otherwise.
    pub read: Option<usize>,
    /// Whether the token that follows in the text is asked about instead of the likeliest.
    pub follows: bool,
    /// What was asked and answered, by runs of the prompt.
    pub asked: Ask<EffectQuery, u64>,
    /// The same of every position.
    pub grid: Ask<GridQuery, u64>,
    /// The same of every SAE at the chosen token, with the relatives of the chosen latent.
    pub widths: Ask<EffectQuery, u64>,
    /// The same of the chosen latent's meta-latents.
    pub parts: Ask<MetaEffectQuery, u64>,
    /// The row that a person chose among the SAEs or meta-latents.
    pub row: Option<usize>,
}

impl Effects {
    /// All that may be asked about a prompt.
    pub fn asks(&mut self) -> [&mut dyn AnyAsk; 4] {
        [&mut self.asked, &mut self.grid, &mut self.widths, &mut self.parts]
    }
}

/// What is shown of effects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EffectPage {
    /// The latents of the chosen token.
    #[default]
    Latents,
    /// Every position, and the latents at those that do most.
    Positions,
    /// Every SAE at the chosen token.
    Widths,
    /// The meta-latents of the chosen latent.
    Parts,
}

impl EffectPage {
    /// The page after it, where there may be meta-latents or none.
    #[must_use]
    pub const fn next(self, metas: bool) -> Self {
        match self {
            Self::Latents => Self::Positions,
            Self::Positions => Self::Widths,
            Self::Widths if metas => Self::Parts,
            Self::Widths | Self::Parts => Self::Latents,
        }
    }
}
