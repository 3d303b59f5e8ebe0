//! From activations to what fires: the encoder, its threshold applied in each tile of the product.
//! Not here: a dense [tokens, width] matrix, anywhere.

use std::cmp::Ordering;
use std::ops::Range;

use crate::kernel::{self, View};
use crate::task::Cancel;

use super::{Activation, Affine, Codes, Error, Normalisation, Sae};

/// Some of the latents of a TopK SAE, and how many of them may fire.
#[derive(Clone, Copy)]
pub(super) struct Among<'a> {
    /// For each latent whether it takes part, \[width\].
    pub latents: &'a [bool],
    /// k.
    pub k: usize,
}

/// What one tile of columns lets through: rows in order, latents rising within a row.
#[derive(Default)]
struct Tile {
    /// Where each row ends in `pairs`.
    ends: Vec<usize>,
    pairs: Vec<(u32, f32)>,
    /// Row and latent of the first activation that is not finite.
    overflow: Option<(usize, usize)>,
}

impl Tile {
    /// Notes the first activation of the row under way that is not finite, if there is one.
    fn note_overflow(&mut self, start: usize) {
        if self.overflow.is_none()
            && let Some((latent, _)) = self.pairs[start..].iter().find(|(_, value)| !value.is_finite())
        {
            self.overflow = Some((self.ends.len(), *latent as usize));
        }
    }
}

impl Sae {
    /// The latents that fire for each row of `x`, row-major \[rows, d_in\]. The same bits for any number of threads.
    ///
    /// # Errors
    /// [`Error::InputSize`], [`Error::InputNotFinite`], [`Error::Overflow`], [`Error::Cancelled`].
    pub fn encode(&self, x: &[f32], cancel: &Cancel) -> Result<Codes, Error> {
        self.encode_among(x, None, cancel)
    }

    /// [`Sae::encode`] of a TopK SAE as if only the latents that `among` names existed.
    pub(super) fn encode_among(&self, x: &[f32], among: Option<Among<'_>>, cancel: &Cancel) -> Result<Codes, Error> {
        let (prepared, undo) = self.prepare(x)?;
        let rows = x.len() / self.d_in().max(1);
        let x = View::new(&prepared, rows, self.d_in());
        let tiles = kernel::fold_tiles(
            x,
            &self.parts.w_enc,
            |_| Tile::default(),
            |tile, columns, products| {
                if !cancel.is_cancelled() {
                    products.chunks_exact(columns.len()).for_each(|row| self.read_row(tile, columns, row, among));
                }
            },
        );
        cancel.check()?;
        self.merge(rows, &tiles, undo, among)
    }

    /// What [`Sae::encode`] gives of these latents, by rising index, within rounding; others may be among it. Where latents
    /// do not compete nothing else is computed.
    ///
    /// # Errors
    /// As [`Sae::encode`], and [`Error::Latent`].
    pub fn encode_some(&self, x: &[f32], latents: &[u32], cancel: &Cancel) -> Result<Codes, Error> {
        latents.iter().try_for_each(|latent| self.check_latent(*latent as usize))?;
        let compete = matches!(self.parts.activation, Activation::TopK { .. } | Activation::GroupMax { .. });
        if compete || latents.len() > self.width() / 16 {
            return self.encode(x, cancel);
        }
        cancel.check()?;
        let (prepared, undo) = self.prepare(x)?;
        let rows = x.len() / self.d_in().max(1);
        let of = |latent: &u32| {
            let (direction, mut tile) = (self.parts.w_enc.direction(*latent as usize), Tile::default());
            for row in prepared.chunks_exact(self.d_in().max(1)) {
                let product: f64 = row.iter().zip(&direction).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                let columns = *latent as usize..*latent as usize + 1;
                self.read_row(&mut tile, &columns, &[product as f32], None);
            }
            tile
        };
        let tiles: Vec<Tile> = latents.iter().map(of).collect();
        self.merge(rows, &tiles, undo, None)
    }

