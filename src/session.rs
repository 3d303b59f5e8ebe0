//! What is loaded, and one synchronous way to ask it a question.
//! Not here: threads, the terminal, and the questions; each has a file of its own.

mod attribution;
mod background;
mod card;
mod catalogue;
mod compare;
mod compute_device;
mod content;
mod corpus;
mod current;
mod curve;
mod damage;
mod doctor;
mod effect;
mod export;
mod failure;
mod family;
mod fit;
mod group;
mod index;
mod interpolation;
mod labels;
mod lens;
mod load_scope;
mod loaded_suite;
mod loss;
mod memo;
mod memory;
mod meta;
mod names;
mod neuronpedia;
mod next;
mod open;
mod opened;
mod pack;
mod pairs;
mod prompt;
mod prompt_session;
mod pull;
mod query;
mod run;
mod sample;
mod scratch;
mod search;
mod sides;
mod single_flight;
mod spliced;
mod steer;
mod swap;
mod tables;
mod text;
mod verdict;
mod versions;
mod workbench;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use attribution::{AttributionQuery, check as check_attribution};
pub use background::BackgroundSession;
pub use card::CardQuery;
pub use catalogue::{CatalogueQuery, SuiteEntry};
pub use compare::CompareQuery;
pub use compute_device::ComputeDevice;
pub use corpus::TextQuery;
pub use curve::{CurveLossQuery, CurveQuery};
pub use doctor::{Checked, CheckupQuery, MappingQuery};
pub use effect::{EffectQuery, GRID_POSITIONS, GridQuery, MetaEffectQuery};
pub use export::ExportQuery;
pub use family::FamilyQuery;
pub use fit::{Memory, OnDevice};
pub use group::GroupQuery;
pub use index::{
    CorpusQuery, Frequencies, FrequenciesQuery, INDEX_TOP, IndexQuery, IndexRecipe, MetaCorpusQuery, ReadOn,
    index_info, merge_indexes,
};
pub use labels::{
    Endpoint, ExamplesCount, ExportLabelsQuery, ImportLabelsQuery, Key, LabelCount, Labels, LabelsQuery,
    MakeLabelsQuery, ModelAsked, PullExamplesQuery, PullLabelsQuery, ScoreRulesQuery, WordsQuery, WriteLabelQuery,
};
pub use lens::{LensFile, LensFitted, LensOf, LensOffer, LensOfferQuery, LensPullQuery, LensQuery, LensRecipe};
pub use load_scope::{LoadScope, OpenRequest};
pub use loss::{Loss, LossQuery};
pub use memory::available as available_memory;
pub use meta::{
    BreakdownQuery, ContinueQuery, MetaCardQuery, MetaNames, MetaNamesQuery, MetaQuery, MetaRecipe, MetaRunQuery,
    MetaState, MetaTrained, MetasQuery, SurgeryQuery,
};
pub use names::{LatentNames, NamesQuery};
pub use neuronpedia::Neuronpedia;
pub use next::{NextQuery, Predictions};
pub use opened::{OpenQuery, OpenedSuite, SaeInfo};
pub use pack::PackQuery;
pub use pairs::PairQuery;
pub use prompt::of_file;
pub use pull::PullQuery;
pub use query::{Cx, Lane, Query, Slot};
pub use run::{RawRun, RunOptions, RunQuery};
pub use search::{FilterQuery, Found, PreviewQuery, SearchQuery};
pub use sides::{OtherSide, Sides, SidesQuery};
pub use steer::{MOST_STRENGTHS, STEER_ARMS, SteerChange, SteerEdit, SteerQuery, SteerTarget, StrengthUnit, Sweep};
pub use swap::{SwapAccuracy, SwapQuery, SwapRow, SwapTemplate, SwapTemplateQuery, SwapTemplateView};
pub use tables::TablesQuery;
pub use verdict::VerdictQuery;
pub use versions::{FileVersion, Versions};
pub use workbench::WorkbenchQuery;

