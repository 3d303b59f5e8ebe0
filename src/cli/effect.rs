//! `saescope effect`: what each latent that fires at a token does to what the model says next.
//! Not here: measuring it (`analysis::effect`).

mod grid;
mod metas;

use std::fmt::Write as _;

use serde::Serialize;

use crate::analysis::{EffectView, LatentEffect, Relation, SaeEffect};
use crate::cli::answer::{Answer, CommandLine};
use crate::cli::args::{self, EffectAt};
use crate::cli::context::{Context, open};
use crate::cli::output::Output;
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::{Kind, Report};
use crate::session::{EffectQuery, LoadScope, OpenRequest, RunOptions};
use crate::text::{Charset, prose, token};

/// Latents of an SAE that are printed for a person where nothing else is said.
const TOP: usize = 20;

pub fn effect(context: &Context, options: &args::Effect, output: &Output) -> Result<u8, Report> {
    if context.reach != LoadScope::Whole {
        return Err(Report::new("cannot measure what latents do without the whole model")
            .hint("leave out --weights-only and --no-predictions")
            .kind(Kind::Usage));
    }
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    let name = suite.name.clone();
    let cancel = cancel_on_interrupt();
    open(&mut session, OpenRequest { suite, saes: &options.sae, reach: LoadScope::Whole, words: true }, &cancel)?;
    let run = session.run(&options.prompt, &RunOptions::default(), &cancel)?;
    if let Some(meta) = &options.meta {
        return metas::metas(&mut session, (&name, options, meta), &run, &cancel, output);
    }
    let at = match options.at {
        Some(EffectAt::All) => return grid::grid(&mut session, (&name, options), &run, &cancel, output),
        Some(EffectAt::One(at)) => Some(at),
        None => None,
    };
    if options.positions.is_some() {
        return Err(Report::new("--positions needs --at all").kind(Kind::Usage));
    }
    let query = EffectQuery {
        prompt: options.prompt.clone(),
        saes: options.sae.clone(),
        position: at,
        read: options.read,
        token: options.token.clone(),
        relatives_of: options.relatives_of.clone(),
        seed: options.seed,
    };
    let line = Line::new();
    let view = session.ask(&query, &cancel, &|so_far| line.show(&so_far));
    line.end();
    let mut view = view?;
    let notes = run.notes.into_iter().filter(|note| !view.notes.contains(note)).collect::<Vec<_>>();
    view.notes.splice(0..0, notes);
    only(&mut view, &options.latent);
    let top = options.top.map(|top| top as usize);
    if output.is_json() {
        cut(&mut view, top);
        let (one, several) = (view.saes.first(), view.saes.len() > 1);
        let effects = Effects { view: &view, one: one.filter(|_| !several) };
        let versions = session.versions(&options.sae, &cancel)?;
        let answer =
            Answer { view: &effects, command: command(&name, options).number("seed", options.seed).json(), versions };
        return Output::object(&answer).map(|()| 0);
    }
    cut(&mut view, top.or(Some(TOP)));
    let at = |position: usize| run.tokens.get(position).map(|of| token(&of.text, Charset::Unicode)).unwrap_or_default();
    Output::text(&words(&view, (&at(view.position), &at(view.read)))).map(|()| 0)
}

/// Effects, and with one SAE its fields at the top too.
#[derive(Serialize)]
struct Effects<'a> {
    #[serde(flatten)]
    view: &'a EffectView,
    #[serde(flatten)]
    one: Option<&'a SaeEffect>,
}

/// Leaves the latents that were named; those that do not fire are notes.
fn only(view: &mut EffectView, named: &[u32]) {
    if named.is_empty() {
        return;
    }
    for sae in &mut view.saes {
        for latent in named.iter().filter(|named| sae.latents.iter().all(|effect| effect.latent != **named)) {
            let position = view.position;
            view.notes.push(format!("latent {latent} of SAE `{}` does not fire at position {position}", sae.id));
        }
        sae.latents.retain(|effect| named.contains(&effect.latent));
    }
}