    /// Checks and normalises the input and takes b_dec from it where the SAE does: x′ and how to undo the normalisation.
    fn prepare(&self, x: &[f32]) -> Result<(Vec<f32>, Vec<Affine>), Error> {
        let d_in = self.d_in();
        if d_in == 0 || !x.len().is_multiple_of(d_in) {
            return Err(Error::InputSize { found: x.len(), d_in });
        }
        if let Some(at) = x.iter().position(|value| !value.is_finite()) {
            return Err(Error::InputNotFinite { row: at / d_in, dim: at % d_in, value: x[at] });
        }
        let mut x = x.to_vec();
        let undo = match self.parts.normalisation {
            Normalisation::None => Vec::new(),
            normalisation => x.chunks_exact_mut(d_in).map(|row| normalisation.apply(row)).collect(),
        };
        if self.parts.apply_b_dec_to_input {
            for row in x.chunks_exact_mut(d_in) {
                row.iter_mut().zip(self.parts.b_dec.iter()).for_each(|(x, b)| *x -= b);
            }
        }
        Ok((x, undo))
    }

    /// One row of a tile of products, `x·W_enc` for `columns`: applies biases and threshold, keeps what fires.
    fn read_row(&self, tile: &mut Tile, columns: &Range<usize>, products: &[f32], among: Option<Among<'_>>) {
        let start = tile.pairs.len();
        let bias = &self.parts.b_enc[columns.clone()];
        match &self.parts.activation {
            Activation::Relu => self.keep(tile, columns, products, bias, |_| 0.0),
            Activation::JumpRelu { threshold } => {
                let threshold = &threshold[columns.clone()];
                self.keep(tile, columns, products, bias, |at| threshold[at].max(0.0));
            }
            Activation::TopK { k } => {
                self.keep(tile, columns, products, bias, |_| 0.0);
                tile.note_overflow(start);
                if let Some(among) = among {
                    let mut at = 0;
                    tile.pairs.retain(|pair| {
                        at += 1;
                        at <= start || among.latents[pair.0 as usize]
                    });
                }
                keep_largest(&mut tile.pairs, start, among.map_or(*k, |among| among.k));
            }
            Activation::GroupMax { k } => {
                self.keep(tile, columns, products, bias, |_| 0.0);
                tile.note_overflow(start);
                keep_of_groups(&mut tile.pairs, start, self.width() / k);
            }
            Activation::Gated { b_gate, b_mag, r_mag } => {
                // The tile's pairs hold the gate's pre-activation first, then what the gate lets through.
                self.keep(tile, columns, products, &b_gate[columns.clone()], |_| 0.0);
                let mut kept = start;
                for at in start..tile.pairs.len() {
                    let latent = tile.pairs[at].0 as usize;
                    let value = products[latent - columns.start] * r_mag[latent].exp() + b_mag[latent];
                    if exceeds(value, 0.0) {
                        tile.pairs[kept] = (latent as u32, value);
                        kept += 1;
                    }
                }
                tile.pairs.truncate(kept);
            }
        }
        tile.note_overflow(start);
        tile.ends.push(tile.pairs.len());
    }

    /// Keeps the pre-activations above `floor`, and those that are not a number.
    #[inline]
    fn keep(
        &self,
        tile: &mut Tile,
        columns: &Range<usize>,
        products: &[f32],
        bias: &[f32],
        floor: impl Fn(usize) -> f32,
    ) {
        if self.parts.rescale_acts_by_decoder_norm {
            let squared_norms = &self.squared_norms()[columns.clone()];
            // A latent that is switched off, with a bias of −∞, and has a decoder row of zeros does not fire either.
            let scaled = |pre: f32, norm: f32| if norm == 0.0 { 0.0 } else { pre * norm };
            let pre = |at: usize| scaled(products[at] + bias[at], squared_norms[at].sqrt());
            keep_above(&mut tile.pairs, columns, pre, floor);
        } else {
            let (products, bias) = (&products[..columns.len()], &bias[..columns.len()]);
            keep_above(&mut tile.pairs, columns, |at| products[at] + bias[at], floor);
        }
    }

