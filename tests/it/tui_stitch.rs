//! What keys and answers do where two SAEs are compared and stitched.
//! Not here: how it looks (`tui_screens`), the other panes (`tui_update`).

use crate::tui_support::sample::{ready, send, told};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use saescope::analysis::{Change, Class, Order};
use saescope::report::Report;
use saescope::session::{
    CardQuery, CheckupQuery, ExportQuery, LossQuery, PairQuery, Query, TablesQuery, TextQuery, VerdictQuery,
    WorkbenchQuery,
};
use saescope::task::Ticket;
use saescope::tui::app::{App, Focus, Page};
use saescope::tui::keys::KeyContext;
use saescope::tui::msg::{Effect, Msg};
use saescope::tui::stitch::{PairIds, Show, Sort};
use saescope::tui::theme::Theme;
use saescope::tui::update::update;
use saescope::worker::{Answer, Event, Job};

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

fn explorer(keys: &[&str]) -> App {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    frame(&mut app);
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

fn pair(small: &str, large: &str) -> PairIds {
    PairIds { small: small.into(), large: large.into() }
}

fn changes(app: &App) -> Vec<Change> {
    app.stitch.changes(&app.pair().expect("a pair")).to_vec()
}

#[test]
fn one_key_leads_to_each_pane_and_escape_back_to_where_one_was() {
    for (key, pane) in
        [("5", Focus::Queue), ("6", Focus::Bench), ("7", Focus::Curve), ("8", Focus::Group), ("w", Focus::Queue)]
    {
        for from in ["2", "3", "4"] {
            let mut app = explorer(&[from]);
            let before = app.focus;
            walk(&mut app, &[key]);
            assert_eq!((app.focus, app.page), (pane, Page::Stitch));
            walk(&mut app, &["esc"]);
            assert_eq!((app.focus, app.page), (before, Page::Explore), "{key} from {from}");
        }
    }
}

#[test]
fn tab_goes_round_the_panes_of_the_page() {
    let mut app = explorer(&["5"]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        walk(&mut app, &["tab"]);
        seen.push(app.focus);
    }
    assert_eq!(seen, [Focus::Bench, Focus::Curve, Focus::Group, Focus::Prompt, Focus::Tokens, Focus::Queue]);
}

#[test]
fn the_queue_compares_with_the_next_narrower_sae_unless_another_is_chosen() {
    let mut app = explorer(&["5"]);
    assert_eq!(app.pair(), Some(pair("256", "512")));
    walk(&mut app, &["{"]);
    assert_eq!(app.pair(), Some(pair("128", "512")));
    walk(&mut app, &["{"]);
    assert_eq!(app.pair(), Some(pair("128", "512")), "there is none narrower");
    walk(&mut app, &["}"]);
    assert_eq!(app.pair(), Some(pair("256", "512")));
    walk(&mut app, &["]"]);
    assert_eq!(app.pair(), Some(pair("512", "1024")), "what is compared moves along");
    let view = app.stitch.view(&pair("512", "1024")).expect("compared");
    assert_eq!(view.rows.len(), 1024);
}

#[test]
fn from_the_narrowest_sae_the_next_wider_is_compared_with_it() {
    let mut app = explorer(&["[", "["]);
    assert_eq!((app.sae, app.pair()), (0, None));
    walk(&mut app, &["5"]);
    assert_eq!(app.pair(), Some(pair("128", "256")));
    assert!(app.notice.is_some(), "and it says so");
    walk(&mut app, &["["]);
    assert_eq!(app.pair(), None, "and a page without a pair says what to do");
    frame(&mut app);
}

#[test]
fn moving_in_the_queue_chooses_the_latent_and_asks_what_it_does() {
    let mut app = explorer(&["5"]);
    let effects = key(&mut app, "down");
    let latent = app.latent.expect("chosen");
    assert_eq!(app.stitch.queue.latent(), Some(latent));
    let (_, job) = asked(&effects, VerdictQuery::NAME).expect("a verdict");
    assert_eq!(job, Job::new(VerdictQuery { small: "256".into(), large: "512".into(), latent, threshold: 0.7 }));
    assert!(asked(&effects, CardQuery::NAME).is_some());
    let token = app.token;
    walk(&mut app, &["left"]);
    assert_eq!((app.token, app.latent), (token - 1, Some(latent)), "the tokens move and the latent stays");
}

#[test]
fn n_stops_only_where_the_rules_disagree() {
    let mut app = explorer(&["5", "home"]);
    let view = app.stitch.view(&pair("256", "512")).expect("compared").clone();
    let all = view.rows.iter().filter(|row| row.disagrees(0.7) == Some(true)).count();
    assert_eq!(app.stitch.sums().map(|s| s.disagree), Some(all));
    let mut stops = std::collections::HashSet::new();
    for _ in 0..all {
        walk(&mut app, &["n"]);
        let latent = app.latent.expect("chosen");
        assert_eq!(view.rows[latent as usize].disagrees(0.7), Some(true));
        stops.insert(latent);
    }
    assert_eq!(stops.len(), all, "all of them are reached, and then it begins again at the top");
    let last = app.latent;
    walk(&mut app, &["shift-n", "n"]);
    assert_eq!(app.latent, last, "there and back");
}

#[test]
fn theta_moves_by_hundredths_and_the_counts_follow_at_once() {
    let mut app = explorer(&["5"]);
    let view = app.stitch.view(&pair("256", "512")).expect("compared").clone();
    for (name, theta) in [("+", 0.71_f32), ("=", 0.72), ("-", 0.71), (">", 0.76), ("<", 0.71), ("<", 0.66)] {
        let key: crokey::KeyCombination = name.parse().expect("a key");
        update(&mut app, Msg::Key(key));
        assert!((app.stitch.threshold - theta).abs() < 1e-6, "{name}: {}", app.stitch.threshold);
        let sums = app.stitch.sums().expect("counted without waiting");
        assert_eq!(sums.counts, view.counts(app.stitch.threshold).ok());
    }
    for _ in 0..100 {
        key(&mut app, ">");
    }
    assert!((app.stitch.threshold - 1.0).abs() < f32::EPSILON, "never beyond what a cosine can be");
}

#[test]
fn a_threshold_below_what_was_compared_is_compared_again() {
    let mut app = explorer(&["5"]);
    for _ in 0..7 {
        walk(&mut app, &["<"]);
    }
    assert!(app.stitch.threshold >= 0.3);
    let mut again = None;
    for _ in 0..3 {
        again = again.or(asked(&key(&mut app, "<"), PairQuery::NAME));
    }
    let (_, job) = again.expect("asked again");
    assert!(matches!(job.get::<PairQuery>(), Some(PairQuery { threshold, .. }) if *threshold < 0.3));
    assert_eq!(app.stitch.sums().and_then(|s| s.counts.clone()), None, "unknown counts are not shown as old ones");
}

#[test]
fn the_queue_shows_and_sorts_what_is_asked_for() {
    let mut app = explorer(&["5"]);
    let view = app.stitch.view(&pair("256", "512")).expect("compared").clone();
    let row = |latent: u32| view.rows[latent as usize];
    for _ in 0..Show::ALL.len() {
        let order = app.stitch.queue.order();
        match app.stitch.queue.show {
            Show::All => assert_eq!(order.len(), view.rows.len()),
            Show::Novel => assert!(order.iter().all(|l| row(*l).class(0.7) == Some(Class::Novel))),
            Show::Reconstruction => assert!(order.iter().all(|l| row(*l).class(0.7) == Some(Class::Reconstruction))),
            Show::Disagree => assert!(order.iter().all(|l| row(*l).disagrees(0.7) == Some(true))),
            Show::Fires => {
                let run = app.run_of("512").expect("a run");
                let fires = |l: &u32| run.positions.iter().any(|p| p.latents.iter().any(|f| f.latent == *l));
                assert!(!order.is_empty() && order.iter().all(fires));
            }
            Show::Bench => assert!(order.is_empty()),
        }
        walk(&mut app, &["c"]);
    }
    assert_eq!(app.stitch.queue.show, Show::All);
    for _ in 0..Sort::ALL.len() {
        let order: Vec<_> = app.stitch.queue.order().iter().map(|l| row(*l)).collect();
        let rises = |of: fn(&saescope::analysis::QueueRow) -> Option<f64>| {
            let known: Vec<f64> = order.iter().filter_map(of).collect();
            let unknown_last = order.iter().skip(known.len()).all(|r| of(r).is_none());
            unknown_last && known.windows(2).all(|w| w[0] <= w[1])
        };
        let sorted = match app.stitch.queue.sort {
            Sort::Delta => rises(|r| r.delta_mse),
            Sort::Effect => rises(|r| r.c_star.map(|c| -c)),
            Sort::Cosine => rises(|r| Some(f64::from(r.max_cosine))),
            Sort::Rate => rises(|r| Some(-(r.fired as f64))),
            Sort::Latent => rises(|r| Some(f64::from(r.latent))),
            Sort::Here => {
                let here = app.position().expect("a token").latents.len();
                order.iter().take(here).all(|r| {
                    app.in_prompt(&saescope::tui::app::LatentRef { sae: "512".into(), latent: r.latent }).0 > 0
                })
            }
        };
        assert!(sorted, "{:?}", app.stitch.queue.sort);
        walk(&mut app, &["o"]);
    }
    let forward = app.stitch.queue.order().to_vec();
    walk(&mut app, &["shift-o"]);
    let silent = view.rows.iter().filter(|r| r.delta_mse.is_none()).count();
    let backward: Vec<u32> = app.stitch.queue.order().to_vec();
    assert_eq!(backward[0], forward[forward.len() - silent - 1], "what has no value stays last");
}

#[test]
fn the_filter_follows_while_it_is_typed_and_escape_drops_it() {
    let mut app = explorer(&["5", "/", "e"]);
    assert_eq!(app.place(), KeyContext::Filter);
    let found: Vec<u32> = (0..30).map(|i| i * 3).collect();
    assert!(!app.stitch.queue.order().is_empty());
    assert!(app.stitch.queue.order().iter().all(|l| found.contains(l)));
    walk(&mut app, &["enter"]);
    assert_eq!((app.place(), app.stitch.queue.text.as_str()), (KeyContext::Pane(Focus::Queue), "e"), "kept");
    walk(&mut app, &["/", "esc"]);
    assert_eq!(app.stitch.queue.text, "");
    assert_eq!(app.stitch.queue.order().len(), 512);
}

#[test]
fn latents_go_in_and_out_and_every_step_can_be_undone() {
    let mut app = explorer(&["5", "home"]);
    let first = app.latent.expect("chosen");
    walk(&mut app, &["space", "down"]);
    let second = app.latent.expect("chosen");
    walk(&mut app, &["space"]);
    assert_eq!(changes(&app), [Change::Insert(first), Change::Insert(second)]);
    assert_eq!(app.stitch.queue.order().len(), 512, "the queue stays as it is");
    walk(&mut app, &["u"]);
    assert_eq!(changes(&app), [Change::Insert(first)]);
    walk(&mut app, &["shift-u"]);
    assert_eq!(changes(&app).len(), 2);
    walk(&mut app, &["6", "down", "delete"]);
    assert_eq!(changes(&app), [Change::Insert(first)]);
    walk(&mut app, &["shift-x"]);
    assert!(changes(&app).is_empty());
    walk(&mut app, &["u", "u"]);
    assert_eq!(changes(&app).len(), 2);
}

#[test]
fn a_group_is_swapped_whole_and_every_pair_has_its_own_workbench() {
    let mut app = explorer(&["5", "c", "c", "home", "x"]);
    let latent = app.latent.expect("chosen");
    let swapped = changes(&app);
    assert!(matches!(swapped.as_slice(), [Change::Swap { large, .. }] if large.contains(&latent)), "{swapped:?}");
    walk(&mut app, &["{"]);
    assert!(changes(&app).is_empty());
    walk(&mut app, &["}"]);
    assert_eq!(changes(&app), swapped, "kept");
    walk(&mut app, &["x"]);
    assert!(changes(&app).is_empty(), "swapped back");
}

#[test]
fn a_novel_latent_has_no_group_and_it_says_so() {
    let app = explorer(&["5", "c", "home", "x"]);
    assert!(changes(&app).is_empty());
    assert!(app.notice.as_ref().is_some_and(|n| n.text.contains("novel")), "{:?}", app.notice);
}

#[test]
fn the_workbench_is_asked_for_every_change_and_old_answers_count_no_more() {
    let mut app = explorer(&["6", "5"]);
    walk(&mut app, &["6"]);
    let before = app.stitch.bench.value().expect("measured").changes.len();
    let (old, _) = asked(&key(&mut app, "u"), WorkbenchQuery::NAME).map_or((Ticket(0), Job::new(TablesQuery)), |a| a);
    walk(&mut app, &["5", "space", "6"]);
    let bench = app.stitch.bench.value().expect("measured");
    assert_eq!(bench.changes.len(), before + 1);
    let event = Event::Done(Err(Report::new("too late")));
    assert!(!update(&mut app, told(old, event)).dirty);
    assert!(app.stitch.bench.failure().is_none());
    assert!(app.stitch.bench_loss.is_some(), "cross-entropies follow");
}

#[test]
fn exporting_asks_for_a_folder_first() {
    let mut app = explorer(&["5", "shift-e"]);
    assert!(app.overlay.is_empty(), "nothing to save");
    walk(&mut app, &["space", "shift-e"]);
    assert_eq!(app.place(), KeyContext::Path);
    app.home = Some("/home/someone".into());
    for _ in 0..40 {
        key(&mut app, "backspace");
    }
    for c in ["~", "/", "a"] {
        key(&mut app, c);
    }
    let (ticket, job) = asked(&key(&mut app, "enter"), ExportQuery::NAME).expect("saved");
    assert!(
        matches!(job.get::<ExportQuery>(), Some(ExportQuery { folder, changes, .. }) if folder.as_os_str() == "/home/someone/a" && changes.len() == 1)
    );
    let event = Event::Done(Ok(Answer::new(std::path::PathBuf::from("/home/someone/a"))));
    update(&mut app, told(ticket, event));
    assert!(app.notice.as_ref().is_some_and(|n| n.text.contains("/home/someone/a")));
}

#[test]
fn another_text_forgets_what_was_measured_but_not_what_is_built() {
    let mut app = explorer(&["5", "space", "shift-t"]);
    for c in ["t", "x"] {
        key(&mut app, c);
    }
    let effects = key(&mut app, "enter");
    let (ticket, job) = asked(&effects, TextQuery::NAME).expect("chosen");
    assert_eq!(job, Job::new(TextQuery { file: Some("tx".into()) }));
    let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
    let effects = update(&mut app, told(ticket, event)).effects;
    assert!(asked(&effects, PairQuery::NAME).is_some(), "measured anew");
    assert_eq!(changes(&app).len(), 1);
}

#[test]
fn a_failure_is_not_asked_for_again_until_the_person_says_so() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    let (ticket, _) = asked(&key(&mut app, "5"), PairQuery::NAME).expect("compared");
    let event = Event::Done(Err(Report::new("the two SAEs cannot be compared").hint("choose another")));
    let effects = update(&mut app, told(ticket, event)).effects;
    assert!(asked(&effects, PairQuery::NAME).is_none());
    assert!(asked(&key(&mut app, "left"), PairQuery::NAME).is_none());
    assert!(asked(&key(&mut app, "r"), PairQuery::NAME).is_some());
}

