//! The command line: arguments, headless commands, JSON, exit codes.
//! Not here: what the commands compute (`session`), the explorer (`tui`).

mod answer;
pub mod args;
mod compare;
mod context;
mod doctor;
mod effect;
mod explore;
mod index;
mod labels;
mod latent;
mod lens;
mod log;
mod manual;
mod meta;
mod output;
mod progress;
mod pull;
mod run;
mod steer;
mod stitch;
mod suites;
mod swap;

use std::ffi::OsString;
use std::io::{self, Write as _};

use clap::Parser;

use crate::report::Report;
use crate::text::{self, Charset};

use args::{Args, Command};
use context::Context;
use output::Output;

/// Runs the program with these arguments, the first of which is its name, and gives the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    crate::fatal::watch();
    let given: Vec<OsString> = args.into_iter().collect();
    let args = match Args::try_parse_from(&given) {
        Ok(args) => args,
        Err(error) => return other_than_a_command(error, &given),
    };
    let output = Output::new(args.json());
    output::ascii(args.ascii);
    match dispatch(args, &output) {
        Ok(code) => code,
        Err(report) => {
            output.report(&report);
            report.exit_code()
        }
    }
}

/// Help and version, which clap counts as errors, on standard output; wrong usage on standard error.
fn other_than_a_command(error: clap::Error, given: &[OsString]) -> u8 {
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    // Clap quotes arguments raw, among colours of its own: it quotes what may be shown.
    let shown = |arg: &OsString| text::line(&arg.to_string_lossy(), Charset::Unicode).into_owned();
    let error = match Args::try_parse_from(given.iter().map(shown)) {
        Err(shown) if error.use_stderr() && shown.use_stderr() => shown,
        _ => error,
    };
    let printed = error.print().and_then(|()| io::stdout().flush());
    if error.use_stderr() {
        return code;
    }
    match output::written(printed) {
        Ok(()) => code,
        Err(report) => {
            output::say(&report.to_string());
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
    let mut context = Context::new(&args)?;
    output::ascii(context.settings.ascii == Some(true));
    if let Err(report) = log::start(&context) {
        if args.log.is_some() {
            output::say(&report.to_string());
        }
        context.without_log = Some(report);
    }
    match args.command {
        None => explore::explore(&context),
        Some(Command::Shot(options)) => explore::shot(&context, &options),
        Some(Command::Suites(_)) => suites::suites(&context, output),
        Some(Command::Pull(options)) => pull::pull(&context, &options, output),
        Some(Command::Run(options)) => run::run(&context, &options, output),
        Some(Command::Latent(options)) => latent::latent(&context, &options, output),
        Some(Command::Effect(options)) => effect::effect(&context, &options, output),
        Some(Command::Steer(options)) => steer::steer(&context, &options, output),
        Some(Command::Compare(options)) => compare::compare(&context, &options, output),
        Some(Command::Swap(options)) => swap::swap(&context, &options, output),
        Some(Command::Lens(options)) => lens::lens(&context, &options, output),
        Some(Command::Meta(options)) => meta::meta(&context, &options, output),
        Some(Command::Index(options)) => index::index(&context, &options, output),
        Some(Command::Labels(options)) => labels::labels(&context, &options, output),
        Some(Command::Stitch(options)) => stitch::stitch(&context, &options, output),
        Some(Command::Doctor(options)) => doctor::doctor(&context, &options, output),
        Some(Command::Completions(_) | Command::Man | Command::Config(_)) => Ok(0),
    }
}
