//! What keys, answers, clicks and pastes do to the state.
//! Not here: how it looks (`tui_screens`).

use std::time::Duration;

use crate::tui_support::sample::{press, ready, send, settle, told};
use proptest::prelude::*;
use saescope::analysis::{Firing, Run};
use saescope::report::{Kind, Report};
use saescope::session::{
    CardQuery, CatalogueQuery, LoadScope, NamesQuery, NextQuery, OpenQuery, OpenedSuite, PullQuery, Query, RunQuery,
    SearchQuery,
};
use saescope::task::{Progress, Ticket, Unit, Whole};
use saescope::text::Charset;
use saescope::tui::app::{App, Focus};
use saescope::tui::keymap::table;
use saescope::tui::keys::KeyContext;
use saescope::tui::msg::{Effect, Format, Mouse, MouseDid, Msg};
use saescope::tui::overlay::Overlay;
use saescope::tui::update::{start, update};
use saescope::worker::{Answer, Event, Job, JobEvent};

fn asked(effects: &[Effect], slot: &str) -> Option<(Ticket, Job)> {
    effects.iter().rev().find_map(|e| match e {
        Effect::Ask { ticket, job } if job.slot() == slot => Some((*ticket, job.clone())),
        _ => None,
    })
}

fn key(app: &mut App, name: &str) -> Vec<Effect> {
    let key: crokey::KeyCombination = name.parse().expect("a key");
    update(app, Msg::Key(key.normalized())).effects
}

fn done(app: &mut App, ticket: Ticket, answer: Result<Answer, Report>) -> bool {
    update(app, told(ticket, Event::Done(answer))).dirty
}

#[test]
fn the_start_opens_the_suite_then_runs_its_prompt_then_asks_for_a_card() {
    let mut app = crate::tui_support::sample::new(None, Charset::Unicode);
    let (ticket, job) = asked(&start(&mut app).effects, OpenQuery::NAME).expect("a suite is asked for");
    assert_eq!(job, Job::new(OpenQuery { suite: "demo".into(), saes: Vec::new(), reach: LoadScope::Whole }));
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    let effects = update(&mut app, told(ticket, event)).effects;
    let (ticket, job) = asked(&effects, RunQuery::NAME).expect("a run is asked for");
    assert!(
        matches!(job.get::<RunQuery>(), Some(RunQuery { prompt, .. }) if prompt == crate::tui_support::sample::PROMPT)
    );
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    let effects = update(&mut app, told(ticket, event)).effects;
    assert!(asked(&effects, CardQuery::NAME).is_some() && asked(&effects, NamesQuery::NAME).is_some(), "{effects:?}");
    assert_eq!((app.focus, app.token, app.held), (Focus::Tokens, 9, false), "the last token, its strongest latent");
}

#[test]
fn latents_come_first_then_what_comes_next_the_chosen_token_before_the_others() {
    let mut app = crate::tui_support::sample::new(Some("one two three four"), Charset::Unicode);
    let (ticket, job) = asked(&start(&mut app).effects, OpenQuery::NAME).expect("a suite is asked for");
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    let effects = update(&mut app, told(ticket, event)).effects;
    let (ticket, job) = asked(&effects, RunQuery::NAME).expect("a run is asked for");
    assert!(matches!(job.get::<RunQuery>(), Some(RunQuery { next: 0, .. })), "the run waits for no predictions");
    assert!(asked(&effects, NextQuery::NAME).is_none(), "nothing is known of the prompt yet");
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    let effects = update(&mut app, told(ticket, event)).effects;
    let (first, job) = asked(&effects, NextQuery::NAME).expect("what comes next is asked for");
    assert!(
        matches!(job.get::<NextQuery>(), Some(NextQuery { prompt, positions, .. }) if prompt == "one two three four" && *positions == [4])
    );
    // Another character ends it: its answer would be of a prompt that is gone.
    key(&mut app, "e");
    let effects = key(&mut app, "s");
    assert!(effects.contains(&Effect::Cancel(NextQuery::NAME)), "{effects:?}");
    assert!(!done(&mut app, first, Ok(crate::tui_support::sample::answer(&job))), "stale");
    let (ticket, job) = asked(&effects, RunQuery::NAME).expect("a run");
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    let effects = update(&mut app, told(ticket, event)).effects;
    let (ticket, job) = asked(&effects, NextQuery::NAME).expect("what comes next is asked for");
    assert!(app.next.at(4).is_none());
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    let effects = update(&mut app, told(ticket, event)).effects;
    assert!(app.next.at(4).is_some() && app.next.at(3).is_none());
    let (_, job) = asked(&effects, NextQuery::NAME).expect("the others follow");
    assert!(
        matches!(job.get::<NextQuery>(), Some(NextQuery { positions, .. }) if *positions == [3, 2, 1, 0]),
        "{job:?}"
    );
}

