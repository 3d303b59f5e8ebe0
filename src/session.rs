//! What is loaded, and one synchronous way to ask it for something.
//! Not here: threads, the terminal.

mod catalogue;
mod failure;
mod loaded;
mod memory;
mod open;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

pub use memory::available as available_memory;

use crate::analysis::{
    Bench, BenchLoss, Change, CurveLoss, CurveView, Family, GroupView, LatentCard, Order, PairView, Run, Side,
    TextInfo, TokenValue, Verdict,
};
use crate::hub::Hub;
use crate::report::{Kind, Report};
use crate::site::Site;
use crate::suite::{self, Choice, Suite};
use crate::task::{Cancel, OnProgress};

use loaded::Loaded;

/// Something to be computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Load a suite: its model and the SAEs that are to be loaded at the start. The answer is [`Outcome::Opened`].
    Open {
        /// An id of the catalogue or the path of a suite file.
        suite: String,
    },
    /// A prompt through the model and all loaded SAEs. The answer is [`Outcome::Run`].
    Run {
        /// What was typed.
        prompt: String,
        /// Likeliest next tokens wanted for each position.
        next: usize,
    },
    /// A latent's card. The answer is [`Outcome::Card`].
    Card {
        /// The SAE's id.
        sae: String,
        /// The latent.
        latent: u32,
        /// Tokens and neighbours wanted in each list.
        top: usize,
    },
    /// Short names of latents: the tokens they promote. The answer is [`Outcome::Labels`].
    Labels {
        /// The SAE's id.
        sae: String,
        /// The latents.
        latents: Vec<u32>,
    },
    /// Latents by number or by a token they promote. The answer is [`Outcome::Found`].
    Search {
        /// The SAE's id.
        sae: String,
        /// A number, or text of a token.
        query: String,
    },
    /// A latent's relatives in every loaded SAE, at once: what a table is needed for that is not there yet is left out.
    /// The answer is [`Outcome::Family`].
    Family {
        /// The SAE's id.
        sae: String,
        /// The latent.
        latent: u32,
        /// θ.
        threshold: f32,
    },
    /// Compare all loaded SAEs with each other, so that tables are there before they are asked for. The answer is
    /// [`Outcome::Tables`]; after it a [`Family`] is complete.
    Tables,
    /// The work queue of two SAEs. The answer is [`Outcome::Pair`].
    Pair {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// A threshold that it must have groups for.
        threshold: f32,
    },
    /// Whether a latent is new, and what putting it in does on the prompt. The answer is [`Outcome::Verdict`].
    Verdict {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// The latent of the wider SAE.
        latent: u32,
        /// θ.
        threshold: f32,
    },
    /// The same with cross-entropies. The answer is [`Outcome::VerdictLoss`].
    VerdictLoss {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// The latent of the wider SAE.
        latent: u32,
        /// θ.
        threshold: f32,
    },
    /// The stitched SAE after these changes. The answer is [`Outcome::Bench`]: on the prompt always, on the text once
    /// the pair was measured there ([`Job::Pair`]).
    Bench {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// All changes from the narrower SAE on.
        changes: Vec<Change>,
    },
    /// Its cross-entropies. The answer is [`Outcome::BenchLoss`].
    BenchLoss {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// All changes from the narrower SAE on.
        changes: Vec<Change>,
    },
    /// The way from the narrower to the wider SAE. The answer is [`Outcome::Curve`].
    Curve {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// θ.
        threshold: f32,
        /// In which order steps are taken within a phase.
        order: Order,
        /// About how many points are wanted.
        points: usize,
    },
    /// Cross-entropies at steps of the way. The answer is [`Outcome::CurveLoss`].
    CurveLoss {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// θ.
        threshold: f32,
        /// In which order steps are taken within a phase.
        order: Order,
        /// The steps.
        at: Vec<usize>,
    },
    /// The latents that hang together with one. The answer is [`Outcome::Group`]; none for a latent that is novel or
    /// unmatched.
    Group {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// Which SAE's latent.
        side: Side,
        /// The latent.
        latent: u32,
        /// θ.
        threshold: f32,
    },
    /// Write the stitched SAE after these changes as SAELens has it. The answer is [`Outcome::Exported`].
    Export {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// All changes from the narrower SAE on.
        changes: Vec<Change>,
        /// The folder; nothing in it is overwritten.
        folder: PathBuf,
    },
    /// Choose the text to measure on; without a file that of the settings, else the suite's own, else the program's.
    /// The answer is [`Outcome::Text`]; what was measured on another text must be asked for again.
    Text {
        /// A file in UTF-8.
        file: Option<PathBuf>,
    },
    /// The known suites and what of them is on this machine. The answer is [`Outcome::Catalogue`].
    Catalogue,
    /// Download what is missing of a suite. The answer is [`Outcome::Pulled`].
    Pull {
        /// An id of the catalogue or the path of a suite file.
        suite: String,
    },
}

