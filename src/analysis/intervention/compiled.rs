//! An intervention with everything that it names found and checked, and what it makes of one activation.
//! Not here: passes of a model (`hook`).

use std::borrow::Cow;
use std::sync::Arc;

use super::{
    ActivationEdit, Change, Combination, Control, Intervention, LatentAbove, LatentId, PartialSettings, Where,
};
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

impl Intervention {
    /// Finds and checks everything that it names.
    ///
    /// # Errors
    /// [`Error`].
    pub fn compile<'a>(&self, setting: Setting<'_, 'a>) -> Result<Compiled<'a>, Error> {
        let mut compiling = Compiling { site: self.site, setting, saes: Vec::new() };
        let replaces = |edit: &&ActivationEdit| {
            matches!(edit, ActivationEdit::Reconstruct(_) | ActivationEdit::Replace { .. } | ActivationEdit::Whole(_))
        };
        if self.edits.iter().filter(replaces).count() > 1 {
            return Err(Error::Twice);
        }
        let mut edits = self.edits.iter().map(|edit| compiling.edit(edit)).collect::<Result<Vec<_>, _>>()?;
        // What stands in the activation's place comes first: what the others add comes on top of it.
        edits.sort_by_key(|edit| !matches!(edit, Ready::Reconstruct(_) | Ready::Replace { .. }));
        let at = match &self.at {
            Where::All => Positions::All,
            Where::From(first) => Positions::From(*first),
            Where::Positions(these) => {
                let mut these = these.clone();
                these.sort_unstable();
                Positions::These(these)
            }
            Where::Fires => match self.edits.iter().find(|edit| !edit.fires()) {
                Some(edit) => return Err(Error::NoLatent(edit.to_string())),
                None => Positions::Fires,
            },
        };
        let only = self.only.as_ref().map(|only| compiling.holds(only)).transpose()?;
        let until = self.until.as_ref().map(|until| compiling.holds(until)).transpose()?;
        let size = setting.size;
        let control = match &self.control {
            None => None,
            Some(Control::Seed(seed)) => Some(sae::random_directions(1, size, *seed)),
            Some(Control::Along(direction)) => {
                compiling.check("the direction", direction)?;
                let length = length(direction) as f32;
                if length == 0.0 {
                    return Err(Error::Zero);
                }
                Some(direction.iter().map(|value| value / length).collect())
            }
        };
        let spared = if self.spare_bos { setting.bos } else { 0 };
        let Compiling { saes, .. } = compiling;
        Ok(Compiled { site: self.site, size, center: setting.center, at, spared, saes, edits, only, until, control })
    }
}

struct Compiling<'f, 'a> {
    site: Site,
    setting: Setting<'f, 'a>,
    saes: Vec<Used<'a>>,
}

