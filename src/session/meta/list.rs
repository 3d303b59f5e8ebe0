//! Which meta-SAEs there are, and what is known of one.
//! Not here: finding and opening them (`meta.rs`).

use crate::analysis::MetaInfo;
use crate::report::{Kind, Report};
use crate::session::meta::Scope;
use crate::session::meta::answers::MetaState;
use crate::session::query::{Cx, Query};

/// The meta-SAEs of the loaded SAEs: those of the suite and those that this program trained. What their tables say is
/// there once they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetasQuery;

impl Query for MetasQuery {
    type Answer = Vec<MetaState>;
    const NAME: &'static str = "metas";
    const PRIORITY: u8 = 160;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Vec<MetaState>, Report> {
        Ok(cx.session()?.metas().states())
    }
}

/// Put all decoder rows of an SAE through a meta-SAE, so that members are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaQuery {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id, or a folder.
    pub meta: String,
}

impl Query for MetaQuery {
    type Answer = MetaInfo;
    const NAME: &'static str = "meta";
    const PRIORITY: u8 = 170;

    fn run(&self, cx: &mut Cx<'_>) -> Result<MetaInfo, Report> {
        let cancel = cx.cancel;
        cx.session()?.scope(&self.sae, &self.meta, cancel)?.info()
    }
}

impl Scope<'_> {
    fn info(&self) -> Result<MetaInfo, Report> {
        let info = self.opened.info.as_ref().map(|info| MetaInfo::clone(info));
        info.ok_or_else(|| Report::new(self.cannot("say what it is")).kind(Kind::Bug))
    }
}
