//! The terminal's modes: taken at the start, given back on every way out.
//! Not here: what is written between (`frame_writer`).

use std::fs::File;
use std::io::{self, IsTerminal, Write};
#[cfg(unix)]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::fatal;
use crate::guard;
use crate::report::{Kind, Report};
use crate::tui::theme::detect::Env;

/// Alternate screen, hidden cursor, pasted text in brackets.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?2004h";
/// The end of a frame in case one was cut, mouse off, brackets off, plain text, cursor, main screen.
const LEAVE: &str = "\x1b[?2026l\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l";
/// Clicks and the wheel, with large coordinates; no motion, which would flood a slow line.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";
/// How long to wait where the terminal takes no more just now.
const FULL: std::time::Duration = std::time::Duration::from_millis(5);

/// Whether the modes are ours now. The panic hook and every way out look here, so that they are given back once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Where keys come from, and the settings of its line before they were changed.
#[cfg(unix)]
static LINE: OnceLock<(File, rustix::termios::Termios)> = OnceLock::new();

/// Largest screen that is drawn: more columns than any display has, and a bound for what a screen takes in memory. On a
/// larger terminal the rest stays empty.
const MOST_COLUMNS: u16 = 2048;
const MOST_CELLS: u32 = 1 << 20;

/// The size of the terminal, columns and rows, as far as it is drawn on.
///
/// # Errors
/// When there is no terminal to ask.
pub fn size() -> io::Result<(u16, u16)> {
    let (width, height) = crossterm::terminal::size()?;
    let known = |size: u16, name: &str, usual: u16| match size {
        // Serial lines and bare pseudo-terminals do not know it; what the shell was told, or what a VT100 had.
        0 => std::env::var(name).ok().and_then(|text| text.parse().ok()).filter(|size| *size > 0).unwrap_or(usual),
        _ => size,
    };
    Ok(bounded((known(width, "COLUMNS", 80), known(height, "LINES", 24))))
}

/// A size, no larger than what is drawn.
pub(super) fn bounded((width, height): (u16, u16)) -> (u16, u16) {
    let width = width.min(MOST_COLUMNS);
    let rows = MOST_CELLS / u32::from(width.max(1));
    (width, height.min(u16::try_from(rows).unwrap_or(u16::MAX)))
}

/// Where keys come from: standard input where it is a terminal, else the terminal itself.
///
/// # Errors
/// When there is no terminal.
#[cfg(unix)]
pub(super) fn keyboard() -> io::Result<File> {
    use std::os::fd::AsFd;

    let stdin = io::stdin();
    if stdin.is_terminal() { stdin.as_fd().try_clone_to_owned().map(File::from) } else { File::open("/dev/tty") }
}

/// Says why there can be no explorer here, if there cannot.
///
/// # Errors
/// When input or output is not a terminal, or a terminal that cannot move its cursor.
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
    cfg!(unix) && File::open("/dev/tty").is_ok_and(|tty| tty.is_terminal())
}

/// The modes, held; dropping gives them back.
#[derive(Debug)]
pub struct Guard {
    mouse: bool,
}

impl Guard {
    /// Takes the modes, and makes a panic of this thread give them back before it is reported.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub fn take(mouse: bool) -> io::Result<Self> {
        hook();
        #[cfg(unix)]
        if let (None, Ok(keyboard)) = (LINE.get(), keyboard()) {
            let settings = rustix::termios::tcgetattr(&keyboard)?;
            LINE.get_or_init(|| (keyboard, settings));
        }
        fatal::before(restore);
        fatal::watch();
        let guard = Self { mouse };
        guard.enter()?;
        Ok(guard)
    }

    fn enter(&self) -> io::Result<()> {
        crossterm::terminal::enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        write(ENTER.as_bytes())?;
        if self.mouse { write(MOUSE_ON.as_bytes()) } else { Ok(()) }
    }

    /// Takes the mouse or lets it go.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        write(if on { MOUSE_ON } else { MOUSE_OFF }.as_bytes())
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
        let _ = write(LEAVE.as_bytes());
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// Gives the modes back where no lock may be taken and nothing allocated, as in a handler of signals. The line gets the
/// settings that it had at the start.
pub(super) fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    #[cfg(unix)]
    {
        if let Some((keyboard, settings)) = LINE.get() {
            let _ = rustix::termios::tcsetattr(keyboard, rustix::termios::OptionalActions::Now, settings);
        }
        let _ = rustix::io::write(rustix::stdio::stdout(), LEAVE.as_bytes());
    }
}

/// Writes to the terminal, all of it, whether or not another program that shares it has turned waiting off.
///
/// # Errors
/// When the terminal is gone.
pub(super) fn write(mut bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL),
            Err(error) => return Err(error),
        }
    }
    loop {
        match out.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL),
            flushed => return flushed,
        }
    }
}

/// A panic of the UI thread restores the screen before it is reported; one of a worker becomes a report and must not touch
/// the screen, where the UI still draws.
fn hook() {
    let ui = thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // An error of the code around it, which is reported there.
        if guard::is_inside() {
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_size_is_larger_than_what_memory_can_hold() {
        assert_eq!(bounded((80, 24)), (80, 24));
        assert_eq!(bounded((1536, 540)), (1536, 540), "the smallest letters on the largest display");
        assert_eq!(bounded((u16::MAX, u16::MAX)), (2048, 512));
        assert_eq!(bounded((u16::MAX, 24)), (2048, 24));
        assert_eq!(bounded((1, u16::MAX)), (1, u16::MAX));
        assert_eq!(bounded((0, 0)), (0, 0));
    }
}
