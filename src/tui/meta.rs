//! What the explorer knows of meta-SAEs: which one is used, the chosen meta-latent, surgery, and what was asked about
//! them. Not here: how it changes (`update`), how it looks (`view`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::analysis::{
    Arm, BreakdownView, Continuation, MetaCard, MetaEntry, MetaLabel, MetaRun, Operation, PositionRun, Sampling,
    SurgeryView,
};
use crate::report::Report;
use crate::session::{MetaRecipe, MetaState, MetaTrained};
use crate::task::Remote;
use crate::tui::app::{App, Focus, LatentRef, activation};
use crate::tui::stitch::Asked;

mod cuts;
pub mod map;

pub use cuts::{Cuts, Part};

/// A meta-SAE of an SAE, by their ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetaRef {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id.
    pub meta: String,
}

/// What a breakdown is about: latent and meta-SAE.
pub type PartsKey = (LatentRef, String);
/// What a meta-latent's card is about: meta-SAE, meta-latent, and which run of the prompt.
pub type CardKey = (MetaRef, u32, u64);
/// What surgery is about: the edit, which run of the prompt, and the texts that were named.
pub type SurgeryKey = (Operation, u64, Vec<String>);
/// What a continuation is about: the edit, which run of the prompt, and how tokens are chosen.
pub type ContinueKey = (Operation, u64, Sampling);
/// What is known of meta-SAEs: how often the list has changed, and which was used last (its table is made then).
pub type StatesKey = (u64, Option<MetaRef>);

/// What the explorer knows of meta-SAEs.
#[derive(Debug)]
pub struct Meta {
    /// The pane that is shown large: parts, map or surgery.
    pub shown: Focus,
    /// How often the list of meta-SAEs has changed.
    pub changed: u64,
    /// The meta-SAEs there are.
    pub states: Asked<StatesKey, Arc<Vec<MetaState>>>,
    /// For an SAE the meta-SAE that the person chose; else it is the first.
    pub chosen: BTreeMap<String, String>,
    /// The chosen meta-latent.
    pub meta_latent: Option<u32>,
    /// Whether it stays though the latent has no such part.
    pub held: bool,
    /// Whether the prompt is seen by meta-latents.
    pub by_meta: bool,
    /// What the chosen latent is made of.
    pub parts: Asked<PartsKey, Arc<BreakdownView>>,
    /// The chosen meta-latent's card.
    pub card: Asked<CardKey, Arc<MetaCard>>,
    /// The chosen row of its members.
    pub member: usize,
    /// The prompt by meta-latents.
    pub run: Asked<(MetaRef, u64), Arc<MetaRun>>,
    /// Names of meta-latents.
    pub labels: MetaLabels,
    /// The chosen place of the map.
    pub node: map::Node,
    /// What is changed in latents' decoder rows.
    pub cuts: BTreeMap<PartsKey, Cuts>,
    /// The chosen row of surgery.
    pub cut_row: usize,
    /// Texts whose log-probability is wanted.
    pub named: Vec<String>,
    /// How continuations choose their tokens.
    pub sampling: Sampling,
    /// Seed of the random edit and of chance.
    pub seed: u64,
    /// What comes next with the edit.
    pub surgery: Asked<SurgeryKey, Arc<SurgeryView>>,
    /// How the three models go on, in the order of [`Arm::ALL`].
    pub goes_on: [Asked<ContinueKey, Arc<Continuation>>; 3],
    /// Training a meta-SAE.
    pub train: Remote<Arc<MetaTrained>, Report>,
    /// What is trained, or was last.
    pub training: Option<MetaRecipe>,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            shown: Focus::Parts,
            changed: 0,
            states: Asked::default(),
            chosen: BTreeMap::new(),
            meta_latent: None,
            held: false,
            by_meta: false,
            parts: Asked::default(),
            card: Asked::default(),
            member: 0,
            run: Asked::default(),
            labels: MetaLabels::default(),
            node: map::Node::default(),
            cuts: BTreeMap::new(),
            cut_row: 0,
            named: Vec::new(),
            sampling: Sampling::Greedy,
            seed: 0,
            surgery: Asked::default(),
            goes_on: [Asked::default(), Asked::default(), Asked::default()],
            train: Remote::default(),
            training: None,
        }
    }
}

impl Meta {
    /// Whether anything is awaited that a person looks at; training is not.
    #[must_use]
    pub fn is_computing(&self) -> bool {
        self.states.is_pending()
            || self.parts.is_pending()
            || self.card.is_pending()
            || self.run.is_pending()
            || self.labels.remote.is_pending()
            || self.surgery.is_pending()
            || self.goes_on.iter().any(Asked::is_pending)
    }

    /// Makes everything that failed be asked for again.
    pub fn ask_again(&mut self) {
        self.states.retry();
        self.parts.retry();
        self.card.retry();
        self.run.retry();
        self.labels.refused.clear();
        self.surgery.retry();
        for arm in &mut self.goes_on {
            arm.retry();
        }
    }

