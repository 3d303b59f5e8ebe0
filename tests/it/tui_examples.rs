//! Examples of a latent on screen: they follow it, are walked through by strength, and become the prompt.
//! Not here: counting them (`index`), and how a screen looks (`tui_screens`).

use saescope::session::{CorpusQuery, Query};
use saescope::tui::app::Focus;
use saescope::tui::msg::{Effect, Msg};
use saescope::tui::update::update;
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
