//! One step of training: forward, the gradient of what is active, Adam, decoder rows back to norm 1.
//! Not here: the order of the rows, the schedule, and when to stop.

use rayon::prelude::*;

use super::adam::{Moments, Rate, Slices};
use super::data::{directions, normalise};
use super::select::{Active, Kept, select};
use super::{Config, Trained};
use crate::kernel::{View, dot};

/// How many times k dead latents a row may use, in the mean, to explain what is left.
const AUXILIARY_K: usize = 2;
/// Latents whose shares of b_dec's gradient are summed by one thread.
const PIECE: usize = 64;

/// Weights and moments. The encoder is kept transposed, \[width, d\], so that a latent is one row of each.
pub struct State {
    d: usize,
    width: usize,
    encoder: Vec<f32>,
    b_enc: Vec<f32>,
    decoder: Vec<f32>,
    b_dec: Vec<f32>,
    encoder_moments: Moments,
    b_enc_moments: Moments,
    decoder_moments: Moments,
    b_dec_moments: Moments,
    /// Batches since each latent last fired.
    silent: Vec<u32>,
    steps: i32,
    floor: f32,
}

/// What a step measured, before its update.
pub struct Outcome {
    /// Squared error of a row, summed over its values, mean over the batch.
    pub loss: f32,
    /// The same for the batch's mean row in place of the reconstruction.
    pub total: f32,
    /// The smallest activation kept.
    pub floor: Option<f32>,
    /// Activations kept for a row, mean over the batch.
    pub active: f32,
}

/// The batch as the gradients read it: centred rows, and the gradient of the loss by the reconstruction.
pub(super) struct Pass<'a> {
    pub d: usize,
    pub centred: &'a [f32],
    pub grad: &'a [f32],
}

impl Pass<'_> {
    /// Adds the gradients of one latent to `encoder` and `decoder` \[d\]; gives that of its encoder bias.
    /// Shapes: `row` is the latent's decoder row \[d\].
    pub fn latent(&self, active: &[Active], row: &[f32], encoder: &mut [f32], decoder: &mut [f32]) -> f32 {
        let mut bias = 0.0;
        for a in active {
            let at = a.row as usize * self.d..(a.row as usize + 1) * self.d;
            let (grad, centred) = (&self.grad[at.clone()], &self.centred[at]);
            let slope = dot(grad, row);
            bias += slope;
            for i in 0..self.d {
                decoder[i] += a.value * grad[i];
                encoder[i] += slope * centred[i];
            }
        }
        bias
    }
}

/// Dead latents that learn in this step, each with its activations, and the gradient of the auxiliary loss.
struct Revival {
    /// For each latent of the SAE, its place among `active`, where it takes part.
    place: Vec<Option<usize>>,
    active: Vec<Vec<Active>>,
    grad: Vec<f32>,
}

impl State {
    pub fn new(d: usize, config: &Config, mean: &[f32]) -> Self {
        let decoder = directions(config.width, d, config.seed);
        let width = config.width;
        Self {
            d,
            width,
            encoder: decoder.clone(),
            b_enc: vec![0.0; width],
            decoder,
            b_dec: mean.to_vec(),
            encoder_moments: Moments::new(width * d),
            b_enc_moments: Moments::new(width),
            decoder_moments: Moments::new(width * d),
            b_dec_moments: Moments::new(d),
            silent: vec![0; width],
            steps: 0,
            floor: 0.0,
        }
    }

