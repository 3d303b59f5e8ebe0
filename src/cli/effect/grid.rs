//! `saescope effect --at all`: what the latents of every position in front of a token do to it.
//! Not here: measuring it (`analysis::effect`).

use std::fmt::Write as _;

use crate::analysis::{GridView, Run};
use crate::cli::answer::Answer;
use crate::cli::args;
use crate::cli::effect::{TOP, command};
use crate::cli::output::Output;
use crate::cli::progress::Line;
use crate::report::Report;
use crate::session::{GRID_POSITIONS, GridQuery, Session};
use crate::task::Cancel;
use crate::text::{Charset, fit, prose, token};

/// Cells of a token.
const TOKEN: usize = 14;

pub fn grid(
    session: &mut Session,
    (suite, options): (&str, &args::Effect),
    run: &Run,
    cancel: &Cancel,
    output: &Output,
) -> Result<u8, Report> {
    let query = GridQuery {
        prompt: options.prompt.clone(),
        saes: options.sae.clone(),
        read: options.read,
        token: options.token.clone(),
        positions: options.positions.unwrap_or(GRID_POSITIONS),
    };
    let line = Line::new();
    let view = session.ask(&query, cancel, &|so_far| line.show(&so_far));
    line.end();
    let mut view = view?;
    let notes = run.notes.iter().filter(|note| !view.notes.contains(note)).cloned().collect::<Vec<_>>();
    view.notes.splice(0..0, notes);
    only(&mut view, &options.latent);
    let top = options.top.map(|top| top as usize).or((!output.is_json()).then_some(TOP));
    if let Some(top) = top {
        view.saes.iter_mut().for_each(|sae| sae.cells.truncate(top));
    }
    if output.is_json() {
        let versions = session.versions(&options.sae, cancel)?;
        let answer = Answer { view: &view, command: command(suite, options).json(), versions };
        return Output::object(&answer).map(|()| 0);
    }
    Output::text(&words(&view, run)).map(|()| 0)
}

/// Leaves the latents that were named; those that fire at no position that was measured are notes.
fn only(view: &mut GridView, named: &[u32]) {
    if named.is_empty() {
        return;
    }
    for sae in &mut view.saes {
        sae.cells.retain(|cell| named.contains(&cell.latent));
        for latent in named.iter().filter(|named| sae.cells.iter().all(|cell| cell.latent != **named)) {
            let note =
                format!("latent {latent} of SAE `{}` fires at none of the positions measured one by one", sae.id);
            view.notes.push(note);
        }
    }
}

fn words(view: &GridView, run: &Run) -> String {
    let at = |position: usize| {
        let shown = run.tokens.get(position).map(|of| token(&of.text, Charset::Unicode)).unwrap_or_default();
        fit(&shown, TOKEN, Charset::Unicode)
    };
    let mut text = format!(
        "read at {} {}: {} has log-probability {:.4}\n{}: what speaks for it is positive\n",
        view.read,
        at(view.read).trim_end(),
        token(&view.token.text, Charset::Unicode),
        view.token.logprob,
        view.sign,
    );
    // Writing to a string does not fail, here and below.
    for sae in &view.saes {
        let _ = writeln!(
            text,
            "\nSAE {}\n{:>8} {:<TOKEN$} {:>8} {:>10} {:>10} {:>10} {:>10}",
            prose(&sae.id, Charset::Unicode),
            "position",
            "token",
            "latents",
            "Δ log-p",
            "KL",
            "error",
            "KL"
        );
        for of in &sae.positions {
            let (all, error) = (of.all_latents, of.error);
            let _ = writeln!(
                text,
                "{:>8} {} {:>8} {:>+10.4} {:>10.4} {:>+10.4} {:>10.4}",
                of.position,
                at(of.position),
                of.latents,
                all.delta_logprob,
                all.kl,
                error.delta_logprob,
                error.kl
            );
        }
        let _ = writeln!(
            text,
            "\n{:>8} {:<TOKEN$} {:>8} {:>10} {:>10} {:>10} {:>10}",
            "position", "token", "latent", "activation", "Δ log-p", "Δ logit", "KL"
        );
        for cell in &sae.cells {
            let _ = writeln!(
                text,
                "{:>8} {} {:>8} {:>10.3} {:>+10.4} {:>+10.4} {:>10.4}",
                cell.position,
                at(cell.position),
                cell.latent,
                cell.activation,
                cell.delta_logprob,
                cell.delta_logit,
                cell.kl
            );
        }
    }
    for note in &view.notes {
        let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
    }
    text
}
