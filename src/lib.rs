//! saescope: a terminal explorer for what a language model is thinking.
//!
//! It runs a language model live on a prompt and shows which latents of its sparse autoencoders (SAEs) fire on each
//! token, how those latents relate across SAEs of different widths, and what they are made of. The techniques are from
//! *Sparse Autoencoders Do Not Find Canonical Units of Analysis* (arXiv 2502.04878).
//!
//! | module | owns |
//! |---|---|
//! | [`task`], [`text`] | tickets, cancelling, progress; how a token is shown |
//! | [`report`], [`settings`] | errors as people read them; flags, environment, config file, directories |
//! | [`device`], [`home`] | what can compute a model, by name; a path as a person writes it |
//! | [`fatal`] | the last word when a signal ends the program at once |
//! | [`guard`] | calls into code of others that may panic |
//! | [`toml_file`] | a TOML file read key by key, with lines and nearest names in its errors |
//! | [`mod@format`] | the formats that SAEs are published in: their names, and their files' |
//! | [`json_file`] | a JSON file of another program read key by key, with what Python writes beyond JSON |
//! | [`blob`], [`weights`], [`kernel`] | the bytes of one file; tensor files, mapped; the fused matrix products |
//! | [`hub`] | files of a hub repository in the shared Hugging Face cache |
//! | [`model`] | forward passes with hooks at sites, KV cache, tokenizer, sampling |
//! | [`sae`] | formats, encode, decode, nearest latents, training |
//! | [`suite`] | the catalogue: which model, which SAEs, where they live; the embedded demo |
//! | [`analysis`] | a run, a latent's card: plain data out of tensors |
//! | [`session`] | what is loaded; one synchronous `exec` |
//! | [`worker`] | threads and channels, nothing else |
//! | [`tui`], [`cli`] | the explorer; headless commands and JSON |
//!
//! Arrows point one way, from the bottom of this table to its top; `tests/it/architecture.rs` holds the rule.

pub mod analysis;
pub mod blob;
pub mod cli;
pub mod device;
pub mod fatal;
pub mod format;
pub mod guard;
pub mod home;
pub mod hub;
pub mod json_file;
pub mod kernel;
pub mod model;
pub mod report;
pub mod sae;
pub mod session;
pub mod settings;
pub mod site;
pub mod suite;
pub mod task;
pub mod text;
pub mod toml_file;
pub mod tui;
pub mod weights;
pub mod worker;
