//! How the explorer says whether a suite is wired right: one line where a person looks anyway, all of it on a key.
//! Not here: measuring (`doctor`).

use std::sync::Arc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use saescope::analysis::doctor::{Checkup, Expected, Figures, Finding, Norms, SaeCheckup, Trial, Verdict};
use saescope::analysis::{Run, SaeTypes};
use saescope::report::Report;
use saescope::session::{Checked, CheckupQuery, Query, RunQuery};
use saescope::text::Charset;
use saescope::tui::app::App;
use saescope::tui::ask::AnyAsk as _;
use saescope::tui::msg::{Effect, Msg};
use saescope::tui::theme::{Depth, Ground, Theme};
use saescope::tui::update::update;
use saescope::tui::view::view;
use saescope::worker::{Answer, Event};

fn figures(l0: f64, variance: f64) -> Figures {
    let (l0, explained_variance) = (Some(l0), Some(variance));
    Figures { tokens: 431, l0, explained_variance, mse: Some(2.7), silent: 11, dense: 3, ..Figures::default() }
}

fn checkup(off: bool) -> Checkup {
    let saes = crate::tui_support::sample::WIDTHS.iter().map(|width| {
        let fits = "activations are centred: set `center = true` in [site]".to_owned();
        let trial = |said: &str, l0: f64, variance: f64, fits: bool| Trial {
            convention: said.to_owned(),
            said: said.to_owned(),
            remedy: String::new(),
            measured: figures(l0, variance),
            distance: 0.0,
            fits,
        };
        SaeCheckup {
            id: width.to_string(),
            width: *width,
            dtype: SaeTypes::default(),
            notes: Vec::new(),
            measured: if off { figures(412.0, -0.31) } else { figures(35.9, 0.612) },
            expected: Expected { l0: Some(36.0), explained_variance: Some(0.61), ..Expected::default() },
            decoder_norms: Norms { rows: *width, min: 1.0, median: 1.0, max: 1.0, zero: 0 },
            verdict: if off { Verdict::Off } else { Verdict::Fine },
            why: if off { vec!["L0 is 412, expected 36.0".to_owned()] } else { Vec::new() },
            contradictions: Vec::new(),
            fits: off.then_some(fits),
            trials: if off && *width > crate::tui_support::sample::WIDTHS[0] {
                vec![trial("activations centred", 35.9, 0.61, true)]
            } else if off {
                vec![trial("activations centred", 35.9, 0.61, true), trial("no BOS in front", 390.0, -0.2, false)]
            } else {
                Vec::new()
            },
        }
    });
    let unverified = vec![Finding {
        of: "SAE 128".to_owned(),
        key: "decoder-norms".to_owned(),
        holds: Some(true),
        said: "decoder rows are 1.00 to 1.00 long".to_owned(),
    }];
    Checkup::of("the program".to_owned(), 30, saes.collect(), unverified, false)
}

fn theme() -> Theme {
    Theme { depth: Depth::Mono, ground: Ground::Dark, charset: Charset::Unicode }
}

