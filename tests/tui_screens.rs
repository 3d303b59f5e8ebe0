//! Every screen on record, at the sizes people have, with colours and without.
//! Not here: what keys do (`tui_update`).

#[path = "tui_support/sample.rs"]
mod sample;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use saescope::text::Charset;
use saescope::tui::app::App;
use saescope::tui::msg::Msg;
use saescope::tui::theme::{Depth, Ground, Theme};
use saescope::tui::update::update;
use saescope::tui::view::view;

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 60), (40, 10)];

fn theme(depth: Depth) -> Theme {
    Theme { depth, ground: Ground::Dark, charset: Charset::Unicode }
}

/// Draws twice: the first frame tells the state how many rows there are.
fn draw(app: &mut App, theme: &Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    update(app, Msg::Resize { width, height });
    for _ in 0..2 {
        let mut hits = None;
        terminal.draw(|frame| hits = Some(view(app, theme, frame))).expect("drawn");
        sample::send(app, Msg::Drawn(hits.expect("hits")));
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

#[test]
fn look() {
    let mut app = sample::ready(sample::PROMPT);
    for size in SIZES {
        println!("{}", text(&draw(&mut app, &theme(Depth::True), size)));
    }
    for keys in [
        vec!["3", "j", "j", "enter"],
        vec!["p", "4", "j"],
        vec!["?"],
        vec!["esc", "ctrl-p"],
        vec!["esc", "/", "e"],
        vec!["esc", "s", "down"],
        vec!["enter"],
    ] {
        for key in keys {
            sample::press(&mut app, key);
        }
        println!("{}", text(&draw(&mut app, &theme(Depth::Mono), (80, 24))));
    }
}
