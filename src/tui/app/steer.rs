//! Questions to the state about what is steered.
//! Not here: what is kept of it (`steer.rs`), and drawing it.

use crate::analysis::SteerView;
use crate::session::SteerQuery;
use crate::tui::app::App;
use crate::tui::location::{Focus, LatentRef, Page};
use crate::tui::steer::ChosenEdit;

impl App {
    /// Whether steering is looked at: only then anything is written.
    #[must_use]
    pub fn shows_steering(&self) -> bool {
        self.beside == Focus::Steer && self.page == Page::Explore
    }

    /// What is to be asked for now, in which run.
    #[must_use]
    pub fn steer_key(&self) -> Option<(SteerQuery, u64)> {
        let here = self.token < self.tokens().len();
        let query = self.steer.query(&self.shown_prompt, self.token).filter(|_| here)?;
        Some((query, self.runs))
    }

    /// What is written: what grows while it is, else the last answer; and whether it answers what is asked now.
    #[must_use]
    pub fn steered(&self) -> Option<(&SteerView, bool)> {
        let so_far = self.steer.asked.progressed().and_then(|progress| progress.so_far.as_ref()?.of::<SteerView>());
        if let Some(view) = so_far.filter(|_| self.steer.asked.is_pending()) {
            return Some((view, true));
        }
        let current = self.steer_key().is_some_and(|(query, run)| self.steer.asked.of(&query, &run).is_some());
        Some((self.steer.asked.value()?, current))
    }

    /// A latent as it begins to be steered.
    #[must_use]
    pub fn edit_of(&self, latent: LatentRef) -> ChosenEdit {
        let most = self.heat(&latent).iter().copied().fold(0.0, f32::max);
        ChosenEdit::off(latent, most)
    }
}