#[test]
fn cross_entropies_that_fail_do_not_ask_for_ever() {
    let mut app = explorer(&["5"]);
    app.size = (200, 60);
    frame(&mut app);
    key(&mut app, "down");
    // Every answer is good but cross-entropies.
    let mut waiting = key(&mut app, "down");
    let mut losses = 0;
    while let Some(effect) = waiting.pop() {
        let Effect::Ask { ticket, job } = effect else { continue };
        let slot = job.slot();
        losses += usize::from(slot == LossQuery::NAME);
        assert!(losses < 10, "asked again and again");
        let answer =
            if slot == LossQuery::NAME { Err(Report::new("no")) } else { Ok(crate::tui_support::sample::answer(&job)) };
        waiting.extend(update(&mut app, told(ticket, Event::Done(answer))).effects);
    }
    assert!(app.stitch.loss.failure().is_some());
}

#[test]
fn the_curve_is_taken_in_another_order_on_a_key() {
    let mut app = explorer(&["7"]);
    assert_eq!(app.stitch.curve.value().map(|c| c.order), Some(Order::Effect));
    assert!(app.stitch.curve_loss.value().is_some_and(|l| l.ce.len() >= 9));
    walk(&mut app, &["o"]);
    assert_eq!(app.stitch.curve.value().map(|c| c.order), Some(Order::Cosine));
    walk(&mut app, &["end"]);
    let curve = app.stitch.curve.value().expect("a curve");
    assert_eq!(curve.points[app.stitch.point].step, curve.phases[2]);
}

