//! Frames as bytes: the difference to the last one, in one piece, between synchronisation marks.
//! Not here: writing them to the terminal.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::tui::app::App;
use crate::tui::hits::HitMap;
use crate::tui::theme::Theme;
use crate::tui::view::view;

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

/// Collects what the backend writes; flushing waits for the whole frame.
#[derive(Clone, Debug, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Draws frames.
pub struct FrameWriter {
    terminal: Terminal<CrosstermBackend<Sink>>,
    sink: Sink,
    last: Buffer,
    caret: Option<Position>,
}

impl FrameWriter {
    /// A painter for a terminal of this size, whose screen may hold anything.
    ///
    /// # Errors
    /// None that a sink in memory could give.
    pub fn new((width, height): (u16, u16)) -> io::Result<Self> {
        // An empty colour change, which crossterm writes under NO_COLOR, is read as "reset all" by every terminal and
        // would wipe bold and reverse; the theme does NO_COLOR, by not asking for colours.
        crossterm::style::force_color_output(true);
        let sink = Sink::default();
        let area = Rect::new(0, 0, width, height);
        let options = TerminalOptions { viewport: Viewport::Fixed(area) };
        let terminal = Terminal::with_options(CrosstermBackend::new(sink.clone()), options)?;
        // Clearing by hand: the library's own way asks the terminal where its cursor is, and the input thread would
        // take the answer.
        sink.0.borrow_mut().extend_from_slice(b"\x1b[0m\x1b[2J\x1b[H");
        Ok(Self { terminal, sink, last: Buffer::empty(area), caret: None })
    }

    /// Draws a frame: the bytes to write, none when nothing changed, and where things are.
    ///
    /// # Errors
    /// None that a sink in memory could give.
    pub fn draw(&mut self, app: &App, theme: &Theme) -> io::Result<(Vec<u8>, HitMap)> {
        let first = !self.sink.0.borrow().is_empty();
        let mut hits = HitMap::default();
        let frame = self.terminal.draw(|frame| hits = view(app, theme, frame))?;
        let changed = first || *frame.buffer != self.last || hits.caret != self.caret;
        if changed {
            self.last = frame.buffer.clone();
            self.caret = hits.caret;
        }
        let body = std::mem::take(&mut *self.sink.0.borrow_mut());
        let bytes = if changed { [BEGIN, &body, END].concat() } else { Vec::new() };
        Ok((bytes, hits))
    }

    /// The cells of the last frame, the one under the caret reversed: a picture has no caret of its own.
    #[must_use]
    pub fn cells(&self) -> Buffer {
        let mut cells = self.last.clone();
        if let Some(cell) = self.caret.and_then(|caret| cells.cell_mut(caret)) {
            cell.modifier.insert(Modifier::REVERSED);
        }
        cells
    }
}
