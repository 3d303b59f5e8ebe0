//! What is asked wherever a person is, and what else answers, progress and failures change.
//! Not here: asking (`requests.rs`), and taking answers (`questions.rs`).

use std::sync::Arc;

use crate::analysis::Run;
use crate::analysis::doctor::Verdict;
use crate::report::{Kind, Report};
use crate::session::{Checked, LoadScope, OpenedSuite};
use crate::tui::app::{App, Focus, LatentRef, Notice, Page, editor_of};
use crate::tui::ask::Turn;
use crate::tui::attribution::Attributions;
use crate::tui::meta::Meta;
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::question::{Question, Wait, question};
use crate::tui::stitch::Stitch;
use crate::tui::update::{say, select, suites};

/// What is asked wherever a person is.
pub(super) const QUESTIONS: &[Question] = &[
    question!(opened).lasting().renewing().ended("loading cancelled").then(opened),
    question!(pull)
        .wait(Wait::Long)
        .lasting()
        .ended("download cancelled; what arrived is kept, and the next try continues from there")
        .then(pulled),
    question!(run).ended("run cancelled; r runs the prompt again").then(run),
    question!(card).then(card),
    question!(catalogue).lasting().then(catalogue),
    question!(found).then(found),
    question!(preview).wait(Wait::Long),
    question!(next.ask).then(|app, turn, _| app.next.turn(turn)),
    question!(names.ask).then(|app, turn, _| app.names.turn(turn)),
    question!(labels.ask).wait(Wait::Long).then(|app, turn, _| app.labels.turn(turn)),
    question!(labels.write).then(written),
    question!(frequencies.ask).wait(Wait::Long).then(frequencies),
];

/// What is done without being asked for.
pub(super) const UNASKED: &[Question] = &[
    question!(checkup).wait(Wait::Long).ended("the check of the wiring is cancelled; r asks again").then(checkup),
    question!(pack).wait(Wait::Unseen),
    question!(labels.make).wait(Wait::Unseen).then(|app, turn, _| app.labels.turned(turn)),
];

fn opened(app: &mut App, turn: Turn, effects: &mut Vec<Effect>) {
    match (turn, app.opened.failure().cloned(), app.opened.value().cloned()) {
        (Turn::Answered, _, Some(opened)) => suite_opened(app, &opened),
        (Turn::Failed, Some(report), shown) => suite_failed(app, report, shown.is_some(), effects),
        _ => {}
    }
}

fn run(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    if let (Turn::Answered, Some(run)) = (turn, app.run.value().cloned()) {
        run_arrived(app, &run);
    }
}

fn card(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    if matches!(turn, Turn::Answered | Turn::Failed) {
        note_dense(app);
        select::place_ladder_row(app);
    }
}

/// Unless a latent is held, one that turns out to be dense is not the strongest any more.
fn frequencies(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    app.frequencies.turn(turn);
    if turn == Turn::Answered {
        select::follow_strongest(app);
    }
}

fn written(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    app.labels.written(turn);
    if turn == Turn::Answered {
        say(app, "the label is kept");
    }
}

fn found(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    if let (Turn::Answered | Turn::Failed, Some(Overlay::Search(field))) = (turn, app.overlay.last_mut()) {
        field.row = 0;
    }
}

fn catalogue(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    if turn == Turn::Answered {
        choose_suite_row(app);
    }
}

fn checkup(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    if let (Turn::Answered, Some(checked)) = (turn, app.checkup.value().cloned()) {
        checked_wiring(app, &checked);
    }
}

fn pulled(app: &mut App, turn: Turn, effects: &mut Vec<Effect>) {
    if let (Turn::Progress(at), Some(progress)) = (turn, app.pull.progressed()) {
        let done = progress.whole.map_or(progress.done, |whole| whole.done);
        app.speed.note(at, done);
        return;
    }
    if matches!(turn, Turn::Answered | Turn::Failed | Turn::Ended) {
        app.speed.clear();
    }
    let listed = matches!(app.overlay.last(), Some(Overlay::Suites { .. }));
    match (turn, app.pull.value().cloned()) {
        // Who still looks at the list wants the suite; for whoever left it there is a notice.
        (Turn::Answered, Some(suite)) if listed => {
            app.overlay.clear();
            suites::open(app, String::clone(&suite), app.usual, effects);
        }
        (Turn::Answered, Some(suite)) => say(app, format!("{suite} is downloaded; s opens it")),
        // The list that would show it is closed.
        (Turn::Failed, _) if !listed => {
            app.notice = app.pull.failure().map(|r| Notice { text: format!("{}; ! shows all", r.what), bad: true });
        }
        _ => {}
    }
}

