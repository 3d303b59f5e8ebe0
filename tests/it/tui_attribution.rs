//! Where a latent's activation comes from, by its keys and clicks.
//! Not here: how it looks (`tui_screens`), and the numbers (`attribution`).

use crate::tui_support::sample::{HEADS, PROMPT, press, ready, ready_on, send, told};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use saescope::report::Report;
use saescope::session::{AttributionQuery, Query};
use saescope::tui::app::{App, Focus};
use saescope::tui::hits::HitTarget;
use saescope::tui::msg::{Effect, Mouse, MouseDid, Msg};
use saescope::tui::theme::Theme;
use saescope::tui::update::update;
use saescope::tui::view::view;
use saescope::worker::{Answer, Event, Job};

fn draw(app: &mut App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).expect("a test terminal");
    let mut hits = None;
    terminal.draw(|frame| hits = Some(view(app, &Theme::default(), frame))).expect("drawn");
    send(app, Msg::Drawn(hits.expect("hits")));
    terminal.backend().to_string()
}

/// Sends a key and gives what is asked about origins, unanswered.
fn asks(app: &mut App, key: &str) -> Option<Job> {
    let key: crokey::KeyCombination = key.parse().expect("a key");
    let effects = update(app, Msg::Key(key.normalized())).effects;
    effects.into_iter().find_map(|effect| match effect {
        Effect::Ask { job, .. } if job.slot() == AttributionQuery::NAME => Some(job),
        _ => None,
    })
}

#[test]
fn where_there_are_no_heads_it_says_so_and_asks_nothing() {
    let mut app = ready(PROMPT);
    assert_eq!(asks(&mut app, "o"), None);
    assert_eq!((app.focus, app.beside), (Focus::Tokens, Focus::Card));
    let said = &app.notice.as_ref().expect("a notice").text;
    assert!(said.contains("attn_z") && said.contains("resid_pre"), "{said}");
    assert_eq!(asks(&mut app, "left"), None);
}

#[test]
fn it_follows_token_and_latent_and_keeps_the_head() {
    let mut app = ready_on(HEADS, PROMPT);
    press(&mut app, "o");
    assert_eq!((app.focus, app.beside), (Focus::Attribution, Focus::Attribution));
    let (of, current) = app.attribution().expect("is answered");
    assert!(current && of.position == app.token);
    press(&mut app, "down");
    press(&mut app, "down");
    let head = app.attribution.head.expect("a head");
    assert_eq!(app.head_row(), 2);
    let job = asks(&mut app, "left").expect("the token before is asked about");
    let chosen = app.chosen().expect("a latent");
    assert_eq!(job, Job::new(AttributionQuery { sae: chosen.sae, latent: chosen.latent, position: app.token }));
    assert!(app.attribution().is_some_and(|(_, current)| !current), "the last answer stays until there is another");
    press(&mut app, "right");
    assert_eq!(app.attribution.head, Some(head), "the head is kept, wherever its row went");
    press(&mut app, "3");
    assert_eq!(app.beside, Focus::Attribution, "it stays in view while one goes along the latents");
    let before = app.latent;
    assert!(
        asks(&mut app, "down")
            .is_some_and(|job| job.get::<AttributionQuery>().is_some_and(|of| Some(of.latent) != before))
    );
    press(&mut app, "tab");
    assert_eq!(app.focus, Focus::Attribution, "it stands where the card stood");
    press(&mut app, "end");
    assert_eq!(app.head_row(), 12);
    press(&mut app, "home");
    assert_eq!(app.attribution.head, None);
}

#[test]
fn escape_goes_back_where_one_came_from_and_the_card_comes_back() {
    for (from, focus) in [("2", Focus::Tokens), ("3", Focus::Latents), ("4", Focus::Card)] {
        for back in ["esc", "o"] {
            let mut app = ready_on(HEADS, PROMPT);
            press(&mut app, from);
            press(&mut app, "o");
            assert_eq!(app.focus, Focus::Attribution);
            press(&mut app, back);
            assert_eq!((app.focus, app.beside), (focus, Focus::Card));
        }
    }
    let mut app = ready_on(HEADS, PROMPT);
    for key in ["o", "2", "4"] {
        press(&mut app, key);
    }
    assert_eq!((app.focus, app.beside), (Focus::Card, Focus::Card));
}

