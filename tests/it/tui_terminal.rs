//! The explorer in a real terminal: started, used, left by every way out, and the terminal restored.
//! Not here: what keys do in detail (`tui_update`).
//!
//! The program under test is this very file: run with `SAESCOPE_EXPLORER` set, the test `explorer` is the explorer with
//! an engine of hand-made answers, so that no model is needed.
#![cfg(unix)]

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::Event as CrosstermEvent;
use portable_pty::{CommandBuilder, ExitStatus, PtySize, native_pty_system};
use saescope::session::{CatalogueQuery, CheckupQuery, Slot};
use saescope::task::{Cancelled, Ticket};
use saescope::tui::input::cut::Cutter;
use saescope::tui::input::decode;
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
            if mode == "cut-file" && list {
                read_a_file_that_is_cut_short();
            }
            // What the wiring is like has screens of its own.
            let wiring = job.get::<CheckupQuery>().is_some();
            let answer = if wiring { Err(Cancelled.into()) } else { Ok(crate::tui_support::sample::answer(&job)) };
            tell(JobEvent { ticket, event: Event::Done(answer) });
        });
    }

    fn cancel(&self, _: Slot) {}
}

/// Reads weights whose file somebody makes shorter meanwhile.
fn read_a_file_that_is_cut_short() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    let values = vec![0; 1 << 20];
    let tensor = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![values.len() / 4], &values);
    let tensors = [("w", tensor.expect("a tensor"))];
    std::fs::write(&path, safetensors::serialize(tensors, None).expect("serialised")).expect("written");
    let files = saescope::weights::TensorFiles::open(&[saescope::blob::Blob::path(&path)]).expect("opened");
    let weights = files.get("w").expect("a tensor");
    std::fs::File::options().write(true).open(&path).and_then(|file| file.set_len(100)).expect("cut short");
    assert_eq!(weights.iter().sum::<f32>(), 0.0);
}

/// Not a test unless asked to be the explorer.
#[test]
fn explorer() {
    let Ok(mode) = std::env::var("SAESCOPE_EXPLORER") else { return };
    let options = Options { suite: "demo".into(), ..Options::default() };
    match saescope::tui::run(&options, |tell| Ok(Answers { tell, mode })) {
        Ok(code) => std::process::exit(code.into()),
        Err(report) => {
            // Nobody reads it where the terminal is gone.
            let _ = writeln!(std::io::stderr(), "{report}");
            std::process::exit(report.exit_code().into());
        }
    }
}

/// What makes this file run the explorer.
const EXPLORER: [&str; 4] = ["tui_terminal::explorer", "--exact", "--nocapture", "--test-threads=1"];

/// A terminal with the explorer in it.
struct Session {
    screen: Arc<Mutex<vt100::Parser>>,
    raw: Arc<Mutex<Vec<u8>>>,
    /// Whether its screen is looked at no more.
    unseen: Arc<AtomicBool>,
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

    fn run(command: CommandBuilder, mode: &str, env: &[(&str, &str)]) -> Self {
        Self::run_sized(command, mode, env, (80, 24))
    }

    /// The explorer under a shell that was told something before.
    fn under_shell(before: &str, mode: &str, after: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = CommandBuilder::new("sh");
        let line = format!("{before}'{}' {}{after}", program.display(), EXPLORER.join(" "));
        command.args(["-c", line.as_str()]);
        Self::run(command, mode, &[])
    }

