//! A latent's family: in every SAE of the ladder its nearest latents, its parents (narrower SAEs) and children (wider).
//! Not here: whether they fire in the prompt, which a [`Run`](super::Run) says.

use serde::Serialize;

use super::{Class, Neighbour};

/// A latent and its relatives in every loaded SAE.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Family {
    /// The SAE's id in the suite.
    pub sae: String,
    /// The latent's index.
    pub latent: u32,
    /// θ by which parents and classes are decided.
    pub threshold: f32,
    /// One rung for each loaded SAE, in the ladder's order; its own among them.
    pub rungs: Vec<Rung>,
}

/// What one SAE of the ladder has of the family.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rung {
    /// The SAE's id.
    pub sae: String,
    /// Its number of latents.
    pub width: usize,
    /// How it stands to the SAE of the latent.
    pub relation: Relation,
    /// Its nearest latents, nearest first, ties by index; none on the latent's own rung.
    pub nearest: Vec<Neighbour>,
    /// The latent's class with respect to a narrower SAE; none for the others.
    pub class: Option<Class>,
    /// In a narrower SAE the latents with cosine ≥ θ, or the nearest alone where none is so near; in a wider SAE the
    /// latents whose nearest here is this latent. Nearest first. None while the table of the two SAEs is not there
    /// yet: ask again when tables have come.
    pub relatives: Option<Vec<Neighbour>>,
}

/// How an SAE of the ladder stands to the one whose latent is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// Narrower: it may hold parents.
    Parent,
    /// The SAE itself.
    Own,
    /// Wider: it may hold children.
    Child,
}

impl Family {
    /// Whether every rung's relatives are known; else the family can be asked for again when more tables are there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.rungs.iter().all(|rung| rung.relatives.is_some())
    }
}