#[test]
fn without_a_model_nothing_is_run_and_latents_are_walked_by_number() {
    let mut app = crate::tui_support::sample::weights_only();
    assert!(app.weights_only() && app.run.value().is_none() && app.card.value().is_some());
    assert_eq!((app.focus, app.latent, app.run.question()), (Focus::Latents, Some(0), None));
    press(&mut app, "down");
    press(&mut app, "down");
    assert_eq!((app.latent, app.card.value().map(|card| card.latent)), (Some(2), Some(2)));
    press(&mut app, "end");
    assert_eq!(app.latent, Some(511));
    press(&mut app, "down");
    assert_eq!(app.latent, Some(511), "there are no more");
    let (_, job) = asked(&key(&mut app, "shift-m"), OpenQuery::NAME).expect("the model is loaded again");
    assert_eq!(job, Job::new(OpenQuery { suite: "demo".into(), saes: Vec::new(), reach: LoadScope::Whole }));
}

#[test]
fn a_suite_that_failed_opens_without_its_model() {
    let mut app = crate::tui_support::sample::new(None, Charset::Unicode);
    let (ticket, _) = asked(&start(&mut app).effects, OpenQuery::NAME).expect("a suite is asked for");
    done(&mut app, ticket, Err(Report::new("it does not fit")));
    let (_, job) = asked(&key(&mut app, "shift-m"), OpenQuery::NAME).expect("its weights are");
    assert!(matches!(job.get::<OpenQuery>(), Some(OpenQuery { reach: LoadScope::WeightsOnly, .. })));
}

#[test]
fn typing_runs_every_change_and_old_answers_count_no_more() {
    let mut app = ready("ab");
    key(&mut app, "e");
    assert_eq!(app.focus, Focus::Prompt);
    let (first, job) = asked(&key(&mut app, "c"), RunQuery::NAME).expect("a run");
    assert!(matches!(job.get::<RunQuery>(), Some(RunQuery { prompt, .. }) if prompt == "abc"));
    let (second, _) = asked(&key(&mut app, "d"), RunQuery::NAME).expect("a run");
    let shown = app.shown_prompt.clone();
    assert!(!done(&mut app, first, Ok(crate::tui_support::sample::answer(&job))), "stale");
    assert_eq!(app.shown_prompt, shown);
    let job = Job::new(RunQuery { prompt: "abcd".into(), next: 1 });
    assert!(done(&mut app, second, Ok(crate::tui_support::sample::answer(&job))));
    assert_eq!((app.shown_prompt.as_str(), app.run.is_stale()), ("abcd", false));
    assert_eq!(app.token, 1, "the token under the caret");
}

#[test]
fn the_latents_follow_the_caret() {
    let mut app = ready("one two three");
    press(&mut app, "e");
    assert_eq!(app.token, 3);
    press(&mut app, "home");
    assert_eq!(app.token, 1);
    for _ in 0..4 {
        press(&mut app, "right");
    }
    assert_eq!(app.token, 2, "the space belongs to the token it begins");
    press(&mut app, "esc");
    assert_eq!((app.focus, app.token), (Focus::Tokens, 2));
}

