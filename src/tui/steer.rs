//! Latents changed while the model writes: what is changed and how, and what is asked about it.
//! Not here: drawing it, and writing.

use crate::analysis::intervention::{LatentId, Where};
use crate::session::{SteerChange, SteerEdit, SteerQuery, SteerTarget, StrengthUnit, Sweep};
use crate::tui::ask::Ask;
use crate::tui::location::LatentRef;

/// Tokens that are written, by choice.
const LENGTHS: [usize; 4] = [16, 32, 64, 128];
/// Temperatures, by choice.
const TEMPERATURES: [f64; 3] = [0.0, 0.7, 1.0];
/// The likeliest tokens that are wanted in the place of each new one.
const CANDIDATES: usize = 8;
/// Strengths of a sweep.
const STRENGTHS: usize = 9;

/// What is steered, and what the model wrote.
#[derive(Debug, Default)]
pub struct Steer {
    /// What is changed.
    pub edits: Vec<ChosenEdit>,
    /// The edit that keys change.
    pub row: usize,
    /// Where.
    pub place: Place,
    /// Which of the lengths.
    length: usize,
    /// Which of the temperatures.
    warmth: usize,
    /// Of the random direction and of chance.
    pub seed: u64,
    /// Whether other strengths are written too.
    pub sweep: bool,
    /// The chosen token of the steered text, and which of those that could stand there: 0 the one that does.
    pub at: Option<(usize, usize)>,
    /// What was asked and answered, by runs of the prompt.
    pub asked: Ask<SteerQuery, u64>,
}

/// A latent that is changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ChosenEdit {
    /// The latent.
    pub latent: LatentRef,
    /// How.
    pub change: SteerChange,
    /// By how much one key makes an activation stronger.
    pub step: f32,
}

/// Where latents are changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// At all positions.
    #[default]
    All,
    /// Where each fires.
    Fires,
    /// At the chosen token of the prompt.
    Token,
}

impl ChosenEdit {
    /// A latent that is taken out; `most` is how strongly it fires at most in the prompt.
    #[must_use]
    pub fn off(latent: LatentRef, most: f32) -> Self {
        let step = if most > 0.0 { most / 4.0 } else { 1.0 };
        Self { latent, change: SteerChange::Ablate, step }
    }

    /// Stronger, or weaker, by so many steps; what is out fires again, as strongly as it did at most.
    pub fn by(&mut self, steps: f32) {
        self.change = match self.change {
            SteerChange::Ablate => SteerChange::Set(self.step * (4.0 + steps)),
            SteerChange::Set(value) => SteerChange::Set(value + steps * self.step),
            SteerChange::Add(value) => SteerChange::Add(value + steps * self.step),
            SteerChange::Scale(factor) => SteerChange::Scale(factor + steps * 0.5),
            SteerChange::Project(factor) => SteerChange::Project(factor + steps * 0.5),
        };
    }

    /// The next kind of change: off, set, scaled, added, projected.
    pub fn next_kind(&mut self) {
        self.change = match self.change {
            SteerChange::Ablate => SteerChange::Set(self.step * 4.0),
            SteerChange::Set(_) => SteerChange::Scale(2.0),
            SteerChange::Scale(_) => SteerChange::Add(self.step * 4.0),
            SteerChange::Add(_) => SteerChange::Project(0.0),
            SteerChange::Project(_) => SteerChange::Ablate,
        };
    }
}

impl Steer {
    /// Tokens that are written.
    #[must_use]
    pub fn tokens(&self) -> usize {
        LENGTHS[(self.length + 1) % LENGTHS.len()]
    }

    /// 0 takes the likeliest token.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        TEMPERATURES[self.warmth % TEMPERATURES.len()]
    }

    /// Another number of tokens.
    pub fn lengthen(&mut self) {
        self.length = (self.length + 1) % LENGTHS.len();
    }

    /// Another temperature.
    pub fn warm(&mut self) {
        self.warmth = (self.warmth + 1) % TEMPERATURES.len();
    }

    /// The edit that keys change.
    pub fn chosen(&mut self) -> Option<&mut ChosenEdit> {
        self.row = self.row.min(self.edits.len().saturating_sub(1));
        self.edits.get_mut(self.row)
    }

    /// The question about a prompt and its chosen token; none where nothing is changed.
    #[must_use]
    pub fn query(&self, prompt: &str, token: usize) -> Option<SteerQuery> {
        if self.edits.is_empty() {
            return None;
        }
        let edit = |edit: &ChosenEdit| {
            let LatentRef { sae, latent } = edit.latent.clone();
            SteerEdit { target: SteerTarget::Latent(LatentId { sae, latent }), change: edit.change }
        };
        Some(SteerQuery {
            prompt: prompt.to_owned(),
            edits: self.edits.iter().map(edit).collect(),
            unit: StrengthUnit::Raw,
            at: match self.place {
                Place::All => Where::All,
                Place::Fires => Where::Fires,
                Place::Token => Where::Positions(vec![token]),
            },
            only: None,
            until: None,
            sweep: self.swept().filter(|_| self.sweep),
            tokens: self.tokens(),
            candidates: CANDIDATES,
            temperature: self.temperature(),
            seed: self.seed,
            index: None,
        })
    }

    /// From nothing to twice the strength, where exactly one edit has one.
    #[must_use]
    pub fn swept(&self) -> Option<Sweep> {
        let mut strong = self.edits.iter().filter(|edit| edit.change.strength().is_some());
        let (edit, None) = (strong.next()?, strong.next()) else { return None };
        let from = if edit.change.is_amount() { 0.0 } else { 1.0 };
        let now = edit.change.strength().unwrap_or(0.0);
        let far = edit.step * 8.0;
        let to = match edit.change.is_amount() {
            true if now == 0.0 => far,
            true => 2.0 * now,
            false if now == 1.0 => 3.0,
            false => 1.0 + 2.0 * (now - 1.0),
        };
        Some(Sweep { from, to, count: STRENGTHS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_begin_where_the_latent_fires_most_and_a_sweep_needs_one() {
        let latent = LatentRef { sae: "512".to_owned(), latent: 7 };
        let mut steer = Steer::default();
        assert!(steer.query("p", 0).is_none() && steer.swept().is_none());
        steer.edits.push(ChosenEdit::off(latent.clone(), 8.0));
        assert!(steer.swept().is_none(), "what is off has no strength");
        steer.edits[0].by(1.0);
        assert_eq!(steer.edits[0].change, SteerChange::Set(10.0));
        steer.edits[0].by(-2.0);
        assert_eq!(steer.edits[0].change, SteerChange::Set(6.0));
        assert_eq!(steer.swept(), Some(Sweep { from: 0.0, to: 12.0, count: STRENGTHS }));
        let kinds = std::iter::repeat_with(|| {
            steer.edits[0].next_kind();
            steer.edits[0].change
        });
        let kinds: Vec<SteerChange> = kinds.take(4).collect();
        let expected = [SteerChange::Scale(2.0), SteerChange::Add(8.0), SteerChange::Project(0.0), SteerChange::Ablate];
        assert_eq!(kinds, expected);
    }
}