/// What a [`Job`] gave.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A suite is loaded.
    Opened(Arc<Opened>),
    /// A prompt was run; every firing latent is in it.
    Run(Arc<Run>),
    /// A latent's card.
    Card(Arc<LatentCard>),
    /// Names of latents.
    Labels(Labels),
    /// Latents found.
    Found(Found),
    /// A latent's relatives.
    Family(Arc<Family>),
    /// All SAEs are compared; things worth saying.
    Tables(Vec<String>),
    /// The work queue of two SAEs.
    Pair(Arc<PairView>),
    /// A verdict without cross-entropies.
    Verdict(Arc<Verdict>),
    /// A verdict with cross-entropies.
    VerdictLoss(Arc<Verdict>),
    /// The stitched SAE.
    Bench(Arc<Bench>),
    /// Its cross-entropies.
    BenchLoss(Arc<BenchLoss>),
    /// The way from a narrower to a wider SAE.
    Curve(Arc<CurveView>),
    /// Cross-entropies along the way.
    CurveLoss(Arc<CurveLoss>),
    /// The latents that hang together with one.
    Group(Option<Arc<GroupView>>),
    /// The stitched SAE is written; the folder.
    Exported(PathBuf),
    /// The text that is measured on.
    Text(TextInfo),
    /// The known suites.
    Catalogue(Vec<SuiteEntry>),
    /// A download is complete; the suite's id.
    Pulled(String),
}

/// A suite that is loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Opened {
    /// The suite's id.
    pub suite: String,
    /// Its title.
    pub title: String,
    /// The model's repository or directory.
    pub model: String,
    /// Where activations are taken.
    pub site: Site,
    /// θ of the classes novel and reconstruction.
    pub threshold: f32,
    /// What computes, for a person: `cpu, 2 threads`.
    pub device: String,
    /// The SAEs of the suite by rising width.
    pub saes: Vec<SaeInfo>,
    /// Most tokens of a prompt.
    pub context: usize,
    /// A prompt that shows something.
    pub prompt: String,
    /// Things worth saying, such as SAEs that are not downloaded.
    pub notes: Vec<String>,
}

/// One SAE of a suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SaeInfo {
    /// Its id.
    pub id: String,
    /// How many latents it has; none when it is not loaded.
    pub width: Option<usize>,
    /// Whether it is loaded; others are known but not on this machine or not default.
    pub loaded: bool,
    /// Its source on Neuronpedia, when it has one.
    pub neuronpedia: Option<String>,
}

/// Names of latents of one SAE.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// The SAE's id.
    pub sae: String,
    /// Each latent with the tokens it promotes most, best first.
    pub labels: Vec<(u32, Vec<TokenValue>)>,
}

/// Latents that a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The SAE's id.
    pub sae: String,
    /// What was searched.
    pub query: String,
    /// How the query was understood, for a person: `promote " Paris"`.
    pub meaning: String,
    /// The latents, best first, with the value they were ranked by.
    pub latents: Vec<(u32, f32)>,
}

/// A known suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteEntry {
    /// Its id, or the path of its file.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The model's repository or directory.
    pub model: String,
    /// Where activations are taken; none when the suite's file cannot be read.
    pub site: Option<Site>,
    /// The ids of its SAEs.
    pub saes: Vec<String>,
    /// Bytes to download for the default choice, as far as known.
    pub download_bytes: Option<u64>,
    /// Bytes of it that are on this machine.
    pub cached_bytes: u64,
    /// Whether everything of the default choice is on this machine.
    pub ready: bool,
    /// The model's licence, and whether it must be accepted first.
    pub licence: Option<String>,
    /// How to get access when the model is gated.
    pub gated: Option<String>,
}

impl SuiteEntry {
    /// Where activations are taken, in words.
    pub fn site_name(&self) -> String {
        self.site.map_or_else(|| "no site".to_owned(), |site| site.to_string())
    }
}

/// Where a session finds things, and how much it may use.
#[derive(Clone)]
pub struct Setup {
    /// The hub and its cache.
    pub hub: Hub,
    /// Directories with the user's own suite files.
    pub suites: Vec<PathBuf>,
    /// The memory that is free for use, in bytes; none when that is not known.
    pub memory: fn() -> Option<u64>,
}

/// What is loaded, and the one way to ask it for something.
pub struct Session {
    setup: Setup,
    loaded: Option<Loaded>,
}

/// What a headless run is to give beside what a person typing gets.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Likeliest next tokens wanted for each position.
    pub next: usize,
    /// Whether cross-entropies are measured by splicing.
    pub metrics: bool,
}

