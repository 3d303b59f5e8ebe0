//! What the latents that fire at a token of a prompt do to what the model says next.
//! Not here: the arithmetic (`analysis::effect`).

use std::sync::Arc;

use crate::analysis::effect::{Asked, DIRECTIONS, EffectView, SIGN, Subject};
use crate::analysis::{NextToken, live, tokens};
use crate::kernel;
use crate::model::{self, Tokenizer};
use crate::report::{Kind, Report};
use crate::sae;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::prompt::Typed;
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query};
use crate::site::SiteKind;
use crate::task::{Cancel, OnProgress};
use crate::text::{Charset, prose, token};

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
    /// Seed of the random directions.
    pub seed: u64,
}

impl Query for EffectQuery {
    type Answer = EffectView;
    const NAME: &'static str = "effect";
    const PRIORITY: u8 = 95;

    fn run(&self, cx: &mut Cx<'_>) -> Result<EffectView, Report> {
        let (cancel, progress) = (cx.cancel, cx.progress);
        kernel::awake(|| cx.prompt()?.effect(self, cancel, progress))
    }
}

impl PromptSession {
    fn effect(&mut self, asked: &EffectQuery, cancel: &Cancel, progress: OnProgress<'_>) -> Result<EffectView, Report> {
        let Typed { ids, mut notes } = self.typed(&asked.prompt)?;
        let suite = Arc::clone(self.shared());
        let model = &*suite.model.model;
        let of_model = |error: &model::Error| failure::of_model(CANNOT, error);
        model.check_logits().map_err(|error| of_model(&error))?;
        let (position, read) = positions(asked, ids.len())?;
        let places = match &asked.saes[..] {
            [] => (0..suite.saes.len()).collect(),
            ids => ids.iter().map(|id| suite.place(id)).collect::<Result<Vec<usize>, _>>()?,
        };
        let named = asked.token.as_deref().map(|text| target(text, &suite)).transpose()?;
        let wrong = |error: live::Error| failure::of_run(&error);
        if self.live.ids() != ids {
            self.live.forward(&ids, model, cancel).map_err(wrong)?;
        }
        for place in &places {
            let loaded = &suite.saes[*place];
            self.live.encode(*place, &loaded.entry.id, &loaded.sae, cancel).map_err(wrong)?;
        }
        let tokenizer = &suite.model.tokenizer;
        let said = self.live.logits(&[read], model, cancel, |logits| said(logits, named, tokenizer));
        let Some(token) = said.map_err(wrong)? else {
            return Err(Report::new(CANNOT).because("the model has no logits here").kind(Kind::Bug));
        };
        let directions: Vec<Vec<f32>> = places
            .iter()
            .map(|place| sae::random_directions(2 * DIRECTIONS, suite.saes[*place].sae.d_in(), asked.seed))
            .collect();
        let subjects: Vec<Subject<'_>> = places
            .iter()
            .zip(&directions)
            .map(|(place, directions)| {
                let loaded = &suite.saes[*place];
                Subject { id: &loaded.entry.id, place: *place, sae: &loaded.sae, directions }
            })
            .collect();
        let words = direct_words(&suite).map_err(|error| of_model(&error))?;
        let question = Asked {
            model,
            live: &self.live,
            site: suite.suite.site,
            center: suite.suite.center,
            position,
            read,
            token: token.id,
            words,
        };
        let saes = question.effects(&subjects, cancel, progress);
        let saes = saes.map_err(|error| failure::of_intervention(CANNOT, &error))?;
        for sae in saes.iter().filter(|sae| sae.latents.is_empty()) {
            notes.push(format!("no latent of SAE `{}` fires at position {position}", sae.id));
        }
        if words.is_none() && read == position {
            notes.push("a norm stands behind the heads' output, so there is no direct path".to_owned());
        }
        Ok(EffectView { position, read, token, sign: SIGN, saes, notes })
    }
}

/// Where latents are taken out and where the next token is read, in a prompt of so many tokens.
fn positions(asked: &EffectQuery, tokens: usize) -> Result<(usize, usize), Report> {
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
