//! Whether a suite is wired as its SAEs need it: what was measured beside what was expected, and which convention fits
//! where the two differ. Not here: measuring (`examine`), and the conventions themselves (`convention`).

mod convention;
mod examine;
mod files;
mod mapping;
mod norms;
pub mod render;
mod search;

use serde::{Deserialize, Serialize};

use super::SaeTypes;

pub use convention::Convention;
pub use examine::{Diagnostics, Found, Subject};
pub use mapping::{MappedRow, MappingFigures, MappingVerdict, MappingView};

/// L0 may be this many times what is expected, or one over it: texts differ.
const L0_FACTOR: f64 = 1.5;
/// The same for the mean squared error, upwards.
const MSE_FACTOR: f64 = 2.0;
/// Explained variance and recovered loss may be this much lower than expected.
const SHARE_BELOW: f64 = 0.1;
/// Explained variance below which an SAE of which nothing is expected is not trusted.
const LEAST_VARIANCE: f64 = 0.3;
/// Recovered loss below which it is not.
const LEAST_RECOVERED: f64 = 0.5;
/// Nats that zeros must cost for recovered loss to be judged: of less, differences between texts are too large a share.
const LEAST_COST: f64 = 0.2;
/// A latent that fires on more than this share of the tokens is dense.
pub const DENSE: f64 = 0.1;
/// A convention is named only when it brings the figures this much nearer.
const NEARER: f64 = 0.5;
/// Where nothing is said of how much is explained: a convention is named when what it leaves unexplained is this much less
/// for as many latents. Those that are right come to 0.4 to 0.7 on trained SAEs, wrong ones to no less than 0.95.
const CLEARER: f64 = 0.7;
/// Explained variance that may be lost for fewer latents.
const HARDLY_LESS: f64 = 0.01;

/// What the doctor found out about a suite (the `suite` of `saescope doctor --json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkup {
    /// What was measured on: a name for a person.
    pub text: String,
    /// How many sentences, each a prompt of its own; position 0 is left out of every figure.
    pub sentences: usize,
    /// The worst of the SAEs' verdicts.
    pub verdict: Verdict,
    /// The same in one sentence.
    pub said: String,
    /// By rising width.
    pub saes: Vec<SaeCheckup>,
    /// What the catalogue marks as not checked against the files, and what came of checking it here.
    pub unverified: Vec<Finding>,
    /// Whether cross-entropies were measured.
    pub losses: bool,
}

/// What the doctor found out about one SAE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaeCheckup {
    /// Its id.
    pub id: String,
    /// How many latents it has.
    pub width: usize,
    /// In which element types it is stored and computed.
    pub dtype: SaeTypes,
    /// What is to be known of it, from how its files were read.
    pub notes: Vec<String>,
    /// As the suite is wired.
    pub measured: Figures,
    /// What its authors measured.
    pub expected: Expected,
    /// The lengths of its decoder rows.
    pub decoder_norms: Norms,
    /// What to think of the figures.
    pub verdict: Verdict,
    /// What is off.
    pub why: Vec<String>,
    /// What else speaks against the suite: the SAE's own files, the tokenizer, the first word of a prompt. It makes no
    /// verdict.
    pub contradictions: Vec<String>,
    /// The convention that fits, where the figures are off and one does.
    pub fits: Option<String>,
    /// Everything that was tried, best first; nothing where the figures are fine.
    pub trials: Vec<Trial>,
}

/// What to think of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// As expected.
    Fine,
    /// Nothing is expected, and nothing is odd.
    Plausible,
    /// Far from what is expected, or odd.
    Off,
}

