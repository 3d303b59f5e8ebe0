//! What the ladder is worth on text it has not seen: the metrics, and the latents that fire on a name.
//! Own and plain on purpose, so that the figures do not come from the code they are held against.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use half::f16;
use rayon::prelude::*;
use saescope::kernel::{View, product};
use saescope::sae::train::Trained;
use tokenizers::Tokenizer;

use crate::lm::Model;
use crate::ops::softmax_loss;
use crate::tokens;

/// Rows encoded at a time.
const CHUNK: usize = 256;

/// Texts of equal length with the activations of the site, [texts · length, d].
pub struct Sample {
    pub ids: Vec<u32>,
    pub targets: Vec<u32>,
    pub length: usize,
    pub d: usize,
    pub layer: usize,
    pub x: Vec<f32>,
}

/// The figures of one SAE. Position 0 of every text counts for none of them and is not replaced.
#[derive(Clone, Debug)]
pub struct Figures {
    pub width: usize,
    pub k: usize,
    pub l0: f64,
    pub mse: f64,
    pub explained: f64,
    pub spliced: f64,
    pub recovered_zero: f64,
    pub recovered_mean: f64,
    /// Share of latents that never fire.
    pub dead: f64,
}

/// Cross-entropies in nats that do not depend on an SAE.
pub struct Plain {
    pub clean: f64,
    pub zero: f64,
    pub mean: f64,
    pub tokens: usize,
}

/// Runs rows of `length + 1` tokens up to the site, before block `layer`.
pub fn sample(model: &Model, rows: &[Vec<u32>], layer: usize) -> Result<Sample> {
    let (length, d) = (model.shape.context, model.shape.width);
    let ids: Vec<u32> = rows.iter().flat_map(|r| &r[..length]).copied().collect();
    let targets = rows.iter().flat_map(|r| &r[1..=length]).copied().collect();
    let mut x = Vec::with_capacity(ids.len() * d);
    for part in ids.chunks(32 * length) {
        x.extend(model.residual(part, length, layer)?.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(Sample { ids, targets, length, d, layer, x })
}

impl Sample {
    /// Whether a row counts: all but the first of each text.
    fn counts(&self, row: usize) -> bool {
        !row.is_multiple_of(self.length)
    }

    fn rows(&self) -> usize {
        self.ids.len()
    }

    /// The mean activation over the rows that count.
    pub fn mean(&self) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.d];
        let mut count = 0;
        for (_, row) in self.x.chunks_exact(self.d).enumerate().filter(|(r, _)| self.counts(*r)) {
            sums.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
            count += 1;
        }
        sums.iter().map(|s| (s / f64::from(count)) as f32).collect()
    }

    /// Mean cross-entropy where the rows that count are replaced.
    fn spliced(&self, model: &Model, replace: impl Fn(usize, &mut [f32])) -> Result<f64> {
        let (mut sum, mut count) = (0.0, 0usize);
        let piece = 32 * self.length;
        for (part, x) in self.x.chunks(piece * self.d).enumerate() {
            let mut x = x.to_vec();
            for (at, row) in x.chunks_exact_mut(self.d).enumerate() {
                if self.counts(at) {
                    replace(part * piece + at, row);
                }
            }
            let rows = x.len() / self.d;
            let x = Tensor::from_vec(x, (rows, self.d), &Device::Cpu)?;
            let x = model.blocks(x, self.length, self.layer..model.shape.layers)?;
            let mut logits = model.logits(&x)?.flatten_all()?.to_vec1::<f32>()?;
            let losses: Vec<f32> = logits
                .par_chunks_mut(model.shape.vocab)
                .enumerate()
                .map(|(at, row)| softmax_loss(row, self.targets[part * piece + at] as usize))
                .collect();
            for (_, loss) in losses.iter().enumerate().filter(|(at, _)| self.counts(*at)) {
                sum += f64::from(*loss);
                count += 1;
            }
        }
        Ok(sum / count.max(1) as f64)
    }

    pub fn plain(&self, model: &Model) -> Result<Plain> {
        let mean = self.mean();
        Ok(Plain {
            clean: self.spliced(model, |_, _| ())?,
            zero: self.spliced(model, |_, row| row.fill(0.0))?,
            mean: self.spliced(model, |_, row| row.copy_from_slice(&mean))?,
            tokens: (0..self.rows()).filter(|r| self.counts(*r)).count(),
        })
    }

    /// Everything the report says about one SAE.
    pub fn figures(&self, model: &Model, sae: &Trained, plain: &Plain) -> Result<Figures> {
        let (mut fired, mut active) = (vec![false; sae.width], 0usize);
        let mut hat = Vec::with_capacity(self.x.len());
        for (chunk, x) in self.x.chunks(CHUNK * self.d).enumerate() {
            let f = encode(sae, x);
            for (at, f) in f.chunks_exact(sae.width).enumerate() {
                if self.counts(chunk * CHUNK + at) {
                    for (fired, f) in fired.iter_mut().zip(f).filter(|(_, f)| **f > 0.0) {
                        *fired |= *f > 0.0;
                        active += 1;
                    }
                }
            }
            hat.extend(decode(sae, &f));
        }
        let mean = self.mean();
        let (mut error, mut total) = (0.0f64, 0.0f64);
        for row in (0..self.rows()).filter(|r| self.counts(*r)) {
            for (i, mean) in mean.iter().enumerate() {
                let at = row * self.d + i;
                error += f64::from(self.x[at] - hat[at]).powi(2);
                total += f64::from(self.x[at] - mean).powi(2);
            }
        }
        let spliced = self.spliced(model, |row, out| out.copy_from_slice(&hat[row * self.d..(row + 1) * self.d]))?;
        let count = plain.tokens as f64;
        Ok(Figures {
            width: sae.width,
            k: sae.k,
            l0: active as f64 / count,
            mse: error / count / self.d as f64,
            explained: 1.0 - error / total,
            spliced,
            recovered_zero: (plain.zero - spliced) / (plain.zero - plain.clean),
            recovered_mean: (plain.mean - spliced) / (plain.mean - plain.clean),
            dead: fired.iter().filter(|f| !**f).count() as f64 / sae.width as f64,
        })
    }

    /// The words on which each of `latents` fires most, at most `count` different ones.
    pub fn words(
        &self,
        sae: &Trained,
        tokenizer: &Tokenizer,
        latents: &[usize],
        count: usize,
    ) -> Result<Vec<Vec<String>>> {
        let mut best: Vec<Vec<(f32, usize)>> = vec![Vec::new(); latents.len()];
        for (chunk, x) in self.x.chunks(CHUNK * self.d).enumerate() {
            let f = encode(sae, x);
            for (at, f) in f.chunks_exact(sae.width).enumerate() {
                let row = chunk * CHUNK + at;
                for (best, &latent) in best.iter_mut().zip(latents) {
                    if f[latent] > 0.0 && self.counts(row) {
                        best.push((f[latent], row));
                    }
                }
            }
        }
        best.iter_mut()
            .map(|best| {
                best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                let mut words: Vec<String> = Vec::new();
                for &(_, row) in best.iter() {
                    let word = self.word(tokenizer, row)?;
                    if !words.contains(&word) {
                        words.push(word);
                    }
                    if words.len() == count {
                        break;
                    }
                }
                Ok(words)
            })
            .collect()
    }

    /// The word up to a token, with the word before it.
    fn word(&self, tokenizer: &Tokenizer, row: usize) -> Result<String> {
        let start = row - row % self.length;
        let from = start.max(row.saturating_sub(7));
        let text = tokens::decode(tokenizer, &self.ids[from..=row])?;
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(words[words.len().saturating_sub(2)..].join(" "))
    }
}