use crate::analysis::{Attribution, LatentCard, Order, Run};
use crate::hub::Hub;
use crate::report::Report;
use crate::suite::{self, Choice, Suite, TokenizerWord};
use crate::task::{Cancel, OnProgress};

use current::CurrentSuite;
use prompt_session::PromptSession;
use query::Host;

/// Meta-latents of a meta-SAE for an SAE of so many latents, where nothing else is said.
#[must_use]
pub fn meta_width(latents: usize) -> usize {
    crate::sae::meta::default_width(latents)
}

/// Where a session finds things, and how much it may use.
#[derive(Clone)]
pub struct SessionConfig {
    /// The hub and its cache.
    pub hub: Hub,
    /// Directories with the user's own suite files.
    pub suites: Vec<PathBuf>,
    /// The memory that is free for use, in bytes; none when that is not known.
    pub memory: fn() -> Option<u64>,
    /// What computes models.
    pub compute_device: ComputeDevice,
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
    /// Where Neuronpedia is.
    pub neuronpedia: Neuronpedia,
}

impl SessionConfig {
    /// With this hub alone: no suites of the user's, no limit of memory, the CPU, and nothing kept.
    #[must_use]
    pub fn new(hub: Hub) -> Self {
        Self {
            hub,
            suites: Vec::new(),
            memory: || None,
            compute_device: ComputeDevice::default(),
            metas: None,
            tables: None,
            text: None,
            checkups: None,
            tokenizer: None,
            neuronpedia: Neuronpedia::default(),
        }
    }

    /// The suite of an id or a file's path, with what counts for every suite here.
    fn suite(&self, id_or_path: &str) -> Result<Suite, Report> {
        let mut suite = suite::find(id_or_path, &self.suites)?;
        suite.model.tokenizer = self.tokenizer.unwrap_or(suite.model.tokenizer);
        Ok(suite)
    }

    /// What questions are answered with where no suite is open.
    pub const fn cx<'a>(&'a self, cancel: &'a Cancel, progress: OnProgress<'a>) -> Cx<'a> {
        Cx::new(Host::SessionConfig(self), cancel, progress)
    }
}

/// What is loaded, and the one way to ask it for something.
pub struct Session {
    setup: SessionConfig,
    prompt: Option<PromptSession>,
    metas: meta::Metas,
    current: Arc<CurrentSuite>,
}

impl Session {
    /// Nothing loaded yet.
    #[must_use]
    pub fn new(setup: SessionConfig) -> Self {
        Self { setup, prompt: None, metas: meta::Metas::none(), current: Arc::default() }
    }

    /// A helper for what takes long, which works on what this session has open.
    #[must_use]
    pub fn background(&self) -> BackgroundSession {
        BackgroundSession::new(Arc::clone(&self.current))
    }

