//! What every command stands on: settings, directories, the hub, and a session.
//! Not here: any command.

use std::path::PathBuf;

use crate::cli::args::Args;
use crate::cli::progress::Line;
use crate::hub::Hub;
use crate::report::{Kind, Report};
use crate::session::{
    ComputeDevice, LoadScope, Neuronpedia, OpenRequest, OpenedSuite, Session, SessionConfig, available_memory,
};
use crate::settings::{Directories, Settings};
use crate::task::Cancel;

/// What every command stands on.
pub struct Context {
    /// What the person wants.
    pub settings: Settings,
    /// The program's own directories.
    pub directories: Directories,
    /// Where sessions find things.
    pub setup: SessionConfig,
    /// The prompt to start the explorer with.
    pub prompt: Option<String>,
    /// The SAEs that the explorer loads; those that the suite says where it is empty.
    pub saes: Vec<String>,
    /// How much of models is opened.
    pub reach: LoadScope,
    /// Why no log is written, where none is.
    pub without_log: Option<Report>,
}

impl Context {
    /// Reads environment and config file; asks nothing of the network.
    pub fn new(args: &Args) -> Result<Self, Report> {
        let env = |name: &str| std::env::var_os(name);
        let directories = Directories::find(&env)?;
        let settings = Settings::read(args.given(), &env, &directories.config_file())?;
        let hub = Hub::from_env(env).map_err(|error| Report::from(error).kind(Kind::Usage))?;
        let suites: Vec<PathBuf> = vec![directories.suites()];
        let setup = SessionConfig {
            hub,
            suites,
            memory: available_memory,
            compute_device: ComputeDevice::new(settings.device),
            metas: Some(directories.metas()),
            tables: Some(directories.tables()),
            checkups: Some(directories.checkups()),
            text: settings.text.clone(),
            tokenizer: args.tokenizer(),
            neuronpedia: Neuronpedia::read(&env),
        };
        let (prompt, saes, reach) = (args.prompt.clone(), args.sae.clone(), args.reach());
        Ok(Self { settings, directories, setup, prompt, saes, reach, without_log: None })
    }

    /// A session that has nothing loaded.
    pub fn session(&self) -> Session {
        Session::new(self.setup.clone())
    }
}

/// Opens a suite, telling how far it is where somebody watches.
pub fn open(session: &mut Session, opening: OpenRequest<'_>, cancel: &Cancel) -> Result<OpenedSuite, Report> {
    let line = Line::new();
    let opened = session.open_as(opening, cancel, &|so_far| line.show(&so_far));
    line.end();
    opened
}
