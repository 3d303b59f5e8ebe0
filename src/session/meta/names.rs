//! Short names of meta-latents.
//! Not here: what they are made of (`analysis::meta`).

use crate::analysis::MetaName;
use crate::report::Report;
use crate::session::failure;
use crate::session::meta::Scope;
use crate::session::meta::answers::MetaNames;
use crate::session::query::{Cx, Query};

/// Short names of meta-latents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaNamesQuery {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id, or a folder.
    pub meta: String,
    /// The meta-latents.
    pub meta_latents: Vec<u32>,
}

impl Query for MetaNamesQuery {
    type Answer = MetaNames;
    const NAME: &'static str = "meta-names";
    const PRIORITY: u8 = 130;

    fn run(&self, cx: &mut Cx<'_>) -> Result<MetaNames, Report> {
        let cancel = cx.cancel;
        let names = cx.session()?.scope(&self.sae, &self.meta, cancel)?.names(&self.meta_latents)?;
        Ok(MetaNames { sae: self.sae.clone(), meta: self.meta.clone(), names })
    }
}

impl Scope<'_> {
    fn names(&self, meta_latents: &[u32]) -> Result<Vec<MetaName>, Report> {
        self.microscope()
            .names(meta_latents, self.room.words())
            .map_err(|error| failure::of_sae(self.cannot("name its meta-latents"), &error))
    }
}