impl<'a> Compiling<'_, 'a> {
    fn edit(&mut self, edit: &ActivationEdit) -> Result<Ready<'a>, Error> {
        Ok(match edit {
            ActivationEdit::Ablate(latent) => self.times(latent, 0.0)?,
            ActivationEdit::Scale { latent, by } => {
                finite("the factor", *by)?;
                self.times(latent, *by)?
            }
            ActivationEdit::Set { latent, value } => {
                finite("the value", *value)?;
                self.of(latent, Amount::To(*value))?
            }
            ActivationEdit::Row { latent, to } => {
                self.check("the row", to)?;
                let (sae, used) = self.latent(latent)?;
                let row = used.decoder_row(latent.latent as usize)?;
                let change = to.iter().zip(row.iter()).map(|(new, old)| new - old).collect();
                let reads = self.reading(sae, latent.latent);
                Ready::Latent { reads, row: Cow::Owned(change), amount: Amount::Fires }
            }
            ActivationEdit::More { latent, by } => {
                finite("the strength", *by)?;
                self.of(latent, Amount::More(*by))?
            }
            ActivationEdit::Along { latent, coefficient } => {
                let (sae, used) = self.latent(latent)?;
                let row = used.decoder_row(latent.latent as usize)?;
                let reads = self.reading(sae, latent.latent);
                along(&row, *coefficient, Some(reads))?
            }
            ActivationEdit::Combined { of, change } => self.combined(of, *change)?,
            ActivationEdit::From { latent, source } => {
                self.check("the other activation", source)?;
                let (_, used) = self.latent(latent)?;
                let mut seen = source.to_vec();
                if self.setting.center {
                    live::center(&mut seen);
                }
                let codes = used.encode(&seen, &Cancel::new())?;
                let fires = codes.activation(0, latent.latent);
                let there = fires * used.decode_gain(latent.latent as usize) * codes.undo(0).scale;
                self.of(latent, Amount::Contribute(there))?
            }
            ActivationEdit::Add { direction, strength } => {
                finite("the strength", *strength)?;
                self.check("the direction", direction)?;
                Ready::Add(Arc::clone(direction), *strength)
            }
            ActivationEdit::Project { direction, coefficient } => {
                self.check("the direction", direction)?;
                along(direction, *coefficient, None)?
            }
            ActivationEdit::Reconstruct(id) => {
                let sae = self.sae(id)?;
                self.saes[sae].decoded = true;
                Ready::Reconstruct(sae)
            }
            ActivationEdit::Replace { by, keep_mean } => {
                let (PartialSettings::Rows(values) | PartialSettings::Row(values)) = by;
                let whole =
                    matches!(by, PartialSettings::Rows(_)) && values.len().is_multiple_of(self.setting.size.max(1));
                if !whole {
                    self.check("the given activation", values)?;
                }
                Ready::Replace { by: by.clone(), keep_mean: *keep_mean }
            }
            ActivationEdit::Whole(source) => {
                self.check("the other activation", source)?;
                Ready::Replace { by: PartialSettings::Row(Arc::clone(source)), keep_mean: false }
            }
        })
    }

    fn times(&mut self, latent: &LatentId, by: f32) -> Result<Ready<'a>, Error> {
        self.of(latent, Amount::Times(by - 1.0))
    }

    fn of(&mut self, latent: &LatentId, amount: Amount) -> Result<Ready<'a>, Error> {
        let (sae, used) = self.latent(latent)?;
        let row = used.decoder_row(latent.latent as usize)?;
        Ok(Ready::Latent { reads: self.reading(sae, latent.latent), row, amount })
    }

    fn combined(&mut self, of: &Arc<Combination>, change: Change) -> Result<Ready<'a>, Error> {
        self.check("the direction", &of.direction)?;
        let place = self.sae(&of.sae)?;
        for (latent, _) in &of.members {
            self.saes[place].sae.decoder_norm(*latent as usize)?;
            self.saes[place].read(*latent);
        }
        let reads = Reading { sae: place, of: Reads::Combination(Arc::clone(of)), gain: 1.0 };
        let amount = match change {
            Change::Along(coefficient) => return along(&of.direction, coefficient, Some(reads)),
            Change::Off => Amount::Times(-1.0),
            Change::To(value) => Amount::To(value),
            Change::Times(by) => Amount::Times(by - 1.0),
            Change::More(by) => Amount::More(by),
        };
        let (Amount::To(value) | Amount::Times(value) | Amount::More(value)) = amount else {
            return Err(Error::NotFinite { what: "the strength" });
        };
        finite("the strength", value)?;
        Ok(Ready::Latent { reads, row: Cow::Owned(of.direction.clone()), amount })
    }

    fn holds(&mut self, condition: &LatentAbove) -> Result<Holds, Error> {
        finite("the value that a latent must exceed", condition.above)?;
        let (sae, _) = self.latent(&condition.latent)?;
        self.saes[sae].read(condition.latent.latent);
        Ok(Holds(sae, condition.latent.latent, condition.above))
    }

    /// Notes that a latent of one of the SAEs is read.
    fn reading(&mut self, sae: usize, latent: u32) -> Reading {
        self.saes[sae].read(latent);
        Reading { sae, of: Reads::Latent(latent), gain: self.saes[sae].sae.decode_gain(latent as usize) }
    }

    /// A latent's SAE, and that one's place among those that are used.
    fn latent(&mut self, latent: &LatentId) -> Result<(usize, &'a Sae), Error> {
        let place = self.sae(&latent.sae)?;
        let sae = self.saes[place].sae;
        sae.decoder_norm(latent.latent as usize)?;
        Ok((place, sae))
    }

    fn sae(&mut self, id: &str) -> Result<usize, Error> {
        let sae = (self.setting.sae)(id).ok_or_else(|| Error::NoSae(id.to_owned()))?;
        for (what, found) in [("what the SAE reads", sae.d_in()), ("what the SAE writes", sae.d_out())] {
            if found != self.setting.size {
                return Err(Error::Size { what, found, site: self.site, size: self.setting.size });
            }
        }
        let known = self.saes.iter().position(|used| std::ptr::eq(used.sae, sae));
        Ok(known.unwrap_or_else(|| {
            self.saes.push(Used { sae, decoded: false, latents: Vec::new() });
            self.saes.len() - 1
        }))
    }

    fn check(&self, what: &'static str, values: &[f32]) -> Result<(), Error> {
        if values.len() != self.setting.size {
            return Err(Error::Size { what, found: values.len(), site: self.site, size: self.setting.size });
        }
        if values.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(Error::NotFinite { what }) }
    }
}

impl Used<'_> {
    fn read(&mut self, latent: u32) {
        if let Err(at) = self.latents.binary_search(&latent) {
            self.latents.insert(at, latent);
        }
    }
}

fn along<'a>(direction: &[f32], coefficient: f32, reads: Option<Reading>) -> Result<Ready<'a>, Error> {
    finite("the coefficient", coefficient)?;
    let length = length(direction);
    if length == 0.0 {
        return Err(Error::Zero);
    }
    let unit = direction.iter().map(|value| f64::from(*value) / length).collect();
    Ok(Ready::Project { unit, change: f64::from(coefficient) - 1.0, reads })
}

fn finite(what: &'static str, value: f32) -> Result<(), Error> {
    if value.is_finite() { Ok(()) } else { Err(Error::NotFinite { what }) }
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
