//! `labels make --llm` and `labels score`: a model's words, and how often labels are right.
//! Not here: asking (`session`).

use crate::cli::answer::CommandLine;
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::labels::{to_read, watched, with_text};
use crate::cli::output::say;
use crate::report::{Kind, Report};
use crate::session::{Endpoint, Key, LabelCount, ModelAsked, ScoreRulesQuery, Session, WordsQuery};
use crate::suite::Suite;
use crate::task::Cancel;

/// The model that is to be asked, where one is.
pub fn endpoint(options: &args::LabelsModel) -> Result<Option<Endpoint>, Report> {
    let Some((url, model)) = options.llm.clone().zip(options.name.clone()) else { return Ok(None) };
    let key = options.key_env.as_ref().map(|name| {
        let value = std::env::var(name).ok().map(|value| value.trim().to_owned());
        let usable = value.filter(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()));
        usable.map(Key).ok_or_else(|| {
            Report::new("cannot ask a model")
                .because(format!("the environment variable `{name}` has no key that can be sent"))
                .hint(format!("export {name}=… with the key of the service"))
                .kind(Kind::Usage)
        })
    });
    Ok(Some(Endpoint { url, model, key: key.transpose()?, at_once: options.at_once.into() }))
}

/// Asks for words; what will be asked is said first.
pub fn make(
    session: &mut Session,
    options: &args::LabelsMake,
    endpoint: Endpoint,
    cancel: &Cancel,
) -> Result<LabelCount, Report> {
    let query = WordsQuery {
        sae: options.sae.clone(),
        latents: options.latent.clone(),
        limit: options.limit,
        texts: options.text.text.clone(),
        tokens: Some(options.text.tokens),
        endpoint,
        score: false,
        estimate: true,
    };
    asked(session, query, &options.model, cancel)
}

/// Measures labels that are kept.
pub fn score(
    context: &Context,
    session: &mut Session,
    suite: Suite,
    options: &args::LabelsScore,
    cancel: &Cancel,
) -> Result<LabelCount, Report> {
    let endpoint = endpoint(&options.model)?;
    to_read(context, session, suite, &options.sae, cancel)?;
    let Some(endpoint) = endpoint else {
        let query = ScoreRulesQuery {
            sae: options.sae.clone(),
            latents: options.latent.clone(),
            limit: options.limit,
            texts: options.text.text.clone(),
            tokens: Some(options.text.tokens),
        };
        return watched(session, &query, cancel);
    };
    let query = WordsQuery {
        sae: options.sae.clone(),
        latents: options.latent.clone(),
        limit: options.limit,
        texts: options.text.text.clone(),
        tokens: Some(options.text.tokens),
        endpoint,
        score: true,
        estimate: true,
    };
    asked(session, query, &options.model, cancel)
}

fn asked(
    session: &mut Session,
    estimate: WordsQuery,
    options: &args::LabelsModel,
    cancel: &Cancel,
) -> Result<LabelCount, Report> {
    let count = watched(session, &estimate, cancel)?;
    let before = count.asked.unwrap_or_default();
    say(&said(&before, &estimate.endpoint, options.price));
    if options.dry_run || before.requests == 0 {
        return Ok(count);
    }
    watched(session, &WordsQuery { estimate: false, ..estimate }, cancel)
}

/// What will be asked, and what it will cost.
fn said(asked: &ModelAsked, endpoint: &Endpoint, price: Option<(f64, f64)>) -> String {
    let ModelAsked { latents, requests, prompt_tokens, answer_tokens } = asked;
    let cost = price.map_or_else(String::new, |(of_in, of_out)| {
        let cost = (*prompt_tokens as f64 * of_in + *answer_tokens as f64 * of_out) / 1e6;
        format!(", at the price given about {cost:.2}")
    });
    format!(
        "{requests} requests to `{}` at {} about {latents} latents: about {prompt_tokens} tokens of requests and \
         {answer_tokens} of answers{cost}",
        endpoint.model, endpoint.url
    )
}

pub fn score_command(suite: &str, options: &args::LabelsScore) -> CommandLine {
    let line = with_model(CommandLine::new("labels score", suite).text("sae", &options.sae), &options.model);
    let line = options.latent.iter().fold(line, |line, latent| line.number("latent", latent));
    with_text(line, &options.text).maybe("limit", options.limit)
}

/// The model in a command line: the variable of the key, never the key.
pub fn with_model(line: CommandLine, options: &args::LabelsModel) -> CommandLine {
    let texts = [("llm", &options.llm), ("model", &options.name), ("key-env", &options.key_env)];
    let line = texts.into_iter().fold(line, |line, (name, value)| match value {
        Some(value) => line.text(name, value),
        None => line,
    });
    let line = if options.llm.is_some() { line.number("at-once", options.at_once) } else { line };
    line.flag("dry-run", options.dry_run)
}
