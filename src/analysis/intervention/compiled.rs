//! An intervention with everything that it names found and checked, and what it makes of one activation.
//! Not here: finding and checking (`compiling`), and passes of a model (`hook`).

mod compiling;

use std::borrow::Cow;
use std::sync::Arc;

use super::{Combination, PartialSettings};
use crate::analysis::live;
use crate::sae::{self, Codes, Sae};
use crate::site::Site;
use crate::task::Cancel;

/// Why an intervention cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An SAE that is not there.
    #[error("there is no SAE `{0}`")]
    NoSae(String),
    /// A direction, row or activation of another size.
    #[error("{what} has {found} values, and the activation at {site} has {size}")]
    Size {
        /// What it is of.
        what: &'static str,
        /// How many values it has.
        found: usize,
        /// Where.
        site: Site,
        /// How many it must have.
        size: usize,
    },
    /// A number that is not finite.
    #[error("{what} is not finite")]
    NotFinite {
        /// Of what.
        what: &'static str,
    },
    /// A direction without one.
    #[error("the direction is zero: there is nothing to project on")]
    Zero,
    /// Two edits that each put something in the activation's place.
    #[error("two edits replace the whole activation")]
    Twice,
    /// Positions where a latent fires, for an edit that has none.
    #[error("`{0}` is about no latent, so there are no positions where its latent fires")]
    NoLatent(String),
    /// An SAE cannot be used.
    #[error(transparent)]
    Sae(#[from] sae::Error),
}

/// What interventions are made in.
#[derive(Clone, Copy)]
pub struct Setting<'f, 'a> {
    /// The SAEs by their ids.
    pub sae: &'f dyn Fn(&str) -> Option<&'a Sae>,
    /// The size of the activation.
    pub size: usize,
    /// Whether SAEs see activations without their mean.
    pub center: bool,
    /// How many positions in front hold a beginning-of-sequence token.
    pub bos: usize,
}

/// What an SAE makes of the unedited activation of one position.
#[derive(Clone, Copy)]
pub struct Unedited<'a> {
    /// What fires.
    pub codes: &'a Codes,
    /// The row of the codes.
    pub row: usize,
    /// The reconstruction as the SAE gives it, \[size\]; empty where no edit reads it.
    pub reconstruction: &'a [f32],
}

/// An intervention ready to be made.
#[derive(Clone)]
pub struct Compiled<'a> {
    pub(super) site: Site,
    size: usize,
    pub(super) center: bool,
    at: Positions,
    spared: usize,
    pub(super) saes: Vec<Used<'a>>,
    edits: Vec<Ready<'a>>,
    only: Option<Holds>,
    until: Option<Holds>,
    /// The direction of a control, of length 1.
    control: Option<Vec<f32>>,
}

/// An SAE whose latents or reconstruction are read.
#[derive(Clone)]
pub(super) struct Used<'a> {
    pub(super) sae: &'a Sae,
    pub(super) decoded: bool,
    /// The latents that are read, by rising index.
    pub(super) latents: Vec<u32>,
}

/// A place among the SAEs, a latent, and what it must exceed.
#[derive(Clone, Copy)]
struct Holds(usize, u32, f32);

#[derive(Clone, Debug)]
enum Positions {
    All,
    Fires,
    /// Rising.
    These(Vec<usize>),
    From(usize),
}

/// What is read of the unedited activation: how strongly a latent, or several together, fire.
#[derive(Clone)]
struct Reading {
    /// The SAE's place among those that are used.
    sae: usize,
    of: Reads,
    /// What it is multiplied by before the row is added, beside the scale of the position.
    gain: f32,
}

#[derive(Clone)]
enum Reads {
    Latent(u32),
    Combination(Arc<Combination>),
}

#[derive(Clone)]
enum Ready<'a> {
    Latent {
        reads: Reading,
        row: Cow<'a, [f32]>,
        amount: Amount,
    },
    Add(Arc<[f32]>, f32),
    Project {
        /// A direction of length 1.
        unit: Vec<f64>,
        /// By how much x's part along it changes.
        change: f64,
        reads: Option<Reading>,
    },
    Reconstruct(usize),
    Replace {
        by: PartialSettings,
        keep_mean: bool,
    },
}

