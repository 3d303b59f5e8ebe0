//! `saescope effect --meta`: what the meta-latents of latents that fire at a token do to what the model says next.
//! Not here: measuring it (`analysis::effect`).

use std::fmt::Write as _;

use crate::analysis::{MetaEffectView, Run};
use crate::cli::answer::Answer;
use crate::cli::args::{self, EffectAt};
use crate::cli::effect::{TOP, command};
use crate::cli::output::Output;
use crate::report::{Kind, Report};
use crate::session::{MetaEffectQuery, Session};
use crate::task::Cancel;
use crate::text::{Charset, prose, token};

pub fn metas(
    session: &mut Session,
    (suite, options, meta): (&str, &args::Effect, &str),
    run: &Run,
    cancel: &Cancel,
    output: &Output,
) -> Result<u8, Report> {
    let [sae] = &options.sae[..] else {
        return Err(Report::new("--meta takes the latents of one SAE apart").hint("give one --sae").kind(Kind::Usage));
    };
    let position = match options.at {
        Some(EffectAt::All) => {
            return Err(Report::new("--meta needs one position").hint("leave out --at all").kind(Kind::Usage));
        }
        Some(EffectAt::One(at)) => Some(at),
        None => None,
    };
    let query = MetaEffectQuery {
        prompt: options.prompt.clone(),
        sae: sae.clone(),
        meta: meta.to_owned(),
        latents: options.latent.clone(),
        position,
        read: options.read,
        token: options.token.clone(),
        seed: options.seed,
    };
    let mut view = session.ask(&query, cancel, &|_| {})?;
    let notes = run.notes.iter().filter(|note| !view.notes.contains(note)).cloned().collect::<Vec<_>>();
    view.notes.splice(0..0, notes);
    for named in &options.meta_latent {
        if view.meta_latents.iter().all(|of| of.meta_latent != *named) {
            view.notes.push(format!("meta-latent {named} is in none of these latents"));
        }
    }
    if !options.meta_latent.is_empty() {
        view.meta_latents.retain(|of| options.meta_latent.contains(&of.meta_latent));
    }
    let top = options.top.map(|top| top as usize).or((!output.is_json()).then_some(TOP));
    view.meta_latents.truncate(top.unwrap_or(usize::MAX));
    if output.is_json() {
        let versions = session.versions(&options.sae, cancel)?;
        let line = command(suite, options).number("seed", options.seed).json();
        return Output::object(&Answer { view: &view, command: line, versions }).map(|()| 0);
    }
    let at = |position: usize| run.tokens.get(position).map(|of| token(&of.text, Charset::Unicode)).unwrap_or_default();
    Output::text(&words(&view, (&at(view.position), &at(view.read)))).map(|()| 0)
}

fn words(view: &MetaEffectView, (at, read): (&str, &str)) -> String {
    let latents: Vec<String> = view.latents.iter().map(u32::to_string).collect();
    let mut text = format!(
        "taken out at {} {at}, read at {} {read}: {} has log-probability {:.4}\n{}: what speaks for it is positive\n\
         \nmeta-latents of meta-SAE {} out of the rows of SAE {}'s latents {}\n{:>12} {:>10} {:>8} {:>10} {:>10} {:>10}\n",
        view.position,
        view.read,
        token(&view.token.text, Charset::Unicode),
        view.token.logprob,
        view.sign,
        prose(&view.meta, Charset::Unicode),
        prose(&view.sae, Charset::Unicode),
        latents.join(", "),
        "meta-latent",
        "activation",
        "latents",
        "Δ log-p",
        "Δ logit",
        "KL",
    );
    // Writing to a string does not fail, here and below.
    for of in &view.meta_latents {
        let _ = writeln!(
            text,
            "{:>12} {:>10.3} {:>8} {:>+10.4} {:>+10.4} {:>10.4}",
            of.meta_latent, of.activation, of.latents, of.delta_logprob, of.delta_logit, of.kl
        );
    }
    let part = |name: &str, delta: f64, kl: f64| format!("{name:>32} {delta:>+10.4} {:>10} {kl:>10.4}", "");
    let (all, random) = (view.all_latents, view.random);
    let _ = writeln!(text, "{}", part("these latents", all.delta_logprob, all.kl));
    let _ = writeln!(
        text,
        "{}  at most {:.4}; {} directions of length {:.3}",
        part("random", random.delta_logprob, random.kl),
        random.kl_max,
        random.directions,
        random.norm
    );
    for note in &view.notes {
        let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
    }
    text
}
