//! Meta-SAEs: SAEs on the decoder rows of another SAE (arXiv 2502.04878, §5), and what they say about its latents.
//! Not here: names of meta-latents, prompts, and where files are.
//!
//! A meta-SAE is an [`Sae`] like any other. What it reads are decoder rows scaled to length 1; a row of zeros has no
//! direction and is left out of everything.

mod published;
mod table;
mod train;

pub use published::{Published, published};
pub use table::{BreakdownTable, Quality};
pub use train::{MEAN_ACTIVE, default_width, recipe, rows};

use crate::kernel::dot;
use crate::task::Cancel;

use super::{Error, Neighbour, Sae, nearest_all};

/// Cosine from which a meta-latent counts as found again in the run of another seed (methods §5).
pub const STABLE: f32 = 0.7;

/// What a latent is made of. The parts and the rest add up to its decoder row.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breakdown {
    /// Length of the decoder row.
    pub norm: f32,
    /// The meta-latents in it, strongest first, ties by index.
    pub components: Vec<Component>,
    /// What b_dec of the meta-SAE contributes, as a share of the row's squared length.
    pub bias: f64,
    /// What is left, as a share in the same sense: all shares, bias and rest add up to 1.
    pub rest: f64,
    /// 1 − ‖w − ŵ‖² / ‖w‖².
    pub explained: f64,
    /// w − ŵ for the row scaled to length 1, \[d_in\].
    pub residual: Vec<f32>,
}

/// A meta-latent within a latent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Component {
    /// Its index in the meta-SAE.
    pub meta_latent: u32,
    /// How strongly it is in the row scaled to length 1.
    pub activation: f32,
    /// a·(d·w)/‖w‖²: what it contributes to the row's squared length, as a share.
    pub share: f64,
}

/// Fails where a meta-SAE cannot read an SAE's decoder rows.
///
/// # Errors
/// [`Error::Meta`].
pub fn check_fit(meta: &Sae, of: &Sae) -> Result<(), Error> {
    if meta.d_in() == of.d_out() {
        return Ok(());
    }
    let what = format!("it reads rows of {} values, and the SAE's decoder rows have {}", meta.d_in(), of.d_out());
    Err(Error::Meta { what })
}

/// A latent's decoder row scaled to length 1, \[d_in\], with its length; zeros for a row of zeros.
///
/// # Errors
/// [`Error::Latent`].
pub fn unit_row(of: &Sae, latent: usize) -> Result<(Vec<f32>, f32), Error> {
    let mut row = of.decoder_row(latent)?.to_vec();
    let norm = scale_to_unit(&mut row);
    Ok((row, norm))
}

/// Scales a row to length 1, where it has one, and gives the length it had.
fn scale_to_unit(row: &mut [f32]) -> f32 {
    let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 {
        for value in row.iter_mut() {
            *value = (f64::from(*value) / norm) as f32;
        }
    }
    norm as f32
}

/// What a latent of `of` is made of.
///
/// # Errors
/// [`Error::Meta`], [`Error::Latent`], and [`Error::Zero`] for a row without a direction.
pub fn breakdown(meta: &Sae, of: &Sae, latent: usize, cancel: &Cancel) -> Result<Breakdown, Error> {
    check_fit(meta, of)?;
    let (row, norm) = unit_row(of, latent)?;
    if norm == 0.0 {
        return Err(Error::Zero { latent });
    }
    let codes = meta.encode(&row, cancel)?;
    let decoded = meta.decode(&codes)?;
    let wide = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let squared = wide(&row, &row);
    let (latents, values) = codes.row(0);
    let mut components: Vec<Component> = Vec::with_capacity(latents.len());
    for (&meta_latent, &activation) in latents.iter().zip(values) {
        let direction = meta.decoder_row(meta_latent as usize)?;
        let share = f64::from(activation * meta.decode_gain(meta_latent as usize)) * wide(&direction, &row) / squared;
        components.push(Component { meta_latent, activation, share });
    }
    components.sort_by(|a, b| b.activation.total_cmp(&a.activation).then(a.meta_latent.cmp(&b.meta_latent)));
    let residual: Vec<f32> = row.iter().zip(&decoded).map(|(w, hat)| w - hat).collect();
    Ok(Breakdown {
        norm,
        components,
        bias: wide(&meta.parts().b_dec, &row) / squared,
        rest: wide(&residual, &row) / squared,
        explained: 1.0 - wide(&residual, &residual) / squared,
        residual,
    })
}

/// For each meta-latent its nearest in the run of another seed: it is stable where the cosine is [`STABLE`] or more.
///
/// # Errors
/// [`Error::Sizes`], [`Error::Cancelled`].
pub fn stability(meta: &Sae, other: &Sae, cancel: &Cancel) -> Result<Vec<Neighbour>, Error> {
    let table = nearest_all(meta, other, 1, cancel, &|_| {})?;
    Ok((0..table.rows()).map(|row| table.row(row)[0]).collect())
}

