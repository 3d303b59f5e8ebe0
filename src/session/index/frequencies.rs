//! How often and how strongly some latents fire in the index of the open suite.
//! Not here: where they fire (`CorpusQuery`), and finding the index.

use std::path::PathBuf;

use crate::analysis::LatentFrequency;
use crate::report::Report;
use crate::session::index::{Counted, kept};
use crate::session::query::{Cx, Lane, Query};

/// How often and how strongly some latents of an SAE fire in the index; one that is being made answers with what was
/// read so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrequenciesQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latents.
    pub latents: Vec<u32>,
    /// Another index than the suite's own.
    pub index: Option<PathBuf>,
}

/// How often and how strongly latents of one SAE fire.
#[derive(Clone, Debug, PartialEq)]
pub struct Frequencies {
    /// The SAE's id.
    pub sae: String,
    /// Tokens of the index.
    pub tokens: u64,
    /// Each latent with its frequency, by rising index; one that the SAE does not have is left out.
    pub latents: Vec<(u32, LatentFrequency)>,
}

impl Query for FrequenciesQuery {
    /// None where there is no index of the SAE.
    type Answer = Option<Frequencies>;
    const NAME: &'static str = "frequencies";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 6;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Option<Frequencies>, Report> {
        let suite = cx.suite()?;
        suite.place(&self.sae)?;
        let mut latents = self.latents.clone();
        latents.sort_unstable();
        latents.dedup();
        let tokenizer = &suite.model.tokenizer;
        match suite.counted(&self.sae, None, self.index.as_deref(), cx.cancel, cx.progress)? {
            Counted::Live(live) => Ok(kept::live_frequencies(&live.corpus(), &self.sae, &latents, tokenizer)),
            Counted::Kept(kept) => kept.frequencies(&self.sae, &latents, tokenizer).map(Some),
            Counted::Nothing => Ok(None),
        }
    }
}
