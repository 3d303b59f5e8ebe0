//! The shell around the pure core: it owns the terminal, the clock and the channel, and does the effects.
//! Not here: deciding anything.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crossterm::Command;

use crate::report::{Kind, Report};
use crate::session::{LoadScope, Slot};
use crate::task::Ticket;
use crate::tui::app::{App, TuiOptions};
use crate::tui::frame_writer::FrameWriter;
use crate::tui::hits::HitMap;
use crate::tui::input;
use crate::tui::msg::{Effect, Format, Msg, Update};
use crate::tui::picture;
use crate::tui::queue::{Inlet, Queue, Wake};
use crate::tui::terminal::{self, Guard};
use crate::tui::theme::detect::{self, Env};
use crate::tui::theme::{Depth, Ground, Theme};
use crate::tui::update::{start, update};
use crate::worker::{Job, JobEvent, Worker};

/// What computes: it takes questions and reports what comes of them.
pub trait Engine {
    /// Asks a question; a newer asking on its slot replaces the older one.
    fn ask(&self, ticket: Ticket, job: Job);
    /// Stops what a slot is doing.
    fn cancel(&self, slot: Slot);
}

impl Engine for Worker {
    fn ask(&self, ticket: Ticket, job: Job) {
        Self::ask(self, ticket, job);
    }

    fn cancel(&self, slot: Slot) {
        Self::cancel(self, slot);
    }
}

/// Where an engine tells what came of its questions.
pub type EventSink = Arc<dyn Fn(JobEvent) + Send + Sync>;

/// How the explorer is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The suite to open: an id or a path.
    pub suite: String,
    /// The prompt to start with; none for the suite's own.
    pub prompt: Option<String>,
    /// Whether the mouse is left to the terminal.
    pub no_mouse: bool,
    /// How many colours; none to find out.
    pub depth: Option<Depth>,
    /// The terminal's ground; none to find out.
    pub ground: Option<Ground>,
    /// Whether only ASCII is drawn; none to find out.
    pub ascii: Option<bool>,
    /// The SAEs of the suite to load; those that it says where it is empty.
    pub saes: Vec<String>,
    /// How much of models is opened.
    pub reach: LoadScope,
}

impl Options {
    /// What the state starts with.
    pub(super) fn start(&self, env: Env<'_>) -> TuiOptions {
        let charset = match self.ascii {
            Some(true) => crate::text::Charset::Ascii,
            Some(false) => crate::text::Charset::Unicode,
            None => detect::charset(env),
        };
        let home = env("HOME").filter(|home| !home.is_empty()).map(std::path::PathBuf::from);
        TuiOptions {
            suite: self.suite.clone(),
            prompt: self.prompt.clone(),
            mouse: !self.no_mouse,
            charset,
            home,
            saes: self.saes.clone(),
            reach: self.reach,
        }
    }
}

/// Shortest time between frames: faster is seen by nobody, and slower is enough over a network.
const FRAME: Duration = Duration::from_millis(16);
const FRAME_REMOTE: Duration = Duration::from_millis(33);
/// So many frames are left out at most while something waits to be taken.
const FRAMES_LEFT_OUT: u32 = 4;
/// How long an Esc waits for what may follow it: bytes that were sent as one arrive as one, but for a network between.
const ESCAPE: Duration = Duration::from_millis(40);
const ESCAPE_REMOTE: Duration = Duration::from_millis(250);
/// What takes less than this never shows as pending.
const GRACE: Duration = Duration::from_millis(150);
/// The spinner's step.
const TICK: Duration = Duration::from_millis(200);
/// Asks the terminal for the colour of its ground. BEL at the end, since urxvt ends its answer as the question ends, and
/// the other end wrongly.
const ASK_GROUND: &[u8] = b"\x1b]11;?\x07";

