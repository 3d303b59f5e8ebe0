//! A meta-latent's card.
//! Not here: what is in it (`analysis::meta`).

use crate::analysis::MetaCard;
use crate::analysis::card::Rung;
use crate::report::Report;
use crate::session::failure;
use crate::session::meta::Scope;
use crate::session::query::{Cx, Query};

/// A meta-latent's card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaCardQuery {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id, or a folder.
    pub meta: String,
    /// The meta-latent.
    pub meta_latent: u32,
    /// Members, tokens and neighbours wanted in each list.
    pub top: usize,
}

impl Query for MetaCardQuery {
    type Answer = MetaCard;
    const NAME: &'static str = "meta-card";
    const PRIORITY: u8 = 110;

    fn run(&self, cx: &mut Cx<'_>) -> Result<MetaCard, Report> {
        let cancel = cx.cancel;
        cx.session()?.scope(&self.sae, &self.meta, cancel)?.card(self.meta_latent, self.top)
    }
}

impl Scope<'_> {
    fn card(&self, meta_latent: u32, top: usize) -> Result<MetaCard, Report> {
        let rungs: Vec<Rung<'_>> =
            self.room.saes.iter().map(|loaded| Rung { id: &loaded.entry.id, sae: &loaded.sae }).collect();
        let (codes, threshold) = (self.room.live.codes(self.place), self.room.suite.threshold);
        self.microscope()
            .card(meta_latent, &rungs, self.room.words(), threshold, codes, top)
            .map_err(|error| failure::of_sae(self.cannot(&format!("show meta-latent {meta_latent}")), &error))
    }
}
