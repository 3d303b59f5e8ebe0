//! Interventions against passes written out here: the activation is read by one hook, edited by plain loops, and put back
//! by another; with and without a cache, at every site kind. Not here: figures of other programs (`golden_effect`).

use std::sync::Arc;

use candle_core::{Device, Tensor};
use saescope::analysis::intervention::{
    ActivationEdit, Change, Combination, EditHook, Error, Intervention, LatentAbove, LatentId, PartialSettings,
    Setting, Where,
};
use saescope::device::DeviceName;
use saescope::model::{Hook, Logits, Model, Pass};
use saescope::sae::{Activation, Normalisation, Sae, SaeWeights};
use saescope::site::{Site, SiteKind};
use saescope::task::Cancel;
use saescope::weights::Array;

use crate::support::reference;

const IDS: [u32; 9] = [289, 5, 9, 77, 3, 12, 4, 4, 200];
const MODELS: [&str; 4] = ["plain", "gemma2", "llama", "neox"];
const WIDTH: usize = 12;

fn model(name: &str) -> Arc<dyn Model> {
    reference::model(name, DeviceName::Cpu).model
}

fn values(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32)
        .map(|i| ((i.wrapping_mul(2_654_435_761) ^ seed.wrapping_mul(97_003)) >> 8) as f32 / 8_388_608.0 - 1.0)
        .collect()
}

fn sae(size: usize, normalisation: Normalisation, rescaled: bool) -> Sae {
    let array = |count: usize, seed, shape: &[usize]| Array::owned(values(count, seed), shape);
    Sae::new(SaeWeights {
        w_enc: array(size * WIDTH, 1, &[size, WIDTH]).into(),
        b_enc: array(WIDTH, 2, &[WIDTH]),
        w_dec: array(size * WIDTH, 3, &[WIDTH, size]).into(),
        b_dec: array(size, 4, &[size]),
        apply_b_dec_to_input: true,
        rescale_acts_by_decoder_norm: rescaled,
        activation: Activation::Relu,
        normalisation,
    })
    .expect("fits together")
}

/// Reads the activation at a site, and puts another in its place where there is one.
struct Plain {
    site: Site,
    seen: Vec<f32>,
    instead: Option<Vec<f32>>,
}

impl Hook for Plain {
    fn is_active(&self, site: Site) -> bool {
        site == self.site
    }

    fn visit(&mut self, _: Site, activation: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.seen = activation.flatten_all()?.to_vec1()?;
        let new = self.instead.clone().map(|rows| Tensor::from_vec(rows, activation.shape(), &Device::Cpu));
        new.transpose()
    }
}

/// Logits of all positions and the activation, of one pass without a cache.
fn plain(model: &dyn Model, site: Site, instead: Option<Vec<f32>>) -> (Vec<f32>, Vec<f32>) {
    let mut hook = Plain { site, seen: Vec::new(), instead };
    let cancel = Cancel::new();
    let pass = Pass { layers: None, logits: Logits::All, hook: Some(&mut hook), cancel: &cancel };
    let logits = model.forward(&IDS, &mut model.cache(), pass).expect("a pass").expect("logits");
    (logits.flatten_all().and_then(|flat| flat.to_vec1()).expect("values"), hook.seen)
}

/// The same with an intervention, the prompt cut into pieces that are run one behind the other.
fn changed(model: &dyn Model, hook: &mut EditHook<'_>, pieces: &[usize]) -> Vec<f32> {
    let (mut cache, mut logits, cancel) = (model.cache(), Vec::new(), Cancel::new());
    let mut start = 0;
    for end in pieces {
        let pass = Pass { layers: None, logits: Logits::All, hook: Some(&mut *hook), cancel: &cancel };
        let some = model.forward(&IDS[start..*end], &mut cache, pass).expect("a pass").expect("logits");
        logits.extend(some.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("values"));
        start = *end;
    }
    logits
}

/// What an SAE makes of one activation, in plain f64 loops.
struct Made {
    fires: Vec<f64>,
    /// What each latent's activation is multiplied by before its row is added, in the model's units.
    units: Vec<f64>,
    hat: Vec<f64>,
}

