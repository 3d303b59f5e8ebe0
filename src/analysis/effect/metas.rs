//! What meta-latents of latents that fire at a position do to the next token: each is taken out of their decoder rows by
//! surgery, x + Σ f_i·(w′_i − w_i). Not here: how w′ is made (`sae::meta`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Asked, ControlEffect, Outcome, PartEffect, RandomEffect, Seen, Subject};
use crate::analysis::NextToken;
use crate::analysis::intervention::{ActivationEdit, Error, Failure, LatentId};
use crate::sae::{self, Sae, meta};
use crate::task::Cancel;

/// Which meta-latents do what to a token (the JSON of `saescope effect --meta`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaEffectView {
    /// Where meta-latents are taken out.
    pub position: usize,
    /// Where the next token is read.
    pub read: usize,
    /// The token asked about, as the untouched model has it.
    pub token: NextToken,
    /// How figures are signed.
    pub sign: &'static str,
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id.
    pub meta: String,
    /// The latents that fire, of whose rows meta-latents are taken out.
    pub latents: Vec<u32>,
    /// What they are made of, the largest change of log-probability first, ties by index.
    pub meta_latents: Vec<MetaLatentEffect>,
    /// These latents taken out themselves, all together.
    pub all_latents: PartEffect,
    /// Random directions as long as the largest change of the activation.
    pub random: RandomEffect,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What one meta-latent does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MetaLatentEffect {
    /// The meta-latent.
    pub meta_latent: u32,
    /// Σ w_i·‖d_i‖·a_im, w_i what latent i's decoder row is multiplied by: how strongly the latents write it together.
    pub activation: f64,
    /// Of how many of the latents it is a part.
    pub latents: usize,
    /// Change of the token's log-probability, in nats.
    pub delta_logprob: f64,
    /// Change of the token's logit less the mean of all logits.
    pub delta_logit: f64,
    /// KL(clean ‖ without it) of the next token, in nats.
    pub kl: f64,
}

/// What meta-latents of some latents do.
pub struct MetaEffects {
    /// The latents that fire among those asked about.
    pub latents: Vec<u32>,
    /// In the sense of [`MetaEffectView::meta_latents`].
    pub meta_latents: Vec<MetaLatentEffect>,
    /// In the sense of [`MetaEffectView::all_latents`].
    pub all_latents: PartEffect,
    /// In the sense of [`MetaEffectView::random`].
    pub random: RandomEffect,
    /// Latents of which a meta-latent cannot be taken out, since nothing of the row would be left.
    pub whole: Vec<(u32, u32)>,
}

/// A meta-latent, and the rows without it.
#[derive(Default)]
struct Without {
    activation: f64,
    /// Latents, what each writes per unit of its row, and the row in place of its own.
    rows: Vec<(u32, f32, Arc<[f32]>)>,
}

/// For each meta-latent the rows without it; and latents, with the meta-latent, of which nothing would be left.
type TakenOut = (BTreeMap<u32, Without>, Vec<(u32, u32)>);