#[test]
fn a_latent_that_fires_on_every_token_is_passed_over_while_another_fires() {
    const EVERYWHERE: u32 = 7;
    let mut app = ready(crate::tui_support::sample::PROMPT);
    let mut run = crate::tui_support::sample::run_of(crate::tui_support::sample::PROMPT);
    for sae in &mut run.saes {
        for position in &mut sae.positions {
            position.latents.retain(|f| f.latent != EVERYWHERE);
            position.latents.insert(0, Firing { latent: EVERYWHERE, activation: 99.0, quantile: None });
        }
    }
    // One token has nothing else.
    let alone = run.tokens.len() - 2;
    run.saes.iter_mut().for_each(|sae| sae.positions[alone].latents.truncate(1));
    app.run.ask(RunQuery { prompt: crate::tui_support::sample::PROMPT.into(), next: 0 }, (), &mut app.tickets);
    let ticket = app.run.ticket();
    let event = Event::Done(Ok(Answer::new(run)));
    update(&mut app, told(ticket, event));
    let second = app.position().and_then(|p| p.latents.get(1)).map(|f| f.latent);
    assert!(second.is_some() && app.latent == second, "{:?}", app.latent);
    press(&mut app, "left");
    assert_eq!((app.token, app.latent), (alone, Some(EVERYWHERE)), "nothing else fires there");
}

#[test]
fn a_held_latent_stays_while_one_moves_along_the_tokens() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    let strongest = app.latent;
    press(&mut app, "left");
    assert_ne!(app.latent, strongest, "the strongest is followed");
    press(&mut app, "j");
    assert!(app.held);
    let held = app.latent;
    press(&mut app, "left");
    press(&mut app, "left");
    assert_eq!(app.latent, held);
    press(&mut app, "esc");
    assert!(!app.held);
    assert_eq!(app.latent, app.position().and_then(|p| p.latents.first()).map(|f| f.latent));
}

#[test]
fn turning_to_another_sae_keeps_token_and_question_and_comes_back_to_the_same_latent() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    press(&mut app, "j");
    let (token, chosen) = (app.token, app.chosen().expect("chosen"));
    let near = |sae: &str| {
        crate::tui_support::sample::card(&chosen.sae, chosen.latent)
            .ladder
            .iter()
            .find(|e| e.sae == sae)
            .map(|e| e.nearest[0].latent)
    };
    press(&mut app, "]");
    assert_eq!((app.token, app.latent), (token, near("1024")));
    press(&mut app, "]");
    assert_eq!(app.latent, near("2048"), "the nearest of the first latent, not of the nearest");
    press(&mut app, "]");
    assert_eq!(app.sae, 4, "there is nothing wider");
    for _ in 0..2 {
        press(&mut app, "[");
    }
    assert_eq!(app.chosen(), Some(chosen));
}

#[test]
fn the_ladder_of_the_card_leads_to_other_saes_and_back_leads_home() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    let home = app.chosen();
    press(&mut app, "3");
    press(&mut app, "enter");
    assert_eq!(app.focus, Focus::Card);
    press(&mut app, "down");
    let row = app.ladder_rows()[app.ladder_row];
    assert!(row.cosine.is_some(), "never the card's own row");
    press(&mut app, "enter");
    assert_eq!((app.sae, app.latent), (row.place, Some(row.latent)));
    press(&mut app, "b");
    assert_eq!(app.chosen(), home);
    press(&mut app, "f");
    assert_eq!((app.sae, app.latent), (row.place, Some(row.latent)));
}

#[test]
fn the_ladder_never_rests_on_its_own_row() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    press(&mut app, "4");
    for name in ["up", "up", "up", "up", "up", "up", "down", "down", "down", "down", "down", "down", "down"] {
        press(&mut app, name);
        assert!(app.ladder_rows()[app.ladder_row].cosine.is_some(), "{name} at {}", app.ladder_row);
    }
    assert_eq!(app.ladder_row, app.ladder_rows().len() - 1);
}

