//! `saescope lens`: what a token, a latent or a meta-latent says by the logit lens and a Jacobian lens; and fitting one.
//! Not here: reading it (`analysis::lens`).

use std::fmt::Write as _;

use serde::Serialize;

use crate::analysis::{LensView, NextToken, TokenValue};
use crate::cli::answer::{Answer, CommandLine};
use crate::cli::args;
use crate::cli::context::{Context, open};
use crate::cli::output::Output;
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::device::DeviceName;
use crate::report::{Kind, Report};
use crate::session::{
    ComputeDevice, LensFile, LensFitted, LensOf, LensQuery, LensRecipe, LoadScope, OpenRequest, Query, Session,
};
use crate::text::{Charset, prose, token};

/// Tokens of a block that are printed for a person.
const ACROSS: usize = 4;

pub fn lens(context: &Context, options: &args::Lens, output: &Output) -> Result<u8, Report> {
    if let Some(args::LensCommand::Fit(options)) = &options.command {
        return fit(context, options, output);
    }
    let of = match (&options.sae, &options.prompt, options.latent, &options.meta, options.meta_latent) {
        (_, Some(prompt), ..) => LensOf::Prompt { prompt: prompt.clone(), position: options.at },
        (Some(sae), _, _, Some(meta), Some(meta_latent)) => {
            LensOf::MetaLatent { sae: sae.clone(), meta: meta.clone(), meta_latent }
        }
        (Some(sae), _, Some(latent), ..) => LensOf::Latent { sae: sae.clone(), latent },
        _ => {
            return Err(Report::new("nothing to read through a lens")
                .hint("--prompt TEXT, --sae ID --latent N, or --sae ID --meta ID --meta-latent M")
                .kind(Kind::Usage));
        }
    };
    let jacobian = options.jacobian.as_ref().map(|path| match path.to_str() {
        Some("auto") => LensFile::Hub,
        _ => LensFile::File(path.clone()),
    });
    let query = LensQuery { of, jacobian, top: options.top as usize };
    let (session, view, name) = ask(context, &query, options.sae.as_slice(), context.setup.compute_device.clone())?;
    if !output.is_json() {
        return Output::text(&words(&view)).map(|()| 0);
    }
    let versions = session.versions(options.sae.as_slice(), &cancel_on_interrupt())?;
    Output::object(&Answer { view: &view, command: command(&name, options), versions }).map(|()| 0)
}

/// Opens the suite with the whole model, and asks.
fn ask<Q: Query<Answer: Serialize>>(
    context: &Context,
    query: &Q,
    saes: &[String],
    device: ComputeDevice,
) -> Result<(Session, Q::Answer, String), Report> {
    if context.reach != LoadScope::Whole {
        return Err(Report::new("a lens needs the whole model")
            .hint("leave out --weights-only and --no-predictions")
            .kind(Kind::Usage));
    }
    let mut setup = context.setup.clone();
    setup.compute_device = device;
    let mut session = Session::new(setup);
    let suite = session.suite(&context.settings.suite)?;
    let (name, cancel) = (suite.name.clone(), cancel_on_interrupt());
    open(&mut session, OpenRequest { suite, saes, reach: LoadScope::Whole, words: true }, &cancel)?;
    let line = Line::new();
    let view = session.ask(query, &cancel, &|so_far| line.show(&so_far));
    line.end();
    Ok((session, view?, name))
}

fn fit(context: &Context, options: &args::LensFit, output: &Output) -> Result<u8, Report> {
    let recipe = LensRecipe { prompts: options.prompts.into(), out: options.out.clone() };
    // Backward passes are candle's, whose tensors the CPU's own path does not use.
    let device = match context.settings.device {
        DeviceName::Cpu => ComputeDevice::new(DeviceName::StandIn),
        _ => context.setup.compute_device.clone(),
    };
    let (session, view, name) = ask(context, &recipe, &[], device)?;
    let LensFitted { out, source_layers, prompts, seconds, notes, .. } = &view;
    if !output.is_json() {
        let mut text = format!(
            "{} blocks on {prompts} prompts in {seconds:.1} s: {}\n",
            source_layers.len(),
            prose(&out.to_string_lossy(), Charset::Unicode)
        );
        add_notes(&mut text, notes);
        return Output::text(&text).map(|()| 0);
    }
    let line = CommandLine::new("lens fit", &name);
    let line = context.setup.text.iter().fold(line, |line, text| line.text("text", &text.to_string_lossy()));
    let command = line.number("prompts", options.prompts).text("out", &options.out.to_string_lossy()).json();
    let versions = session.versions(&[], &cancel_on_interrupt())?;
    Output::object(&Answer { view: &view, command, versions }).map(|()| 0)
}

/// The command line that gives the same again.
fn command(suite: &str, options: &args::Lens) -> String {
    let mut line = CommandLine::new("lens", suite);
    for (name, text) in [("sae", &options.sae), ("meta", &options.meta), ("prompt", &options.prompt)] {
        line = text.iter().fold(line, |line, text| line.text(name, text));
    }
    line = line.maybe("latent", options.latent).maybe("meta-latent", options.meta_latent).maybe("at", options.at);
    let jacobian = options.jacobian.iter();
    jacobian.fold(line, |line, path| line.text("jacobian", &path.to_string_lossy())).number("top", options.top).json()
}

fn words(view: &LensView) -> String {
    let mut text = String::new();
    if let Some(jacobian) = &view.jacobian {
        let on = jacobian.prompts.map_or_else(String::new, |prompts| format!(", fitted on {prompts} prompts"));
        // Writing to a string does not fail, here and below.
        let _ = writeln!(text, "Jacobian lens {}{on}", prose(&jacobian.source, Charset::Unicode));
    }
    match &view.token {
        Some(of) => {
            let _ =
                writeln!(text, "{} {}: what each block would say next", of.position, token(&of.text, Charset::Unicode));
        }
        None => {
            let _ = writeln!(text, "{}: what it promotes", prose(&view.of, Charset::Unicode));
        }
    }
    for layer in &view.layers {
        let _ = writeln!(text, "{:>5}  {}", layer.layer, likeliest(&layer.next));
        if let Some(jacobian) = &layer.jacobian {
            let _ = writeln!(text, "{:>5}  {}", "J", likeliest(jacobian));
        }
    }
    let moved = view.jacobian.as_ref().map(|jacobian| &jacobian.tokens).filter(|tokens| !tokens.is_empty());
    for (at, value) in view.logit.iter().enumerate() {
        let beside = moved.and_then(|tokens| tokens.get(at)).map_or_else(String::new, promoted);
        let _ = writeln!(text, "  {:<28}{beside}", promoted(value));
    }
    add_notes(&mut text, &view.notes);
    text
}

fn promoted(value: &TokenValue) -> String {
    format!("{:>9.4} {}", value.value, token(&value.text, Charset::Unicode))
}

fn likeliest(next: &[NextToken]) -> String {
    let one = |next: &NextToken| format!("{:<16}{:>8.3}", token(&next.text, Charset::Unicode), next.logprob);
    next.iter().take(ACROSS).map(one).collect::<Vec<_>>().join("  ")
}

fn add_notes(text: &mut String, notes: &[String]) {
    for note in notes {
        let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
    }
}
