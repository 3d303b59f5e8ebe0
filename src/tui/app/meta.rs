//! Questions to the state about what latents are made of.
//! Not here: what is kept of it (`meta.rs`), and drawing it.

use crate::analysis::{MetaCorpus, MetaEntry, PositionRun, SurgeryEdit};
use crate::session::{BreakdownQuery, MetaCorpusQuery, MetaState};
use crate::tui::app::App;
use crate::tui::location::{LatentRef, activation};
use crate::tui::meta::{Edits, MetaRef, Part, edits};

impl App {
    /// The meta-SAEs of the chosen SAE.
    #[must_use]
    pub fn metas(&self) -> Vec<&MetaState> {
        let Some(sae) = self.sae() else { return Vec::new() };
        self.meta.states.value().map_or_else(Vec::new, |all| all.iter().filter(|meta| meta.sae == sae.id).collect())
    }

    /// The meta-SAE that the chosen SAE's latents are taken apart by: the one the person chose, else the first.
    #[must_use]
    pub fn meta_ref(&self) -> Option<MetaRef> {
        self.meta_state().map(|state| MetaRef { sae: state.sae.clone(), meta: state.meta.clone() })
    }

    /// What is known of it.
    #[must_use]
    pub fn meta_state(&self) -> Option<&MetaState> {
        let all = self.metas();
        let chosen = self.sae().and_then(|sae| self.meta.chosen.get(&sae.id));
        let usable = |meta: &&&MetaState| meta.failure.is_none();
        all.iter().filter(usable).find(|m| Some(&m.meta) == chosen).or_else(|| all.iter().find(usable)).copied()
    }

    /// What the chosen latent is made of, when that is known.
    #[must_use]
    pub fn parts(&self) -> Option<&MetaEntry> {
        let (LatentRef { sae, latent }, meta) = (self.chosen()?, self.meta_ref()?.meta);
        let query = BreakdownQuery { sae, latent, meta: Some(meta) };
        let parts = self.meta.parts.of(&query, &())?;
        parts.metas.iter().find(|entry| Some(&entry.meta) == query.meta.as_ref())
    }

    /// What fires at the chosen token, by meta-latents.
    #[must_use]
    pub fn meta_position(&self) -> Option<&PositionRun> {
        let of = self.meta_ref()?;
        let run = self.meta.run.value().filter(|run| run.sae == of.sae && run.meta == of.meta)?;
        run.positions.get(self.token)
    }

    /// How strongly a meta-latent is there at every position.
    #[must_use]
    pub fn meta_heat(&self, meta_latent: u32) -> Vec<f32> {
        let of = self.meta_ref();
        let run = self.meta.run.value().filter(|run| of.is_some_and(|of| run.sae == of.sae && run.meta == of.meta));
        let Some(run) = run else { return vec![0.0; self.tokens().len()] };
        run.positions.iter().map(|position| activation(position, meta_latent)).collect()
    }

    /// What is asked of the index about the chosen meta-latent.
    #[must_use]
    pub fn meta_corpus_query(&self) -> Option<MetaCorpusQuery> {
        let (MetaRef { sae, meta }, meta_latent) = (self.meta_ref()?, self.meta.meta_latent?);
        Some(MetaCorpusQuery { sae, meta, meta_latent, index: None })
    }

    /// What the index, or its members' examples, say of the chosen meta-latent; none where that is not known yet.
    #[must_use]
    pub fn meta_corpus(&self) -> Option<&MetaCorpus> {
        self.meta.corpus.of(&self.meta_corpus_query()?, &self.index.version())?.as_ref().as_ref()
    }

    /// What is changed in the chosen latent.
    #[must_use]
    pub fn edits(&self) -> Option<&Edits> {
        self.meta.edits.get(&(self.chosen()?, self.meta_ref()?.meta))
    }

    /// The rows of surgery: the latent's parts, then what was added.
    #[must_use]
    pub fn cut_rows(&self) -> Vec<Part> {
        let Some(entry) = self.parts() else { return Vec::new() };
        edits::rows(entry, self.edits())
    }

    /// The edit as it stands.
    #[must_use]
    pub fn operation(&self) -> Option<SurgeryEdit> {
        let (chosen, of) = (self.chosen()?, self.meta_ref()?);
        let edits = self.edits().map(Edits::edits).unwrap_or_default();
        Some(SurgeryEdit { sae: of.sae, meta: of.meta, latent: chosen.latent, edits, seed: self.meta.seed })
    }
}