fn draw(app: &mut App, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    update(app, Msg::Resize { width, height });
    for _ in 0..2 {
        let mut hits = None;
        terminal.draw(|frame| hits = Some(view(app, &theme(), frame))).expect("drawn");
        crate::tui_support::sample::send(app, Msg::Drawn(hits.expect("hits")));
    }
    let rows = terminal.backend().buffer().content().chunks(usize::from(width)).map(|row| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// The explorer with this answer about the wiring.
fn told(answer: Result<Checked, Report>) -> App {
    let mut app = crate::tui_support::sample::ready(crate::tui_support::sample::PROMPT);
    app.checkup.ask(CheckupQuery { losses: false, again: false }, (), &mut app.tickets);
    let ticket = app.checkup.ticket();
    let event = Event::Done(answer.map(Answer::new));
    crate::tui_support::sample::send(&mut app, crate::tui_support::sample::told(ticket, event));
    app
}

fn checked(off: bool, new: bool) -> Checked {
    Checked { checkup: Arc::new(checkup(off)), new }
}

/// The line above the footer.
fn status(app: &mut App, size: (u16, u16)) -> String {
    let screen = draw(app, size);
    let rows: Vec<&str> = screen.lines().collect();
    rows[rows.len() - 2].to_owned()
}

#[test]
fn the_status_line_says_how_the_suite_is_wired() {
    let mut said = Vec::new();
    for (off, name) in [(false, "fine"), (true, "off")] {
        for size in [(60, 15), (80, 24), (120, 40), (200, 60)] {
            let line = status(&mut told(Ok(checked(off, false))), size);
            said.push(format!("{name} {}: {line}", size.0));
        }
    }
    insta::assert_snapshot!("wiring_status", said.join("\n"));
}

#[test]
fn all_of_it_is_one_key_away() {
    for (off, name) in [(false, "wiring_fine"), (true, "wiring_off")] {
        let mut app = told(Ok(checked(off, false)));
        crate::tui_support::sample::press(&mut app, "shift-w");
        insta::assert_snapshot!(format!("{name}_80x24"), draw(&mut app, (80, 24)));
        crate::tui_support::sample::press(&mut app, "esc");
        assert!(app.overlay.is_empty());
    }
}

#[test]
fn notes_on_the_suite_and_the_prompt_stand_below_what_was_measured() {
    let mut app = told(Ok(checked(false, false)));
    app.run.again(&mut app.tickets).expect("it was asked");
    let run = Run {
        notes: vec!["the prompt begins with BOS".to_owned()],
        ..crate::tui_support::sample::run_of(crate::tui_support::sample::PROMPT)
    };
    let event = Event::Done(Ok(Answer::new(run)));
    let ticket = app.run.ticket();
    crate::tui_support::sample::send(&mut app, crate::tui_support::sample::told(ticket, event));
    crate::tui_support::sample::press(&mut app, "shift-w");
    let screen = draw(&mut app, (120, 40));
    let row = |words: &str| screen.lines().position(|line| line.contains(words)).expect(words);
    assert!(row("sentences of the program") < row("the prompt begins with BOS"), "{screen}");
}

#[test]
fn what_was_measured_just_now_is_told_once() {
    for (off, word) in [(false, "1 hold"), (true, "center = true")] {
        let app = told(Ok(checked(off, true)));
        let notice = app.notice.as_ref().expect("is told");
        assert!(notice.text.contains(word) && notice.text.contains('W') && notice.bad == off, "{notice:?}");
        assert_eq!(told(Ok(checked(off, false))).notice, None, "it has been told before");
    }
}

#[test]
fn it_is_asked_for_after_the_first_latents_and_once() {
    let mut app = crate::tui_support::sample::new(Some(crate::tui_support::sample::PROMPT), Charset::Unicode);
    let mut waiting = saescope::tui::update::start(&mut app).effects;
    let (mut asked, mut ran) = (0, false);
    while let Some(effect) = waiting.pop() {
        let Effect::Ask { ticket, job } = effect else { continue };
        let slot = job.slot();
        if slot == CheckupQuery::NAME {
            assert!(ran && app.card.value().is_some());
            asked += 1;
            continue;
        }
        let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
        ran |= slot == RunQuery::NAME;
        waiting.extend(update(&mut app, crate::tui_support::sample::told(ticket, event)).effects);
    }
    assert_eq!(asked, 1);
    update(&mut app, Msg::Tick);
    let key: crokey::KeyCombination = "ctrl-c".parse().expect("a key");
    let effects = update(&mut app, Msg::Key(key.normalized())).effects;
    assert!(effects.contains(&Effect::Cancel(CheckupQuery::NAME)) && !effects.contains(&Effect::Quit), "{effects:?}");
}

#[test]
fn why_it_could_not_be_measured_is_one_key_away() {
    let mut app = told(Err(Report::new("cannot check how the suite is wired").because("the model is not loaded")));
    assert!(!status(&mut app, (120, 40)).contains("wiring"));
    crate::tui_support::sample::press(&mut app, "shift-w");
    assert!(draw(&mut app, (80, 24)).contains("because the model is not loaded"));
}
