//! The explorer in a real terminal: started, used, left by every way out, and the terminal restored.
//! Not here: what keys do in detail (`tui_update`).
//!
//! The program under test is this very file: run with `SAESCOPE_EXPLORER` set, the test `explorer` is the explorer with
//! an engine of hand-made answers, so that no model is needed.
#![cfg(unix)]

#[path = "tui_support/sample.rs"]
mod sample;

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, ExitStatus, PtySize, native_pty_system};
use saescope::session::{CatalogueQuery, CheckupQuery, Slot};
use saescope::task::{Cancelled, Ticket};
use saescope::tui::{Engine, EventSink, Options};
use saescope::worker::{Event, Job, JobEvent};

struct Answers {
    tell: EventSink,
    mode: String,
}

impl Engine for Answers {
    fn ask(&self, ticket: Ticket, job: Job) {
        let list = job.get::<CatalogueQuery>().is_some();
        assert!(!(self.mode == "ui-panic" && list), "a panic on purpose");
        let (tell, mode) = (self.tell.clone(), self.mode.clone());
        thread::spawn(move || {
            assert!(!(mode == "worker-panic" && list), "a panic on purpose");
            // What the wiring is like has screens of its own.
            let wiring = job.get::<CheckupQuery>().is_some();
            let answer = if wiring { Err(Cancelled.into()) } else { Ok(sample::answer(&job)) };
            tell(JobEvent { ticket, event: Event::Done(answer) });
        });
    }

    fn cancel(&self, _: Slot) {}
}

/// Not a test unless asked to be the explorer.
#[test]
fn explorer() {
    let Ok(mode) = std::env::var("SAESCOPE_EXPLORER") else { return };
    let options = Options { suite: "demo".into(), ..Options::default() };
    match saescope::tui::run(&options, |tell| Ok(Answers { tell, mode })) {
        Ok(code) => std::process::exit(code.into()),
        Err(report) => {
            eprintln!("{report}");
            std::process::exit(report.exit_code().into());
        }
    }
}

/// What makes this file run the explorer.
const EXPLORER: [&str; 4] = ["explorer", "--exact", "--nocapture", "--test-threads=1"];

/// A terminal with the explorer in it.
struct Session {
    screen: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Session {
    fn start(mode: &str, env: &[(&str, &str)]) -> Self {
        let mut command = CommandBuilder::new(std::env::current_exe().expect("this program"));
        command.args(EXPLORER);
        Self::run(command, mode, env)
    }

    fn run(mut command: CommandBuilder, mode: &str, env: &[(&str, &str)]) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).expect("a pseudo-terminal");
        for name in ["NO_COLOR", "COLORTERM", "SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT", "LC_ALL"] {
            command.env_remove(name);
        }
        // Sixteen colours: the ground of the terminal is not asked for.
        command.env("TERM", "xterm");
        command.env("LANG", "C.UTF-8");
        command.env("SAESCOPE_EXPLORER", mode);
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).expect("started");
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().expect("a reader");
        let writer = pty.master.take_writer().expect("a writer");
        let screen = Arc::new(Mutex::new(vt100::Parser::default()));
        let raw = Arc::new(Mutex::new(Vec::new()));
        let (to_screen, to_raw) = (screen.clone(), raw.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                to_raw.lock().expect("no panic").extend_from_slice(&bytes[..count]);
                to_screen.lock().expect("no panic").process(&bytes[..count]);
            }
        });
        Self { screen, raw, writer, child, master: pty.master }
    }

    fn text(&self) -> String {
        self.screen.lock().expect("no panic").screen().contents()
    }

    fn wait_for(&self, what: &str) -> String {
        self.wait(what, |text| text.contains(what))
    }

    fn wait(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        // Only a program that hangs waits so long; how fast it is, is measured elsewhere.
        let until = Instant::now() + Duration::from_mins(1);
        while Instant::now() < until {
            let text = self.text();
            if is(&text) {
                return text;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("no `{what}` on:\n{}", self.text());
    }

    fn resize(&self, rows: u16, cols: u16) {
        let at_least_one = |n| std::num::NonZero::new(n).expect("not zero");
        let mut screen = self.screen.lock().expect("no panic");
        screen.screen_mut().set_size(at_least_one(rows), at_least_one(cols));
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).expect("resized");
    }

    fn press(&mut self, bytes: &str) {
        self.writer.write_all(bytes.as_bytes()).expect("written");
        self.writer.flush().expect("written");
    }

    fn signal(&self, signal: i32) {
        let pid = self.child.process_id().expect("a process").to_string();
        let sent = std::process::Command::new("kill").args([format!("-{signal}"), pid]).status().expect("kill");
        assert!(sent.success());
    }

    fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + Duration::from_mins(1);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("waited") {
                // What was written last may still be on its way.
                thread::sleep(Duration::from_millis(100));
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.child.kill().expect("killed");
        panic!("did not end:\n{}", self.text());
    }

    fn assert_restored(&self) {
        let screen = self.screen.lock().expect("no panic");
        let screen = screen.screen();
        assert!(!screen.alternate_screen(), "still on the alternate screen");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert!(!screen.bracketed_paste(), "pastes are still bracketed");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is still taken");
    }
}

