//! Two prompts and lenses on screen: kept, exchanged, moved, interchanged; asked for only while they are looked at.
//! Not here: the figures (`golden_pair`, `golden_lens`).

use crate::tui_support::sample::{PROMPT, press, ready, screen, weights_only};
use saescope::tui::app::{App, Focus};

fn holds(app: &mut App, words: &[&str]) {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let text = screen(app, width, height);
        for word in words {
            assert!(text.contains(word), "{word} at {width}x{height}:\n{text}");
        }
    }
}

/// The sample's prompt as A, and one with another ending as B.
fn two() -> App {
    let mut app = ready(PROMPT);
    assert!(app.pair.asked.question().is_none());
    press(&mut app, "shift-c");
    assert_eq!((app.focus, app.pair.a.as_deref()), (Focus::Compare, Some(PROMPT)));
    press(&mut app, "e");
    for key in ["backspace", "backspace", "x", "y", "space", "z"] {
        press(&mut app, key);
    }
    press(&mut app, "esc");
    press(&mut app, "shift-c");
    app
}

#[test]
fn two_prompts_stand_over_each_other_and_rows_choose_latents() {
    let mut app = two();
    holds(&mut app, &["C Compare", "A ", "B ", "next A", "next B", "latent"]);
    // Where there is little room names come before the difference.
    assert!(screen(&mut app, 120, 40).contains("B-A") && !screen(&mut app, 80, 24).contains("B-A"));
    let (view, current) = app.comparison().expect("is compared");
    assert!(current && view.tokens_a.len() != view.tokens_b.len() && !view.unpaired_b.is_empty());
    let rows = app.pair_rows();
    assert!(rows.len() > 2);
    press(&mut app, "end");
    assert_eq!(app.latent, rows.last().map(|row| row.latent));
    press(&mut app, "home");
    press(&mut app, "down");
    assert_eq!(app.latent, Some(rows[1].latent));
    let (heat_a, heat_b) = app.pair_heat().expect("heat");
    assert_eq!(
        (heat_a.len(), heat_b.len()),
        (app.comparison().unwrap().0.tokens_a.len(), app.comparison().unwrap().0.tokens_b.len())
    );
    // The chosen token's pair.
    let before = app.chosen_pair();
    // The last token of B has no partner: it counts to the pair before it.
    press(&mut app, "left");
    press(&mut app, "left");
    assert!(app.chosen_pair() < before);
}

#[test]
fn prompts_are_kept_exchanged_and_moved_against_each_other() {
    let mut app = two();
    let (a, b) = (app.prompt_a().to_owned(), app.prompt_b().to_owned());
    press(&mut app, "x");
    assert_eq!((app.prompt_a(), app.prompt_b()), (b.as_str(), a.as_str()));
    press(&mut app, ".");
    press(&mut app, ".");
    press(&mut app, ",");
    assert_eq!(app.comparison().map(|(view, current)| (view.shift, current)), Some((1, true)));
    assert!(screen(&mut app, 120, 40).contains("B moved by +1"));
    press(&mut app, "shift-a");
    assert_eq!(app.prompt_a(), app.shown_prompt);
    press(&mut app, "shift-b");
    assert_eq!(app.pair.b.as_ref(), Some(&app.shown_prompt));
    press(&mut app, "shift-b");
    assert_eq!(app.pair.b, None, "it follows the prompt that is shown");
    press(&mut app, "esc");
    assert!(app.focus != Focus::Compare && app.beside == Focus::Card);
}

#[test]
fn an_interchange_is_asked_for_by_a_key_and_said_in_a_sentence_and_a_plot() {
    let mut app = two();
    assert!(app.pair.swap.question().is_none());
    press(&mut app, "enter");
    holds(&mut app, &["4 of 9 latents turn", "flips it"]);
    let text = screen(&mut app, 120, 40);
    assert!(text.contains("latents exchanged") && text.contains("log-p"), "{text}");
    // Another pair has not been asked about.
    press(&mut app, "left");
    press(&mut app, "left");
    assert!(app.interchange().is_none());
    assert!(screen(&mut app, 120, 40).contains("Enter exchanges"));
    press(&mut app, "enter");
    assert!(app.interchange().is_some());
    press(&mut app, "enter");
    assert!(screen(&mut app, 120, 40).contains("B-A"));
    // Without a model there is nothing to compare.
    let mut app = weights_only();
    press(&mut app, "shift-c");
    assert!(app.focus != Focus::Compare);
}

#[test]
fn meta_latents_are_exchanged_by_a_key_where_there_are_any() {
    let mut app = two();
    press(&mut app, "*");
    assert!(app.notice.is_some() && !app.pair.by_meta, "this SAE has no meta-SAE");
    for key in ["]", "]", "enter"] {
        press(&mut app, key);
    }
    let of = app.meta_ref().expect("this one has");
    assert_eq!(app.interchange().map(|view| view.meta.clone()), Some(None));
    press(&mut app, "*");
    assert_eq!(app.interchange().map(|view| view.meta.clone()), Some(Some(of.meta)));
    holds(&mut app, &["of 9 meta-latents turn", "flips it"]);
    press(&mut app, "*");
    assert_eq!(app.interchange().map(|view| view.meta.clone()), Some(None));
}

#[test]
fn a_published_lens_is_offered_with_its_size_and_downloaded_when_the_person_says_so() {
    let mut app = ready(PROMPT);
    press(&mut app, "shift-j");
    assert!(app.lens.offer.question().is_none(), "the hub is not asked without a wish");
    press(&mut app, "+");
    let text = screen(&mut app, 120, 40);
    assert!(
        text.contains("Download 13.0 MB") && text.contains("fitted on 1000") && text.contains("Enter downloads"),
        "{text}"
    );
    press(&mut app, "esc");
    assert!(app.lens.pull.question().is_none());
    press(&mut app, "+");
    press(&mut app, "enter");
    assert_eq!(app.lens.pull.value().map(|offer| offer.prompts), Some(Some(1000)));
    assert!(screen(&mut app, 120, 40).contains("is downloaded"));
}

#[test]
fn lenses_say_what_every_block_and_the_latent_say() {
    let mut app = ready(PROMPT);
    assert!(app.lens.token.question().is_none());
    press(&mut app, "shift-j");
    assert_eq!(app.focus, Focus::Lens);
    holds(&mut app, &["J Lenses", " 11 ", "logit lens; J"]);
    let text = screen(&mut app, 120, 40);
    assert!(text.contains("disposes to say") && text.contains("1000 prompts, block 7"), "{text}");
    screen(&mut app, 80, 24);
    press(&mut app, "home");
    assert!(screen(&mut app, 80, 24).contains("  0 "));
    press(&mut app, "end");
    assert!(screen(&mut app, 80, 24).contains(" 11 "));
    press(&mut app, "esc");
    assert!(app.focus != Focus::Lens && app.beside == Focus::Card);
}