#[test]
fn the_group_leads_to_its_members() {
    let mut app = explorer(&["5", "c", "c", "home", "8"]);
    let group = app.stitch.group.value().and_then(|group| Option::clone(group)).expect("a group");
    let own = app.latent.expect("chosen");
    assert_eq!(app.stitch.group_row, group.small.len() + group.large.iter().position(|l| *l == own).expect("in it"));
    walk(&mut app, &["home", "enter"]);
    let chosen = app.chosen().expect("chosen");
    assert_eq!((chosen.sae.as_str(), chosen.latent), ("256", group.small[0]));
    assert_eq!(app.focus, Focus::Card);
    walk(&mut app, &["b"]);
    assert_eq!(app.chosen().map(|c| c.sae), Some("512".into()));
}

#[test]
fn the_family_in_the_card_is_walked_with_arrows() {
    let mut app = explorer(&["4"]);
    let rows = app.ladder_rows();
    let children = rows.iter().filter(|r| r.kin == saescope::tui::ladder::Kin::Child).count();
    assert!(children > 4, "more than the nearest of each SAE: {rows:?}");
    walk(&mut app, &["end", "enter"]);
    let last = rows.last().expect("rows");
    assert_eq!((app.sae, app.latent), (last.place, Some(last.latent)));
    walk(&mut app, &["b"]);
    assert_eq!(app.sae, 2);
}

