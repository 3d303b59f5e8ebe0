//! Labels of latents, as far as they are known, and what is asked to have more of them.
//! Not here: where they are kept, and how rules are made (`session`).

use std::collections::{HashMap, HashSet};

use crate::analysis::Label;
use crate::session::{Labels, LabelsQuery, MakeLabelsQuery, WriteLabelQuery};
use crate::tui::ask::{Ask, Turn};
use crate::tui::location::{LatentRef, absent_of_one};

/// Tokens of the text that rules are made of without being asked for: seconds of a small model.
const TOKENS: u64 = 20_000;

/// Labels of latents.
#[derive(Debug, Default)]
pub struct LabelStore {
    known: HashMap<LatentRef, Vec<Label>>,
    /// SAEs whose rules were made, or are not to be.
    made: HashSet<String>,
    /// What is asked.
    pub ask: Ask<LabelsQuery>,
    /// The label that is written.
    pub write: Ask<WriteLabelQuery>,
    /// The rules that are made.
    pub make: Ask<MakeLabelsQuery>,
}

impl LabelStore {
    /// A latent's labels, the one that is shown first in front.
    #[must_use]
    pub fn get(&self, of: &LatentRef) -> &[Label] {
        self.known.get(of).map_or(&[], Vec::as_slice)
    }

    /// Of the wanted latents those to ask for next: all that are not known of the first SAE of which any is not.
    #[must_use]
    pub fn missing(&self, wanted: &[LatentRef]) -> Option<LabelsQuery> {
        let absent = |of: &LatentRef| !self.known.contains_key(of);
        absent_of_one(wanted, absent).map(|(sae, latents)| LabelsQuery { sae, latents })
    }

    /// The rules to make next without being asked for: those of this SAE, once.
    #[must_use]
    pub fn unmade(&self, sae: &str) -> Option<MakeLabelsQuery> {
        let tokens = Some(TOKENS);
        let query = || MakeLabelsQuery { sae: sae.to_owned(), tokens, unless_made: true, ..MakeLabelsQuery::default() };
        (!self.made.contains(sae)).then(query)
    }

    /// Takes what came of the asking; what was not answered has no label until the person asks again.
    pub fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Progress(_) | Turn::Retried => {}
            Turn::Cleared => self.known.clear(),
            Turn::Answered | Turn::Failed | Turn::Ended => {
                if let Some((LabelsQuery { sae, latents }, ())) = self.ask.question() {
                    let of = |latent: &u32| LatentRef { sae: sae.clone(), latent: *latent };
                    for latent in latents {
                        self.known.entry(of(latent)).or_default();
                    }
                }
                if let (Turn::Answered, Some(labels)) = (turn, self.ask.value().cloned()) {
                    self.take(&labels);
                }
            }
        }
    }

    /// Takes what came of writing one.
    pub fn written(&mut self, turn: Turn) {
        if let (Turn::Answered, Some(labels)) = (turn, self.write.value().cloned()) {
            self.take(&labels);
        }
    }

    /// Takes what came of making rules: all labels are looked up again where there are new ones.
    pub fn turned(&mut self, turn: Turn) {
        if let Turn::Cleared = turn {
            self.made.clear();
            return;
        }
        let Some((MakeLabelsQuery { sae, .. }, ())) = self.make.question() else { return };
        if matches!(turn, Turn::Answered | Turn::Failed | Turn::Ended) {
            self.made.insert(sae.clone());
        }
        if turn == Turn::Answered {
            self.known.retain(|of, _| of.sae != *sae);
        }
    }

    fn take(&mut self, labels: &Labels) {
        let of = |latent: u32| LatentRef { sae: labels.sae.clone(), latent };
        self.known.extend(labels.labels.iter().map(|(latent, labels)| (of(*latent), labels.clone())));
    }
}
