//! What is asked where two SAEs are compared and stitched, and what else its answers change.
//! Not here: asking (`stitch_requests.rs`).

use std::collections::HashMap;

use crate::analysis::{GroupView, Side};
use crate::session::Loss;
use crate::tui::app::{App, LatentRef, Notice};
use crate::tui::ask::Turn;
use crate::tui::msg::Effect;
use crate::tui::question::{Question, Wait, question};
use crate::tui::update::responses::DENSE_FROM;
use crate::tui::update::{say, stitch};

/// What is asked where two SAEs are compared and stitched.
pub(crate) const QUESTIONS: &[Question] = &[
    question!(stitch.pair).then(pair),
    question!(stitch.verdict),
    question!(stitch.bench),
    question!(stitch.export).then(export),
    question!(stitch.text).then(text),
    question!(stitch.curve).then(curve),
    question!(stitch.group).then(group),
    question!(stitch.loss).wait(Wait::Long).then(loss),
    question!(stitch.curve_loss).wait(Wait::Long),
    question!(stitch.family),
    question!(stitch.tables).wait(Wait::Long).then(tables),
    question!(stitch.found),
];

fn tables(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    let note = app.stitch.tables.value().and_then(|notes| notes.first()).cloned();
    if let (Turn::Answered, Some(note)) = (turn, note) {
        say(app, note);
    }
}

fn pair(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    match turn {
        Turn::Answered => {
            app.stitch.sums = None;
            pair_arrived(app);
        }
        Turn::Failed => app.stitch.sums = None,
        _ => {}
    }
}

fn curve(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    if turn == Turn::Answered {
        let last = app.stitch.curve.value().map_or(0, |curve| curve.points.len().saturating_sub(1));
        app.stitch.point = app.stitch.point.min(last);
    }
}

fn group(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    if turn == Turn::Answered {
        let drawn = app.stitch.group.value().and_then(|group| group.as_ref().as_ref()).map(untangled);
        app.stitch.group.put(drawn);
        group_arrived(app);
    }
}

fn pair_arrived(app: &mut App) {
    let Some(view) = app.stitch.pair.value().cloned() else { return };
    let tokens = view.text.tokens as u64;
    for row in view.rows.iter().filter(|row| tokens >= DENSE_FROM && row.fired * 2 > tokens) {
        let of = LatentRef { sae: view.large.clone(), latent: row.latent };
        app.names.mark_dense(of, true);
    }
    if !view.notes.is_empty() {
        say(app, view.notes.join("; "));
    }
}

fn loss(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    let stitch = &mut app.stitch;
    match (turn, stitch.loss.question().cloned(), stitch.loss.value().cloned()) {
        (Turn::Answered, Some(key), Some(loss)) => match &*loss {
            Loss::Verdict(_) => stitch.verdict_loss = Some((key, loss)),
            Loss::Bench(_) => stitch.bench_loss = Some((key, loss)),
        },
        (Turn::Failed | Turn::Ended, Some(key), _) => stitch.refused.push(key),
        (Turn::Retried, ..) => stitch.refused.clear(),
        _ => {}
    }
}

/// A group whose wider side stands in the order of what it is linked to, so that few lines cross.
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
    let members = stitch::members(app);
    let own = app.latent.and_then(|latent| members.iter().position(|(side, l)| *side == Side::Large && *l == latent));
    app.stitch.group_row = own.unwrap_or(0);
}

fn export(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    let notice = match (turn, app.stitch.export.failure(), app.stitch.export.value()) {
        (Turn::Failed, Some(report), _) => Notice { text: format!("{}; ! shows all", report.what), bad: true },
        (Turn::Answered, _, Some(folder)) => {
            Notice { text: format!("saved the stitched SAE in {}", folder.display()), bad: false }
        }
        _ => return,
    };
    app.notice = Some(notice);
}

fn text(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    match (turn, app.stitch.text.failure(), app.stitch.text.value()) {
        (Turn::Failed, Some(report), _) => {
            app.notice = Some(Notice { text: format!("{}; ! shows all", report.what), bad: true });
        }
        (Turn::Answered, _, Some(text)) => {
            let said = format!("measuring on {}", text.name);
            app.stitch.forget_measured();
            say(app, said);
        }
        _ => {}
    }
}
