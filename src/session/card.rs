//! A latent's card, in the suite that is open.
//! Not here: what is in it (`analysis::card`), and what a latent is made of (`meta.rs`).

use crate::analysis::card::{self, Rung};
use crate::analysis::{LatentCard, Seen};
use crate::report::Report;
use crate::session::failure;
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query};

/// A latent's card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latent.
    pub latent: u32,
    /// Tokens and neighbours wanted in each list.
    pub top: usize,
}

impl Query for CardQuery {
    type Answer = LatentCard;
    const NAME: &'static str = "card";
    const PRIORITY: u8 = 20;

    fn run(&self, cx: &mut Cx<'_>) -> Result<LatentCard, Report> {
        cx.session()?.card(&self.sae, self.latent, None, self.top)
    }
}

impl PromptSession {
    pub fn card(&self, sae: &str, latent: u32, threshold: Option<f32>, top: usize) -> Result<LatentCard, Report> {
        let place = self.place(sae)?;
        let seen = Seen { fired: self.fired(place, latent as usize), tokens: self.tokens };
        let rungs: Vec<Rung<'_>> =
            self.saes.iter().map(|loaded| Rung { id: &loaded.entry.id, sae: &loaded.sae }).collect();
        let threshold = threshold.unwrap_or(self.suite.threshold);
        card::card(&rungs, place, latent as usize, self.words(), threshold, top, seen)
            .map_err(|error| failure::of_sae(format!("SAE `{sae}` has no card for latent {latent}"), &error))
    }
}
