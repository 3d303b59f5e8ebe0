//! A stitched SAE that is changed step by step over a fixed text: only rows where a changed latent fires are touched.
//! Not here: SAEs whose latents compete (TopK): those are encoded again ([`Pair::measure`]).
//!
//! Kept in f64: R_t = x_t − shift_t − s_t·(what fires + b¹), Σ‖R_t‖² and Σ s_t·R_t, with x̂ = s·x̂′ + shift undoing the
//! normalisation. With g = b⁰ − b¹, the error at mixing α is Σ‖R_t − α s_t g‖² = Σ‖R‖² − 2α g·Σ s R + α²‖g‖² Σ s².

use super::super::{Codes, Error, Sae};
use super::{Change, Pair, Selection, mix};

/// How well a stitched SAE reconstructs the text.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Point {
    /// Latents of the smaller SAE that are there.
    pub small: usize,
    /// Latents of the larger SAE that are there.
    pub large: usize,
    /// Sum over tokens and dimensions of the squared error.
    pub sse: f64,
    /// Mean over tokens and dimensions of the squared error.
    pub mse: f64,
    /// Mean number of latents that fire.
    pub l0: f64,
    /// 1 − SSE / Σ‖x−x̄‖²; none when all tokens are equal.
    pub explained_variance: Option<f64>,
}

/// A stitched SAE over a fixed text.
#[derive(Clone, Debug)]
pub struct Workbench {
    /// Clones share the weights, so a bench can outlive the pair it was made of.
    small: Sae,
    large: Sae,
    selection: Selection,
    there: (usize, usize),
    fires: (Firings, Firings),
    /// Which rows of the text count.
    rows: Vec<usize>,
    /// s_t of each row.
    scale: Vec<f64>,
    /// R, \[rows, d_out\].
    residual: Vec<f64>,
    /// Σ‖R_t‖².
    squares: f64,
    /// Σ s_t·R_t, \[d_out\].
    weighted: Vec<f64>,
    /// Active pairs.
    active: usize,
    /// b⁰ − b¹, \[d_out\].
    bias_gap: Vec<f64>,
    variance: f64,
}

/// Where each latent fires.
#[derive(Clone, Debug)]
struct Firings {
    starts: Vec<usize>,
    /// (row, activation times decoder gain).
    pairs: Vec<(u32, f32)>,
}

impl Firings {
    fn new(sae: &Sae, codes: &Codes, rows: &[usize]) -> Self {
        let mut starts = vec![0usize; sae.width() + 1];
        for &row in rows {
            codes.row(row).0.iter().for_each(|&latent| starts[latent as usize + 1] += 1);
        }
        for latent in 0..sae.width() {
            starts[latent + 1] += starts[latent];
        }
        let mut next = starts.clone();
        let mut pairs = vec![(0, 0.0); starts[sae.width()]];
        for (at, &row) in rows.iter().enumerate() {
            let (latents, values) = codes.row(row);
            for (&latent, value) in latents.iter().zip(values) {
                let latent = latent as usize;
                pairs[next[latent]] = (at as u32, value * sae.decode_gain(latent));
                next[latent] += 1;
            }
        }
        Self { starts, pairs }
    }

    fn of(&self, latent: usize) -> &[(u32, f32)] {
        &self.pairs[self.starts[latent]..self.starts[latent + 1]]
    }
}

impl Workbench {
    /// The smaller SAE over the rows of `x`, what is to be reconstructed, row-major \[rows, d_out\], that count, with what fires in both SAEs.
    ///
    /// # Errors
    /// [`Error::Unlike`] when the latents compete, [`Error::InputSize`] when the sizes disagree, [`Error::Latent`].
    pub fn new(pair: Pair<'_>, x: &[f32], small: &Codes, large: &Codes, counts: &[bool]) -> Result<Self, Error> {
        let d_out = pair.small.d_out();
        if pair.competes() {
            return Err(Error::Unlike { what: "their latents compete, so a stitched SAE must be encoded again" });
        }
        for found in [x.len(), small.rows() * d_out, large.rows() * d_out] {
            if found != counts.len() * d_out {
                return Err(Error::InputSize { found, d_in: d_out });
            }
        }
        pair.small.check_codes(small)?;
        pair.large.check_codes(large)?;
        let rows: Vec<usize> = (0..counts.len()).filter(|&row| counts[row]).collect();
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        let (b0, b1) = (wide(&pair.small.parts.b_dec), wide(&pair.large.parts.b_dec));
        let undo: Vec<_> = rows.iter().map(|&row| small.undo(row)).collect();
        let mut residual = Vec::with_capacity(rows.len() * d_out);
        for (&row, undo) in rows.iter().zip(&undo) {
            let (scale, shift) = (f64::from(undo.scale), f64::from(undo.shift));
            let x = &x[row * d_out..(row + 1) * d_out];
            residual.extend(x.iter().zip(&b1).map(|(&x, b1)| f64::from(x) - shift - scale * b1));
        }
        let mut this = Self {
            selection: Selection { small: vec![false; pair.small.width()], large: vec![false; pair.large.width()] },
            there: (0, 0),
            fires: (Firings::new(pair.small, small, &rows), Firings::new(pair.large, large, &rows)),
            scale: undo.iter().map(|undo| f64::from(undo.scale)).collect(),
            squares: residual.iter().map(|r| r * r).sum(),
            weighted: vec![0.0; d_out],
            active: 0,
            bias_gap: b0.iter().zip(&b1).map(|(b0, b1)| b0 - b1).collect(),
            variance: variance(x, &rows, d_out),
            small: pair.small.clone(),
            large: pair.large.clone(),
            rows,
            residual,
        };
        for (row, scale) in this.residual.chunks_exact(d_out).zip(&this.scale) {
            this.weighted.iter_mut().zip(row).for_each(|(sum, r)| *sum += scale * r);
        }
        (0..this.small.width()).for_each(|latent| this.toggle(false, latent));
        Ok(this)
    }

