//! What a latent is made of.
//! Not here: the arithmetic (`analysis::meta`).

use crate::analysis::{BreakdownView, MetaEntry};
use crate::report::Report;
use crate::session::failure;
use crate::session::meta::{Scope, none_of};
use crate::session::query::{Cx, Query};
use crate::task::Cancel;

/// What a latent is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakdownQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latent.
    pub latent: u32,
    /// The meta-SAE's id, or a folder; all that the SAE has otherwise.
    pub meta: Option<String>,
}

impl Query for BreakdownQuery {
    type Answer = BreakdownView;
    const NAME: &'static str = "breakdown";
    const PRIORITY: u8 = 100;

    fn run(&self, cx: &mut Cx<'_>) -> Result<BreakdownView, Report> {
        let cancel = cx.cancel;
        let (session, sae) = (cx.session()?, &self.sae);
        let wanted = match &self.meta {
            Some(meta) => vec![meta.clone()],
            None => session.metas().of(sae),
        };
        if wanted.is_empty() {
            return Err(none_of(session.prompt()?, sae));
        }
        let mut metas = Vec::with_capacity(wanted.len());
        for meta in wanted {
            metas.push(session.scope(sae, &meta, cancel)?.entry(self.latent, cancel)?);
        }
        Ok(BreakdownView { sae: sae.clone(), latent: self.latent, metas })
    }
}

impl Scope<'_> {
    fn entry(&self, latent: u32, cancel: &Cancel) -> Result<MetaEntry, Report> {
        self.microscope()
            .entry(latent as usize, self.room.words(), cancel)
            .map_err(|error| failure::of_sae(self.cannot(&format!("take latent {latent} apart")), &error))
    }
}