fn made(sae: &Sae, x: &[f64], center: bool) -> Made {
    let (parts, size) = (sae.parts(), x.len());
    let w_enc = parts.w_enc.matrix().to_array();
    let mean = if center { x.iter().sum::<f64>() / size as f64 } else { 0.0 };
    let mut seen: Vec<f64> = x.iter().map(|x| x - mean).collect();
    let (mut scale, mut shift) = (1.0, 0.0);
    match parts.normalisation {
        Normalisation::None => {}
        Normalisation::Scale(factor) => {
            for x in &mut seen {
                *x *= f64::from(factor);
            }
            scale = 1.0 / f64::from(factor);
        }
        Normalisation::ConstantNorm => {
            let norm = seen.iter().map(|x| x * x).sum::<f64>().sqrt();
            scale = norm / (size as f64).sqrt();
            for x in &mut seen {
                *x /= scale;
            }
        }
        Normalisation::LayerNorm => {
            shift = seen.iter().sum::<f64>() / size as f64;
            scale = (seen.iter().map(|x| (x - shift).powi(2)).sum::<f64>() / (size as f64 - 1.0)).sqrt();
            for x in &mut seen {
                *x = (*x - shift) / (scale + 1e-5);
            }
        }
        other => panic!("no formula is written out for {other:?}"),
    }
    seen.iter_mut().zip(parts.b_dec.iter()).for_each(|(x, b)| *x -= f64::from(*b));
    let (mut fires, mut units, mut hat) = (Vec::new(), Vec::new(), vec![0.0; size]);
    for latent in 0..WIDTH {
        let row = sae.decoder_row(latent).expect("a row");
        let norm = row.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
        let pre: f64 = (0..size).map(|k| seen[k] * f64::from(w_enc[k * WIDTH + latent])).sum();
        let pre = pre + f64::from(parts.b_enc[latent]);
        let (pre, gain) = if parts.rescale_acts_by_decoder_norm { (pre * norm, 1.0 / norm) } else { (pre, 1.0) };
        let fire = pre.max(0.0);
        hat.iter_mut().zip(row.iter()).for_each(|(hat, d)| *hat += fire * gain * f64::from(*d));
        fires.push(fire);
        units.push(gain * scale);
    }
    for (hat, b) in hat.iter_mut().zip(parts.b_dec.iter()) {
        *hat = (*hat + f64::from(*b)) * scale + shift + mean;
    }
    Made { fires, units, hat }
}

fn latent(latent: u32) -> LatentId {
    LatentId { sae: "s".to_owned(), latent }
}

/// What a latent's activation is multiplied by before its row is added, beside the scale of the position.
fn gain(sae: &Sae, latent: usize) -> f64 {
    let row = sae.decoder_row(latent).expect("a row");
    let norm = row.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
    if sae.parts().rescale_acts_by_decoder_norm { 1.0 / norm } else { 1.0 }
}

/// What changes x's part along a direction.
fn projected(direction: &[f32], x: &[f64], coefficient: f64) -> Vec<f64> {
    let squared: f64 = direction.iter().map(|d| f64::from(*d).powi(2)).sum();
    let part: f64 = direction.iter().zip(x).map(|(d, x)| f64::from(*d) * x).sum::<f64>() / squared;
    direction.iter().map(|d| (coefficient - 1.0) * part * f64::from(*d)).collect()
}

/// What an edit adds to an activation, in plain loops.
fn delta(edit: &ActivationEdit, sae: &Sae, x: &[f64], center: bool) -> Vec<f64> {
    let this = made(sae, x, center);
    let along = |latent: &LatentId, by: f64| -> Vec<f64> {
        let row = sae.decoder_row(latent.latent as usize).expect("a row");
        row.iter().map(|d| by * this.units[latent.latent as usize] * f64::from(*d)).collect()
    };
    let f = |latent: &LatentId| this.fires[latent.latent as usize];
    match edit {
        ActivationEdit::Ablate(latent) => along(latent, -f(latent)),
        ActivationEdit::Set { latent, value } => along(latent, f64::from(*value) - f(latent)),
        ActivationEdit::Scale { latent, by } => along(latent, (f64::from(*by) - 1.0) * f(latent)),
        ActivationEdit::Add { direction, strength } => {
            direction.iter().map(|d| f64::from(*strength) * f64::from(*d)).collect()
        }
        ActivationEdit::Project { direction, coefficient } => projected(direction, x, f64::from(*coefficient)),
        ActivationEdit::Row { latent, to } => {
            let row = sae.decoder_row(latent.latent as usize).expect("a row");
            let by = f(latent) * this.units[latent.latent as usize];
            to.iter().zip(row.iter()).map(|(new, old)| by * f64::from(new - old)).collect()
        }
        ActivationEdit::Reconstruct(_) => this.hat.iter().zip(x).map(|(hat, x)| hat - x).collect(),
        ActivationEdit::Whole(source) => source.iter().zip(x).map(|(new, x)| f64::from(*new) - x).collect(),
        ActivationEdit::From { latent, source } => {
            let other = made(sae, &source.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), center);
            let at = latent.latent as usize;
            let by = other.fires[at] * other.units[at] - this.fires[at] * this.units[at];
            let row = sae.decoder_row(at).expect("a row");
            row.iter().map(|d| by * f64::from(*d)).collect()
        }
        ActivationEdit::More { latent, by } => along(latent, f64::from(*by)),
        ActivationEdit::Along { latent, coefficient } => {
            let row = sae.decoder_row(latent.latent as usize).expect("a row");
            projected(&row, x, f64::from(*coefficient))
        }
        ActivationEdit::Combined { of, change } => {
            let scale = this.units[0] / gain(sae, 0);
            let part = |(latent, weight): &(u32, f32)| this.fires[*latent as usize] * f64::from(*weight);
            let f: f64 = of.members.iter().map(part).sum();
            let by = match *change {
                Change::Off => -f,
                Change::To(value) => f64::from(value) - f,
                Change::Times(by) => (f64::from(by) - 1.0) * f,
                Change::More(by) => f64::from(by),
                Change::Along(coefficient) => return projected(&of.direction, x, f64::from(coefficient)),
            };
            of.direction.iter().map(|m| by * scale * f64::from(*m)).collect()
        }
        ActivationEdit::Replace { .. } => panic!("held by the golden tests of cross-entropies"),
    }
}

