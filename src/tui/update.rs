//! The only place where state changes: a message in, effects out.
//! Not here: clocks, channels, input and output.

use crokey::KeyCombination;

use crate::session::{Job, Reach};
use crate::task::Slot;
use crate::tui::app::{App, Notice};
use crate::tui::keys::{self, Action};
use crate::tui::msg::{Effect, Format, Msg, Update};

mod actions;
pub(crate) mod meta;
mod meta_news;
pub(crate) mod meta_wants;
mod mouse;
mod news;
mod origins;
mod over;
mod select;
mod stitch;
mod stitch_news;
mod stitch_wants;
mod wants;

/// Takes one message.
pub fn update(app: &mut App, msg: Msg) -> Update {
    let mut out = Update::default();
    out.dirty = take(app, msg, &mut out.effects);
    wants::settle(app, &mut out.effects);
    if !app.is_pending() {
        app.ticks = 0;
    }
    out
}

/// What must be asked for before the first message: the suite, while the first frame already stands.
pub fn start(app: &mut App) -> Update {
    let mut out = Update { dirty: true, effects: Vec::new() };
    open(app, app.suite.clone(), app.usual, &mut out.effects);
    out
}

fn take(app: &mut App, msg: Msg, effects: &mut Vec<Effect>) -> bool {
    match msg {
        Msg::Key(pressed) => press(app, pressed, effects),
        Msg::Paste(text) => over::paste(app, &text),
        Msg::Mouse(mouse) => mouse::take(app, mouse, effects),
        Msg::Resize { width, height } => {
            let changed = app.size != (width, height);
            app.size = (width, height);
            changed
        }
        Msg::News { slot, ticket, event, at } => news::take(app, slot, ticket, event, at, effects),
        Msg::Tick => {
            let pending = app.is_pending();
            app.ticks = if pending { app.ticks.saturating_add(1) } else { 0 };
            pending
        }
        Msg::Drawn(hits) => {
            app.hits = hits;
            false
        }
        Msg::Saved(saved) => {
            app.notice = Some(match saved {
                Ok(name) => Notice { text: format!("saved {name}"), bad: false },
                Err(report) => Notice { text: report.what, bad: true },
            });
            true
        }
        Msg::Resumed => {
            effects.push(Effect::Repaint);
            true
        }
    }
}

fn press(app: &mut App, pressed: KeyCombination, effects: &mut Vec<Effect>) -> bool {
    let place = app.place();
    let had_notice = app.notice.take().is_some();
    let did = if let Some(action) = keys::find(place, pressed) {
        act(app, action, effects)
    } else if let (true, Some(c)) = (place.takes_text(), keys::as_text(pressed)) {
        over::insert(app, c);
        true
    } else {
        false
    };
    did || had_notice
}

/// Does an action where the keys go now.
fn act(app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
    if app.over.is_empty() { actions::in_panes(app, action, effects) } else { over::act(app, action, effects) }
}

/// Asks for a job, replacing what its slot was asked before.
fn ask(slot: Slot, ticket: crate::task::Ticket, job: Job, effects: &mut Vec<Effect>) {
    effects.push(Effect::Ask { slot, ticket, job });
}

/// Opens a suite; the one on screen stays until the new one is there.
fn open(app: &mut App, suite: String, reach: Reach, effects: &mut Vec<Effect>) {
    app.suite.clone_from(&suite);
    app.reach = reach;
    let saes = if app.only.0 == suite { app.only.1.clone() } else { Vec::new() };
    let ticket = app.opened.ask();
    ask(Slot::Suite, ticket, Job::Open { suite, saes, reach }, effects);
}

/// How much of the model the key that turns it off and on asks for.
fn other_reach(app: &App) -> Reach {
    match (app.reach, app.usual) {
        (Reach::WeightsOnly, Reach::WeightsOnly) => Reach::Whole,
        (Reach::WeightsOnly, usual) => usual,
        _ => Reach::WeightsOnly,
    }
}

/// What every action does alike, in the panes and over them; gives none when it is not one of those.
fn always(app: &mut App, action: Action, effects: &mut Vec<Effect>) -> Option<bool> {
    match action {
        Action::Interrupt => interrupt(app, effects),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Repaint => effects.push(Effect::Repaint),
        Action::Quit => effects.push(Effect::Quit),
        Action::SaveSvg => effects.push(Effect::Save(Format::Svg)),
        Action::SaveText => effects.push(Effect::Save(Format::Text)),
        Action::SaveAnsi => effects.push(Effect::Save(Format::Ansi)),
        _ => return None,
    }
    Some(true)
}

/// Cancels what is running; quits when nothing is.
fn interrupt(app: &mut App, effects: &mut Vec<Effect>) {
    if app.pull.is_pending() {
        app.pull.abandon();
        app.speed.clear();
        effects.push(Effect::Cancel(Slot::Pull));
        say(app, "download cancelled; what arrived is kept, and the next try goes on from there");
    } else if app.opened.is_pending() {
        app.opened.abandon();
        effects.push(Effect::Cancel(Slot::Suite));
        say(app, "loading cancelled");
    } else if app.run.is_pending() && app.waits() {
        app.run.abandon();
        effects.push(Effect::Cancel(Slot::Run));
        say(app, "run cancelled; r runs the prompt again");
    } else if stitch::interrupt(app, effects) || meta::interrupt(app, effects) {
        // Done there.
    } else if app.checkup.is_pending() && app.waits() {
        app.checkup.abandon();
        effects.push(Effect::Cancel(Slot::Doctor));
        say(app, "the check of the wiring is cancelled; r asks again");
    } else {
        effects.push(Effect::Quit);
    }
}

/// How far a list of so many visible rows goes on a key that goes to an end or over a page.
fn leap_of(action: Action, rows: usize) -> isize {
    let page = isize::try_from(rows.max(2) - 1).unwrap_or(1);
    match action {
        Action::First => isize::MIN / 2,
        Action::Last => isize::MAX / 2,
        Action::PageUp => -page,
        _ => page,
    }
}

/// Tells the person something in the status line.
fn say(app: &mut App, text: impl Into<String>) {
    app.notice = Some(Notice { text: text.into(), bad: false });
}
