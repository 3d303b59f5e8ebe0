//! Two latents side by side: which, what was asked of them, and how far their examples are scrolled.
//! Not here: drawing them.

use crate::session::SidesQuery;
use crate::tui::ask::Ask;

/// Two latents side by side.
#[derive(Debug, Default)]
pub struct TwoSides {
    /// Which.
    pub query: Option<SidesQuery>,
    /// The first example on screen.
    pub top: usize,
    /// What was asked and answered, by states of the index.
    pub asked: Ask<SidesQuery, u64>,
}