/// How much of its row a latent adds.
#[derive(Clone, Copy, Debug)]
enum Amount {
    /// As much as it fires.
    Fires,
    /// What it lacks to this activation.
    To(f32),
    /// So many times what it contributes.
    Times(f32),
    /// This activation.
    More(f32),
    /// What it lacks to this contribution, in the model's units.
    Contribute(f32),
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

impl<'a> Compiled<'a> {
    /// The SAEs whose latents or reconstructions it reads, in the order in which [`Compiled::edit`] takes them.
    pub fn saes(&self) -> impl Iterator<Item = &'a Sae> + '_ {
        self.saes.iter().map(|used| used.sae)
    }

    /// The size of the activation.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether it may change anything at a position, as far as that can be told without an activation.
    #[must_use]
    pub fn reaches(&self, position: usize) -> bool {
        match &self.at {
            Positions::These(these) => these.binary_search(&position).is_ok(),
            Positions::From(first) => position >= *first.max(&self.spared),
            Positions::All | Positions::Fires => position >= self.spared,
        }
    }

    /// Whether the activation of a position is to be read: it may be changed, or may end all changes.
    #[must_use]
    pub fn looks_at(&self, position: usize) -> bool {
        self.reaches(position) || (self.until.is_some() && position >= self.spared)
    }

    /// Whether from this position on nothing is to be done any more, by what its SAEs make of the unedited activation.
    #[must_use]
    pub fn ends(&self, unedited: &[Unedited<'_>]) -> bool {
        self.until.is_some_and(|until| until.by(unedited))
    }

    /// What each of [`Compiled::saes`] makes of activations, \[rows, size\]: the latents that are read, and the
    /// reconstructions where an edit needs them.
    pub(super) fn read(&self, rows: &[f32], cancel: &Cancel) -> Result<Vec<(Codes, Vec<f32>)>, sae::Error> {
        let of = |used: &Used<'_>| self.read_by(used.sae, (&used.latents, used.decoded), rows, cancel);
        self.saes.iter().map(of).collect()
    }

    /// What one SAE makes of activations, \[rows, size\]: these latents, and its reconstructions where those are wanted.
    pub(super) fn read_by(
        &self,
        sae: &Sae,
        (latents, decoded): (&[u32], bool),
        rows: &[f32],
        cancel: &Cancel,
    ) -> Result<(Codes, Vec<f32>), sae::Error> {
        let mut seen = rows.to_vec();
        if self.center {
            seen.chunks_exact_mut(self.size.max(1)).for_each(live::center);
        }
        if !decoded {
            return Ok((sae.encode_some(&seen, latents, cancel)?, Vec::new()));
        }
        let codes = sae.encode(&seen, cancel)?;
        let decoded = sae.decode(&codes)?;
        Ok((codes, decoded))
    }

    /// What is read of an SAE, where it is.
    pub(super) fn used(&self, sae: &Sae) -> Option<&Used<'a>> {
        self.saes.iter().find(|used| std::ptr::eq(used.sae, sae))
    }