#[test]
fn starts_shows_latents_and_quits_with_the_terminal_restored() {
    let mut session = Session::start("plain", &[]);
    session.wait_for("15 fire");
    assert!(session.screen.lock().expect("no panic").screen().alternate_screen());
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
    session.assert_restored();
}

#[test]
fn typing_reaches_the_prompt_and_a_paste_is_text() {
    let mut session = Session::start("plain", &[]);
    session.wait_for(" fire ");
    session.press("e");
    session.press(" Ulm");
    session.wait_for("was born in Ulm");
    session.press("\x1b[200~ q\n\x1b[201~");
    session.wait_for("13 of 256 tokens");
    session.press("\x03");
    assert_eq!(session.end().exit_code(), 0);
    session.assert_restored();
}

#[test]
fn follows_the_size_of_its_terminal_and_says_when_it_is_too_small() {
    let mut session = Session::start("plain", &[]);
    session.wait_for(" fire ");
    session.resize(10, 40);
    session.wait_for("have 40x10, need 60x15");
    session.resize(40, 120);
    session.wait_for("strongest here");
    session.press("q");
    session.end();
    session.assert_restored();
}

#[test]
fn with_something_else_on_standard_input_keys_come_from_the_terminal() {
    let program = std::env::current_exe().expect("this program");
    let mut command = CommandBuilder::new("sh");
    let line = format!("echo piped | '{}' {}", program.display(), EXPLORER.join(" "));
    command.args(["-c", line.as_str()]);
    let mut session = Session::run(command, "plain", &[]);
    session.wait_for(" fire ");
    session.press("5");
    session.wait_for("Queue");
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
    session.assert_restored();
}

#[test]
fn signals_that_end_it_restore_the_terminal_and_name_themselves() {
    for (signal, code) in [(15, 143), (1, 129), (2, 130)] {
        let mut session = Session::start("plain", &[]);
        session.wait_for(" fire ");
        session.signal(signal);
        assert_eq!(session.end().exit_code(), code);
        session.assert_restored();
    }
}

#[test]
fn a_panic_of_the_ui_restores_the_terminal_before_it_is_told() {
    let mut session = Session::start("ui-panic", &[]);
    session.wait_for(" fire ");
    session.press("s");
    assert_ne!(session.end().exit_code(), 0);
    session.assert_restored();
    let raw = session.raw.lock().expect("no panic");
    let raw = String::from_utf8_lossy(&raw);
    let left = raw.find("\x1b[?1049l").expect("left the alternate screen");
    assert!(raw.find("a panic on purpose").is_some_and(|told| told > left), "told on the restored screen");
}

#[test]
fn a_panic_of_a_worker_leaves_the_screen_alone() {
    let mut session = Session::start("worker-panic", &[]);
    session.wait_for(" fire ");
    session.press("s");
    session.wait_for("Suites");
    session.press("\x1b");
    session.wait("no list", |text| !text.contains("Suites"));
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
    let raw = session.raw.lock().expect("no panic");
    assert!(!String::from_utf8_lossy(&raw).contains("a panic on purpose"));
}

#[test]
fn suspending_gives_the_terminal_back_and_continuing_draws_again() {
    let mut session = Session::start("plain", &[]);
    session.wait_for(" fire ");
    session.press("\x1a");
    let until = Instant::now() + Duration::from_mins(1);
    while session.screen.lock().expect("no panic").screen().alternate_screen() && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    session.assert_restored();
    // The modes are given back just before it stops.
    thread::sleep(Duration::from_millis(200));
    session.signal(18);
    session.wait_for(" fire ");
    assert!(session.screen.lock().expect("no panic").screen().alternate_screen());
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
    session.assert_restored();
}

#[test]
fn an_idle_explorer_writes_nothing() {
    let session = Session::start("plain", &[]);
    session.wait_for(" fire ");
    // Answers that are still under way, such as how the suite is wired, may draw once more; a screen that moves by itself
    // never has a quiet second.
    let written = || session.raw.lock().expect("no panic").len();
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let before = written();
        thread::sleep(Duration::from_secs(2));
        if written() == before {
            break;
        }
        assert!(Instant::now() < until, "it goes on writing");
    }
    session.signal(15);
}

#[test]
fn a_dumb_terminal_is_refused_with_what_to_do() {
    let mut session = Session::start("plain", &[("TERM", "dumb")]);
    assert_eq!(session.end().exit_code(), 2);
    assert!(session.text().contains("saescope run"), "{}", session.text());
}

#[test]
fn no_colour_means_no_colour() {
    let mut session = Session::start("plain", &[("NO_COLOR", "1")]);
    session.wait_for(" fire ");
    session.press("q");
    session.end();
    let raw = session.raw.lock().expect("no panic");
    let raw = String::from_utf8_lossy(&raw);
    assert!(!raw.contains("\x1b[;m") && !raw.contains("\x1b[m"), "an empty colour change resets reverse and bold");
    assert!(!raw.contains("\x1b[36") && !raw.contains(";36m"), "cyan");
}
