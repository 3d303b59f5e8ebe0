//! What a base prompt lacks to a source prompt put in, latent by latent, until it says what the source says.
//! Not here: the arithmetic (`analysis::swap`), and many pairs of prompts (`swap/template.rs`).

mod template;

use std::sync::Arc;

use crate::analysis::NextToken;
use crate::analysis::live::{self, Live};
use crate::analysis::swap::{
    Contribution, Exchange, Exchanged, ORDERS, SwapOrder, SwapPlan, SwapUnit, SwapView, differences, meta_units, units,
};
use crate::kernel;
use crate::report::{Kind, Report};
use crate::session::compare::{TwoPrompts, take};
use crate::session::effect::{said, target};
use crate::session::failure;
use crate::session::meta::Scope;
use crate::session::prompt::typed;
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query};
use crate::task::{Cancel, OnProgress};

pub use template::{SwapAccuracy, SwapRow, SwapTemplate, SwapTemplateQuery, SwapTemplateView};

const CANNOT: &str = "cannot exchange latents";

/// What a base prompt's position lacks to a source prompt's, put in latent by latent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SwapQuery {
    /// The prompt that is changed.
    pub base: String,
    /// The prompt that activations are taken from.
    pub source: String,
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE whose meta-latents are exchanged; latents otherwise.
    pub meta: Option<String>,
    /// The base's position, from 0, or from the end where it is negative, -1 being the last; the last otherwise.
    pub position: Option<isize>,
    /// The source's.
    pub source_position: Option<isize>,
    /// The text of the base's answer; the likeliest next token otherwise.
    pub token: Option<String>,
    /// The text of the source's answer; the likeliest next token otherwise.
    pub other: Option<String>,
    /// In which order.
    pub order: SwapOrder,
    /// Seed of the random orders.
    pub seed: u64,
}

impl Query for SwapQuery {
    type Answer = SwapView;
    const NAME: &'static str = "swap";
    const PRIORITY: u8 = 92;

    fn run(&self, cx: &mut Cx<'_>) -> Result<SwapView, Report> {
        let (cancel, progress) = (cx.cancel, cx.progress);
        kernel::awake(|| {
            let session = cx.session()?;
            let ends = session.prompt_mut()?.ends(self, cancel)?;
            let units = match &self.meta {
                None => session.prompt()?.latents(&ends)?,
                Some(meta) => session.scope(&self.sae, meta, cancel)?.meta_latents(&ends.differences, cancel)?,
            };
            session.prompt_mut()?.swap(self, ends, &units, cancel, progress)
        })
    }
}

/// The two ends of an interchange.
struct Ends {
    place: usize,
    position: usize,
    source_position: usize,
    /// The last position of the base.
    read: usize,
    token: NextToken,
    other: NextToken,
    /// Whether the model itself prefers the base's answer in the base, and the source's in the source.
    told: (bool, bool),
    differences: Vec<Contribution>,
    notes: Vec<String>,
}

impl PromptSession {
    /// Runs both prompts, and finds the answers and what differs.
    fn ends(&mut self, asked: &SwapQuery, cancel: &Cancel) -> Result<Ends, Report> {
        let suite = Arc::clone(self.shared());
        let model = &*suite.model.model;
        model.check_logits().map_err(|error| failure::of_model(CANNOT, &error))?;
        let place = suite.place(&asked.sae)?;
        let named = |text: &Option<String>| text.as_deref().map(|text| target(text, &suite)).transpose();
        let (token, other) = (named(&asked.token)?, named(&asked.other)?);
        let (_, _, two) = self.with::<TwoPrompts>();
        let (base, source) = two.both(&suite);
        let wrong = |error: live::Error| failure::of_run(&error);
        let mut notes = Vec::new();
        for (name, live, prompt) in [("base", &mut *base, &asked.base), ("source", &mut *source, &asked.source)] {
            let typed = typed(&suite.model, &suite.suite, prompt)?;
            if prompt.is_empty() || typed.ids.is_empty() {
                return Err(Report::new(CANNOT).because(format!("the {name} prompt is empty")).kind(Kind::Usage));
            }
            notes.extend(typed.notes.into_iter().filter(|note| !notes.contains(note)).collect::<Vec<_>>());
            take(live, &typed.ids, place, &suite, cancel).map_err(wrong)?;
        }
        let position = position("base", asked.position, base.ids().len())?;
        let source_position = self::position("source", asked.source_position, source.ids().len())?;
        let (read, end) = (base.ids().len() - 1, source.ids().len() - 1);
        let tokenizer = &suite.model.tokenizer;
        let answer = |live: &mut Live, at: usize, of: Option<u32>| -> Result<NextToken, Report> {
            let said = live.logits(&[at], model, cancel, |logits| said(logits, of, tokenizer)).map_err(wrong)?;
            said.ok_or_else(|| Report::new(CANNOT).because("the model has no logits here").kind(Kind::Bug))
        };
        let (token, other) = (answer(base, read, token)?, answer(source, end, other)?);
        if token.id == other.id {
            let why = format!("both answers are {:?}", token.text);
            return Err(Report::new(CANNOT).because(why).hint("name two with --token and --other").kind(Kind::Usage));
        }
        let told = (
            token.logprob > answer(base, read, Some(other.id))?.logprob,
            other.logprob > answer(source, end, Some(token.id))?.logprob,
        );
        let sae = &suite.saes[place].sae;
        let differences = differences((base, position), (source, source_position), place, sae);
        if differences.is_empty() {
            notes.push(format!("no latent of SAE `{}` differs between the two positions", asked.sae));
        }
        Ok(Ends { place, position, source_position, read, token, other, told, differences, notes })
    }

