//! What holds of every question that the explorer asks, by walking the list of them: a new one cannot be left out.
//! Not here: what single answers change (`tui_update`, `tui_stitch`, `tui_meta`).

use std::collections::{BTreeMap, BTreeSet};

use crate::tui_support::sample::{HEADS, PROMPT, press, ready_on, send, told};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use saescope::session::Lane;
use saescope::task::{Cancelled, Progress, Ticket, Tickets};
use saescope::tui::app::App;
use saescope::tui::msg::{Effect, Msg, Update};
use saescope::tui::question::Question;
use saescope::tui::theme::Theme;
use saescope::tui::update::update;
use saescope::worker::{Event, Job};

/// Draws a frame on a large screen and answers what it leads to.
fn frame(app: &mut App) {
    for _ in 0..2 {
        let mut terminal = Terminal::new(TestBackend::new(200, 60)).expect("a test terminal");
        let mut hits = None;
        let theme = Theme::default();
        terminal.draw(|frame| hits = Some(saescope::tui::view::view(app, &theme, frame))).expect("drawn");
        send(app, Msg::Drawn(hits.expect("hits")));
    }
}

fn walk(app: &mut App, keys: &[&str]) {
    for key in keys {
        press(app, key);
        frame(app);
    }
}

/// An explorer in which everything has been asked and answered.
fn everything() -> App {
    let mut app = ready_on(HEADS, PROMPT);
    send(&mut app, Msg::Resize { width: 200, height: 60 });
    frame(&mut app);
    // A download, which opens its suite, and then the one that reads heads.
    walk(&mut app, &["s", "down", "enter", "enter"]);
    HEADS.clone_into(&mut app.suite);
    walk(&mut app, &["shift-m", "shift-m", "2"]);
    walk(
        &mut app,
        &[
            "o", "esc", "shift-e", "esc", "c", "space", "space", "space", "space", "esc", "shift-a", "esc", "shift-c",
            "enter", "enter", "esc", "shift-j", "+", "enter", "esc", "/", "e", "esc", "4", "|", "esc",
        ],
    );
    walk(&mut app, &["shift-l", "x", "enter"]);
    // Stitching: filter, workbench, curve, group, another text, export.
    walk(&mut app, &["5", "/", "e", "enter", "shift-t", "x", "enter", "space", "shift-e", "enter", "6", "7", "8", "5"]);
    // Meta-SAEs, of the SAE that has one: training, parts, a card, surgery, the prompt by meta-latents.
    walk(&mut app, &["]", "]", "t", "enter", "9", "enter", "z", "space", "9", "enter", "3", "v"]);
    // What the meta-latents of a latent do.
    walk(&mut app, &["c", "space", "space", "space", "esc"]);
    walk(&mut app, &["5", "6"]);
    app
}

fn questions(app: &App) -> Vec<&'static Question> {
    app.queries().map(|(question, _)| question).collect()
}

/// Asks a question again.
fn again(app: &mut App, question: &Question) -> (Ticket, Job) {
    let mut tickets = std::mem::take(&mut app.tickets);
    let ask = (question.of_mut)(app);
    let slot = ask.slot();
    let effect =
        ask.again(&mut tickets).unwrap_or_else(|| panic!("`{slot}` was never asked: add keys to `everything`"));
    app.tickets = tickets;
    match effect {
        Effect::Ask { ticket, job } => (ticket, job),
        other => panic!("{other:?}"),
    }
}

fn interrupt(app: &mut App) -> Update {
    update(app, Msg::Key("ctrl-c".parse().expect("a key")))
}

#[test]
fn control_c_ends_whatever_is_pending_and_quits_when_nothing_is() {
    let mut app = everything();
    assert!(!app.is_pending());
    for question in questions(&app) {
        let (ticket, job) = again(&mut app, question);
        let ended = interrupt(&mut app);
        assert!(ended.effects.contains(&Effect::Cancel(job.slot())), "{job:?}: {:?}", ended.effects);
        assert!(!ended.effects.contains(&Effect::Quit), "{job:?}");
        assert!(app.notice.is_some(), "{job:?} ends and nobody is told");
        assert!(!(question.of)(&app).is_pending(), "{job:?}");
        let late = update(&mut app, told(ticket, Event::Done(Err(Cancelled.into()))));
        assert!(!late.dirty, "{job:?}");
        // Whatever its end leads to is answered, and it is not asked again by itself.
        let again = ended.effects.iter().chain(&late.effects).filter(|effect| match effect {
            Effect::Ask { job: other, .. } => other.slot() == job.slot(),
            _ => false,
        });
        assert_eq!(again.count(), 0, "{job:?} is asked again by itself");
        crate::tui_support::sample::settle(&mut app, ended);
        crate::tui_support::sample::settle(&mut app, late);
        assert_eq!(interrupt(&mut app).effects, [Effect::Quit], "{job:?}");
    }
}

