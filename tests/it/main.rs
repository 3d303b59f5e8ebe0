//! All integration tests in one binary: each file here is a module, so that candle and TLS are linked once.
//! Not here: what needs a process of its own.

#![allow(
    clippy::assertions_on_constants,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::items_after_statements,
    clippy::let_and_return,
    clippy::module_inception,
    clippy::semicolon_if_nothing_returned,
    reason = "matters of style, in tests alone"
)]

mod architecture;
mod attribution;
mod bad_families;
mod bad_model;
mod cli;
mod cli_messages;
mod cli_stitch;
mod conventions;
mod device;
mod doctor;
mod examples;
mod fatal;
mod formats_bad_input;
mod golden_attribution;
mod golden_formats;
mod golden_meta;
mod golden_model;
mod golden_sae;
mod golden_stitching;
mod half_passes;
mod hub;
mod meta;
mod odd_saes;
mod pull;
mod reach;
mod readme;
mod sae_bad_input;
mod sae_properties;
mod sae_shift;
mod sae_stitching;
mod sae_tables;
mod session;
mod stitching_session;
mod suites;
mod support;
mod train_sae;
mod tui_attribution;
mod tui_budget;
mod tui_demo;
mod tui_examples;
mod tui_meta;
mod tui_questions;
mod tui_screens;
mod tui_stitch;
mod tui_support;
mod tui_terminal;
mod tui_update;
mod tui_wiring;