    /// Edits the activation of a position, \[size\], in place; gives whether anything was done to it. `unedited` has what
    /// each of [`Compiled::saes`] makes of it.
    pub fn edit(&self, position: usize, x: &mut [f32], unedited: &[Unedited<'_>]) -> bool {
        if !self.reaches(position) || x.len() != self.size {
            return false;
        }
        if self.only.is_some_and(|only| !only.by(unedited)) {
            return false;
        }
        // What edits read is the activation as it was.
        let before = x.to_vec();
        let mut touched = false;
        for edit in &self.edits {
            touched |= match edit {
                Ready::Latent { reads, row, amount } => {
                    let Some(of) = unedited.get(reads.sae) else { continue };
                    let activation = reads.fires(unedited);
                    let silent = matches!(self.at, Positions::Fires) && activation == 0.0;
                    let by = amount.of(activation, (reads.gain, of));
                    !silent && by != 0.0 && add(x, by, row)
                }
                Ready::Add(direction, strength) => *strength != 0.0 && add(x, *strength, direction),
                Ready::Project { unit, change, reads } => {
                    let fires = |reads: &Reading| reads.fires(unedited) != 0.0;
                    if matches!(self.at, Positions::Fires) && !reads.as_ref().is_some_and(fires) {
                        continue;
                    }
                    let along: f64 = before.iter().zip(unit).map(|(x, u)| f64::from(*x) * u).sum();
                    x.iter_mut().zip(unit).for_each(|(x, u)| *x = (f64::from(*x) + change * along * u) as f32);
                    *change != 0.0
                }
                Ready::Reconstruct(sae) => {
                    let mean = if self.center { live::mean(&before) as f32 } else { 0.0 };
                    unedited.get(*sae).is_some_and(|of| replace(x, of.reconstruction, mean))
                }
                Ready::Replace { by, keep_mean } => {
                    let mean = if *keep_mean { before.iter().sum::<f32>() / self.size as f32 } else { 0.0 };
                    let new = match by {
                        PartialSettings::Rows(rows) => rows.get(position * self.size..(position + 1) * self.size),
                        PartialSettings::Row(row) => Some(&row[..]),
                    };
                    new.is_some_and(|new| replace(x, new, mean))
                }
            };
        }
        if let (true, Some(direction)) = (touched, &self.control) {
            let change: Vec<f32> = x.iter().zip(&before).map(|(new, old)| new - old).collect();
            x.copy_from_slice(&before);
            return add(x, length(&change) as f32, direction);
        }
        touched
    }

    /// How many edits are about what fires: a latent, or several together.
    pub(super) fn readings(&self) -> usize {
        self.reads().count()
    }

    /// For each of these edits, in their order, how strongly that fires.
    pub(super) fn activations(&self, unedited: &[Unedited<'_>]) -> impl Iterator<Item = f32> {
        self.reads().map(move |reads| reads.fires(unedited))
    }

    fn reads(&self) -> impl Iterator<Item = &Reading> {
        self.edits.iter().filter_map(|edit| match edit {
            Ready::Latent { reads, .. } | Ready::Project { reads: Some(reads), .. } => Some(reads),
            _ => None,
        })
    }
}

impl Reading {
    fn fires(&self, unedited: &[Unedited<'_>]) -> f32 {
        let Some(of) = unedited.get(self.sae) else { return 0.0 };
        match &self.of {
            Reads::Latent(latent) => of.codes.activation(of.row, *latent),
            Reads::Combination(combination) => {
                let part = |(latent, weight): &(u32, f32)| {
                    f64::from(of.codes.activation(of.row, *latent)) * f64::from(*weight)
                };
                combination.members.iter().map(part).sum::<f64>() as f32
            }
        }
    }
}

impl Holds {
    fn by(self, unedited: &[Unedited<'_>]) -> bool {
        let Self(sae, latent, above) = self;
        unedited.get(sae).is_some_and(|of| of.codes.activation(of.row, latent) > above)
    }
}

impl Amount {
    /// How much of its row a latent that fires so strongly adds, in the model's units.
    fn of(self, activation: f32, (gain, unedited): (f32, &Unedited<'_>)) -> f32 {
        let scale = unedited.codes.undo(unedited.row).scale;
        match self {
            Self::Fires => activation * gain * scale,
            Self::To(value) => (value - activation) * gain * scale,
            Self::Times(by) => by * activation * gain * scale,
            Self::More(by) => by * gain * scale,
            Self::Contribute(there) => there - activation * gain * scale,
        }
    }
}

/// Adds so much of a row; a row of zeros changes nothing.
fn add(x: &mut [f32], by: f32, row: &[f32]) -> bool {
    if row.iter().all(|value| *value == 0.0) {
        return false;
    }
    x.iter_mut().zip(row).for_each(|(x, row)| *x += by * row);
    true
}

fn replace(x: &mut [f32], new: &[f32], mean: f32) -> bool {
    x.iter_mut().zip(new).for_each(|(x, new)| *x = new + mean);
    x.len() == new.len()
}
