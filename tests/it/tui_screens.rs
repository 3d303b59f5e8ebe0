//! Every screen on record, at the sizes people have, with colours and without.
//! Not here: what keys do (`tui_update`).

use std::fmt::Write as _;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use saescope::analysis::LatentCard;
use saescope::session::{LatentNames, NamesQuery};
use saescope::task::Tickets;
use saescope::text::Charset;
use saescope::tui::app::App;
use saescope::tui::ask::Turn;
use saescope::tui::msg::Msg;
use saescope::tui::theme::{Depth, Ground, Theme};
use saescope::tui::update::update;
use saescope::tui::view::view;

const SIZES: [(u16, u16); 5] = [(80, 24), (120, 40), (200, 60), (60, 15), (40, 10)];

fn theme(depth: Depth) -> Theme {
    Theme { depth, ground: Ground::Dark, charset: Charset::Unicode }
}

/// Draws twice: the first frame tells the state how many rows there are.
fn draw(app: &mut App, theme: Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    update(app, Msg::Resize { width, height });
    for _ in 0..2 {
        let mut hits = None;
        terminal.draw(|frame| hits = Some(view(app, &theme, frame))).expect("drawn");
        crate::tui_support::sample::send(app, Msg::Drawn(hits.expect("hits")));
    }
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for row in buffer.content().chunks(usize::from(buffer.area.width)) {
        let mut skip = 0;
        let mut line = String::new();
        for cell in row {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            line.push_str(cell.symbol());
            skip = saescope::text::width(cell.symbol()).saturating_sub(1);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How each stretch of a row looks, for rows where something is not plain.
fn styles(buffer: &Buffer) -> String {
    let mut out = String::new();
    for (y, row) in buffer.content().chunks(usize::from(buffer.area.width)).enumerate() {
        let mut from = 0;
        for x in 1..=row.len() {
            let end = row.get(x).is_none_or(|cell| cell.style() != row[from].style());
            if end {
                let style = row[from].style();
                if style != ratatui::buffer::Cell::EMPTY.style() {
                    writeln!(out, "{y:>2}:{from}-{} {}", x - 1, short(&row[from])).expect("a string takes it");
                }
                from = x;
            }
        }
    }
    out
}

fn short(cell: &ratatui::buffer::Cell) -> String {
    format!("{:?} on {:?} {:?}", cell.fg, cell.bg, cell.modifier).replace("Reset", "-").replace("NONE", "")
}

/// The screens that a person sees, by the keys that lead there.
const WALKS: [(&str, &str, &[&str]); 27] = [
    ("start", crate::tui_support::sample::PROMPT, &[]),
    ("prompt", crate::tui_support::sample::PROMPT, &["e"]),
    ("latents", crate::tui_support::sample::PROMPT, &["left", "3", "down", "p", "down"]),
    ("card", crate::tui_support::sample::PROMPT, &["left", "4", "down"]),
    ("hard", crate::tui_support::sample::HARD_PROMPT, &["left"]),
    ("help", crate::tui_support::sample::PROMPT, &["?"]),
    ("palette", crate::tui_support::sample::PROMPT, &["ctrl-p", "p", "i", "n"]),
    ("search", crate::tui_support::sample::PROMPT, &["/", "e", "down"]),
    ("queue", crate::tui_support::sample::PROMPT, &["left", "5", "down", "space", "down", "n"]),
    ("filter", crate::tui_support::sample::PROMPT, &["5", "c", "c", "/", "e"]),
    (
        "workbench",
        crate::tui_support::sample::PROMPT,
        &["5", "c", "c", "space", "down", "x", "down", "x", "down", "space", "6", "down"],
    ),
    ("curve", crate::tui_support::sample::PROMPT, &["5", "space", "7", "pagedown", "pagedown"]),
    ("group", crate::tui_support::sample::PROMPT, &["5", "c", "c", "home", "space", "<", "<", "8", "up"]),
    ("export", crate::tui_support::sample::PROMPT, &["5", "space", "shift-e"]),
    ("made_of", crate::tui_support::sample::PROMPT, &["]", "]", "4"]),
    ("parts", crate::tui_support::sample::PROMPT, &["]", "]", "9", "down"]),
    ("meta_latent", crate::tui_support::sample::PROMPT, &["]", "]", "9", "down", "enter", "down"]),
    ("map", crate::tui_support::sample::PROMPT, &["]", "]", "a", "right", "right"]),
    (
        "surgery",
        crate::tui_support::sample::PROMPT,
        &["]", "]", "z", "n", "shift-u", "l", "m", "enter", "space", "down", "x", "3", "enter"],
    ),
    ("by_meta", crate::tui_support::sample::PROMPT, &["]", "]", "v", "3", "down"]),
    ("examples", crate::tui_support::sample::PROMPT, &["]", "left", "shift-e", "down", "down"]),
    ("examples_tenth", crate::tui_support::sample::PROMPT, &["]", "left", "shift-e", ".", ".", "down"]),
    ("sides", crate::tui_support::sample::PROMPT, &["]", "left", "4", "end", "|"]),
    ("sides_part", crate::tui_support::sample::PROMPT, &["]", "]", "9", "down", "|"]),
    ("no_meta", crate::tui_support::sample::PROMPT, &["9"]),
    ("train", crate::tui_support::sample::PROMPT, &["t"]),
    ("suites", crate::tui_support::sample::PROMPT, &["s", "down", "down", "down"]),
];

/// The same where the suite's SAEs read attention z.
const HEAD_WALKS: [(&str, &str, &[&str]); 3] = [
    ("heads_card", crate::tui_support::sample::PROMPT, &["left", "4"]),
    ("attribution", crate::tui_support::sample::PROMPT, &["left", "o"]),
    (
        "attribution_head",
        crate::tui_support::sample::PROMPT,
        &["left", "left", "3", "down", "enter", "o", "down", "down", "right"],
    ),
];

/// Every screen with the app that shows it.
fn walks() -> impl Iterator<Item = (&'static str, App)> {
    let on = |suite| move |(name, prompt, keys): (&'static str, &str, &[&str])| (name, walk_on(suite, prompt, keys));
    WALKS.into_iter().map(on("demo")).chain(HEAD_WALKS.into_iter().map(on(crate::tui_support::sample::HEADS)))
}

fn walk(prompt: &str, keys: &[&str]) -> App {
    walk_on("demo", prompt, keys)
}

fn walk_on(suite: &str, prompt: &str, keys: &[&str]) -> App {
    let mut app = crate::tui_support::sample::ready_on(suite, prompt);
    for key in keys {
        crate::tui_support::sample::press(&mut app, key);
        // A person sees a frame between two keys, and what came into view is asked for.
        draw(&mut app, theme(Depth::Ansi256), (80, 24));
    }
    app
}

#[test]
fn every_screen_at_every_size() {
    for (name, mut app) in walks() {
        for size in SIZES {
            let buffer = draw(&mut app, theme(Depth::Ansi256), size);
            insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text(&buffer));
        }
    }
}

#[test]
fn what_is_focused_chosen_and_hot_is_told_with_colours_and_without() {
    for (name, mut app) in walks() {
        for (depth, depth_name) in [(Depth::Ansi256, "colour"), (Depth::Mono, "mono")] {
            let buffer = draw(&mut app, theme(depth), (80, 24));
            insta::assert_snapshot!(format!("{name}_styles_{depth_name}"), styles(&buffer));
        }
    }
}

/// Signs that the program writes.
const SIGNS: &str = "θτΔΣ√½²³·…−–≥≤≈↑↓→✓✗◆▲⏎";

#[test]
fn in_ascii_every_cell_is_ascii() {
    for (name, mut app) in walks() {
        app.charset = Charset::Ascii;
        let theme = Theme { charset: Charset::Ascii, ..theme(Depth::Mono) };
        if name == "hard" {
            insta::assert_snapshot!("hard_ascii_80x24", text(&draw(&mut app, theme, (80, 24))));
        }
        // The page itself, its keys, the list of commands, its errors, how it is wired; and what moving θ says.
        for overlay in ["", "?", "ctrl-p", "!", "shift-w", "+", "<"] {
            if !overlay.is_empty() {
                crate::tui_support::sample::press(&mut app, overlay);
            }
            for size in SIZES {
                let shown = text(&draw(&mut app, theme, size));
                assert!(shown.is_ascii(), "{name} {overlay}:\n{shown}");
                // What the program itself says has words for its signs; only what is quoted is shown by number.
                let signs = SIGNS.chars().find(|sign| shown.contains(&format!("<U+{:04X}>", *sign as u32)));
                assert_eq!(signs, None, "{name} {overlay}:\n{shown}");
            }
            if !overlay.is_empty() {
                crate::tui_support::sample::press(&mut app, "esc");
            }
        }
    }
}

#[test]
fn nothing_on_screen_is_obeyed_by_the_terminal() {
    let mut app = walk(crate::tui_support::sample::HARD_PROMPT, &["e"]);
    for size in SIZES {
        let shown = text(&draw(&mut app, theme(Depth::True), size));
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert!(!shown.contains(['\u{202e}', '\u{200d}']), "{shown:?}");
    }
}

#[test]
fn what_is_stale_is_dim_and_says_so_only_once_it_lasts() {
    let mut app = walk(crate::tui_support::sample::PROMPT, &[]);
    let before = text(&draw(&mut app, theme(Depth::Mono), (80, 24)));
    let key: crokey::KeyCombination = "r".parse().expect("a key");
    update(&mut app, Msg::Key(key));
    assert_eq!(text(&draw_once(&mut app, (80, 24))), before, "a quick answer never flickers");
    update(&mut app, Msg::Tick);
    let buffer = draw_once(&mut app, (80, 24));
    assert!(text(&buffer).contains("running the prompt"));
    insta::assert_snapshot!("stale_80x24", text(&buffer));
    insta::assert_snapshot!("stale_styles_mono", styles(&buffer));
}

/// Draws without answering what is pending.
fn draw_once(app: &mut App, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| drop(view(app, &theme(Depth::Mono), frame))).expect("drawn");
    terminal.backend().buffer().clone()
}

#[test]
fn an_error_stands_in_the_pane_it_belongs_to_and_the_last_result_below_it() {
    use saescope::report::Report;
    use saescope::tui::ask::AnyAsk;
    use saescope::worker::Event;
    let mut app = walk(crate::tui_support::sample::PROMPT, &[]);
    app.run.again(&mut app.tickets);
    app.card.again(&mut app.tickets);
    for ticket in [app.run.ticket(), app.card.ticket()] {
        let report = Report::new("the prompt has 300 tokens and the model takes 256")
            .because("positions beyond 256 were never trained")
            .hint("shorten the prompt, or open a model with a longer context");
        let event = Event::Done(Err(report));
        update(&mut app, crate::tui_support::sample::told(ticket, event));
    }
    for size in SIZES {
        insta::assert_snapshot!(format!("errors_{}x{}", size.0, size.1), text(&draw_once(&mut app, size)));
    }
    crate::tui_support::sample::press(&mut app, "!");
    insta::assert_snapshot!("error_in_full_80x24", text(&draw_once(&mut app, (80, 24))));
}

#[test]
fn a_download_tells_file_total_speed_and_time_left() {
    use saescope::session::{LoadScope, PullQuery};
    use saescope::task::{Progress, Unit, Whole};
    use saescope::worker::{Event, JobEvent};
    let mut app = walk(crate::tui_support::sample::PROMPT, &["s", "down"]);
    let query = PullQuery { suite: "gpt2-small-feature-splitting".into(), reach: LoadScope::Whole };
    app.pull.ask(query, (), &mut app.tickets);
    let ticket = app.pull.ticket();
    for second in 0..3 {
        let done = 300_000_000 + second * 12_000_000;
        let whole = Whole { done, total: 2_400_000_000, part: 2, parts: 9 };
        let progress = Progress {
            what: "blocks.8.hook_resid_pre_768/sae_weights.safetensors".into(),
            done: second * 12_000_000,
            total: Some(48_000_000),
            unit: Unit::Bytes,
            whole: Some(whole),
            ..Progress::default()
        };
        let at = std::time::Duration::from_secs(second);
        let event = JobEvent { ticket, event: Event::Progress(progress) };
        update(&mut app, Msg::Job { event, at });
    }
    insta::assert_snapshot!("download_80x24", text(&draw_once(&mut app, (80, 24))));
    crate::tui_support::sample::press(&mut app, "esc");
    insta::assert_snapshot!("download_in_the_background_80x24", text(&draw_once(&mut app, (80, 24))));
}

#[test]
fn weights_only_says_so_and_lists_latents_by_number() {
    let mut app = crate::tui_support::sample::weights_only();
    for size in SIZES {
        insta::assert_snapshot!(
            format!("weights_only_{}x{}", size.0, size.1),
            text(&draw(&mut app, theme(Depth::Mono), size))
        );
    }
    crate::tui_support::sample::press(&mut app, "5");
    insta::assert_snapshot!("weights_only_stitching_120x40", text(&draw(&mut app, theme(Depth::Mono), (120, 40))));
}

#[test]
fn before_anything_is_loaded_the_frame_stands() {
    let mut app = crate::tui_support::sample::new(None, Charset::Unicode);
    saescope::tui::update::start(&mut app);
    insta::assert_snapshot!("loading_80x24", text(&draw_once(&mut app, (80, 24))));
}

#[test]
fn a_card_says_that_a_row_is_zero_and_what_is_to_be_known_of_its_sae() {
    let mut app = walk(crate::tui_support::sample::PROMPT, &["left", "4"]);
    let of = app.card.value().expect("a card").clone();
    let zero = LatentCard {
        zero: true,
        decoder_norm: 0.0,
        promoted: Vec::new(),
        suppressed: Vec::new(),
        notes: vec!["trained on tokens other than BOS, so what fires there says nothing".to_owned()],
        ..LatentCard::clone(&of)
    };
    app.card.put(zero);
    let screen = text(&draw(&mut app, theme(Depth::Mono), (120, 40)));
    for wanted in [
        "promotes   nothing: its decoder row is zero",
        "note       trained on tokens other than BOS",
        "1 note, norm 0 ",
    ] {
        assert!(screen.contains(wanted), "`{wanted}` is not on:\n{screen}");
    }
    assert!(!screen.contains("suppresses"), "{screen}");
    let (mut tickets, latents) = (Tickets::default(), vec![of.latent]);
    app.names.ask.ask(NamesQuery { sae: of.sae.clone(), latents }, (), &mut tickets);
    app.names.ask.put(LatentNames { sae: of.sae.clone(), names: vec![(of.latent, Vec::new())] });
    app.names.turn(Turn::Answered);
    let screen = text(&draw(&mut app, theme(Depth::Mono), (120, 40)));
    assert!(screen.contains("(zero)"), "{screen}");
}