    fn run_sized(mut command: CommandBuilder, mode: &str, env: &[(&str, &str)], (cols, rows): (u16, u16)) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).expect("a pseudo-terminal");
        for name in ["NO_COLOR", "COLORTERM", "SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT", "LC_ALL", "COLUMNS", "LINES"] {
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
        let unseen = Arc::new(AtomicBool::new(false));
        let (to_screen, to_raw, overlay) = (screen.clone(), raw.clone(), unseen.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                to_raw.lock().expect("no panic").extend_from_slice(&bytes[..count]);
                to_screen.lock().expect("no panic").process(&bytes[..count]);
                if overlay.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        Self { screen, raw, unseen, writer, child, master: pty.master }
    }

    /// What the screen shows, whether a cell is empty or holds a space.
    fn text(&self) -> String {
        let text = self.screen.lock().expect("no panic").screen().contents();
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
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

    /// What the screen shows when it has come to rest.
    fn rest(&self) -> String {
        let until = Instant::now() + Duration::from_mins(1);
        let mut before = self.text();
        while Instant::now() < until {
            thread::sleep(Duration::from_secs(1));
            let now = self.text();
            if now == before {
                return now;
            }
            before = now;
        }
        panic!("it goes on changing:\n{before}");
    }

    /// Closes the terminal, as a window is closed.
    fn close(mut self) -> Box<dyn portable_pty::Child + Send + Sync> {
        self.unseen.store(true, Ordering::SeqCst);
        // Something to be read, so that the thread which reads ends, and its end of the terminal with it.
        let _ = self.writer.write_all(b"?");
        self.child
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

#[test]
fn answers_of_the_terminal_that_arrive_late_and_in_parts_do_nothing() {
    let mut session = Session::start("plain", &[]);
    session.wait_for("strongest here");
    let before = session.rest();
    // Each has letters that are commands: `q` would end it.
    let answers = [
        ["\x1b[?62;1;2;4", "c"],
        ["\x1b]11;rgb:1e1e/", "1e1e/2e2e\x1b\\"],
        ["\x1b]52;c;cXVpdAq", "q\x07"],
        ["\x1bP>|tmux 3.5q", "q\x1b\\"],
        ["\x1bP1$r2 q", "\x1b\\"],
        ["\x1b_Gi=31;q", "q\x1b\\"],
        ["\x1b]lq", "q\x1b\\"],
        ["\x1b[8;24", ";80t"],
        ["\x1b[?2026;2$", "y"],
    ];
    for [begin, end] in answers {
        session.press(begin);
        // Longer than a lone Esc is waited for.
        thread::sleep(Duration::from_millis(120));
        session.press(end);
    }
    assert_eq!(session.rest(), before);
    session.press("?");
    session.wait("help", |text| text != before);
    session.press("\x1b");
    session.wait("what was there", |text| text == before);
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
}

#[test]
fn the_ground_is_taken_from_an_answer_however_late_it_comes() {
    let mut session = Session::start("plain", &[("TERM", "xterm-256color")]);
    session.wait_for("strongest here");
    let asked = String::from_utf8_lossy(&session.raw.lock().expect("no panic")).contains("\x1b]11;?");
    assert!(asked, "it asks");
    let colours = |session: &Session| session.screen.lock().expect("no panic").screen().contents_formatted();
    let dark = colours(&session);
    session.press("\x1b]11;rgb:ffff/ff");
    thread::sleep(Duration::from_millis(500));
    session.press("ff/ffff\x07");
    session.wait("other colours", |_| colours(&session) != dark);
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
}

#[test]
fn keys_are_those_that_the_crossterm_library_reads() {
    let program = std::env::current_exe().expect("this program");
    let mut command = CommandBuilder::new(program);
    command.args(["tui_terminal::crossterm_reader", "--exact", "--nocapture", "--test-threads=1"]);
    let mut session = Session::run_sized(command, "read", &[], (200, 60));
    session.wait_for("reading");
    let mut keys: Vec<String> = (0x20_u8..0x7f).map(|byte| char::from(byte).to_string()).collect();
    keys.extend((0_u8..0x20).filter(|byte| *byte != 0x1b).map(|byte| char::from(byte).to_string()));
    keys.extend(["é", "É", "ß", "漢", "\x7f", "\x1b", "\x1b\x7f", "\x1b\r"].map(String::from));
    keys.extend(('a'..='z').chain('A'..='N').map(|c| format!("\x1b{c}")));
    keys.extend("ABCDHFPQRS".chars().map(|c| format!("\x1bO{c}")));
    keys.extend("ABCDHFPQSZ".chars().map(|c| format!("\x1b[{c}")));
    keys.extend((1..=34).filter(|n| ![9, 10, 16, 22, 27, 30].contains(n)).map(|n| format!("\x1b[{n}~")));
    for modifiers in 2..=16 {
        keys.extend("ABCDHFPQS".chars().map(|c| format!("\x1b[1;{modifiers}{c}")));
        keys.extend([3, 5, 15, 24].map(|n| format!("\x1b[{n};{modifiers}~")));
        keys.extend([97, 65, 13, 9, 27, 127, 57376, 57399, 57417].map(|n| format!("\x1b[{n};{modifiers}u")));
    }
    keys.extend(["\x1b[2A", "\x1b[[A", "\x1b[[E", "\x1b[97:65;2u", "\x1b[97;1:3u", "\x1b[97;5:2u"].map(String::from));
    for button in [0, 1, 2, 3, 32, 34, 35, 64, 65, 66, 67, 4, 8, 16, 28] {
        keys.extend(["M", "m"].map(|end| format!("\x1b[<{button};120;7{end}")));
        keys.push(format!("\x1b[{};120;7M", button + 32));
        keys.push(format!("\x1b[M{}!$", char::from(button + 32)));
    }
    keys.extend(["\x1b[200~pasted\ntext\x1b[201~", "\x1b[I", "\x1b[O"].map(String::from));
    for (number, bytes) in keys.iter().enumerate() {
        session.press(bytes);
        let theirs = session.wait_for(&format!("#{number} "));
        let theirs = theirs.split(&format!("#{number} ")).nth(1).and_then(|rest| rest.lines().next());
        let (mut cutter, mut pieces) = (Cutter::new(Duration::from_millis(40)), Vec::new());
        cutter.feed(bytes.as_bytes(), &mut pieces);
        pieces.extend(cutter.quiet());
        let ours: Vec<String> = pieces.into_iter().filter_map(decode::event).map(|event| plain(&event)).collect();
        assert_eq!(Some(ours.join(" ").trim()), theirs.map(str::trim), "{bytes:?}");
    }
    session.press("\x1b[34;2~");
    session.end();
}

/// An event in words, without what the kitty protocol adds to a key, which nothing here looks at.
fn plain(event: &CrosstermEvent) -> String {
    match event {
        CrosstermEvent::Key(key) => format!("{:?} {:?} {:?}", key.code, key.modifiers, key.kind),
        CrosstermEvent::Mouse(mouse) => {
            format!("{:?} {} {} {:?}", mouse.kind, mouse.column, mouse.row, mouse.modifiers)
        }
        other => format!("{other:?}"),
    }
}

/// Not a test unless asked to be a reader: what the crossterm library makes of keys, line by line.
#[test]
fn crossterm_reader() {
    if std::env::var("SAESCOPE_EXPLORER").is_err() {
        return;
    }
    crossterm::terminal::enable_raw_mode().expect("raw");
    print!("reading\r\n");
    for number in 0.. {
        let event = crossterm::event::read().expect("an event");
        if plain(&event).starts_with("F(17) KeyModifiers(SHIFT)") {
            break;
        }
        print!("#{number} {}\r\n", plain(&event));
        std::io::stdout().flush().expect("written");
    }
    crossterm::terminal::disable_raw_mode().expect("not raw");
}

#[test]
fn a_flood_of_keys_is_taken_and_delays_no_signal() {
    let mut session = Session::start("plain", &[]);
    session.wait_for(" fire ");
    session.press("e");
    session.press(&" flood".repeat(4_000));
    session.press(" END");
    session.wait_for("END");
    let flood = " again".repeat(20_000);
    let mut writer = std::mem::replace(&mut session.writer, Box::new(std::io::sink()));
    // Nobody may take all of it, so that this thread may never end.
    thread::spawn(move || writer.write_all(flood.as_bytes()));
    session.signal(15);
    assert_eq!(session.end().exit_code(), 143);
    session.assert_restored();
}

#[test]
fn a_paste_that_never_ends_is_left_by_an_interrupt_and_nothing_of_it_is_taken() {
    let mut session = Session::start("plain", &[]);
    session.wait_for(" fire ");
    session.press("\x1b[200~never ending");
    thread::sleep(Duration::from_millis(200));
    session.press("\x03");
    let text = session.wait_for("the paste had no end");
    assert!(!text.contains("never ending"), "{text}");
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
}

#[test]
fn a_terminal_that_is_gone_without_a_signal_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let code = folder.path().join("code");
    // The kernel tells the leader of the session only, and that one does not listen.
    let after = format!("; echo $? > '{}'", code.display());
    let session = Session::under_shell("trap '' HUP; ", "plain", &after);
    session.wait_for(" fire ");
    let mut child = session.close();
    let until = Instant::now() + Duration::from_mins(1);
    while std::fs::read_to_string(&code).unwrap_or_default().is_empty() && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(std::fs::read_to_string(&code).unwrap_or_default().trim(), "129");
    let _ = child.wait();
}

#[test]
fn signals_that_end_it_at_once_restore_the_terminal_and_say_why() {
    for (signal, name) in [(3, "SIGQUIT"), (6, "SIGABRT"), (7, "SIGBUS"), (11, "SIGSEGV"), (4, "SIGILL"), (8, "SIGFPE")]
    {
        let mut session = Session::under_shell("ulimit -c 0; exec ", "plain", "");
        session.wait_for(" fire ");
        session.signal(signal);
        let status = session.end();
        assert!(status.signal().is_some(), "{name}: it ends as the signal says: {status:?}");
        session.assert_restored();
        let text = session.text();
        assert!(text.contains(&format!("saescope was ended by {name}")) && text.contains("caused by: "), "{text}");
    }
}

#[test]
fn a_file_cut_short_while_it_is_read_is_named_on_the_restored_screen() {
    let mut session = Session::under_shell("ulimit -c 0; exec ", "cut-file", "");
    session.wait_for(" fire ");
    session.press("s");
    let status = session.end();
    assert!(status.signal().is_some(), "{status:?}");
    session.assert_restored();
    let text = session.text().replace('\n', "");
    assert!(text.contains("SIGBUS") && text.contains("made shorter"), "{text}");
    assert!(!cfg!(target_os = "linux") || text.contains("weights.safetensors"), "{text}");
}

#[test]
fn a_stop_from_outside_gives_the_terminal_back() {
    let mut session = Session::start("plain", &[]);
    session.wait_for(" fire ");
    session.signal(20);
    let until = Instant::now() + Duration::from_mins(1);
    while session.screen.lock().expect("no panic").screen().alternate_screen() && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    session.assert_restored();
    thread::sleep(Duration::from_millis(200));
    // The size changes while nobody listens.
    session.resize(10, 40);
    session.signal(18);
    session.wait_for("have 40x10, need 60x15");
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
    session.assert_restored();
}

#[test]
fn no_size_of_a_terminal_ends_it() {
    let program = || {
        let mut command = CommandBuilder::new(std::env::current_exe().expect("this program"));
        command.args(EXPLORER);
        command
    };
    // A terminal that does not know its size is one of 80x24.
    let mut session = Session::run_sized(program(), "plain", &[], (0, 0));
    session.wait_for("15 fire");
    for (cols, rows) in [(u16::MAX, u16::MAX), (u16::MAX, 1), (1, u16::MAX), (1, 1), (0, 0)] {
        session.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).expect("resized");
        thread::sleep(Duration::from_millis(100));
    }
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
    session.assert_restored();
    let mut session = Session::run_sized(program(), "plain", &[], (u16::MAX, u16::MAX));
    session.wait("anything", |text| !text.trim().is_empty());
    session.press("q");
    assert_eq!(session.end().exit_code(), 0);
    session.assert_restored();
}