#[test]
fn searching_goes_to_the_latent_and_to_where_it_fires() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    press(&mut app, "/");
    let (_, job) = asked(&key(&mut app, "e"), SearchQuery::NAME).expect("a search");
    assert_eq!(job, Job::new(SearchQuery { sae: "512".into(), query: "e".into() }));
    let ticket = app.found.ticket();
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    send(&mut app, told(ticket, event));
    press(&mut app, "down");
    press(&mut app, "enter");
    assert!(app.overlay.is_empty());
    assert_eq!((app.latent, app.focus, app.held), (Some(3), Focus::Latents, true));
}

#[test]
fn n_goes_through_what_was_found_and_back() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    for name in ["/", "e", "enter", "n", "n"] {
        press(&mut app, name);
    }
    assert_eq!(app.latent, Some(6));
    press(&mut app, "shift-n");
    assert_eq!(app.latent, Some(3));
}

#[test]
fn every_screen_can_be_saved() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    for name in ["tab", "e", "esc", "?", "esc", "s", "esc", "/"] {
        press(&mut app, name);
        assert_eq!(key(&mut app, "f2"), [Effect::Save(Format::Svg)], "{name}");
    }
}

#[test]
fn an_answer_to_an_older_search_is_not_jumped_to() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    press(&mut app, "/");
    press(&mut app, "e");
    let before = app.latent;
    key(&mut app, "x");
    key(&mut app, "enter");
    assert_eq!(app.latent, before, "what is found does not answer what is typed");
    assert_eq!(app.place(), KeyContext::Search);
}

#[test]
fn a_suite_that_is_here_opens_and_one_that_is_not_is_asked_about_with_its_size() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    press(&mut app, "s");
    press(&mut app, "down");
    let effects = key(&mut app, "enter");
    assert!(asked(&effects, PullQuery::NAME).is_none(), "nothing is downloaded without a yes");
    let Some(Overlay::Confirm(question)) = app.overlay.last() else { panic!("a question") };
    assert!(question.ask.contains("1.9 GB"), "{}", question.ask);
    let effects = key(&mut app, "enter");
    let (_, job) = asked(&effects, PullQuery::NAME).expect("a download");
    assert_eq!(job, Job::new(PullQuery { suite: "gpt2-small-feature-splitting".into(), reach: LoadScope::Whole }));
    assert_eq!(app.place(), KeyContext::Suites, "the list shows how it goes");
}

#[test]
fn a_download_shows_its_speed_can_be_cancelled_and_opens_when_complete() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    for name in ["s", "down"] {
        press(&mut app, name);
    }
    key(&mut app, "enter");
    let (ticket, _) = asked(&key(&mut app, "enter"), PullQuery::NAME).expect("a download");
    for second in 0..4_u64 {
        let whole = Whole { done: second * 10_000_000, total: 100_000_000, part: 1, parts: 3 };
        let progress =
            Progress { what: "model.safetensors".into(), unit: Unit::Bytes, whole: Some(whole), ..Progress::default() };
        let at = Duration::from_secs(second);
        assert!(update(&mut app, Msg::Job { event: JobEvent { ticket, event: Event::Progress(progress) }, at }).dirty);
    }
    assert_eq!(app.speed.per_second(), Some(1e7));
    assert_eq!(app.speed.left(100_000_000), Some(Duration::from_secs(7)));
    let effects = key(&mut app, "ctrl-c");
    assert_eq!(effects, [Effect::Cancel(PullQuery::NAME)]);
    assert!(!app.pull.is_pending());
    key(&mut app, "enter");
    let (ticket, job) = asked(&key(&mut app, "enter"), PullQuery::NAME).expect("another download");
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    let effects = update(&mut app, told(ticket, event)).effects;
    assert_eq!(
        asked(&effects, OpenQuery::NAME).map(|(_, j)| j),
        Some(Job::new(OpenQuery {
            suite: "gpt2-small-feature-splitting".into(),
            saes: Vec::new(),
            reach: LoadScope::Whole
        }))
    );
}

