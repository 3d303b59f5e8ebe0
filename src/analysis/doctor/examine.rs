//! Measures SAEs on sentences: figures, cross-entropies, decoder rows.
//! Not here: looking for what fits (`search`), what is expected, and where sentences and SAEs come from.

use crate::analysis::live::{self, center};
use crate::analysis::measuring::{ActivationSource, Apart, Sample};
use crate::analysis::splice::Measured;
use crate::analysis::{SaeTypes, notes_on};
use crate::model::{self, Model};
use crate::sae::Sae;
use crate::site::Site;
use crate::task::{Cancel, Cancelled, OnProgress, Progress};

use super::convention::{Convention, Facts};
use super::files;
use super::{DENSE, Expected, Figures, Norms, SaeCheckup, Verdict, distance, judge, share};

/// Positions encoded at a time: so many that the encoder's matrix is worth reading, so few that an SAE whose latents all
/// fire does not fill the memory.
const CHUNK: usize = 32;
/// Bytes of decoder rows up to which all of their lengths are measured.
const READ_THROUGH: u64 = 4 << 30;
/// Rows whose lengths are measured of a larger decoder.
const ROWS: usize = 1 << 16;

/// Products of an encoder up to which conventions are tried on an SAE that looks right; an encoder of 100,000 latents on
/// 768 values comes to half of it.
const COMPARED: u64 = 1 << 37;
/// Products of a pass of the model up to which the same holds for another site: many times those of GPT-2 small.
const PASS: u64 = 1 << 38;
/// Share of a prompt's first word that must be left unexplained for it to be reported, and how many times the share of other
/// words it must be.
const FIRST_LEFT: f64 = 0.5;
const FIRST_TIMES: f64 = 2.0;

/// Who measures: a model, sentences, and how the suite takes activations.
pub struct Diagnostics<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// What it is called: the repositories that it may come from; none where only a directory is known.
    pub names: Vec<String>,
    /// Where activations are taken.
    pub site: Site,
    /// Whether the mean over the activation is taken from it.
    pub center: bool,
    /// Whether prompts begin with a beginning-of-sequence token.
    pub bos: bool,
    /// That token, where the tokenizer has one.
    pub bos_id: Option<u32>,
    /// What the tokenizer itself puts in front of every text, as `transformers` uses it.
    pub opening: Vec<u32>,
    /// What the values' bias adds to z, \[d_in\], where the site is z and the model has it.
    pub value_bias: Option<Vec<f32>>,
    /// Whether the SAEs given have been moved by it.
    pub folded: bool,
    /// The sentences' tokens, without the one that begins a sequence.
    pub sentences: Vec<Vec<u32>>,
    /// Activations that were taken, not centred, by where and with or without a first token.
    pub taken: Vec<((Site, bool), Sample)>,
    /// Cross-entropies that do not depend on the SAE: kept, zero, mean.
    pub bounds: Option<(f64, f64, f64)>,
    /// What the search on other SAEs of the suite came to.
    pub found: Found,
}

/// What the search came to on the SAEs of a suite that were off.
#[derive(Clone, Default)]
pub enum Found {
    /// Nothing yet.
    #[default]
    Nothing,
    /// These conventions fitted: they are tried first on the next one.
    These(Vec<Convention>),
    /// Pairs were tried, and none fitted.
    NoPair,
}

/// An SAE to be measured.
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a str,
    /// The SAE, as the session uses it.
    pub sae: &'a Sae,
    /// What is expected of it.
    pub expected: Expected,
    /// Conventions that are tried even when the figures are fine.
    pub doubted: Vec<&'static str>,
}

/// How activations are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Wiring {
    pub site: Site,
    pub center: bool,
    pub bos: bool,
}

/// Figures, and the reconstruction they are of.
pub(super) struct Reading {
    pub figures: Figures,
    x_hat: Vec<f32>,
}

