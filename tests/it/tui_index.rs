//! The index in the explorer: it begins by itself where there is none, gives way to everything else, and is stopped and
//! continued by a key. Not here: what is counted (`index`).

use crate::tui_support::sample::{PROMPT, answer_or, index_view, new, press, send, settle, told};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use saescope::analysis::IndexView;
use saescope::session::{CheckupQuery, IndexQuery, Query, ReadOn};
use saescope::task::{Progress, Ticket};
use saescope::text::Charset;
use saescope::tui::app::{App, Focus};
use saescope::tui::msg::{Effect, Msg, Update};
use saescope::tui::theme::Theme;
use saescope::tui::update::{start, update};
use saescope::tui::view::view;
use saescope::worker::{Answer, Event, Job};

/// An explorer whose suite has this index, and what is asked about it then, unanswered.
fn with_index(found: &IndexView) -> (App, Option<(Ticket, Job)>) {
    let mut app = new(Some(PROMPT), Charset::Unicode);
    let first = start(&mut app);
    let asked = answered(&mut app, first, Some(found));
    (app, asked)
}

/// Answers everything but the reading of a text, which is given.
fn answered(app: &mut App, first: Update, found: Option<&IndexView>) -> Option<(Ticket, Job)> {
    let (mut waiting, mut reads) = (first.effects, None);
    while let Some(effect) = waiting.pop() {
        let Effect::Ask { ticket, job } = effect else { continue };
        let answer = match (job.get::<IndexQuery>(), found) {
            (Some(IndexQuery { read: Some(_), .. }), _) => {
                reads = Some((ticket, job));
                continue;
            }
            (Some(_), Some(found)) => Answer::new(found.clone()),
            _ => answer_or(&job),
        };
        waiting.extend(update(app, told(ticket, Event::Done(Ok(answer)))).effects);
    }
    reads
}

fn key(app: &mut App, key: &str) -> Update {
    let key: crokey::KeyCombination = key.parse().expect("a key");
    update(app, Msg::Key(key.normalized()))
}

fn none() -> IndexView {
    IndexView { suite: "demo".into(), ..IndexView::default() }
}

fn read_of((_, job): &(Ticket, Job)) -> ReadOn {
    job.get::<IndexQuery>().and_then(|query| query.read).expect("reads")
}

fn screen(app: &mut App, width: u16, height: u16) -> String {
    send(app, Msg::Resize { width, height });
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    let mut hits = None;
    terminal.draw(|frame| hits = Some(view(app, &Theme::default(), frame))).expect("drawn");
    send(app, Msg::Drawn(hits.expect("hits")));
    terminal.backend().to_string()
}

#[test]
fn a_suite_without_an_index_begins_one_and_one_with_an_index_does_not() {
    let (app, reads) = with_index(&none());
    let reads = reads.expect("a text is read");
    assert_eq!(read_of(&reads), ReadOn::CoreSeconds(60.0));
    assert!(!app.is_pending(), "nobody waits for it");
    let (_, reads) = with_index(&index_view());
    assert!(reads.is_none());
    let (_, reads) = with_index(&IndexView { complete: true, ..none() });
    assert!(reads.is_none(), "where nothing is kept nothing is read");
}

#[test]
fn it_gives_way_to_everything_and_goes_on_behind_it() {
    let (mut app, reads) = with_index(&none());
    let (ticket, _) = reads.expect("a text is read");
    let so_far = Progress { done: 4096, total: Some(10_000), ..Progress::default() };
    assert!(update(&mut app, told(ticket, Event::Progress(so_far))).dirty);
    let before = app.index.version();
    let typed = key(&mut app, "down");
    let ended = |update: &Update| update.effects.contains(&Effect::Cancel(IndexQuery::NAME));
    let asks = |update: &Update| {
        update.effects.iter().any(|effect| matches!(effect, Effect::Ask { job, .. } if job.slot() == IndexQuery::NAME))
    };
    let typed = if ended(&typed) { typed } else { key(&mut app, "3") };
    let typed = if ended(&typed) { typed } else { key(&mut app, "down") };
    assert!(ended(&typed) && !asks(&typed), "{:?}", typed.effects);
    assert_eq!(app.index.version(), before, "what was read stays read");
    let late = update(&mut app, told(ticket, Event::Done(Err(saescope::task::Cancelled.into()))));
    assert!(!late.dirty);
    let (again, job) = answered(&mut app, typed, None).expect("it goes on when the others are answered");
    assert!(again > ticket && job.get::<IndexQuery>().is_some_and(|query| query.read.is_some()));
    // To its end.
    let done = IndexView { complete: false, ..index_view() };
    let first = update(&mut app, told(again, Event::Done(Ok(Answer::new(done)))));
    assert!(answered(&mut app, first, None).is_none(), "a minute is all that is read unasked");
    assert!(app.index.version() > before);
}

#[test]
fn a_key_reads_to_the_end_stops_and_goes_on() {
    let (mut app, _) = with_index(&IndexView { complete: false, ..index_view() });
    press(&mut app, "shift-i");
    assert_eq!((app.focus, app.beside), (Focus::Index, Focus::Index));
    let first = key(&mut app, "enter");
    let reads = answered(&mut app, first, None).expect("reads on");
    assert_eq!(read_of(&reads), ReadOn::CoreSeconds(f64::INFINITY));
    let stopped = key(&mut app, "enter");
    assert!(stopped.effects.contains(&Effect::Cancel(IndexQuery::NAME)));
    assert!(answered(&mut app, stopped, None).is_none(), "it stays stopped");
    let first = key(&mut app, "enter");
    assert!(answered(&mut app, first, None).is_some());
    let interrupted = key(&mut app, "ctrl-c");
    assert!(interrupted.effects.contains(&Effect::Cancel(IndexQuery::NAME)));
    settle(&mut app, interrupted);
    assert!(app.index.asked.question().is_some_and(|(query, ())| query.read.is_some()));
    assert!(key(&mut app, "ctrl-c").effects.contains(&Effect::Quit), "nothing is pending");
    press(&mut app, "esc");
    assert_eq!((app.focus, app.beside), (Focus::Tokens, Focus::Card));
}

#[test]
fn the_wiring_comes_first() {
    let mut app = new(Some(PROMPT), Charset::Unicode);
    let mut waiting = start(&mut app).effects;
    while let Some(effect) = waiting.pop() {
        let Effect::Ask { ticket, job } = effect else { continue };
        assert_ne!(job.slot(), IndexQuery::NAME, "the doctor has not answered");
        if job.get::<CheckupQuery>().is_none() {
            waiting.extend(update(&mut app, told(ticket, Event::Done(Ok(answer_or(&job))))).effects);
        }
    }
}

#[test]
fn it_is_told_at_three_sizes() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let (mut app, _) = with_index(&IndexView { complete: false, ..index_view() });
        press(&mut app, "shift-i");
        insta::assert_snapshot!(format!("index_{width}x{height}"), screen(&mut app, width, height));
    }
    let (mut app, reads) = with_index(&none());
    let (ticket, _) = reads.expect("a text is read");
    let figures = vec![("tokens/s".to_owned(), 1234.5), ("seconds left".to_owned(), 71.0)];
    let so_far = Progress { done: 4096, total: Some(90_000), figures, ..Progress::default() };
    update(&mut app, told(ticket, Event::Progress(so_far)));
    key(&mut app, "shift-i");
    insta::assert_snapshot!("index_reading", screen(&mut app, 120, 40));
}
