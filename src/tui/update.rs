//! The only place where state changes: a message in, effects out.
//! Not here: clocks, channels, input and output.

use crokey::KeyCombination;

use crate::tui::app::{App, Notice};
use crate::tui::keymap;
use crate::tui::keys::{self, Action};
use crate::tui::msg::{Effect, Format, Msg, Update};

mod actions;
pub(crate) mod meta;
pub(crate) mod meta_requests;
pub(crate) mod meta_responses;
mod mouse;
mod overlay;
pub(crate) mod questions;
mod requests;
mod responses;
pub(crate) mod select;
pub(crate) mod stitch;
pub(crate) mod stitch_requests;
pub(crate) mod stitch_responses;
mod suites;

/// Takes one message.
pub fn update(app: &mut App, msg: Msg) -> Update {
    let mut out = Update::default();
    out.dirty = take(app, msg, &mut out.effects);
    requests::settle(app, &mut out.effects);
    if !app.is_pending() {
        app.ticks = 0;
    }
    out
}

/// What must be asked for before the first message: the suite, while the first frame already stands.
pub fn start(app: &mut App) -> Update {
    let mut out = Update { dirty: true, effects: Vec::new() };
    suites::open(app, app.suite.clone(), app.usual, &mut out.effects);
    out
}

fn take(app: &mut App, msg: Msg, effects: &mut Vec<Effect>) -> bool {
    match msg {
        Msg::Key(pressed) => press(app, pressed, effects),
        Msg::Typed(text) => typed(app, &text, effects),
        Msg::Paste(text) => overlay::paste(app, &text),
        Msg::Mouse(mouse) => mouse::take(app, mouse, effects),
        Msg::Resize { width, height } => {
            let changed = app.size != (width, height);
            app.size = (width, height);
            changed
        }
        Msg::Job { event, at } => questions::take(app, event, at, effects),
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
        Msg::Notice(text) => {
            app.notice = Some(Notice { text, bad: true });
            true
        }
    }
}

fn press(app: &mut App, pressed: KeyCombination, effects: &mut Vec<Effect>) -> bool {
    let place = app.place();
    let had_notice = app.notice.take().is_some();
    let did = if let Some(action) = keymap::find(place, pressed) {
        act(app, action, effects)
    } else if let (true, Some(c)) = (place.takes_text(), keys::as_text(pressed)) {
        overlay::insert(app, c.encode_utf8(&mut [0; 4]));
        true
    } else {
        false
    };
    did || had_notice
}

/// Takes characters typed one after the other: those that reach a field of text as one insertion.
fn typed(app: &mut App, text: &str, effects: &mut Vec<Effect>) -> bool {
    let mut rest = text.chars();
    while !app.place().takes_text() {
        let Some(c) = rest.next() else { return true };
        press(app, keys::of_text(c), effects);
    }
    if !rest.as_str().is_empty() {
        app.notice = None;
        overlay::insert(app, rest.as_str());
    }
    true
}

/// Does an action where the keys go now.
fn act(app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
    if app.overlay.is_empty() { actions::in_panes(app, action, effects) } else { overlay::act(app, action, effects) }
}

/// What every action does alike, in the panes and over them; gives none when it is not one of those.
fn always(app: &mut App, action: Action, effects: &mut Vec<Effect>) -> Option<bool> {
    match action {
        Action::Interrupt => questions::interrupt(app, effects),
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

/// Shows the person something in the status line.
pub(crate) fn say(app: &mut App, text: impl Into<String>) {
    app.say(text);
}