#[test]
fn control_c_ends_all_of_it_at_once() {
    let mut app = everything();
    let slots: BTreeSet<&str> =
        questions(&app).into_iter().map(|question| again(&mut app, question).1.slot()).collect();
    let cancelled: BTreeSet<&str> = interrupt(&mut app)
        .effects
        .iter()
        .filter_map(|effect| if let Effect::Cancel(slot) = effect { Some(*slot) } else { None })
        .collect();
    assert_eq!(cancelled, slots);
    assert!(!app.is_pending());
}

#[test]
fn an_answer_to_an_older_asking_never_ends_a_newer_one() {
    let mut app = everything();
    for question in questions(&app) {
        let (old, job) = again(&mut app, question);
        let (new, _) = again(&mut app, question);
        assert!(old < new, "{job:?}");
        for event in [
            Event::Progress(Progress::default()),
            Event::Done(Err(Cancelled.into())),
            Event::Done(Ok(crate::tui_support::sample::answer_or(&job))),
        ] {
            assert!(!update(&mut app, told(old, event)).dirty, "{job:?}");
        }
        assert!((question.of)(&app).is_pending() && (question.of)(&app).ticket() == new, "{job:?}");
        (question.of_mut)(&mut app).end();
    }
}

#[test]
fn no_ticket_comes_twice_whatever_is_forgotten_in_between() {
    let mut app = everything();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        for question in questions(&app) {
            let (ticket, job) = again(&mut app, question);
            assert!(seen.insert(ticket), "{ticket:?} twice: {job:?}");
            // All that can be forgotten is, and what is asked for again has tickets of its own.
            (question.of_mut)(&mut app).clear();
        }
        let first = saescope::tui::update::start(&mut app);
        let mut waiting = first.effects;
        while let Some(effect) = waiting.pop() {
            let Effect::Ask { ticket, job } = effect else { continue };
            assert!(seen.insert(ticket), "{ticket:?} twice: {job:?}");
            waiting.extend(
                update(&mut app, told(ticket, Event::Done(Ok(crate::tui_support::sample::answer_or(&job))))).effects,
            );
        }
        app = everything_from(app);
    }
}

/// The same explorer with everything asked once more.
fn everything_from(app: App) -> App {
    let tickets: Tickets = app.tickets;
    let mut all = everything();
    all.tickets = tickets;
    all
}

#[test]
fn every_question_has_a_slot_and_an_urgency_of_its_own() {
    let mut app = everything();
    let mut slots = BTreeSet::new();
    let mut urgency: BTreeMap<(Lane, u8), &str> = BTreeMap::new();
    for question in questions(&app) {
        let (_, job) = again(&mut app, question);
        assert!(slots.insert(job.slot()), "`{}` twice", job.slot());
        if let Some(other) = urgency.insert((job.lane(), job.priority()), job.slot()) {
            panic!("`{}` and `{other}` are equally urgent", job.slot());
        }
        assert_eq!((question.of)(&app).slot(), job.slot());
    }
}

#[test]
fn what_failed_is_shown_whatever_it_is() {
    let mut app = everything();
    for question in questions(&app) {
        let (ticket, job) = again(&mut app, question);
        update(&mut app, told(ticket, Event::Done(Err(saescope::report::Report::new("it cannot be had")))));
        assert!((question.of)(&app).last_failure().is_some(), "{job:?}");
        app.overlay.clear();
        update(&mut app, Msg::Key("!".parse().expect("a key")));
        assert!(!app.overlay.is_empty(), "{job:?}: its error is not shown");
        app.overlay.clear();
        // Answered after all, so that it hides no other.
        let (_, job) = again(&mut app, question);
        (question.of_mut)(&mut app).take(Ok(crate::tui_support::sample::answer_or(&job)));
    }
}
