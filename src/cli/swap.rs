//! `saescope swap`: latents of one prompt exchanged for those of another.
//! Not here: exchanging them (`analysis::swap`).

use std::fmt::Write as _;

use crate::analysis::{SwapOrder, SwapView};
use crate::cli::answer::{Answer, CommandLine};
use crate::cli::args;
use crate::cli::context::{Context, open};
use crate::cli::output::Output;
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::{Kind, Report};
use crate::session::{LoadScope, OpenRequest, Query, SwapQuery, SwapTemplate, SwapTemplateQuery, SwapTemplateView};
use crate::text::{Charset, prose, token};

/// Latents that are printed for a person.
const TOP: usize = 20;

pub fn swap(context: &Context, options: &args::Swap, output: &Output) -> Result<u8, Report> {
    if context.reach != LoadScope::Whole {
        return Err(Report::new("cannot exchange latents without the whole model")
            .hint("leave out --weights-only and --no-predictions")
            .kind(Kind::Usage));
    }
    let order = match options.order {
        args::SwapOrder::Effect => SwapOrder::Effect,
        args::SwapOrder::Difference => SwapOrder::Difference,
    };
    let (sae, meta, seed) = (options.sae.clone(), options.meta.clone(), options.seed);
    if let Some(path) = &options.template {
        let template = SwapTemplate::read(path)?;
        let query = SwapTemplateQuery { template, sae, meta, positions: options.position, order, seed };
        return answer(context, options, &query, output, table);
    }
    let (base, source) = (options.base.clone().unwrap_or_default(), options.source.clone().unwrap_or_default());
    let (position, source_position) = options.position.unzip();
    let (token, other) = (options.token.clone(), options.other.clone());
    let query = SwapQuery { base, source, sae, meta, position, source_position, token, other, order, seed };
    answer(context, options, &query, output, words)
}

/// Opens the suite, asks and prints.
fn answer<Q: Query<Answer: serde::Serialize>>(
    context: &Context,
    options: &args::Swap,
    query: &Q,
    output: &Output,
    words: fn(&Q::Answer) -> String,
) -> Result<u8, Report> {
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    let (name, cancel) = (suite.name.clone(), cancel_on_interrupt());
    let saes = [options.sae.clone()];
    open(&mut session, OpenRequest { suite, saes: &saes, reach: LoadScope::Whole, words: false }, &cancel)?;
    let line = Line::new();
    let view = session.ask(query, &cancel, &|so_far| line.show(&so_far));
    line.end();
    let view = view?;
    if !output.is_json() {
        return Output::text(&words(&view)).map(|()| 0);
    }
    let versions = session.versions(&saes, &cancel)?;
    Output::object(&Answer { view: &view, command: command(&name, options), versions }).map(|()| 0)
}

/// The command line that gives the same again.
fn command(suite: &str, options: &args::Swap) -> String {
    let mut line = CommandLine::new("swap", suite).text("sae", &options.sae);
    for (name, text) in [
        ("base", &options.base),
        ("source", &options.source),
        ("token", &options.token),
        ("other", &options.other),
        ("meta", &options.meta),
    ] {
        line = text.iter().fold(line, |line, text| line.text(name, text));
    }
    line = options.template.iter().fold(line, |line, path| line.text("template", &path.to_string_lossy()));
    let order = if options.order == args::SwapOrder::Effect { "effect" } else { "difference" };
    let positions = options.position.map(|(base, source)| format!("{base},{source}"));
    line.maybe("position", positions).number("order", order).number("seed", options.seed).json()
}

fn words(view: &SwapView) -> String {
    let shown = |text: &str| token(text, Charset::Unicode);
    let (token, other) = (shown(&view.token.text), shown(&view.other.text));
    let of = if view.meta.is_some() { "meta-latent" } else { "latent" };
    let mut text = format!(
        "base position {}, source position {}: {token} {:.4} in the base, {other} {:.4} in the source\n\n\
         {:>4} {of:>11} {:>10} {:>10} {:>10} {:>12} {:>12}\n",
        view.position,
        view.source_position,
        view.token.logprob,
        view.other.logprob,
        "k",
        "base",
        "source",
        "alone",
        token,
        other
    );
    for (point, latent) in view.curve.iter().zip([None].into_iter().chain(view.latents.iter().map(Some))).take(TOP + 1)
    {
        let (token, other) = (point.logprob_token, point.logprob_other);
        // Writing to a string does not fail, here and below.
        let _ = match latent {
            None => writeln!(text, "{:>4} {:>44} {token:>12.4} {other:>12.4}", point.k, ""),
            Some(of) => writeln!(
                text,
                "{:>4} {:>11} {:>10.3} {:>10.3} {:>+10.4} {token:>12.4} {other:>12.4}",
                point.k, of.latent, of.base, of.source, of.effect
            ),
        };
    }
    let (whole, all) = (&view.whole, view.latents.len());
    let _ = writeln!(text, "{:>16} {:>32} {:>12.4} {:>12.4}", "whole", "", whole.logprob_token, whole.logprob_other);
    for random in &view.random {
        let (token, other) = (random.logprob_token, random.logprob_other);
        let flips = format!("{:.0} % flip", 100.0 * random.flips);
        let _ = writeln!(text, "{:>4} {:>11} {flips:>32} {token:>12.4} {other:>12.4}", random.k, "random");
    }
    let _ = match view.flips_at {
        Some(k) => writeln!(text, "{k} of {all} {of}s flip the answer"),
        None => writeln!(text, "all {all} {of}s do not flip the answer"),
    };
    notes(&mut text, &view.notes);
    text
}

fn table(view: &SwapTemplateView) -> String {
    let mut text = format!(
        "{} pairs of {}; {} left out, whose answers the model does not give\n\n{:>5} {:>9} {:>17} {:>9}\n",
        view.pairs,
        prose(&view.prompt, Charset::Unicode),
        view.left_out,
        "k",
        "accuracy",
        "95 % interval",
        "random"
    );
    for of in &view.accuracy {
        let interval = format!("{:.3} to {:.3}", of.low, of.high);
        let _ = writeln!(text, "{:>5} {:>9.3} {interval:>17} {:>9.3}", of.k, of.share, of.random);
    }
    let _ = writeln!(text, "{:>5} {:>9.3}", "whole", view.whole);
    notes(&mut text, &view.notes);
    text
}

fn notes(text: &mut String, notes: &[String]) {
    for note in notes {
        let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
    }
}
