//! The end of a prompt run again, once for each of some interventions at one position, as one batch behind the prompt's
//! KV cache. Not here: what is asked of the logits (`effect`).

use std::ops::Range;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::analysis::intervention::{Compiled, FanHook, Unedited};
use crate::analysis::live::{Live, Tap};
use crate::model::{self, Cache, Error, Fan, Hook, Logits, Model, Pass};
use crate::site::{Site, SiteKind};
use crate::task::Cancel;

/// What branches begin with: the residual stream and the caches at a position of a prompt.
pub struct Branches<'a> {
    model: &'a dyn Model,
    site: Site,
    /// The residual stream that enters the block of the site, or the next one where the site is what leaves it, at all
    /// positions that are run again, [positions, d_model].
    entering: Vec<f32>,
    /// Keys and values up to the site's block, of the positions in front.
    front: Cache,
    /// Those behind it.
    back: Cache,
    d_model: usize,
}

impl<'a> Branches<'a> {
    /// Branches of these positions of the prompt, whose interventions are at the first of them. The prompt must have been
    /// run to its end.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(
        model: &'a dyn Model,
        live: &Live,
        site: Site,
        positions: Range<usize>,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let (mut front, mut back) = (live.cache().clone(), live.rest().clone());
        front.truncate(positions.start);
        back.truncate(positions.start);
        let d_model = model.shape().d_model;
        let entering = match site.kind {
            SiteKind::ResidPre | SiteKind::ResidPost => {
                live.residual()[positions.start * d_model..positions.end * d_model].to_vec()
            }
            _ => {
                let mut tap = Tap::new(Site { layer: site.layer, kind: SiteKind::ResidPre });
                let pass = Pass { layers: Some(site.layer), logits: Logits::None, hook: Some(&mut tap), cancel };
                model.forward(&live.ids()[positions], &mut front.clone(), pass)?;
                tap.rows
            }
        };
        Ok(Self { model, site, entering, front, back, d_model })
    }

    /// How many positions each branch has.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.entering.len() / self.d_model.max(1)
    }

    /// The residual stream behind the last block at the last position of each branch, [branches, d_model].
    ///
    /// # Errors
    /// [`Error`].
    pub fn run(&self, hook: &mut FanHook<'_, '_>, cancel: &Cancel) -> Result<Vec<f32>, Error> {
        let (branches, layers) = (hook.branches.len(), self.model.shape().layers);
        let mut rows = self.entering.repeat(branches);
        let behind = self.site.blocks();
        if matches!(self.site.kind, SiteKind::ResidPre | SiteKind::ResidPost) {
            hook.edit(&mut rows);
        } else {
            let of_site = self.site.layer..behind;
            rows = self.fan(branches, of_site, rows, (&self.front, Some(hook)), cancel)?;
        }
        let rows = self.fan(branches, behind..layers, rows, (&self.back, None), cancel)?;
        let each = self.positions() * self.d_model;
        Ok(rows.chunks_exact(each.max(1)).flat_map(|rows| &rows[each - self.d_model..]).copied().collect())
    }

    /// What `read` makes of the logits, \[vocab\], of each of some interventions at `position`, the first of the positions.
    ///
    /// # Errors
    /// [`Error`].
    pub fn read<T: Send>(
        &self,
        position: usize,
        branches: &[(Compiled<'_>, Vec<Unedited<'_>>)],
        cancel: &Cancel,
        read: impl Fn(&[f32]) -> T + Send + Sync,
    ) -> Result<Vec<T>, Error> {
        let residual = self.run(&mut FanHook { site: self.site, position, branches }, cancel)?;
        let residual = Tensor::from_vec(residual, (branches.len(), self.d_model), &Device::Cpu)?;
        let logits = self.model.logits(&residual)?;
        let vocab = self.model.shape().vocab;
        Ok(model::lend(&logits, |logits| logits.par_chunks_exact(vocab).map(read).collect())?)
    }

    fn fan<'f>(
        &self,
        branches: usize,
        blocks: Range<usize>,
        rows: Vec<f32>,
        (shared, hook): (&'f Cache, Option<&'f mut (dyn Hook + 'f)>),
        cancel: &'f Cancel,
    ) -> Result<Vec<f32>, Error> {
        let shape = (rows.len() / self.d_model.max(1), self.d_model);
        let residual = Tensor::from_vec(rows, shape, &Device::Cpu)?;
        let fan = Fan { branches, blocks, residual, shared, hook, cancel };
        Ok(self.model.fan(fan)?.flatten_all()?.to_vec1()?)
    }
}