    /// Everything that a step changes: weights and moments, and counters as 32 bits each.
    pub fn parts(&self) -> [(&'static str, &[f32]); 12] {
        [
            ("encoder", &self.encoder),
            ("b_enc", &self.b_enc),
            ("decoder", &self.decoder),
            ("b_dec", &self.b_dec),
            ("encoder_first", &self.encoder_moments.first),
            ("encoder_second", &self.encoder_moments.second),
            ("b_enc_first", &self.b_enc_moments.first),
            ("b_enc_second", &self.b_enc_moments.second),
            ("decoder_first", &self.decoder_moments.first),
            ("decoder_second", &self.decoder_moments.second),
            ("b_dec_first", &self.b_dec_moments.first),
            ("b_dec_second", &self.b_dec_moments.second),
        ]
    }

    /// The same, to be filled.
    pub fn parts_mut(&mut self) -> [(&'static str, &mut [f32]); 12] {
        [
            ("encoder", &mut self.encoder),
            ("b_enc", &mut self.b_enc),
            ("decoder", &mut self.decoder),
            ("b_dec", &mut self.b_dec),
            ("encoder_first", &mut self.encoder_moments.first),
            ("encoder_second", &mut self.encoder_moments.second),
            ("b_enc_first", &mut self.b_enc_moments.first),
            ("b_enc_second", &mut self.b_enc_moments.second),
            ("decoder_first", &mut self.decoder_moments.first),
            ("decoder_second", &mut self.decoder_moments.second),
            ("b_dec_first", &mut self.b_dec_moments.first),
            ("b_dec_second", &mut self.b_dec_moments.second),
        ]
    }

    /// Batches since each latent last fired, steps done, and where the next selection begins to look.
    pub fn counters(&self) -> (&[u32], i32, f32) {
        (&self.silent, self.steps, self.floor)
    }

    /// The same, set. `silent` has one entry for each latent.
    pub fn set_counters(&mut self, silent: Vec<u32>, steps: i32, floor: f32) {
        (self.silent, self.steps, self.floor) = (silent, steps, floor);
    }

    /// Latents silent for `after` batches or more.
    pub fn dead(&self, after: u32) -> usize {
        self.silent.iter().filter(|s| **s >= after).count()
    }

    /// Learns from a batch \[B, d\].
    pub fn step(&mut self, batch: &[f32], rate: f32, config: &Config) -> Outcome {
        let rows = batch.len() / self.d;
        let mut centred = batch.to_vec();
        centred.par_chunks_mut(self.d).for_each(|row| row.iter_mut().zip(&self.b_dec).for_each(|(v, b)| *v -= b));
        let x = View::new(&centred, rows, self.d);
        let encoder = View::new(&self.encoder, self.width, self.d);
        let kept = select(x, encoder, &self.b_enc, config.k * rows, 0.8 * self.floor);
        self.floor = kept.floor.unwrap_or(0.0);
        // grad holds the error e = x̂ − x until the losses are taken, then 2e/B.
        let mut grad = self.errors(&centred, &kept);
        let loss = grad.par_chunks(self.d).map(|e| dot(e, e)).collect::<Vec<_>>().iter().sum::<f32>() / rows as f32;
        let revival = self.revival(x, &grad, config);
        let scale = 2.0 / rows as f32;
        grad.par_iter_mut().for_each(|g| *g *= scale);
        self.update(&Pass { d: self.d, centred: &centred, grad: &grad }, &kept, revival.as_ref(), rate);
        for (latent, silent) in self.silent.iter_mut().enumerate() {
            *silent = if kept.latent(latent).is_empty() { silent.saturating_add(1) } else { 0 };
        }
        let active = kept.by_row.len() as f32 / rows as f32;
        Outcome { loss, total: spread(batch, self.d), floor: kept.floor, active }
    }

    /// x̂ − x for each row, \[B, d\].
    fn errors(&self, centred: &[f32], kept: &Kept) -> Vec<f32> {
        let mut out = vec![0.0; centred.len()];
        out.par_chunks_mut(self.d).zip(centred.par_chunks(self.d)).enumerate().for_each(|(row, (out, x))| {
            out.iter_mut().zip(x).for_each(|(o, x)| *o = -x);
            for a in kept.row(row) {
                let direction = &self.decoder[a.latent as usize * self.d..(a.latent as usize + 1) * self.d];
                out.iter_mut().zip(direction).for_each(|(o, d)| *o += a.value * d);
            }
        });
        out
    }

    /// The most active dead latents try to explain what is left, −e.
    fn revival(&self, x: View<'_>, errors: &[f32], config: &Config) -> Option<Revival> {
        let dead: Vec<usize> = (0..self.width).filter(|l| self.silent[*l] >= config.dead_after).collect();
        if dead.is_empty() || config.auxiliary == 0.0 || config.revived == 0 {
            return None;
        }
        let (rows, d) = (x.rows(), self.d);
        let encoder: Vec<f32> = dead.iter().flat_map(|l| &self.encoder[l * d..(l + 1) * d]).copied().collect();
        let bias: Vec<f32> = dead.iter().map(|l| self.b_enc[*l]).collect();
        let kept = select(x, View::new(&encoder, dead.len(), d), &bias, AUXILIARY_K * config.k * rows, 0.0);
        let active: Vec<Vec<Active>> = (0..dead.len()).map(|at| kept.latent(at).to_vec()).collect();
        let sums: Vec<f32> = active.iter().map(|a| a.iter().map(|a| a.value).sum()).collect();
        let mut order: Vec<usize> = (0..dead.len()).collect();
        order.sort_by(|a, b| sums[*b].total_cmp(&sums[*a]).then(a.cmp(b)));
        order.truncate(config.revived);
        let mut grad = errors.to_vec();
        for &at in &order {
            let direction = &self.decoder[dead[at] * d..(dead[at] + 1) * d];
            for a in &active[at] {
                let start = a.row as usize * d;
                grad[start..start + d].iter_mut().zip(direction).for_each(|(g, w)| *g += a.value * w);
            }
        }
        let scale = config.auxiliary * 2.0 / rows as f32;
        for g in &mut grad {
            *g *= scale;
        }
        let mut place = vec![None; self.width];
        for at in order {
            place[dead[at]] = Some(at);
        }
        Some(Revival { place, active, grad })
    }

    /// Adam on every weight; decoder rows keep norm 1.
    fn update(&mut self, pass: &Pass<'_>, kept: &Kept, revival: Option<&Revival>, rate: f32) {
        self.steps = self.steps.saturating_add(1);
        let (d, rate) = (self.d, Rate::new(rate, self.steps));
        let aside = revival.map(|r| (r, Pass { d, centred: pass.centred, grad: &r.grad }));
        let shares: Vec<Vec<f32>> =
            self.shards().into_par_iter().map(|shard| shard.learn(pass, kept, aside.as_ref(), rate)).collect();
        let mut gradient = vec![0.0; d];
        for row in pass.grad.chunks_exact(d) {
            gradient.iter_mut().zip(row).for_each(|(s, g)| *s += g);
        }
        for share in shares {
            gradient.iter_mut().zip(share).for_each(|(s, g)| *s -= g);
        }
        let Moments { first, second } = &mut self.b_dec_moments;
        rate.apply(&mut self.b_dec, &gradient, first, second);
    }

    /// The weights of all latents in pieces that one thread each can change.
    fn shards(&mut self) -> Vec<Shard<'_>> {
        let rows = PIECE * self.d;
        let weights =
            self.encoder.chunks_mut(rows).zip(self.decoder.chunks_mut(rows)).zip(self.b_enc.chunks_mut(PIECE));
        let moments = self
            .encoder_moments
            .chunks(rows)
            .zip(self.decoder_moments.chunks(rows))
            .zip(self.b_enc_moments.chunks(PIECE));
        weights
            .zip(moments)
            .enumerate()
            .map(|(piece, (((encoder, decoder), b_enc), ((encoder_moments, decoder_moments), b_enc_moments)))| Shard {
                first: piece * PIECE,
                encoder,
                decoder,
                b_enc,
                encoder_moments,
                decoder_moments,
                b_enc_moments,
            })
            .collect()
    }

    /// The SAE for rows as they came, which were multiplied with `scale` for training.
    pub fn finish(self, threshold: f32, explained_variance: f32, scale: f32, config: &Config) -> Trained {
        let (d, width) = (self.d, self.width);
        let mut w_enc = vec![0.0; d * width];
        for (latent, row) in self.encoder.chunks_exact(d).enumerate() {
            for (dim, value) in row.iter().enumerate() {
                w_enc[dim * width + latent] = *value;
            }
        }
        Trained {
            d_in: d,
            width,
            k: config.k,
            w_enc,
            b_enc: self.b_enc.iter().map(|b| b / scale).collect(),
            b_dec: self.b_dec.iter().map(|b| b / scale).collect(),
            threshold: threshold / scale,
            dead: self.dead(config.dead_after),
            explained_variance,
            w_dec: self.decoder,
        }
    }
}

/// Some neighbouring latents: their weights and moments.
struct Shard<'a> {
    first: usize,
    encoder: &'a mut [f32],
    decoder: &'a mut [f32],
    b_enc: &'a mut [f32],
    encoder_moments: Slices<'a>,
    decoder_moments: Slices<'a>,
    b_enc_moments: Slices<'a>,
}

