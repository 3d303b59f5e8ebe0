//! Whether activations that somebody published are those of the open SAE: where they peak, how they go together, and by
//! which factor they differ. Not here: running the published tokens.

use serde::Serialize;

/// Rows that must peak on the same token, and how well they must go together, to be of the same SAE.
const SAME_PEAKS: f64 = 0.8;
const SAME_CORRELATION: f64 = 0.95;
/// By how much the published values may be larger or smaller, and how many more or fewer tokens may fire.
const SAME_SCALE: f64 = 1.1;
const SAME_FIRES: f64 = 1.5;
/// The same for an SAE of the same directions.
const ALIKE_PEAKS: f64 = 0.6;
const ALIKE_CORRELATION: f64 = 0.7;

/// One latent's activations on the tokens of a row: as published, as computed here, and as computed here with the other
/// convention of a beginning-of-sequence token. The token that begins the sequence is in none of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MappedRow {
    /// The latent.
    pub latent: u32,
    /// As published.
    pub published: Vec<f32>,
    /// As the suite has it.
    pub here: Vec<f32>,
    /// With a beginning-of-sequence token where the suite has none, or without; empty where the tokenizer has none.
    pub otherwise: Vec<f32>,
}

/// How activations that were published compare with those that are computed here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MappingFigures {
    /// The share of rows that peak on the same token.
    pub argmax: f64,
    /// The median correlation over a row's tokens.
    pub correlation: f64,
    /// The median factor by which what is computed here is larger.
    pub scale: f64,
    /// Tokens that fire here for each that fires as published.
    pub fires: f64,
}

/// What published activations are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MappingVerdict {
    /// This SAE.
    Same,
    /// This SAE, run with the other convention of a beginning-of-sequence token.
    Bos,
    /// An SAE with the same directions and another threshold or scale: another L0 of it, or another norm factor.
    Variant,
    /// Another SAE.
    Other,
}

/// Whether the SAE's source on Neuronpedia is of the same SAE (an entry of `mapping` of `saescope doctor --json`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MappingView {
    /// The SAE's id.
    pub sae: String,
    /// Its source, `model/source`.
    pub source: String,
    /// Rows that were compared.
    pub rows: usize,
    /// Rows with tokens that the tokenizer does not have, which were left out.
    pub left_out: usize,
    /// As the suite has it.
    pub figures: MappingFigures,
    /// With the other convention of a beginning-of-sequence token.
    pub otherwise: Option<MappingFigures>,
    /// What they are of; none where there is nothing to compare.
    pub verdict: Option<MappingVerdict>,
    /// The same in one sentence.
    pub said: String,
}

impl MappingFigures {
    /// Over some rows of published values and values that were computed.
    #[must_use]
    pub fn of<'a>(rows: impl Iterator<Item = (&'a [f32], &'a [f32])>) -> Option<Self> {
        let (mut peaks, mut correlations, mut scales) = (0, Vec::new(), Vec::new());
        let mut fires = [0_u64; 2];
        for (published, here) in rows {
            peaks += usize::from(peak(published) == peak(here));
            correlations.push(correlation(published, here));
            let product: f64 = published.iter().zip(here).map(|(p, h)| f64::from(*p) * f64::from(*h)).sum();
            let square: f64 = published.iter().map(|p| f64::from(*p).powi(2)).sum();
            scales.push(product / square.max(f64::MIN_POSITIVE));
            for (count, values) in fires.iter_mut().zip([published, here]) {
                *count += values.iter().filter(|value| **value > 0.0).count() as u64;
            }
        }
        (!scales.is_empty()).then(|| Self {
            argmax: peaks as f64 / scales.len() as f64,
            correlation: median(&mut correlations),
            scale: median(&mut scales),
            fires: fires[1] as f64 / fires[0].max(1) as f64,
        })
    }

    fn is_same(&self) -> bool {
        let within = |value: f64, most: f64| value <= most && value * most >= 1.0;
        self.argmax >= SAME_PEAKS
            && self.correlation >= SAME_CORRELATION
            && within(self.scale, SAME_SCALE)
            && within(self.fires, SAME_FIRES)
    }

    fn is_alike(&self) -> bool {
        self.argmax >= ALIKE_PEAKS && self.correlation >= ALIKE_CORRELATION
    }
}