/// Runs the explorer until the person leaves; gives the exit code.
///
/// # Errors
/// When there is no terminal, when it is lost, or when the engine cannot start.
pub fn run<E: Engine>(options: &Options, engine: impl FnOnce(EventSink) -> Result<E, Report>) -> Result<u8, Report> {
    let env = |name: &str| std::env::var(name).ok();
    terminal::check(&env)?;
    let theme = theme_of(options, &env);
    let size = terminal::size().map_err(|e| lost(&e))?;
    let app = App::new(&options.start(&env), size);
    let guard = Guard::take(app.mouse).map_err(|e| lost(&e))?;
    let frame_writer = FrameWriter::new(size).map_err(|e| lost(&e))?;
    let (to, from) = mpsc::channel();
    let (frame, escape) = if detect::is_remote(&env) { (FRAME_REMOTE, ESCAPE_REMOTE) } else { (FRAME, ESCAPE) };
    let queue = Queue::default();
    let inlet = Inlet::new(to.clone(), queue.weight());
    let mut shell = Shell {
        app,
        theme,
        guard,
        frame_writer,
        queue,
        frame,
        started: Instant::now(),
        drawn: None,
        tick: None,
        away: false,
        asked_ground: false,
    };
    // The first frame stands before anything is loaded.
    shell.app.hits = shell.draw().map_err(|e| gone(&e))?;
    input::signals(to.clone()).map_err(|e| lost(&e))?;
    let events = to.clone();
    let engine = engine(Arc::new(move |event| {
        // After the last frame nobody listens.
        let _ = events.send(Wake::Job(event));
    }))?;
    let mut dirty = false;
    let first = start(&mut shell.app);
    shell.do_all(first.effects, &engine, &mut dirty)?;
    input::read(to, inlet, escape).map_err(|e| lost(&e))?;
    // Its answer may take its time: the ground is dark until it comes.
    shell.asked_ground = options.ground.is_none() && theme.depth >= Depth::Ansi256 && detect::tells_ground(&env);
    if shell.asked_ground {
        terminal::write(ASK_GROUND).map_err(|e| gone(&e))?;
    }
    let code = shell.live(&engine, &from);
    // The terminal first: the engine waits for what it computes.
    drop(shell);
    code
}

/// The theme that options and environment call for.
pub(super) fn theme_of(options: &Options, env: Env<'_>) -> Theme {
    let depth = options.depth.unwrap_or_else(|| detect::depth(env));
    Theme { depth, ground: options.ground.unwrap_or_default(), charset: options.start(env).charset }
}

fn lost(error: &io::Error) -> Report {
    Report::caused("cannot use the terminal", error)
}

/// A terminal that worked and does not any more is one that hung up, whether or not a signal says so.
fn gone(error: &io::Error) -> Report {
    Report::caused("the terminal is gone", error).kind(Kind::HungUp)
}

/// The explorer with its terminal.
struct Shell {
    app: App,
    theme: Theme,
    guard: Guard,
    frame_writer: FrameWriter,
    queue: Queue,
    frame: Duration,
    started: Instant,
    drawn: Option<Instant>,
    tick: Option<Instant>,
    /// Whether the terminal is someone else's until we are continued.
    away: bool,
    /// Whether the terminal was asked for its ground.
    asked_ground: bool,
}

/// Whether to continue.
enum Then {
    Go,
    End(u8),
}

impl Shell {
    fn live<E: Engine>(&mut self, engine: &E, from: &Receiver<Wake>) -> Result<u8, Report> {
        let mut dirty = true;
        loop {
            if dirty && self.may_draw() {
                dirty = false;
                let hits = self.draw().map_err(|e| gone(&e))?;
                // What came into view may need names.
                let drawn = update(&mut self.app, Msg::Drawn(hits));
                self.do_all(drawn.effects, engine, &mut dirty)?;
            }
            self.wait(from, dirty);
            if let Some(wake) = self.queue.next(self.app.place().takes_text())
                && let Then::End(code) = self.take(wake, engine, &mut dirty)?
            {
                return Ok(code);
            }
            dirty |= self.tick();
        }
    }

    /// Waits for what comes next, where nothing waits to be taken: for ever when nothing is pending, else until the next
    /// frame or tick. What has come meanwhile is put in order, so that nothing delays a signal, and no news a key.
    fn wait(&mut self, from: &Receiver<Wake>, dirty: bool) {
        if self.queue.is_empty()
            && let Some(wake) = self.wait_for_one(from, dirty)
        {
            self.queue.push(wake);
        }
        for wake in from.try_iter() {
            self.queue.push(wake);
        }
    }

    fn wait_for_one(&mut self, from: &Receiver<Wake>, dirty: bool) -> Option<Wake> {
        let now = Instant::now();
        let next_frame = (dirty && !self.away).then(|| self.drawn.map_or(now, |at| at + self.frame));
        let next_tick = self.next_tick(now);
        let until = next_frame.into_iter().chain(next_tick).min();
        let wake = match until {
            Some(until) => from.recv_timeout(until.saturating_duration_since(now)),
            None => from.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match wake {
            Ok(wake) => Some(wake),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Wake::Lost("every thread has ended".into())),
        }
    }

    fn next_tick(&mut self, now: Instant) -> Option<Instant> {
        if !self.app.is_pending() {
            self.tick = None;
            return None;
        }
        Some(*self.tick.get_or_insert(now + GRACE))
    }

