//! Short names of latents, as far as they are known, and which must still be asked for.
//! Not here: what the names are made of.

use std::collections::{HashMap, HashSet};

use crate::analysis::TokenValue;
use crate::session::NamesQuery;
use crate::tui::ask::{Ask, Turn};
use crate::tui::location::{LatentRef, absent_of_one};

/// Names of latents.
#[derive(Debug, Default)]
pub struct NameStore {
    known: HashMap<LatentRef, Vec<TokenValue>>,
    // Asked for without success: not asked for again, or a failure would repeat for ever.
    refused: HashSet<LatentRef>,
    dense: HashSet<LatentRef>,
    /// What is asked.
    pub ask: Ask<NamesQuery>,
}

impl NameStore {
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
    pub const fn is_pending(&self) -> bool {
        self.ask.is_pending()
    }

    /// Of the wanted latents those to ask for next: all that are missing of the first SAE that misses any.
    #[must_use]
    pub fn missing(&self, wanted: &[LatentRef]) -> Option<NamesQuery> {
        let absent = |of: &LatentRef| !self.known.contains_key(of) && !self.refused.contains(of);
        absent_of_one(wanted, absent).map(|(sae, latents)| NamesQuery { sae, latents })
    }

    /// Takes what came of the asking: what it was to name and did not is not asked for again.
    pub fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Progress(_) => {}
            Turn::Retried => self.refused.clear(),
            Turn::Cleared => {
                self.known.clear();
                self.refused.clear();
                self.dense.clear();
            }
            Turn::Answered | Turn::Failed | Turn::Ended => {
                if let (Turn::Answered, Some(names)) = (turn, self.ask.value()) {
                    let of = |latent: u32| LatentRef { sae: names.sae.clone(), latent };
                    self.known.extend(names.names.iter().map(|(latent, tokens)| (of(*latent), tokens.clone())));
                }
                let Some((NamesQuery { sae, latents }, ())) = self.ask.question() else { return };
                let asked = latents.iter().map(|latent| LatentRef { sae: sae.clone(), latent: *latent });
                self.refused.extend(asked.filter(|of| !self.known.contains_key(of)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;
    use crate::session::LatentNames;
    use crate::task::Tickets;
    use crate::tui::ask::AnyAsk;
    use crate::worker::Answer;

    fn at(sae: &str, latent: u32) -> LatentRef {
        LatentRef { sae: sae.into(), latent }
    }

    fn of(sae: &str, latents: &[u32]) -> NamesQuery {
        NamesQuery { sae: sae.into(), latents: latents.to_vec() }
    }

    #[test]
    fn asks_for_one_sae_at_a_time_and_never_twice() {
        let mut store = NameStore::default();
        let mut tickets = Tickets::default();
        let wanted = [at("a", 2), at("b", 1), at("a", 1), at("a", 2)];
        assert_eq!(store.missing(&wanted), Some(of("a", &[1, 2])));
        store.ask.ask(NamesQuery { sae: "a".into(), latents: vec![1, 2] }, (), &mut tickets);
        store.ask.take(Ok(Answer::new(LatentNames { sae: "a".into(), names: vec![(1, vec![])] })));
        store.turn(Turn::Answered);
        assert_eq!(store.missing(&wanted), Some(of("b", &[1])), "what was not answered is not asked for again");
        store.ask.ask(NamesQuery { sae: "b".into(), latents: vec![1] }, (), &mut tickets);
        store.ask.take(Err(Report::new("no")));
        store.turn(Turn::Failed);
        assert_eq!(store.missing(&wanted), None);
        store.turn(Turn::Retried);
        assert_eq!(store.missing(&wanted), Some(of("a", &[2])), "but when the person says so");
    }
}
