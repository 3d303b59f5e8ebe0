//! Questions to the state about what the latents of the chosen token do.
//! Not here: what is kept of it (`effect.rs`), and drawing it.

use crate::analysis::intervention::LatentId;
use crate::analysis::{CellEffect, EffectView, GridView, LatentEffect, MetaEffectView, Relation, SaeEffect, SaeGrid};
use crate::session::{EffectQuery, GRID_POSITIONS, GridQuery, LoadScope, MetaEffectQuery};
use crate::tui::app::App;
use crate::tui::effect::EffectPage;
use crate::tui::location::{Focus, Page};

/// A row among the SAEs of every width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WidthRow {
    /// The SAE's place in the answer.
    pub place: usize,
    /// What it is.
    pub of: WidthPart,
}

/// What of an SAE a row is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WidthPart {
    /// All latents that fire.
    All,
    /// The SAE's error.
    Error,
    /// One latent.
    Latent {
        /// What it does.
        effect: LatentEffect,
        /// What it is to the chosen latent, where it is one of its relatives, and their cosine.
        relative: Option<(Relation, f32)>,
    },
}

/// Latents of an SAE that are shown among those of every width, beside the chosen latent and its relatives.
const STRONGEST: usize = 3;

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
            read: self.effect.read.filter(|read| (self.token..self.tokens().len()).contains(read)),
            token: self.effect_token(self.effect_read().max(self.token)),
            relatives_of: None,
            seed: 0,
        };
        Some((query, self.runs))
    }

    /// Where the next token is read.
    #[must_use]
    pub fn effect_read(&self) -> usize {
        self.effect.read.filter(|read| *read < self.tokens().len()).unwrap_or(self.token)
    }

    /// The token asked about where it is not the likeliest: the one that follows in the text.
    fn effect_token(&self, read: usize) -> Option<String> {
        self.tokens().get(read + 1).filter(|_| self.effect.follows).map(|token| token.text.clone())
    }

    /// Whether effects of every position are looked at.
    #[must_use]
    pub fn shows_grid(&self) -> bool {
        self.shows_effects() && self.effect.page == EffectPage::Positions
    }

    /// What is to be asked for now of every position, in which run.
    #[must_use]
    pub fn grid_key(&self) -> Option<(GridQuery, u64)> {
        let sae = self.sae().filter(|sae| sae.loaded && self.token < self.tokens().len())?;
        let query = GridQuery {
            prompt: self.shown_prompt.clone(),
            saes: vec![sae.id.clone()],
            read: Some(self.effect_read()),
            token: self.effect_token(self.effect_read()),
            positions: GRID_POSITIONS,
        };
        Some((query, self.runs))
    }

    /// What is known of every position: what grows while it is measured, else the last answer; and whether it is of what
    /// is asked now. None of another prompt.
    #[must_use]
    pub fn grid(&self) -> Option<(&GridView, &SaeGrid, bool)> {
        let (key, grid) = (self.grid_key()?, &self.effect.grid);
        let so_far = grid.progressed().and_then(|progress| progress.so_far.as_ref()?.of::<GridView>());
        if let Some(view) = so_far.filter(|_| grid.is_pending() && grid.question() == Some(&key)) {
            return Some((view, view.saes.first()?, true));
        }
        let (view, answered) = (grid.value()?, grid.answers()?);
        (answered.1 == key.1).then_some((&**view, view.saes.first()?, *answered == key))
    }

    /// The latents of positions in the order in which they are shown, and the one that is chosen.
    #[must_use]
    pub fn grid_cells(&self) -> (&[CellEffect], Option<usize>) {
        let cells = self.grid().map_or(&[][..], |(_, sae, _)| &sae.cells);
        let chosen = |cell: &CellEffect| cell.position == self.token && Some(cell.latent) == self.latent;
        (cells, cells.iter().position(chosen))
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

    /// What is to be asked for now of every SAE, in which run.
    #[must_use]
    pub fn widths_key(&self) -> Option<(EffectQuery, u64)> {
        let (query, run) = self.effect_key()?;
        let relatives_of = self.chosen().map(|chosen| LatentId { sae: chosen.sae, latent: chosen.latent });
        Some((EffectQuery { saes: Vec::new(), relatives_of, ..query }, run))
    }

    /// What every SAE does at the token that was asked about last, and whether that is what is asked now. None of another
    /// prompt.
    #[must_use]
    pub fn widths(&self) -> Option<(&EffectView, bool)> {
        let (answered, key) = (self.effect.widths.answers()?, self.widths_key()?);
        let view = self.effect.widths.value()?;
        (answered.1 == key.1).then_some((&**view, *answered == key))
    }

    /// For each SAE all latents, the error, the chosen latent or its relatives, and those that do most.
    #[must_use]
    pub fn width_rows(&self) -> Vec<WidthRow> {
        let Some((view, _)) = self.widths() else { return Vec::new() };
        let mut rows = Vec::new();
        for (place, sae) in view.saes.iter().enumerate() {
            rows.extend([WidthPart::All, WidthPart::Error].map(|of| WidthRow { place, of }));
            let relative = |latent: u32| {
                let found = view.relatives.iter().flatten().find(|of| of.sae == sae.id && of.effect.latent == latent);
                found.map(|of| (of.relation, of.cosine))
            };
            let own = |latent: u32| self.chosen().is_some_and(|chosen| chosen.sae == sae.id && chosen.latent == latent);
            let among = sae
                .latents
                .iter()
                .enumerate()
                .filter(|(at, of)| *at < STRONGEST || own(of.latent) || relative(of.latent).is_some());
            rows.extend(among.map(|(_, effect)| {
                let relative = relative(effect.latent);
                WidthRow { place, of: WidthPart::Latent { effect: *effect, relative } }
            }));
        }
        rows
    }

    /// The row that is chosen among them: that of the chosen latent where the person chose none.
    #[must_use]
    pub fn width_row(&self) -> usize {
        let (rows, view) = (self.width_rows(), self.widths().map(|(view, _)| view));
        let own = |row: &WidthRow| {
            let chosen = self.chosen().zip(view);
            let WidthPart::Latent { effect, .. } = row.of else { return false };
            chosen.is_some_and(|(of, view)| of.latent == effect.latent && of.sae == view.saes[row.place].id)
        };
        let row = self.effect.row.or_else(|| rows.iter().position(own)).unwrap_or(0);
        row.min(rows.len().saturating_sub(1))
    }

    /// What is to be asked for now of the chosen latent's meta-latents, in which run.
    #[must_use]
    pub fn part_effects_key(&self) -> Option<(MetaEffectQuery, u64)> {
        let ((query, run), chosen, of) = (self.effect_key()?, self.chosen()?, self.meta_ref()?);
        let EffectQuery { prompt, position, read, token, seed, .. } = query;
        let latents = vec![chosen.latent];
        Some((MetaEffectQuery { prompt, sae: of.sae, meta: of.meta, latents, position, read, token, seed }, run))
    }

    /// What the meta-latents do of the latent that was asked about last, and whether that is the chosen one. None of
    /// another prompt.
    #[must_use]
    pub fn part_effects(&self) -> Option<(&MetaEffectView, bool)> {
        let (answered, key) = (self.effect.parts.answers()?, self.part_effects_key()?);
        let view = self.effect.parts.value()?;
        (answered.1 == key.1).then_some((&**view, *answered == key))
    }
}
