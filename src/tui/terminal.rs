//! The terminal's modes: taken at the start, given back on every way out.
//! Not here: what is written between (`painter`).

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::report::{Kind, Report};
use crate::tui::theme::detect::Env;

/// Alternate screen, hidden cursor, pasted text in brackets.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?2004h";
/// The end of a frame in case one was cut, mouse off, brackets off, plain text, cursor, main screen.
const LEAVE: &str = "\x1b[?2026l\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l";
/// Clicks and the wheel, with large coordinates; no motion, which would flood a slow line.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Whether the modes are ours now. The panic hook and every way out look here, so that they are given back once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Says why there can be no explorer here, if there cannot.
///
/// # Errors
/// When input or output is no terminal, or a terminal that cannot move its cursor.
pub fn check(env: Env<'_>) -> Result<(), Report> {
    let what = "the explorer needs a terminal";
    let refuse = |why: &str| {
        let hint = "for scripts and pipes there is `saescope run --prompt TEXT`, with `--json` for programs";
        Err(Report::new(what).because(why).hint(hint).kind(Kind::Usage))
    };
    if !io::stdin().is_terminal() && !has_own_terminal() {
        return refuse("standard input is not a terminal, and there is no other");
    }
    if !io::stdout().is_terminal() {
        return refuse("standard output is not a terminal");
    }
    if env("TERM").is_some_and(|term| term == "dumb") {
        return refuse("TERM is `dumb`: this terminal cannot move its cursor");
    }
    Ok(())
}

/// Whether keys can be read from the terminal itself where standard input is something else, such as a pipe.
fn has_own_terminal() -> bool {
    cfg!(unix) && std::fs::File::open("/dev/tty").is_ok_and(|tty| tty.is_terminal())
}

/// The modes, held; dropping gives them back.
#[derive(Debug)]
pub struct Guard {
    mouse: bool,
}

impl Guard {
    /// Takes the modes, and makes a panic of this thread give them back before it is told.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub fn take(mouse: bool) -> io::Result<Self> {
        hook();
        let guard = Self { mouse };
        guard.enter()?;
        Ok(guard)
    }

    fn enter(&self) -> io::Result<()> {
        crossterm::terminal::enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        write_now(ENTER)?;
        if self.mouse { write_now(MOUSE_ON) } else { Ok(()) }
    }

    /// Takes the mouse or lets it go.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        write_now(if on { MOUSE_ON } else { MOUSE_OFF })
    }

    /// Gives the modes back and stops the process group. The system may let this thread run on for a moment before it
    /// stops, so nothing may be written until [`Self::again`], which belongs after the signal to continue.
    pub fn suspend(&self) {
        give_back();
        stop_group();
    }

    /// Takes the modes again after we, or someone else, stopped and continued the program.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub fn again(&self) -> io::Result<()> {
        // Who stopped us from outside has changed the line's settings, while taking them is skipped as long as they
        // count as taken.
        give_back();
        self.enter()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the modes back, once.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // On the way out there is nobody left to tell.
        let _ = write_now(LEAVE);
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

fn write_now(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A panic of the UI thread restores the screen before it is told; one of a worker becomes a report and must not touch
/// the screen, where the UI still draws.
fn hook() {
    let ui = thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() != ui && TAKEN.load(Ordering::SeqCst) {
            tracing::error!("{info}");
            return;
        }
        let was_taken = TAKEN.load(Ordering::SeqCst);
        give_back();
        before(info);
        if was_taken {
            let text = "\nThis is a mistake of saescope, and the screen was restored. Please report the lines above with \
                        what you did; `saescope doctor` prints where the log is.\n";
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }));
}

/// Stops the whole process group, as the shell expects of a job. SIGSTOP, because SIGTSTP is ignored in a group that has
/// no parent to continue it.
#[cfg(unix)]
#[expect(unsafe_code, reason = "stopping the group has no safe call")]
fn stop_group() {
    // SAFETY: `kill` takes two integers and touches no memory of ours; group 0 is our own.
    unsafe {
        libc::kill(0, libc::SIGSTOP);
    }
}

#[cfg(not(unix))]
fn stop_group() {}
