//! How often latents fire in the index, as far as it is known, and which must still be asked for.
//! Not here: counting, and what is shown of it.

use std::collections::HashMap;

use crate::analysis::LatentFrequency;
use crate::session::FrequenciesQuery;
use crate::tui::ask::{Ask, Turn};
use crate::tui::location::{LatentRef, absent_of_one};

/// Frequencies of latents in the index.
#[derive(Debug, Default)]
pub struct FrequencyStore {
    /// By SAE and latent, with the state of the index that it is of; none where the index says nothing.
    known: HashMap<String, HashMap<u32, (u64, Option<LatentFrequency>)>>,
    /// What is asked, by states of the index.
    pub ask: Ask<FrequenciesQuery, u64>,
}

impl FrequencyStore {
    /// How often a latent fires in the index.
    #[must_use]
    pub fn get(&self, of: &LatentRef) -> Option<&LatentFrequency> {
        self.in_sae(&of.sae, of.latent)
    }

    /// How often a latent of an SAE fires in the index.
    #[must_use]
    pub fn in_sae(&self, sae: &str, latent: u32) -> Option<&LatentFrequency> {
        self.known.get(sae)?.get(&latent)?.1.as_ref()
    }

    /// Of the wanted latents those to ask for next: all of the first SAE of which any is not known as the index is now.
    #[must_use]
    pub fn missing(&self, wanted: &[LatentRef], version: u64) -> Option<FrequenciesQuery> {
        let absent = |of: &LatentRef| {
            let known = self.known.get(&of.sae).and_then(|of_sae| of_sae.get(&of.latent));
            known.is_none_or(|(of, _)| *of != version)
        };
        absent_of_one(wanted, absent).map(|(sae, latents)| FrequenciesQuery { sae, latents, index: None })
    }

    /// Takes what came of the asking: what the index does not say now is not asked for again until there is more in it.
    pub fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Progress(_) | Turn::Retried => {}
            Turn::Cleared => self.known.clear(),
            Turn::Answered | Turn::Failed | Turn::Ended => {
                let Some((FrequenciesQuery { sae, latents, .. }, version)) = self.ask.question() else { return };
                let of_sae = self.known.entry(sae.clone()).or_default();
                for latent in latents {
                    let before = of_sae.remove(latent).and_then(|(_, before)| before);
                    of_sae.insert(*latent, (*version, before));
                }
                if let (Turn::Answered, Some(Some(found))) = (turn, self.ask.value().map(|value| &**value)) {
                    let found = found.latents.iter().map(|(latent, of)| (*latent, (*version, Some(of.clone()))));
                    of_sae.extend(found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Frequencies;
    use crate::task::Tickets;
    use crate::tui::ask::AnyAsk;
    use crate::worker::Answer;

    #[test]
    fn what_is_known_is_asked_for_again_when_the_index_has_grown() {
        let at = |sae: &str, latent| LatentRef { sae: sae.into(), latent };
        let (mut store, mut tickets) = (FrequencyStore::default(), Tickets::default());
        let wanted = [at("a", 2), at("b", 1), at("a", 1), at("a", 2)];
        let query = store.missing(&wanted, 3).expect("nothing is known");
        assert_eq!((&*query.sae, &query.latents[..]), ("a", &[1, 2][..]));
        store.ask.ask(query, 3, &mut tickets);
        let one = LatentFrequency { count: 7, ..LatentFrequency::default() };
        let found = Frequencies { sae: "a".into(), tokens: 9, latents: vec![(1, one)] };
        store.ask.take(Ok(Answer::new(Some(found))));
        store.turn(Turn::Answered);
        assert_eq!(store.get(&at("a", 1)).map(|of| of.count), Some(7));
        assert!(store.get(&at("a", 2)).is_none());
        assert_eq!(store.missing(&wanted, 3).map(|query| query.sae), Some("b".into()), "not asked for twice");
        let again = store.missing(&wanted, 4).expect("the index has grown");
        assert_eq!(again.latents, [1, 2]);
        assert!(store.get(&at("a", 1)).is_some(), "until then the figure before is shown");
    }
}