#[test]
fn a_failure_stays_with_its_pane_and_the_last_good_result_too() {
    let mut app = ready("ab");
    key(&mut app, "e");
    let (ticket, _) = asked(&key(&mut app, "c"), RunQuery::NAME).expect("a run");
    assert!(done(&mut app, ticket, Err(Report::new("the prompt is too long").hint("shorten it"))));
    assert!(app.run.value().is_some() && app.run.failure().is_some());
    key(&mut app, "esc");
    key(&mut app, "!");
    assert!(matches!(app.overlay.last(), Some(Overlay::Error { .. })));
    key(&mut app, "esc");
    assert!(asked(&key(&mut app, "r"), RunQuery::NAME).is_some(), "r tries again");
}

#[test]
fn an_answer_that_says_cancelled_is_no_error() {
    let mut app = ready("ab");
    key(&mut app, "e");
    let (ticket, _) = asked(&key(&mut app, "c"), RunQuery::NAME).expect("a run");
    done(&mut app, ticket, Err(Report::new("cancelled").kind(Kind::Cancelled)));
    assert!(app.run.failure().is_none() && !app.run.is_pending());
}

#[test]
fn control_c_cancels_first_and_quits_when_nothing_runs() {
    let mut app = crate::tui_support::sample::new(None, Charset::Unicode);
    start(&mut app);
    assert_eq!(key(&mut app, "ctrl-c"), [Effect::Cancel(OpenQuery::NAME)]);
    assert_eq!(key(&mut app, "ctrl-c"), [Effect::Quit]);
}

#[test]
fn escape_never_quits_and_q_is_a_letter_in_the_prompt() {
    let mut app = ready("ab");
    for _ in 0..9 {
        assert!(!press(&mut app, "esc").contains(&Effect::Quit));
    }
    assert_eq!(key(&mut app, "q"), [Effect::Quit]);
    press(&mut app, "e");
    assert!(!press(&mut app, "q").contains(&Effect::Quit));
    assert_eq!(app.prompt(), "abq");
}

#[test]
fn a_paste_is_text_and_never_a_command() {
    let mut app = ready("ab");
    send(&mut app, Msg::Paste("q\r\nq\u{1b}[2J".into()));
    assert_eq!(app.prompt(), "abq\nq\u{1b}[2J");
    assert_eq!(app.focus, Focus::Prompt);
}

#[test]
fn pins_are_kept_up_to_the_number_of_marks() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    for _ in 0..6 {
        press(&mut app, "j");
        press(&mut app, "p");
    }
    assert_eq!(app.pins.len(), 4);
    assert!(app.notice.is_some());
    press(&mut app, "shift-p");
    assert!(app.pins.is_empty());
}

#[test]
fn a_note_on_a_prompt_is_told_and_the_suites_own_are_not_told_again() {
    let mut app = crate::tui_support::sample::new(None, Charset::Unicode);
    let (ticket, _) = asked(&start(&mut app).effects, OpenQuery::NAME).expect("a suite is asked for");
    let suite = "SAE `768` is not downloaded".to_owned();
    let opened = OpenedSuite { notes: vec![suite.clone()], ..crate::tui_support::sample::opened() };
    let event = Event::Done(Ok(Answer::new(opened)));
    let effects = update(&mut app, told(ticket, event)).effects;
    app.notice = None;
    let (ticket, _) = asked(&effects, RunQuery::NAME).expect("a run is asked for");
    let run = Run { notes: vec![suite.clone()], ..crate::tui_support::sample::run_of("the") };
    done(&mut app, ticket, Ok(Answer::new(run.clone())));
    assert_eq!(app.notice.as_ref().map(|notice| notice.text.as_str()), None);
    press(&mut app, "e");
    let (ticket, _) = asked(&key(&mut app, "x"), RunQuery::NAME).expect("a run is asked for");
    let run = Run { notes: vec![suite, "the prompt begins with BOS".to_owned()], ..run };
    done(&mut app, ticket, Ok(Answer::new(run)));
    let notice = app.notice.as_ref().expect("is told");
    assert_eq!((notice.text.as_str(), notice.bad), ("the prompt begins with BOS", false));
}

