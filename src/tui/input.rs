//! The threads that wait for keys and signals, and what events become.
//! Not here: what they mean, which bytes are which key (`cut`, `decode`).

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use crokey::KeyCombination;
use crossterm::event::{Event, KeyEventKind, MouseButton, MouseEventKind};

use crate::tui::msg::{Mouse, MouseDid, Msg};
use crate::tui::queue::{Inlet, Wake};
use crate::tui::theme::detect;

pub mod cut;
pub mod decode;
#[cfg(test)]
mod tests;

/// Reads the terminal until it ends. `escape` is how long an Esc waits for what may follow it.
///
/// One thread only reads, so that the other can wait for the rest of a sequence with a limit.
#[cfg(unix)]
pub(super) fn read(to: Sender<Wake>, mut inlet: Inlet, escape: std::time::Duration) -> io::Result<()> {
    use std::sync::mpsc::{self, RecvTimeoutError};

    let mut keyboard = crate::tui::terminal::keyboard()?;
    // Bounded, so that what nobody takes stays with the system.
    let (chunk, chunks) = mpsc::sync_channel(16);
    thread::Builder::new().name("keyboard".into()).spawn(move || {
        loop {
            let read = read_once(&mut keyboard);
            let ended = read.is_err();
            if chunk.send(read).is_err() || ended {
                return;
            }
        }
    })?;
    thread::Builder::new().name("input".into()).spawn(move || {
        let mut cutter = cut::Cutter::new(escape);
        let mut pieces = Vec::new();
        loop {
            let read = match cutter.wait() {
                Some(most) => chunks.recv_timeout(most),
                None => chunks.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match read {
                Ok(Ok(bytes)) => cutter.feed(&bytes, &mut pieces),
                Err(RecvTimeoutError::Timeout) => pieces.extend(cutter.quiet()),
                Ok(Err(why)) => {
                    // Nobody is left to tell when the shell has ended.
                    let _ = to.send(Wake::Lost(why));
                    return;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            for piece in pieces.drain(..) {
                let running = match piece {
                    cut::Piece::Osc(answer) => {
                        detect::ground(&answer).is_none_or(|ground| to.send(Wake::Ground(ground)).is_ok())
                    }
                    _ => of_piece(piece).is_none_or(|msg| inlet.send(msg)),
                };
                if !running {
                    return;
                }
            }
        }
    })?;
    Ok(())
}

/// Waits for the next bytes.
///
/// # Errors
/// Why there will be none.
#[cfg(unix)]
fn read_once(keyboard: &mut impl io::Read) -> Result<Vec<u8>, String> {
    // As much as Linux keeps of one line.
    let mut bytes = [0; 4096];
    loop {
        match keyboard.read(&mut bytes) {
            Ok(0) => return Err("it gave the end of its input".into()),
            Ok(count) => return Ok(bytes[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Another program that shares the terminal has turned waiting off.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(not(unix))]
pub(super) fn read(to: Sender<Wake>, mut inlet: Inlet, _: std::time::Duration) -> io::Result<()> {
    thread::Builder::new().name("input".into()).spawn(move || {
        loop {
            let running = match crossterm::event::read() {
                Ok(Event::Resize(width, height)) => {
                    to.send(Wake::Resized(crate::tui::terminal::bounded((width, height)))).is_ok()
                }
                Ok(event) => message(event).is_none_or(|msg| inlet.send(msg)),
                Err(error) => {
                    let _ = to.send(Wake::Lost(error.to_string()));
                    false
                }
            };
            if !running {
                return;
            }
        }
    })?;
    Ok(())
}

/// How long after a signal that ends the program another one is only an echo of it: a window that is closed sends several.
#[cfg(unix)]
const ECHO: std::time::Duration = std::time::Duration::from_secs(1);

/// Waits for signals. The second one that ends the program ends it at once: the first may wait for something that never
/// comes, such as a terminal that takes no more.
#[cfg(unix)]
pub(super) fn signals(to: Sender<Wake>) -> io::Result<()> {
    use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};

    use crate::tui::terminal;

    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP, SIGINT, SIGTSTP, SIGCONT, SIGWINCH])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        let mut asked: Option<std::time::Instant> = None;
        for signal in signals.forever() {
            let wake = match signal {
                SIGCONT => Wake::Continued,
                SIGTSTP => Wake::Stop,
                SIGWINCH => match terminal::size() {
                    Ok(size) => Wake::Resized(size),
                    Err(_) => continue,
                },
                _ => match asked {
                    Some(at) if at.elapsed() < ECHO => continue,
                    Some(_) => {
                        terminal::restore();
                        signal_hook::low_level::exit(128 + signal);
                    }
                    None => {
                        asked = Some(std::time::Instant::now());
                        Wake::Signal(signal)
                    }
                },
            };
            if to.send(wake).is_err() && asked.is_none() {
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

/// What a piece of the terminal's bytes is to us.
fn of_piece(piece: cut::Piece) -> Option<Msg> {
    match piece {
        cut::Piece::HugePaste => {
            let most = crate::tui::format::bytes(cut::LARGEST_PASTE as u64);
            Some(Msg::Notice(format!("the paste is larger than {most}, and nothing of it was taken")))
        }
        cut::Piece::LeftPaste => {
            Some(Msg::Notice("the paste had no end: it is left, and nothing of it was taken".into()))
        }
        _ => message(decode::event(piece)?),
    }
}

/// What an event of the terminal is to us.
fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(KeyCombination::from(key))),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Mouse(mouse) => {
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
