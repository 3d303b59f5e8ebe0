//! Steering on screen: from the latents and their card, several latents at once, a sweep, the text taken into the prompt.
//! Not here: the figures (`golden_steer`).

use crate::tui_support::sample::{PROMPT, press, ready, screen, weights_only};
use saescope::analysis::intervention::Where;
use saescope::session::{Query, SteerChange, SteerQuery};
use saescope::tui::app::{App, Focus};
use saescope::tui::msg::{Effect, Msg};
use saescope::tui::update::update;

fn asked(app: &App) -> SteerQuery {
    app.steer.asked.question().expect("it was asked").0.clone()
}

#[test]
fn nothing_is_written_before_it_is_looked_at_and_a_typed_prompt_ends_it() {
    let mut app = ready(PROMPT);
    assert!(app.steer.asked.question().is_none());
    let out = update(&mut app, Msg::Key("shift-a".parse().expect("a key")));
    let asks = |effect: &&Effect| matches!(effect, Effect::Ask { job, .. } if job.get::<SteerQuery>().is_some());
    assert_eq!(out.effects.iter().filter(asks).count(), 1);
    assert!(app.steer.asked.is_pending());
    press(&mut app, "esc");
    press(&mut app, "e");
    let out = update(&mut app, Msg::Key("x".parse().expect("a key")));
    assert!(out.effects.contains(&Effect::Cancel(SteerQuery::NAME)), "{:?}", out.effects);
}

#[test]
fn the_texts_stand_beside_each_other_or_below_at_every_size() {
    let mut app = ready(PROMPT);
    press(&mut app, "shift-a");
    assert_eq!((app.focus, app.beside), (Focus::Steer, Focus::Steer));
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let text = screen(&mut app, width, height);
        for word in ["A Steering", "off", "untouched", "steered", "random", "perplexity", "word0", "steered3"] {
            assert!(text.contains(word), "{word} at {width}x{height}:\n{text}");
        }
    }
    press(&mut app, "+");
    press(&mut app, "shift-x");
    let text = screen(&mut app, 120, 40);
    assert!(text.contains("strength") && text.contains("at strength 0"), "{text}");
}

#[test]
fn keys_change_what_is_asked() {
    let mut app = ready(PROMPT);
    press(&mut app, "3");
    press(&mut app, "0");
    assert_eq!((app.focus, app.beside), (Focus::Latents, Focus::Steer), "the list keeps the focus");
    assert_eq!(asked(&app).edits[0].change, SteerChange::Ablate);
    press(&mut app, "+");
    let SteerChange::Set(first) = asked(&app).edits[0].change else { panic!("it fires again") };
    press(&mut app, "+");
    let SteerChange::Set(second) = asked(&app).edits[0].change else { panic!("it fires more") };
    assert!(second > first && first > 0.0);
    press(&mut app, "-");
    assert_eq!(asked(&app).edits[0].change, SteerChange::Set(first));
    // Another latent of the list takes its place; in the pane, Space puts several together.
    press(&mut app, "down");
    press(&mut app, "0");
    assert_eq!(asked(&app).edits.len(), 1);
    press(&mut app, "up");
    press(&mut app, "shift-a");
    press(&mut app, "space");
    assert_eq!(asked(&app).edits.len(), 2);
    press(&mut app, "o");
    assert!(matches!(asked(&app).edits[1].change, SteerChange::Set(_)));
    press(&mut app, "@");
    assert_eq!(asked(&app).at, Where::Fires);
    press(&mut app, "@");
    assert_eq!(asked(&app).at, Where::Positions(vec![app.token]));
    let before = asked(&app);
    for key in ["shift-t", "*", "shift-o"] {
        press(&mut app, key);
    }
    let after = asked(&app);
    assert!(after.tokens != before.tokens && after.temperature > 0.0 && after.seed == before.seed + 1);
    press(&mut app, "x");
    assert_eq!(asked(&app).edits.len(), 1);
    // What Y copies asks the same.
    let out = update(&mut app, Msg::Key("shift-y".parse().expect("a key")));
    let copied = out.effects.iter().find_map(|effect| if let Effect::Copy(text) = effect { Some(text) } else { None });
    let copied = copied.expect("it is copied");
    assert!(copied.starts_with("saescope steer --suite ") && copied.contains("--temperature 0.7"), "{copied}");
}

#[test]
fn another_token_stands_in_the_place_of_a_written_one_and_the_text_goes_on_from_there() {
    let mut app = ready(PROMPT);
    press(&mut app, "shift-a");
    assert!(asked(&app).candidates > 0 && app.steered_token().is_none());
    // From the end of the text to its fourth token.
    let last = asked(&app).tokens - 1;
    press(&mut app, ",");
    assert_eq!(app.steered_token().map(|(at, _)| at), Some(last));
    for _ in 3..last {
        press(&mut app, ",");
    }
    press(&mut app, ",");
    press(&mut app, ".");
    let (at, all) = app.steered_token().expect("a token");
    assert_eq!((at, all[0].text.as_str(), all[1].text.as_str()), (3, " steered3", " other3.0"));
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let text = screen(&mut app, width, height);
        assert!(text.contains("3: ") && text.contains("steered3") && text.contains("other3.0"), "{text}");
    }
    // As it is: the text up to it. Another: that in its place.
    assert_eq!(app.steered_text().as_deref(), Some(" word0 word1 word2 steered3"));
    press(&mut app, ";");
    assert_eq!(app.steered_text().as_deref(), Some(" word0 word1 word2 other3.0"));
    press(&mut app, "enter");
    assert_eq!(app.prompt(), format!("{PROMPT} word0 word1 word2 other3.0"));
    assert_eq!(asked(&app).prompt, app.prompt(), "it goes on from there");
    assert!(app.steered_token().is_none());
    // A part of a character is no text.
    for key in [",", ";", ";", ";", ";", ";", ";", ";", ";"] {
        press(&mut app, key);
    }
    let before = app.prompt();
    press(&mut app, "enter");
    assert!(app.prompt() == before && app.notice.is_some());
}

#[test]
fn the_steered_text_is_taken_into_the_prompt() {
    let mut app = ready(PROMPT);
    press(&mut app, "shift-a");
    press(&mut app, "enter");
    assert!(
        app.prompt().starts_with(PROMPT) && app.prompt().contains(" word0 word1 word2 steered3"),
        "{}",
        app.prompt()
    );
    assert_eq!(app.run.question().map(|(query, ())| query.prompt.clone()), Some(app.prompt()), "and is run");
}

#[test]
fn what_needs_the_model_is_said_where_there_is_none() {
    let mut app = weights_only();
    press(&mut app, "shift-a");
    assert_ne!(app.focus, Focus::Steer);
    assert!(app.notice.is_some());
}
