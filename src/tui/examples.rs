//! Where the chosen latent fires in the corpus: what is asked about it, and which example is looked at.
//! Not here: drawing it, and the index.

use crate::session::CorpusQuery;
use crate::tui::ask::Ask;

/// Examples of the chosen latent.
#[derive(Debug, Default)]
pub struct Examples {
    /// The tenth of its activations that is looked at, 1 the weakest; none for the strongest examples.
    pub bin: Option<u8>,
    /// The chosen example of those that are listed.
    pub row: usize,
    /// What was asked and answered, by states of the index.
    pub asked: Ask<CorpusQuery, u64>,
}
