//! What the latents that fire at a token of a prompt do to what the model says next.
//! Not here: the arithmetic (`analysis::effect`).

mod grid;
mod metas;
mod relatives;

use std::sync::Arc;

use crate::analysis::effect::{Asked, DIRECTIONS, EffectView, SIGN, Subject};
use crate::analysis::intervention::LatentId;
use crate::analysis::live::{self, Live};
use crate::analysis::{NextToken, tokens};
use crate::kernel;
use crate::model::{self, Tokenizer};
use crate::report::{Kind, Report};
use crate::sae;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::prompt::{Typed, typed};
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query, Slot};
use crate::site::SiteKind;
use crate::task::{Cancel, OnProgress};
use crate::text::{Charset, prose, token};

pub use grid::{GRID_POSITIONS, GridQuery};
pub use metas::MetaEffectQuery;

const CANNOT: &str = "cannot measure what latents do";

/// What each latent that fires at a token does to what the model says next, measured by taking it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectQuery {
    /// The prompt.
    pub prompt: String,
    /// The SAEs' ids; all that are loaded where it is empty.
    pub saes: Vec<String>,
    /// Where latents are taken out, from 0; the last position otherwise.
    pub position: Option<usize>,
    /// Where the next token is read, there or behind; there otherwise.
    pub read: Option<usize>,
    /// The text of the token asked about; the likeliest otherwise.
    pub token: Option<String>,
    /// A latent of one of the SAEs, whose parents and children in the others are wanted.
    pub relatives_of: Option<LatentId>,
    /// Seed of the random directions.
    pub seed: u64,
}

impl Query for EffectQuery {
    type Answer = EffectView;
    const NAME: &'static str = "effect";
    const PRIORITY: u8 = 95;

    fn run(&self, cx: &mut Cx<'_>) -> Result<EffectView, Report> {
        let (cancel, progress) = (cx.cancel, cx.progress);
        kernel::awake(|| cx.prompt()?.effect_with_relatives(self, cancel, progress))
    }

    fn slot(&self) -> Slot {
        if self.saes.len() == 1 { Self::NAME } else { "effects by width" }
    }

    fn priority(&self) -> u8 {
        Self::PRIORITY - 2 * u8::from(self.saes.len() != 1)
    }
}

/// What is asked of which prompt.
struct Target<'a> {
    prompt: &'a str,
    saes: &'a [String],
    /// Where latents are taken out; the last position otherwise.
    position: Option<usize>,
    /// Where the next token is read; there otherwise.
    read: Option<usize>,
    token: Option<&'a str>,
}

/// A prompt, run to its end and encoded.
struct Ready {
    /// The SAEs' places in the ladder.
    places: Vec<usize>,
    position: usize,
    read: usize,
    token: NextToken,
    notes: Vec<String>,
}

impl Target<'_> {
    /// Runs the prompt, where it was not run before, and finds the token.
    fn run(&self, suite: &LoadedSuite, live: &mut Live, cancel: &Cancel) -> Result<Ready, Report> {
        let Typed { ids, notes } = typed(&suite.model, &suite.suite, self.prompt)?;
        let model = &*suite.model.model;
        model.check_logits().map_err(|error| failure::of_model(CANNOT, &error))?;
        let (position, read) = positions(self, ids.len())?;
        let places = match self.saes {
            [] => (0..suite.saes.len()).collect(),
            ids => ids.iter().map(|id| suite.place(id)).collect::<Result<Vec<usize>, _>>()?,
        };
        let named = self.token.map(|text| target(text, suite)).transpose()?;
        let wrong = |error: live::Error| failure::of_run(&error);
        if live.ids() != ids {
            live.forward(&ids, model, cancel).map_err(wrong)?;
        }
        for place in &places {
            let loaded = &suite.saes[*place];
            live.encode(*place, &loaded.entry.id, &loaded.sae, cancel).map_err(wrong)?;
        }
        let said = live.logits(&[read], model, cancel, |logits| said(logits, named, &suite.model.tokenizer));
        let Some(token) = said.map_err(wrong)? else {
            return Err(Report::new(CANNOT).because("the model has no logits here").kind(Kind::Bug));
        };
        Ok(Ready { places, position, read, token, notes })
    }
}

impl Ready {
    /// The question about the prompt.
    fn asked<'a>(&self, suite: &'a LoadedSuite, live: &'a Live) -> Asked<'a> {
        Asked {
            model: &*suite.model.model,
            live,
            site: suite.suite.site,
            center: suite.suite.center,
            position: self.position,
            read: self.read,
            token: self.token.id,
            words: None,
        }
    }

    /// The SAEs, each with its random directions.
    fn subjects<'a>(&self, suite: &'a LoadedSuite, directions: &'a [Vec<f32>]) -> Vec<Subject<'a>> {
        let subject = |(place, directions): (&usize, &'a Vec<f32>)| {
            let loaded = &suite.saes[*place];
            Subject { id: &loaded.entry.id, place: *place, sae: &loaded.sae, directions }
        };
        self.places.iter().zip(directions).map(subject).collect()
    }
}