    /// Puts the tiles' pairs together, row by row.
    fn merge(&self, rows: usize, tiles: &[Tile], undo: Vec<Affine>, among: Option<Among<'_>>) -> Result<Codes, Error> {
        if let Some((row, index)) = tiles.iter().filter_map(|tile| tile.overflow).min() {
            return Err(Error::Overflow { row, place: "latent", index });
        }
        let mut codes = Codes { undo, ..Codes::default() };
        let mut pairs = Vec::new();
        for row in 0..rows {
            pairs.clear();
            for tile in tiles {
                let start = if row == 0 { 0 } else { tile.ends[row - 1] };
                pairs.extend_from_slice(&tile.pairs[start..tile.ends[row]]);
            }
            match self.parts.activation {
                Activation::TopK { k } => keep_largest(&mut pairs, 0, among.map_or(k, |among| among.k)),
                Activation::GroupMax { k } => keep_of_groups(&mut pairs, 0, self.width() / k),
                _ => {}
            }
            codes.push_row(pairs.iter().copied());
        }
        Ok(codes)
    }
}

/// Appends what is above its floor, or not a number, to `pairs`. Most chunks hold nothing: they cost one comparison a
/// value, without a branch.
#[inline]
fn keep_above(
    pairs: &mut Vec<(u32, f32)>,
    columns: &Range<usize>,
    pre: impl Fn(usize) -> f32,
    floor: impl Fn(usize) -> f32,
) {
    const CHUNK: usize = 32;
    let mut start = 0;
    while start < columns.len() {
        let end = columns.len().min(start + CHUNK);
        if (start..end).fold(false, |any, at| any | exceeds(pre(at), floor(at))) {
            for at in start..end {
                let value = pre(at);
                if exceeds(value, floor(at)) {
                    pairs.push(((columns.start + at) as u32, value));
                }
            }
        }
        start = end;
    }
}

/// Whether a value is above its floor. What is not a number is too, so that it is kept and found.
fn exceeds(value: f32, floor: f32) -> bool {
    value > floor || value.is_nan()
}

/// Keeps the k largest of `pairs[start..]`, ties by the lower latent, by rising latent.
fn keep_largest(pairs: &mut Vec<(u32, f32)>, start: usize, k: usize) {
    if pairs.len() - start <= k {
        return;
    }
    let larger_first = |a: &(u32, f32), b: &(u32, f32)| match b.1.total_cmp(&a.1) {
        Ordering::Equal => a.0.cmp(&b.0),
        order => order,
    };
    pairs[start..].select_nth_unstable_by(k, larger_first);
    pairs.truncate(start + k);
    pairs[start..].sort_unstable_by_key(|pair| pair.0);
}

/// Keeps of `pairs[start..]`, which rise by latent, the largest of each group of `size` latents, ties by the lower one.
fn keep_of_groups(pairs: &mut Vec<(u32, f32)>, start: usize, size: usize) {
    let group = |pair: &(u32, f32)| pair.0 as usize / size.max(1);
    let mut kept = start;
    for at in start..pairs.len() {
        let pair = pairs[at];
        if kept > start && group(&pairs[kept - 1]) == group(&pair) {
            if pair.1 > pairs[kept - 1].1 {
                pairs[kept - 1] = pair;
            }
        } else {
            pairs[kept] = pair;
            kept += 1;
        }
    }
    pairs.truncate(kept);
}

impl Normalisation {
    /// Normalises a row in place and gives what undoes it.
    fn apply(self, row: &mut [f32]) -> Affine {
        let d_in = row.len() as f64;
        match self {
            Self::None => Affine::IDENTITY,
            Self::Scale(factor) => {
                for x in row.iter_mut() {
                    *x *= factor;
                }
                Affine { scale: 1.0 / factor, shift: 0.0 }
            }
            Self::ConstantNorm => {
                let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                if norm == 0.0 {
                    return Affine::IDENTITY;
                }
                let factor = (d_in.sqrt() / norm) as f32;
                for x in row.iter_mut() {
                    *x *= factor;
                }
                Affine { scale: 1.0 / factor, shift: 0.0 }
            }
            Self::LayerNorm => {
                let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / d_in;
                let squares = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
                let std = (squares / (d_in - 1.0).max(1.0)).sqrt();
                for x in row.iter_mut() {
                    *x = ((f64::from(*x) - mean) / (std + 1e-5)) as f32;
                }
                Affine { scale: std as f32, shift: mean as f32 }
            }
        }
    }
}