#[test]
fn copying_and_saving_are_effects() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    let latent = app.latent.expect("a latent");
    assert_eq!(key(&mut app, "y"), [Effect::Copy(format!("demo/512/{latent}"))]);
    assert_eq!(key(&mut app, "shift-s"), [Effect::Save(Format::Svg)]);
    assert_eq!(key(&mut app, "m"), [Effect::Mouse(false)]);
    assert_eq!(key(&mut app, "ctrl-z"), [Effect::Suspend]);
}

#[test]
fn another_suite_brings_its_own_prompt_unless_the_person_wrote_one() {
    let mut app = crate::tui_support::sample::new(None, Charset::Unicode);
    let first = start(&mut app);
    settle(&mut app, first);
    assert_eq!(app.prompt(), crate::tui_support::sample::PROMPT);
    press(&mut app, "e");
    press(&mut app, "x");
    press(&mut app, "esc");
    press(&mut app, "s");
    press(&mut app, "enter");
    assert_eq!(app.prompt(), format!("{}x", crate::tui_support::sample::PROMPT));
    assert!(app.run.value().is_some(), "and it is run");
}

#[test]
fn the_palette_does_what_it_says() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    press(&mut app, "ctrl-p");
    for c in ["s", "u", "i", "t", "e", "s"] {
        press(&mut app, c);
    }
    press(&mut app, "enter");
    assert_eq!(app.place(), KeyContext::Suites);
}

#[test]
fn every_key_of_the_table_does_something_somewhere() {
    for row in table() {
        for pressed in row.keys {
            for place in KeyContext::all().filter(|p| row.places.has(*p)) {
                let suite = if place == KeyContext::Pane(Focus::Attribution) {
                    crate::tui_support::sample::HEADS
                } else {
                    "demo"
                };
                let mut app = crate::tui_support::sample::ready_on(suite, crate::tui_support::sample::PROMPT);
                for name in match place {
                    KeyContext::Pane(Focus::Prompt) => vec!["e"],
                    KeyContext::Pane(Focus::Tokens) => vec!["left"],
                    KeyContext::Pane(Focus::Latents) => vec!["3", "down"],
                    KeyContext::Pane(Focus::Card) => vec!["4"],
                    KeyContext::Pane(Focus::Attribution) => vec!["o"],
                    KeyContext::Pane(Focus::Examples) => vec!["]", "shift-e"],
                    KeyContext::Pane(Focus::Effect) => vec!["c"],
                    KeyContext::Pane(Focus::Queue) => vec!["5"],
                    KeyContext::Pane(Focus::Bench) => vec!["5", "space", "6"],
                    KeyContext::Pane(Focus::Curve) => vec!["7"],
                    KeyContext::Pane(Focus::Group) => vec!["8"],
                    KeyContext::Pane(Focus::Parts) => vec!["]", "]", "9"],
                    KeyContext::Pane(Focus::MetaCard) => vec!["]", "]", "9", "enter"],
                    KeyContext::Pane(Focus::Map) => vec!["]", "]", "a"],
                    KeyContext::Pane(Focus::Surgery) => vec!["]", "]", "z"],
                    KeyContext::Pane(Focus::Index) => vec!["shift-i"],
                    KeyContext::Pane(Focus::Steer) => vec!["shift-a"],
                    KeyContext::Pane(Focus::Compare) => vec!["shift-c"],
                    KeyContext::Pane(Focus::Lens) => vec!["shift-j"],
                    KeyContext::Pane(Focus::Sides) => vec!["]", "4", "|"],
                    KeyContext::Pick => vec!["]", "]", "9", "/"],
                    KeyContext::Named => vec!["]", "]", "z", "n"],
                    KeyContext::Label => vec!["shift-l"],
                    KeyContext::Filter => vec!["5", "/"],
                    KeyContext::Path => vec!["5", "space", "shift-e"],
                    KeyContext::Search => vec!["/"],
                    KeyContext::Palette => vec!["ctrl-p"],
                    KeyContext::Suites => vec!["s"],
                    KeyContext::Confirm => vec!["s", "down", "enter"],
                    KeyContext::Reading => vec!["?"],
                } {
                    press(&mut app, name);
                }
                assert_eq!(app.place(), place, "{}", row.id);
                let out = update(&mut app, Msg::Key(*pressed));
                assert!(out.dirty || !out.effects.is_empty(), "{pressed} ({}) in {}", row.id, place.name());
            }
        }
    }
}