/// Whether an intervention acts at a position, in plain words; one token in front begins the text.
fn acts(at: &Where, edit: &ActivationEdit, position: usize, sae: &Sae, x: &[f64], center: bool) -> bool {
    let fires = |latent: &LatentId| made(sae, x, center).fires[latent.latent as usize];
    match at {
        Where::All => position > 0,
        Where::Fires => position > 0 && fires(edit.latent().expect("a latent")) > 0.0,
        Where::Positions(these) => these.contains(&position),
        Where::From(first) => position > 0 && position >= *first,
    }
}

fn edits(size: usize) -> Vec<Vec<ActivationEdit>> {
    let of = |seed| -> Arc<[f32]> { values(size, seed).into() };
    vec![
        vec![ActivationEdit::Ablate(latent(3))],
        vec![ActivationEdit::Set { latent: latent(5), value: 2.5 }],
        vec![ActivationEdit::Scale { latent: latent(1), by: -1.5 }],
        vec![ActivationEdit::Add { direction: of(7), strength: -0.7 }],
        vec![ActivationEdit::Project { direction: of(8), coefficient: 0.0 }],
        vec![ActivationEdit::Row { latent: latent(2), to: of(9) }],
        vec![ActivationEdit::Reconstruct("s".to_owned())],
        vec![ActivationEdit::Whole(of(10))],
        vec![ActivationEdit::From { latent: latent(4), source: of(11) }],
        vec![ActivationEdit::More { latent: latent(6), by: 1.5 }],
        vec![ActivationEdit::Along { latent: latent(7), coefficient: -0.5 }],
        combined(size, Change::Off),
        combined(size, Change::To(-2.0)),
        combined(size, Change::Times(2.5)),
        combined(size, Change::More(0.8)),
        combined(size, Change::Along(0.0)),
        // The deltas of several add up, each read from the activation as it was, whatever their order.
        vec![
            ActivationEdit::Project { direction: of(8), coefficient: 2.0 },
            ActivationEdit::Ablate(latent(3)),
            ActivationEdit::Reconstruct("s".to_owned()),
            ActivationEdit::Scale { latent: latent(3), by: 3.0 },
            ActivationEdit::Add { direction: of(7), strength: 0.5 },
        ],
    ]
}

fn combined(size: usize, change: Change) -> Vec<ActivationEdit> {
    let (members, direction) = (vec![(1, 0.4), (3, -0.7), (5, 0.9), (8, 0.3)], values(size, 13));
    let of = Combination { name: "several".to_owned(), sae: "s".to_owned(), members, direction };
    vec![ActivationEdit::Combined { of: Arc::new(of), change }]
}

fn places() -> Vec<Where> {
    vec![Where::All, Where::Positions(vec![0]), Where::Positions(vec![8, 3]), Where::From(5)]
}

