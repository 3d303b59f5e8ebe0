//! How many bytes a frame writes: a slow line is where this program is used.
//! Not here: what is on it.

use crate::tui_support::sample::{press, ready, send};
use saescope::tui::app::App;
use saescope::tui::frame_writer::FrameWriter;
use saescope::tui::msg::Msg;
use saescope::tui::theme::{Depth, Theme};

fn frame(app: &mut App, frame_writer: &mut FrameWriter, depth: Depth) -> Vec<u8> {
    let theme = Theme { depth, ..Theme::default() };
    let (bytes, hits) = frame_writer.draw(app, &theme).expect("drawn");
    send(app, Msg::Drawn(hits));
    bytes
}

/// Draws until nothing changes any more.
fn calm(app: &mut App, depth: Depth) -> FrameWriter {
    let mut frame_writer = FrameWriter::new(app.size).expect("a painter");
    while !frame(app, &mut frame_writer, depth).is_empty() {}
    frame_writer
}

#[test]
fn an_unchanged_screen_writes_nothing() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    let mut frame_writer = calm(&mut app, Depth::Ansi256);
    for _ in 0..10 {
        assert_eq!(frame(&mut app, &mut frame_writer, Depth::Ansi256), b"");
    }
}

#[test]
fn a_full_screen_stays_small() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    let mut frame_writer = FrameWriter::new((80, 24)).expect("a painter");
    let bytes = frame(&mut app, &mut frame_writer, Depth::True);
    assert!(bytes.len() <= 6144, "{}", bytes.len());
    println!("full 80x24: {} bytes", bytes.len());
}

#[test]
fn a_move_of_the_selection_writes_less_than_400_bytes() {
    use saescope::tui::update::update;
    for depth in [Depth::Mono, Depth::Ansi16, Depth::Ansi256, Depth::True] {
        let mut app = ready(crate::tui_support::sample::PROMPT);
        press(&mut app, "3");
        let mut frame_writer = calm(&mut app, depth);
        for _ in 0..6 {
            // The frame of the key itself: the card's answer comes later, in a frame of its own.
            let key: crokey::KeyCombination = "down".parse().expect("a key");
            let asked = update(&mut app, Msg::Key(key));
            let bytes = frame(&mut app, &mut frame_writer, depth);
            println!("{depth:?} move: {} bytes", bytes.len());
            assert!(bytes.len() < 400, "{depth:?}: {} bytes", bytes.len());
            crate::tui_support::sample::settle(&mut app, asked);
            while !frame(&mut app, &mut frame_writer, depth).is_empty() {}
        }
    }
}

#[test]
fn a_move_in_the_work_queue_writes_few_bytes_too() {
    use saescope::tui::update::update;
    for depth in [Depth::Mono, Depth::True] {
        let mut app = ready(crate::tui_support::sample::PROMPT);
        press(&mut app, "5");
        let mut frame_writer = calm(&mut app, depth);
        for _ in 0..5 {
            let key: crokey::KeyCombination = "down".parse().expect("a key");
            let asked = update(&mut app, Msg::Key(key));
            let bytes = frame(&mut app, &mut frame_writer, depth);
            println!("{depth:?} move in the queue: {} bytes", bytes.len());
            assert!(bytes.len() < 512, "{depth:?}: {} bytes", bytes.len());
            crate::tui_support::sample::settle(&mut app, asked);
            while !frame(&mut app, &mut frame_writer, depth).is_empty() {}
        }
        for _ in 0..10 {
            assert_eq!(frame(&mut app, &mut frame_writer, depth), b"", "idle");
        }
    }
}

#[test]
fn a_typed_character_writes_few_bytes_before_its_answer_comes() {
    use saescope::tui::update::update;
    let mut app = ready(crate::tui_support::sample::PROMPT);
    press(&mut app, "e");
    let mut frame_writer = calm(&mut app, Depth::True);
    let key: crokey::KeyCombination = "x".parse().expect("a key");
    update(&mut app, Msg::Key(key));
    let bytes = frame(&mut app, &mut frame_writer, Depth::True);
    println!("typed: {} bytes", bytes.len());
    assert!(bytes.len() <= 96, "{}", bytes.len());
}

#[test]
fn without_colours_bold_and_reverse_arrive_and_no_colour_does() {
    let mut app = ready(crate::tui_support::sample::PROMPT);
    let mut frame_writer = FrameWriter::new((80, 24)).expect("a painter");
    let bytes = frame(&mut app, &mut frame_writer, Depth::Mono);
    let mut terminal = vt100::Parser::default();
    terminal.process(&bytes);
    let screen = terminal.screen();
    let mut reversed = 0;
    for row in 0..24 {
        for column in 0..80 {
            let cell = screen.cell(row, column).expect("a cell");
            assert_eq!((cell.fgcolor(), cell.bgcolor()), (vt100::Color::Default, vt100::Color::Default));
            reversed += usize::from(cell.inverse());
        }
    }
    assert!(reversed > 10, "the focused title, the chosen SAE and latent are reversed");
}
