//! Questions to the state about the two prompts that are compared.
//! Not here: what is kept of them (`pair.rs`), and drawing it.

use crate::analysis::compare::TokenPair;
use crate::analysis::{CompareView, Firing, SwapOrder, SwapView};
use crate::session::{CompareQuery, LoadScope, SwapQuery};
use crate::tui::app::App;
use crate::tui::location::{Focus, Page};

/// Next tokens wanted after each token of a pair.
const NEXT: usize = 4;

/// A latent of a pair: where it fires, and how strongly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairRow {
    /// The latent.
    pub latent: u32,
    /// In A.
    pub a: Option<f32>,
    /// In B.
    pub b: Option<f32>,
}

impl App {
    /// Whether two prompts are looked at: only then they are run.
    #[must_use]
    pub fn shows_pair(&self) -> bool {
        self.beside == Focus::Compare && self.page == Page::Explore
    }

    /// Prompt A.
    #[must_use]
    pub fn prompt_a(&self) -> &str {
        self.pair.a.as_deref().unwrap_or(&self.shown_prompt)
    }

    /// Prompt B.
    #[must_use]
    pub fn prompt_b(&self) -> &str {
        self.pair.b.as_deref().unwrap_or(&self.shown_prompt)
    }

    /// What is to be asked about the two now.
    #[must_use]
    pub fn compare_key(&self) -> Option<CompareQuery> {
        let sae = self.sae().filter(|sae| sae.loaded && !self.weights_only())?;
        let whole = self.opened.value().is_some_and(|opened| opened.reach == LoadScope::Whole);
        Some(CompareQuery {
            a: self.prompt_a().to_owned(),
            b: self.prompt_b().to_owned(),
            sae: sae.id.clone(),
            shift: self.pair.shift,
            next: if whole { NEXT } else { 0 },
        })
    }

    /// The comparison that was answered last, and whether it is of the prompts as they are.
    #[must_use]
    pub fn comparison(&self) -> Option<(&CompareView, bool)> {
        let (view, key) = (self.pair.asked.value()?, self.compare_key()?);
        let current = self.pair.asked.answers().is_some_and(|(answered, ())| *answered == key);
        Some((view, current))
    }

    /// The place of the pair that the chosen token is in: of A where the prompt shown is A, else of B.
    #[must_use]
    pub fn chosen_pair(&self) -> Option<usize> {
        let (view, _) = self.comparison()?;
        let in_b = self.shown_prompt == self.prompt_b();
        let of = |pair: &TokenPair| if in_b { pair.b } else { pair.a };
        view.pairs.iter().rposition(|pair| of(pair) <= self.token).or(Some(0)).filter(|at| *at < view.pairs.len())
    }

    /// The latents of the chosen pair: in both, in A alone, in B alone, each by difference.
    #[must_use]
    pub fn pair_rows(&self) -> Vec<PairRow> {
        let Some((view, _)) = self.comparison() else { return Vec::new() };
        let Some(pair) = self.chosen_pair().and_then(|at| view.pairs.get(at)) else { return Vec::new() };
        let both = pair.both.iter().map(|of| PairRow { latent: of.latent, a: Some(of.a), b: Some(of.b) });
        let a = pair.a_only.iter().map(|of| PairRow { latent: of.latent, a: Some(of.a), b: None });
        let b = pair.b_only.iter().map(|of| PairRow { latent: of.latent, a: None, b: Some(of.b) });
        both.chain(a).chain(b).collect()
    }

    /// How strongly the chosen latent fires at every token of both prompts.
    #[must_use]
    pub fn pair_heat(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        let (view, latent) = (self.comparison()?.0, self.latent?);
        let at = |row: &Vec<Firing>| row.iter().find(|of| of.latent == latent).map_or(0.0, |of| of.activation);
        Some((view.fires_a.iter().map(at).collect(), view.fires_b.iter().map(at).collect()))
    }

    /// The interchange that the person may ask for: A's token of the chosen pair for B's.
    #[must_use]
    pub fn swap_key(&self) -> Option<SwapQuery> {
        let (view, true) = self.comparison()? else { return None };
        let pair = view.pairs.get(self.chosen_pair()?)?;
        Some(SwapQuery {
            base: self.prompt_a().to_owned(),
            source: self.prompt_b().to_owned(),
            sae: view.sae.clone(),
            meta: self.meta_ref().filter(|of| self.pair.by_meta && of.sae == view.sae).map(|of| of.meta),
            position: isize::try_from(pair.a).ok(),
            source_position: isize::try_from(pair.b).ok(),
            token: None,
            other: None,
            order: SwapOrder::Effect,
            seed: 0,
        })
    }

    /// The interchange that was answered last, where it is of the chosen pair.
    #[must_use]
    pub fn interchange(&self) -> Option<&SwapView> {
        let key = self.swap_key()?;
        self.pair.swap.of(&key, &()).map(|view| &**view)
    }
}
