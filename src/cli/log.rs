//! The log: a file, never the screen.
//! Not here: what is logged.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::cli::context::Context;
use crate::report::Report;

/// Largest log that is added to; a larger one is begun anew.
const LARGEST: u64 = 4 << 20;

/// Starts the log. A log that cannot be written is not a reason not to work: `doctor` says why, and so does the command
/// that asked for it.
///
/// # Errors
/// Why there is none.
pub fn start(context: &Context) -> Result<(), Report> {
    let path = context.directories.log();
    let what = format!("no log is written to `{}`", path.display());
    let wrong = |error: &(dyn Error + 'static)| Report::caused(what.clone(), error);
    let filter = EnvFilter::try_new(&context.settings.log).map_err(|error| {
        wrong(&error)
            .because(format!("`{}` does not say what goes into it", context.settings.log))
            .hint("give error, warn, info, debug or trace, or a filter as RUST_LOG has it")
    })?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| wrong(&error))?;
    }
    let large = fs::metadata(&path).is_ok_and(|data| data.len() > LARGEST);
    let file = OpenOptions::new().create(true).write(true).append(!large).truncate(large).open(&path);
    let file = file.map_err(|error| wrong(&error))?;
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(file)).try_init();
    Ok(())
}
