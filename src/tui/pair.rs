//! Two prompts kept as A and B: what is asked about them.
//! Not here: drawing them, and the arithmetic.

use crate::session::{CompareQuery, SwapQuery};
use crate::tui::ask::Ask;

/// Two prompts beside each other.
#[derive(Debug, Default)]
pub struct TwoPrompts {
    /// The prompt kept as A.
    pub a: Option<String>,
    /// The prompt kept as B; the one shown otherwise.
    pub b: Option<String>,
    /// By how many tokens partners in B are moved.
    pub shift: isize,
    /// Whether the interchange stands below the tokens, in place of the latents.
    pub swaps: bool,
    /// Whether meta-latents are exchanged in place of latents, where the SAE has a meta-SAE.
    pub by_meta: bool,
    /// What was asked and answered about the two.
    pub asked: Ask<CompareQuery>,
    /// The interchange that was asked for.
    pub swap: Ask<SwapQuery>,
}
