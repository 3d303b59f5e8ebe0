//! What several tests share.
//! Not here: tests.

pub mod sample;
