//! What is loaded, and one synchronous way to ask it for something.
//! Not here: threads, the terminal.

use std::sync::Arc;

use serde::Serialize;

use crate::analysis::{LatentCard, Run, TokenValue};
use crate::site::Site;

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
    /// Where activations are taken.
    pub site: Site,
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
