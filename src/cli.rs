//! The command line: arguments, headless commands, JSON, exit codes.
//! Not here: what the commands compute (`session`), the explorer (`tui`).

pub mod args;
mod context;
mod doctor;
mod explore;
mod latent;
mod log;
mod manual;
mod meta;
mod output;
mod progress;
mod pull;
mod run;
mod stitch;
mod suites;

use std::ffi::OsString;

use clap::Parser;

use crate::report::Report;

use args::{Args, Command};
use context::Context;
use output::Output;

/// Runs the program with these arguments, the first of which is its name, and gives the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    crate::fatal::watch();
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors: clap prints them to standard output and gives 0. A closed pipe is quiet.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let output = Output::new(args.json());
    match dispatch(args, &output) {
        Ok(code) => code,
        Err(report) => {
            output.report(&report);
            report.exit_code()
        }
    }
}

fn dispatch(args: Args, output: &Output) -> Result<u8, Report> {
    // These answer without settings, so that they work where settings are broken.
    match &args.command {
        Some(Command::Completions(options)) => return manual::completions(options),
        Some(Command::Man) => return manual::page(),
        Some(Command::Config(options)) => return manual::config(options),
        _ => {}
    }
    let context = Context::new(&args)?;
    log::start(&context);
    match args.command {
        None => explore::explore(&context),
        Some(Command::Shot(options)) => explore::shot(&context, &options),
        Some(Command::Suites(_)) => suites::suites(&context, output),
        Some(Command::Pull(options)) => pull::pull(&context, &options, output),
        Some(Command::Run(options)) => run::run(&context, &options, output),
        Some(Command::Latent(options)) => latent::latent(&context, &options, output),
        Some(Command::Meta(options)) => meta::meta(&context, &options, output),
        Some(Command::Stitch(options)) => stitch::stitch(&context, &options, output),
        Some(Command::Doctor(options)) => doctor::doctor(&context, &options, output),
        Some(Command::Completions(_) | Command::Man | Command::Config(_)) => Ok(0),
    }
}
