//! Which latents of a larger SAE are new with respect to a smaller one, and which belong together (methods §3).
//! Not here: how cosines are computed, and what inserting a latent does.

use serde::Serialize;

use super::forest::{Comparison, Trees, check_threshold};
use super::nearest::cosine_of;
use super::{Edge, Error, Neighbour, Sae};

/// The class of a latent of a larger SAE with respect to a smaller one (methods §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// No latent of the smaller SAE comes as near as θ: m < θ.
    Novel,
    /// The smaller SAE has it, in some form: m ≥ θ.
    Reconstruction,
}

impl Class {
    /// The class of a latent whose largest cosine with the smaller SAE is `cosine`.
    #[must_use]
    pub fn of(cosine: f32, threshold: f32) -> Self {
        if cosine < threshold { Self::Novel } else { Self::Reconstruction }
    }

    /// The class of a latent with these nearest latents, nearest first; without any it is as far as can be.
    #[must_use]
    pub fn of_nearest(nearest: &[Neighbour], threshold: f32) -> Self {
        Self::of(nearest.first().map_or(-1.0, |near| near.cosine), threshold)
    }
}

/// Latents of both SAEs that belong together: a connected component of the pairs with cosine ≥ θ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Latents of the larger SAE, rising; at least one.
    pub large: Vec<u32>,
    /// Latents of the smaller SAE, rising; at least one.
    pub small: Vec<u32>,
}

/// What a threshold makes of two SAEs.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    /// The threshold.
    pub theta: f32,
    /// For every latent of the larger SAE its nearest cosine m.
    pub max_cosine: Vec<f32>,
    /// For every latent of the larger SAE its class.
    pub classes: Vec<Class>,
    /// The swap groups, by their lowest latent of the larger SAE.
    pub groups: Vec<Group>,
    /// For every latent of the larger SAE its group; none for a novel one.
    pub large_group: Vec<Option<u32>>,
    /// For every latent of the smaller SAE its group; none for an unmatched one.
    pub small_group: Vec<Option<u32>>,
    /// Latents of the smaller SAE that nothing of the larger one comes near, rising.
    pub unmatched: Vec<u32>,
}

/// How many there are of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// Latents of the larger SAE with m < θ.
    pub novel: usize,
    /// Latents of the larger SAE with m ≥ θ.
    pub reconstruction: usize,
    /// Swap groups.
    pub groups: usize,
    /// Latents of the smaller SAE in no group.
    pub unmatched: usize,
}

impl Classes {
    /// The classes at threshold `theta`: one walk over the forest.
    ///
    /// # Errors
    /// [`Error::Threshold`] when θ is not within −1…1, [`Error::Floor`] when the comparison did not keep pairs as far
    /// apart as that.
    pub fn new(comparison: &Comparison, theta: f32) -> Result<Self, Error> {
        check_threshold(theta)?;
        let forest = &comparison.forest;
        if theta < forest.floor {
            return Err(Error::Floor { theta, floor: forest.floor });
        }
        let mut trees = Trees::new(forest.large + forest.small);
        for edge in forest.edges.iter().take_while(|edge| edge.cosine >= theta) {
            trees.join(edge.large as usize, forest.large + edge.small as usize);
        }
        let max_cosine: Vec<f32> = (0..forest.large).map(|latent| comparison.nearest.row(latent)[0].cosine).collect();
        let mut this = Self {
            theta,
            classes: max_cosine.iter().map(|m| Class::of(*m, theta)).collect(),
            max_cosine,
            groups: Vec::new(),
            large_group: vec![None; forest.large],
            small_group: vec![None; forest.small],
            unmatched: Vec::new(),
        };
        this.gather(&mut trees);
        Ok(this)
    }

    /// Numbers the components: a representative is the lowest index, so that of a group is a latent of the larger SAE.
    fn gather(&mut self, trees: &mut Trees) {
        let large = self.classes.len();
        for latent in 0..large {
            if self.classes[latent] == Class::Novel {
                continue;
            }
            let root = trees.root(latent);
            let group = self.large_group[root].unwrap_or(self.groups.len() as u32);
            if group as usize == self.groups.len() {
                self.groups.push(Group::default());
            }
            self.large_group[latent] = Some(group);
            self.groups[group as usize].large.push(latent as u32);
        }
        for latent in 0..self.small_group.len() {
            let root = trees.root(large + latent);
            let group = if root < large { self.large_group[root] } else { None };
            self.small_group[latent] = group;
            match group {
                Some(group) => self.groups[group as usize].small.push(latent as u32),
                None => self.unmatched.push(latent as u32),
            }
        }
    }

    /// How many there are of each.
    #[must_use]
    pub fn census(&self) -> Census {
        let novel = self.classes.iter().filter(|class| **class == Class::Novel).count();
        Census {
            novel,
            reconstruction: self.classes.len() - novel,
            groups: self.groups.len(),
            unmatched: self.unmatched.len(),
        }
    }
}

/// The pairs of a group whose cosine is at least `theta`, by latent of the larger, then of the smaller SAE: for a
/// picture of the group. Costs the group's two sizes multiplied.
///
/// # Errors
/// [`Error::Latent`], [`Error::Sizes`].
pub fn edges_within(group: &Group, large: &Sae, small: &Sae, theta: f32) -> Result<Vec<Edge>, Error> {
    if large.d_out() != small.d_out() {
        return Err(Error::Sizes { left: large.d_out(), right: small.d_out() });
    }
    for (sae, latents) in [(large, &group.large), (small, &group.small)] {
        latents.iter().try_for_each(|&latent| sae.check_latent(latent as usize))?;
    }
    let pairs = group.large.iter().flat_map(|&i| group.small.iter().map(move |&j| (i, j)));
    let edges =
        pairs.map(|(i, j)| Edge { large: i, small: j, cosine: cosine_of(large, i as usize, small, j as usize) });
    Ok(edges.filter(|edge| edge.cosine >= theta).collect())
}
