//! Two latents side by side, or a latent and a meta-latent: where each fires in the index.
//! Not here: finding the index, and what stands in it (`index`).

use crate::analysis::{LatentCorpus, MetaCorpus};
use crate::report::Report;
use crate::session::index::{CorpusQuery, MetaCorpusQuery};
use crate::session::query::{Cx, Lane, Query};

/// Where a latent and another one, or a part of it, fire in the index of the open suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidesQuery {
    /// The latent.
    pub one: CorpusQuery,
    /// What stands beside it.
    pub other: OtherSide,
}

/// What stands beside a latent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherSide {
    /// A latent of any SAE: a parent, a child, another one.
    Latent(CorpusQuery),
    /// A meta-latent: a part of it.
    Part(MetaCorpusQuery),
}

/// What the index says of both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sides {
    /// Of the latent; none where there is no index of its SAE.
    pub one: Option<LatentCorpus>,
    /// Of the other one.
    pub other: Option<MetaCorpus>,
}

impl Query for SidesQuery {
    type Answer = Sides;
    const NAME: &'static str = "sides";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 12;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Sides, Report> {
        let one = self.one.run(cx)?;
        let other = match &self.other {
            OtherSide::Latent(query) => query.run(cx)?.map(MetaCorpus::Index),
            OtherSide::Part(query) => query.run(cx)?,
        };
        Ok(Sides { one, other })
    }
}