    /// Answers a question, on the calling thread.
    ///
    /// # Errors
    /// What went wrong as a person reads it; of kind [`Kind::Cancelled`](crate::report::Kind::Cancelled) when it was
    /// cancelled.
    pub fn ask<Q: Query>(&mut self, query: &Q, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Q::Answer, Report> {
        query.run(&mut self.cx(cancel, progress))
    }

    /// What questions are answered with.
    pub const fn cx<'a>(&'a mut self, cancel: &'a Cancel, progress: OnProgress<'a>) -> Cx<'a> {
        Cx::new(Host::Session(self), cancel, progress)
    }

    /// The suite of an id or a file's path.
    ///
    /// # Errors
    /// That there is none, or what is wrong with its file.
    pub fn suite(&self, id_or_path: &str) -> Result<Suite, Report> {
        self.setup.suite(id_or_path)
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
        reach: LoadScope,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<suite::PullPlan, Report> {
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
    ) -> Result<OpenedSuite, Report> {
        self.open_as(OpenRequest { suite, saes, reach: LoadScope::Whole, words: true }, cancel, progress)
    }

    /// The same with as much of the model as is said.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_as(
        &mut self,
        opening: OpenRequest<'_>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<OpenedSuite, Report> {
        // What the open model holds on a card is free again once it is let go.
        let before = self.prompt.as_ref().and_then(|prompt| prompt.open.memory.on_device?.free);
        let plan = open::plan(&self.setup, opening, before)?;
        self.prompt = None;
        self.metas = meta::Metas::none();
        self.current.clear();
        let prompt = PromptSession::new(open::load(plan, &self.setup, cancel, progress)?);
        self.metas = meta::Metas::find(&prompt, &self.setup, cancel)?;
        self.current.put(Arc::clone(prompt.shared()));
        let mut opened = prompt.opened();
        opened.notes.extend(self.metas.notes(&|_| true));
        self.prompt = Some(prompt);
        Ok(opened)
    }

    /// A prompt through the model and the loaded SAEs.
    ///
    /// # Errors
    /// Why the prompt cannot be run.
    pub fn run(&mut self, prompt: &str, options: &RunOptions, cancel: &Cancel) -> Result<Run, Report> {
        self.prompt_mut()?.run(prompt, options, cancel)
    }

    /// The tensors behind the last run.
    ///
    /// # Errors
    /// Why they cannot be had.
    pub fn raw(&mut self, cancel: &Cancel) -> Result<RawRun, Report> {
        self.prompt_mut()?.raw(cancel)
    }

    /// Reads no more than so many tokens of the text that is measured on.
    pub fn measure_at_most(&mut self, tokens: Option<usize>) {
        let file = self.current.corpus().file;
        self.current.choose(file, tokens);
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
        let (suite, corpus) = (self.prompt()?, self.current.corpus());
        let asked =
            interpolation::CurveRequest { corpus: &corpus, places: suite.places(small, large)?, threshold, order };
        suite.export_step(&asked, step, folder, cancel, progress)
    }

    /// A latent's card; without a threshold the suite's own stands.
    ///
    /// # Errors
    /// That there is no such SAE or latent.
    pub fn card(&mut self, sae: &str, latent: u32, threshold: Option<f32>, top: usize) -> Result<LatentCard, Report> {
        let Self { prompt: Some(prompt), metas, .. } = self else { return Err(current::nothing()) };
        let mut card = prompt.card(sae, latent, threshold, top)?;
        card.meta = metas.entries(prompt, sae, latent)?;
        card.notes.extend(metas.notes(&|of| of == sae));
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
        self.prompt_mut()?.attribution((sae, latent, position), cancel)
    }

    /// A meta-SAE with its table, made where it was not there.
    fn scope(&mut self, sae: &str, meta: &str, cancel: &Cancel) -> Result<meta::Scope<'_>, Report> {
        // Another may have been trained since, beside the session: this one, or one that says what is stable in it.
        self.metas();
        let Self { prompt: Some(prompt), metas, .. } = self else { return Err(current::nothing()) };
        metas.scope(prompt, sae, meta, cancel)
    }

    /// The meta-SAEs there are now.
    fn metas(&mut self) -> &meta::Metas {
        if let Some(prompt) = &self.prompt {
            self.metas.look_again(prompt, &self.setup);
        }
        &self.metas
    }

    /// Forgets what the last run left, after a question that broke off in the middle of it.
    pub fn forget_run(&mut self) {
        if let Some(prompt) = &mut self.prompt {
            prompt.forget_run();
        }
    }

    fn prompt(&self) -> Result<&PromptSession, Report> {
        self.prompt.as_ref().ok_or_else(current::nothing)
    }

    fn prompt_mut(&mut self) -> Result<&mut PromptSession, Report> {
        self.prompt.as_mut().ok_or_else(current::nothing)
    }

    fn current(&self) -> &CurrentSuite {
        &self.current
    }

    const fn setup(&self) -> &SessionConfig {
        &self.setup
    }
}