/// Figures over all sentences without their position 0 (methods §2). `None` where one is not defined or was not measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// On how many tokens: fewer than there are where so many latents fire that the rest would say nothing new.
    pub tokens: usize,
    /// Mean number of latents that fire.
    pub l0: Option<f64>,
    /// Mean over tokens and dimensions of the squared error.
    pub mse: Option<f64>,
    /// 1 − Σ‖x−x̂‖² / Σ‖x−x̄‖².
    pub explained_variance: Option<f64>,
    /// Mean number of latents that fire at position 0, which is in no other figure.
    pub first_l0: Option<f64>,
    /// Latents that fire on none of the tokens.
    pub silent: usize,
    /// Latents that fire on more than a tenth of them.
    pub dense: usize,
    /// Cross-entropy in nats with the activation kept.
    pub ce_clean: Option<f64>,
    /// Replaced by its reconstruction.
    pub ce_spliced: Option<f64>,
    /// Replaced by zero.
    pub ce_zero: Option<f64>,
    /// Replaced by its mean over the tokens.
    pub ce_mean: Option<f64>,
    /// (zero − spliced) / (zero − clean).
    pub loss_recovered: Option<f64>,
    /// (mean − spliced) / (mean − clean).
    pub loss_recovered_mean: Option<f64>,
}

/// What an SAE's authors measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Mean number of latents that fire.
    pub l0: Option<f64>,
    /// Explained variance.
    pub explained_variance: Option<f64>,
    /// Mean squared error of an element.
    pub mse: Option<f64>,
    /// Recovered loss against zeros.
    pub loss_recovered: Option<f64>,
    /// Which of them nobody has checked: they are shown, and not judged by.
    pub unsure: Vec<String>,
}

/// Lengths of decoder rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Norms {
    /// Of how many rows: evenly spaced ones of a dictionary that is too large to be read through.
    pub rows: usize,
    /// The shortest.
    pub min: f64,
    /// The middle one.
    pub median: f64,
    /// The longest.
    pub max: f64,
    /// How many are zero: their latents do nothing.
    pub zero: usize,
}

/// One convention changed, everything else as the suite has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its name in JSON: `center`, `bos`, `b_dec`, `threshold`, …
    pub convention: String,
    /// What was changed: `activations centred`.
    pub said: String,
    /// What to change where it fits.
    pub remedy: String,
    /// What was measured then.
    pub measured: Figures,
    /// How far the figures are from those expected; 2 is at the edge of what is called fine.
    pub distance: f64,
    /// Whether they are fine.
    pub fits: bool,
}

/// What came of checking something that the catalogue marks as unverified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `the model`, or an SAE's id.
    pub of: String,
    /// The mark.
    pub key: String,
    /// Whether it holds; none where it is not known here.
    pub holds: Option<bool>,
    /// What was seen.
    pub said: String,
}

impl Figures {
    /// Recovered loss, where there is enough of it to be distinguished from chance.
    fn telling_loss(&self) -> Option<f64> {
        let cost = self.ce_zero? - self.ce_clean?;
        self.loss_recovered.filter(|_| cost > LEAST_COST)
    }

    /// The same without what is known of cross-entropies, which is not measured again for each convention.
    fn without_losses(&self) -> Self {
        let Self { tokens, l0, mse, explained_variance, first_l0, silent, dense, .. } = *self;
        Self { tokens, l0, mse, explained_variance, first_l0, silent, dense, ..Self::default() }
    }
}

impl Expected {
    /// What figures are judged by: what is not sure is left out.
    fn sure(&self) -> Self {
        let sure = |name: &str, value: Option<f64>| value.filter(|_| !self.unsure.iter().any(|unsure| unsure == name));
        Self {
            l0: sure("l0", self.l0),
            explained_variance: sure("explained_variance", self.explained_variance),
            mse: sure("mse", self.mse),
            loss_recovered: sure("loss_recovered", self.loss_recovered),
            unsure: Vec::new(),
        }
    }

    /// Whether it says how well activations are reconstructed.
    const fn says_how_well(&self) -> bool {
        self.explained_variance.is_some() || self.mse.is_some()
    }

    const fn is_empty(&self) -> bool {
        self.l0.is_none() && self.explained_variance.is_none() && self.mse.is_none() && self.loss_recovered.is_none()
    }
}