fn any_msg() -> impl Strategy<Value = Msg> {
    let keys: Vec<crokey::KeyCombination> = table().flat_map(|r| r.keys.iter().copied()).collect();
    let letters = "abe 東\u{301}\u{202e}0".chars().map(|c| {
        crokey::KeyCombination::one_key(crossterm::event::KeyCode::Char(c), crossterm::event::KeyModifiers::NONE)
    });
    let keys: Vec<_> = keys.into_iter().chain(letters).collect();
    let mouse = prop_oneof![Just(MouseDid::Click), Just(MouseDid::WheelUp), Just(MouseDid::WheelDown)];
    prop_oneof![
        12 => proptest::sample::select(keys).prop_map(Msg::Key),
        2 => (mouse, 0_u16..130, 0_u16..45).prop_map(|(did, column, row)| Msg::Mouse(Mouse { did, column, row })),
        1 => any::<String>().prop_map(Msg::Paste),
        1 => (1_u16..210, 1_u16..70).prop_map(|(width, height)| Msg::Resize { width, height }),
        1 => Just(Msg::Tick),
        1 => Just(Msg::Resumed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_pressed_nothing_panics(
        messages in proptest::collection::vec(any_msg(), 1..60),
        answer in any::<bool>(),
        heads in any::<bool>(),
    ) {
        use ratatui::{Terminal, backend::TestBackend};
        let suite = if heads { crate::tui_support::sample::HEADS } else { "demo" };
        let mut app = crate::tui_support::sample::ready_on(suite, crate::tui_support::sample::HARD_PROMPT);
        let theme = saescope::tui::theme::Theme::default();
        for msg in messages {
            let first = update(&mut app, msg);
            if answer {
                settle(&mut app, first);
            }
            let (width, height) = app.size;
            let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
            let mut hits = None;
            terminal.draw(|frame| hits = Some(saescope::tui::view::view(&app, &theme, frame))).expect("drawn");
            update(&mut app, Msg::Drawn(hits.expect("hits")));
            prop_assert!(app.sae < app.saes().len());
            prop_assert!(app.pins.len() <= 4);
        }
    }

    #[test]
    fn stale_answers_change_nothing(slot in 0_usize..6, back in 1_u64..5) {
        let mut app = ready(crate::tui_support::sample::PROMPT);
        for name in ["e", "x", "esc", "j", "s", "esc", "/", "e", "esc"] {
            press(&mut app, name);
        }
        let (job, ticket) = [
            (Job::new(OpenQuery { suite: "demo".into(), saes: Vec::new(), reach: LoadScope::Whole }), app.opened.ticket()),
            (Job::new(RunQuery { prompt: "other".into(), next: 1 }), app.run.ticket()),
            (Job::new(CardQuery { sae: "128".into(), latent: 1, top: 1 }), app.card.ticket()),
            (Job::new(SearchQuery { sae: "128".into(), query: "zz".into() }), app.found.ticket()),
            (Job::new(CatalogueQuery { beside: None, reach: LoadScope::Whole }), app.catalogue.ticket()),
            (Job::new(PullQuery { suite: "x".into(), reach: LoadScope::Whole }), app.pull.ticket()),
        ][slot].clone();
        let before = (app.shown_prompt.clone(), app.chosen(), app.token, app.sae, app.focus);
        for ticket in [Ticket(ticket.0.saturating_sub(back)), ticket, Ticket(ticket.0 + back)] {
            prop_assert!(!done(&mut app, ticket, Ok(crate::tui_support::sample::answer(&job))), "{:?} {:?}", job, ticket);
            prop_assert!(!done(&mut app, ticket, Err(Report::new("no"))));
        }
        prop_assert_eq!(before, (app.shown_prompt.clone(), app.chosen(), app.token, app.sae, app.focus));
        prop_assert!(app.run.failure().is_none() && app.card.failure().is_none());
    }
}

#[test]
fn characters_typed_at_once_are_what_they_are_one_by_one_but_one_question() {
    let text = "e Ülm, 東京 and 👩\u{200d}🔬 QX";
    let (mut at_once, mut one_by_one) = (ready("ab"), ready("ab"));
    let effects = update(&mut at_once, Msg::Typed(text.into())).effects;
    for c in text.chars() {
        update(&mut one_by_one, Msg::Key(saescope::tui::keys::of_text(c)));
    }
    assert_eq!(at_once.prompt(), format!("ab{}", &text[1..]), "the first reaches the prompt, the others are its text");
    assert_eq!((at_once.prompt(), at_once.focus), (one_by_one.prompt(), one_by_one.focus));
    let runs = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Ask { job, .. } if job.get::<RunQuery>().is_some()))
        .count();
    assert_eq!(runs, 1, "{effects:?}");
    let (_, job) = asked(&effects, RunQuery::NAME).expect("a run");
    assert!(matches!(job.get::<RunQuery>(), Some(RunQuery { prompt, .. }) if *prompt == at_once.prompt()));
    // Where letters are commands each is one.
    let (mut at_once, mut one_by_one) = (ready("ab cd ef"), ready("ab cd ef"));
    update(&mut at_once, Msg::Typed("hh3j".into()));
    for c in "hh3j".chars() {
        update(&mut one_by_one, Msg::Key(saescope::tui::keys::of_text(c)));
    }
    assert_eq!((at_once.token, at_once.focus, at_once.latent), (one_by_one.token, one_by_one.focus, one_by_one.latent));
}

