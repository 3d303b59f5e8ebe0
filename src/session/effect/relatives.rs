//! The parents and children of a latent among those that fire at a token, and what they do.
//! Not here: measuring it (`effect.rs`), and relatives that do not fire (`family.rs`).

use crate::analysis::effect::{EffectView, LatentEffect, RelativeEffect, SaeEffect};
use crate::analysis::intervention::LatentId;
use crate::analysis::{Relation, card};
use crate::report::Report;
use crate::sae;
use crate::session::effect::{CANNOT, EffectQuery};
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::prompt_session::PromptSession;
use crate::task::{Cancel, OnProgress};

/// What was measured last: another latent's relatives are found in it.
#[derive(Default)]
struct Measured(Option<(EffectQuery, EffectView)>);

impl PromptSession {
    /// What latents do, and among them the relatives of one.
    pub(super) fn effect_with_relatives(
        &mut self,
        asked: &EffectQuery,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<EffectView, Report> {
        let Some(of) = &asked.relatives_of else { return self.effect(asked, cancel, progress) };
        let own = self.place(&of.sae)?;
        let row = self.saes[own].sae.decoder_row(of.latent as usize).map(drop);
        row.map_err(|error| failure::of_sae(CANNOT, &error))?;
        let plain = EffectQuery { relatives_of: None, ..asked.clone() };
        let known = self.with::<Measured>().2.0.as_ref().filter(|(query, _)| *query == plain);
        let mut view = if let Some((_, view)) = known {
            view.clone()
        } else {
            let view = self.effect(&plain, cancel, progress)?;
            self.with::<Measured>().2.0 = Some((plain, view.clone()));
            view
        };
        let found = view.saes.iter().map(|sae| self.relatives(of, own, sae));
        let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| failure::of_sae(CANNOT, &error))?;
        view.relatives = Some(found.into_iter().flatten().collect());
        Ok(view)
    }
}

impl LoadedSuite {
    /// The relatives of a latent among those that fire in an SAE: in a narrower one those with a cosine of at least the
    /// suite's threshold, or the nearest of all where none is so near; in a wider one those whose nearest the latent is.
    fn relatives(&self, of: &LatentId, own: usize, firing: &SaeEffect) -> Result<Vec<RelativeEffect>, sae::Error> {
        let Some(place) =
            self.saes.iter().position(|loaded| loaded.entry.id == firing.id).filter(|place| *place != own)
        else {
            return Ok(Vec::new());
        };
        let (own_sae, sae) = (&self.saes[own].sae, &self.saes[place].sae);
        let relative = |relation, cosine, effect: &LatentEffect| RelativeEffect {
            sae: firing.id.clone(),
            relation,
            cosine,
            effect: *effect,
        };
        if place < own {
            let near = card::near(own_sae, of.latent as usize, sae, firing.latents.len().max(1))?;
            let threshold = self.suite.threshold;
            let many = near.iter().take_while(|near| near.cosine >= threshold).count().max(1);
            let parents = &near[..many.min(near.len())];
            let cosine = |effect: &LatentEffect| parents.iter().find(|near| near.latent == effect.latent);
            let found = firing.latents.iter().filter_map(|effect| Some((effect, cosine(effect)?.cosine)));
            return Ok(found.map(|(effect, cosine)| relative(Relation::Parent, cosine, effect)).collect());
        }
        let mut children = Vec::new();
        for effect in &firing.latents {
            let near = card::near(sae, effect.latent as usize, own_sae, 1)?;
            if let Some(near) = near.first().filter(|near| near.latent == of.latent) {
                children.push(relative(Relation::Child, near.cosine, effect));
            }
        }
        Ok(children)
    }
}