/// What to think of figures, and what is off. `d_in`: the length of an activation.
#[must_use]
pub fn judge(measured: &Figures, expected: &Expected, d_in: usize, width: usize) -> (Verdict, Vec<String>) {
    let expected = expected.sure();
    let mut why = Vec::new();
    match (measured.l0, expected.l0) {
        (Some(l0), Some(wanted)) if !within(l0, wanted, L0_FACTOR) => {
            why.push(format!("L0 is {}, expected {}", short(l0), short(wanted)));
        }
        (Some(l0), None) if l0 < 0.5 => why.push(format!("L0 is {}: hardly anything fires", short(l0))),
        (Some(l0), None) if l0 > d_in.max(width / 10) as f64 => {
            why.push(format!("L0 is {} of {width} latents: nothing sparse about it", short(l0)));
        }
        _ => {}
    }
    match (measured.explained_variance, expected.explained_variance) {
        (Some(ev), Some(wanted)) if ev < wanted - SHARE_BELOW => {
            why.push(format!("explained variance is {}, expected {}", share(ev), share(wanted)));
        }
        (Some(ev), None) if ev < LEAST_VARIANCE => why.push(format!("explained variance is {}", share(ev))),
        _ => {}
    }
    if let (Some(mse), Some(wanted)) = (measured.mse, expected.mse)
        && mse > wanted * MSE_FACTOR
    {
        why.push(format!("MSE is {}, expected {}", short(mse), short(wanted)));
    }
    match (measured.telling_loss(), expected.loss_recovered) {
        (Some(loss), Some(wanted)) if loss < wanted - SHARE_BELOW => {
            why.push(format!("loss recovered is {}, expected {}", share(loss), share(wanted)));
        }
        (Some(loss), None) if loss < LEAST_RECOVERED => why.push(format!("loss recovered is {}", share(loss))),
        _ => {}
    }
    let verdict = match (why.is_empty(), expected.is_empty()) {
        (false, _) => Verdict::Off,
        (true, true) => Verdict::Plausible,
        (true, false) => Verdict::Fine,
    };
    (verdict, why)
}

/// How far figures are from those expected: L0 and explained variance each count 1 at the edge of what is fine and 10 at
/// most. Where no variance is expected, the more is explained the better.
#[must_use]
pub fn distance(measured: &Figures, expected: &Expected) -> f64 {
    let expected = expected.sure();
    let l0 = expected.l0.map_or(0.0, |wanted| {
        let found = measured.l0.unwrap_or_default();
        if found > 0.0 && wanted > 0.0 { (found / wanted).ln().abs() / L0_FACTOR.ln() } else { f64::INFINITY }
    });
    let found = measured.explained_variance.unwrap_or(f64::NEG_INFINITY);
    let variance = match expected.explained_variance {
        Some(wanted) if found < wanted => (wanted - found) / SHARE_BELOW,
        // More than expected is a smaller surprise than less.
        Some(wanted) => (found - wanted) / SHARE_BELOW / 4.0,
        None => (1.0 - found) / LEAST_VARIANCE,
    };
    l0.min(10.0) + variance.min(10.0)
}

/// Whether figures are clearly better than those of another wiring, however many latents each has: what is left
/// unexplained falls about with the square root of L0, so that their product is alike for all thresholds of one SAE.
fn is_clearer(found: &Figures, before: &Figures) -> bool {
    let of = |figures: &Figures| figures.l0.zip(figures.explained_variance);
    let (Some((l0, variance)), Some((l0_before, variance_before))) = (of(found), of(before)) else { return false };
    let left = |l0: f64, variance: f64| (1.0 - variance) * l0.sqrt();
    variance >= variance_before - HARDLY_LESS && left(l0, variance) <= CLEARER * left(l0_before, variance_before)
}

/// A trial and what was changed for it.
#[derive(Clone)]
struct Attempt {
    trial: Trial,
    changed: Vec<Convention>,
}

impl Attempt {
    fn forces_l0(&self) -> bool {
        self.changed.iter().any(Convention::forces_l0)
    }
}

