//! What answers, progress and failures change.
//! Not here: asking.

use std::sync::Arc;
use std::time::Duration;

use crate::analysis::Run;
use crate::analysis::doctor::Verdict;
use crate::report::{Kind, Report};
use crate::session::{Checked, Opened, Outcome, Reach};
use crate::task::{Progress, Slot, Ticket};
use crate::tui::app::{App, Focus, LatentRef, Notice, Page, editor_of};
use crate::tui::meta::Meta;
use crate::tui::msg::{Effect, Event};
use crate::tui::origins::Origins;
use crate::tui::over::Over;
use crate::tui::stitch::Stitch;
use crate::tui::update::{actions, meta_news, open, origins, say, select, stitch_news};

/// Takes news of a job; gives whether anything changed: stale news changes nothing.
pub(super) fn take(
    app: &mut App,
    slot: Slot,
    ticket: Ticket,
    event: Event,
    at: Duration,
    effects: &mut Vec<Effect>,
) -> bool {
    match event {
        Event::Progress(progress) => progressed(app, slot, ticket, progress, at),
        Event::Done(answer) => answered(app, slot, ticket, answer, effects),
    }
}

fn progressed(app: &mut App, slot: Slot, ticket: Ticket, progress: Progress, at: Duration) -> bool {
    match slot {
        Slot::Suite => app.opened.progress(ticket, progress),
        Slot::Run => app.run.progress(ticket, progress),
        Slot::Card => app.card.progress(ticket, progress),
        Slot::Search => app.found.progress(ticket, progress),
        Slot::Catalogue => app.catalogue.progress(ticket, progress),
        Slot::Doctor => app.checkup.progress(ticket, progress),
        Slot::Pull => {
            let done = progress.whole.map_or(progress.done, |whole| whole.done);
            let current = app.pull.progress(ticket, progress);
            if current {
                app.speed.note(at, done);
            }
            current
        }
        Slot::Labels | Slot::Next | Slot::Origins | Slot::Pack => false,
        slot => {
            stitch_news::progressed(app, slot, ticket, progress.clone())
                || meta_news::progressed(app, slot, ticket, progress)
        }
    }
}

fn answered(
    app: &mut App,
    slot: Slot,
    ticket: Ticket,
    answer: Result<Outcome, Report>,
    effects: &mut Vec<Effect>,
) -> bool {
    match slot {
        Slot::Suite => {
            let answer = answer.and_then(|o| if let Outcome::Opened(o) = o { Ok(o) } else { Err(mixed_up()) });
            settle(&mut app.opened, ticket, answer) && {
                match (app.opened.failure().cloned(), app.opened.value().cloned()) {
                    (None, Some(opened)) => suite_opened(app, &opened),
                    (Some(report), shown) => suite_failed(app, report, shown.is_some(), effects),
                    (None, None) => {}
                }
                true
            }
        }
        Slot::Run => {
            let answer = answer.and_then(|o| if let Outcome::Run(o) = o { Ok(o) } else { Err(mixed_up()) });
            let fine = answer.as_ref().ok().cloned();
            settle(&mut app.run, ticket, answer) && {
                if let Some(run) = fine {
                    run_arrived(app, &run);
                }
                true
            }
        }
        Slot::Card => {
            let answer = answer.and_then(|o| if let Outcome::Card(o) = o { Ok(o) } else { Err(mixed_up()) });
            settle(&mut app.card, ticket, answer) && {
                note_dense(app);
                select::place_ladder_row(app);
                true
            }
        }
        Slot::Origins => origins::answered(app, ticket, answer),
        Slot::Labels => {
            let answer = answer.and_then(|o| if let Outcome::Labels(o) = o { Ok(o) } else { Err(mixed_up()) });
            app.labels.answer(ticket, answer)
        }
        Slot::Next => {
            let answer = answer.and_then(|o| if let Outcome::Next(o) = o { Ok(o) } else { Err(mixed_up()) });
            app.next.answer(ticket, answer)
        }
        Slot::Search => {
            let answer = answer.and_then(|o| if let Outcome::Found(o) = o { Ok(o) } else { Err(mixed_up()) });
            settle(&mut app.found, ticket, answer) && {
                if let Some(Over::Search(field)) = app.over.last_mut() {
                    field.row = 0;
                }
                true
            }
        }
        Slot::Catalogue => {
            let answer = answer.and_then(|o| if let Outcome::Catalogue(o) = o { Ok(o) } else { Err(mixed_up()) });
            settle(&mut app.catalogue, ticket, answer) && {
                choose_suite_row(app);
                true
            }
        }
        Slot::Doctor => {
            let answer = answer.and_then(|o| if let Outcome::Checked(o) = o { Ok(o) } else { Err(mixed_up()) });
            let fine = answer.as_ref().ok().cloned();
            settle(&mut app.checkup, ticket, answer) && {
                if let Some(checked) = fine {
                    checked_wiring(app, &checked);
                }
                true
            }
        }
        Slot::Pull => {
            let answer = answer.and_then(|o| if let Outcome::Pulled(o) = o { Ok(o) } else { Err(mixed_up()) });
            let fine = answer.as_ref().ok().cloned();
            settle(&mut app.pull, ticket, answer) && {
                app.speed.clear();
                if let Some(suite) = fine {
                    pulled(app, suite, effects);
                } else if !matches!(app.over.last(), Some(Over::Suites { .. })) {
                    // The list that would show it is closed.
                    app.notice =
                        app.pull.failure().map(|r| Notice { text: format!("{}; ! shows all", r.what), bad: true });
                }
                true
            }
        }
        // Nothing on screen depends on it.
        Slot::Pack => false,
        Slot::Breakdown
        | Slot::MetaCard
        | Slot::MetaRun
        | Slot::MetaLabels
        | Slot::Surgery
        | Slot::Untouched
        | Slot::Edited
        | Slot::Random
        | Slot::Metas
        | Slot::MetaTrain => meta_news::answered(app, slot, ticket, answer),
        slot => stitch_news::answered(app, slot, ticket, answer),
    }
}