impl Diagnostics<'_> {
    /// Measures an SAE, with cross-entropies where `losses`, and tries the conventions where its figures are off.
    ///
    /// # Errors
    /// [`live::Error`] when the model cannot run the sentences or the SAE cannot encode them as the suite is wired. What
    /// fails with a convention changed is left out.
    pub fn examine(
        &mut self,
        subject: &Subject<'_>,
        losses: bool,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<SaeCheckup, live::Error> {
        let Subject { id, sae, expected, doubted } = subject;
        let way = Wiring { site: self.site, center: self.center, bos: self.bos };
        let sample = self.sample(way, cancel, progress)?;
        progress(Progress::steps(format!("SAE {id}"), 0, 1));
        let wrong = |source| live::Error::Sae { sae: (*id).to_owned(), source };
        let Reading { mut figures, x_hat } = read(sae, &sample, cancel).map_err(wrong)?;
        if losses && x_hat.len() == sample.x.len() {
            self.add_losses(way, &sample, &x_hat, &mut figures, cancel, progress)?;
        }
        let (mut verdict, mut why) = judge(&figures, expected, sae.d_in(), sae.width());
        let decoder_norms = norms(sae, cancel).map_err(model::Error::from)?;
        // Conventions are tried where a figure is off that distinguishes them.
        let off = judge(&figures.without_losses(), expected, sae.d_in(), sae.width()).0 == Verdict::Off;
        let stored = distance(&figures, expected);
        let mut attempts = Vec::new();
        let mut fits = false;
        let compared = verdict != Verdict::Off && !expected.sure().says_how_well() && cost(sae, &sample) <= COMPARED;
        if off || compared || !doubted.is_empty() {
            let all = Convention::all(&self.facts(&sample, subject, &decoder_norms), sae);
            let (mut wanted, mut others) = (Vec::new(), Vec::new());
            for one in all {
                match off || doubted.contains(&one.name()) {
                    true => wanted.push(one),
                    false if compared && one.is_comparable() && self.is_worth(&one, sae, &sample) => others.push(one),
                    false => {}
                }
            }
            (attempts, fits) = self.search(&wanted, subject, (off, stored), cancel, progress)?;
            if let Some(better) = self.clearer(others, &mut attempts, &figures, subject, cancel, progress)? {
                (verdict, fits) = (Verdict::Off, true);
                why.push(better);
            }
        }
        let contradictions = self.contradictions(subject, &figures, cancel, progress)?;
        Ok(SaeCheckup {
            id: (*id).to_owned(),
            width: sae.width(),
            dtype: SaeTypes::of(sae),
            notes: notes_on(sae),
            measured: figures,
            expected: expected.clone(),
            decoder_norms,
            verdict,
            why,
            contradictions,
            fits: attempts.first().filter(|_| fits).map(|best| best.trial.remedy.clone()),
            trials: attempts.into_iter().map(|attempt| attempt.trial).collect(),
        })
    }

    /// Whether a convention is worth its price on an SAE that looks right: another site costs a pass of the model, and is
    /// not in question where the SAE's own files name it.
    fn is_worth(&self, convention: &Convention, sae: &Sae, sample: &Sample) -> bool {
        let Convention::Site(site) = convention else { return true };
        let named = sae.metadata.hook_name.as_deref().and_then(Site::of_hook);
        let (shape, tokens) = (self.model.shape(), sample.counts.len() as u64);
        // A block has about 12 products for each pair of dimensions.
        let pass = 12 * (shape.d_model as u64).pow(2) * site.blocks() as u64 * tokens;
        named.is_none_or(|named| !named.is_same_place(self.site)) && pass <= PASS
    }

    /// What speaks against the suite beside the figures.
    fn contradictions(
        &mut self,
        subject: &Subject<'_>,
        figures: &Figures,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Vec<String>, live::Error> {
        let (sae, mut said) = (subject.sae, Vec::new());
        said.extend(files::contradicted(&sae.metadata, &self.names, self.site));
        match sae.metadata.prepend_bos {
            Some(bos) if bos != self.bos => {
                said.push(format!("its own files say `prepend_bos` {bos}; the suite says {}", self.bos));
            }
            None if !self.opening.is_empty() && !self.bos => {
                said.push(
                    "the tokenizer puts BOS in front of every text; the suite says `prepend_bos` false".to_owned(),
                );
            }
            _ => {}
        }
        said.extend(self.first_word(subject, figures, cancel, progress)?);
        Ok(said)
    }

    /// Whether the first word of a prompt, which no figure counts, is what the SAE was trained on: without BOS it takes
    /// BOS' place, where many models have an activation unlike all others.
    fn first_word(
        &mut self,
        subject: &Subject<'_>,
        figures: &Figures,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Option<String>, live::Error> {
        if self.bos || self.bos_id.is_none() {
            return Ok(None);
        }
        let mut left = [0.0; 2];
        for (left, bos) in left.iter_mut().zip([false, true]) {
            let sample = self.sample(Wiring { site: self.site, center: self.center, bos }, cancel, progress)?;
            let Some(of) = first_left(subject.sae, &sample, usize::from(bos), cancel) else { return Ok(None) };
            *left = of;
        }
        let others = 1.0 - figures.explained_variance.unwrap_or_default();
        let [without, with] = left;
        let off = without > FIRST_LEFT && without > FIRST_TIMES * others && with < without / FIRST_TIMES;
        Ok(off.then(|| {
            format!(
                "explained variance at a prompt's first word is {}, with BOS in front {}: if it was trained so, set \
                 `prepend_bos = true` in [model]",
                share(1.0 - without),
                share(1.0 - with)
            )
        }))
    }

    fn facts(&self, sample: &Sample, subject: &Subject<'_>, decoder: &Norms) -> Facts {
        let size = sample.x.len() / sample.counts.len().max(1);
        let rows = sample.x.chunks_exact(size.max(1)).zip(&sample.counts).filter(|(_, counts)| **counts);
        let lengths = rows.map(|(row, _)| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt());
        let mean = lengths.sum::<f64>() / sample.tokens().max(1) as f64;
        Facts {
            site: self.site,
            center: self.center,
            bos: self.bos_id.map(|_| self.bos),
            layers: self.model.shape().layers,
            value_bias: self.value_bias.as_ref().map(|_| self.folded),
            scale: ((size as f64).sqrt() / mean) as f32,
            d_in: size,
            l0: subject.expected.l0,
            own_site: subject.sae.metadata.hook_name.as_deref().and_then(Site::of_hook),
            unit_rows: decoder.is_unit(),
        }
    }

    /// The sentences' activations; position 0 never counts.
    pub(super) fn sample(
        &mut self,
        way: Wiring,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Sample, model::Error> {
        let key = (way.site, way.bos);
        if !self.taken.iter().any(|(known, _)| *known == key) {
            let taker = ActivationSource { model: self.model, site: way.site, center: false, apart: Apart::First };
            let mut sample = Sample::default();
            for (done, sentence) in self.sentences.iter().enumerate() {
                progress(Progress::steps("running the sentences", done as u64, self.sentences.len() as u64));
                let first = self.bos_id.filter(|_| way.bos);
                taker.add(&mut sample, first.into_iter().chain(sentence.iter().copied()).collect(), cancel)?;
            }
            self.taken.push((key, sample));
        }
        let found = self.taken.iter().find(|(known, _)| *known == key);
        let mut sample = found.map(|(_, sample)| sample.clone()).unwrap_or_default();
        if way.center {
            sample.x.chunks_exact_mut(self.model.site_size(way.site).unwrap_or(1).max(1)).for_each(center);
        }
        Ok(sample)
    }

    fn add_losses(
        &mut self,
        way: Wiring,
        sample: &Sample,
        x_hat: &[f32],
        figures: &mut Figures,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<(), model::Error> {
        let loss = |replaced: Option<&[f32]>| {
            progress(Progress::steps("cross-entropies", 0, 1));
            self.mean_loss(way, sample, replaced, cancel)
        };
        let (clean, zero, mean) = if let Some(bounds) = self.bounds {
            bounds
        } else {
            let size = sample.x.len() / sample.counts.len().max(1);
            let everywhere = mean_row(sample, size).repeat(sample.counts.len());
            let bounds = (loss(None)?, loss(Some(&vec![0.0; sample.x.len()]))?, loss(Some(&everywhere))?);
            let (Some(clean), Some(zero), Some(mean)) = bounds else { return Ok(()) };
            (clean, zero, mean)
        };
        let spliced = loss(Some(x_hat))?;
        self.bounds = Some((clean, zero, mean));
        let Some(spliced) = spliced else { return Ok(()) };
        let recovered = |worst: f64| (worst != clean).then(|| (worst - spliced) / (worst - clean));
        (figures.ce_clean, figures.ce_spliced) = (Some(clean), Some(spliced));
        (figures.ce_zero, figures.ce_mean) = (Some(zero), Some(mean));
        (figures.loss_recovered, figures.loss_recovered_mean) = (recovered(zero), recovered(mean));
        Ok(())
    }

    /// Cross-entropy over all sentences in nats, with the activation kept or replaced; none where nothing is predicted.
    fn mean_loss(
        &self,
        way: Wiring,
        sample: &Sample,
        replaced: Option<&[f32]>,
        cancel: &Cancel,
    ) -> Result<Option<f64>, model::Error> {
        let size = sample.x.len() / sample.counts.len().max(1);
        let (mut sum, mut predictions, mut start) = (0.0, 0, 0);
        for ids in &sample.rows {
            let positions = start..start + ids.len();
            let values = positions.start * size..positions.end * size;
            let measured = Measured {
                model: self.model,
                site: way.site,
                center: way.center,
                ids,
                counts: &sample.counts[positions.clone()],
                activations: &sample.x[values.clone()],
            };
            let row = measured.loss(replaced.map(|rows| &rows[values]), cancel)?;
            (sum, predictions) = (sum + row.0, predictions + row.1);
            start = positions.end;
        }
        Ok((predictions > 0).then(|| sum / predictions as f64))
    }
}

/// Encodes and decodes a sample and measures what comes of it. It ends early where so much fires that the SAE cannot be
/// meant to be used so.
pub(super) fn read(sae: &Sae, sample: &Sample, cancel: &Cancel) -> Result<Reading, crate::sae::Error> {
    let d_in = sae.d_in();
    let (mut x_hat, mut fired) = (Vec::with_capacity(sample.x.len()), vec![0u32; sae.width()]);
    let (mut active, mut first, mut firsts) = (0usize, 0usize, 0usize);
    let (mut tokens, mut rows) = (0usize, 0usize);
    for part in sample.x.chunks(CHUNK * d_in.max(1)) {
        let codes = sae.encode(part, cancel)?;
        x_hat.extend(sae.decode(&codes)?);
        for row in 0..codes.rows() {
            let (latents, values) = codes.row(row);
            let firing = latents.iter().zip(values).filter(|(_, value)| **value != 0.0);
            if sample.counts.get(rows + row) == Some(&true) {
                tokens += 1;
                firing.for_each(|(latent, _)| {
                    fired[*latent as usize] += 1;
                    active += 1;
                });
            } else {
                firsts += 1;
                first += firing.count();
            }
        }
        rows += codes.rows();
        if active > tokens.saturating_mul(d_in.max(1)) {
            break;
        }
    }
    let (mse, explained_variance) = errors(sample, &x_hat, sae.d_out());
    let mean = |sum: usize, of: usize| (of > 0).then(|| sum as f64 / of as f64);
    let dense = fired.iter().filter(|fired| f64::from(**fired) > DENSE * tokens as f64).count();
    let figures = Figures {
        tokens,
        l0: mean(active, tokens),
        mse,
        explained_variance,
        first_l0: mean(first, firsts),
        silent: fired.iter().filter(|fired| **fired == 0).count(),
        dense,
        ..Figures::default()
    };
    Ok(Reading { figures, x_hat })
}

/// MSE and explained variance over the positions that count and were reconstructed, in f64 (methods §2).
fn errors(sample: &Sample, x_hat: &[f32], d_out: usize) -> (Option<f64>, Option<f64>) {
    let rows = || {
        let rows = sample.target().chunks_exact(d_out.max(1)).zip(x_hat.chunks_exact(d_out.max(1))).zip(&sample.counts);
        rows.filter(|(_, counts)| **counts).map(|(rows, _)| rows)
    };
    let tokens = rows().count();
    if tokens == 0 {
        return (None, None);
    }
    let (mut mean, mut error) = (vec![0.0f64; d_out], 0.0f64);
    for (x, x_hat) in rows() {
        for ((x, x_hat), mean) in x.iter().zip(x_hat).zip(&mut mean) {
            *mean += f64::from(*x) / tokens as f64;
            error += (f64::from(*x) - f64::from(*x_hat)).powi(2);
        }
    }
    let off = |x: &[f32]| x.iter().zip(&mean).map(|(x, mean)| (f64::from(*x) - mean).powi(2)).sum::<f64>();
    let variance: f64 = rows().map(|(x, _)| off(x)).sum();
    (Some(error / (tokens * d_out) as f64), (variance > 0.0).then(|| 1.0 - error / variance))
}

/// What is left unexplained of the activations at one position of every sentence, with respect to the mean of those that
/// count; none where that says nothing.
fn first_left(sae: &Sae, sample: &Sample, position: usize, cancel: &Cancel) -> Option<f64> {
    let size = sae.d_in();
    let mean = mean_row(sample, size);
    let (mut rows, mut start) = (Vec::new(), 0);
    for ids in &sample.rows {
        if position < ids.len() {
            rows.extend_from_slice(&sample.x[(start + position) * size..(start + position + 1) * size]);
        }
        start += ids.len();
    }
    let x_hat = sae.decode(&sae.encode(&rows, cancel).ok()?).ok()?;
    let squares = |a: &[f32], b: &mut dyn Iterator<Item = &f32>| {
        a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>()
    };
    let spread = squares(&rows, &mut mean.iter().cycle());
    (spread > 0.0).then(|| squares(&rows, &mut x_hat.iter()) / spread)
}

/// Products that encoding a sample takes.
fn cost(sae: &Sae, sample: &Sample) -> u64 {
    (sae.width() as u64).saturating_mul(sample.x.len() as u64)
}

fn mean_row(sample: &Sample, size: usize) -> Vec<f32> {
    let rows = sample.x.chunks_exact(size.max(1)).zip(&sample.counts).filter(|(_, counts)| **counts);
    let mut sums = vec![0.0f64; size];
    for (row, _) in rows {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    sums.iter().map(|sum| (sum / sample.tokens().max(1) as f64) as f32).collect()
}

/// The lengths of the decoder rows, of some of them where there are too many to read.
fn norms(sae: &Sae, cancel: &Cancel) -> Result<Norms, Cancelled> {
    let width = sae.width();
    let all = (width as u64).saturating_mul(sae.d_out() as u64 * 4) <= READ_THROUGH;
    let step = if all { 1 } else { width.div_ceil(ROWS) };
    let mut lengths = Vec::with_capacity(width / step + 1);
    for latent in (0..width).step_by(step) {
        if latent % 4096 == 0 {
            cancel.check()?;
        }
        lengths.extend(sae.decoder_norm(latent).ok().map(f64::from));
    }
    lengths.sort_by(f64::total_cmp);
    let at = |place: usize| lengths.get(place).copied().unwrap_or_default();
    Ok(Norms {
        rows: lengths.len(),
        min: at(0),
        median: at(lengths.len() / 2),
        max: at(lengths.len().saturating_sub(1)),
        zero: lengths.iter().filter(|length| **length == 0.0).count(),
    })
}

#[cfg(test)]
mod tests {
    use crate::sae::metrics::quality;
    use crate::sae::{Activation, Encoder, Normalisation, SaeWeights};
    use crate::weights::Array;

    use super::*;

    fn sae(width: usize) -> Sae {
        let values = |count: usize, turn: f32| (0..count).map(|at| (at as f32 * turn).sin()).collect::<Vec<_>>();
        Sae::new(SaeWeights {
            w_enc: Encoder::from(Array::owned(values(4 * width, 0.7), &[4, width])),
            b_enc: Array::owned(values(width, 0.3), &[width]),
            w_dec: Array::owned(values(4 * width, 1.1), &[width, 4]).into(),
            b_dec: Array::owned(values(4, 0.9), &[4]),
            apply_b_dec_to_input: true,
            rescale_acts_by_decoder_norm: false,
            activation: Activation::Relu,
            normalisation: Normalisation::None,
        })
        .expect("fits together")
    }

    #[test]
    fn figures_are_those_of_the_metrics_whatever_the_chunks() {
        let (sae, rows) = (sae(4), 3 * CHUNK + 5);
        let x: Vec<f32> = (0..rows * 4).map(|at| (at as f32 * 0.37).cos() * 3.0).collect();
        let counts: Vec<bool> = (0..rows).map(|row| row % 7 != 0).collect();
        let sample = Sample { rows: Vec::new(), counts: counts.clone(), x: x.clone() };
        let got = read(&sae, &sample, &Cancel::new()).expect("measures").figures;
        let codes = sae.encode(&x, &Cancel::new()).expect("encodes");
        let wanted = quality(&x, &sae.decode(&codes).expect("decodes"), &codes, &counts, 4).expect("measures");
        assert_eq!((got.tokens, got.l0), (wanted.tokens, wanted.l0));
        let close = |a: Option<f64>, b: Option<f64>| (a.expect("is") - b.expect("is")).abs() < 1e-12;
        assert!(close(got.mse, wanted.mse) && close(got.explained_variance, wanted.explained_variance), "{got:?}");
    }

    #[test]
    fn an_sae_that_fires_everywhere_is_measured_on_few_tokens() {
        let sae = sae(400);
        let sample = Sample { rows: Vec::new(), counts: vec![true; 10 * CHUNK], x: vec![1.0; 40 * CHUNK] };
        let got = read(&sae, &sample, &Cancel::new()).expect("measures").figures;
        assert_eq!(got.tokens, CHUNK);
        assert!(got.l0.is_some_and(|l0| l0 > 4.0) && got.dense > 4);
    }

    #[test]
    fn norms_are_counted_with_the_rows_that_are_zero() {
        let got = norms(&sae(6), &Cancel::new()).expect("are measured");
        assert_eq!((got.rows, got.zero), (6, 0));
        assert!(got.min <= got.median && got.median <= got.max && got.min > 0.0);
    }
}
