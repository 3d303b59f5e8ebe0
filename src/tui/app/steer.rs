//! Questions to the state about what is steered.
//! Not here: what is kept of it (`steer.rs`), and drawing it.

use crate::analysis::{NextToken, SteerToken, SteerView};
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

    /// The steered text's chosen token, its place, and what could stand there: itself first, then the likeliest others.
    #[must_use]
    pub fn steered_token(&self) -> Option<(usize, Vec<NextToken>)> {
        let (view, _) = self.steered()?;
        let tokens = &view.arms.get(1)?.tokens;
        let at = self.steer.at?.0.min(tokens.len().checked_sub(1)?);
        let SteerToken { id, text, logprob, candidates, .. } = tokens.get(at)?;
        let own = NextToken { id: *id, text: text.clone(), logprob: *logprob as f32 };
        let others = candidates.iter().filter(|other| other.id != *id).cloned();
        Some((at, std::iter::once(own).chain(others).collect()))
    }

    /// The steered text up to its chosen token, which is the chosen one of those that could stand there; the whole text
    /// where none is chosen. None where a token is a part of a character.
    #[must_use]
    pub fn steered_text(&self) -> Option<String> {
        let (view, _) = self.steered()?;
        let arm = view.arms.get(1)?;
        let Some((at, all)) = self.steered_token() else { return Some(arm.text.clone()) };
        let before: String = arm.tokens[..at].iter().map(|token| token.text.as_str()).collect();
        let own = format!("{before}{}", arm.tokens[at].text);
        let chosen = all.get(self.steer.at.map_or(0, |(_, which)| which) % all.len().max(1))?;
        // What is shown of bytes that are no character is not their text.
        let whole = arm.text.starts_with(&own) && !chosen.text.contains('⟨');
        whole.then(|| format!("{before}{}", chosen.text))
    }

    /// A latent as it begins to be steered.
    #[must_use]
    pub fn edit_of(&self, latent: LatentRef) -> ChosenEdit {
        let most = self.heat(&latent).iter().copied().fold(0.0, f32::max);
        ChosenEdit::off(latent, most)
    }
}
