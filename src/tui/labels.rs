//! Short names of latents, as far as they are known, and which must still be asked for.
//! Not here: what the names are made of.

use std::collections::{HashMap, HashSet};

use crate::analysis::TokenValue;
use crate::report::Report;
use crate::session::Labels;
use crate::task::{Remote, Ticket};
use crate::tui::app::LatentRef;

/// Names of latents.
#[derive(Clone, Debug, Default)]
pub struct LabelStore {
    known: HashMap<LatentRef, Vec<TokenValue>>,
    // Asked for without success: not asked for again, or a failure would repeat for ever.
    refused: HashSet<LatentRef>,
    asked: Vec<LatentRef>,
    dense: HashSet<LatentRef>,
    remote: Remote<(), Report>,
}

impl LabelStore {
    /// A latent's name: the tokens it promotes most.
    #[must_use]
    pub fn get(&self, of: &LatentRef) -> Option<&[TokenValue]> {
        self.known.get(of).map(Vec::as_slice)
    }

    /// Whether a latent is known to fire on more than half of the tokens seen.
    #[must_use]
    pub fn is_dense(&self, of: &LatentRef) -> bool {
        self.dense.contains(of)
    }

    /// Notes whether a latent fires on more than half of the tokens seen.
    pub fn mark_dense(&mut self, of: LatentRef, dense: bool) {
        if dense {
            self.dense.insert(of);
        } else {
            self.dense.remove(&of);
        }
    }

    /// Whether an answer is awaited.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.remote.is_pending()
    }

    /// Of the wanted latents those to ask for next: all that are missing of the first SAE that misses any.
    #[must_use]
    pub fn missing(&self, wanted: &[LatentRef]) -> Vec<LatentRef> {
        let absent = |l: &&LatentRef| !self.known.contains_key(*l) && !self.refused.contains(*l);
        let Some(first) = wanted.iter().find(absent) else { return Vec::new() };
        let mut missing: Vec<LatentRef> =
            wanted.iter().filter(absent).filter(|l| l.sae == first.sae).cloned().collect();
        missing.sort();
        missing.dedup();
        missing
    }

    /// Notes an asking.
    pub fn ask(&mut self, latents: Vec<LatentRef>) -> Ticket {
        self.asked = latents;
        self.remote.ask()
    }

    /// Takes an answer; gives false, and changes nothing, when it is stale.
    pub fn answer(&mut self, ticket: Ticket, answer: Result<Labels, Report>) -> bool {
        let (answer, labels) = match answer {
            Ok(labels) => (Ok(()), Some(labels)),
            Err(report) => (Err(report), None),
        };
        if !self.remote.answer(ticket, answer) {
            return false;
        }
        if let Some(labels) = labels {
            for (latent, tokens) in labels.labels {
                self.known.insert(LatentRef { sae: labels.sae.clone(), latent }, tokens);
            }
        }
        for latent in std::mem::take(&mut self.asked) {
            if !self.known.contains_key(&latent) {
                self.refused.insert(latent);
            }
        }
        true
    }

    /// Forgets everything, as when another suite is opened.
    pub fn clear(&mut self) {
        self.known.clear();
        self.refused.clear();
        self.asked.clear();
        self.dense.clear();
        self.remote.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sae: &str, latent: u32) -> LatentRef {
        LatentRef { sae: sae.into(), latent }
    }

    #[test]
    fn asks_for_one_sae_at_a_time_and_never_twice() {
        let mut store = LabelStore::default();
        let wanted = [at("a", 2), at("b", 1), at("a", 1), at("a", 2)];
        let missing = store.missing(&wanted);
        assert_eq!(missing, [at("a", 1), at("a", 2)]);
        let ticket = store.ask(missing);
        let labels = Labels { sae: "a".into(), labels: vec![(1, vec![])] };
        assert!(store.answer(ticket, Ok(labels)));
        assert_eq!(store.missing(&wanted), [at("b", 1)], "what was not answered is not asked for again");
        let ticket = store.ask(vec![at("b", 1)]);
        assert!(store.answer(ticket, Err(Report::new("no"))));
        assert!(store.missing(&wanted).is_empty());
    }
}
