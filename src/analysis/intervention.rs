//! An intervention as plain data: where in the model and at which positions an activation x is replaced by x + Δ(x), and
//! what Δ is. Not here: how it is computed (`compiled`), and the pass that it changes (`hook`).
//!
//! All activations of latents are read from the unedited x of their position, and the Δ of several edits add up. What an
//! SAE does to its input is undone: a latent's contribution is f·d in the model's units.

mod arms;
mod compiled;
mod hook;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

pub use arms::{ArmEdit, ArmsHook};
pub use compiled::{Compiled, Error, Setting, Unedited};
pub use hook::{EditHook, FanHook};

use crate::model;
use crate::site::Site;

/// A latent of one of a suite's SAEs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct LatentId {
    /// The SAE's id.
    pub sae: String,
    /// Its index.
    pub latent: u32,
}

/// That a latent fires above a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatentAbove {
    /// The latent.
    pub latent: LatentId,
    /// The value.
    pub above: f32,
}

/// At which positions an intervention acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// All.
    All,
    /// For each edit those where its own latent fires. Only for edits of a latent.
    Fires,
    /// These, from 0; a beginning-of-sequence token too.
    Positions(Vec<usize>),
    /// This one and all behind it.
    From(usize),
}

/// What is done to the activation x of a position. f is how strongly a latent fires on x, d its decoder row in the
/// model's units.
#[derive(Clone, Debug, PartialEq)]
pub enum ActivationEdit {
    /// x − f·d: what the latent contributes is taken out, the SAE's error stays.
    Ablate(LatentId),
    /// x + (value − f)·d.
    Set {
        /// The latent.
        latent: LatentId,
        /// How strongly it is to fire.
        value: f32,
    },
    /// x + (by − 1)·f·d.
    Scale {
        /// The latent.
        latent: LatentId,
        /// What its activation is multiplied by.
        by: f32,
    },
    /// x + by·d: as if it fired so much more.
    More {
        /// The latent.
        latent: LatentId,
        /// How much.
        by: f32,
    },
    /// x + (coefficient − 1)·(x·u)·u, u being the latent's decoder row scaled to length 1.
    Along {
        /// The latent.
        latent: LatentId,
        /// What x's part along the row is multiplied by; 0 projects it out.
        coefficient: f32,
    },
    /// What several latents contribute together along one direction is changed.
    Combined {
        /// Which latents, and the direction.
        of: Arc<Combination>,
        /// How.
        change: Change,
    },
    /// x + strength·direction.
    Add {
        /// \[size\].
        direction: Arc<[f32]>,
        /// How much of it.
        strength: f32,
    },
    /// x + (coefficient − 1)·(x·u)·u, u being the direction scaled to length 1: 0 projects it out.
    Project {
        /// \[size\].
        direction: Arc<[f32]>,
        /// What x's part along the direction is multiplied by.
        coefficient: f32,
    },
    /// x + f·(to − d): the latent writes another row where it fires.
    Row {
        /// The latent.
        latent: LatentId,
        /// The row in place of its decoder row, \[size\].
        to: Arc<[f32]>,
    },
    /// x is replaced by an SAE's reconstruction of it.
    Reconstruct(String),
    /// x is replaced by what is given.
    Replace {
        /// By what.
        by: PartialSettings,
        /// Whether the mean of x is added to it: where SAEs see activations without their mean.
        keep_mean: bool,
    },
    /// x is replaced by another activation, \[size\], as the model has it there.
    Whole(Arc<[f32]>),
    /// x + (f(source) − f)·d: the latent fires as it does on another activation, \[size\], as the model has it there.
    From {
        /// The latent.
        latent: LatentId,
        /// The other activation.
        source: Arc<[f32]>,
    },
}

/// What several latents of an SAE contribute together along one direction m, such as a meta-latent: f = Σ wᵢ·fᵢ.
#[derive(Clone, Debug, PartialEq)]
pub struct Combination {
    /// What a person calls it.
    pub name: String,
    /// The SAE's id.
    pub sae: String,
    /// Latents and their weights w, by rising latent.
    pub members: Vec<(u32, f32)>,
    /// m, \[size\].
    pub direction: Vec<f32>,
}

/// What is done to a combination, in the sense of the edits of a latent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// x − f·m.
    Off,
    /// x + (value − f)·m.
    To(f32),
    /// x + (by − 1)·f·m.
    Times(f32),
    /// x + by·m.
    More(f32),
    /// x + (coefficient − 1)·(x·u)·u, u being m scaled to length 1.
    Along(f32),
}

/// Activations that are given.
#[derive(Clone, Debug, PartialEq)]
pub enum PartialSettings {
    /// One for each position of the prompt, \[positions, size\]; positions beyond them stay as they are.
    Rows(Arc<[f32]>),
    /// The same for all, \[size\].
    Row(Arc<[f32]>),
}

/// The direction of a control.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// One that is drawn: the same seed gives the same.
    Seed(u64),
    /// This one, \[size\].
    Along(Arc<[f32]>),
}

/// Where and how a model is changed while it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Intervention {
    /// Where.
    pub site: Site,
    /// At which positions.
    pub at: Where,
    /// What is done there; none changes nothing.
    pub edits: Vec<ActivationEdit>,
    /// Whether beginning-of-sequence tokens in front are left alone, unless positions name them.
    pub spare_bos: bool,
    /// A condition: positions where it does not hold are left alone.
    pub only: Option<LatentAbove>,
    /// A condition: from the first position on where it holds, nothing is done any more.
    pub until: Option<LatentAbove>,
    /// A direction: with one, not Δ is added but what has its length at each position in that direction.
    pub control: Option<Control>,
}