/// A change of a latent's meta-latents.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Edit {
    /// Take a meta-latent out: the row loses a·d with the activation it has there.
    Remove(u32),
    /// Put a meta-latent in with this activation, for the row scaled to length 1.
    Add(u32, f32),
    /// Take the first out and put the second in with its activation.
    Exchange(u32, u32),
}

/// The decoder row after these changes, scaled back to its length (methods §5), \[d_in\]. Changes that cancel each other
/// or that change nothing give the same bits as the row.
///
/// # Errors
/// [`Error::Meta`], [`Error::Latent`], [`Error::Zero`]; [`Error::Meta`] too when nothing of the row is left.
pub fn edited(meta: &Sae, of: &Sae, latent: usize, edits: &[Edit], cancel: &Cancel) -> Result<Vec<f32>, Error> {
    let parts = breakdown(meta, of, latent, cancel)?;
    let active = |wanted: u32| -> f32 {
        parts.components.iter().find(|part| part.meta_latent == wanted).map_or(0.0, |part| part.activation)
    };
    let mut amounts: Vec<(u32, f64)> = Vec::new();
    let mut change = |meta_latent: u32, by: f32| match amounts.iter_mut().find(|(known, _)| *known == meta_latent) {
        Some((_, sum)) => *sum += f64::from(by),
        None => amounts.push((meta_latent, f64::from(by))),
    };
    for edit in edits {
        match *edit {
            Edit::Remove(out) => change(out, -active(out)),
            Edit::Add(new, by) => change(new, by),
            Edit::Exchange(out, new) => {
                change(out, -active(out));
                change(new, active(out));
            }
        }
    }
    for (meta_latent, _) in &amounts {
        meta.decoder_row(*meta_latent as usize)?;
    }
    amounts.retain(|(_, by)| *by != 0.0);
    let row = of.decoder_row(latent)?;
    if amounts.is_empty() {
        return Ok(row.to_vec());
    }
    let mut new: Vec<f64> = row.iter().map(|w| f64::from(*w) / f64::from(parts.norm)).collect();
    for (meta_latent, by) in amounts {
        let by = by * f64::from(meta.decode_gain(meta_latent as usize));
        let direction = meta.decoder_row(meta_latent as usize)?;
        new.iter_mut().zip(direction.iter()).for_each(|(w, d)| *w += by * f64::from(*d));
    }
    let length = new.iter().map(|w| w * w).sum::<f64>().sqrt();
    if !(length.is_finite() && length > 1e-6) {
        return Err(Error::Meta { what: "nothing of the decoder row is left after this edit".to_owned() });
    }
    Ok(new.iter().map(|w| (w / length * f64::from(parts.norm)) as f32).collect())
}

/// A row as far from `row` as `edited` is, in a direction that says nothing: the control of an edit. As long as `row`.
/// The same seed gives the same row.
pub fn random_edit(row: &[f32], edited: &[f32], seed: u64) -> Vec<f32> {
    let wide: Vec<f64> = row.iter().map(|w| f64::from(*w)).collect();
    let squared: f64 = wide.iter().map(|w| w * w).sum();
    let far: f64 = wide.iter().zip(edited).map(|(w, e)| (w - f64::from(*e)).powi(2)).sum();
    // w′ = along·w + across·‖w‖·u with u of length 1 at right angles to w: every such u is as far from w. Written with
    // the distance, small edits lose no digits.
    let small = far / (2.0 * squared.max(f64::MIN_POSITIVE));
    let (along, across) = (1.0 - small, (small * (2.0 - small)).max(0.0).sqrt());
    if across == 0.0 || row.len() < 2 {
        return row.to_vec();
    }
    for seed in seed.. {
        let mut side: Vec<f64> = super::train::directions(1, row.len(), seed).iter().map(|v| f64::from(*v)).collect();
        let overlap: f64 = side.iter().zip(&wide).map(|(s, w)| s * w).sum::<f64>() / squared;
        side.iter_mut().zip(&wide).for_each(|(s, w)| *s -= overlap * w);
        let length = side.iter().map(|s| s * s).sum::<f64>().sqrt();
        // One that happens to be the row's own direction leaves only rounding: another seed has another.
        if length > 1e-3 {
            let scale = across * squared.sqrt() / length;
            return wide.iter().zip(&side).map(|(w, s)| (along * w + scale * s) as f32).collect();
        }
    }
    row.to_vec()
}

/// The cosine of two directions; 0 where one of them is zero.
#[must_use]
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths == 0.0 { 0.0 } else { dot(a, b) / lengths }
}

#[cfg(test)]
mod tests;
