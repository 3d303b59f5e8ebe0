//! What lenses say of the chosen token and of the chosen latent.
//! Not here: drawing it, and the arithmetic.

use crate::session::{LensOfferQuery, LensPullQuery, LensQuery};
use crate::tui::ask::Ask;

/// What lenses say.
#[derive(Debug, Default)]
pub struct Lenses {
    /// First block on screen, where not all fit.
    pub top: usize,
    /// The chosen token at every block, by runs of the prompt.
    pub token: Ask<LensQuery, u64>,
    /// The chosen latent.
    pub latent: Ask<LensQuery>,
    /// Which lens is published.
    pub offer: Ask<LensOfferQuery>,
    /// Its download.
    pub pull: Ask<LensPullQuery>,
}
