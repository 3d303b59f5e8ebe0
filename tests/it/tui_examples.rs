//! Examples of a latent on screen: they follow it, are walked through by strength, and become the prompt.
//! Not here: counting them (`index`), and how a screen looks (`tui_screens`).

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use saescope::session::{CorpusQuery, Query};
use saescope::tui::app::Focus;
use saescope::tui::msg::{Effect, Msg};
use saescope::tui::theme::Theme;
use saescope::tui::update::update;
use saescope::tui::view::view;
use saescope::worker::Job;

use crate::tui_support::sample::{PROMPT, corpora, press, ready, send, settle};

/// Keys, with whatever they ask answered.
fn walk(keys: &[&str]) -> saescope::tui::app::App {
    let mut app = ready(PROMPT);
    send(&mut app, Msg::Resize { width: 120, height: 40 });
    for key in keys {
        press(&mut app, key);
    }
    app
}

#[test]
fn the_question_follows_the_latent() {
    let mut app = walk(&["]", "3"]);
    for _ in 0..3 {
        let asked = update(&mut app, Msg::Key("down".parse().expect("a key")));
        let chosen = app.chosen().expect("a latent");
        let questions: Vec<&CorpusQuery> = asked
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Ask { job, .. } if job.slot() == CorpusQuery::NAME => job.get(),
                _ => None,
            })
            .collect();
        assert_eq!(questions, [&CorpusQuery { sae: chosen.sae.clone(), latent: chosen.latent, index: None }]);
        assert!(app.corpus().is_none() && app.shown_corpus().is_some(), "what was said last stays in view");
        settle(&mut app, asked);
        assert_eq!(app.corpus(), corpora::corpus(&chosen.sae, chosen.latent).as_ref(), "never another latent's");
    }
}

#[test]
fn the_strongest_come_first_and_then_the_tenths() {
    let mut app = walk(&["]", "shift-e"]);
    assert_eq!(app.focus, Focus::Examples);
    assert!(app.listed_examples().len() == 20 && app.listed_examples().iter().all(|example| example.best));
    for tenth in (1..=10).rev() {
        press(&mut app, ".");
        let listed = app.listed_examples();
        assert!(listed.len() == 5 && listed.iter().all(|e| !e.best && e.quantile_bin == tenth), "{tenth}");
    }
    press(&mut app, ".");
    assert_eq!(app.examples.bin, Some(1), "the weakest are the last");
    for _ in 0..12 {
        press(&mut app, ",");
    }
    assert_eq!(app.examples.bin, None);
}

#[test]
fn an_example_becomes_the_prompt_at_its_peak_and_the_latent_stays() {
    let mut app = walk(&["]", "shift-e", "down", "down"]);
    let chosen = app.chosen().expect("a latent");
    let example = app.listed_examples()[2].clone();
    press(&mut app, "enter");
    let text: String = example.tokens[1..].iter().map(|token| token.text.as_str()).collect();
    assert_eq!(app.prompt(), text);
    assert_eq!((app.token, app.focus), (example.position, Focus::Tokens));
    assert_eq!(app.chosen(), Some(chosen), "the question stays the same");
}

#[test]
fn escape_goes_back_where_one_came_from_and_the_card_comes_back() {
    for from in ["2", "3", "4"] {
        let mut app = walk(&["]", from]);
        let before = app.focus;
        press(&mut app, "shift-e");
        assert_eq!((app.focus, app.beside), (Focus::Examples, Focus::Examples));
        press(&mut app, "esc");
        assert_eq!((app.focus, app.beside), (before, Focus::Card));
    }
}

#[test]
fn the_card_shows_examples_without_a_key_beside_whatever_else_it_says() {
    for (width, height, least) in [(80, 24, 2), (120, 40, 5), (200, 60, 15)] {
        for moves in 0..6 {
            let mut app = walk(&["]", "3"]);
            (0..moves).for_each(|_| drop(press(&mut app, "down")));
            let screen = drawn(&mut app, width, height);
            let corpus = app.corpus().expect("an index");
            // Their activations stand on the screen once each, in the order of their strength.
            let shown = |example: &&saescope::analysis::Example| {
                let value = saescope::tui::format::activation(example.activation);
                let card = |line: &&str| {
                    line.split('\u{2502}').nth(1).is_some_and(|line| line.trim_start().starts_with(&value))
                };
                screen.lines().filter(card).count() == 1
            };
            let count = corpus.examples.iter().filter(|example| example.best).take_while(shown).count();
            let own = app.chosen().expect("a latent").latent.to_string();
            assert!(count >= least, "{width}x{height}: {count} examples\n{screen}");
            assert!(screen.contains("  this "), "{width}x{height}: {own} stands in its ladder\n{screen}");
        }
    }
}

fn drawn(app: &mut saescope::tui::app::App, width: u16, height: u16) -> String {
    send(app, Msg::Resize { width, height });
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    let mut hits = None;
    terminal.draw(|frame| hits = Some(view(app, &Theme::default(), frame))).expect("drawn");
    send(app, Msg::Drawn(hits.expect("hits")));
    terminal.backend().to_string()
}

#[test]
fn without_an_index_it_says_so_and_asks_once() {
    let mut app = walk(&["[", "[", "[", "shift-e"]);
    assert!(app.corpus().is_none() && app.listed_examples().is_empty());
    let moved = update(&mut app, Msg::Key("down".parse().expect("a key")));
    assert!(!moved.effects.iter().any(|e| matches!(e, Effect::Ask { job, .. } if is_corpus(job))));
    for key in [",", ".", "enter", "end", "home"] {
        press(&mut app, key);
    }
    assert_eq!(app.prompt(), PROMPT);
}

fn is_corpus(job: &Job) -> bool {
    job.slot() == CorpusQuery::NAME
}
