//! What every answer of a command carries beside its own fields: the command line that gives it again, and the versions of
//! program, model and SAEs. Not here: what is answered, and how a command line is put together (`text`).

use serde::Serialize;

use crate::session::Versions;
pub use crate::text::CommandLine;

/// An answer with what stands beside it; the answer's own fields, `notes` among them, come first.
#[derive(Serialize)]
pub struct Answer<'a, T: Serialize> {
    /// The answer.
    #[serde(flatten)]
    pub view: &'a T,
    /// The command line that gives it again.
    pub command: String,
    /// What made it.
    pub versions: Versions,
}
