//! The real program on a terminal in memory: the same state, keys and screens, with an engine that really computes.
//! Not here: the terminal of a person (`shell`).

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;

use crate::report::Report;
use crate::tui::app::App;
use crate::tui::frame_writer::FrameWriter;
use crate::tui::msg::{Effect, Format, Msg};
use crate::tui::picture;
use crate::tui::script::{self, ScriptStep};
use crate::tui::shell::{Engine, EventSink, Options, theme_of};
use crate::tui::theme::{Depth, Theme};
use crate::tui::update::{start, update};
use crate::worker::JobEvent;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// Runs the explorer with these keys on a screen of this size and gives the last screen.
///
/// Colours default to 24 bits and the ground to dark, wherever it runs, so that a picture is the same on every machine.
///
/// # Errors
/// When the keys cannot be read, the engine cannot start, or an answer does not come.
pub fn shot<E: Engine>(
    options: &Options,
    keys: &str,
    size: (u16, u16),
    format: Format,
    engine: impl FnOnce(EventSink) -> Result<E, Report>,
) -> Result<String, Report> {
    let steps = script::parse(keys)?;
    let options = Options {
        depth: Some(options.depth.unwrap_or(Depth::True)),
        ground: Some(options.ground.unwrap_or_default()),
        ascii: Some(options.ascii.unwrap_or(false)),
        ..options.clone()
    };
    let env = |_: &str| None;
    let theme = theme_of(&options, &env);
    let (to, from) = mpsc::channel();
    let engine = engine(Arc::new(move |event| {
        let _ = to.send(event);
    }))?;
    let frame_writer = FrameWriter::new(size).map_err(|e| Report::caused("cannot draw", &e))?;
    let mut app = App::new(&options.start(&env), size);
    app.index.leave_unread();
    let mut stage = Stage { app, theme, frame_writer, engine, from, started: Instant::now() };
    let cells = stage.play(&steps)?;
    Ok(picture::render(&cells, format, theme.ground))
}

struct Stage<E> {
    app: App,
    theme: Theme,
    frame_writer: FrameWriter,
    engine: E,
    from: Receiver<JobEvent>,
    started: Instant,
}

impl<E: Engine> Stage<E> {
    fn play(&mut self, steps: &[ScriptStep]) -> Result<Buffer, Report> {
        let first = start(&mut self.app);
        let mut ended = self.perform(first.effects);
        self.rest(false)?;
        for step in steps {
            if ended {
                break;
            }
            match step {
                ScriptStep::Press(key) => ended = self.send(Msg::Key(*key)),
                ScriptStep::Wait => {}
            }
            self.rest(*step == ScriptStep::Wait)?;
        }
        Ok(self.frame_writer.cells())
    }

    fn send(&mut self, msg: Msg) -> bool {
        let effects = update(&mut self.app, msg).effects;
        self.perform(effects)
    }

    /// Does effects as far as they mean something without a terminal; gives whether the program ends.
    fn perform(&mut self, effects: Vec<Effect>) -> bool {
        let mut ended = false;
        for effect in effects {
            match effect {
                Effect::Ask { ticket, job } => self.engine.ask(ticket, job),
                Effect::Cancel(slot) => self.engine.cancel(slot),
                Effect::Quit => ended = true,
                Effect::Copy(_) | Effect::Save(_) | Effect::Mouse(_) | Effect::Suspend | Effect::Repaint => {}
            }
        }
        ended
    }

    /// Waits for all answers, and draws; what is drawn may lead to more questions.
    fn rest(&mut self, downloads_too: bool) -> Result<(), Report> {
        loop {
            self.draw()?;
            let pending = if downloads_too { self.app.is_pending() } else { self.app.is_computing() };
            // The line about it would be there or not by chance.
            let pending = pending || self.app.checkup.is_pending();
            if !pending {
                return Ok(());
            }
            let event = self.from.recv_timeout(PATIENCE).map_err(|_| {
                Report::new("the screen cannot be drawn").because(format!("no answer within {} s", PATIENCE.as_secs()))
            })?;
            self.send(Msg::Job { event, at: self.started.elapsed() });
        }
    }

    fn draw(&mut self) -> Result<(), Report> {
        let (_, hits) =
            self.frame_writer.draw(&self.app, &self.theme).map_err(|e| Report::caused("cannot draw", &e))?;
        self.send(Msg::Drawn(hits));
        Ok(())
    }
}
