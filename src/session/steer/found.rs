//! What a question about steering names, found: latents, meta-latents, directions, and how strong a strength is.
//! Not here: what is done with it.

use std::path::Path;
use std::sync::Arc;

use super::{CANNOT, SteerChange, SteerEdit, SteerQuery, SteerTarget, StrengthUnit};
use crate::analysis::Strength;
use crate::analysis::intervention::{ActivationEdit, Change, Combination, LatentId};
use crate::blob::Blob;
use crate::report::{Kind, Report};
use crate::session::failure;
use crate::session::query::Cx;
use crate::suite::argument;
use crate::weights::TensorFiles;

/// What is changed.
pub struct Found {
    what: What,
    /// The latent's maximum in the index, or why there is none.
    max: Result<f64, Report>,
}

enum What {
    Latent(LatentId),
    MetaLatent(Arc<Combination>),
    Direction(String, Arc<[f32]>),
}

/// Finds what an edit names.
///
/// # Errors
/// That it is not there, or that it cannot be changed in that way.
pub fn find(asked: &SteerQuery, edit: &SteerEdit, cx: &mut Cx<'_>) -> Result<Found, Report> {
    let none = |why: &str| Report::new(CANNOT).because(why).hint("use --unit raw or norm").kind(Kind::Usage);
    let found = match &edit.target {
        SteerTarget::Latent(latent) => {
            let suite = cx.suite()?;
            let sae = &suite.saes[suite.place(&latent.sae)?].sae;
            sae.decoder_norm(latent.latent as usize).map_err(|error| failure::of_sae(CANNOT, &error))?;
            Found { max: maximum(asked, latent, cx)?, what: What::Latent(latent.clone()) }
        }
        SteerTarget::MetaLatent { sae, meta, meta_latent } => {
            let sae = sae.clone().map_or_else(|| owner(meta, cx), Ok)?;
            let cancel = cx.cancel;
            let combination = cx.session()?.scope(&sae, meta, cancel)?.combination(*meta_latent)?;
            let max = Err(none("an index says nothing of meta-latents"));
            Found { max, what: What::MetaLatent(Arc::new(combination)) }
        }
        SteerTarget::Direction(file) => {
            let suite = cx.suite()?;
            let size = suite.model.model.site_size(suite.suite.site);
            let size = size.map_err(|error| failure::of_model(CANNOT, &error))?;
            let max = Err(none("a direction has no maximum in an index"));
            Found { max, what: What::Direction(file.display().to_string(), direction(file, size)?) }
        }
    };
    if let (What::Direction(..), SteerChange::Ablate | SteerChange::Set(_) | SteerChange::Scale(_)) =
        (&found.what, edit.change)
    {
        return Err(Report::new(CANNOT)
            .because("a direction does not fire: it can be added, or projected out")
            .hint("--add V adds it, --project 0 takes the activation's part along it out")
            .kind(Kind::Usage));
    }
    match &found.max {
        Err(report) if asked.unit == StrengthUnit::Max && edit.change.is_amount() => Err(report.clone()),
        _ => Ok(found),
    }
}

/// How strongly a latent fires at most in the index, or why that is not known.
///
/// # Errors
/// That an index which was named cannot be used.
fn maximum(asked: &SteerQuery, latent: &LatentId, cx: &Cx<'_>) -> Result<Result<f64, Report>, Report> {
    let suite = cx.suite()?;
    let cannot = || Report::new(CANNOT).kind(Kind::Missing);
    let index = asked.index.as_deref();
    let corpus = match suite.latent_corpus(&latent.sae, latent.latent, index, cx.cancel, cx.progress) {
        Ok(corpus) => corpus,
        Err(report) if index.is_some() || report.kind == Kind::Cancelled => return Err(report),
        Err(report) => return Ok(Err(report)),
    };
    Ok(match corpus.map(|corpus| (f64::from(corpus.max), corpus.tokens)) {
        None => {
            let name = argument(&suite.suite.name);
            Err(cannot()
                .because(format!("there is no index of SAE `{}` that says how strongly {latent} fires", latent.sae))
                .hint(format!("`saescope index build --suite {name}` makes one; --unit raw or norm need none")))
        }
        Some((max, _)) if max > 0.0 => Ok(max),
        Some((_, tokens)) => {
            let why = format!("{latent} fires at none of the {tokens} tokens of the index");
            Err(cannot().because(why).hint("use --unit raw or norm"))
        }
    })
}