    /// Latents that can be exchanged.
    fn latents(&self, ends: &Ends) -> Result<Vec<SwapUnit>, Report> {
        let units = units(&ends.differences, &self.saes[ends.place].sae);
        units.map_err(|error| failure::of_sae(CANNOT, &error))
    }

    fn swap(
        &mut self,
        asked: &SwapQuery,
        mut ends: Ends,
        units: &[SwapUnit],
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<SwapView, Report> {
        let plan = SwapPlan { order: asked.order, random: (ORDERS, asked.seed) };
        let Exchanged { latents, curve, flips_at, whole, random } =
            self.exchange(&ends, units, plan, cancel, progress)?;
        if flips_at == Some(0) {
            ends.notes.push("the base prefers the other answer without any exchange".to_owned());
        }
        if !whole.flips {
            ends.notes
                .push("the whole activation exchanged does not flip the answer at this site and position".to_owned());
        }
        Ok(SwapView {
            sae: asked.sae.clone(),
            meta: asked.meta.clone(),
            position: ends.position,
            source_position: ends.source_position,
            token: ends.token,
            other: ends.other,
            order: asked.order,
            latents,
            curve,
            flips_at,
            whole,
            random,
            orders: ORDERS,
            notes: ends.notes,
        })
    }

    /// The interchange of two prompts that were run.
    fn exchange(
        &mut self,
        ends: &Ends,
        units: &[SwapUnit],
        plan: SwapPlan,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Exchanged, Report> {
        let suite = Arc::clone(self.shared());
        let model = &*suite.model.model;
        let (_, _, two) = self.with::<TwoPrompts>();
        let (base, source) = two.both(&suite);
        let whole = source.activation(ends.source_position, model, cancel);
        let whole = whole.map_err(|error| failure::of_model(CANNOT, &error))?;
        let exchange = Exchange {
            model,
            live: base,
            site: suite.suite.site,
            position: ends.position,
            read: ends.read,
            token: ends.token.id,
            other: ends.other.id,
        };
        let exchanged = exchange.run(units, &whole, plan, cancel, progress);
        exchanged.map_err(|error| failure::of_intervention(CANNOT, &error))
    }
}

impl Scope<'_> {
    /// Meta-latents that can be exchanged.
    fn meta_latents(&self, differences: &[Contribution], cancel: &Cancel) -> Result<Vec<SwapUnit>, Report> {
        let (meta, of) = self.pair();
        let units = meta_units(differences, of, meta, cancel);
        units.map_err(|error| failure::of_sae(self.cannot("take the differences apart"), &error))
    }
}

/// The position asked for, or the last.
fn position(of: &str, asked: Option<isize>, tokens: usize) -> Result<usize, Report> {
    let asked = asked.unwrap_or(-1);
    let at = if asked < 0 { tokens.checked_add_signed(asked) } else { usize::try_from(asked).ok() };
    at.filter(|at| *at < tokens).ok_or_else(|| {
        let why = format!("there is no position {asked}: the {of} prompt has {tokens} tokens, from 0");
        Report::new(CANNOT).because(why).kind(Kind::Usage)
    })
}
