//! What an index says of the latents in the list: short names, an order by how unusual an activation is, dense latents
//! below the others. Not here: counting (`index`), and a latent's examples (`tui_examples`).

use crate::tui_support::sample::{PROMPT, answer_or, frequencies, new, told};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use saescope::session::{FrequenciesQuery, MakeLabelsQuery};
use saescope::text::Charset;
use saescope::tui::app::App;
use saescope::tui::msg::{Effect, Msg, Update};
use saescope::tui::theme::Theme;
use saescope::tui::update::{start, update};
use saescope::worker::{Answer, Event};

/// Answers everything; these latents are dense, and the one after them fires as it rarely does.
fn answered(app: &mut App, first: Update, dense: &[u32], unusual: Option<u32>) {
    let mut waiting = first.effects;
    while let Some(effect) = waiting.pop() {
        let Effect::Ask { ticket, job } = effect else { continue };
        let answer = match job.get::<FrequenciesQuery>() {
            Some(query) => {
                let mut found = frequencies(query).expect("an index");
                for (latent, of) in &mut found.latents {
                    of.density = if dense.contains(latent) { 0.4 } else { 0.01 };
                    // All activations in one bin far above, or far below, any of the prompt.
                    of.histogram = vec![(if unusual == Some(*latent) { -6400 } else { 6400 }, of.count)];
                }
                Answer::new(Some(found))
            }
            None => answer_or(&job),
        };
        waiting.extend(update(app, told(ticket, Event::Done(Ok(answer)))).effects);
    }
}

fn ready(dense: &[u32], unusual: Option<u32>) -> App {
    let mut app = new(Some(PROMPT), Charset::Unicode);
    let first = start(&mut app);
    answered(&mut app, first, dense, unusual);
    app
}

fn key(app: &mut App, key: &str) {
    let key: crokey::KeyCombination = key.parse().expect("a key");
    update(app, Msg::Key(key.normalized()));
}

fn listed(app: &App) -> Vec<u32> {
    app.listed_latents().iter().map(|firing| firing.latent).collect()
}

#[test]
fn dense_latents_stand_below_the_others_and_are_not_chosen_first() {
    let plain = ready(&[], None);
    let by_activation = listed(&plain);
    assert!(by_activation.len() > 3);
    let dense = [by_activation[0], by_activation[2]];
    let mut app = ready(&dense, None);
    let order = listed(&app);
    let (last, sorted) = (&order[order.len() - 2..], by_activation.iter().filter(|of| !dense.contains(of)));
    assert_eq!(last, dense, "by activation among themselves");
    assert_eq!(order[..order.len() - 2].iter().collect::<Vec<_>>(), sorted.collect::<Vec<_>>());
    assert!(app.latent.is_some_and(|latent| !dense.contains(&latent)));
    assert_eq!(app.listed_at(order.len() - 1), Some(dense[1]));
    key(&mut app, "3");
    key(&mut app, "end");
    assert_eq!((app.latent, app.rank()), (Some(dense[1]), Some(order.len() - 1)));
}

#[test]
fn a_key_puts_the_most_unusual_activation_first() {
    let by_activation = listed(&ready(&[], None));
    let unusual = by_activation[by_activation.len() - 1];
    let mut app = ready(&[], Some(unusual));
    assert_eq!(listed(&app), by_activation);
    key(&mut app, "3");
    key(&mut app, "shift-o");
    let firing = app.listed_latents()[0];
    assert_eq!((firing.latent, firing.quantile), (unusual, Some(1.0)));
    assert_eq!(app.latent, Some(unusual), "the first is followed");
    assert_eq!(listed(&app)[1..], by_activation[..by_activation.len() - 1], "ties by activation");
    key(&mut app, "shift-o");
    assert_eq!(listed(&app), by_activation);
}

#[test]
fn a_short_name_says_what_it_fires_on_and_what_it_promotes() {
    let app = ready(&[], None);
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).expect("a test terminal");
    terminal
        .draw(|frame| {
            saescope::tui::view::view(&app, &Theme::default(), frame);
        })
        .expect("drawn");
    let screen = terminal.backend().to_string();
    let of = frequencies(&FrequenciesQuery { sae: "4096".into(), latents: vec![listed(&app)[0]], index: None });
    let first = of.expect("an index").latents[0].1.top_tokens[0].text.clone();
    assert!(screen.contains(&format!("on {}", first.trim_start())) && screen.contains('→'), "{screen}");
}

#[test]
fn rules_are_asked_for_once_and_not_again_while_they_are_made() {
    let mut app = new(Some(PROMPT), Charset::Unicode);
    let mut waiting = start(&mut app).effects;
    let mut asked = 0;
    while let Some(effect) = waiting.pop() {
        let Effect::Ask { ticket, job } = effect else { continue };
        if job.get::<MakeLabelsQuery>().is_some() {
            asked += 1;
            continue;
        }
        waiting.extend(update(&mut app, told(ticket, Event::Done(Ok(answer_or(&job))))).effects);
    }
    assert_eq!(asked, 1);
    // Whatever comes while they are made.
    for msg in [Msg::Tick, Msg::Resize { width: 90, height: 30 }, Msg::Tick] {
        let effects = update(&mut app, msg).effects;
        let again =
            |effect: &Effect| matches!(effect, Effect::Ask { job, .. } if job.get::<MakeLabelsQuery>().is_some());
        assert!(!effects.iter().any(again), "{effects:?}");
    }
}
