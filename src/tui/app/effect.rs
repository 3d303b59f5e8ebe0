//! Questions to the state about what the latents of the chosen token do.
//! Not here: what is kept of it (`effect.rs`), and drawing it.

use crate::analysis::{EffectView, LatentEffect, SaeEffect};
use crate::session::{EffectQuery, LoadScope};
use crate::tui::app::App;
use crate::tui::location::{Focus, Page};

impl App {
    /// Whether effects are looked at: only then they are measured.
    #[must_use]
    pub fn shows_effects(&self) -> bool {
        self.beside == Focus::Effect && self.page == Page::Explore
    }

    /// Whether the whole model is open, without which nothing can be taken out of it.
    #[must_use]
    pub fn can_measure_effects(&self) -> bool {
        self.opened.value().is_some_and(|opened| opened.reach == LoadScope::Whole)
    }

    /// What is to be asked for now: the chosen SAE at the chosen token, in which run.
    #[must_use]
    pub fn effect_key(&self) -> Option<(EffectQuery, u64)> {
        let sae = self.sae().filter(|sae| sae.loaded && self.token < self.tokens().len())?;
        let query = EffectQuery {
            prompt: self.shown_prompt.clone(),
            saes: vec![sae.id.clone()],
            position: Some(self.token),
            read: None,
            token: None,
            seed: 0,
        };
        Some((query, self.runs))
    }

    /// The effects that were answered last, and whether they are those of the chosen SAE and token. None of another
    /// prompt.
    #[must_use]
    pub fn effects(&self) -> Option<(&EffectView, &SaeEffect, bool)> {
        let (answered, key) = (self.effect.asked.answers()?, self.effect_key()?);
        let view = self.effect.asked.value()?;
        (answered.1 == key.1).then_some((&**view, view.saes.first()?, *answered == key))
    }

    /// What a latent of the chosen SAE does at the chosen token, where that is shown and known.
    #[must_use]
    pub fn effect_of(&self, latent: u32) -> Option<f64> {
        let (_, sae, true) = self.effects().filter(|_| self.shows_effects())? else { return None };
        sae.latents.iter().find(|effect| effect.latent == latent).map(|effect| effect.delta_logprob)
    }

    /// The latents in the order in which they are shown.
    #[must_use]
    pub fn effect_rows(&self) -> Vec<LatentEffect> {
        let Some((_, sae, _)) = self.effects() else { return Vec::new() };
        let mut rows = sae.latents.clone();
        if self.effect.by_activation {
            rows.sort_by(|a, b| b.activation.total_cmp(&a.activation).then(a.latent.cmp(&b.latent)));
        }
        rows
    }

    /// The row of the chosen latent.
    #[must_use]
    pub fn effect_row(&self) -> Option<usize> {
        self.effect_rows().iter().position(|row| Some(row.latent) == self.latent)
    }
}
