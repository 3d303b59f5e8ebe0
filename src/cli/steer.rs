//! `saescope steer`: what the model writes when latents are changed while it writes.
//! Not here: writing (`analysis::steering`).

use std::fmt::Write as _;

use crate::analysis::{SteerArm, SteerView, Strength};
use crate::cli::answer::Answer;
use crate::cli::args;
use crate::cli::context::{Context, open};
use crate::cli::output::Output;
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::{Kind, Report};
use crate::session::{LoadScope, OpenRequest, SteerQuery, SteerTarget};
use crate::suite::Suite;
use crate::text::{Charset, prose};

pub fn steer(context: &Context, options: &args::Steer, output: &Output) -> Result<u8, Report> {
    if context.reach != LoadScope::Whole {
        return Err(Report::new("cannot steer a model that is not whole")
            .hint("leave out --weights-only and --no-predictions")
            .kind(Kind::Usage));
    }
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    let query = SteerQuery {
        prompt: options.prompt.clone(),
        edits: options.edits.0.clone(),
        unit: options.unit.unit(),
        at: options.at.clone(),
        only: options.only.clone(),
        until: options.until.clone(),
        sweep: options.sweep,
        tokens: options.tokens as usize,
        candidates: options.candidates as usize,
        temperature: options.temperature,
        seed: options.seed,
        index: options.index.clone(),
    };
    let (name, saes) = (suite.name.clone(), saes(&suite, &query)?);
    let cancel = cancel_on_interrupt();
    let notes =
        open(&mut session, OpenRequest { suite, saes: &saes, reach: LoadScope::Whole, words: false }, &cancel)?.notes;
    let line = Line::new();
    let view = session.ask(&query, &cancel, &|so_far| line.show(&so_far));
    line.end();
    let mut view = view?;
    view.notes.splice(0..0, notes);
    if output.is_json() {
        let versions = session.versions(&saes, &cancel)?;
        return Output::object(&Answer { view: &view, command: query.command(&name).json(), versions }).map(|()| 0);
    }
    Output::text(&words(&view)).map(|()| 0)
}

/// The SAEs that are needed, each once: those of latents, of meta-latents and of conditions.
fn saes(suite: &Suite, query: &SteerQuery) -> Result<Vec<String>, Report> {
    let mut saes: Vec<String> = Vec::new();
    for edit in &query.edits {
        match &edit.target {
            SteerTarget::Latent(latent) => saes.push(latent.sae.clone()),
            SteerTarget::MetaLatent { sae: Some(sae), .. } => saes.push(sae.clone()),
            SteerTarget::MetaLatent { sae: None, meta, .. } => {
                let listed = suite.metas.iter().filter(|entry| entry.id == *meta);
                saes.extend(listed.map(|entry| entry.sae.clone()));
            }
            SteerTarget::Direction(_) => {}
        }
    }
    saes.extend(query.only.iter().chain(&query.until).map(|condition| condition.latent.sae.clone()));
    for id in &saes {
        suite.sae(id)?;
    }
    if saes.is_empty() {
        // A direction needs none, and a session has one.
        saes = suite.default_saes().into_iter().take(1).collect();
    }
    let mut seen = Vec::new();
    saes.retain(|id| {
        !seen.contains(id) && {
            seen.push(id.clone());
            true
        }
    });
    Ok(saes)
}

/// Digits that tell strengths apart.
fn strength(strength: &Strength) -> String {
    let part = |value: Option<f64>, unit: &str| value.map(|value| format!("{value:.3}{unit}"));
    let parts = [part(strength.raw, ""), part(strength.max, " × max"), part(strength.norm, " × norm")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" = ")
}

fn words(view: &SteerView) -> String {
    let mut text = String::new();
    // Writing to a string does not fail, here and below.
    for (said, of) in view.interventions.iter().zip(&view.strengths) {
        let strength = strength(of);
        let strength = if strength.is_empty() { strength } else { format!("  ({strength})") };
        let _ = writeln!(text, "{}{strength}", prose(said, Charset::Unicode));
    }
    for arm in &view.arms {
        let _ = writeln!(text, "\n{:<9}  {}\n{}", arm.arm, figures(arm), prose(&arm.text, Charset::Unicode));
    }
    if !view.sweep.is_empty() {
        let _ = writeln!(text, "\n{:>10} {:>12} {:>10}  text", "strength", "perplexity", "latent");
    }
    for point in &view.sweep {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        let _ = writeln!(
            text,
            "{:>10.3} {:>12} {:>10}  {}",
            point.strength,
            shown(point.perplexity_untouched),
            shown(point.latent_mean),
            prose(&point.text, Charset::Unicode)
        );
    }
    for note in &view.notes {
        let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
    }
    text
}

fn figures(arm: &SteerArm) -> String {
    let mut said = Vec::new();
    if let Some(perplexity) = arm.perplexity_untouched {
        said.push(format!("perplexity {perplexity:.3} under the untouched model"));
    }
    if let Some(mean) = arm.latent_mean {
        said.push(format!("the latent fires with {mean:.3} in the mean"));
    }
    let edited = arm.edited_prompt.len() + arm.tokens.iter().filter(|token| token.edited).count();
    if let Some(delta) = arm.mean_delta {
        said.push(format!("{edited} positions changed by {delta:.3} in the mean"));
    }
    said.join(", ")
}
