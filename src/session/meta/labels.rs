//! Short names of meta-latents.
//! Not here: what they are made of (`analysis::meta`).

use crate::analysis::MetaLabel;
use crate::report::Report;
use crate::session::failure;
use crate::session::meta::Scope;
use crate::session::meta::answers::MetaLabels;
use crate::session::query::{Cx, Query};

/// Short names of meta-latents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaLabelsQuery {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id, or a folder.
    pub meta: String,
    /// The meta-latents.
    pub meta_latents: Vec<u32>,
}

impl Query for MetaLabelsQuery {
    type Answer = MetaLabels;
    const NAME: &'static str = "meta-labels";
    const PRIORITY: u8 = 130;

    fn run(&self, cx: &mut Cx<'_>) -> Result<MetaLabels, Report> {
        let cancel = cx.cancel;
        let labels = cx.session()?.scope(&self.sae, &self.meta, cancel)?.labels(&self.meta_latents)?;
        Ok(MetaLabels { sae: self.sae.clone(), meta: self.meta.clone(), labels })
    }
}

impl Scope<'_> {
    fn labels(&self, meta_latents: &[u32]) -> Result<Vec<MetaLabel>, Report> {
        self.microscope()
            .labels(meta_latents, self.room.words())
            .map_err(|error| failure::of_sae(self.cannot("name its meta-latents"), &error))
    }
}
