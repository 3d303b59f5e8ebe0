//! What is made from the arguments alone: completions, the man page, the default config file.
//! Not here: the arguments.

use clap::CommandFactory;

use crate::cli::args::{Args, Completions, Config};
use crate::cli::output::Output;
use crate::report::Report;
use crate::settings::{DEFAULT_FILE, Directories};

pub fn completions(options: &Completions) -> Result<u8, Report> {
    let mut bytes = Vec::new();
    clap_complete::generate(options.shell, &mut Args::command(), "saescope", &mut bytes);
    Output::script(&String::from_utf8_lossy(&bytes)).map(|()| 0)
}

pub fn page() -> Result<u8, Report> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(Args::command())
        .render(&mut bytes)
        .map_err(|error| Report::caused("cannot write the man page", &error))?;
    Output::script(&String::from_utf8_lossy(&bytes)).map(|()| 0)
}

pub fn config(options: &Config) -> Result<u8, Report> {
    if options.default {
        return Output::script(DEFAULT_FILE).map(|()| 0);
    }
    let directories = Directories::find(&|name: &str| std::env::var_os(name))?;
    Output::path(&directories.config_file()).map(|()| 0)
}