/// Sorts attempts by how well they fit, those that force L0 behind the others; whether the first may be named: fine, and
/// clearly nearer than what is so far away.
fn rank(attempts: &mut [Attempt], so_far: f64) -> bool {
    attempts.sort_by(|a, b| {
        let order = |one: &Attempt| (!one.trial.fits, one.forces_l0());
        order(a).cmp(&order(b)).then(a.trial.distance.total_cmp(&b.trial.distance))
    });
    attempts.first().is_some_and(|best| best.trial.fits && best.trial.distance <= so_far * NEARER)
}

fn within(found: f64, wanted: f64, factor: f64) -> bool {
    found <= wanted * factor && found * factor >= wanted
}

/// A number with three digits that count.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.0995 || value == 0.0 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}

/// A share as explained variance and recovered loss are said.
#[must_use]
pub fn share(value: f64) -> String {
    if value > -10.0 { format!("{value:.2}") } else { short(value) }
}

impl Norms {
    /// Whether all rows have length 1, as training leaves them; bf16 keeps three digits of them.
    #[must_use]
    pub fn is_unit(&self) -> bool {
        self.min > 0.99 && self.max < 1.01
    }
}

impl Checkup {
    /// A checkup of SAEs that were examined, with its verdict.
    #[must_use]
    pub fn of(text: String, sentences: usize, saes: Vec<SaeCheckup>, unverified: Vec<Finding>, losses: bool) -> Self {
        let verdict = saes.iter().map(|sae| sae.verdict).max().unwrap_or(Verdict::Plausible);
        let off: Vec<&SaeCheckup> = saes.iter().filter(|sae| sae.verdict == Verdict::Off).collect();
        let said = match (verdict, off.iter().find_map(|sae| sae.fits.as_ref())) {
            (Verdict::Fine, _) => "the figures are those expected".to_owned(),
            (Verdict::Plausible, _) => "no figures are expected; those measured are plausible".to_owned(),
            (Verdict::Off, Some(remedy)) => format!("the figures fit when {remedy}"),
            (Verdict::Off, None) if off.iter().any(|sae| !sae.trials.is_empty()) => {
                "the figures are off, and no convention explains it, alone or with another".to_owned()
            }
            (Verdict::Off, None) => {
                let why = off.first().map(|sae| sae.why.join(", ")).unwrap_or_default();
                format!("{why}; all other figures are right, so it is not a known convention")
            }
        };
        Self { text, sentences, verdict, said, saes, unverified, losses }
    }

