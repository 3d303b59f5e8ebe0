//! The threads that wait for keys and signals, and what events become.
//! Not here: what they mean.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use crokey::KeyCombination;
use crossterm::event::{self, Event as Raw, KeyEventKind, MouseButton, MouseEventKind};

use crate::tui::msg::{Mouse, MouseDid, Msg};
use crate::worker::JobEvent;

/// Something that wakes the shell.
#[derive(Debug)]
pub(super) enum Wake {
    /// Something was typed, pasted, clicked, or the size changed.
    Input(Msg),
    /// Something came of a question.
    Job(JobEvent),
    /// A signal that ends the program.
    Signal(i32),
    /// The program goes on after it was stopped.
    Continued,
    /// The terminal cannot be read any more.
    Lost(String),
}

/// Reads the terminal until it ends.
pub(super) fn read(to: Sender<Wake>) -> io::Result<()> {
    thread::Builder::new().name("input".into()).spawn(move || {
        loop {
            let wake = match event::read() {
                Ok(raw) => match message(raw) {
                    Some(msg) => Wake::Input(msg),
                    None => continue,
                },
                Err(error) => Wake::Lost(error.to_string()),
            };
            let lost = matches!(wake, Wake::Lost(_));
            if to.send(wake).is_err() || lost {
                return;
            }
        }
    })?;
    Ok(())
}

/// Waits for signals.
#[cfg(unix)]
pub(super) fn signals(to: Sender<Wake>) -> io::Result<()> {
    use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP, SIGINT, SIGCONT])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let wake = if signal == SIGCONT { Wake::Continued } else { Wake::Signal(signal) };
            if to.send(wake).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn signals(_: Sender<Wake>) -> io::Result<()> {
    Ok(())
}

/// What an event of the terminal is to us.
fn message(raw: Raw) -> Option<Msg> {
    match raw {
        Raw::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(KeyCombination::from(key))),
        Raw::Paste(text) => Some(Msg::Paste(text)),
        Raw::Resize(width, height) => Some(Msg::Resize { width, height }),
        Raw::Mouse(mouse) => {
            let did = match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => MouseDid::Click,
                MouseEventKind::ScrollUp => MouseDid::WheelUp,
                MouseEventKind::ScrollDown => MouseDid::WheelDown,
                _ => return None,
            };
            Some(Msg::Mouse(Mouse { did, column: mouse.column, row: mouse.row }))
        }
        _ => None,
    }
}