/// The SAE that has a meta-SAE of this id, where only one has.
fn owner(meta: &str, cx: &mut Cx<'_>) -> Result<String, Report> {
    let states = cx.session()?.metas().states();
    let mut saes: Vec<&str> = states.iter().filter(|state| state.meta == meta).map(|state| &*state.sae).collect();
    saes.dedup();
    match &saes[..] {
        [one] => Ok((*one).to_owned()),
        [] => Err(Report::new(CANNOT)
            .because(format!("there is no meta-SAE `{}`", meta.escape_debug()))
            .hint("name its SAE with --sae; `saescope suites` lists what each suite has")
            .kind(Kind::Usage)),
        several => Err(Report::new(CANNOT)
            .because(format!("SAEs {} each have a meta-SAE `{meta}`", several.join(", ")))
            .hint("name the SAE with --sae")
            .kind(Kind::Usage)),
    }
}

/// The direction in a file.
fn direction(file: &Path, size: usize) -> Result<Arc<[f32]>, Report> {
    let what = || format!("cannot use the direction in `{}`", file.display());
    let wrong = |error: crate::weights::Error| Report::caused(what(), &error);
    let tensors = TensorFiles::open(&[Blob::path(file)]).map_err(wrong)?;
    let names = tensors.names();
    let name = match &names[..] {
        [one] => *one,
        several if several.contains(&"direction") => "direction",
        [] => return Err(Report::new(what()).because("there is no tensor in it")),
        several => {
            let why = format!("it has {} tensors, and none of them is named `direction`", several.len());
            return Err(Report::new(what()).because(why).hint("leave one in it, or name one `direction`"));
        }
    };
    let values = tensors.get(name).map_err(wrong)?;
    if values.len() != size || values.shape().iter().filter(|side| **side != 1).count() > 1 {
        let why = format!("tensor `{}` has the shape {:?}", name.escape_debug(), values.shape());
        return Err(Report::new(what())
            .because(why)
            .hint(format!("the activation at the suite's site has {size} values")));
    }
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(Report::new(what()).because(format!("its value {at} is {}", values[at])));
    }
    Ok(values.to_vec().into())
}

impl Found {
    /// What a person calls it.
    pub fn name(&self) -> String {
        match &self.what {
            What::Latent(latent) => latent.to_string(),
            What::MetaLatent(combination) => combination.name.clone(),
            What::Direction(file, _) => format!("the direction in {file}"),
        }
    }

    /// A change with its strength as the number itself.
    ///
    /// # Errors
    /// That there is nothing to count it in.
    pub fn raw(&self, change: SteerChange, unit: StrengthUnit, norm: Option<f64>) -> Result<SteerChange, Report> {
        let (Some(strength), true) = (change.strength(), change.is_amount()) else { return Ok(change) };
        let of = match unit {
            StrengthUnit::Raw => return Ok(change),
            StrengthUnit::Max => self.max.clone()?,
            StrengthUnit::Norm => norm.ok_or_else(|| {
                Report::new(CANNOT)
                    .because("the prompt has no token but the one that begins a text, so activations have no mean norm")
                    .hint("use --unit raw")
                    .kind(Kind::Usage)
            })?,
        };
        Ok(change.with((f64::from(strength) * of) as f32))
    }

    /// How strong a change is whose strength is the number itself.
    pub fn strength(&self, change: SteerChange, norm: Option<f64>) -> Strength {
        let raw = change.strength().map(f64::from);
        let of = |unit: Option<f64>| unit.filter(|_| change.is_amount()).and_then(|unit| Some(raw? / unit));
        let max = self.max.as_ref().ok().copied();
        Strength { raw, max: of(max), norm: of(norm.filter(|norm| *norm > 0.0)) }
    }

    /// The edit.
    pub fn edit(&self, change: SteerChange) -> ActivationEdit {
        match &self.what {
            What::Latent(latent) => {
                let latent = latent.clone();
                match change {
                    SteerChange::Ablate => ActivationEdit::Ablate(latent),
                    SteerChange::Set(value) => ActivationEdit::Set { latent, value },
                    SteerChange::Scale(by) => ActivationEdit::Scale { latent, by },
                    SteerChange::Add(by) => ActivationEdit::More { latent, by },
                    SteerChange::Project(coefficient) => ActivationEdit::Along { latent, coefficient },
                }
            }
            What::MetaLatent(of) => {
                let change = match change {
                    SteerChange::Ablate => Change::Off,
                    SteerChange::Set(value) => Change::To(value),
                    SteerChange::Scale(by) => Change::Times(by),
                    SteerChange::Add(by) => Change::More(by),
                    SteerChange::Project(coefficient) => Change::Along(coefficient),
                };
                ActivationEdit::Combined { of: Arc::clone(of), change }
            }
            What::Direction(_, direction) => {
                let direction = Arc::clone(direction);
                match change {
                    SteerChange::Project(coefficient) => ActivationEdit::Project { direction, coefficient },
                    // Others were refused when it was found.
                    _ => ActivationEdit::Add { direction, strength: change.strength().unwrap_or(0.0) },
                }
            }
        }
    }
}
