//! What lenses are asked, and what of it is shown.
//! Not here: what is kept of it (`lens.rs`), and drawing it.

use crate::analysis::LensView;
use crate::session::{LensFile, LensOf, LensQuery};
use crate::tui::app::App;
use crate::tui::location::{Focus, Page};

/// Tokens wanted of each block and of a latent.
const TOP: usize = 8;

impl App {
    /// Whether lenses are looked at: only then they are asked.
    #[must_use]
    pub fn shows_lens(&self) -> bool {
        self.beside == Focus::Lens && self.page == Page::Explore
    }

    /// What is to be asked of the chosen token, in which run.
    #[must_use]
    pub fn lens_key(&self) -> Option<(LensQuery, u64)> {
        let position = Some(self.token).filter(|token| *token < self.tokens().len())?;
        let of = LensOf::Prompt { prompt: self.shown_prompt.clone(), position: Some(position) };
        Some((LensQuery { of, jacobian: Some(LensFile::Here), top: TOP }, self.runs))
    }

    /// What is to be asked of the chosen latent.
    #[must_use]
    pub fn latent_lens_key(&self) -> Option<LensQuery> {
        let chosen = self.chosen()?;
        let of = LensOf::Latent { sae: chosen.sae, latent: chosen.latent };
        Some(LensQuery { of, jacobian: Some(LensFile::Here), top: TOP })
    }

    /// What every block says of the token that was asked about last, and whether that is the chosen one.
    #[must_use]
    pub fn token_lens(&self) -> Option<(&LensView, bool)> {
        let (answered, key) = (self.lens.token.answers()?, self.lens_key()?);
        let view = self.lens.token.value()?;
        (answered.1 == key.1).then_some((&**view, *answered == key))
    }

    /// What lenses say of the chosen latent.
    #[must_use]
    pub fn latent_lens(&self) -> Option<&LensView> {
        self.lens.latent.of(&self.latent_lens_key()?, &()).map(|view| &**view)
    }
}
