//! What is loaded, and one synchronous way to ask it for something.
//! Not here: threads, the terminal.

mod aide;
mod attribution;
mod bench;
mod catalogue;
mod computer;
mod desk;
mod doctor;
mod failure;
mod fit;
mod job;
mod loaded;
mod loss;
mod memory;
mod meta;
mod meta_answers;
mod meta_train;
mod once;
mod open;
mod pairs;
mod prompt;
mod reach;
mod shared;
mod tables;
mod text;
mod way;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

pub use aide::Aide;
pub use attribution::check as check_attribution;
pub use computer::Computer;
pub use doctor::Checked;
pub use fit::{Memory, OnDevice};
pub use job::{Job, Outcome};
pub use memory::available as available_memory;
pub use meta_answers::{MetaLabels, MetaRecipe, MetaState, MetaTrained};
pub use prompt::of_file;
pub use reach::{Opening, Reach};

use crate::analysis::{Attribution, BreakdownView, LatentCard, NextToken, Order, Run, TokenValue};
use crate::hub::Hub;
use crate::kernel;
use crate::report::Report;
use crate::site::Site;
use crate::suite::{self, Choice, Suite, TokenizerWord};
use crate::task::{Cancel, OnProgress};

use desk::Desk;
use loaded::Loaded;

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
    /// What computes, for a person: `cpu, 2 threads`; `cuda:0, f32`, with the precision of its products.
    pub device: String,
    /// The SAEs of the suite by rising width.
    pub saes: Vec<SaeInfo>,
    /// Most tokens of a prompt.
    pub context: usize,
    /// Whether a beginning-of-sequence token stands in front of every prompt, so that an empty one can be run.
    pub bos: bool,
    /// A prompt that shows something.
    pub prompt: String,
    /// How much of the model is there.
    pub reach: Reach,
    /// Whether latents have words: the tokens that they promote.
    pub words: bool,
    /// The memory that it takes.
    pub memory: Memory,
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

/// Meta-latents of a meta-SAE for an SAE of so many latents, where nothing else is said.
#[must_use]
pub fn meta_width(latents: usize) -> usize {
    crate::sae::meta::default_width(latents)
}

/// What comes next at some positions of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Positions with their likeliest next tokens, best first.
    pub next: Vec<(usize, Vec<NextToken>)>,
    /// How long it took, in milliseconds.
    pub ms: f64,
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
    /// What `--suite` takes to find it: its id, or the path it was asked by.
    pub name: String,
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
    /// What computes models.
    pub computer: Computer,
    /// Where meta-SAEs that this program trains are kept; none where nothing is to be kept.
    pub metas: Option<PathBuf>,
    /// Where comparisons of SAEs are kept; none to keep nothing.
    pub tables: Option<PathBuf>,
    /// The text to measure on; none for the suite's or the program's own.
    pub text: Option<PathBuf>,
    /// Where the outcomes of checkups are kept; none to keep nothing.
    pub checkups: Option<PathBuf>,
    /// Whose word counts on the tokens of every suite; none for what each says.
    pub tokenizer: Option<TokenizerWord>,
}

impl Setup {
    /// With this hub alone: no suites of the user's, no limit of memory, the CPU, and nothing kept.
    #[must_use]
    pub fn new(hub: Hub) -> Self {
        Self {
            hub,
            suites: Vec::new(),
            memory: || None,
            computer: Computer::default(),
            metas: None,
            tables: None,
            text: None,
            checkups: None,
            tokenizer: None,
        }
    }
}

/// What is loaded, and the one way to ask it for something.
pub struct Session {
    setup: Setup,
    loaded: Option<Loaded>,
    metas: meta::Metas,
    desk: Arc<Desk>,
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
    /// f32 [positions, vocab]; empty where the part of the model that gives them is not there or not open.
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
    pub fn new(setup: Setup) -> Self {
        Self { setup, loaded: None, metas: meta::Metas::none(), desk: Arc::default() }
    }

    /// A helper for what takes long, which works on what this session has open.
    #[must_use]
    pub fn aide(&self) -> Aide {
        Aide::new(Arc::clone(&self.desk))
    }

