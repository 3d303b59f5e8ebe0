//! Questions to the state about where the chosen latent's activation comes from.
//! Not here: what is kept of it (`attribution.rs`), and drawing it.

use crate::analysis::{Attribution, HeadValue};
use crate::session::AttributionQuery;
use crate::site::SiteKind;
use crate::tui::app::App;
use crate::tui::location::{Focus, Page};

/// A row of the list of heads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeadRow {
    /// The head; all of them in the first row.
    pub head: Option<usize>,
    /// What it brought.
    pub value: f32,
    /// Its share of the decoder row; none for all.
    pub share: Option<f32>,
}

impl App {
    /// Whether the suite's SAEs read what attention heads mixed: only there heads and sources can be distinguished.
    #[must_use]
    pub fn reads_heads(&self) -> bool {
        self.opened.value().is_some_and(|opened| opened.site.kind == SiteKind::AttnZ)
    }

    /// What is to be asked for now: the chosen latent at the chosen token, in which run.
    #[must_use]
    pub fn origins_key(&self) -> Option<(AttributionQuery, u64)> {
        let chosen = self.chosen().filter(|_| self.token < self.tokens().len())?;
        let query = AttributionQuery { sae: chosen.sae, latent: chosen.latent, position: self.token };
        Some((query, self.runs))
    }

    /// The origins that were answered last, and whether they are those of the chosen latent and token. None of another
    /// prompt.
    #[must_use]
    pub fn attribution(&self) -> Option<(&Attribution, bool)> {
        let (answered, key) = (self.attribution.asked.answers()?, self.origins_key()?);
        let of = self.attribution.asked.value()?;
        (answered.1 == key.1).then_some((&**of, *answered == key))
    }

    /// All heads together, then each, the one that brought most first, either way.
    #[must_use]
    pub fn head_rows(&self) -> Vec<HeadRow> {
        let Some((of, _)) = self.attribution() else { return Vec::new() };
        let all = of.heads.iter().map(|head| head.value).sum();
        let row =
            |head: &HeadValue| HeadRow { head: Some(head.head), value: head.value, share: Some(head.decoder_share) };
        let mut rows: Vec<HeadRow> = of.heads.iter().map(row).collect();
        rows.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        rows.insert(0, HeadRow { head: None, value: all, share: None });
        rows
    }

    /// The row of the head that is looked through.
    #[must_use]
    pub fn head_row(&self) -> usize {
        self.head_rows().iter().position(|row| row.head == self.attribution.head).unwrap_or(0)
    }

    /// Whether the tokens show what the sources brought instead of where the latent fires.
    #[must_use]
    pub fn shows_sources(&self) -> bool {
        self.beside == Focus::Attribution && self.page == Page::Explore
    }
}
