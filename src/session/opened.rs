//! Loading a suite, as a question, and what is reported of the suite that is loaded.
//! Not here: finding its files, seeing that it fits, and loading it (`open.rs`).

use serde::Serialize;

use crate::report::Report;
use crate::session::fit::Memory;
use crate::session::load_scope::{LoadScope, OpenRequest};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::query::{Cx, Query};
use crate::site::Site;
use crate::suite::SaeEntry;

/// Load a suite: its model and the SAEs that are to be loaded at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenQuery {
    /// An id of the catalogue or the path of a suite file.
    pub suite: String,
    /// The SAEs to load; those that the suite says where it is empty.
    pub saes: Vec<String>,
    /// How much of the model.
    pub reach: LoadScope,
}

impl Query for OpenQuery {
    type Answer = OpenedSuite;
    const NAME: &'static str = "suite";
    const PRIORITY: u8 = 0;

    fn run(&self, cx: &mut Cx<'_>) -> Result<OpenedSuite, Report> {
        let (cancel, progress) = (cx.cancel, cx.progress);
        let session = cx.session()?;
        let suite = session.suite(&self.suite)?;
        let saes = if self.saes.is_empty() { suite.default_saes() } else { self.saes.clone() };
        session.open_as(OpenRequest { suite, saes: &saes, reach: self.reach, words: false }, cancel, progress)
    }
}

/// A suite that is loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenedSuite {
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
    pub reach: LoadScope,
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

impl LoadedSuite {
    /// What is reported of it.
    pub fn opened(&self) -> OpenedSuite {
        let known = |entry: &SaeEntry, width: Option<usize>| SaeInfo {
            id: entry.id.clone(),
            width,
            loaded: width.is_some(),
            neuronpedia: entry.neuronpedia.clone(),
        };
        let loaded = self.saes.iter().map(|loaded| known(&loaded.entry, Some(loaded.sae.width())));
        let others = self.suite.saes.iter().filter(|entry| self.saes.iter().all(|sae| sae.entry.id != entry.id));
        OpenedSuite {
            suite: self.suite.id.clone(),
            title: self.suite.title.clone(),
            model: self.suite.model.source.to_string(),
            site: self.suite.site,
            threshold: self.suite.threshold,
            device: self.setup.compute_device.words(),
            saes: loaded.chain(others.map(|entry| known(entry, None))).collect(),
            context: self.model.model.shape().context,
            bos: self.suite.model.prepend_bos,
            prompt: self.suite.prompt.clone().unwrap_or_default(),
            reach: self.open.reach,
            words: self.words().is_some(),
            memory: self.open.memory,
            notes: self.open.notes.clone(),
        }
    }
}
