//! Questions to the state about the search for latents.
//! Not here: drawing it.

use crate::session::{CorpusQuery, PreviewQuery};
use crate::tui::app::App;
use crate::tui::location::LatentRef;
use crate::tui::overlay::Overlay;

impl App {
    /// The chosen latent of those that the search found for what is typed now.
    #[must_use]
    pub fn found_latent(&self) -> Option<LatentRef> {
        let Some(Overlay::Search(field)) = self.overlay.last() else { return None };
        let found = self.found.value().filter(|found| found.query == field.input.value())?;
        Some(LatentRef { sae: found.sae.clone(), latent: found.hits.get(field.row)?.latent })
    }

    /// What is asked about it.
    #[must_use]
    pub fn preview_query(&self) -> Option<PreviewQuery> {
        let LatentRef { sae, latent } = self.found_latent()?;
        Some(PreviewQuery(CorpusQuery { sae, latent, index: None }))
    }
}
