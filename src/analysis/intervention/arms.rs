//! Interventions in a pass of several arms, one for each of them, and what they did where.
//! Not here: what an intervention makes of an activation (`compiled`), and the texts (`analysis::steering`).

use candle_core::Tensor;

use super::compiled::{Compiled, Unedited};
use crate::analysis::TokenFiring;
use crate::model::Hook;
use crate::sae::{self, Codes, Sae};
use crate::site::Site;
use crate::task::Cancel;

/// The intervention of one arm, and what it has done so far.
#[derive(Clone)]
pub struct ArmEdit<'a> {
    compiled: Compiled<'a>,
    /// Whether it is made; else only what fires is noted.
    acts: bool,
    /// Behind so many positions what fires is noted at each.
    noted: usize,
    ended: Option<usize>,
    edited: Vec<(usize, f64)>,
    fires: Vec<TokenFiring>,
}

impl<'a> ArmEdit<'a> {
    /// An arm with its intervention; one that does not act is the untouched model. Behind a prompt of so many positions it
    /// is noted what fires.
    #[must_use]
    pub const fn new(compiled: Compiled<'a>, acts: bool, prompt: usize) -> Self {
        Self { compiled, acts, noted: prompt, ended: None, edited: Vec::new(), fires: Vec::new() }
    }

    /// The positions at which something was done, by rising position, each with ‖Δ‖.
    #[must_use]
    pub fn edited(&self) -> &[(usize, f64)] {
        &self.edited
    }

    /// How strongly what the first edit is about fires on the unedited activation, at each position looked at; none where
    /// no edit is about what fires.
    #[must_use]
    pub fn fires(&self) -> &[TokenFiring] {
        &self.fires
    }

    /// The first of so many positions at which it must be run anew, because it may change something there or look at what
    /// may end its changes.
    #[must_use]
    pub fn first(&self, positions: usize) -> usize {
        (0..if self.acts { positions } else { 0 })
            .find(|position| self.compiled.looks_at(*position))
            .unwrap_or(positions)
    }

    fn looks_at(&self, position: usize) -> bool {
        self.compiled.looks_at(position) || (position >= self.noted && self.compiled.readings() > 0)
    }

    fn visit(&mut self, position: usize, x: &mut [f32], unedited: &[Unedited<'_>]) -> bool {
        if let Some(activation) = self.compiled.activations(unedited).next() {
            self.fires.push(TokenFiring { position, activation });
        }
        if self.ended.is_none() && self.compiled.ends(unedited) {
            self.ended = Some(position);
        }
        if !self.acts || self.ended.is_some_and(|ended| position >= ended) {
            return false;
        }
        let before = x.to_vec();
        let touched = self.compiled.edit(position, x, unedited);
        if touched {
            let squares = x.iter().zip(&before).map(|(new, old)| (f64::from(*new) - f64::from(*old)).powi(2));
            self.edited.push((position, squares.sum::<f64>().sqrt()));
        }
        touched
    }
}

/// Makes the intervention of each arm in a pass of all of them.
pub struct ArmsHook<'h, 'a> {
    site: Site,
    position: usize,
    arms: Vec<&'h mut ArmEdit<'a>>,
    cancel: &'h Cancel,
}

/// What an SAE makes of the rows of those arms that read it.
struct Read {
    /// For each row of the pass the row of the codes.
    places: Vec<Option<usize>>,
    codes: Codes,
    decoded: Vec<f32>,
}

impl<'h, 'a> ArmsHook<'h, 'a> {
    /// A hook for passes of these arms, in their order.
    #[must_use]
    pub const fn new(site: Site, arms: Vec<&'h mut ArmEdit<'a>>, cancel: &'h Cancel) -> Self {
        Self { site, position: 0, arms, cancel }
    }

    /// What each SAE makes of the rows that are looked at: one encode of each SAE for all arms.
    fn read(&self, rows: &[f32], wanted: &[bool], each: usize) -> Result<Vec<(&'a Sae, Read)>, sae::Error> {
        let mut all: Vec<(&Compiled<'a>, &'a Sae)> = Vec::new();
        for arm in &self.arms {
            for sae in arm.compiled.saes() {
                if !all.iter().any(|(_, known)| std::ptr::eq(*known, sae)) {
                    all.push((&arm.compiled, sae));
                }
            }
        }
        let mut found = Vec::with_capacity(all.len());
        for (compiled, sae) in all {
            let (mut places, mut here) = (vec![None; wanted.len()], Vec::new());
            let mut latents = Vec::new();
            let mut decoded = false;
            for (arm, edit) in self.arms.iter().enumerate() {
                let Some(used) = edit.compiled.used(sae) else { continue };
                latents.extend_from_slice(&used.latents);
                decoded |= used.decoded;
                for row in (arm * each..(arm + 1) * each).filter(|row| wanted[*row]) {
                    places[row] = Some(here.len() / compiled.size().max(1));
                    here.extend_from_slice(&rows[row * compiled.size()..(row + 1) * compiled.size()]);
                }
            }
            latents.sort_unstable();
            latents.dedup();
            let (codes, decoded) = compiled.read_by(sae, (&latents, decoded), &here, self.cancel)?;
            found.push((sae, Read { places, codes, decoded }));
        }
        Ok(found)
    }
}

impl Hook for ArmsHook<'_, '_> {
    fn is_active(&self, site: Site) -> bool {
        site == self.site
    }

    fn begin(&mut self, first: usize) {
        self.position = first;
    }

    fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (all, size) = activation.dims2()?;
        let (first, each) = (self.position, all / self.arms.len().max(1));
        self.position += each;
        let looks = |arm: &&mut ArmEdit<'_>| -> Vec<bool> {
            (first..first + each).map(|position| arm.looks_at(position)).collect()
        };
        let wanted: Vec<bool> = self.arms.iter().flat_map(looks).collect();
        if !wanted.contains(&true) {
            return Ok(None);
        }
        let mut rows: Vec<f32> = activation.flatten_all()?.to_vec1()?;
        let read = self.read(&rows, &wanted, each).map_err(candle_core::Error::wrap)?;
        let mut touched = false;
        for (arm, edit) in self.arms.iter_mut().enumerate() {
            for row in (arm * each..(arm + 1) * each).filter(|row| wanted[*row]) {
                let of = |sae: &Sae| {
                    let (_, read) = read.iter().find(|(known, _)| std::ptr::eq(*known, sae))?;
                    let place = read.places[row]?;
                    let reconstruction = read.decoded.get(place * size..(place + 1) * size).unwrap_or_default();
                    Some(Unedited { codes: &read.codes, row: place, reconstruction })
                };
                let Some(unedited) = edit.compiled.saes().map(of).collect::<Option<Vec<_>>>() else { continue };
                touched |= edit.visit(first + row % each, &mut rows[row * size..(row + 1) * size], &unedited);
            }
        }
        if touched { Tensor::from_vec(rows, (all, size), activation.device()).map(Some) } else { Ok(None) }
    }
}
