//! Prints which latents fire most strongly on each token of a prompt, and the tokens that they promote:
//! `cargo run --release --example latents -- demo 'Albert Einstein was born in' 128 512`.
//! Not here: downloading, which `saescope pull SUITE` does first for every suite but the demo.
#![allow(clippy::print_stderr, reason = "a program for the terminal")]

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use saescope::hub::Hub;
use saescope::session::{RunOptions, Session, SessionConfig};
use saescope::task::Cancel;
use saescope::text::{Charset, token};

const USAGE: &str = "usage: latents SUITE PROMPT [SAE]…
  SUITE is an id of the catalogue (saescope suites) or the path of a suite file
  SAE   is an id in it; without one those that the suite opens by itself";

/// Latents of a token.
const SHOWN: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [suite, prompt, saes @ ..] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match latents(suite, prompt, saes, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the table.
///
/// # Errors
/// What is missing or broken; that it cannot be written.
pub fn latents(suite: &str, prompt: &str, saes: &[String], out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let (mut session, cancel) =
        (Session::new(SessionConfig::new(Hub::from_env(|name| env::var_os(name))?)), Cancel::new());
    let suite = session.suite(suite)?;
    let saes = if saes.is_empty() { suite.default_saes() } else { saes.to_vec() };
    session.open(suite, &saes, &cancel, &|_| {})?;
    let run = session.run(prompt, &RunOptions::default(), &cancel)?;
    for sae in &run.saes {
        writeln!(out, "SAE {} ({} latents)", sae.id, sae.width)?;
        for (at, position) in run.tokens.iter().zip(&sae.positions) {
            writeln!(out, "{:>4} {}", at.position, token(&at.text, Charset::Unicode))?;
            for firing in position.latents.iter().take(SHOWN) {
                let card = session.card(&sae.id, firing.latent, None, SHOWN)?;
                let promoted: Vec<String> = card.promoted.iter().map(|t| token(&t.text, Charset::Unicode)).collect();
                writeln!(out, "{:>12} {:>8.2}  {}", firing.latent, firing.activation, promoted.join(" "))?;
            }
        }
    }
    Ok(())
}
