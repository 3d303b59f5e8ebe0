//! The last word: what is put right and said when a signal ends the program at once, such as a mapped file cut short.
//! Not here: signals that it ends on in order (`tui::input`, `cli::progress`), panics.
//!
//! A handler of signals may interrupt any code, so that it takes no lock, allocates nothing and calls only what POSIX
//! lists as safe there: `write`, `tcsetattr`, `open`, `read`, `sigaction`, `raise`. What the signal does by default comes
//! after it, so that exit status and core dump are as they would be.

use std::sync::OnceLock;

/// Puts things right before the last word; it must be fit for a handler of signals.
static BEFORE: OnceLock<fn()> = OnceLock::new();

/// Says what to put right before the last word: once for the whole program, later calls change nothing. It runs in a
/// handler of signals: no locks, no allocation.
pub fn before(put_right: fn()) {
    BEFORE.get_or_init(|| put_right);
}

/// Watches for the signals that end the program at once. A second call changes nothing.
#[cfg(unix)]
pub fn watch() {
    unix::watch();
}

/// Watches for the signals that end the program at once. A second call changes nothing.
#[cfg(not(unix))]
pub fn watch() {}

#[cfg(unix)]
mod unix {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::{mem, ptr};

    use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, c_int, c_void, siginfo_t};

    use super::{BEFORE, Line};

    /// The signals, their names, and what is behind them.
    const WATCHED: [(c_int, &str, &str); 6] = [
        (SIGQUIT, "SIGQUIT", "somebody asked it to quit at once"),
        (SIGABRT, "SIGABRT", "it gave up, most often because the system gave it no more memory"),
        (SIGBUS, "SIGBUS", "a file was made shorter while it was being read, or its disk failed"),
        (SIGSEGV, "SIGSEGV", "it used memory that is not its own: a mistake of the program, please report it"),
        (SIGILL, "SIGILL", "it met an instruction that this processor does not have"),
        (SIGFPE, "SIGFPE", "it divided by zero: a mistake of the program, please report it"),
    ];

    /// What was done on these signals before: the standard library's own answer to a stack that ran full.
    static USUAL: OnceLock<[libc::sigaction; WATCHED.len()]> = OnceLock::new();
    /// Whether a thread is saying the last word.
    static ENDING: AtomicBool = AtomicBool::new(false);

    #[expect(unsafe_code, reason = "no safe call lets memory faults be handled")]
    pub(super) fn watch() {
        USUAL.get_or_init(|| {
            WATCHED.map(|(signal, ..)| {
                // SAFETY: all bytes zero are a valid `sigaction`; the pointers live through the calls. The handler keeps
                // to what may be done in one (see the file's head), on the alternate stack that every thread of the
                // standard library has, with all signals blocked, so that it is never interrupted by itself.
                unsafe {
                    let mut action: libc::sigaction = mem::zeroed();
                    let mut usual: libc::sigaction = mem::zeroed();
                    action.sa_sigaction = last_word as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
                    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                    libc::sigfillset(&raw mut action.sa_mask);
                    libc::sigaction(signal, &raw const action, &raw mut usual);
                    usual
                }
            })
        });
    }

    #[expect(unsafe_code, reason = "what a signal brings comes as a pointer")]
    extern "C" fn last_word(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
        while ENDING.swap(true, Ordering::SeqCst) {
            // Another thread met the same and is at it; the program ends under this loop.
            std::thread::yield_now();
        }
        // SAFETY: with SA_SIGINFO the system gives a valid `siginfo_t`, which has an address for the signals of memory.
        let (sent, address) = unsafe { ((*info).si_code <= 0 || (*info).si_code == libc::SI_USER, (*info).si_addr()) };
        let fault = !sent && matches!(signal, SIGBUS | SIGSEGV | SIGILL | SIGFPE);
        if let Some(put_right) = BEFORE.get() {
            put_right();
        }
        if rustix::termios::isatty(rustix::stdio::stderr()) {
            // A line of progress may stand there.
            write(b"\r\x1b[K");
        }
        say(signal, if fault && signal == SIGBUS { address.addr() } else { 0 });
        usual(fault);
        if !fault {
            // SAFETY: two integers, and no memory of ours. It is blocked until this handler returns.
            unsafe { libc::raise(signal) };
        }
        // A fault happens again when this returns, and meets what is usual.
    }

    /// Lets the signals do what they would have done without us.
    #[expect(unsafe_code, reason = "see `watch`")]
    fn usual(fault: bool) {
        for (i, (signal, ..)) in WATCHED.iter().enumerate() {
            // SAFETY: as in `watch`; SIG_DFL with no flags is a valid action, as is what was in force before.
            unsafe {
                let default: libc::sigaction = mem::zeroed();
                let action = USUAL.get().filter(|_| fault && *signal != SIGABRT).map_or(&default, |usual| &usual[i]);
                libc::sigaction(*signal, ptr::from_ref(action), ptr::null_mut());
            }
        }
    }

    /// Writes what happened, in the form of every other error.
    fn say(signal: c_int, address: usize) {
        let Some((_, name, why)) = WATCHED.iter().find(|(watched, ..)| *watched == signal) else { return };
        let mut text = Line::new();
        text.push(b"error: saescope was ended by ").push(name.as_bytes()).push(b"\ncaused by: ").push(why.as_bytes());
        let mut path = Line::new();
        #[cfg(target_os = "linux")]
        if address != 0 {
            super::maps::file_at(address, &mut path);
        }
        if !path.bytes().is_empty() {
            text.push(b": ").push(path.bytes());
        }
        if signal == SIGBUS {
            text.push(b"\nhint: files of models and SAEs must stay as they are while they are open");
        }
        write(text.push(b"\n").bytes());
    }

    fn write(mut bytes: &[u8]) {
        while let Ok(count @ 1..) = rustix::io::write(rustix::stdio::stderr(), bytes) {
            bytes = &bytes[count..];
        }
    }
}

