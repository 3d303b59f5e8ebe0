//! The rows of the card's ladder: the chosen latent's family in every SAE of the suite.
//! Not here: how they look (`view::card`).

use crate::analysis::{Class, LadderEntry, LatentCard, Neighbour, Relation, Rung};
use crate::tui::app::{App, Focus, LatentRef};

/// One row of the card's ladder: a latent of one SAE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LadderRow {
    /// The SAE's place in the suite.
    pub place: usize,
    /// Which of that SAE's rows this is, from 0.
    pub rank: usize,
    /// The latent.
    pub latent: u32,
    /// Cosine of the decoder rows; none for the card's own latent.
    pub cosine: Option<f32>,
    /// The class of the card's latent with respect to that SAE, in the first row of a narrower one.
    pub class: Option<Class>,
    /// What it is to the card's latent.
    pub kin: Kin,
    /// How many relatives of that SAE are left out below this row; none while they are not known yet.
    pub more: Option<usize>,
}

/// What a latent is to the one whose card is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// It is that latent.
    Own,
    /// Of a narrower SAE, and as near as θ.
    Parent,
    /// Of a wider SAE, and has the card's latent as its nearest.
    Child,
    /// The nearest there, without being one of those.
    Near,
}

/// Most relatives shown of one SAE while the card is walked through.
const MAX_NEAREST: usize = 12;

impl App {
    /// The rows of the card's ladder, from the narrowest SAE to the widest.
    #[must_use]
    pub fn ladder_rows(&self) -> Vec<LadderRow> {
        let Some(card) = self.card.value() else { return Vec::new() };
        let each = self.relatives_shown();
        let of = LatentRef { sae: card.sae.clone(), latent: card.latent };
        let family = self.stitch.family.value().filter(|f| f.sae == of.sae && f.latent == of.latent);
        let mut rows = Vec::new();
        for (place, sae) in self.saes().iter().enumerate() {
            if sae.id == card.sae {
                let own = LadderRow {
                    place,
                    rank: 0,
                    latent: card.latent,
                    cosine: None,
                    class: None,
                    kin: Kin::Own,
                    more: Some(0),
                };
                rows.push(own);
            } else if let Some(entry) = card.ladder.iter().find(|e| e.sae == sae.id) {
                let rung = family.and_then(|f| f.rungs.iter().find(|r| r.sae == sae.id));
                rows.extend(self.rung_rows(place, card, entry, rung, each));
            }
        }
        rows
    }

    /// Relatives shown of each SAE: all one can walk through while the card is focused, else as many as there is room.
    fn relatives_shown(&self) -> usize {
        let saes = self.saes().len().max(1);
        let fit = self.hits.card_rows.saturating_sub(12) / saes;
        if self.focus == Focus::Card { MAX_NEAREST } else { fit.clamp(1, 4) }
    }

    fn rung_rows(
        &self,
        place: usize,
        card: &LatentCard,
        entry: &LadderEntry,
        rung: Option<&Rung>,
        each: usize,
    ) -> Vec<LadderRow> {
        let theta = self.stitch.threshold;
        let narrower = self.sae_place(&card.sae).is_some_and(|own| place < own);
        let relatives = rung.and_then(|rung| rung.relatives.as_deref());
        let mut all: Vec<(Neighbour, Kin)> = Vec::new();
        let nearest = entry.nearest.first().copied();
        if let Some(near) = nearest {
            let is_child = relatives.is_some_and(|r| r.iter().any(|n| n.latent == near.latent));
            let kin = match (narrower, is_child) {
                (true, _) if near.cosine >= theta => Kin::Parent,
                (false, true) => Kin::Child,
                _ => Kin::Near,
            };
            all.push((near, kin));
        }
        let wanted = rung.map_or(Relation::Own, |rung| rung.relation);
        for relative in relatives.unwrap_or_default() {
            if nearest.is_some_and(|near| near.latent == relative.latent) {
                continue;
            }
            match wanted {
                Relation::Parent if relative.cosine >= theta => all.push((*relative, Kin::Parent)),
                Relation::Child => all.push((*relative, Kin::Child)),
                Relation::Parent | Relation::Own => {}
            }
        }
        let class = nearest.filter(|_| narrower).map(|near| Class::of(near.cosine, theta));
        let (count, shown) = (all.len(), all.len().min(each));
        all.into_iter()
            .take(shown)
            .enumerate()
            .map(|(rank, (near, kin))| LadderRow {
                place,
                rank,
                latent: near.latent,
                cosine: Some(near.cosine),
                class: class.filter(|_| rank == 0),
                kin,
                more: relatives.map(|_| if rank + 1 == shown { count - shown } else { 0 }),
            })
            .collect()
    }

    fn sae_place(&self, id: &str) -> Option<usize> {
        self.saes().iter().position(|s| s.id == id)
    }
}
