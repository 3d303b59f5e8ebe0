//! What is loaded, and one synchronous way to ask it for something.
//! Not here: threads, the terminal.

mod aide;
mod bench;
mod catalogue;
mod desk;
mod failure;
mod loaded;
mod loss;
mod memory;
mod meta;
mod meta_train;
mod once;
mod open;
mod pairs;
mod shared;
mod tables;
mod text;
mod way;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

pub use aide::Aide;
pub use memory::available as available_memory;

use crate::analysis::{
    Arm, Bench, BenchLoss, BreakdownView, Change, Continuation, CurveLoss, CurveView, Family, GroupView, LatentCard,
    MetaCard, MetaInfo, MetaLabel, MetaRun, Operation, Order, PairView, Run, Sampling, Side, SurgeryView, TextInfo,
    TokenValue, Verdict,
};
use crate::hub::Hub;
use crate::report::Report;
use crate::site::Site;
use crate::suite::{self, Choice, Suite};
use crate::task::{Cancel, OnProgress};

use desk::Desk;
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
    /// The meta-SAEs of the loaded SAEs: those of the suite and those that this program trained. What their tables say
    /// is there once they were made. The answer is [`Outcome::Metas`].
    Metas,
    /// Put all decoder rows of an SAE through a meta-SAE, so that members are known. The answer is [`Outcome::Meta`].
    Meta {
        /// The SAE's id.
        sae: String,
        /// The meta-SAE's id, or a folder.
        meta: String,
    },
    /// What a latent is made of. The answer is [`Outcome::Breakdown`].
    Breakdown {
        /// The SAE's id.
        sae: String,
        /// The latent.
        latent: u32,
        /// The meta-SAE's id, or a folder; all that the SAE has otherwise.
        meta: Option<String>,
    },
    /// A meta-latent's card. The answer is [`Outcome::MetaCard`].
    MetaCard {
        /// The SAE's id.
        sae: String,
        /// The meta-SAE's id, or a folder.
        meta: String,
        /// The meta-latent.
        meta_latent: u32,
        /// Members, tokens and neighbours wanted in each list.
        top: usize,
    },
    /// The prompt that was run last, by meta-latents. The answer is [`Outcome::MetaRun`].
    MetaRun {
        /// The SAE's id.
        sae: String,
        /// The meta-SAE's id, or a folder.
        meta: String,
    },
    /// Short names of meta-latents. The answer is [`Outcome::MetaLabels`].
    MetaLabels {
        /// The SAE's id.
        sae: String,
        /// The meta-SAE's id, or a folder.
        meta: String,
        /// The meta-latents.
        meta_latents: Vec<u32>,
    },
    /// What comes next with a latent's decoder row edited, beside the untouched model and a random edit. The answer is
    /// [`Outcome::Surgery`].
    Surgery {
        /// The edit.
        operation: Operation,
        /// The prompt.
        prompt: String,
        /// Likeliest next tokens wanted of each model.
        next: usize,
        /// Texts whose log-probability is wanted.
        named: Vec<String>,
    },
    /// How one of the three models goes on; progress carries the text so far. The answer is [`Outcome::Continued`].
    Continue {
        /// The edit.
        operation: Operation,
        /// The prompt.
        prompt: String,
        /// Which model.
        arm: Arm,
        /// Tokens wanted.
        tokens: usize,
        /// How each is chosen.
        sampling: Sampling,
    },
    /// Train a meta-SAE on an SAE's decoder rows; what was begun and not finished goes on. The answer is
    /// [`Outcome::Trained`].
    TrainMeta(MetaRecipe),
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
    /// The meta-SAEs of the loaded SAEs.
    Metas(Arc<Vec<MetaState>>),
    /// What is known of a meta-SAE.
    Meta(Arc<MetaInfo>),
    /// What a latent is made of.
    Breakdown(Arc<BreakdownView>),
    /// A meta-latent's card.
    MetaCard(Arc<MetaCard>),
    /// The prompt by meta-latents.
    MetaRun(Arc<MetaRun>),
    /// Names of meta-latents.
    MetaLabels(MetaLabels),
    /// What comes next with an edit.
    Surgery(Arc<SurgeryView>),
    /// How a model goes on.
    Continued(Arc<Continuation>),
    /// A meta-SAE is trained, kept and loaded.
    Trained(Arc<MetaTrained>),
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

/// A meta-SAE that is there, or was to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaState {
    /// Its id.
    pub meta: String,
    /// The SAE whose decoder rows it takes apart.
    pub sae: String,
    /// Meta-latents; none where it cannot be used.
    pub width: Option<usize>,
    /// Whether this program trained it.
    pub trained: bool,
    /// What is known of it, once its table was made ([`Job::Meta`]).
    pub info: Option<Arc<MetaInfo>>,
    /// Why it cannot be used.
    pub failure: Option<Report>,
}

/// Names of meta-latents of one meta-SAE.
#[derive(Clone, Debug, PartialEq)]
pub struct MetaLabels {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE's id.
    pub meta: String,
    /// The names.
    pub labels: Vec<MetaLabel>,
}

/// How a meta-SAE is to be trained (methods §5).
#[derive(Clone, Debug, PartialEq)]
pub struct MetaRecipe {
    /// The SAE's id.
    pub sae: String,
    /// Meta-latents; 3/64 of the SAE's latents otherwise.
    pub width: Option<usize>,
    /// Meta-latents active in a row, in the mean.
    pub k: usize,
    /// Steps of Adam.
    pub steps: usize,
    /// Rows of a step; more than there are means all.
    pub batch: usize,
    /// Learning rate.
    pub rate: f32,
    /// Seed of the first weights and of the order of the rows.
    pub seed: u64,
    /// The folder it is written to; the program's own otherwise.
    pub out: Option<PathBuf>,
}

impl MetaRecipe {
    /// The paper's settings.
    #[must_use]
    pub fn new(sae: impl Into<String>) -> Self {
        let config = crate::sae::meta::recipe(0, crate::sae::meta::MEAN_ACTIVE);
        let (k, steps, batch, rate, seed) = (config.k, config.steps, config.batch, config.rate, config.seed);
        Self { sae: sae.into(), width: None, k, steps, batch, rate, seed, out: None }
    }
}

/// A meta-SAE that was trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetaTrained {
    /// What is known of it.
    #[serde(flatten)]
    pub info: MetaInfo,
    /// How long training took, this time.
    pub seconds: f64,
    /// Where it is kept.
    pub folder: PathBuf,
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
    /// Where meta-SAEs that this program trains are kept; none where nothing is to be kept.
    pub metas: Option<PathBuf>,
    /// Where comparisons of SAEs are kept; none to keep nothing.
    pub tables: Option<PathBuf>,
    /// The text to measure on; none for the suite's or the program's own.
    pub text: Option<PathBuf>,
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
                self.card(&sae, latent, None, top).map(|card| Outcome::Card(Arc::new(card)))
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

    /// A meta-SAE with its table, made where it was not there.
    fn scope(&mut self, sae: &str, meta: &str, cancel: &Cancel) -> Result<meta::Scope<'_>, Report> {
        self.loaded()?;
        let Self { loaded: Some(loaded), metas, setup, .. } = self else { return Err(desk::nothing()) };
        if !metas.has(sae, meta) {
            // It may have been trained since, beside the session.
            metas.look_again(&loaded.room(), setup);
        }
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
