//! Prints the nearest latents of one latent in every other SAE of its suite, and its class with respect to the narrower
//! ones: `cargo run --release --example nearest -- demo 512 7`. It opens no more of the model than the words.
//! Not here: downloading, which `saescope pull SUITE` does first for every suite but the demo.
#![allow(clippy::print_stderr, reason = "a program for the terminal")]

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use saescope::analysis::Class;
use saescope::hub::Hub;
use saescope::session::{LoadScope, OpenRequest, Session, SessionConfig};
use saescope::task::Cancel;

const USAGE: &str = "usage: nearest SUITE SAE LATENT [THRESHOLD]
  SUITE is an id of the catalogue (saescope suites) or the path of a suite file
  SAE   is an id in it, LATENT the number of one of its latents
  THRESHOLD is the cosine below which a latent is novel; without it the suite's own";

/// Nearest latents of an SAE.
const SHOWN: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((suite, sae, latent, threshold)) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match nearest((suite, sae, latent), threshold, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Option<(&str, &str, u32, Option<f32>)> {
    match arguments {
        [suite, sae, latent] => Some((suite, sae, latent.parse().ok()?, None)),
        [suite, sae, latent, threshold] => Some((suite, sae, latent.parse().ok()?, Some(threshold.parse().ok()?))),
        _ => None,
    }
}

/// Writes the table.
///
/// # Errors
/// What is missing or broken; that it cannot be written.
pub fn nearest(
    (suite, sae, latent): (&str, &str, u32),
    threshold: Option<f32>,
    out: &mut impl Write,
) -> Result<(), Box<dyn Error>> {
    let (mut session, cancel) =
        (Session::new(SessionConfig::new(Hub::from_env(|name| env::var_os(name))?)), Cancel::new());
    let suite = session.suite(suite)?;
    let mut saes = suite.default_saes();
    if !saes.iter().any(|id| id == sae) {
        saes.push(sae.to_owned());
    }
    session.open_as(
        OpenRequest { suite, saes: &saes, reach: LoadScope::WeightsOnly, words: false },
        &cancel,
        &|_| {},
    )?;
    let card = session.card(sae, latent, threshold, SHOWN)?;
    for rung in &card.ladder {
        let class = match rung.class {
            Some(Class::Novel) => "novel",
            Some(Class::Reconstruction) => "reconstruction",
            None => "",
        };
        let nearest: Vec<String> =
            rung.nearest.iter().map(|near| format!("{}:{:.3}", near.latent, near.cosine)).collect();
        writeln!(out, "{:>12} {class:<14} {}", rung.sae, nearest.join(" "))?;
    }
    Ok(())
}
