//! The latents of two SAEs that belong together with one of them.
//! Not here: how groups are made (`sae::classes`).

use crate::analysis::{GroupView, Side};
use crate::report::Report;
use crate::sae::{Classes, Comparison, Error, Group, Sae, classes};
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::query::{Cx, Lane, Query};
use crate::task::{Cancel, OnProgress};

/// Pairs of latents of a group up to which all of its edges are computed.
const EDGES: usize = 1 << 16;

/// The latents that belong together with one of a pair of SAEs.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupQuery {
    /// The narrower SAE.
    pub small: String,
    /// The wider SAE.
    pub large: String,
    /// Which SAE's latent.
    pub side: Side,
    /// The latent.
    pub latent: u32,
    /// θ.
    pub threshold: f32,
}

impl Query for GroupQuery {
    /// None for a latent that is novel or unmatched.
    type Answer = Option<GroupView>;
    const NAME: &'static str = "group";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 10;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Option<GroupView>, Report> {
        let suite = cx.suite()?;
        let places = suite.places(&self.small, &self.large)?;
        suite.group(places, (self.side, self.latent), self.threshold, cx.cancel, cx.progress)
    }
}

impl LoadedSuite {
    /// The group of a latent; none for one that is novel or unmatched.
    fn group(
        &self,
        places: (usize, usize),
        (side, latent): (Side, u32),
        threshold: f32,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Option<GroupView>, Report> {
        let table = self.table(places, threshold, cancel, progress)?;
        let (small, large) = (&self.saes[places.0].sae, &self.saes[places.1].sae);
        let cannot = |error| failure::of_sae(format!("latent {latent} has no group"), &error);
        let of = match side {
            Side::Small => small,
            Side::Large => large,
        };
        of.decoder_row(latent as usize).map_err(cannot)?;
        let classes = Classes::new(&table.comparison, threshold).map_err(cannot)?;
        let groups = match side {
            Side::Small => &classes.small_group,
            Side::Large => &classes.large_group,
        };
        let group = groups[latent as usize].and_then(|group| classes.groups.get(group as usize));
        let Some(group) = group else { return Ok(None) };
        group_view(group, large, small, &table.comparison, threshold).map(Some).map_err(cannot)
    }
}

fn group_view(
    group: &Group,
    large: &Sae,
    small: &Sae,
    comparison: &Comparison,
    threshold: f32,
) -> Result<GroupView, Error> {
    let complete = group.large.len().saturating_mul(group.small.len()) <= EDGES;
    let mut edges: Vec<(u32, u32, f32)> = if complete {
        let edges = classes::edges_within(group, large, small, threshold)?;
        edges.iter().map(|edge| (edge.small, edge.large, edge.cosine)).collect()
    } else {
        let edges = comparison.forest.edges.iter().take_while(|edge| edge.cosine >= threshold);
        let within = edges.filter(|edge| group.large.binary_search(&edge.large).is_ok());
        within.map(|edge| (edge.small, edge.large, edge.cosine)).collect()
    };
    edges.sort_by_key(|edge| (edge.1, edge.0));
    Ok(GroupView { threshold, small: group.small.clone(), large: group.large.clone(), edges, complete })
}