#[test]
fn a_field_takes_a_flood_at_once_and_no_more_than_it_has_room_for() {
    let mut app = ready("ab");
    key(&mut app, "/");
    let value = |app: &App| match app.overlay.last() {
        Some(Overlay::Search(field)) => (field.input.value().to_owned(), field.input.cursor()),
        other => panic!("{other:?}"),
    };
    update(&mut app, Msg::Typed("béta".into()));
    key(&mut app, "left");
    update(&mut app, Msg::Paste("漢x\nnot this".into()));
    assert_eq!(value(&app), ("bét漢xa".to_owned(), 5), "where the cursor is");
    update(&mut app, Msg::Paste("y".repeat(5_000_000)));
    let (text, cursor) = value(&app);
    assert_eq!((text.chars().count(), cursor), (4096, 4095));
    assert!(text.starts_with("bét漢xyyy") && text.ends_with("ya"));
    update(&mut app, Msg::Typed("z".into()));
    assert_eq!(value(&app), (text, cursor), "it is full");
    key(&mut app, "backspace");
    assert_eq!(value(&app).1, 4094);
}

#[test]
fn what_the_terminal_did_not_take_is_told() {
    let mut app = ready("ab");
    assert!(update(&mut app, Msg::Notice("the paste had no end".into())).dirty);
    assert_eq!(
        app.notice.as_ref().map(|notice| (notice.text.as_str(), notice.bad)),
        Some(("the paste had no end", true))
    );
    key(&mut app, "j");
    assert_eq!(app.notice, None);
}