fn cut(view: &mut EffectView, top: Option<usize>) {
    if let Some(top) = top {
        view.saes.iter_mut().for_each(|sae| sae.latents.truncate(top));
    }
}

/// The command line that gives the same again, but for the seed.
fn command(suite: &str, options: &args::Effect) -> CommandLine {
    let line = CommandLine::new("effect", suite).texts("sae", &options.sae).text("prompt", &options.prompt);
    let line = match options.at {
        Some(EffectAt::All) => line.text("at", "all"),
        Some(EffectAt::One(at)) => line.number("at", at),
        None => line,
    };
    let line = line.maybe("read", options.read).maybe("positions", options.positions).maybe("top", options.top);
    let line = options.meta.iter().fold(line, |line, meta| line.text("meta", meta));
    let line = options.meta_latent.iter().fold(line, |line, meta_latent| line.number("meta-latent", meta_latent));
    let relatives = options.relatives_of.iter().map(|of| format!("{}:{}", of.sae, of.latent));
    let line = relatives.fold(line, |line, of| line.text("relatives-of", &of));
    let line = options.latent.iter().fold(line, |line, latent| line.number("latent", latent));
    options.token.iter().fold(line, |line, token| line.text("token", token))
}

fn words(view: &EffectView, (at, read): (&str, &str)) -> String {
    let EffectView { position, token: asked, .. } = view;
    let mut text = format!(
        "taken out at {position} {at}, read at {} {read}: {} has log-probability {:.4}\n\
         {}: what speaks for it is positive\n",
        view.read,
        token(&asked.text, Charset::Unicode),
        asked.logprob,
        view.sign,
    );
    for sae in &view.saes {
        let _ = writeln!(
            text,
            "\nSAE {}\n{:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
            prose(&sae.id, Charset::Unicode),
            "latent",
            "activation",
            "Δ log-p",
            "Δ logit",
            "KL",
            "direct"
        );
        for effect in &sae.latents {
            let LatentEffect { latent, activation, delta_logprob, delta_logit, kl, direct } = effect;
            let direct = direct.map_or_else(|| "-".to_owned(), |direct| format!("{direct:+.4}"));
            let _ = writeln!(
                text,
                "{latent:>10} {activation:>10.3} {delta_logprob:>+10.4} {delta_logit:>+10.4} {kl:>10.4} {direct:>10}"
            );
        }
        let part = |name: &str, delta: f64, kl: f64| format!("{name:>21} {delta:>+10.4} {:>10} {kl:>10.4}", "");
        let (all, error, random) = (&sae.all_latents, &sae.error, &sae.random);
        let _ = writeln!(text, "{}", part("error", error.delta_logprob, error.kl));
        let _ = writeln!(text, "{}", part("all latents", all.delta_logprob, all.kl));
        let _ = writeln!(
            text,
            "{}  at most {:.4}; {} directions of length {:.3}",
            part("random", random.delta_logprob, random.kl),
            random.kl_max,
            random.directions,
            random.norm
        );
        let control = &error.random;
        let _ = writeln!(
            text,
            "{}  at most {:.4}; of the error's length {:.3}",
            part("random", control.delta_logprob, control.kl),
            control.kl_max,
            error.norm
        );
    }
    for of in view.relatives.iter().flatten() {
        let relation = if of.relation == Relation::Parent { "parent" } else { "child" };
        let LatentEffect { latent, activation, delta_logprob, kl, .. } = &of.effect;
        let sae = prose(&of.sae, Charset::Unicode);
        let _ = writeln!(
            text,
            "{relation} {sae}/{latent} (cosine {:.2}): activation {activation:.3}, Δ log-p {delta_logprob:+.4}, KL {kl:.4}",
            of.cosine
        );
    }
    for note in &view.notes {
        let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
    }
    text
}