/// Why a model cannot be run with an intervention.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The model cannot be run.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The intervention cannot be made.
    #[error(transparent)]
    Intervention(#[from] Error),
}

impl Intervention {
    /// One that leaves beginning-of-sequence tokens alone, unless positions name them.
    #[must_use]
    pub const fn new(site: Site, at: Where, edits: Vec<ActivationEdit>) -> Self {
        Self { site, at, edits, spare_bos: true, only: None, until: None, control: None }
    }

    /// Its control: as large at every position, in one random direction. The same seed gives the same direction.
    #[must_use]
    pub fn control(&self, seed: u64) -> Self {
        Self { control: Some(Control::Seed(seed)), ..self.clone() }
    }
}

impl ActivationEdit {
    /// The latent that it is about, where it is about one.
    #[must_use]
    pub const fn latent(&self) -> Option<&LatentId> {
        match self {
            Self::Ablate(latent)
            | Self::Set { latent, .. }
            | Self::Scale { latent, .. }
            | Self::More { latent, .. }
            | Self::Along { latent, .. }
            | Self::Row { latent, .. }
            | Self::From { latent, .. } => Some(latent),
            Self::Combined { .. }
            | Self::Add { .. }
            | Self::Project { .. }
            | Self::Reconstruct(_)
            | Self::Replace { .. }
            | Self::Whole(_) => None,
        }
    }

    /// Whether there is something that fires, so that it can act where that does.
    #[must_use]
    pub const fn fires(&self) -> bool {
        self.latent().is_some() || matches!(self, Self::Combined { .. })
    }
}

impl fmt::Display for LatentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "latent {} of SAE {}", self.latent, self.sae)
    }
}

impl fmt::Display for LatentAbove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fires above {}", self.latent, self.above)
    }
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("at all positions"),
            Self::Fires => f.write_str("where it fires"),
            Self::Positions(at) => {
                let named: Vec<String> = at.iter().map(usize::to_string).collect();
                write!(f, "at position{} {}", if at.len() == 1 { "" } else { "s" }, named.join(", "))
            }
            Self::From(first) => write!(f, "from position {first} on"),
        }
    }
}

impl fmt::Display for ActivationEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ablate(latent) => write!(f, "{latent} off"),
            Self::Set { latent, value } => write!(f, "{latent} set to {value}"),
            Self::Scale { latent, by } => write!(f, "{latent} × {by}"),
            Self::More { latent, by } => write!(f, "{latent} {by:+}"),
            Self::Along { latent, coefficient } => write!(f, "the part along {latent} × {coefficient}"),
            Self::Combined { of, change } => match change {
                Change::Off => write!(f, "{} off", of.name),
                Change::To(value) => write!(f, "{} set to {value}", of.name),
                Change::Times(by) => write!(f, "{} × {by}", of.name),
                Change::More(by) => write!(f, "{} {by:+}", of.name),
                Change::Along(by) => write!(f, "the part along {} × {by}", of.name),
            },
            Self::Add { strength, .. } => write!(f, "{strength} × a direction added"),
            Self::Project { coefficient, .. } => write!(f, "the part along a direction × {coefficient}"),
            Self::Row { latent, .. } => write!(f, "another decoder row for {latent}"),
            Self::Reconstruct(sae) => write!(f, "the reconstruction of SAE {sae}"),
            Self::Replace { by: PartialSettings::Rows(_), .. } => f.write_str("a given activation for each position"),
            Self::Replace { by: PartialSettings::Row(_), .. } => f.write_str("one given activation"),
            Self::Whole(_) => f.write_str("the whole activation of another run"),
            Self::From { latent, .. } => write!(f, "{latent} as in another run"),
        }
    }
}

/// What it does, in one line.
impl fmt::Display for Intervention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edits: Vec<String> = self.edits.iter().map(ActivationEdit::to_string).collect();
        let edits = if edits.is_empty() { "nothing".to_owned() } else { edits.join(", ") };
        write!(f, "{}, {}", self.site, self.at)?;
        if let Some(only) = &self.only {
            write!(f, " while {only}")?;
        }
        if let Some(until) = &self.until {
            write!(f, " until {until}")?;
        }
        write!(f, ": {edits}")?;
        match &self.control {
            Some(Control::Seed(seed)) => write!(f, "; as large in a random direction (seed {seed})"),
            Some(Control::Along(_)) => write!(f, "; as large in a given direction"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::SiteKind;

    #[test]
    fn an_intervention_says_in_one_line_what_it_does() {
        let latent = |latent| LatentId { sae: "512".to_owned(), latent };
        let site = Site { layer: 3, kind: SiteKind::ResidPre };
        let edits = vec![ActivationEdit::Ablate(latent(7)), ActivationEdit::Scale { latent: latent(9), by: -2.0 }];
        let one = Intervention::new(site, Where::Positions(vec![4]), edits);
        assert_eq!(
            one.to_string(),
            "layer 3 resid_pre, at position 4: latent 7 of SAE 512 off, latent 9 of SAE 512 × -2"
        );
        let condition = |latent, above| Some(LatentAbove { latent, above });
        let (only, until) = (condition(latent(1), 0.5), condition(latent(2), -1.0));
        let none = Intervention { only, until, ..Intervention::new(site, Where::All, Vec::new()) }.control(3);
        assert_eq!(
            none.to_string(),
            "layer 3 resid_pre, at all positions while latent 1 of SAE 512 fires above 0.5 until latent 2 of SAE 512 fires \
             above -1: nothing; as large in a random direction (seed 3)"
        );
    }
}
