//! What keys and answers do where latents are taken apart.
//! Not here: how it looks (`tui_screens`), the other panes (`tui_update`, `tui_stitch`).

use crate::tui_support::sample::{ready, send, told};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use saescope::analysis::{Arm, Edit, Sampling};
use saescope::report::Report;
use saescope::session::{BreakdownQuery, ContinueQuery, MetaRecipe, MetasQuery, Query, SurgeryQuery};
use saescope::task::{Progress, Ticket};
use saescope::tui::app::{App, Focus, Page};
use saescope::tui::keys::KeyContext;
use saescope::tui::meta::map::Node;
use saescope::tui::msg::{Effect, Msg};
use saescope::tui::theme::Theme;
use saescope::tui::update::update;
use saescope::worker::{Event, Job};

/// Draws a frame and answers what it leads to.
fn frame(app: &mut App) {
    for _ in 0..2 {
        let mut terminal = Terminal::new(TestBackend::new(app.size.0, app.size.1)).expect("a test terminal");
        let mut hits = None;
        let theme = Theme::default();
        terminal.draw(|frame| hits = Some(saescope::tui::view::view(app, &theme, frame))).expect("drawn");
        send(app, Msg::Drawn(hits.expect("hits")));
    }
}

/// Presses keys, with a frame after each, as a person would.
fn walk(app: &mut App, keys: &[&str]) {
    for key in keys {
        crate::tui_support::sample::press(app, key);
        frame(app);
    }
}

/// An explorer at the SAE that has a meta-SAE, after these keys.
fn explorer(keys: &[&str]) -> App {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    frame(&mut app);
    walk(&mut app, &["]", "]"]);
    walk(&mut app, keys);
    app
}

fn key(app: &mut App, name: &str) -> Vec<Effect> {
    let key: crokey::KeyCombination = name.parse().expect("a key");
    update(app, Msg::Key(key.normalized())).effects
}

fn asked(effects: &[Effect], slot: &str) -> Option<(Ticket, Job)> {
    effects.iter().rev().find_map(|e| match e {
        Effect::Ask { ticket, job } if job.slot() == slot => Some((*ticket, job.clone())),
        _ => None,
    })
}

fn edits(app: &App) -> Vec<Edit> {
    app.operation().expect("an operation").edits
}

#[test]
fn one_key_leads_to_each_pane_and_escape_back_to_where_one_was() {
    for (key, pane) in [("9", Focus::Parts), ("d", Focus::Parts), ("a", Focus::Map), ("z", Focus::Surgery)] {
        for from in ["2", "3", "4"] {
            let mut app = explorer(&[from]);
            let before = app.focus;
            walk(&mut app, &[key]);
            assert_eq!((app.focus, app.page), (pane, Page::Meta));
            walk(&mut app, &["esc"]);
            assert_eq!((app.focus, app.page), (before, Page::Explore), "{key} from {from}");
        }
    }
}

#[test]
fn from_latent_to_meta_latent_to_member_and_back_on_one_key_each() {
    let mut app = explorer(&["9"]);
    let start = app.latent.expect("chosen");
    let parts = app.parts().expect("parts").components.clone();
    assert_eq!(app.meta.meta_latent, Some(parts[0].meta_latent), "the largest part is chosen");
    walk(&mut app, &["down", "enter"]);
    assert_eq!((app.focus, app.meta.meta_latent), (Focus::MetaCard, Some(parts[1].meta_latent)));
    let members = app.meta.card.value().expect("a card").members.clone();
    walk(&mut app, &["down", "enter"]);
    assert_eq!((app.focus, app.latent), (Focus::Parts, Some(members[1].latent)));
    assert!(app.parts().expect("parts").components.iter().any(|c| Some(c.meta_latent) == app.meta.meta_latent));
    walk(&mut app, &["b"]);
    assert_eq!(
        (app.focus, app.latent, app.meta.meta_latent),
        (Focus::MetaCard, Some(start), Some(parts[1].meta_latent))
    );
    walk(&mut app, &["b"]);
    assert_eq!((app.focus, app.latent), (Focus::Parts, Some(start)));
    walk(&mut app, &["f", "f"]);
    assert_eq!(app.latent, Some(members[1].latent));
}

