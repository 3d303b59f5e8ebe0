//! The effects of latents on screen: asked for only while they are looked at, a column beside the latents, two orders.
//! Not here: the figures (`golden_effect`).

use crate::tui_support::sample::{self, PROMPT, press, ready, screen, send, weights_only};
use saescope::analysis::GridView;
use saescope::session::{EffectQuery, GridQuery, Query};
use saescope::task::{Progress, SoFar};
use saescope::tui::app::{Focus, WidthPart};
use saescope::tui::effect::EffectPage;
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
fn every_position_in_front_of_a_token_is_shown_whole_first_and_then_its_latents() {
    let mut app = ready(PROMPT);
    for key in ["left", "left", "c"] {
        press(&mut app, key);
    }
    let read = app.token;
    let out = update(&mut app, Msg::Key("space".parse().expect("a key")));
    let asked = out.effects.iter().find_map(|effect| match effect {
        Effect::Ask { job, ticket } => job.get::<GridQuery>().map(|query| (query.clone(), *ticket)),
        _ => None,
    });
    let (query, ticket) = asked.expect("is asked");
    assert_eq!((query.read, query.positions), (Some(read), 16));
    // What is known grows: positions first.
    let whole = sample::grid(&query);
    let mut part: GridView = whole.clone();
    part.saes[0].cells.clear();
    let so_far = Some(SoFar::new(part));
    let progress = Progress { so_far, ..Progress::steps("positions", 3, 20) };
    send(&mut app, sample::told(ticket, saescope::worker::Event::Progress(progress)));
    let text = screen(&mut app, 120, 40);
    assert!(text.contains("positions 3 of 20") && text.contains("all") && app.grid_cells().0.is_empty(), "{text}");
    let answer = saescope::worker::Answer::new(whole.clone());
    send(&mut app, sample::told(ticket, saescope::worker::Event::Done(Ok(answer))));
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let text = screen(&mut app, width, height);
        for word in ["c Effect", "Germany", "all positions", "log-p", &format!("after {read}")] {
            assert!(text.contains(word), "{word} at {width}x{height}:\n{text}");
        }
    }
    // Rows choose a latent at its position; where the next token is read stays.
    press(&mut app, "home");
    let first = whole.saes[0].cells[0];
    assert_eq!((app.token, app.latent), (first.position, Some(first.latent)));
    press(&mut app, "down");
    let second = whole.saes[0].cells[1];
    assert_eq!((app.token, app.latent), (second.position, Some(second.latent)));
    assert_eq!(app.grid().map(|(view, _, current)| (view.read, current)), Some((read, true)));
    // The latents beside it are measured for the same token; one that is read behind has no effect on it.
    assert_eq!(app.effect_key().map(|(query, _)| query.read), Some(Some(read)));
    press(&mut app, "space");
    press(&mut app, "space");
    assert_eq!(app.effect.page, EffectPage::Latents, "this SAE has no meta-SAE");
    assert!(screen(&mut app, 120, 40).contains(&format!("after {read}")));
    press(&mut app, "*");
    let follows = app.tokens()[read + 1].text.clone();
    assert_eq!(app.effect_key().and_then(|(query, _)| query.token), Some(follows));
    press(&mut app, "@");
    assert_eq!(app.effect.read, Some(app.token));
    press(&mut app, "@");
    assert_eq!(app.effect.read, None);
}

#[test]
fn every_width_is_shown_with_the_relatives_of_the_chosen_latent_and_a_row_leads_there() {
    let mut app = ready(PROMPT);
    press(&mut app, "c");
    let read = app.token;
    for _ in 0..2 {
        press(&mut app, "space");
    }
    assert_eq!(app.effect.page, EffectPage::Widths);
    let chosen = app.chosen().expect("a latent");
    let (query, _) = app.widths_key().expect("can be asked");
    assert!(query.saes.is_empty() && query.read == Some(read));
    assert_eq!(query.relatives_of.map(|of| (of.sae, of.latent)), Some((chosen.sae.clone(), chosen.latent)));
    let text = screen(&mut app, 200, 60);
    for word in ["by width", "128", "2048", "all", "error", "child", "chosen", "0.83"] {
        assert!(text.contains(word), "{word}:\n{text}");
    }
    for size in [(80, 24), (120, 40)] {
        assert!(screen(&mut app, size.0, size.1).contains("by width"));
    }
    // Each SAE begins with all of its latents and its error; the chosen latent and its relatives are among the rest.
    let rows = app.width_rows();
    assert_eq!(rows.iter().filter(|row| row.of == WidthPart::All).count(), 5);
    let relatives = rows.iter().filter(|row| matches!(row.of, WidthPart::Latent { relative: Some(_), .. }));
    assert_eq!(relatives.count(), 4);
    press(&mut app, "end");
    let last = rows.last().expect("a row");
    let WidthPart::Latent { effect, .. } = last.of else { panic!("{last:?}") };
    press(&mut app, "enter");
    assert_eq!(app.chosen().map(|of| (of.sae, of.latent)), Some(("2048".to_owned(), effect.latent)));
}

#[test]
fn another_prompt_ends_what_is_measured_of_every_position() {
    let mut app = ready(PROMPT);
    press(&mut app, "c");
    update(&mut app, Msg::Key("space".parse().expect("a key")));
    assert!(app.effect.grid.is_pending());
    press(&mut app, "esc");
    press(&mut app, "e");
    let out = update(&mut app, Msg::Key("x".parse().expect("a key")));
    assert!(out.effects.contains(&Effect::Cancel(GridQuery::NAME)), "{:?}", out.effects);
    assert!(!app.effect.grid.is_pending());
}

#[test]
fn what_needs_the_model_is_said_where_there_is_none() {
    let mut app = weights_only();
    press(&mut app, "c");
    assert_ne!(app.focus, Focus::Effect);
    assert!(app.notice.is_some());
}
