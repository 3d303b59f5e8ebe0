//! What is exchanged: latents that contribute otherwise to one activation than to another, or the meta-latents that those
//! are made of. Not here: exchanging them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::analysis::live::Live;
use crate::sae::{Error, Sae, meta};
use crate::task::Cancel;

/// A latent that contributes otherwise to the base's activation than to the source's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// Its index.
    pub latent: u32,
    /// How strongly it fires in base and source.
    pub fires: (f32, f32),
    /// By what its decoder row is multiplied in base and source, in the model's units.
    pub writes: (f32, f32),
}

/// Something that can be exchanged: a latent or a meta-latent.
#[derive(Clone, Debug)]
pub struct SwapUnit {
    /// Its index.
    pub id: u32,
    /// How strongly it fires in the base.
    pub base: f32,
    /// How strongly in the source.
    pub source: f32,
    /// What its exchange adds to the activation, in the model's units, \[size\].
    pub adds: Arc<[f32]>,
}

/// The latents of the SAE at `place` that contribute otherwise at the base's position than at the source's, by rising
/// index. Both passes must have been encoded by it.
#[must_use]
pub fn differences(base: (&Live, usize), source: (&Live, usize), place: usize, sae: &Sae) -> Vec<Contribution> {
    let mut all: BTreeMap<u32, Contribution> = BTreeMap::new();
    let empty = |latent| Contribution { latent, fires: (0.0, 0.0), writes: (0.0, 0.0) };
    for (latent, fires, writes) in contributions(base.0, place, base.1, sae) {
        let one = all.entry(latent).or_insert_with(|| empty(latent));
        (one.fires.0, one.writes.0) = (fires, writes);
    }
    for (latent, fires, writes) in contributions(source.0, place, source.1, sae) {
        let one = all.entry(latent).or_insert_with(|| empty(latent));
        (one.fires.1, one.writes.1) = (fires, writes);
    }
    all.into_values().filter(|one| one.writes.0 != one.writes.1).collect()
}

/// Latent, activation, and what its decoder row is multiplied by, of what fires at a position.
fn contributions(live: &Live, place: usize, position: usize, sae: &Sae) -> Vec<(u32, f32, f32)> {
    let (latents, values) = live.codes(place).row(position);
    let scale = live.codes(place).undo(position).scale;
    let of = |(&latent, &value): (&u32, &f32)| (latent, value, value * sae.decode_gain(latent as usize) * scale);
    latents.iter().zip(values).map(of).collect()
}

/// These latents, ready to be exchanged.
///
/// # Errors
/// [`Error::Latent`].
pub fn units(differences: &[Contribution], sae: &Sae) -> Result<Vec<SwapUnit>, Error> {
    let unit = |of: &Contribution| -> Result<SwapUnit, Error> {
        let by = of.writes.1 - of.writes.0;
        let adds = sae.decoder_row(of.latent as usize)?.iter().map(|value| by * value).collect();
        Ok(SwapUnit { id: of.latent, base: of.fires.0, source: of.fires.1, adds })
    };
    differences.iter().map(unit).collect()
}

/// The meta-latents that these latents are made of: m fires as strongly as the latents write it, Σ_i w_i·‖d_i‖·a_im with
/// w_i what latent i's decoder row is multiplied by and a_im the breakdown of that row.
///
/// # Errors
/// [`Error::Meta`], [`Error::Latent`], [`Error::Cancelled`].
pub fn meta_units(differences: &[Contribution], of: &Sae, meta: &Sae, cancel: &Cancel) -> Result<Vec<SwapUnit>, Error> {
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for Contribution { latent, writes, .. } in differences {
        if of.decoder_norm(*latent as usize)? == 0.0 {
            continue;
        }
        let parts = meta::breakdown(meta, of, *latent as usize, cancel)?;
        for part in parts.components {
            let each = f64::from(parts.norm) * f64::from(part.activation);
            let sum = sums.entry(part.meta_latent).or_default();
            *sum = (sum.0 + each * f64::from(writes.0), sum.1 + each * f64::from(writes.1));
        }
    }
    let unit = |(id, (base, source)): (u32, (f64, f64))| -> Result<SwapUnit, Error> {
        let by = (source - base) * f64::from(meta.decode_gain(id as usize));
        let adds = meta.decoder_row(id as usize)?.iter().map(|value| (by * f64::from(*value)) as f32).collect();
        Ok(SwapUnit { id, base: base as f32, source: source as f32, adds })
    };
    sums.into_iter().filter(|(_, (base, source))| base != source).map(unit).collect()
}
