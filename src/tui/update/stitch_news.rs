//! What answers and progress change where two SAEs are compared and stitched.
//! Not here: asking (`stitch_wants`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::analysis::GroupView;
use crate::report::Report;
use crate::session::Outcome;
use crate::task::{Progress, Slot, Ticket};
use crate::tui::app::{App, Notice};
use crate::tui::stitch::{Loss, LossKey};
use crate::tui::update::news::{DENSE_FROM, mixed_up, settle};
use crate::tui::update::say;

/// Takes news of a job under way; gives whether it is current.
pub(super) fn progressed(app: &mut App, slot: Slot, ticket: Ticket, progress: Progress) -> bool {
    let stitch = &mut app.stitch;
    match slot {
        Slot::Family => stitch.family.progress(ticket, progress),
        Slot::Tables => stitch.tables.progress(ticket, progress),
        Slot::Pair => stitch.pair.progress(ticket, progress),
        Slot::Verdict => stitch.verdict.progress(ticket, progress),
        Slot::Bench => stitch.bench.progress(ticket, progress),
        Slot::Loss => stitch.loss.progress(ticket, progress),
        Slot::Curve => stitch.curve.progress(ticket, progress),
        Slot::CurveLoss => stitch.curve_loss.progress(ticket, progress),
        Slot::Group => stitch.group.progress(ticket, progress),
        Slot::Export => stitch.export.progress(ticket, progress),
        Slot::Text => stitch.text.progress(ticket, progress),
        Slot::Filter => stitch.found.progress(ticket, progress),
        _ => false,
    }
}

/// The answer if it is of this kind.
macro_rules! only {
    ($answer:expr, $kind:ident) => {
        $answer.and_then(|outcome| if let Outcome::$kind(value) = outcome { Ok(value) } else { Err(mixed_up()) })
    };
}

/// Takes an answer; gives whether it is current.
pub(super) fn answered(app: &mut App, slot: Slot, ticket: Ticket, answer: Result<Outcome, Report>) -> bool {
    let stitch = &mut app.stitch;
    match slot {
        Slot::Family => stitch.family.answer(ticket, only!(answer, Family)),
        Slot::Tables => {
            let taken = settle(&mut stitch.tables, ticket, only!(answer, Tables));
            if let Some(note) = stitch.tables.value().and_then(|notes| notes.first()).filter(|_| taken).cloned() {
                say(app, note);
            }
            taken
        }
        Slot::Pair => {
            let taken = stitch.pair.answer(ticket, only!(answer, Pair));
            if taken {
                stitch.sums = None;
                pair_arrived(app);
            }
            taken
        }
        Slot::Verdict => stitch.verdict.answer(ticket, only!(answer, Verdict)),
        Slot::Bench => stitch.bench.answer(ticket, only!(answer, Bench)),
        Slot::Loss => loss_arrived(app, ticket, answer),
        Slot::Curve => {
            let taken = stitch.curve.answer(ticket, only!(answer, Curve));
            if taken {
                let last = stitch.curve.value().map_or(0, |curve| curve.points.len().saturating_sub(1));
                stitch.point = stitch.point.min(last);
            }
            taken
        }
        Slot::CurveLoss => stitch.curve_loss.answer(ticket, only!(answer, CurveLoss)),
        Slot::Group => {
            let answer = only!(answer, Group).map(|group| group.map(|group| Arc::new(untangled(&group))));
            let taken = stitch.group.answer(ticket, answer);
            if taken {
                group_arrived(app);
            }
            taken
        }
        Slot::Export => {
            let taken = settle(&mut stitch.export, ticket, only!(answer, Exported));
            if taken {
                exported(app);
            }
            taken
        }
        Slot::Text => {
            let taken = settle(&mut stitch.text, ticket, only!(answer, Text));
            if taken {
                text_chosen(app);
            }
            taken
        }
        Slot::Filter => stitch.found.answer(ticket, only!(answer, Found)),
        _ => false,
    }
}

fn pair_arrived(app: &mut App) {
    let Some(view) = app.stitch.pair.value().filter(|_| app.stitch.pair.failure().is_none()).cloned() else { return };
    let tokens = view.text.tokens as u64;
    for row in view.rows.iter().filter(|row| tokens >= DENSE_FROM && row.fired * 2 > tokens) {
        let of = crate::tui::app::LatentRef { sae: view.large.clone(), latent: row.latent };
        app.labels.mark_dense(of, true);
    }
    if let Some(note) = view.notes.first() {
        say(app, note.clone());
    }
}

fn loss_arrived(app: &mut App, ticket: Ticket, answer: Result<Outcome, Report>) -> bool {
    let stitch = &mut app.stitch;
    let key = stitch.loss.question().cloned();
    let answer = answer.and_then(|outcome| match outcome {
        Outcome::VerdictLoss(verdict) => Ok(Loss::Verdict(verdict)),
        Outcome::BenchLoss(bench) => Ok(Loss::Bench(bench)),
        _ => Err(mixed_up()),
    });
    let fine = answer.is_ok();
    if !stitch.loss.answer(ticket, answer) {
        return false;
    }
    match (fine, key, stitch.loss.value()) {
        (true, Some(LossKey::Verdict(key)), Some(Loss::Verdict(verdict))) => {
            stitch.verdict_loss = Some((key, verdict.clone()));
        }
        (true, Some(LossKey::Bench(key)), Some(Loss::Bench(bench))) => stitch.bench_loss = Some((key, bench.clone())),
        (_, Some(key), _) => stitch.refused.push(key),
        (_, None, _) => {}
    }
    true
}

/// A group whose wider side stands in the order of what it hangs on, so that few lines cross.
fn untangled(group: &GroupView) -> GroupView {
    let mut group = group.clone();
    let place = |latent: u32| group.small.iter().position(|l| *l == latent).unwrap_or(0) as f64;
    let mut middles: HashMap<u32, (f64, f64)> = HashMap::new();
    for (small, large, _) in &group.edges {
        let (sum, count) = middles.entry(*large).or_default();
        *sum += place(*small);
        *count += 1.0;
    }
    let middle = |latent: &u32| middles.get(latent).map_or(f64::INFINITY, |(sum, count)| sum / count);
    group.large.sort_by(|a, b| middle(a).total_cmp(&middle(b)).then(a.cmp(b)));
    group
}

/// The group's cursor starts on the latent that the group is of.
fn group_arrived(app: &mut App) {
    let members = super::stitch::members(app);
    let own = app
        .latent
        .and_then(|latent| members.iter().position(|(side, l)| *side == crate::analysis::Side::Large && *l == latent));
    app.stitch.group_row = own.unwrap_or(0);
}

fn exported(app: &mut App) {
    app.notice = match (app.stitch.export.failure(), app.stitch.export.value()) {
        (Some(report), _) => Some(Notice { text: format!("{}; ! shows all", report.what), bad: true }),
        (None, Some(folder)) => {
            Some(Notice { text: format!("saved the stitched SAE in {}", folder.display()), bad: false })
        }
        (None, None) => None,
    };
}

fn text_chosen(app: &mut App) {
    if let Some(report) = app.stitch.text.failure() {
        app.notice = Some(Notice { text: format!("{}; ! shows all", report.what), bad: true });
        return;
    }
    let said = app.stitch.text.value().map(|text| format!("measuring on {}", text.name));
    app.stitch.forget_measured();
    if let Some(said) = said {
        say(app, said);
    }
}