    /// Does a job, on the calling thread.
    ///
    /// # Errors
    /// What went wrong as a person reads it; of kind [`Kind::Cancelled`](crate::report::Kind::Cancelled) when it was cancelled.
    pub fn exec(&mut self, job: Job, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Outcome, Report> {
        match job {
            Job::Open { suite, saes, reach } => {
                let suite = self.suite(&suite)?;
                let saes = if saes.is_empty() { suite.default_saes() } else { saes };
                let opening = Opening { suite, saes: &saes, reach, words: false };
                self.open_as(opening, cancel, progress).map(|opened| Outcome::Opened(Arc::new(opened)))
            }
            Job::Run { prompt, next } => {
                let options = RunOptions { next, metrics: false };
                let run = kernel::awake(|| self.loaded()?.run(&prompt, &options, cancel))?;
                Ok(Outcome::Run(Arc::new(run)))
            }
            Job::Next { prompt, positions, count } => {
                kernel::awake(|| self.loaded()?.next(&prompt, &positions, count, cancel)).map(Outcome::Next)
            }
            Job::Card { sae, latent, top } => {
                self.card(&sae, latent, None, top).map(|card| Outcome::Card(Arc::new(card)))
            }
            Job::Attribution { sae, latent, position } => {
                let attribution = self.attribution(&sae, latent, Some(position), cancel)?;
                Ok(Outcome::Attribution(Arc::new(attribution)))
            }
            Job::Labels { sae, latents } => self.loaded()?.labels(&sae, &latents).map(Outcome::Labels),
            Job::Search { sae, query } => self.loaded()?.search(&sae, &query).map(Outcome::Found),
            Job::Verdict { small, large, latent, threshold } => {
                let chosen = self.desk.text();
                let verdict = self.loaded()?.verdict(&chosen, (&small, &large), (latent, threshold), cancel)?;
                Ok(Outcome::Verdict(Arc::new(verdict)))
            }
            Job::Bench { small, large, changes } => {
                let chosen = self.desk.text();
                let bench = self.loaded()?.bench(&chosen, (&small, &large), &changes, cancel)?;
                Ok(Outcome::Bench(Arc::new(bench)))
            }
            Job::Family { .. }
            | Job::Tables
            | Job::Pair { .. }
            | Job::VerdictLoss { .. }
            | Job::BenchLoss { .. }
            | Job::Curve { .. }
            | Job::CurveLoss { .. }
            | Job::Group { .. }
            | Job::Export { .. }
            | Job::TrainMeta(_)
            | Job::Pack
            | Job::Checkup { .. }
            | Job::Text { .. } => self.aide().exec(job, cancel, progress),
            Job::Metas => {
                if let Some(loaded) = &self.loaded {
                    self.metas.look_again(&loaded.room(), &self.setup);
                }
                Ok(Outcome::Metas(Arc::new(self.metas.states())))
            }
            Job::Meta { sae, meta } => {
                self.scope(&sae, &meta, cancel)?.info().map(|info| Outcome::Meta(Arc::new(info)))
            }
            Job::Breakdown { sae, latent, meta } => {
                let wanted = meta.as_deref();
                self.breakdown(&sae, latent, wanted, cancel).map(|view| Outcome::Breakdown(Arc::new(view)))
            }
            Job::MetaCard { sae, meta, meta_latent, top } => {
                let scope = self.scope(&sae, &meta, cancel)?;
                scope.card(meta_latent, top).map(|card| Outcome::MetaCard(Arc::new(card)))
            }
            Job::MetaRun { sae, meta } => Ok(Outcome::MetaRun(Arc::new(self.scope(&sae, &meta, cancel)?.run()))),
            Job::MetaLabels { sae, meta, meta_latents } => {
                let labels = self.scope(&sae, &meta, cancel)?.labels(&meta_latents)?;
                Ok(Outcome::MetaLabels(MetaLabels { sae, meta, labels }))
            }
            Job::Surgery { operation, prompt, next, named } => {
                let scope = self.scope(&operation.sae, &operation.meta, cancel)?;
                let view = scope.surgery(&operation, &prompt, next, &named, cancel)?;
                Ok(Outcome::Surgery(Arc::new(view)))
            }
            Job::Continue { operation, prompt, arm, tokens, sampling } => {
                let scope = self.scope(&operation.sae, &operation.meta, cancel)?;
                let goal = meta::Goal { arm, tokens, sampling };
                scope.go_on(&operation, &prompt, &goal, cancel, progress).map(|text| Outcome::Continued(Arc::new(text)))
            }
            Job::Catalogue { beside, reach } => {
                Ok(Outcome::Catalogue(catalogue::entries(&self.setup, beside.as_deref(), reach)))
            }
            Job::Pull { suite, reach } => {
                let suite = self.suite(&suite)?;
                self.pull(&suite, &Choice::default(), reach, cancel, progress)?;
                Ok(Outcome::Pulled(suite.name))
            }
        }
    }

    /// The suite of an id or a file's path.
    ///
    /// # Errors
    /// That there is none, or what is wrong with its file.
    pub fn suite(&self, id_or_path: &str) -> Result<Suite, Report> {
        let mut suite = suite::find(id_or_path, &self.setup.suites)?;
        suite.model.tokenizer = self.setup.tokenizer.unwrap_or(suite.model.tokenizer);
        Ok(suite)
    }

    /// Downloads what is missing of a choice, and of the model no more than a reach takes where it is in shards. Gives
    /// what is here then, and what of the model was left out.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn pull(
        &self,
        suite: &Suite,
        choice: &Choice,
        reach: Reach,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<suite::Plan, Report> {
        Ok(suite.pull_with(choice, &reach.pick(suite.site), &self.setup.hub, cancel, progress)?)
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
        self.open_as(Opening { suite, saes, reach: Reach::Whole, words: true }, cancel, progress)
    }

    /// The same with as much of the model as is said.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_as(
        &mut self,
        opening: Opening<'_>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Opened, Report> {
        // What the open model holds on a card is free again once it is let go.
        let before = self.loaded.as_ref().and_then(|loaded| loaded.open.memory.on_device?.free);
        let plan = open::plan(&self.setup, opening, before)?;
        self.loaded = None;
        self.metas = meta::Metas::none();
        self.desk.clear();
        let loaded = Loaded::new(open::load(plan, &self.setup, cancel, progress)?);
        self.metas = meta::Metas::find(&loaded.room(), &self.setup, cancel)?;
        self.desk.put(Arc::clone(loaded.shared()));
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

    /// Reads no more than so many tokens of the text that is measured on.
    pub fn measure_at_most(&mut self, tokens: Option<usize>) {
        let file = self.desk.text().file;
        self.desk.choose(file, tokens);
    }

    /// Writes the stitched SAE after some steps of the way at a threshold, in an order, into a new folder.
    ///
    /// # Errors
    /// Why there is no such way or step, or it cannot be written.
    pub fn export_step(
        &self,
        (small, large): (&str, &str),
        (threshold, order, step): (f32, Order, usize),
        folder: &Path,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<PathBuf, Report> {
        let (shared, chosen) = (self.desk.lease(cancel)?, self.desk.text());
        let asked = way::Asked { chosen: &chosen, places: shared.places(small, large)?, threshold, order };
        shared.export_step(&asked, step, folder, cancel, progress)
    }

    /// A latent's card; without a threshold the suite's own stands.
    ///
    /// # Errors
    /// That there is no such SAE or latent.
    pub fn card(&mut self, sae: &str, latent: u32, threshold: Option<f32>, top: usize) -> Result<LatentCard, Report> {
        let mut card = self.loaded()?.card(sae, latent, threshold, top)?;
        if let Some(loaded) = &self.loaded {
            card.meta = self.metas.entries(&loaded.room(), sae, latent)?;
        }
        Ok(card)
    }

    /// Which heads and tokens of the last prompt made a latent of an attention-z SAE fire; without a position at the one
    /// where it fires most strongly.
    ///
    /// # Errors
    /// That the SAE is at another site, that there is no such latent or position, or that the latent does not fire.
    pub fn attribution(
        &mut self,
        sae: &str,
        latent: u32,
        position: Option<usize>,
        cancel: &Cancel,
    ) -> Result<Attribution, Report> {
        self.loaded()?.attribution((sae, latent, position), cancel)
    }

    /// A meta-SAE with its table, made where it was not there.
    fn scope(&mut self, sae: &str, meta: &str, cancel: &Cancel) -> Result<meta::Scope<'_>, Report> {
        self.loaded()?;
        let Self { loaded: Some(loaded), metas, setup, .. } = self else { return Err(desk::nothing()) };
        // Another may have been trained since, beside the session: this one, or one that says what is stable in it.
        metas.look_again(&loaded.room(), setup);
        metas.scope(loaded.room(), sae, meta, cancel)
    }

    fn breakdown(
        &mut self,
        sae: &str,
        latent: u32,
        meta: Option<&str>,
        cancel: &Cancel,
    ) -> Result<BreakdownView, Report> {
        if let (None, Some(loaded)) = (meta, &self.loaded) {
            self.metas.look_again(&loaded.room(), &self.setup);
        }
        let wanted = meta.map_or_else(|| self.metas.of(sae), |meta| vec![meta.to_owned()]);
        if wanted.is_empty() {
            let loaded = self.loaded()?;
            return Err(meta::none_of(&loaded.room(), sae));
        }
        let mut metas = Vec::with_capacity(wanted.len());
        for meta in wanted {
            metas.push(self.scope(sae, &meta, cancel)?.entry(latent, cancel)?);
        }
        Ok(BreakdownView { sae: sae.to_owned(), latent, metas })
    }

    /// Forgets what the last run left, after a job that broke off in the middle of it.
    pub fn forget_run(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.forget_run();
        }
    }

    fn loaded(&mut self) -> Result<&mut Loaded, Report> {
        self.loaded.as_mut().ok_or_else(desk::nothing)
    }
}
