//! Everything that the explorer asks, in one list, and what is done with all of it alike: answers taken, `^C`, asking
//! again, errors, forgetting. Not here: when a question is asked (`requests.rs`), and what else an answer changes.

use std::time::Duration;

use crate::report::Report;
use crate::tui::app::App;
use crate::tui::ask::{AnyAsk, Turn};
use crate::tui::msg::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::panes::PANES;
use crate::tui::question::{Question, Wait};
use crate::tui::update::{responses, say};
use crate::worker::{Event, JobEvent};

/// The list; what is most basic first: its error is shown first, and what ends it is reported first.
fn all() -> impl Iterator<Item = &'static Question> {
    let of_panes = PANES.iter().flat_map(|pane| pane.questions());
    responses::QUESTIONS.iter().chain(of_panes).chain(responses::UNASKED)
}

impl App {
    /// Everything that is asked, whoever waits for it.
    pub fn queries(&self) -> impl Iterator<Item = (&'static Question, &dyn AnyAsk)> {
        all().map(|question| (question, (question.of)(self)))
    }

    /// Whether anything was asked for and has not been answered.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.queries().any(|(question, ask)| question.wait != Wait::Unseen && ask.is_pending())
    }

    /// Whether anything is awaited that a person waits for: not a download, nor what is measured in the background.
    #[must_use]
    pub fn is_computing(&self) -> bool {
        self.queries().any(|(question, ask)| question.wait == Wait::Soon && ask.is_pending())
    }
}

/// Takes what came of a question; gives whether anything changed: what is stale changes nothing.
pub(super) fn take(app: &mut App, event: JobEvent, at: Duration, effects: &mut Vec<Effect>) -> bool {
    let asked = all().find(|question| {
        let ask = (question.of)(app);
        ask.is_pending() && ask.ticket() == event.ticket
    });
    let Some(question) = asked else { return false };
    let ask = (question.of_mut)(app);
    let turn = match event.event {
        Event::Progress(progress) => {
            ask.note(progress);
            Turn::Progress(at)
        }
        Event::Done(answer) => ask.take(answer),
    };
    if turn == Turn::Answered && question.renews {
        forget_suite(app, effects);
    }
    (question.then)(app, turn, effects);
    true
}

/// Ends everything that is pending; quits when nothing is.
pub(super) fn interrupt(app: &mut App, effects: &mut Vec<Effect>) {
    let mut render = None;
    for question in all() {
        let ask = (question.of_mut)(app);
        if ask.is_pending() {
            effects.push(Effect::Cancel(ask.slot()));
            ask.end();
            render = render.or(Some(question.ended));
            (question.then)(app, Turn::Ended, effects);
        }
    }
    match render {
        Some(render) => say(app, render),
        None => effects.push(Effect::Quit),
    }
}

/// Asks again for whatever failed; the prompt when nothing did.
pub(super) fn retry(app: &mut App, effects: &mut Vec<Effect>) {
    if app.opened.failure().is_some() {
        effects.extend(app.opened.again(&mut app.tickets));
        return;
    }
    app.run.forget();
    app.card.forget();
    for question in all() {
        (question.of_mut)(app).retry();
        (question.then)(app, Turn::Retried, effects);
    }
}

/// Forgets what was asked about the suite that was open before.
fn forget_suite(app: &mut App, effects: &mut Vec<Effect>) {
    for question in all().filter(|question| !question.lasts) {
        (question.of_mut)(app).clear();
        (question.then)(app, Turn::Cleared, effects);
    }
}

/// Shows the error that a person would ask about: that of what is most basic.
pub(super) fn show_error(app: &mut App) {
    let failure: Option<Report> = app.queries().find_map(|(_, ask)| ask.last_failure()).cloned();
    match failure {
        Some(report) => app.overlay.push(Overlay::Error { report, top: 0 }),
        None => say(app, "nothing went wrong"),
    }
}
