//! Standard output and standard error: data on the one, messages on the other.
//! Not here: what is said.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::report::Report;

/// The version of the JSON answers.
const SCHEMA: u32 = 1;

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
    /// When standard output cannot be written; a closed pipe is no error.
    pub fn object(answer: &impl Serialize) -> Result<(), Report> {
        // Written straight from the numbers: by way of a `Value`, 0.7 in single precision would be 0.699999988079071.
        let body = serde_json::to_string(answer).map_err(|error| Report::caused("cannot write the answer", &error))?;
        let fields = body.strip_prefix('{').unwrap_or(&body);
        let comma = if fields == "}" { "" } else { "," };
        Self::text(&format!("{{\"schema\":{SCHEMA}{comma}{fields}\n"))
    }

    /// Prints text as it is.
    ///
    /// # Errors
    /// When standard output cannot be written; a closed pipe is no error.
    pub fn text(text: &str) -> Result<(), Report> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Report::caused("cannot write to standard output", &error))
            }
            _ => Ok(()),
        }
    }

    /// Says why nothing was answered: one JSON object on standard output, or lines on standard error.
    pub fn report(&self, report: &Report) {
        if self.json {
            // What cannot be written can be reported nowhere.
            let _ = Self::object(&json!({ "error": report }));
        } else {
            say(&report.to_string());
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

/// A message on standard error.
pub fn say(message: &str) {
    // A person who has closed standard error does not want messages.
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Whether messages go to a person's terminal.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}