#[test]
fn the_map_is_walked_and_a_member_becomes_its_middle() {
    let mut app = explorer(&["a"]);
    assert_eq!(app.meta.node, Node::Centre);
    let token = app.token;
    walk(&mut app, &["right"]);
    assert!(matches!(app.meta.node, Node::Part(_)), "{:?}", app.meta.node);
    assert_eq!(app.token, token, "arrows are the map's here");
    walk(&mut app, &["right"]);
    assert!(matches!(app.meta.node, Node::Member(..)), "{:?}", app.meta.node);
    let before = app.latent;
    walk(&mut app, &["enter"]);
    assert_ne!(app.latent, before);
    assert_eq!((app.focus, app.meta.node), (Focus::Map, Node::Centre));
    walk(&mut app, &["b"]);
    assert_eq!(app.latent, before);
}

#[test]
fn the_prompt_is_seen_by_meta_latents_and_by_latents_again() {
    let mut app = explorer(&["3", "v"]);
    let position = app.meta_position().expect("by meta-latents");
    let chosen = position.latents[1].latent;
    let latent = app.latent;
    walk(&mut app, &["home", "down"]);
    assert_eq!((app.meta.meta_latent, app.latent), (Some(chosen), latent), "the latent stays");
    walk(&mut app, &["enter"]);
    assert_eq!((app.focus, app.meta.card.value().map(|c| c.meta_latent)), (Focus::MetaCard, Some(chosen)));
    walk(&mut app, &["v"]);
    assert!(!app.meta.by_meta);
}

#[test]
fn without_a_meta_sae_the_pages_say_what_to_do() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    frame(&mut app);
    walk(&mut app, &["v"]);
    assert!(!app.meta.by_meta && app.notice.is_some());
    for key in ["9", "a", "z", "down", "enter", "space", "x", "/", "n", "esc"] {
        walk(&mut app, &[key]);
    }
}

#[test]
fn surgery_asks_for_what_comes_next_before_it_asks_how_it_goes_on() {
    let mut app = explorer(&["z"]);
    assert!(edits(&app).is_empty());
    let first = app.parts().expect("parts").components[0].meta_latent;
    let effects = key(&mut app, "space");
    let (_, job) = asked(&effects, SurgeryQuery::NAME).expect("asked");
    assert!(matches!(job.get::<SurgeryQuery>(), Some(SurgeryQuery { operation, prompt, .. })
        if operation.edits == [Edit::Remove(first)] && prompt == crate::tui_support::sample::PROMPT));
    let (_, job) = asked(&effects, ContinueQuery::slot_of(Arm::Edited)).expect("asked");
    assert!(matches!(
        job.get::<ContinueQuery>(),
        Some(ContinueQuery { arm: Arm::Edited, sampling: Sampling::Greedy, .. })
    ));
    assert!(asked(&effects, ContinueQuery::slot_of(Arm::Random)).is_some());
    assert!(
        asked(&effects, ContinueQuery::slot_of(Arm::Untouched)).is_none(),
        "it goes on the same way whatever is edited"
    );
    const { assert!(SurgeryQuery::PRIORITY < ContinueQuery::PRIORITY, "and is answered first") };
    key(&mut app, "space");
    assert!(edits(&app).is_empty(), "put back");
}

#[test]
fn meta_latents_are_exchanged_added_and_made_stronger() {
    let mut app = explorer(&["z", "x", "1", "7", "enter"]);
    let first = app.parts().expect("parts").components[0].meta_latent;
    assert_eq!(edits(&app), [Edit::Exchange(first, 17)]);
    walk(&mut app, &["shift-x", "c", "3", "enter"]);
    assert_eq!(app.place(), KeyContext::Pane(Focus::Surgery));
    assert!(matches!(edits(&app).as_slice(), [Edit::Add(3, by)] if *by > 0.0), "{:?}", edits(&app));
    walk(&mut app, &["+"]);
    assert!(matches!(edits(&app).as_slice(), [Edit::Add(3, by)] if (*by - 0.95).abs() < 0.02), "{:?}", edits(&app));
    walk(&mut app, &["space", "home", "-"]);
    assert_eq!(edits(&app), [Edit::Add(first, -0.05)]);
}

#[test]
fn named_tokens_are_asked_about_and_a_seed_changes_the_random_edit_alone() {
    let mut app = explorer(&["z", "space", "n", "shift-u", "l", "m", ",", "space", "x"]);
    let effects = key(&mut app, "enter");
    let (_, job) = asked(&effects, SurgeryQuery::NAME).expect("asked");
    assert!(matches!(job.get::<SurgeryQuery>(), Some(SurgeryQuery { named, .. }) if *named == ["Ulm", "x"]), "{job:?}");
    let effects = key(&mut app, "shift-o");
    assert!(
        asked(&effects, ContinueQuery::slot_of(Arm::Random)).is_some()
            && asked(&effects, ContinueQuery::slot_of(Arm::Edited)).is_none()
    );
}