impl Asked<'_> {
    /// Takes each meta-latent that the latents firing here are made of out of their rows, all of those or the `named`
    /// ones, and runs the rest of the model; beside it random directions as long as the largest change.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn meta_effects(
        &self,
        subject: Subject<'_>,
        meta: &Sae,
        named: &[u32],
        cancel: &Cancel,
    ) -> Result<MetaEffects, Failure> {
        let seen = self.look(subject)?;
        let firing = seen.latents().iter().copied().zip(seen.amounts.iter().copied());
        let firing: Vec<(u32, f32)> = firing.filter(|(of, _)| named.is_empty() || named.contains(of)).collect();
        let (without, whole) = taken_out(subject.sae, meta, &firing, cancel).map_err(Error::Sae)?;
        let mut largest = 0.0f64;
        for of in without.values() {
            largest = largest.max(change(subject.sae, of).map_err(Error::Sae)?);
        }
        let edits =
            |seen: &Seen<'_>| {
                let row = |(latent, _, to): &(u32, f32, Arc<[f32]>)| ActivationEdit::Row {
                    latent: LatentId { sae: seen.subject.id.to_owned(), latent: *latent },
                    to: Arc::clone(to),
                };
                let mut branches: Vec<Vec<ActivationEdit>> =
                    without.values().map(|of| of.rows.iter().map(row).collect()).collect();
                branches.push(firing.iter().map(|(latent, _)| seen.off(*latent)).collect());
                let size = subject.sae.d_in().max(1);
                let directions = subject.directions.chunks_exact(size).take(seen.directions());
                branches.extend(directions.map(|direction| {
                    vec![ActivationEdit::Add { direction: direction.into(), strength: -largest as f32 }]
                }));
                branches
            };
        let outcomes = self.without(std::slice::from_ref(&seen), edits, cancel)?;
        let (each, rest) = outcomes.split_at(without.len().min(outcomes.len()));
        let mut meta_latents: Vec<MetaLatentEffect> = without.iter().zip(each).map(effect).collect();
        let size = |of: &MetaLatentEffect| of.delta_logprob.abs();
        meta_latents.sort_by(|a, b| size(b).total_cmp(&size(a)).then(a.meta_latent.cmp(&b.meta_latent)));
        let random = rest.get(1..).unwrap_or_default();
        let control = ControlEffect::of(random);
        Ok(MetaEffects {
            latents: firing.iter().map(|(latent, _)| *latent).collect(),
            meta_latents,
            all_latents: rest.first().map(PartEffect::of).unwrap_or_default(),
            random: RandomEffect {
                norm: largest,
                delta_logprob: control.delta_logprob,
                kl: control.kl,
                kl_max: control.kl_max,
                directions: random.len(),
            },
            whole,
        })
    }
}

fn effect(((meta_latent, of), outcome): ((&u32, &Without), &Outcome)) -> MetaLatentEffect {
    MetaLatentEffect {
        meta_latent: *meta_latent,
        activation: of.activation,
        latents: of.rows.len(),
        delta_logprob: outcome.delta_logprob,
        delta_logit: outcome.delta_logit,
        kl: outcome.kl,
    }
}

/// What there is to run without each meta-latent.
fn taken_out(of: &Sae, meta: &Sae, firing: &[(u32, f32)], cancel: &Cancel) -> Result<TakenOut, sae::Error> {
    let (mut all, mut whole) = (BTreeMap::<u32, Without>::new(), Vec::new());
    for &(latent, amount) in firing {
        if of.decoder_norm(latent as usize)? == 0.0 {
            continue;
        }
        let parts = meta::breakdown(meta, of, latent as usize, cancel)?;
        for part in parts.components {
            let edit = [meta::Edit::Remove(part.meta_latent)];
            let Ok(row) = meta::edited(meta, of, latent as usize, &edit, cancel) else {
                whole.push((latent, part.meta_latent));
                continue;
            };
            let one = all.entry(part.meta_latent).or_default();
            one.activation += f64::from(amount) * f64::from(parts.norm) * f64::from(part.activation);
            one.rows.push((latent, amount, row.into()));
        }
    }
    Ok((all, whole))
}

/// ‖Σ w_i·(w′_i − w_i)‖, in the model's units.
fn change(of: &Sae, without: &Without) -> Result<f64, sae::Error> {
    let mut sum = vec![0.0f64; of.d_out()];
    for (latent, amount, to) in &without.rows {
        let row = of.decoder_row(*latent as usize)?;
        for ((sum, to), row) in sum.iter_mut().zip(&**to).zip(row.iter()) {
            *sum += f64::from(*amount) * (f64::from(*to) - f64::from(*row));
        }
    }
    Ok(sum.iter().map(|value| value * value).sum::<f64>().sqrt())
}