    /// The last failure, of what is most basic.
    #[must_use]
    pub fn failure(&self) -> Option<&Report> {
        self.parts
            .failure()
            .or(self.card.failure())
            .or(self.run.failure())
            .or(self.surgery.failure())
            .or(self.goes_on.iter().find_map(Asked::failure))
            .or(self.train.failure())
            .or(self.states.failure())
    }

    /// How a model goes on, as far as that is known: the text, and whether more is to come.
    #[must_use]
    pub fn text_of(&self, arm: Arm, key: &ContinueKey) -> Option<(String, bool)> {
        let asked = Arm::ALL.iter().position(|a| *a == arm).and_then(|at| self.goes_on.get(at))?;
        if let Some(done) = asked.of(key) {
            return Some((done.text.clone(), false));
        }
        let so_far = asked.progressed().filter(|_| asked.question() == Some(key))?;
        Some((so_far.what.clone(), true))
    }
}

/// Names of meta-latents, as far as they are known.
#[derive(Debug, Default)]
pub struct MetaLabels {
    /// The names.
    pub known: HashMap<(MetaRef, u32), MetaLabel>,
    /// What was asked for without success.
    pub refused: HashSet<(MetaRef, u32)>,
    /// What was asked for last.
    pub asked: Vec<(MetaRef, u32)>,
    /// The asking.
    pub remote: Remote<(), Report>,
}

impl MetaLabels {
    /// A meta-latent's name.
    #[must_use]
    pub fn get(&self, of: &MetaRef, meta_latent: u32) -> Option<&MetaLabel> {
        self.known.get(&(of.clone(), meta_latent))
    }

    /// Whether it is neither known nor refused.
    #[must_use]
    pub fn is_missing(&self, of: &MetaRef, meta_latent: u32) -> bool {
        let key = (of.clone(), meta_latent);
        !self.known.contains_key(&key) && !self.refused.contains(&key)
    }
}

impl App {
    /// The meta-SAEs of the chosen SAE.
    #[must_use]
    pub fn metas(&self) -> Vec<&MetaState> {
        let Some(sae) = self.sae() else { return Vec::new() };
        self.meta.states.value().map_or_else(Vec::new, |all| all.iter().filter(|meta| meta.sae == sae.id).collect())
    }

    /// The meta-SAE that the chosen SAE's latents are taken apart by: the one the person chose, else the first.
    #[must_use]
    pub fn meta_ref(&self) -> Option<MetaRef> {
        self.meta_state().map(|state| MetaRef { sae: state.sae.clone(), meta: state.meta.clone() })
    }

    /// What is known of it.
    #[must_use]
    pub fn meta_state(&self) -> Option<&MetaState> {
        let all = self.metas();
        let chosen = self.sae().and_then(|sae| self.meta.chosen.get(&sae.id));
        let usable = |meta: &&&MetaState| meta.failure.is_none();
        all.iter().filter(usable).find(|m| Some(&m.meta) == chosen).or_else(|| all.iter().find(usable)).copied()
    }

    /// What the chosen latent is made of, when that is known.
    #[must_use]
    pub fn parts(&self) -> Option<&MetaEntry> {
        let key = (self.chosen()?, self.meta_ref()?.meta);
        self.meta.parts.of(&key)?.metas.iter().find(|entry| entry.meta == key.1)
    }

    /// What fires at the chosen token, by meta-latents.
    #[must_use]
    pub fn meta_position(&self) -> Option<&PositionRun> {
        let of = self.meta_ref()?;
        let run = self.meta.run.value().filter(|run| run.sae == of.sae && run.meta == of.meta)?;
        run.positions.get(self.token)
    }

    /// How strongly a meta-latent is there at every position.
    #[must_use]
    pub fn meta_heat(&self, meta_latent: u32) -> Vec<f32> {
        let of = self.meta_ref();
        let run = self.meta.run.value().filter(|run| of.is_some_and(|of| run.sae == of.sae && run.meta == of.meta));
        let Some(run) = run else { return vec![0.0; self.tokens().len()] };
        run.positions.iter().map(|position| activation(position, meta_latent)).collect()
    }

    /// What is changed in the chosen latent.
    #[must_use]
    pub fn cuts(&self) -> Option<&Cuts> {
        self.meta.cuts.get(&(self.chosen()?, self.meta_ref()?.meta))
    }

    /// The rows of surgery: the latent's parts, then what was added.
    #[must_use]
    pub fn cut_rows(&self) -> Vec<Part> {
        let Some(entry) = self.parts() else { return Vec::new() };
        cuts::rows(entry, self.cuts())
    }

    /// The edit as it stands.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        let (chosen, of) = (self.chosen()?, self.meta_ref()?);
        let edits = self.cuts().map(Cuts::edits).unwrap_or_default();
        Some(Operation { sae: of.sae, meta: of.meta, latent: chosen.latent, edits, seed: self.meta.seed })
    }
}