/// Notes a latent that has fired on more than half of the tokens seen: what it promotes says little about it.
fn note_dense(app: &mut App) {
    let Some(card) = app.card.value() else { return };
    let of = LatentRef { sae: card.sae.clone(), latent: card.latent };
    let dense = card.seen.tokens >= DENSE_FROM && card.seen.fired * 2 > card.seen.tokens;
    app.labels.mark_dense(of, dense);
}

/// Tokens that must have been seen before a latent is called dense.
pub(super) const DENSE_FROM: u64 = 10;

/// What was measured just now is told once; what is remembered has been told before.
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

/// Takes an answer; one that says "cancelled" only ends the waiting.
pub(super) fn settle<T>(
    remote: &mut crate::task::Remote<T, Report>,
    ticket: Ticket,
    answer: Result<T, Report>,
) -> bool {
    if answer.as_ref().is_err_and(|report| report.kind == Kind::Cancelled) {
        let current = ticket == remote.ticket() && remote.is_pending();
        if current {
            remote.abandon();
        }
        return current;
    }
    remote.answer(ticket, answer)
}

pub(super) fn mixed_up() -> Report {
    Report::new("the answer does not fit the question").kind(Kind::Bug)
}

/// Everything that belonged to the suite before is gone; the prompt stays unless it was that suite's own.
fn suite_opened(app: &mut App, opened: &Arc<Opened>) {
    let prompt = app.prompt();
    if prompt.is_empty() || app.prepared.as_ref() == Some(&prompt) {
        app.editor = editor_of(&opened.prompt);
        app.prepared = Some(opened.prompt.clone());
    }
    if app.prompt().is_empty() && opened.reach != Reach::WeightsOnly {
        app.look_at(Focus::Prompt);
    }
    app.checkup.clear();
    app.checkup_asked = false;
    app.stitch = Stitch::opened(opened.threshold);
    let changed = app.meta.changed + 1;
    app.meta = Meta { changed, ..Meta::default() };
    app.look_at(if app.page == Page::Explore { app.focus } else { Focus::Tokens });
    app.page = Page::Explore;
    app.origins = Origins::default();
    app.run.clear();
    app.next.clear();
    app.card.clear();
    app.found.clear();
    app.labels.clear();
    app.pins.clear();
    app.history.clear();
    app.asked_prompt = None;
    app.asked_card = None;
    app.searched = None;
    app.shown_prompt = String::new();
    app.latent = None;
    app.held = false;
    app.anchor = None;
    app.token = usize::MAX;
    app.ladder_row = usize::MAX;
    // The middle of the ladder: narrower and wider are one key away.
    let loaded: Vec<usize> = (0..opened.saes.len()).filter(|i| opened.saes[*i].loaded).collect();
    app.sae = loaded.get(loaded.len() / 2).copied().unwrap_or(0);
    if opened.reach == Reach::WeightsOnly {
        // There is no token whose strongest could be followed.
        app.look_at(Focus::Latents);
        (app.latent, app.held) = (Some(0), true);
    }
    if let Some(note) = opened.notes.first() {
        say(app, note.clone());
    }
}

/// A suite that could not be opened: what must be downloaded first leads to the list; another error is shown in full
/// when a suite stands in its pane.
fn suite_failed(app: &mut App, report: Report, something_is_shown: bool, effects: &mut Vec<Effect>) {
    if report.kind == Kind::Missing {
        actions::open_suites(app, effects);
    } else if something_is_shown {
        app.over.push(Over::Error { report, top: 0 });
    }
}

/// A run's answer: the token under the caret while the person types, else the one they were at, else the last.
fn run_arrived(app: &mut App, run: &Arc<Run>) {
    app.shown_prompt = app.asked_prompt.clone().unwrap_or_default();
    app.stitch.runs += 1;
    app.next.restart(run.tokens.len());
    app.token = app.token.min(run.tokens.len().saturating_sub(1));
    app.latents_top = 0;
    if app.focus == Focus::Prompt {
        select::follow_caret(app);
    }
    select::follow_strongest(app);
    let told = app.opened.value().map_or(&[][..], |opened| &opened.notes);
    if let Some(note) = run.notes.iter().find(|note| !told.contains(note)).cloned() {
        say(app, note);
    }
    // The card says how often its latent has fired in all runs: it must be asked for again.
    app.asked_card = None;
}

fn choose_suite_row(app: &mut App) {
    let all = app.catalogue.value().map_or(0, Vec::len);
    let open_now = app.catalogue.value().and_then(|c| c.iter().position(|e| e.name == app.suite));
    if let Some(Over::Suites { row }) = app.over.last_mut() {
        if *row == 0 {
            *row = open_now.unwrap_or(0);
        }
        *row = (*row).min(all.saturating_sub(1));
    }
}

/// A download is complete: who still looks at the list wants the suite; who went on is told.
fn pulled(app: &mut App, suite: String, effects: &mut Vec<Effect>) {
    if matches!(app.over.last(), Some(Over::Suites { .. })) {
        app.over.clear();
        open(app, suite, app.usual, effects);
    } else {
        say(app, format!("{suite} is downloaded; s opens it"));
    }
}