/// Notes a latent that has fired on more than half of the tokens seen: what it promotes says little about it.
fn note_dense(app: &mut App) {
    let Some(card) = app.card.value() else { return };
    let of = LatentRef { sae: card.sae.clone(), latent: card.latent };
    let dense = card.seen.tokens >= DENSE_FROM && card.seen.fired * 2 > card.seen.tokens;
    app.names.mark_dense(of, dense);
}

/// Tokens that must have been seen before a latent is called dense.
pub(super) const DENSE_FROM: u64 = 10;

/// What was measured just now is reported once; what is remembered has been reported before.
fn checked_wiring(app: &mut App, checked: &Checked) {
    let checkup = &checked.checkup;
    if !checked.new {
        return;
    }
    let count = |holds: Option<bool>| checkup.unverified.iter().filter(|finding| finding.holds == holds).count();
    let (hold, wrong, open) = (count(Some(true)), count(Some(false)), count(None));
    if checkup.verdict == Verdict::Off {
        let text = format!("wiring off (W shows all): {}", checkup.said);
        app.notice = Some(Notice { text, bad: true });
    } else if wrong > 0 {
        let text = format!("of what the suite marks as unverified, {wrong} do not hold; W shows which");
        app.notice = Some(Notice { text, bad: true });
    } else if !checkup.unverified.is_empty() {
        say(app, format!("of what the suite marks as unverified, {hold} hold, {open} are open; W shows all"));
    }
}

/// Everything that belonged to the suite before is gone; the prompt stays unless it was that suite's own.
fn suite_opened(app: &mut App, opened: &Arc<OpenedSuite>) {
    let prompt = app.prompt();
    if prompt.is_empty() || app.prepared.as_ref() == Some(&prompt) {
        app.editor = editor_of(&opened.prompt);
        app.prepared = Some(opened.prompt.clone());
    }
    if app.prompt().is_empty() && opened.reach != LoadScope::WeightsOnly {
        app.look_at(Focus::Prompt);
    }
    app.stitch = Stitch::opened(opened.threshold);
    let changed = app.meta.changed + 1;
    app.meta = Meta { changed, ..Meta::default() };
    app.look_at(if app.page == Page::Explore { app.focus } else { Focus::Tokens });
    app.page = Page::Explore;
    app.attribution = Attributions::default();
    app.beside = Focus::Card;
    app.pins.clear();
    app.history.clear();
    app.shown_prompt = String::new();
    app.latent = None;
    app.held = false;
    app.anchor = None;
    app.token = usize::MAX;
    app.ladder_row = usize::MAX;
    // The middle of the ladder: narrower and wider are one key away.
    let loaded: Vec<usize> = (0..opened.saes.len()).filter(|i| opened.saes[*i].loaded).collect();
    app.sae = loaded.get(loaded.len() / 2).copied().unwrap_or(0);
    if opened.reach == LoadScope::WeightsOnly {
        // There is no token whose strongest could be followed.
        app.look_at(Focus::Latents);
        (app.latent, app.held) = (Some(0), true);
    }
    if !opened.notes.is_empty() {
        say(app, opened.notes.join("; "));
    }
}

/// A suite that could not be opened: what must be downloaded first leads to the list; another error is shown in full
/// when a suite stands in its pane.
fn suite_failed(app: &mut App, report: Report, something_is_shown: bool, effects: &mut Vec<Effect>) {
    if report.kind == Kind::Missing {
        suites::show(app, effects);
    } else if something_is_shown {
        app.overlay.push(Overlay::Error { report, top: 0 });
    }
}

/// A run's answer: the token under the caret while the person types, else the one they were at, else the last.
fn run_arrived(app: &mut App, run: &Arc<Run>) {
    app.shown_prompt = app.run.answers().map(|(query, ())| query.prompt.clone()).unwrap_or_default();
    app.runs += 1;
    app.next.restart(run.tokens.len());
    app.token = app.token.min(run.tokens.len().saturating_sub(1));
    app.latents_top = 0;
    if app.focus == Focus::Prompt {
        select::follow_caret(app);
    }
    select::follow_strongest(app);
    let render = app.opened.value().map_or(&[][..], |opened| &opened.notes);
    if let Some(note) = run.notes.iter().find(|note| !render.contains(note)).cloned() {
        say(app, note);
    }
}

fn choose_suite_row(app: &mut App) {
    let all = app.catalogue.value().map_or(0, |all| all.len());
    let open_now = app.catalogue.value().and_then(|c| c.iter().position(|e| e.name == app.suite));
    if let Some(Overlay::Suites { row }) = app.overlay.last_mut() {
        if *row == 0 {
            *row = open_now.unwrap_or(0);
        }
        *row = (*row).min(all.saturating_sub(1));
    }
}
