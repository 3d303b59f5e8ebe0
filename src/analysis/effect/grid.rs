//! What the latents of every earlier position do to a token further on: whole positions first, then the latents of the
//! strongest, one by one. Not here: taking something out of one position (`effect`).

use serde::Serialize;

use super::outcome::Outcome;
use super::{Asked, PartEffect, Seen, Subject};
use crate::analysis::NextToken;
use crate::analysis::intervention::{ActivationEdit, Compiled, Failure, Unedited};
use crate::task::Cancel;

/// Which latents at which positions do what to a token (the JSON of `saescope effect --at all`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridView {
    /// Where the next token is read.
    pub read: usize,
    /// The token asked about, as the untouched model has it.
    pub token: NextToken,
    /// How figures are signed.
    pub sign: &'static str,
    /// One entry for each SAE.
    pub saes: Vec<SaeGrid>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What an SAE's latents do, position by position.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SaeGrid {
    /// The SAE's id.
    pub id: String,
    /// Positions, the largest change of log-probability by all latents first, ties by position.
    pub positions: Vec<PositionEffect>,
    /// Latents at the positions that were measured one by one, the largest change of log-probability first, ties by
    /// position and index.
    pub cells: Vec<CellEffect>,
}

/// What a whole position does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PositionEffect {
    /// The position.
    pub position: usize,
    /// How many latents fire there.
    pub latents: usize,
    /// All that fire there taken out together; b_dec stays.
    pub all_latents: PartEffect,
    /// What the SAE does not reconstruct there taken out.
    pub error: PartEffect,
    /// Whether its latents are among the cells.
    pub measured: bool,
}

/// What one latent does at one position.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CellEffect {
    /// The position.
    pub position: usize,
    /// The latent.
    pub latent: u32,
    /// How strongly it fires there.
    pub activation: f32,
    /// Change of the token's log-probability, in nats.
    pub delta_logprob: f64,
    /// Change of the token's logit less the mean of all logits.
    pub delta_logit: f64,
    /// KL(clean ‖ without it) of the next token, in nats.
    pub kl: f64,
}

/// What is known of a grid so far.
pub struct GridStep<'a> {
    /// What is measured now.
    pub what: &'static str,
    /// Positions done, and in all.
    pub done: (usize, usize),
    /// One entry for each SAE.
    pub saes: &'a [SaeGrid],
}

impl<'q> Asked<'q> {
    /// Takes out, at each position from this one to the one that is read, all that fires in these SAEs, and the error;
    /// then, at the `most` positions where all of it does most, each latent. Every position is one batch behind the
    /// prompt's KV cache. `tell` sees what is known after each.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn grid(
        &self,
        subjects: &[Subject<'_>],
        most: usize,
        cancel: &Cancel,
        tell: &mut dyn FnMut(GridStep<'_>),
    ) -> Result<Vec<SaeGrid>, Failure> {
        let empty = |of: &Subject<'_>| SaeGrid { id: of.id.to_owned(), positions: Vec::new(), cells: Vec::new() };
        let mut grids: Vec<SaeGrid> = subjects.iter().map(empty).collect();
        let all = (self.read + 1).saturating_sub(self.position);
        let total = all + most.min(all) * subjects.len();
        for (done, position) in (self.position..=self.read).enumerate() {
            tell(GridStep { what: "positions", done: (done, total), saes: &grids });
            self.at(position).whole(subjects, &mut grids, cancel)?;
        }
        let mut done = all;
        for (place, subject) in subjects.iter().enumerate() {
            for row in 0..most.min(all) {
                tell(GridStep { what: "latents", done: (done, total), saes: &grids });
                done += 1;
                let Some(of) = grids[place].positions.get_mut(row) else { continue };
                of.measured = true;
                let cells = self.at(of.position).cells(*subject, cancel)?;
                grids[place].add(cells);
            }
        }
        Ok(grids)
    }

    /// The same, asked of another position.
    fn at(&self, position: usize) -> Asked<'q> {
        Asked { position, words: None, ..*self }
    }

    /// What the position does as a whole, in every SAE.
    fn whole(&self, subjects: &[Subject<'_>], grids: &mut [SaeGrid], cancel: &Cancel) -> Result<(), Failure> {
        let seen: Vec<Seen<'_>> = subjects.iter().map(|subject| self.look(*subject)).collect::<Result<_, _>>()?;
        let edits = |seen: &Seen<'_>| {
            let all = seen.latents().iter().map(|latent| seen.off(*latent)).collect();
            vec![all, vec![ActivationEdit::Reconstruct(seen.subject.id.to_owned())]]
        };
        let outcomes = self.without(&seen, edits, cancel)?;
        for ((seen, grid), outcomes) in seen.iter().zip(grids).zip(outcomes.chunks(2)) {
            let part = |at: usize| outcomes.get(at).map(PartEffect::of).unwrap_or_default();
            let (position, latents) = (self.position, seen.latents().len());
            grid.positions.push(PositionEffect {
                position,
                latents,
                all_latents: part(0),
                error: part(1),
                measured: false,
            });
            let size = |of: &PositionEffect| of.all_latents.delta_logprob.abs();
            grid.positions.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.position.cmp(&b.position)));
        }
        Ok(())
    }

    /// What each latent at the position does.
    fn cells(&self, subject: Subject<'_>, cancel: &Cancel) -> Result<Vec<CellEffect>, Failure> {
        let seen = self.look(subject)?;
        let edits = |seen: &Seen<'_>| seen.latents().iter().map(|latent| vec![seen.off(*latent)]).collect();
        let outcomes = self.without(std::slice::from_ref(&seen), edits, cancel)?;
        let (latents, values) = seen.codes.row(0);
        let cell = |((latent, activation), outcome): ((&u32, &f32), &Outcome)| CellEffect {
            position: self.position,
            latent: *latent,
            activation: *activation,
            delta_logprob: outcome.delta_logprob,
            delta_logit: outcome.delta_logit,
            kl: outcome.kl,
        };
        Ok(latents.iter().zip(values).zip(&outcomes).map(cell).collect())
    }

    /// What each of these edits does, SAE by SAE.
    pub(super) fn without(
        &self,
        seen: &[Seen<'_>],
        edits: impl Fn(&Seen<'_>) -> Vec<Vec<ActivationEdit>>,
        cancel: &Cancel,
    ) -> Result<Vec<Outcome>, Failure> {
        let mut branches: Vec<(Compiled<'_>, Vec<Unedited<'_>>)> = vec![(self.compile(Vec::new(), None)?, Vec::new())];
        for seen in seen {
            for edits in edits(seen) {
                branches.push((self.compile(edits, Some(seen.subject))?, vec![seen.unedited()]));
            }
        }
        if branches.len() == 1 {
            return Ok(Vec::new());
        }
        let mut outcomes = self.outcomes(&branches, cancel, &|_| {})?;
        outcomes.remove(0);
        Ok(outcomes)
    }
}

impl SaeGrid {
    fn add(&mut self, cells: Vec<CellEffect>) {
        self.cells.extend(cells);
        let size = |cell: &CellEffect| cell.delta_logprob.abs();
        let place = |cell: &CellEffect| (cell.position, cell.latent);
        self.cells.sort_by(|a, b| size(b).total_cmp(&size(a)).then(place(a).cmp(&place(b))));
    }
}
