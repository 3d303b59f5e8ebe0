//! A latent's relatives in every SAE of the ladder, as far as tables are there.
//! Not here: the tables (`tables.rs`).

use crate::analysis::{Class, Family, Neighbour, Relation, Rung, card};
use crate::report::Report;
use crate::sae::{Comparison, Error, Sae};
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::query::{Cx, Lane, Query};
use crate::session::tables::{NEAREST, floor_of};

/// Parents of a latent shown at most.
const PARENTS: usize = 32;

/// A latent's relatives in every loaded SAE, at once: what a table is needed for that is not there yet is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latent.
    pub latent: u32,
    /// θ.
    pub threshold: f32,
}

impl Query for FamilyQuery {
    type Answer = Family;
    const NAME: &'static str = "family";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 0;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Family, Report> {
        cx.suite()?.family(&self.sae, self.latent, self.threshold)
    }
}

impl LoadedSuite {
    /// A latent's relatives, as far as tables are there.
    fn family(&self, sae: &str, latent: u32, threshold: f32) -> Result<Family, Report> {
        floor_of(threshold)?;
        let own = self.place(sae)?;
        let wrong = |error| failure::of_sae(format!("SAE `{sae}` has no family for latent {latent}"), &error);
        let rungs = (0..self.saes.len()).map(|place| self.rung(own, place, latent as usize, threshold));
        let rungs = rungs.collect::<Result<_, _>>().map_err(wrong)?;
        Ok(Family { sae: sae.to_owned(), latent, threshold, rungs })
    }

    fn rung(&self, own: usize, place: usize, latent: usize, threshold: f32) -> Result<Rung, Error> {
        let (from, to) = (&self.saes[own].sae, &self.saes[place].sae);
        from.decoder_row(latent)?;
        let mut rung = Rung {
            sae: self.saes[place].entry.id.clone(),
            width: to.width(),
            relation: Relation::Own,
            nearest: Vec::new(),
            class: None,
            relatives: Some(Vec::new()),
        };
        if place == own {
            return Ok(rung);
        }
        let near = card::near(from, latent, to, PARENTS)?;
        let zero = from.decoder_norm(latent)? == 0.0;
        if place < own {
            rung.relation = Relation::Parent;
            rung.class = (!zero).then(|| Class::of_nearest(&near, threshold));
            let many = near.iter().take_while(|near| near.cosine >= threshold).count().max(1);
            rung.relatives = Some(near.iter().take(many).copied().collect());
        } else {
            rung.relation = Relation::Child;
            let table = self.known_table((own, place), 0);
            rung.relatives = match table {
                Some(_) if zero => Some(Vec::new()),
                Some(table) => Some(children(&table.comparison, latent as u32, to)?),
                None => None,
            };
        }
        rung.nearest = near.into_iter().take(NEAREST).collect();
        Ok(rung)
    }
}

/// The latents of the larger SAE, `of`, whose nearest of the smaller is this one, nearest first; without those whose
/// decoder rows are zero, which have a cosine of 0 with all.
fn children(comparison: &Comparison, latent: u32, of: &Sae) -> Result<Vec<Neighbour>, Error> {
    let rows = 0..comparison.nearest.rows();
    let nearest = rows.map(|row| (row as u32, comparison.nearest.row(row)[0]));
    let mut children = Vec::new();
    for (child, near) in nearest.filter(|(_, near)| near.latent == latent) {
        if near.cosine != 0.0 || of.decoder_norm(child as usize)? != 0.0 {
            children.push(Neighbour { latent: child, ..near });
        }
    }
    children.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.latent.cmp(&b.latent)));
    Ok(children)
}
