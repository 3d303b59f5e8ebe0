//! Every latent's meta-latents and every meta-latent's members: one pass of all decoder rows through a meta-SAE.
//! Not here: what a single latent is made of, vector by vector.

use crate::sae::{Codes, Error, Sae};
use crate::task::Cancel;

use super::{check_fit, scale_to_unit};

/// Decoder rows taken at a time: 2,048 × 768 values are 6 MiB.
const ROWS: usize = 2_048;
/// Rows from which a threshold is estimated.
const SAMPLE: usize = 4_096;

/// How well a meta-SAE explains the decoder rows it was made for (methods §5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Rows with a direction; rows of zeros count for nothing.
    pub rows: usize,
    /// 1 − Σ‖w−ŵ‖² / Σ‖w−w̄‖² over rows scaled to length 1; none where all rows are the same.
    pub variance_explained: Option<f64>,
    /// Meta-latents active in a row, in the mean.
    pub mean_active: f64,
    /// Meta-latents active in no row.
    pub dead: usize,
}

/// All breakdowns and their transpose.
#[derive(Clone, Debug)]
pub struct BreakdownTable {
    /// For each latent its meta-latents, by rising index; none for a row of zeros.
    pub breakdowns: Codes,
    /// For each meta-latent its members, by rising index.
    pub members: Codes,
    /// How well the rows are explained.
    pub quality: Quality,
}

impl BreakdownTable {
    /// Puts all decoder rows of `of` through `meta`. Memory grows with what is active, not with latents × meta-latents.
    ///
    /// # Errors
    /// [`Error::Meta`], [`Error::Overflow`], [`Error::Cancelled`].
    pub fn new(meta: &Sae, of: &Sae, cancel: &Cancel) -> Result<Self, Error> {
        check_fit(meta, of)?;
        let (d, width) = (of.d_out(), of.width());
        let mut breakdowns = Codes::default();
        let (mut sums, mut squares, mut error, mut rows) = (vec![0.0f64; d], 0.0f64, 0.0f64, 0usize);
        for first in (0..width).step_by(ROWS) {
            cancel.check()?;
            let (unit, zero) = unit_rows(of, (first..width.min(first + ROWS)).collect())?;
            let codes = meta.encode(&unit, cancel)?;
            let decoded = meta.decode(&codes)?;
            for (at, (row, hat)) in unit.chunks_exact(d).zip(decoded.chunks_exact(d)).enumerate() {
                if zero[at] {
                    breakdowns.push_row([]);
                    continue;
                }
                let (latents, values) = codes.row(at);
                breakdowns.push_row(latents.iter().copied().zip(values.iter().copied()));
                rows += 1;
                for ((sum, w), hat) in sums.iter_mut().zip(row).zip(hat) {
                    *sum += f64::from(*w);
                    squares += f64::from(*w).powi(2);
                    error += (f64::from(*w) - f64::from(*hat)).powi(2);
                }
            }
        }
        let count = rows.max(1) as f64;
        let total = squares - sums.iter().map(|sum| sum * sum).sum::<f64>() / count;
        let members = transposed(&breakdowns, meta.width());
        let dead = (0..members.rows()).filter(|row| members.row(*row).0.is_empty()).count();
        let quality = Quality {
            rows,
            variance_explained: (total > 1e-12 * squares).then(|| 1.0 - error / total),
            mean_active: breakdowns.latents.len() as f64 / count,
            dead,
        };
        Ok(Self { breakdowns, members, quality })
    }

    /// A meta-latent's members, strongest first, ties by index.
    ///
    /// # Errors
    /// [`Error::Latent`].
    pub fn members_of(&self, meta_latent: usize) -> Result<Vec<(u32, f32)>, Error> {
        let width = self.members.rows();
        if meta_latent >= width {
            return Err(Error::Latent { latent: meta_latent, width });
        }
        let (latents, values) = self.members.row(meta_latent);
        let mut members: Vec<(u32, f32)> = latents.iter().copied().zip(values.iter().copied()).collect();
        members.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(members)
    }

