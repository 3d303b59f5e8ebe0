//! The effects of latents on screen: asked for only while they are looked at, a column beside the latents, two orders.
//! Not here: the figures (`golden_effect`).

use crate::tui_support::sample::{PROMPT, press, ready, screen, send, weights_only};
use saescope::session::{EffectQuery, Query};
use saescope::tui::app::Focus;
use saescope::tui::hits::HitTarget;
use saescope::tui::msg::{Effect, Msg};
use saescope::tui::update::update;

fn asks(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Ask { job, .. } if job.get::<EffectQuery>().is_some()))
        .count()
}

#[test]
fn effects_are_measured_while_they_are_looked_at_and_never_before() {
    let mut app = ready(PROMPT);
    assert!(app.effect.asked.question().is_none() && app.effect_of(1).is_none());
    let out = update(&mut app, Msg::Key("c".parse().expect("a key")));
    assert_eq!(asks(&out.effects), 1);
    assert!(app.effect.asked.is_pending());
    // A prompt that changes meanwhile is not kept waiting, and the latents of the new one are asked about after its run.
    press(&mut app, "esc");
    press(&mut app, "e");
    let out = update(&mut app, Msg::Key("x".parse().expect("a key")));
    assert!(out.effects.contains(&Effect::Cancel(EffectQuery::NAME)), "{:?}", out.effects);
    assert!(!app.effect.asked.is_pending());
}

#[test]
fn the_pane_and_the_column_show_the_same_and_rows_choose_latents() {
    let mut app = ready(PROMPT);
    press(&mut app, "c");
    assert_eq!((app.focus, app.beside), (Focus::Effect, Focus::Effect));
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let text = screen(&mut app, width, height);
        for word in ["c Effect", "Germany", "clean - ablated", "error", "all", "random", "by effect"] {
            assert!(text.contains(word), "{word} at {width}x{height}:\n{text}");
        }
    }
    let rows = app.effect_rows();
    let strongest = rows.first().expect("something fires").latent;
    assert!(rows.windows(2).all(|two| two[0].delta_logprob.abs() >= two[1].delta_logprob.abs()));
    assert_eq!(app.effect_of(strongest), rows.first().map(|row| row.delta_logprob));
    press(&mut app, "home");
    assert_eq!(app.latent, Some(strongest));
    press(&mut app, "down");
    assert_eq!(app.latent, Some(rows[1].latent));
    // By activation, and back.
    press(&mut app, "o");
    assert!(app.effect_rows().windows(2).all(|two| two[0].activation >= two[1].activation));
    assert!(screen(&mut app, 120, 40).contains("by activation"));
    press(&mut app, "o");
    assert_eq!(app.effect_rows(), rows);
    // A row that is clicked is chosen.
    screen(&mut app, 120, 40);
    let row = app.hits.area(HitTarget::Item(Focus::Effect, 2)).expect("a row");
    let did = saescope::tui::msg::MouseDid::Click;
    send(&mut app, Msg::Mouse(saescope::tui::msg::Mouse { did, column: row.x + 2, row: row.y }));
    assert_eq!(app.latent, Some(rows[2].latent));
    // The column stays while one goes along the tokens, and goes with the pane.
    press(&mut app, "esc");
    assert_eq!(app.beside, Focus::Card);
    assert!(app.effect_of(strongest).is_none());
}

#[test]
fn what_needs_the_model_is_said_where_there_is_none() {
    let mut app = weights_only();
    press(&mut app, "c");
    assert_ne!(app.focus, Focus::Effect);
    assert!(app.notice.is_some());
}
