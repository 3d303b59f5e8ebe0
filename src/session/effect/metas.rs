//! What the meta-latents of latents that fire at a token of a prompt do to what the model says next.
//! Not here: the arithmetic (`analysis::effect`).

use std::sync::Arc;

use crate::analysis::MetaEffectView;
use crate::analysis::effect::{DIRECTIONS, SIGN, Subject};
use crate::kernel;
use crate::report::Report;
use crate::sae;
use crate::session::effect::{CANNOT, Target};
use crate::session::failure;
use crate::session::query::{Cx, Query};

/// What each meta-latent does that latents firing at a token are made of, measured by surgery: it is taken out of their
/// decoder rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaEffectQuery {
    /// The prompt.
    pub prompt: String,
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id, or its folder.
    pub meta: String,
    /// The latents whose rows are edited; all that fire where it is empty.
    pub latents: Vec<u32>,
    /// Where meta-latents are taken out, from 0; the last position otherwise.
    pub position: Option<usize>,
    /// Where the next token is read, there or behind; there otherwise.
    pub read: Option<usize>,
    /// The text of the token asked about; the likeliest otherwise.
    pub token: Option<String>,
    /// Seed of the random directions.
    pub seed: u64,
}

impl Query for MetaEffectQuery {
    type Answer = MetaEffectView;
    const NAME: &'static str = "effects of meta-latents";
    const PRIORITY: u8 = 105;

    fn run(&self, cx: &mut Cx<'_>) -> Result<MetaEffectView, Report> {
        let cancel = cx.cancel;
        kernel::awake(|| {
            let Self { prompt, sae, meta, latents, position, read, token, seed } = self;
            let session = cx.session()?;
            let room = session.prompt_mut()?;
            let suite = Arc::clone(room.shared());
            let saes = std::slice::from_ref(sae);
            let target = Target { prompt, saes, position: *position, read: *read, token: token.as_deref() };
            let mut ready = target.run(&suite, &mut room.live, cancel)?;
            let loaded = &suite.saes[ready.places[0]];
            let directions = sae::random_directions(DIRECTIONS, loaded.sae.d_in(), *seed);
            // The first half stands beside what is taken out; there is no error to stand beside.
            let directions = [directions.clone(), directions].concat();
            let subject = Subject { id: sae, place: ready.places[0], sae: &loaded.sae, directions: &directions };
            let scope = session.scope(sae, meta, cancel)?;
            let asked = ready.asked(&suite, scope.live());
            let found = asked.meta_effects(subject, scope.pair().0, latents, cancel);
            let found = found.map_err(|error| failure::of_intervention(CANNOT, &error))?;
            let mut notes = std::mem::take(&mut ready.notes);
            let at = ready.position;
            let silent = latents.iter().filter(|latent| !found.latents.contains(latent));
            notes.extend(silent.map(|latent| format!("latent {latent} of SAE `{sae}` does not fire at position {at}")));
            if latents.is_empty() && found.latents.is_empty() {
                notes.push(format!("no latent of SAE `{sae}` fires at position {at}"));
            }
            let whole = |(latent, meta): &(u32, u32)| {
                format!("nothing of latent {latent} is left without meta-latent {meta}: it was not taken out there")
            };
            notes.extend(found.whole.iter().map(whole));
            Ok(MetaEffectView {
                position: at,
                read: ready.read,
                token: ready.token,
                sign: SIGN,
                sae: sae.clone(),
                meta: meta.clone(),
                latents: found.latents,
                meta_latents: found.meta_latents,
                all_latents: found.all_latents,
                random: found.random,
                notes,
            })
        })
    }
}