    /// Activity of the meta-latents where the latents of the SAE fire as in `codes`: Σ_i f_i(x)·a_{i,m} (methods §5).
    pub fn activity(&self, codes: &Codes) -> Codes {
        let mut sums = vec![0.0f64; self.members.rows()];
        let rows = (0..codes.rows()).map(|row| {
            let mut touched: Vec<u32> = Vec::new();
            let (latents, values) = codes.row(row);
            for (&latent, &value) in
                latents.iter().zip(values).filter(|(latent, _)| (**latent as usize) < self.breakdowns.rows())
            {
                let (metas, amounts) = self.breakdowns.row(latent as usize);
                for (&meta, &amount) in metas.iter().zip(amounts) {
                    if sums[meta as usize] == 0.0 {
                        touched.push(meta);
                    }
                    sums[meta as usize] += f64::from(value) * f64::from(amount);
                }
            }
            touched.sort_unstable();
            touched.dedup();
            touched.into_iter().map(|meta| (meta, std::mem::take(&mut sums[meta as usize]) as f32)).collect::<Vec<_>>()
        });
        Codes::from_rows(rows.collect::<Vec<_>>())
    }
}

/// Decoder rows scaled to length 1, \[latents, d_in\], and which of them are rows of zeros.
pub(super) fn unit_rows(of: &Sae, latents: Vec<usize>) -> Result<(Vec<f32>, Vec<bool>), Error> {
    let (mut rows, mut zero) = (Vec::with_capacity(latents.len() * of.d_out()), Vec::with_capacity(latents.len()));
    for latent in latents {
        let start = rows.len();
        rows.extend_from_slice(&of.decoder_row(latent)?);
        zero.push(scale_to_unit(&mut rows[start..]) == 0.0);
    }
    Ok((rows, zero))
}

/// The same pairs by column.
fn transposed(codes: &Codes, width: usize) -> Codes {
    let mut starts = vec![0usize; width + 1];
    for latent in &codes.latents {
        starts[*latent as usize + 1] += 1;
    }
    for at in 0..width {
        starts[at + 1] += starts[at];
    }
    let mut next = starts.clone();
    let (mut latents, mut values) = (vec![0; codes.latents.len()], vec![0.0; codes.latents.len()]);
    for row in 0..codes.rows() {
        let (columns, amounts) = codes.row(row);
        for (&column, &amount) in columns.iter().zip(amounts) {
            let place = &mut next[column as usize];
            (latents[*place], values[*place]) = (row as u32, amount);
            *place += 1;
        }
    }
    Codes { starts, latents, values, undo: Vec::new() }
}

/// The threshold at which k meta-latents are active in the mean over rows taken evenly from all: the smallest of the
/// k·rows largest activations, as BatchTopK has it in training.
pub(super) fn threshold_for(meta: &Sae, of: &Sae, k: usize, cancel: &Cancel) -> Result<f32, Error> {
    check_fit(meta, of)?;
    let step = of.width().div_ceil(SAMPLE);
    let (rows, zero) = unit_rows(of, (0..of.width()).step_by(step).collect())?;
    let rows: Vec<f32> = rows
        .chunks_exact(of.d_out())
        .zip(&zero)
        .filter(|(_, zero)| !**zero)
        .flat_map(|(row, _)| row)
        .copied()
        .collect();
    let mut values = meta.encode(&rows, cancel)?.values;
    let wanted = k * rows.len() / of.d_out();
    if wanted == 0 || values.is_empty() {
        return Err(Error::Meta {
            what: "no threshold can be found: nothing fires on the SAE's decoder rows".to_owned(),
        });
    }
    if values.len() <= wanted {
        return Ok(0.0);
    }
    let (_, next, _) = values.select_nth_unstable_by(wanted, |a, b| b.total_cmp(a));
    Ok(*next)
}