#[test]
fn edits_are_those_written_out_with_and_without_a_cache_and_change_nothing_before_them() {
    let kinds = [
        (Normalisation::None, false, false),
        (Normalisation::Scale(0.4), true, true),
        (Normalisation::ConstantNorm, false, true),
        (Normalisation::LayerNorm, true, false),
    ];
    let (mut moved, mut still) = (0, 0);
    for (name, (normalisation, rescaled, center)) in MODELS.into_iter().zip(kinds) {
        let model = model(name);
        for kind in SiteKind::ALL {
            let site = Site { layer: 0, kind };
            let size = model.site_size(site).expect("a site");
            let sae = sae(size, normalisation, rescaled);
            let (clean, x) = plain(&*model, site, None);
            let vocab = clean.len() / IDS.len();
            let mut all: Vec<(Where, Vec<ActivationEdit>)> =
                edits(size).into_iter().map(|edits| (Where::Positions(vec![2, 8]), edits)).collect();
            all.extend(places().into_iter().map(|at| (at, vec![ActivationEdit::Scale { latent: latent(1), by: 4.0 }])));
            all.push((Where::Fires, vec![ActivationEdit::Set { latent: latent(5), value: 2.5 }]));
            let condition = |latent, above| Some(LatentAbove { latent, above });
            let mut all: Vec<Intervention> =
                all.into_iter().map(|(at, edits)| Intervention::new(site, at, edits)).collect();
            let strong = Intervention::new(site, Where::All, vec![ActivationEdit::More { latent: latent(1), by: 3.0 }]);
            all.push(Intervention { only: condition(latent(6), 0.3), ..strong.clone() });
            all.push(Intervention { until: condition(latent(6), 0.3), ..strong.clone() });
            all.push(Intervention { only: condition(latent(2), 0.1), until: condition(latent(9), 0.6), ..strong });
            for intervention in all {
                let Intervention { at, edits, only, until, .. } = &intervention;
                let holds = |condition: &Option<LatentAbove>, x: &[f64]| {
                    condition
                        .as_ref()
                        .map(|of| made(&sae, x, center).fires[of.latent.latent as usize] > f64::from(of.above))
                };
                let mut ended = false;
                let mut instead: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
                for position in 0..IDS.len() {
                    let before = instead[position * size..(position + 1) * size].to_vec();
                    ended |= position > 0 && holds(until, &before) == Some(true);
                    for edit in edits {
                        if !ended
                            && holds(only, &before) != Some(false)
                            && acts(at, edit, position, &sae, &before, center)
                        {
                            let delta = delta(edit, &sae, &before, center);
                            let row = &mut instead[position * size..(position + 1) * size];
                            row.iter_mut().zip(delta).for_each(|(x, delta)| *x += delta);
                        }
                    }
                }
                let instead: Vec<f32> = instead.into_iter().map(|x| x as f32).collect();
                let first = (0..IDS.len()).find(|at| {
                    let row = at * size..(at + 1) * size;
                    instead[row.clone()] != x[row]
                });
                let (want, _) = plain(&*model, site, Some(instead));
                let setting = Setting { sae: &|_| Some(&sae), size, center, bos: 1 };
                let compiled = intervention.compile(setting).expect("fits");
                let cancel = Cancel::new();
                let got = changed(&*model, &mut EditHook::new(compiled.clone(), &cancel), &[9]);
                let what = format!("{name}, {intervention}");
                let largest = want.iter().fold(0.0f32, |max, value| max.max(value.abs()));
                for (got, want) in got.iter().zip(&want) {
                    assert!((got - want).abs() < 1e-4 * largest, "{what}: {got}, expected {want}");
                }
                let pieces = changed(&*model, &mut EditHook::new(compiled, &cancel), &[2, 3, 8, 9]);
                assert!(pieces == got, "{what}: behind a cache");
                // Nothing before the first position that is changed, to the bit; something there.
                let unchanged = first.unwrap_or(IDS.len()) * vocab;
                assert!(got[..unchanged] == clean[..unchanged], "{what}: changes what stands before it");
                match first {
                    None => still += 1,
                    Some(first) => {
                        moved += 1;
                        let here = first * vocab..(first + 1) * vocab;
                        assert!(got[here.clone()] != clean[here], "{what}: changes nothing");
                    }
                }
            }
        }
    }
    assert!(moved > 4 * still && moved > 250, "{moved} act, {still} do not");
}

