//! Which head and which token made a latent fire in the prompt that was run last.
//! Not here: the arithmetic (`analysis::attribution`).

use crate::analysis::attribution::{AttentionCapture, Attribution};
use crate::analysis::live::Live;
use crate::analysis::tokens;
use crate::report::{Kind, Report};
use crate::sae::Codes;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query};
use crate::site::SiteKind;
use crate::suite::Suite;
use crate::task::Cancel;

/// Which heads and tokens of the prompt that was run last made a latent of an attention-z SAE fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributionQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latent.
    pub latent: u32,
    /// The position it is looked at.
    pub position: usize,
}

impl Query for AttributionQuery {
    type Answer = Attribution;
    const NAME: &'static str = "attribution";
    const PRIORITY: u8 = 30;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Attribution, Report> {
        let cancel = cx.cancel;
        cx.prompt()?.attribution((&self.sae, self.latent, Some(self.position)), cancel)
    }
}

impl PromptSession {
    /// Which heads and tokens made a latent fire.
    pub fn attribution(&mut self, asked: (&str, u32, Option<usize>), cancel: &Cancel) -> Result<Attribution, Report> {
        let counts = self.counts(self.live.ids());
        let (suite, live, attributor) = self.with::<Attributor>();
        attributor.attribute((suite, live, &counts), asked, cancel)
    }
}

/// What attention mixed at the position asked about last: another latent there costs no pass.
#[derive(Default)]
struct Attributor {
    /// The tokens up to the position.
    ids: Vec<u32>,
    mixture: Option<AttentionCapture>,
    /// What the SAEs have never seen in their z, where there is such a thing; read with the first mixture.
    value_bias: Option<Vec<f32>>,
}

/// Fails where an SAE does not read what attention mixes.
///
/// # Errors
/// That the site has neither heads nor sources.
pub fn check(suite: &Suite, sae: &str, latent: u32) -> Result<(), Report> {
    if suite.site.kind == SiteKind::AttnZ {
        return Ok(());
    }
    Err(Report::new(cannot(sae, latent))
        .because(format!(
            "suite `{}` reads {}; heads and sources can be separated at attn_z only",
            suite.id, suite.site
        ))
        .hint("`saescope suites` lists suites with their sites; gpt2-small-att-kk-5 is one on attn_z"))
}

fn cannot(sae: &str, latent: u32) -> String {
    format!("latent {latent} of SAE `{sae}` cannot be traced to heads and tokens")
}

impl Attributor {
    /// Where a latent's pre-activation at a position comes from; at the position where it fires most strongly when none
    /// is named. `counts`: which positions are the prompt's own.
    fn attribute(
        &mut self,
        (shared, live, counts): (&LoadedSuite, &Live, &[bool]),
        (sae, latent, position): (&str, u32, Option<usize>),
        cancel: &Cancel,
    ) -> Result<Attribution, Report> {
        let place = shared.place(sae)?;
        check(&shared.suite, sae, latent)?;
        let loaded = &shared.saes[place].sae;
        let of_sae = |error| failure::of_sae(cannot(sae, latent), &error);
        loaded.encoder_bias(latent as usize).map_err(of_sae)?;
        let (ids, codes) = (live.ids(), live.codes(place));
        if ids.is_empty() || codes.rows() != ids.len() {
            return Err(Report::new(cannot(sae, latent)).because("no prompt was run to its end"));
        }
        let position = match position {
            Some(position) if position < ids.len() => position,
            Some(position) => {
                let why = format!("there is no position {position}: the prompt has {} tokens, from 0", ids.len());
                return Err(Report::new(cannot(sae, latent)).because(why).kind(Kind::Usage));
            }
            None => strongest(codes, latent, counts).ok_or_else(|| {
                Report::new(cannot(sae, latent))
                    .because(format!("it fires on none of the prompt's {} tokens", ids.len()))
                    .hint("`--position P` says what keeps it from firing at position P")
            })?,
        };
        self.mix(shared, live, position, cancel).map_err(|error| failure::of_model(cannot(sae, latent), &error))?;
        let Some(mixture) = &self.mixture else {
            return Err(Report::new(cannot(sae, latent)).kind(Kind::Bug));
        };
        let tokens = tokens::views(&ids[..=position], &shared.model.tokenizer);
        let seen = (shared.suite.center, self.value_bias.as_deref());
        mixture.attribute(loaded, latent as usize, seen, activation(codes, position, latent), &tokens).map_err(of_sae)
    }

    /// Sees that what attention mixes at the position is known.
    fn mix(
        &mut self,
        shared: &LoadedSuite,
        live: &Live,
        position: usize,
        cancel: &Cancel,
    ) -> Result<(), crate::model::Error> {
        let (model, layer) = (&*shared.model.model, shared.suite.site.layer);
        if self.mixture.is_none() && shared.suite.fold_value_bias {
            self.value_bias = model.value_bias(layer)?;
        }
        let ids = &live.ids()[..=position];
        if self.mixture.is_none() || self.ids != ids {
            self.mixture = Some(AttentionCapture::at_last(model, layer, ids, live.cache().clone(), cancel)?);
            self.ids = ids.to_vec();
        }
        Ok(())
    }
}

/// The position where a latent fires most strongly, of those that count if it fires on any of them.
fn strongest(codes: &Codes, latent: u32, counts: &[bool]) -> Option<usize> {
    let key =
        |position: &usize| (counts.get(*position).copied().unwrap_or(false), activation(codes, *position, latent));
    let fires = |position: &usize| key(position).1 > 0.0;
    // From the end, so that of two that are alike the first is taken.
    let order = |a: &usize, b: &usize| key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1));
    (0..codes.rows()).rev().filter(fires).max_by(order)
}

fn activation(codes: &Codes, position: usize, latent: u32) -> f32 {
    let (latents, values) = codes.row(position);
    latents.iter().zip(values).find(|(at, _)| **at == latent).map_or(0.0, |(_, value)| *value)
}
