//! The explorer: state, messages, keys and screens, and the terminal they live in.
//! Not here: computing anything (`session`), threads that compute (`worker`).
//!
//! The core is pure: [`update::update`] takes a message and gives effects, [`view::view`] takes the state and gives
//! cells. The shell around it owns the terminal, the clock and the channel.

pub mod app;
pub mod format;
pub mod history;
pub mod hits;
pub mod keys;
pub mod labels;
pub mod msg;
pub mod over;
pub mod speed;
pub mod theme;
pub mod update;
pub mod view;