#[test]
fn a_control_is_as_large_at_every_position_and_in_one_direction() {
    let model = model("plain");
    let site = Site { layer: 1, kind: SiteKind::ResidPre };
    let (size, cancel) = (model.site_size(site).expect("a site"), Cancel::new());
    let sae = sae(size, Normalisation::None, false);
    let setting = Setting { sae: &|_| Some(&sae), size, center: false, bos: 1 };
    let x: Vec<f64> = values(6 * size, 20).into_iter().map(f64::from).collect();
    let fires = |latent: &usize| x.chunks_exact(size).filter(|x| made(&sae, x, false).fires[*latent] > 0.0).count();
    let some = (0..WIDTH).find(|latent| (2..5).contains(&fires(latent))).expect("one fires here and there");
    let one = Intervention::new(site, Where::All, vec![ActivationEdit::Ablate(latent(some as u32))]);
    let seen = |intervention: &Intervention| {
        let mut hook = EditHook::new(intervention.compile(setting).expect("fits"), &cancel);
        let x = Tensor::from_vec(values(6 * size, 20), (6, size), &Device::Cpu).expect("rows");
        hook.begin(1);
        let new = hook.visit(site, &x).expect("a visit").unwrap_or_else(|| x.clone());
        let change = (new - x).and_then(|change| change.to_vec2::<f32>()).expect("rows");
        (change, hook.fires(0).to_vec())
    };
    let norm = |row: &[f32]| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let (plain, fires) = seen(&one);
    let (control, _) = seen(&one.control(5));
    let mut directions: Vec<Vec<f64>> = Vec::new();
    for (position, (plain, control)) in plain.iter().zip(&control).enumerate() {
        assert!((norm(plain) - norm(control)).abs() < 1e-4 * norm(plain).max(1.0), "{position}");
        assert_eq!(norm(plain) > 0.0, fires.iter().any(|firing| firing.position == position + 1));
        if norm(control) > 0.0 {
            directions.push(control.iter().map(|v| f64::from(*v) / norm(control)).collect());
        }
    }
    assert!(directions.len() > 1 && directions.len() < 6, "it fires on some: {}", directions.len());
    for direction in &directions {
        let cosine: f64 = direction.iter().zip(&directions[0]).map(|(a, b)| a * b).sum();
        assert!((cosine - 1.0).abs() < 1e-4);
    }
    assert_eq!(seen(&one.control(5)).0, control);
    assert_ne!(seen(&one.control(6)).0, control);
}

#[test]
fn what_cannot_be_made_is_refused_by_name() {
    let site = Site { layer: 1, kind: SiteKind::ResidPre };
    let sae = sae(24, Normalisation::None, false);
    let of = |id: &str| (id == "s").then_some(&sae);
    let refused = |at: Where, edits: Vec<ActivationEdit>| {
        let setting = Setting { sae: &of, size: 24, center: false, bos: 0 };
        Intervention::new(site, at, edits).compile(setting).err().expect("is refused")
    };
    let all = |edit| refused(Where::All, vec![edit]);
    let short: Arc<[f32]> = vec![1.0; 23].into();
    let zero: Arc<[f32]> = vec![0.0; 24].into();
    let other = LatentId { sae: "t".to_owned(), latent: 0 };
    assert!(matches!(all(ActivationEdit::Ablate(other)), Error::NoSae(id) if id == "t"));
    assert!(matches!(all(ActivationEdit::Ablate(latent(12))), Error::Sae(_)));
    assert!(matches!(all(ActivationEdit::Set { latent: latent(0), value: f32::NAN }), Error::NotFinite { .. }));
    assert!(matches!(all(ActivationEdit::Scale { latent: latent(0), by: f32::INFINITY }), Error::NotFinite { .. }));
    let add = |direction: &Arc<[f32]>, strength| ActivationEdit::Add { direction: Arc::clone(direction), strength };
    assert!(matches!(all(add(&short, 1.0)), Error::Size { found: 23, size: 24, .. }));
    assert!(matches!(all(add(&zero, f32::NAN)), Error::NotFinite { .. }));
    let project = ActivationEdit::Project { direction: Arc::clone(&zero), coefficient: 0.0 };
    assert!(matches!(all(project), Error::Zero));
    let rows = ActivationEdit::Replace { by: PartialSettings::Rows(short), keep_mean: false };
    assert!(matches!(all(rows), Error::Size { .. }));
    let twice = vec![ActivationEdit::Reconstruct("s".to_owned()), ActivationEdit::Whole(Arc::clone(&zero))];
    assert!(matches!(refused(Where::All, twice), Error::Twice));
    assert!(matches!(refused(Where::Fires, vec![add(&zero, 1.0)]), Error::NoLatent(_)));
    let never = LatentAbove { latent: latent(0), above: f32::NAN };
    let refused = |only: Option<LatentAbove>, until: Option<LatentAbove>| {
        let setting = Setting { sae: &of, size: 24, center: false, bos: 0 };
        let all = Intervention { only, until, ..Intervention::new(site, Where::All, vec![add(&zero, 1.0)]) };
        all.compile(setting).err().expect("is refused")
    };
    assert!(matches!(refused(Some(never.clone()), None), Error::NotFinite { .. }));
    assert!(matches!(refused(None, Some(never)), Error::NotFinite { .. }));
    assert!(matches!(refused(None, Some(LatentAbove { latent: latent(99), above: 0.0 })), Error::Sae(_)));
}
