//! The log: a file, never the screen.
//! Not here: what is logged.

use std::fs::{self, OpenOptions};
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::cli::context::Context;

/// Largest log that is added to; a larger one is begun anew.
const LARGEST: u64 = 4 << 20;

/// Starts the log. A log that cannot be written is no reason not to work: `doctor` says where it would be.
pub fn start(context: &Context) {
    let path = context.directories.log();
    let Ok(filter) = EnvFilter::try_new(&context.settings.log) else { return };
    if path.parent().is_none_or(|folder| fs::create_dir_all(folder).is_err()) {
        return;
    }
    let large = fs::metadata(&path).is_ok_and(|data| data.len() > LARGEST);
    let file = OpenOptions::new().create(true).write(true).append(!large).truncate(large).open(&path);
    if let Ok(file) = file {
        // A second start in one process (tests) keeps the first log.
        let _ =
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(file)).try_init();
    }
}
