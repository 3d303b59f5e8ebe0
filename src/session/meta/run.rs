//! The prompt that was run last, by meta-latents.
//! Not here: the arithmetic (`analysis::meta`).

use crate::analysis::MetaRun;
use crate::report::Report;
use crate::session::meta::Scope;
use crate::session::query::{Cx, Query};

/// The prompt that was run last, by meta-latents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaRunQuery {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id, or a folder.
    pub meta: String,
}

impl Query for MetaRunQuery {
    type Answer = MetaRun;
    const NAME: &'static str = "meta-run";
    const PRIORITY: u8 = 120;

    fn run(&self, cx: &mut Cx<'_>) -> Result<MetaRun, Report> {
        let cancel = cx.cancel;
        Ok(cx.session()?.scope(&self.sae, &self.meta, cancel)?.run())
    }
}

impl Scope<'_> {
    fn run(&self) -> MetaRun {
        self.microscope().run(self.room.live.codes(self.place))
    }
}