/// Activations [rows, width] of rows [rows, d].
pub fn encode(sae: &Trained, x: &[f32]) -> Vec<f32> {
    let rows = x.len() / sae.d_in;
    let mut centred = x.to_vec();
    centred.chunks_exact_mut(sae.d_in).for_each(|row| row.iter_mut().zip(&sae.b_dec).for_each(|(v, b)| *v -= b));
    let mut f = vec![0.0; rows * sae.width];
    product(&mut f, View::new(&centred, rows, sae.d_in), View::new(&sae.w_enc, sae.d_in, sae.width));
    for row in f.chunks_exact_mut(sae.width) {
        for (f, b) in row.iter_mut().zip(&sae.b_enc) {
            *f += b;
            if *f <= sae.threshold.max(0.0) {
                *f = 0.0;
            }
        }
    }
    f
}

fn decode(sae: &Trained, f: &[f32]) -> Vec<f32> {
    let rows = f.len() / sae.width;
    let mut out = vec![0.0; rows * sae.d_in];
    product(&mut out, View::new(f, rows, sae.width), View::new(&sae.w_dec, sae.width, sae.d_in));
    out.chunks_exact_mut(sae.d_in).for_each(|row| row.iter_mut().zip(&sae.b_dec).for_each(|(v, b)| *v += b));
    out
}

/// The SAE as it is after being stored in f16.
pub fn rounded(sae: &Trained) -> Result<Trained> {
    let round = |values: &[f32]| values.iter().map(|v| f16::from_f32(*v).to_f32()).collect::<Vec<_>>();
    let out = Trained {
        w_enc: round(&sae.w_enc),
        b_enc: round(&sae.b_enc),
        w_dec: round(&sae.w_dec),
        b_dec: round(&sae.b_dec),
        threshold: f16::from_f32(sae.threshold).to_f32(),
        ..sae.clone()
    };
    let all = [&out.w_enc, &out.b_enc, &out.w_dec, &out.b_dec];
    if all.iter().any(|part| part.iter().any(|v| !v.is_finite())) || !out.threshold.is_finite() {
        bail!("a weight of the SAE of width {} is too large for f16", sae.width);
    }
    Ok(out)
}