    /// Sends a tick when its time has come.
    fn tick(&mut self) -> bool {
        let now = Instant::now();
        if self.tick.is_none_or(|at| at > now) {
            return false;
        }
        self.tick = Some(now + TICK);
        update(&mut self.app, Msg::Tick).dirty
    }

    fn take<E: Engine>(&mut self, wake: Wake, engine: &E, dirty: &mut bool) -> Result<Then, Report> {
        let msg = match wake {
            Wake::Input(msg) => msg,
            Wake::Job(event) => Msg::Job { event, at: self.started.elapsed() },
            Wake::Resized((width, height)) => Msg::Resize { width, height },
            // 128 + number, as a shell would say it.
            Wake::Signal(signal) => return Ok(Then::End(u8::try_from(128 + signal).unwrap_or(1))),
            Wake::Ground(ground) => {
                *dirty |= self.asked_ground && self.theme.ground != ground;
                if self.asked_ground {
                    self.theme.ground = ground;
                }
                return Ok(Then::Go);
            }
            Wake::Stop => return self.do_all(vec![Effect::Suspend], engine, dirty),
            Wake::Continued => {
                self.guard.again().map_err(|e| gone(&e))?;
                self.away = false;
                Msg::Resumed
            }
            Wake::Lost(why) => return Err(Report::new("the terminal is gone").because(why).kind(Kind::HungUp)),
        };
        let resized = matches!(msg, Msg::Resize { .. });
        let Update { dirty: changed, effects } = update(&mut self.app, msg);
        *dirty |= changed;
        if resized {
            self.renew()?;
            *dirty = true;
        }
        self.do_all(effects, engine, dirty)
    }

    fn do_all<E: Engine>(&mut self, effects: Vec<Effect>, engine: &E, dirty: &mut bool) -> Result<Then, Report> {
        for effect in effects {
            match effect {
                Effect::Ask { ticket, job } => engine.ask(ticket, job),
                Effect::Cancel(slot) => engine.cancel(slot),
                Effect::Copy(text) => copy(&text).map_err(|e| gone(&e))?,
                Effect::Save(format) => {
                    let saved = save(&self.frame_writer.cells(), format, self.theme);
                    *dirty |= update(&mut self.app, Msg::Saved(saved)).dirty;
                }
                Effect::Mouse(on) => self.guard.mouse(on).map_err(|e| gone(&e))?,
                Effect::Suspend => {
                    self.away = cfg!(unix);
                    self.guard.suspend();
                }
                Effect::Repaint => {
                    self.size_again();
                    self.renew()?;
                    *dirty = true;
                }
                Effect::Quit => return Ok(Then::End(0)),
            }
        }
        Ok(Then::Go)
    }

    /// The size may have changed while nobody listened.
    fn size_again(&mut self) {
        if let Ok((width, height)) = terminal::size() {
            update(&mut self.app, Msg::Resize { width, height });
        }
    }

    fn renew(&mut self) -> Result<(), Report> {
        self.frame_writer = FrameWriter::new(self.app.size).map_err(|e| lost(&e))?;
        Ok(())
    }

    fn may_draw(&self) -> bool {
        // While something waits, drawing it takes the time for taking it.
        let pause = if self.queue.is_empty() { self.frame } else { self.frame * FRAMES_LEFT_OUT };
        !self.away && self.drawn.is_none_or(|at| at.elapsed() >= pause)
    }

    fn draw(&mut self) -> io::Result<HitMap> {
        let (bytes, hits) = self.frame_writer.draw(&self.app, &self.theme)?;
        self.drawn = Some(Instant::now());
        terminal::write(&bytes)?;
        Ok(hits)
    }
}

/// Puts text on the clipboard of the terminal, wherever it is (OSC 52).
fn copy(text: &str) -> io::Result<()> {
    let mut sequence = String::new();
    let command = crossterm::clipboard::CopyToClipboard::to_clipboard_from(text);
    if command.write_ansi(&mut sequence).is_err() {
        return Ok(());
    }
    terminal::write(sequence.as_bytes())
}

/// Saves the screen under the first free name in the working directory; nothing is overwritten.
fn save(cells: &ratatui::buffer::Buffer, format: Format, theme: Theme) -> Result<String, Report> {
    let content = picture::render(cells, format, theme.ground);
    for number in 1..10_000 {
        let name = format!("saescope-{number}.{}", format.extension());
        match std::fs::File::create_new(&name) {
            Ok(mut file) => {
                return match file.write_all(content.as_bytes()) {
                    Ok(()) => Ok(name),
                    Err(error) => Err(Report::caused(format!("cannot save `{name}`: {error}"), &error)),
                };
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Report::caused(format!("cannot save `{name}`: {error}"), &error)),
        }
    }
    Err(Report::new("10,000 screens are saved here already"))
}