#[test]
fn training_asks_first_runs_in_the_background_and_stops_when_told() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    frame(&mut app);
    walk(&mut app, &["t"]);
    assert_eq!(app.place(), KeyContext::Confirm);
    walk(&mut app, &["esc"]);
    assert!(!app.meta.train.is_pending());
    walk(&mut app, &["t"]);
    let (ticket, job) = asked(&key(&mut app, "enter"), MetaRecipe::NAME).expect("trained");
    assert!(matches!(job.get::<MetaRecipe>(), Some(recipe) if recipe.sae == "512" && recipe.seed == 0), "{job:?}");
    assert!(app.is_pending() && !app.is_computing(), "nobody waits for it");
    let mut progress = Progress::steps("step", 40, 100);
    progress.figures = vec![("loss".into(), 0.41), ("seconds left".into(), 61.0)];
    update(&mut app, told(ticket, Event::Progress(progress)));
    frame(&mut app);
    let effects = key(&mut app, "ctrl-c");
    assert!(effects.contains(&Effect::Cancel(MetaRecipe::NAME)) && !effects.contains(&Effect::Quit));
    assert!(!app.meta.train.is_pending());
}

#[test]
fn a_meta_sae_that_was_trained_is_looked_for_and_used() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    frame(&mut app);
    walk(&mut app, &["t"]);
    let (ticket, job) = asked(&key(&mut app, "enter"), MetaRecipe::NAME).expect("trained");
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    let effects = update(&mut app, told(ticket, event)).effects;
    assert!(asked(&effects, MetasQuery::NAME).is_some());
    assert_eq!(app.meta.chosen.get("512").map(String::as_str), Some(crate::tui_support::sample::metas::META));
}

#[test]
fn what_cannot_be_trained_is_said_and_asked_for_again_only_by_the_person() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    walk(&mut app, &["t"]);
    let (ticket, _) = asked(&key(&mut app, "enter"), MetaRecipe::NAME).expect("trained");
    let event = Event::Done(Err(Report::new("the disk is full")));
    let effects = update(&mut app, told(ticket, event)).effects;
    assert!(asked(&effects, MetaRecipe::NAME).is_none());
    assert!(app.notice.as_ref().is_some_and(|n| n.bad && n.text.contains("the disk is full")));
}

#[test]
fn late_answers_change_nothing() {
    let mut app = explorer(&["9"]);
    let shown = app.meta.parts.answers().cloned();
    let answer =
        crate::tui_support::sample::answer(&Job::new(BreakdownQuery { sae: "2048".into(), latent: 1, meta: None }));
    let event = Event::Done(Ok(answer));
    let news = told(Ticket(0), event);
    assert!(!update(&mut app, news).dirty);
    assert_eq!(app.meta.parts.answers().cloned(), shown);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_pressed_while_latents_are_taken_apart_nothing_panics(
        keys in proptest::collection::vec(proptest::sample::select(vec![
            "9", "d", "a", "z", "v", "t", "up", "down", "left", "right", "home", "end", "pagedown", "pageup", "space",
            "x", "c", "n", "+", "-", "o", "shift-o", "shift-x", "shift-d", "enter", "esc", "tab", "backtab", "/", "1",
            "[", "]", "b", "f", "r", "5", "3", "4", "ctrl-c", "e", "p", "delete",
        ]), 1..60),
        sizes in proptest::collection::vec((60_u16..210, 15_u16..70), 1..4),
        answer in any::<bool>(),
    ) {
        let mut app = explorer(&[]);
        for (i, name) in keys.iter().enumerate() {
            let (width, height) = sizes[i % sizes.len()];
            update(&mut app, Msg::Resize { width, height });
            if answer {
                crate::tui_support::sample::press(&mut app, name);
                frame(&mut app);
            } else {
                key(&mut app, name);
            }
            prop_assert!(app.focus.page().is_none_or(|page| page == app.page));
            prop_assert!(app.meta.cut_row == 0 || app.meta.cut_row < app.cut_rows().len().max(1) + 64);
        }
    }
}