    /// What was found out about an SAE.
    #[must_use]
    pub fn of_sae(&self, id: &str) -> Option<&SaeCheckup> {
        self.saes.iter().find(|sae| sae.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(l0: f64, variance: f64) -> Figures {
        Figures { tokens: 100, l0: Some(l0), explained_variance: Some(variance), ..Figures::default() }
    }

    fn expected(l0: f64, variance: f64) -> Expected {
        Expected { l0: Some(l0), explained_variance: Some(variance), ..Expected::default() }
    }

    fn attempt(changed: Convention, distance: f64, fits: bool) -> Attempt {
        let (convention, said, remedy) = (changed.name().to_owned(), changed.said(), changed.remedy());
        let trial = Trial { convention, said, remedy, measured: Figures::default(), distance, fits };
        Attempt { trial, changed: vec![changed] }
    }

    #[test]
    fn a_verdict_follows_what_is_expected_and_else_what_is_plausible() {
        let verdict = |measured: &Figures, expected: &Expected| judge(measured, expected, 768, 1536).0;
        assert_eq!(verdict(&figures(40.0, 0.6), &expected(36.0, 0.61)), Verdict::Fine);
        assert_eq!(verdict(&figures(400.0, 0.6), &expected(36.0, 0.61)), Verdict::Off);
        assert_eq!(verdict(&figures(36.0, 0.4), &expected(36.0, 0.61)), Verdict::Off);
        assert_eq!(verdict(&figures(36.0, 0.9), &expected(36.0, 0.61)), Verdict::Fine);
        assert_eq!(verdict(&figures(40.0, 0.6), &Expected::default()), Verdict::Plausible);
        for odd in [figures(0.1, 0.6), figures(1000.0, 0.6), figures(40.0, -3.0)] {
            assert_eq!(verdict(&odd, &Expected::default()), Verdict::Off);
        }
        let loss = |zero: f64, recovered: f64| Figures {
            ce_clean: Some(3.0),
            ce_zero: Some(3.0 + zero),
            loss_recovered: Some(recovered),
            ..figures(40.0, 0.6)
        };
        let wanted = Expected { loss_recovered: Some(0.95), ..expected(40.0, 0.6) };
        assert_eq!(verdict(&loss(4.0, 0.9), &wanted), Verdict::Fine);
        assert_eq!(verdict(&loss(4.0, 0.8), &wanted), Verdict::Off);
        assert_eq!(verdict(&loss(0.1, 0.8), &wanted), Verdict::Fine, "zeros cost next to nothing");
        let unsure = Expected { unsure: vec!["explained_variance".to_owned()], ..expected(17.0, -7.5) };
        assert_eq!(verdict(&figures(17.0, 0.8), &unsure), Verdict::Fine);
        assert_eq!(verdict(&figures(17.0, -7.5), &unsure), Verdict::Off, "what nobody checked excuses nothing");
    }

    #[test]
    fn distance_is_least_at_what_is_expected_and_never_without_end() {
        let wanted = expected(36.0, 0.61);
        assert!(distance(&figures(36.0, 0.61), &wanted) < 1e-9);
        assert!(distance(&figures(54.0, 0.51), &wanted) - 2.0 < 1e-9);
        let worst = [figures(0.0, -1e9), figures(1e9, f64::NEG_INFINITY), Figures::default()];
        assert!(worst.iter().all(|figures| (distance(figures, &wanted) - 20.0).abs() < 1e-9));
    }

    #[test]
    fn a_convention_is_named_only_when_it_fits_and_is_clearly_nearer() {
        let name = |attempts: &[&Attempt], stored: f64| {
            let mut attempts: Vec<Attempt> = attempts.iter().map(|one| (*one).clone()).collect();
            rank(&mut attempts, stored).then(|| attempts[0].trial.convention.clone())
        };
        let fits = attempt(Convention::Center(true), 0.3, true);
        let nearer = attempt(Convention::BDec(true), 0.1, false);
        let forced = attempt(Convention::TopK(7), 0.0, true);
        assert_eq!(name(&[&nearer, &forced, &fits], 8.0).as_deref(), Some("center"));
        assert_eq!(name(&[&nearer, &forced], 8.0).as_deref(), Some("top_k"));
        assert_eq!(name(&[&nearer], 8.0), None);
        assert_eq!(name(&[&fits], 0.5), None);
        assert_eq!(name(&[], 8.0), None);
    }

    #[test]
    fn figures_are_clearer_when_more_is_explained_by_as_many_latents() {
        // One SAE at other thresholds; then with b_dec, at its site, and with nothing left to fire.
        let right = figures(13.3, 0.876);
        for (l0, variance) in [(2.5, 0.581), (10.0, 0.843), (15.6, 0.884), (38.7, 0.906)] {
            assert!(!is_clearer(&figures(l0, variance), &right), "{l0}");
        }
        for (l0, variance) in [(12.5, 0.787), (9.6, 0.741), (25.9, 0.765)] {
            assert!(is_clearer(&right, &figures(l0, variance)), "{l0}");
        }
        assert!(!is_clearer(&figures(0.01, 0.0), &right));
        assert!(!is_clearer(&Figures::default(), &right) && !is_clearer(&right, &Figures::default()));
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let said = [35.94, 412.4, 7.0, 0.61, 0.0, 0.0123, 99.96].map(short);
        assert_eq!(said, ["35.9", "412", "7.00", "0.61", "0.00", "0.0123", "100"]);
        assert_eq!([0.612, -7.554, -125.2].map(share), ["0.61", "-7.55", "-125"]);
    }
}