impl PromptSession {
    fn effect(&mut self, asked: &EffectQuery, cancel: &Cancel, progress: OnProgress<'_>) -> Result<EffectView, Report> {
        let suite = Arc::clone(self.shared());
        let EffectQuery { prompt, saes, position, read, token, relatives_of: _, seed } = asked;
        let target = Target { prompt, saes, position: *position, read: *read, token: token.as_deref() };
        let mut ready = target.run(&suite, &mut self.live, cancel)?;
        let size = |place: &usize| suite.saes[*place].sae.d_in();
        let draw = |place: &usize| sae::random_directions(2 * DIRECTIONS, size(place), *seed);
        let directions: Vec<Vec<f32>> = ready.places.iter().map(draw).collect();
        let words = direct_words(&suite).map_err(|error| failure::of_model(CANNOT, &error))?;
        let question = Asked { words, ..ready.asked(&suite, &self.live) };
        let saes = question.effects(&ready.subjects(&suite, &directions), cancel, progress);
        let saes = saes.map_err(|error| failure::of_intervention(CANNOT, &error))?;
        let (position, read, mut notes) = (ready.position, ready.read, std::mem::take(&mut ready.notes));
        for sae in saes.iter().filter(|sae| sae.latents.is_empty()) {
            notes.push(format!("no latent of SAE `{}` fires at position {position}", sae.id));
        }
        if words.is_none() && read == position {
            notes.push("a norm stands behind the heads' output, so there is no direct path".to_owned());
        }
        Ok(EffectView { position, read, token: ready.token, sign: SIGN, saes, relatives: None, notes })
    }
}

/// Where latents are taken out and where the next token is read, in a prompt of so many tokens.
fn positions(asked: &Target<'_>, tokens: usize) -> Result<(usize, usize), Report> {
    let Some(last) = tokens.checked_sub(1) else {
        return Err(failure::of_model(CANNOT, &model::Error::Empty));
    };
    let position = asked.position.unwrap_or(last);
    let read = asked.read.unwrap_or(position);
    for at in [position, read] {
        if at > last {
            let why = format!("there is no position {at}: the prompt has {tokens} tokens, from 0");
            return Err(Report::new(CANNOT).because(why).kind(Kind::Usage));
        }
    }
    if read < position {
        let why = format!("what is taken out at position {position} changes nothing at position {read} before it");
        return Err(Report::new(CANNOT).because(why).hint("read at that position or behind it").kind(Kind::Usage));
    }
    Ok((position, read))
}

/// The token of a text.
pub fn target(text: &str, suite: &LoadedSuite) -> Result<u32, Report> {
    let model::Loaded { model, tokenizer } = &suite.model;
    let what = || format!("cannot ask about the token {text:?}");
    let rows = model.shape().vocab;
    if let Some(id) = tokenizer.id_of(text).filter(|id| (*id as usize) < rows) {
        return Ok(id);
    }
    let ids = tokenizer.encode(text).map_err(|error| failure::of_model(what(), &error))?;
    match &ids[..] {
        [] => Err(Report::new(what()).because("the text is empty").kind(Kind::Usage)),
        [one] => Ok(*one),
        many => {
            let shown: Vec<String> = many
                .iter()
                .map(|id| format!("`{}`", token(&tokens::shown(*id, tokenizer), Charset::Unicode)))
                .collect();
            let report = Report::new(what()).because(format!("it is {} tokens: {}", many.len(), shown.join(", ")));
            let spaced = format!(" {}", text.trim_start());
            let report = report.kind(Kind::Usage);
            Err(match tokenizer.id_of(&spaced) {
                Some(_) if spaced != text => report
                    .hint(format!("with a space before it, it is one: --token '{}'", prose(&spaced, Charset::Unicode))),
                _ => report.hint("name one token, for example the first of these"),
            })
        }
    }
}

/// The token asked about as the model has it; the likeliest where none was named.
pub fn said(logits: &[f32], named: Option<u32>, tokenizer: &Tokenizer) -> Option<NextToken> {
    let Some(id) = named else { return tokens::likeliest(logits, 1, tokenizer).pop() };
    let logit = f64::from(*logits.get(id as usize)?);
    let logprob = (logit - tokens::log_sum_exp(logits)) as f32;
    Some(NextToken { id, text: tokens::shown(id, tokenizer), logprob })
}

/// What turns directions of the site into words, where that is linear: not through a norm behind the heads' output.
fn direct_words(suite: &LoadedSuite) -> Result<Option<crate::analysis::card::LogitLens<'_>>, model::Error> {
    let site = suite.suite.site;
    if site.kind == SiteKind::AttnZ && suite.model.model.norms_heads(site.layer)? {
        return Ok(None);
    }
    Ok(suite.words())
}