/// Longest text, bytes: the stack of a handler is small.
const LONGEST: usize = 1024;

/// Text without allocation; what does not fit is left out.
struct Line {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Line {
    const fn new() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }

    fn push(&mut self, bytes: &[u8]) -> &mut Self {
        let room = bytes.len().min(LONGEST - self.length);
        self.bytes[self.length..self.length + room].copy_from_slice(&bytes[..room]);
        self.length += room;
        self
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Which file is mapped at an address, by the system's own list.
#[cfg(target_os = "linux")]
mod maps {
    use rustix::fs::{Mode, OFlags};

    use super::Line;

    /// Appends the path of the file that is mapped at an address, if one is.
    pub(super) fn file_at(address: usize, path: &mut Line) {
        let Ok(list) = rustix::fs::open(c"/proc/self/maps", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
            return;
        };
        let mut finder = Finder::new(address);
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = rustix::io::read(&list, &mut bytes) {
            for byte in &bytes[..count] {
                if finder.take(*byte, path) {
                    return;
                }
            }
        }
    }

    /// Reads the list byte by byte: `start-end rights offset device inode   path`, a line a map.
    pub(super) struct Finder {
        address: usize,
        start: usize,
        number: usize,
        field: u8,
        here: bool,
    }

    impl Finder {
        pub(super) const fn new(address: usize) -> Self {
            Self { address, start: 0, number: 0, field: 0, here: false }
        }

        /// Takes the next byte; gives whether the line of the address is over.
        pub(super) fn take(&mut self, byte: u8, path: &mut Line) -> bool {
            match (self.field, byte) {
                (_, b'\n') => {
                    let done = self.here;
                    *self = Self::new(self.address);
                    return done;
                }
                (0, b'-') => self.start = std::mem::take(&mut self.number),
                (0, b' ') => {
                    self.here = (self.start..self.number).contains(&self.address);
                    self.field = 1;
                }
                (0, _) => {
                    let digit = char::from(byte).to_digit(16).unwrap_or(0) as usize;
                    self.number = self.number.wrapping_mul(16).wrapping_add(digit);
                }
                (1..5, b' ') => self.field += 1,
                (5, b' ') | (1..5, _) => {}
                _ => {
                    self.field = 6;
                    if self.here {
                        // The list itself writes line breaks as `\012`; nothing else in a name is obeyed either.
                        let plain = if byte < 0x20 || (0x7f..0xa0).contains(&byte) { b'?' } else { byte };
                        path.push(&[plain]);
                    }
                }
            }
            false
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{LONGEST, Line, maps};

    const LIST: &str = "5581e5a4e000-5581e5a50000 r--p 00000000 08:01 1061 /usr/bin/x\n\
        7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n\
        7f0000001000-7f0000003000 r--s 00001000 08:01 77      /tmp/a b\x1b[0m.safetensors (deleted)\n\
        7f0000003000-7f0000004000 r--s 00001000 08:01 78      /tmp/next\n";

    fn found(address: usize) -> String {
        let (mut finder, mut path) = (maps::Finder::new(address), Line::new());
        let _ = LIST.bytes().any(|byte| finder.take(byte, &mut path));
        String::from_utf8_lossy(path.bytes()).into_owned()
    }

    #[test]
    fn names_the_file_of_an_address_and_shows_its_controls_as_none() {
        assert_eq!(found(0x5581_e5a4_e000), "/usr/bin/x");
        assert_eq!(found(0x7f00_0000_1fff), "/tmp/a b?[0m.safetensors (deleted)");
        assert_eq!(found(0x7f00_0000_3000), "/tmp/next");
        assert_eq!(found(0x7f00_0000_0fff), "", "no file");
        assert_eq!(found(0x10), "", "nothing");
    }

    #[test]
    fn finds_a_file_that_is_really_mapped() {
        let mut path = Line::new();
        // Code of this program lies in its own file.
        maps::file_at(found as fn(usize) -> String as usize, &mut path);
        let path = String::from_utf8_lossy(path.bytes()).into_owned();
        assert_eq!(std::path::Path::new(&path), std::env::current_exe().unwrap());
    }

    #[test]
    fn text_that_does_not_fit_is_left_out() {
        let mut line = Line::new();
        line.push(&[b'x'; LONGEST - 1]).push(b"yz");
        assert_eq!((line.bytes().len(), line.bytes().last()), (LONGEST, Some(&b'y')));
    }
}
