//! Standard output and standard error: data on the one, messages on the other. Everything that a command prints goes
//! through here, and nothing of it is obeyed by a terminal. Not here: what is said.

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::json;

use crate::report::Report;
use crate::text::{self, Charset};

/// The version of the JSON answers.
const SCHEMA: u32 = 1;

/// Whether only ASCII is printed: one answer for the whole process, as there is one standard output.
static ASCII: AtomicBool = AtomicBool::new(false);

/// From here on text is printed in ASCII, or in all of Unicode.
pub fn ascii(only: bool) {
    ASCII.store(only, Ordering::Relaxed);
}

/// Text as it may be written to a terminal.
pub fn shown(text: &str) -> Cow<'_, str> {
    text::lines(text, charset())
}

fn charset() -> Charset {
    if ASCII.load(Ordering::Relaxed) { Charset::Ascii } else { Charset::Unicode }
}

/// Where a command's answer goes.
pub struct Output {
    json: bool,
}

impl Output {
    /// Answers as text or as JSON.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether answers are JSON.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints an answer as one JSON object with its schema number in front.
    ///
    /// # Errors
    /// When standard output cannot be written; a closed pipe is not an error.
    pub fn object(answer: &impl Serialize) -> Result<(), Report> {
        // Written straight from the numbers: by way of a `Value`, 0.7 in single precision would be 0.699999988079071.
        let body = serde_json::to_string(answer).map_err(|error| Report::caused("cannot write the answer", &error))?;
        let fields = body.strip_prefix('{').unwrap_or(&body);
        let comma = if fields == "}" { "" } else { "," };
        Self::script(&text::json(&format!("{{\"schema\":{SCHEMA}{comma}{fields}\n")))
    }

    /// Prints text for people.
    ///
    /// # Errors
    /// When standard output cannot be written; a closed pipe is not an error.
    pub fn text(text: &str) -> Result<(), Report> {
        Self::script(&shown(text))
    }

    /// Prints text as it is: what this program makes for other programs, with nothing from elsewhere in it.
    ///
    /// # Errors
    /// When standard output cannot be written; a closed pipe is not an error.
    pub fn script(text: &str) -> Result<(), Report> {
        let mut out = io::stdout().lock();
        written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// Prints a path: for a person where there is a terminal, for a script as it is.
    ///
    /// # Errors
    /// When standard output cannot be written; a closed pipe is not an error.
    pub fn path(path: &Path) -> Result<(), Report> {
        let line = format!("{}\n", path.display());
        if io::stdout().is_terminal() { Self::text(&line) } else { Self::script(&line) }
    }

    /// Says why nothing was answered: one JSON object on standard output, or lines on standard error; those too where
    /// standard output is what failed.
    pub fn report(&self, report: &Report) {
        if !self.json {
            return say(&report.to_string());
        }
        if let Err(unwritten) = Self::object(&json!({ "error": report })) {
            say(&report.to_string());
            if unwritten != *report {
                say(&unwritten.to_string());
            }
        }
    }
}

/// Writes a file beside its place and moves it there when it is whole, so that no half file ever stands in it.
///
/// # Errors
/// When the folder or the disk do not let it be written.
pub fn save(path: &Path, bytes: &[u8]) -> Result<(), Report> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(".".as_ref());
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let written = builder.tempfile_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    });
    written.map_err(|error| Report::caused(format!("cannot write `{}`", path.display()), &error))
}

/// What became of writing to standard output. Whoever closed the pipe has what they wanted.
///
/// # Errors
/// Why it cannot be written, such as a full disk behind it.
pub fn written(done: io::Result<()>) -> Result<(), Report> {
    match done {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Report::caused("cannot write to standard output", &error)
                .hint("make room where it goes to, or send it elsewhere"))
        }
        _ => Ok(()),
    }
}

/// A message on standard error.
pub fn say(message: &str) {
    // A person who has closed standard error does not want messages.
    let _ = writeln!(io::stderr().lock(), "{}", shown(message));
}

/// Whether messages go to a person's terminal.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}