    /// Makes a change (`on`), or takes it back. What is already as it should be stays.
    ///
    /// # Errors
    /// [`Error::Latent`]; then nothing has changed.
    pub fn set(&mut self, change: &Change, on: bool) -> Result<(), Error> {
        change.large().iter().try_for_each(|&latent| self.large.check_latent(latent as usize))?;
        change.small().iter().try_for_each(|&latent| self.small.check_latent(latent as usize))?;
        for &latent in change.large() {
            if self.selection.large[latent as usize] != on {
                self.toggle(true, latent as usize);
            }
        }
        for &latent in change.small() {
            if self.selection.small[latent as usize] == on {
                self.toggle(false, latent as usize);
            }
        }
        Ok(())
    }

    /// Brings it to these latents; only those that differ cost anything.
    ///
    /// # Errors
    /// [`Error::Latent`] when the selection is of other SAEs.
    pub fn move_to(&mut self, selection: &Selection) -> Result<(), Error> {
        for (found, width) in [(selection.small.len(), self.small.width()), (selection.large.len(), self.large.width())]
        {
            if found != width {
                return Err(Error::Latent { latent: found, width });
            }
        }
        for latent in 0..selection.large.len() {
            if self.selection.large[latent] != selection.large[latent] {
                self.toggle(true, latent);
            }
        }
        for latent in 0..selection.small.len() {
            if self.selection.small[latent] != selection.small[latent] {
                self.toggle(false, latent);
            }
        }
        Ok(())
    }

    /// How well it reconstructs now.
    #[must_use]
    pub fn point(&self) -> Point {
        let (small, large) = self.there;
        let alpha = mix(small, large);
        let across: f64 = self.bias_gap.iter().zip(&self.weighted).map(|(g, sum)| g * sum).sum();
        let gap: f64 = self.bias_gap.iter().map(|g| g * g).sum();
        let scales: f64 = self.scale.iter().map(|s| s * s).sum();
        let sse = (self.squares - 2.0 * alpha * across + alpha * alpha * gap * scales).max(0.0);
        let tokens = self.rows.len().max(1) as f64;
        Point {
            small,
            large,
            sse,
            mse: sse / (tokens * self.small.d_out() as f64),
            l0: self.active as f64 / tokens,
            explained_variance: (self.variance > 0.0).then(|| 1.0 - sse / self.variance),
        }
    }

    /// The squared error of each row that counts, with the row: which tokens got better, which worse.
    #[must_use]
    pub fn row_errors(&self) -> Vec<(usize, f64)> {
        let alpha = mix(self.there.0, self.there.1);
        let rows = self.residual.chunks_exact(self.small.d_out()).zip(&self.scale);
        let errors =
            rows.map(|(row, scale)| row.iter().zip(&self.bias_gap).map(|(r, g)| (r - alpha * scale * g).powi(2)).sum());
        self.rows.iter().copied().zip(errors).collect()
    }

    /// Which latents it has.
    #[must_use]
    pub const fn selection(&self) -> &Selection {
        &self.selection
    }

    /// On how many tokens it is measured.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.rows.len()
    }

    /// Puts a latent in where it is out, takes it out where it is in.
    fn toggle(&mut self, is_large: bool, latent: usize) {
        let d_out = self.small.d_out();
        let (sae, fires, there, count) = if is_large {
            (&self.large, &self.fires.1, &mut self.selection.large[latent], &mut self.there.1)
        } else {
            (&self.small, &self.fires.0, &mut self.selection.small[latent], &mut self.there.0)
        };
        *there = !*there;
        let put = *there;
        let direction = sae.parts.w_dec.row(latent);
        let length: f64 = direction.iter().map(|&d| f64::from(d) * f64::from(d)).sum();
        for &(row, value) in fires.of(latent) {
            let (row, scale) = (row as usize, self.scale[row as usize]);
            let factor = f64::from(value) * scale * if put { 1.0 } else { -1.0 };
            let residual = &mut self.residual[row * d_out..(row + 1) * d_out];
            let mut along = 0.0;
            for ((r, sum), &d) in residual.iter_mut().zip(&mut self.weighted).zip(direction.iter()) {
                let d = f64::from(d);
                along += *r * d;
                *r -= factor * d;
                *sum -= scale * factor * d;
            }
            self.squares += factor * factor * length - 2.0 * factor * along;
        }
        let fired = fires.of(latent).len();
        if put {
            (self.active, *count) = (self.active + fired, *count + 1);
        } else {
            (self.active, *count) = (self.active - fired, *count - 1);
        }
    }
}

/// Σ‖x−x̄‖² over the rows that count.
fn variance(x: &[f32], rows: &[usize], d_out: usize) -> f64 {
    let mut mean = vec![0.0f64; d_out];
    let row = |row: usize| &x[row * d_out..(row + 1) * d_out];
    for &at in rows {
        mean.iter_mut().zip(row(at)).for_each(|(mean, &x)| *mean += f64::from(x) / rows.len() as f64);
    }
    rows.iter().flat_map(|&at| row(at).iter().zip(&mean)).map(|(&x, mean)| (f64::from(x) - mean).powi(2)).sum()
}
