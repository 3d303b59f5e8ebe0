//! The explorer: state, messages, keys and screens, and the terminal they live in.
//! Not here: computing anything (`session`), threads that compute (`worker`).
//!
//! The core is pure: [`update::update`] takes a message and gives effects, [`view::view`] takes the state and gives
//! cells. The shell around it owns the terminal, the clock and the channel. [`run`] is the explorer on the person's
//! terminal, [`shot`](shot::shot) the same on a terminal in memory.

pub mod app;
pub mod ask;
pub mod attribution;
mod canvas;
pub mod effect;
pub mod examples;
pub mod format;
pub mod frame_writer;
pub mod frequencies;
pub mod history;
pub mod hits;
pub mod index;
pub mod input;
pub mod keymap;
pub mod keys;
pub mod labels;
pub mod ladder;
pub mod lens;
pub mod location;
pub mod meta;
pub mod msg;
pub mod names;
pub mod next;
pub mod overlay;
pub mod pair;
pub mod palette;
pub mod pane;
pub mod panes;
pub mod picture;
pub mod question;
mod queue;
pub mod script;
mod shell;
pub mod shot;
pub mod sides;
pub mod speed;
pub mod steer;
pub mod stitch;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;

pub use shell::{Engine, EventSink, Options, run};
pub use shot::shot;
