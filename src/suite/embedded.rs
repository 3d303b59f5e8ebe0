//! The files of the demo, compiled into the program from `assets/demo/`.
//! Not here: what they mean.

use include_dir::{Dir, include_dir};

static DEMO: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/assets/demo");

/// The bytes of one of the demo's files.
pub fn file(path: &str) -> Option<&'static [u8]> {
    DEMO.get_file(path).map(include_dir::File::contents)
}
