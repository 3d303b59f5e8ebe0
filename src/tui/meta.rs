//! What the explorer knows of meta-SAEs: which one is used, the chosen meta-latent, surgery, and what was asked about
//! them. Not here: how it changes (`update`), how it looks (`view`).

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::analysis::{Arm, MetaName, Sampling};
use crate::session::{
    BreakdownQuery, ContinueQuery, MetaCardQuery, MetaCorpusQuery, MetaNamesQuery, MetaRecipe, MetaRunQuery,
    MetasQuery, SurgeryQuery,
};
use crate::tui::ask::{Ask, Turn};
use crate::tui::location::{Focus, LatentRef};

pub(crate) mod edits;
pub mod map;

pub use edits::{Edits, Part};

/// A meta-SAE of an SAE, by their ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetaRef {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id.
    pub meta: String,
}

/// What is cut: a latent's decoder row, by a meta-SAE.
pub type CutKey = (LatentRef, String);

/// What the explorer knows of meta-SAEs.
#[derive(Debug)]
pub struct Meta {
    /// The pane that is shown large: parts, map or surgery.
    pub shown: Focus,
    /// How often the list of meta-SAEs has changed.
    pub changed: u64,
    /// The meta-SAEs there are: how often the list has changed, and which was used last (its table is made then).
    pub states: Ask<MetasQuery, (u64, Option<MetaRef>)>,
    /// For an SAE the meta-SAE that the person chose; else it is the first.
    pub chosen: BTreeMap<String, String>,
    /// The chosen meta-latent.
    pub meta_latent: Option<u32>,
    /// Whether it stays though the latent has no such part.
    pub held: bool,
    /// Whether the prompt is seen by meta-latents.
    pub by_meta: bool,
    /// What the chosen latent is made of.
    pub parts: Ask<BreakdownQuery>,
    /// The chosen meta-latent's card.
    pub card: Ask<MetaCardQuery, u64>,
    /// Where it is strong in text, by states of the index.
    pub corpus: Ask<MetaCorpusQuery, u64>,
    /// The chosen row of its members.
    pub member: usize,
    /// The prompt by meta-latents.
    pub run: Ask<MetaRunQuery, u64>,
    /// Names of meta-latents.
    pub names: MetaNames,
    /// The chosen place of the map.
    pub node: map::Node,
    /// What is changed in latents' decoder rows.
    pub edits: BTreeMap<CutKey, Edits>,
    /// The chosen row of surgery.
    pub cut_row: usize,
    /// Texts whose log-probability is wanted.
    pub named: Vec<String>,
    /// How continuations choose their tokens.
    pub sampling: Sampling,
    /// Seed of the random edit and of chance.
    pub seed: u64,
    /// What comes next with the edit.
    pub surgery: Ask<SurgeryQuery, u64>,
    /// How the three models continue, in the order of [`Arm::ALL`].
    pub continuations: [Ask<ContinueQuery, u64>; 3],
    /// Training a meta-SAE.
    pub train: Ask<MetaRecipe>,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            shown: Focus::Parts,
            changed: 0,
            states: Ask::default(),
            chosen: BTreeMap::new(),
            meta_latent: None,
            held: false,
            by_meta: false,
            parts: Ask::default(),
            card: Ask::default(),
            corpus: Ask::default(),
            member: 0,
            run: Ask::default(),
            names: MetaNames::default(),
            node: map::Node::default(),
            edits: BTreeMap::new(),
            cut_row: 0,
            named: Vec::new(),
            sampling: Sampling::Greedy,
            seed: 0,
            surgery: Ask::default(),
            continuations: [Ask::default(), Ask::default(), Ask::default()],
            train: Ask::default(),
        }
    }
}

impl Meta {
    /// How a model continues, as far as that is known: the text, and whether more is to come.
    #[must_use]
    pub fn text_of(&self, key: &(ContinueQuery, u64)) -> Option<(String, bool)> {
        let asked = Arm::ALL.iter().position(|arm| *arm == key.0.arm).and_then(|at| self.continuations.get(at))?;
        if let Some(done) = asked.of(&key.0, &key.1) {
            return Some((done.text.clone(), false));
        }
        let so_far = asked.progressed().filter(|_| asked.question() == Some(key))?;
        Some((so_far.what.clone(), true))
    }
}

/// Names of meta-latents, as far as they are known.
#[derive(Debug, Default)]
pub struct MetaNames {
    /// The names.
    pub known: HashMap<(MetaRef, u32), MetaName>,
    /// What was asked for without success.
    pub refused: HashSet<(MetaRef, u32)>,
    /// What is asked.
    pub ask: Ask<MetaNamesQuery>,
}

impl MetaNames {
    /// A meta-latent's name.
    #[must_use]
    pub fn get(&self, of: &MetaRef, meta_latent: u32) -> Option<&MetaName> {
        self.known.get(&(of.clone(), meta_latent))
    }

    /// Whether it is neither known nor refused.
    #[must_use]
    pub fn is_missing(&self, of: &MetaRef, meta_latent: u32) -> bool {
        let key = (of.clone(), meta_latent);
        !self.known.contains_key(&key) && !self.refused.contains(&key)
    }

    /// Takes what came of the asking: what it was to name and did not is not asked for again.
    pub fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Progress(_) => {}
            Turn::Retried => self.refused.clear(),
            Turn::Cleared => {
                self.known.clear();
                self.refused.clear();
            }
            Turn::Answered | Turn::Failed | Turn::Ended => {
                if let (Turn::Answered, Some(names)) = (turn, self.ask.value()) {
                    let of = MetaRef { sae: names.sae.clone(), meta: names.meta.clone() };
                    let known = names.names.iter().map(|label| ((of.clone(), label.meta_latent), label.clone()));
                    self.known.extend(known);
                }
                let Some((MetaNamesQuery { sae, meta, meta_latents }, ())) = self.ask.question() else { return };
                let of = MetaRef { sae: sae.clone(), meta: meta.clone() };
                let asked = meta_latents.iter().map(|meta_latent| (of.clone(), *meta_latent));
                self.refused.extend(asked.filter(|key| !self.known.contains_key(key)));
            }
        }
    }
}