impl MappingView {
    /// Compares rows of the SAE's source; those that never fire as published say nothing.
    #[must_use]
    pub fn of(sae: &str, source: &str, rows: &[MappedRow], left_out: usize) -> Self {
        let rows: Vec<&MappedRow> = rows.iter().filter(|row| row.published.iter().any(|value| *value > 0.0)).collect();
        let figures = MappingFigures::of(rows.iter().map(|row| (&row.published[..], &row.here[..])));
        let both = rows.iter().filter(|row| row.otherwise.len() == row.published.len());
        let otherwise = MappingFigures::of(both.map(|row| (&row.published[..], &row.otherwise[..])));
        let verdict = figures.map(|figures| {
            if figures.is_same() {
                MappingVerdict::Same
            } else if otherwise.is_some_and(|otherwise| otherwise.is_same()) {
                MappingVerdict::Bos
            } else if figures.is_alike() {
                MappingVerdict::Variant
            } else {
                MappingVerdict::Other
            }
        });
        let figures = figures.unwrap_or_default();
        let said = match verdict {
            None => format!("no published row of `{source}` can be compared"),
            Some(MappingVerdict::Same) => format!("`{source}` is of this SAE"),
            Some(MappingVerdict::Bos) => {
                format!("`{source}` is of this SAE with the other beginning of a text: `prepend_bos` of one is wrong")
            }
            Some(MappingVerdict::Variant) => format!(
                "`{source}` is of an SAE with the same directions and another threshold or scale (here {:.2} times as \
                 strong, on {:.2} times as many tokens): another L0, or a norm factor",
                figures.scale, figures.fires
            ),
            Some(MappingVerdict::Other) => format!("`{source}` is of another SAE: its rows peak elsewhere"),
        };
        let (sae, source) = (sae.to_owned(), source.to_owned());
        Self { sae, source, rows: rows.len(), left_out, figures, otherwise, verdict, said }
    }

    /// Whether labels and examples of the source are of another SAE, or numbers of another run.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        !matches!(self.verdict, None | Some(MappingVerdict::Same))
    }
}

/// The first of the largest values.
fn peak(values: &[f32]) -> Option<usize> {
    let most = values.iter().copied().fold(0.0, f32::max);
    values.iter().position(|value| *value == most && most > 0.0)
}

/// Pearson's; 0 where one of them does not vary.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let mean = |values: &[f32]| values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len().max(1) as f64;
    let (of_a, of_b) = (mean(a), mean(b));
    let (mut both, mut squares) = (0.0, [0.0, 0.0]);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a) - of_a, f64::from(*b) - of_b);
        both += a * b;
        squares = [squares[0] + a * a, squares[1] + b * b];
    }
    let product = squares[0] * squares[1];
    if product > 0.0 { both / product.sqrt() } else { 0.0 }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_their_definitions() {
        let rows: [(&[f32], &[f32]); 2] = [(&[0.0, 2.0, 4.0], &[0.0, 1.0, 2.0]), (&[1.0, 0.0, 2.0], &[3.0, 0.0, 1.0])];
        let figures = MappingFigures::of(rows.into_iter()).expect("there are rows");
        // The second row by hand: means 1 and 4/3, deviations (0, −1, 1) and (5/3, −4/3, −1/3).
        let second = 1.0 / (2.0_f64 * (25.0 + 16.0 + 1.0) / 9.0).sqrt();
        assert!((figures.correlation - f64::midpoint(1.0, second)).abs() < 1e-12, "{figures:?}");
        assert_eq!((figures.argmax, figures.scale, figures.fires), (0.5, f64::midpoint(0.5, 1.0), 1.0));
        assert_eq!(MappingFigures::of(std::iter::empty()), None);
    }

    #[test]
    fn faults_are_told_apart() {
        // Rows with a strong peak and a weaker place, by a fixed rule.
        let row = |number: usize| {
            let mut values = vec![0.0_f32; 16];
            values[number % 16] = 10.0 + number as f32;
            values[(number * 5 + 3) % 16] += 3.0;
            values[(number * 7 + 6) % 16] += 0.5;
            values
        };
        let verdict = |change: &dyn Fn(usize, &[f32]) -> Vec<f32>, otherwise: &dyn Fn(&[f32]) -> Vec<f32>| {
            let rows: Vec<MappedRow> = (0..10)
                .map(|number| {
                    let here = row(number);
                    let (published, otherwise) = (change(number, &here), otherwise(&here));
                    MappedRow { latent: number as u32, published, here, otherwise }
                })
                .collect();
            MappingView::of("1", "m/s", &rows, 0)
        };
        let weaker = |values: &[f32]| values.iter().map(|value| value * 0.6).collect::<Vec<f32>>();
        let same = verdict(&|_, values| values.to_vec(), &weaker);
        assert!(same.verdict == Some(MappingVerdict::Same) && !same.is_off(), "{same:?}");
        assert_eq!(verdict(&|_, values| weaker(values), &weaker).verdict, Some(MappingVerdict::Bos));
        // Half as strong, and not the half that another beginning gives; or silent where it fires weakly.
        let half = verdict(&|_, values| values.iter().map(|value| value * 0.5).collect(), &weaker);
        assert!(half.verdict == Some(MappingVerdict::Variant) && half.said.contains("2.00 times"), "{half:?}");
        let strict = |_: usize, values: &[f32]| values.iter().map(|v| if *v > 4.0 { *v } else { 0.0 }).collect();
        assert_eq!(verdict(&strict, &weaker).verdict, Some(MappingVerdict::Variant));
        let other = verdict(&|number, _| row(number * 3 + 7), &weaker);
        assert!(other.verdict == Some(MappingVerdict::Other) && other.is_off(), "{other:?}");
        assert_eq!(MappingView::of("1", "m/s", &[MappedRow::default()], 2).verdict, None);
    }
}
