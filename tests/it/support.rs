//! What several tests share.
//! Not here: tests.

pub mod broken_suite;
pub mod hub_server;
pub mod reference;
pub mod spoiled_model;
pub mod web_server;
pub mod world;
pub mod z_suite;