#[test]
fn all_saes_are_compared_ahead_once_and_nobody_waits_for_it() {
    let mut app =
        crate::tui_support::sample::new(Some(crate::tui_support::sample::PROMPT), saescope::text::Charset::Unicode);
    let first = saescope::tui::update::start(&mut app);
    let mut waiting = first.effects;
    let mut tables = 0;
    while let Some(effect) = waiting.pop() {
        let Effect::Ask { ticket, job } = effect else { continue };
        let slot = job.slot();
        if slot == TablesQuery::NAME {
            tables += 1;
            continue;
        }
        // Whether the suite is wired right is asked beside it, and is not what this is about.
        if slot == CheckupQuery::NAME {
            continue;
        }
        let event = Event::Done(Ok(crate::tui_support::sample::answer(&job)));
        waiting.extend(update(&mut app, told(ticket, event)).effects);
    }
    assert_eq!(tables, 1);
    assert!(app.is_pending() && !app.is_computing());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_pressed_while_stitching_nothing_panics(
        keys in proptest::collection::vec(proptest::sample::select(vec![
            "5", "6", "7", "8", "up", "down", "left", "right", "home", "end", "pagedown", "pageup", "space", "x", "u",
            "shift-u", "shift-x", "o", "shift-o", "c", "n", "shift-n", "+", "-", "<", ">", "{", "}", "[", "]", "tab",
            "enter", "esc", "/", "e", "shift-e", "shift-t", "4", "3", "b", "delete",
        ]), 1..60),
        sizes in proptest::collection::vec((60_u16..210, 15_u16..70), 1..4),
        answer in any::<bool>(),
    ) {
        let mut app = ready(crate::tui_support::sample::PROMPT);
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
            prop_assert!((-1.0..=1.0).contains(&app.stitch.threshold));
            prop_assert!(app.stitch.queue.at == 0 || app.stitch.queue.at < app.stitch.queue.order().len());
            if let Some(pair) = app.pair() {
                prop_assert!(app.stitch.change_row == 0 || app.stitch.change_row < app.stitch.changes(&pair).len().max(1) + 64);
            }
        }
    }
}
