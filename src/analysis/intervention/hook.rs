//! Interventions in a forward pass: one in a pass behind a KV cache, or one for each branch of a fan.
//! Not here: what an intervention makes of an activation (`compiled`).

use candle_core::Tensor;

use super::compiled::{Compiled, Unedited};
use crate::analysis::TokenFiring;
use crate::model::Hook;
use crate::site::Site;
use crate::task::Cancel;

/// Makes an intervention while a pass goes by. Positions are counted from where the pass begins, so it may continue behind a
/// cache; what it changed earlier stays in the cache.
pub struct EditHook<'a> {
    compiled: Compiled<'a>,
    /// The position of the first row of the next visit.
    position: usize,
    cancel: &'a Cancel,
    /// For each edit of a latent where that fires, of the positions that the intervention reaches.
    fires: Vec<Vec<TokenFiring>>,
    /// The first position from which on nothing is done any more.
    ended: Option<usize>,
}

impl<'a> EditHook<'a> {
    /// A hook for passes that nobody wants any more once `cancel` says so.
    #[must_use]
    pub fn new(compiled: Compiled<'a>, cancel: &'a Cancel) -> Self {
        let fires = vec![Vec::new(); compiled.readings()];
        Self { compiled, position: 0, cancel, fires, ended: None }
    }

    /// Where the latent of an edit fires: of the first, the second … that is about a latent. Positions that the
    /// intervention cannot reach are left out.
    #[must_use]
    pub fn fires(&self, edit: usize) -> &[TokenFiring] {
        self.fires.get(edit).map_or(&[], Vec::as_slice)
    }
}

impl Hook for EditHook<'_> {
    fn is_active(&self, site: Site) -> bool {
        site == self.compiled.site
    }

    fn begin(&mut self, first: usize) {
        self.position = first;
    }

    fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (positions, size) = activation.dims2()?;
        let first = self.position;
        self.position += positions;
        let reached: Vec<usize> = (0..positions).filter(|at| self.compiled.looks_at(first + at)).collect();
        if reached.is_empty() {
            return Ok(None);
        }
        let mut rows: Vec<f32> = activation.flatten_all()?.to_vec1()?;
        let here: Vec<f32> = reached.iter().flat_map(|at| &rows[at * size..(at + 1) * size]).copied().collect();
        let all = self.compiled.read(&here, self.cancel).map_err(candle_core::Error::wrap)?;
        let mut touched = false;
        for (row, at) in reached.into_iter().enumerate() {
            let unedited: Vec<Unedited<'_>> = all
                .iter()
                .map(|(codes, decoded)| {
                    let reconstruction = decoded.get(row * size..(row + 1) * size).unwrap_or_default();
                    Unedited { codes, row, reconstruction }
                })
                .collect();
            let position = first + at;
            for (fires, activation) in self.fires.iter_mut().zip(self.compiled.activations(&unedited)) {
                if activation != 0.0 {
                    fires.push(TokenFiring { position, activation });
                }
            }
            if self.ended.is_none() && self.compiled.ends(&unedited) {
                self.ended = Some(position);
            }
            if self.ended.is_none_or(|ended| position < ended) {
                touched |= self.compiled.edit(position, &mut rows[at * size..(at + 1) * size], &unedited);
            }
        }
        if touched { Tensor::from_vec(rows, (positions, size), activation.device()).map(Some) } else { Ok(None) }
    }
}

/// Makes another intervention in each branch of a fan, at its first position; what SAEs make of the activation there,
/// which is the same in all branches, is known.
pub struct FanHook<'a, 'u> {
    /// The site.
    pub site: Site,
    /// The first position.
    pub position: usize,
    /// For each branch its intervention, and what its SAEs make of the unedited activation.
    pub branches: &'u [(Compiled<'a>, Vec<Unedited<'u>>)],
}

impl FanHook<'_, '_> {
    /// Edits the first position of each branch, \[branches · positions, size\].
    pub fn edit(&self, rows: &mut [f32]) {
        let each = rows.len() / self.branches.len().max(1);
        for ((compiled, unedited), rows) in self.branches.iter().zip(rows.chunks_exact_mut(each.max(1))) {
            if let Some(x) = rows.get_mut(..compiled.size()) {
                compiled.edit(self.position, x, unedited);
            }
        }
    }
}

impl Hook for FanHook<'_, '_> {
    fn is_active(&self, site: Site) -> bool {
        site == self.site
    }

    fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let mut rows: Vec<f32> = activation.flatten_all()?.to_vec1()?;
        self.edit(&mut rows);
        Tensor::from_vec(rows, activation.shape(), activation.device()).map(Some)
    }
}
