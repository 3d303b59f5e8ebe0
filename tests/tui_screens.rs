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
    use saescope::tui::msg::Format;
    use saescope::tui::picture::render;
    let dir = std::env::var("LOOK_DIR").unwrap_or_default();
    if dir.is_empty() {
        return;
    }
    let save = |app: &mut App, name: &str, size, depth| {
        let cells = draw(app, &theme(depth), size);
        std::fs::write(format!("{dir}/{name}.svg"), render(&cells, Format::Svg, Ground::Dark)).expect("saved");
        println!("{name}\n{}", text(&cells));
    };
    let mut app = sample::ready(sample::PROMPT);
    save(&mut app, "a80", (80, 24), Depth::True);
    for key in ["left", "3", "j", "p", "j"] {
        sample::press(&mut app, key);
    }
    save(&mut app, "b120", (120, 40), Depth::True);
    save(&mut app, "c200", (200, 60), Depth::True);
    sample::press(&mut app, "enter");
    save(&mut app, "d80", (80, 24), Depth::Mono);
    sample::press(&mut app, "?");
    save(&mut app, "e120", (120, 40), Depth::True);
    sample::press(&mut app, "esc");
    sample::press(&mut app, "s");
    save(&mut app, "f80", (80, 24), Depth::True);
    let mut app = sample::ready(sample::HARD_PROMPT);
    save(&mut app, "g80", (80, 24), Depth::True);
}
