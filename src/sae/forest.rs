//! How two SAEs are linked at every threshold at once: the maximum spanning forest of their near pairs.
//! Not here: what a threshold makes of it (`classes.rs`).
//!
//! Latents i of the larger and j of the smaller SAE are joined by an edge of weight cos(i, j). The components left when
//! edges below θ are cut are the same in the graph and in its maximum spanning forest, which has fewer edges than
//! there are latents. So memory grows with the latents alone, and a new θ costs one walk over the forest.

use crate::task::{Cancel, OnProgress};

use super::nearest::{NearestTable, nearest_and_near};
use super::{Column, Error, Sae};

/// A pair of near latents.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Edge {
    /// Latent of the larger SAE.
    pub large: u32,
    /// Latent of the smaller SAE.
    pub small: u32,
    /// Cosine of their decoder rows.
    pub cosine: f32,
}

/// The maximum spanning forest of the pairs whose cosine is at least `floor`; ties by the lower indices.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// The lowest threshold it can answer.
    pub floor: f32,
    /// Latents of the larger SAE.
    pub large: usize,
    /// Latents of the smaller SAE.
    pub small: usize,
    /// Heaviest first, then by latent of the larger, then of the smaller SAE.
    pub edges: Column<Edge>,
}

/// What comparing a larger SAE with a smaller one yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// For every latent of the larger SAE its nearest of the smaller.
    pub nearest: NearestTable,
    /// How they are linked.
    pub forest: Forest,
}

/// Compares every latent of `large` with every latent of `small` in one pass: the `k` nearest of each (at least 1), and
/// the forest for thresholds from `floor` up. Progress counts latents of `large`.
///
/// # Errors
/// [`Error::Threshold`] when `floor` is not within −1…1, [`Error::Sizes`], [`Error::Cancelled`].
pub fn compare(
    large: &Sae,
    small: &Sae,
    k: usize,
    floor: f32,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<Comparison, Error> {
    check_threshold(floor)?;
    let mut grower = Grower::new(large.width(), small.width());
    let mut take = |large, small, cosine| grower.add(Edge { large, small, cosine });
    let nearest = nearest_and_near(large, small, k.max(1), floor, &mut take, cancel, progress)?;
    let edges = grower.finish().into();
    Ok(Comparison { nearest, forest: Forest { floor, large: large.width(), small: small.width(), edges } })
}

/// Fails unless −1 ≤ θ ≤ 1.
pub(super) fn check_threshold(theta: f32) -> Result<(), Error> {
    if (-1.0..=1.0).contains(&theta) { Ok(()) } else { Err(Error::Threshold { theta }) }
}

/// Takes edges in any order and keeps no more than a few for each latent.
struct Grower {
    large: usize,
    small: usize,
    edges: Vec<Edge>,
    room: usize,
}

impl Grower {
    fn new(large: usize, small: usize) -> Self {
        Self { large, small, edges: Vec::new(), room: 4 * (large + small) + 1024 }
    }

    fn add(&mut self, edge: Edge) {
        if self.edges.len() >= self.room {
            self.prune();
        }
        self.edges.push(edge);
    }

    /// Kruskal: what does not join two trees, heaviest first, never will.
    fn prune(&mut self) {
        self.edges.sort_unstable_by(|a, b| {
            b.cosine.total_cmp(&a.cosine).then(a.large.cmp(&b.large)).then(a.small.cmp(&b.small))
        });
        let mut trees = Trees::new(self.large + self.small);
        let large = self.large;
        self.edges.retain(|edge| trees.join(edge.large as usize, large + edge.small as usize));
    }

    fn finish(mut self) -> Vec<Edge> {
        self.prune();
        self.edges
    }
}

/// Disjoint sets of latents; the representative is the lowest index of a set.
pub(super) struct Trees {
    parent: Vec<u32>,
}

impl Trees {
    pub(super) fn new(count: usize) -> Self {
        Self { parent: (0..count as u32).collect() }
    }

    pub(super) fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] as usize != at {
            let above = self.parent[self.parent[at] as usize];
            self.parent[at] = above;
            at = above as usize;
        }
        at
    }

    /// Joins two sets; gives false when they were one already.
    pub(super) fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b) as u32;
        a != b
    }
}
