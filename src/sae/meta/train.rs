//! The recipe of a meta-SAE: BatchTopK on the decoder rows of an SAE (methods §5).
//! Not here: the trainer (`sae::train`), and where the result is kept.

use crate::sae::train::Config;
use crate::sae::{Error, Sae};

use super::table::unit_rows;

/// k: meta-latents active in a row, in the mean (PAPER §5).
pub const MEAN_ACTIVE: usize = 4;

/// The paper's settings. No warm-up and no decay: the authors' code has neither.
#[must_use]
pub const fn recipe(width: usize, k: usize) -> Config {
    let config = Config::new(width, k);
    Config { batch: 16_384, warmup: 0, decay: 0.0, ..config }
}

/// Meta-latents for an SAE of `latents`: PAPER's ratio, 2,304 for 49,152, at least 8 and no more than latents.
#[must_use]
pub fn default_width(latents: usize) -> usize {
    (latents * 3 / 64).max(8).min(latents.max(1))
}

/// What a meta-SAE learns from: the decoder rows that have a direction, scaled to length 1, \[rows, d_in\].
///
/// # Errors
/// [`Error::Meta`] when none has.
pub fn rows(of: &Sae) -> Result<Vec<f32>, Error> {
    let (rows, zero) = unit_rows(of, (0..of.width()).collect())?;
    if !zero.contains(&true) {
        return Ok(rows);
    }
    let rows: Vec<f32> =
        rows.chunks_exact(of.d_out()).zip(zero).filter(|(_, zero)| !zero).flat_map(|(row, _)| row).copied().collect();
    if rows.is_empty() {
        Err(Error::Meta { what: "all decoder rows of the SAE are zero".to_owned() })
    } else {
        Ok(rows)
    }
}
