//! Questions to the state about where the chosen latent fires in the corpus.
//! Not here: what is kept of it (`examples.rs`), and drawing it.

use crate::analysis::{Example, LatentCorpus};
use crate::session::CorpusQuery;
use crate::tui::app::App;

impl App {
    /// What is to be asked for now: the chosen latent.
    #[must_use]
    pub fn corpus_query(&self) -> Option<CorpusQuery> {
        let chosen = self.chosen()?;
        Some(CorpusQuery { sae: chosen.sae, latent: chosen.latent, index: None })
    }

    /// What the index said last of a latent, and whether that is the chosen one: until it is answered the latent before
    /// stays in view. None where there is no index.
    #[must_use]
    pub fn shown_corpus(&self) -> Option<(&LatentCorpus, bool)> {
        let (answered, _) = self.examples.asked.answers()?;
        let current = self.corpus_query().is_some_and(|query| query == *answered);
        let corpus = self.examples.asked.value()?.as_ref().as_ref()?;
        Some((corpus, current))
    }

    /// What the index says of the chosen latent; none where there is no index, or no answer about this latent yet.
    #[must_use]
    pub fn corpus(&self) -> Option<&LatentCorpus> {
        self.shown_corpus().filter(|(_, current)| *current).map(|(corpus, _)| corpus)
    }

    /// Whether the latent fires on more than a tenth of the text: what it fires on says little about it.
    #[must_use]
    pub fn is_dense_in_corpus(&self, corpus: &LatentCorpus) -> bool {
        corpus.density > 0.1
    }

    /// The examples that are listed: the strongest, or those of the tenth that is looked at.
    #[must_use]
    pub fn listed_examples(&self) -> Vec<&Example> {
        let Some((corpus, _)) = self.shown_corpus() else { return Vec::new() };
        let wanted = |example: &&Example| match self.examples.bin {
            None => example.best,
            Some(bin) => !example.best && example.quantile_bin == bin,
        };
        corpus.examples.iter().filter(wanted).collect()
    }

    /// The tenths that have examples of their own, the strongest first.
    #[must_use]
    pub fn example_bins(&self) -> Vec<u8> {
        let mut bins: Vec<u8> = self
            .shown_corpus()
            .map(|(corpus, _)| corpus.examples.iter().filter(|example| !example.best).map(|e| e.quantile_bin).collect())
            .unwrap_or_default();
        bins.sort_unstable_by(|a, b| b.cmp(a));
        bins.dedup();
        bins
    }
}
