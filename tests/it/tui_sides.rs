//! A latent beside its parent, its child or one of its parts: it is entered from a row, asks for both, and leads back.
//! Not here: what the index says of each (`index`), and how it looks (`tui_screens`).

use std::collections::BTreeSet;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use saescope::analysis::{LatentCorpus, MetaCorpus};
use saescope::session::{OtherSide, SidesQuery};
use saescope::tui::app::{App, Focus};
use saescope::tui::format::activation;
use saescope::tui::ladder::Kin;
use saescope::tui::location::Page;
use saescope::tui::msg::Msg;
use saescope::tui::theme::Theme;
use saescope::tui::view::view;

use crate::tui_support::sample::{PROMPT, press, ready, send};

fn screen(app: &mut App, width: u16, height: u16) -> String {
    send(app, Msg::Resize { width, height });
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    let mut hits = None;
    terminal.draw(|frame| hits = Some(view(app, &Theme::default(), frame))).expect("drawn");
    send(app, Msg::Drawn(hits.expect("hits")));
    terminal.backend().to_string()
}

fn walk(keys: &[&str]) -> App {
    let mut app = ready(PROMPT);
    screen(&mut app, 200, 60);
    for key in keys {
        press(&mut app, key);
        screen(&mut app, 200, 60);
    }
    app
}

fn query(app: &App) -> &SidesQuery {
    app.sides.query.as_ref().expect("two are put side by side")
}

/// How many of the best examples of both stand on the screen, by their activations.
fn shown_of(screen: &str, both: [&LatentCorpus; 2]) -> usize {
    let best = both.into_iter().flat_map(|corpus| corpus.examples.iter().filter(|example| example.best));
    let values: BTreeSet<String> = best.map(|example| format!(" {} ", activation(example.activation))).collect();
    values.iter().map(|value| screen.matches(value).count()).sum()
}

#[test]
fn a_parent_and_a_child_stand_beside_the_latent_and_escape_leads_back_to_the_ladder() {
    let mut app = walk(&["]", "4", "home"]);
    let rows = app.ladder_rows();
    let mut kin = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        app.ladder_row = at;
        let own = app.chosen().expect("a latent");
        press(&mut app, "|");
        if row.cosine.is_none() {
            assert!(app.focus == Focus::Card && app.notice.is_some(), "the latent itself is none to compare with");
            continue;
        }
        assert_eq!((app.focus, app.beside), (Focus::Sides, Focus::Sides));
        assert_eq!((&query(&app).one.sae, query(&app).one.latent), (&own.sae, own.latent));
        let OtherSide::Latent(other) = &query(&app).other else { panic!("{:?}", query(&app)) };
        assert_eq!((other.sae.as_str(), other.latent), (app.saes()[row.place].id.as_str(), row.latent));
        kin.push(row.kin);
        press(&mut app, "esc");
        assert_eq!((app.focus, app.beside, app.ladder_row), (Focus::Card, Focus::Card, at));
        assert_eq!(app.chosen(), Some(own));
    }
    assert!(kin.contains(&Kin::Child) && kin.len() > 2, "{kin:?}");
}

#[test]
fn a_part_stands_beside_the_latent_and_escape_leads_back_to_the_parts() {
    for down in [0, 1] {
        let mut app = walk(&["]", "]", "9"]);
        (0..down).for_each(|_| drop(press(&mut app, "down")));
        let part = app.meta.meta_latent.expect("a part");
        press(&mut app, "|");
        let OtherSide::Part(other) = &query(&app).other else { panic!("{:?}", query(&app)) };
        assert_eq!((other.meta_latent, app.focus, app.page), (part, Focus::Sides, Page::Explore));
        let shown = screen(&mut app, 200, 60);
        assert!(shown.contains(&format!("part {part}")), "{shown}");
        press(&mut app, "esc");
        assert_eq!((app.focus, app.page, app.beside), (Focus::Parts, Page::Meta, Focus::Card));
        press(&mut app, "esc");
        assert_eq!(app.page, Page::Explore);
        assert_ne!(app.focus, Focus::Sides, "what was left is not where one comes back to");
    }
}

#[test]
fn both_are_drawn_with_their_examples_at_three_sizes_and_scroll_together() {
    for (width, height, each) in [(80, 24, 3), (120, 40, 10), (200, 60, 20)] {
        let mut app = walk(&["]", "4", "end", "|"]);
        let shown = screen(&mut app, width, height);
        let answer = app.sides.asked.value().expect("answered").clone();
        let (Some(one), Some(MetaCorpus::Index(other))) = (&answer.one, &answer.other) else { panic!("{answer:?}") };
        let lines = shown_of(&shown, [one, other]);
        assert!(lines >= 2 * each, "{width}x{height}: {lines}\n{shown}");
        let OtherSide::Latent(beside) = &query(&app).other else { panic!("{:?}", query(&app)) };
        let names = [&query(&app).one, beside].map(|of| format!("{}/{}", of.sae, of.latent));
        let in_one_line = shown.lines().any(|line| names.iter().all(|name| line.contains(name.as_str())));
        assert_eq!(in_one_line, width >= 120, "two columns where there is room\n{shown}");
        assert!(shown.contains("peaks shared"), "{shown}");
        press(&mut app, "down");
        press(&mut app, "pagedown");
        let best = one.examples.iter().filter(|example| example.best).count();
        assert_eq!(app.sides.top > 0, each < best, "{width}x{height}: those that are not in view are scrolled to");
        assert_eq!(screen(&mut app, width, height) != shown, each < best, "{width}x{height}");
        press(&mut app, "home");
        assert_eq!(screen(&mut app, width, height), shown);
        // Who looks elsewhere has the list back, and the two in the card's place.
        press(&mut app, "3");
        assert!(app.beside == Focus::Sides && screen(&mut app, width, height).contains(" 3 Latents "));
    }
}
