//! What every command stands on: settings, directories, the hub, and a session.
//! Not here: any command.

use std::path::PathBuf;

use crate::cli::args::Args;
use crate::hub::Hub;
use crate::report::{Kind, Report};
use crate::session::{Session, Setup, available_memory};
use crate::settings::{Directories, Settings};

/// What every command stands on.
pub struct Context {
    /// What the person wants.
    pub settings: Settings,
    /// The program's own directories.
    pub directories: Directories,
    /// Where sessions find things.
    pub setup: Setup,
    /// The prompt to start the explorer with.
    pub prompt: Option<String>,
}

impl Context {
    /// Reads environment and config file; asks nothing of the network.
    pub fn new(args: &Args) -> Result<Self, Report> {
        let env = |name: &str| std::env::var_os(name);
        let directories = Directories::find(&env)?;
        let settings = Settings::read(args.given(), &env, &directories.config_file())?;
        let hub = Hub::from_env(env).map_err(|error| Report::from(error).kind(Kind::Usage))?;
        let suites: Vec<PathBuf> = vec![directories.suites()];
        let setup = Setup {
            hub,
            suites,
            memory: available_memory,
            metas: Some(directories.metas()),
            tables: Some(directories.tables()),
            checkups: Some(directories.checkups()),
            text: settings.text.clone(),
        };
        Ok(Self { settings, directories, setup, prompt: args.prompt.clone() })
    }

    /// A session that has nothing loaded.
    pub fn session(&self) -> Session {
        Session::new(self.setup.clone())
    }
}
