//! Finds and checks everything that an intervention names. Not here: what it then makes of an activation (`compiled`).

use std::borrow::Cow;
use std::sync::Arc;

use super::{Amount, Compiled, Error, Holds, Positions, Reading, Reads, Ready, Setting, Used, length};
use crate::analysis::intervention::{
    ActivationEdit, Change, Combination, Control, Intervention, LatentAbove, LatentId, PartialSettings, Where,
};
use crate::analysis::live;
use crate::sae::{self, Sae};
use crate::site::Site;
use crate::task::Cancel;

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
