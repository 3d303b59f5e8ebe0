//! Where the chosen latent's activation comes from: what is asked about it, and which head is looked through.
//! Not here: drawing it, and the arithmetic.

use crate::session::AttributionQuery;
use crate::tui::ask::Ask;

/// Heads and sources of the chosen latent at the chosen token.
#[derive(Debug, Default)]
pub struct Attributions {
    /// The head that is looked through; all of them otherwise.
    pub head: Option<usize>,
    /// What was asked and answered, by runs of the prompt.
    pub asked: Ask<AttributionQuery, u64>,
}