/// What the last run computed from, as the SAEs receive it.
#[derive(Clone, Debug)]
pub struct RawRun {
    /// f32 [positions, size].
    pub residual: Vec<f32>,
    /// f32 [positions, vocab].
    pub logits: Vec<f32>,
    /// Positions.
    pub positions: usize,
    /// The size of the activation.
    pub size: usize,
    /// Rows of the embedding.
    pub vocab: usize,
}

impl Session {
    /// Nothing loaded yet.
    #[must_use]
    pub const fn new(setup: Setup) -> Self {
        Self { setup, loaded: None }
    }

    /// Does a job, on the calling thread.
    ///
    /// # Errors
    /// What went wrong as a person reads it; of kind [`Kind::Cancelled`] when it was cancelled.
    pub fn exec(&mut self, job: Job, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Outcome, Report> {
        match job {
            Job::Open { suite } => {
                let suite = self.suite(&suite)?;
                let saes: Vec<String> = suite.saes.iter().filter(|sae| sae.default).map(|sae| sae.id.clone()).collect();
                self.open(suite, &saes, cancel, progress).map(|opened| Outcome::Opened(Arc::new(opened)))
            }
            Job::Run { prompt, next } => {
                let options = RunOptions { next, metrics: false };
                self.loaded()?.run(&prompt, &options, cancel).map(|run| Outcome::Run(Arc::new(run)))
            }
            Job::Card { sae, latent, top } => {
                self.loaded()?.card(&sae, latent, None, top).map(|card| Outcome::Card(Arc::new(card)))
            }
            Job::Labels { sae, latents } => self.loaded()?.labels(&sae, &latents).map(Outcome::Labels),
            Job::Search { sae, query } => self.loaded()?.search(&sae, &query).map(Outcome::Found),
            Job::Family { .. }
            | Job::Tables
            | Job::Pair { .. }
            | Job::Verdict { .. }
            | Job::VerdictLoss { .. }
            | Job::Bench { .. }
            | Job::BenchLoss { .. }
            | Job::Curve { .. }
            | Job::CurveLoss { .. }
            | Job::Group { .. }
            | Job::Export { .. }
            | Job::Text { .. } => Err(Report::new("stitching is not there yet")),
            Job::Catalogue => Ok(Outcome::Catalogue(catalogue::entries(&self.setup))),
            Job::Pull { suite } => {
                let suite = self.suite(&suite)?;
                suite.pull(&Choice::default(), &self.setup.hub, cancel, progress)?;
                Ok(Outcome::Pulled(suite.id))
            }
        }
    }

    /// The suite of an id or a file's path.
    ///
    /// # Errors
    /// That there is none, or what is wrong with its file.
    pub fn suite(&self, id_or_path: &str) -> Result<Suite, Report> {
        Ok(suite::find(id_or_path, &self.setup.suites)?)
    }

    /// Loads a suite's model and these of its SAEs; what was loaded before is let go first, so that the two never
    /// need memory at once. A default SAE that is not on this machine is a note, not an error, while others are.
    ///
    /// # Errors
    /// What is missing, too large or broken.
    pub fn open(
        &mut self,
        suite: Suite,
        saes: &[String],
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Opened, Report> {
        let plan = open::plan(&self.setup, suite, saes)?;
        self.loaded = None;
        let loaded = open::load(plan, cancel, progress)?;
        let opened = loaded.opened();
        self.loaded = Some(loaded);
        Ok(opened)
    }

    /// A prompt through the model and the loaded SAEs.
    ///
    /// # Errors
    /// Why the prompt cannot be run.
    pub fn run(&mut self, prompt: &str, options: &RunOptions, cancel: &Cancel) -> Result<Run, Report> {
        self.loaded()?.run(prompt, options, cancel)
    }

    /// The tensors behind the last run.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub fn raw(&mut self, cancel: &Cancel) -> Result<RawRun, Report> {
        self.loaded()?.raw(cancel)
    }

    /// A latent's card; without a threshold the suite's own stands.
    ///
    /// # Errors
    /// That there is no such SAE or latent.
    pub fn card(&mut self, sae: &str, latent: u32, threshold: Option<f32>, top: usize) -> Result<LatentCard, Report> {
        self.loaded()?.card(sae, latent, threshold, top)
    }

    /// Forgets what the last run left, after a job that broke off in the middle of it.
    pub fn forget_run(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.forget_run();
        }
    }

    fn loaded(&mut self) -> Result<&mut Loaded, Report> {
        self.loaded.as_mut().ok_or_else(|| {
            Report::new("no suite is loaded").hint("choose one from the list of suites").kind(Kind::Missing)
        })
    }
}