#[test]
fn a_click_chooses_a_head_and_the_wheel_goes_along_them() {
    let mut app = ready_on(HEADS, PROMPT);
    send(&mut app, Msg::Resize { width: 120, height: 40 });
    press(&mut app, "o");
    press(&mut app, "2");
    draw(&mut app);
    let row = app.hits.area(HitTarget::Item(Focus::Attribution, 3)).expect("a row of heads");
    send(&mut app, Msg::Mouse(Mouse { did: MouseDid::Click, column: row.x + 1, row: row.y }));
    assert_eq!((app.focus, app.head_row()), (Focus::Attribution, 3));
    send(&mut app, Msg::Mouse(Mouse { did: MouseDid::WheelUp, column: row.x + 1, row: row.y }));
    assert_eq!(app.head_row(), 2);
}

#[test]
fn what_stands_on_screen_are_the_numbers_of_the_answer() {
    let mut app = ready_on(HEADS, PROMPT);
    send(&mut app, Msg::Resize { width: 120, height: 40 });
    press(&mut app, "o");
    let shown = draw(&mut app);
    let (of, _) = app.attribution().expect("is answered");
    for value in [of.pre_activation, of.heads[0].value, of.heads[11].value, of.sources[0].value, of.bias] {
        let number = format!("{:.2}", value.abs());
        assert!(shown.contains(&number), "{number} is not on\n{shown}");
    }
}

#[test]
fn a_failure_stands_in_its_pane_and_r_asks_again() {
    let mut app = ready_on(HEADS, PROMPT);
    send(&mut app, Msg::Resize { width: 120, height: 40 });
    press(&mut app, "o");
    let left: crokey::KeyCombination = "left".parse().expect("a key");
    let effects = update(&mut app, Msg::Key(left.normalized())).effects;
    let asked = effects.into_iter().find_map(|effect| match effect {
        Effect::Ask { ticket, job } if job.slot() == AttributionQuery::NAME => Some(ticket),
        _ => None,
    });
    let event = Event::Done(Err(Report::new("the latent cannot be traced").hint("try another")));
    let ticket = asked.expect("is asked");
    update(&mut app, told(ticket, event));
    assert!(draw(&mut app).contains("the latent cannot be traced"));
    assert!(asks(&mut app, "r").is_none(), "the prompt is run first");
    let mut app = ready_on(HEADS, PROMPT);
    press(&mut app, "r");
    assert!(app.attribution().is_some_and(|(_, current)| current), "and then the origins are asked for");
}

#[test]
fn the_command_that_is_copied_asks_for_the_same_numbers() {
    let mut app = ready_on(HEADS, "it's in");
    press(&mut app, "o");
    let copied = press(&mut app, "shift-y").into_iter().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text),
        _ => None,
    });
    let (latent, position) = (app.latent.expect("a latent"), app.token);
    let want = format!(r"saescope latent --suite demo --sae 512 {latent} --prompt 'it'\''s in' --position {position}");
    assert_eq!(copied.as_deref(), Some(want.as_str()));
}

#[test]
fn an_answer_of_another_kind_is_a_bug_that_is_told() {
    let mut app = ready_on(HEADS, PROMPT);
    let left: crokey::KeyCombination = "left".parse().expect("a key");
    for effect in update(&mut app, Msg::Key(left.normalized())).effects {
        if let Effect::Ask { ticket, job } = effect
            && job.slot() == AttributionQuery::NAME
        {
            let event = Event::Done(Ok(Answer::new(Vec::<String>::new())));
            update(&mut app, told(ticket, event));
        }
    }
    assert!(app.attribution.asked.failure().is_some());
}
