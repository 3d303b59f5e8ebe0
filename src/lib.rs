//! saescope: what the latents of sparse autoencoders (SAEs) make of a language model's activations.
//!
//! The library runs a language model on a prompt, encodes its activations with every SAE of a suite, and says which
//! latents fire on each token, how they relate across SAEs of different widths, and what they are made of. The terminal
//! explorer `saescope` is made of it. The techniques are from *Sparse Autoencoders Do Not Find Canonical Units of
//! Analysis* (arXiv 2502.04878).
//!
//! The demo comes with the program; for any other suite `Session::pull` fetches the files first:
//!
//! ```
//! use saescope::hub::Hub;
//! use saescope::session::{RunOptions, Session, SessionConfig};
//! use saescope::task::Cancel;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cancel = Cancel::new();
//! let mut session = Session::new(SessionConfig::new(Hub::from_env(|name| std::env::var_os(name))?));
//! let demo = session.suite("demo")?;
//! session.open(demo, &["512".to_owned()], &cancel, &|_| {})?;
//! let run = session.run("Albert Einstein was born in", &RunOptions::default(), &cancel)?;
//! let sae = &run.saes[0];
//! for (token, position) in run.tokens.iter().zip(&sae.positions) {
//!     let Some(strongest) = position.latents.first() else { continue };
//!     let card = session.card(&sae.id, strongest.latent, None, 3)?;
//!     let promoted: Vec<&str> = card.promoted.iter().map(|word| &*word.text).collect();
//!     println!("{:?}: latent {}, {:.2}, promotes {promoted:?}", token.text, strongest.latent, strongest.activation);
//! }
//! # assert!(sae.positions.iter().skip(1).all(|position| position.l0 > 0) && sae.positions.len() == run.tokens.len());
//! # Ok(())
//! # }
//! ```
//!
//! # The library
//!
//! | module | has |
//! |---|---|
//! | [`session`] | what is loaded, and the questions it answers; begin here |
//! | [`analysis`] | the answers: plain data that serialises to the program's JSON |
//! | [`suite`] | the catalogue: which model, which SAEs, where they are; suite files; the embedded demo |
//! | [`sae`] | SAEs alone: reading, encoding, decoding, nearest latents, classes, stitching, meta-SAEs, training |
//! | [`model`] | forward passes with hooks at sites, KV cache, tokenizer, sampling |
//! | [`weights`] | tensor files (safetensors, NumPy, PyTorch), mapped |
//! | [`hub`] | files of a hub repository in the shared Hugging Face cache |
//! | [`site`], [`mod@format`], [`device`] | where activations are taken; how SAEs are published; what computes |
//! | [`task`], [`report`], [`blob`], [`text`] | cancelling and progress; errors as people read them; the bytes of a file; how a token is shown |
//!
//! Enums and structs that will grow are `#[non_exhaustive]`. The other modules are the program's own (the explorer, its
//! commands, its threads, its kernels): they are public for the binary and the tests, not documented here, and may
//! change in any release. ARCHITECTURE.md says who may use whom; `tests/it/architecture.rs` holds it.

pub mod analysis;
pub mod blob;
#[doc(hidden)]
pub mod cli;
pub mod device;
#[doc(hidden)]
pub mod fatal;
pub mod format;
#[doc(hidden)]
pub mod guard;
#[doc(hidden)]
pub mod home;
pub mod hub;
#[doc(hidden)]
pub mod json_file;
#[doc(hidden)]
pub use saescope_kernel as kernel;
pub mod model;
pub mod report;
pub mod sae;
pub mod session;
#[doc(hidden)]
pub mod settings;
pub mod site;
pub mod suite;
pub mod task;
pub mod text;
#[doc(hidden)]
pub mod toml_file;
#[doc(hidden)]
pub mod tui;
#[doc(hidden)]
pub mod web;
pub mod weights;
#[doc(hidden)]
pub mod worker;