impl Shard<'_> {
    /// One step of Adam; gives what these latents take from b_dec's gradient through the encoder, \[d\].
    fn learn(mut self, pass: &Pass<'_>, kept: &Kept, aside: Option<&(&Revival, Pass<'_>)>, rate: Rate) -> Vec<f32> {
        let d = pass.d;
        let (mut share, mut ge, mut gd) = (vec![0.0; d], vec![0.0; d], vec![0.0; d]);
        let mut biases = vec![0.0; self.b_enc.len()];
        for (at, bias) in biases.iter_mut().enumerate() {
            let (latent, of) = (self.first + at, at * d..(at + 1) * d);
            let (encoder, decoder) = (&mut self.encoder[of.clone()], &mut self.decoder[of.clone()]);
            ge.fill(0.0);
            gd.fill(0.0);
            *bias = pass.latent(kept.latent(latent), decoder, &mut ge, &mut gd);
            share.iter_mut().zip(&*encoder).for_each(|(s, e)| *s += *bias * e);
            if let Some((revival, aside)) = aside
                && let Some(place) = revival.place[latent]
            {
                *bias += aside.latent(&revival.active[place], decoder, &mut ge, &mut gd);
            }
            remove_along(&mut gd, decoder);
            let (first, second) = self.encoder_moments.part(of.clone());
            rate.apply(encoder, &ge, first, second);
            let (first, second) = self.decoder_moments.part(of);
            rate.apply(decoder, &gd, first, second);
            normalise(decoder);
        }
        let (first, second) = self.b_enc_moments.part(0..biases.len());
        rate.apply(self.b_enc, &biases, first, second);
        share
    }
}

/// Takes away the part of a gradient along a unit vector: moving there would only change the norm.
fn remove_along(gradient: &mut [f32], unit: &[f32]) {
    let along = dot(gradient, unit);
    gradient.iter_mut().zip(unit).for_each(|(g, u)| *g -= along * u);
}

/// Mean squared distance of the rows from their mean, summed over values.
fn spread(batch: &[f32], d: usize) -> f32 {
    let rows = (batch.len() / d) as f32;
    let mut mean = vec![0.0f32; d];
    for row in batch.chunks_exact(d) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / rows);
    }
    let squares: f32 =
        batch.chunks_exact(d).map(|row| row.iter().zip(&mean).map(|(v, m)| (v - m) * (v - m)).sum::<f32>()).sum();
    squares / rows
}
