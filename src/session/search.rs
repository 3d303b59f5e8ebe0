//! Latents by number, by label, by tokens they fire on, by tokens they promote.
//! Not here: how they are ranked (`analysis::search`).

use std::collections::BTreeMap;

use crate::analysis::LatentCorpus;
use crate::analysis::search::{self, Hit, SearchIn, Searched};
use crate::report::{Kind, Report};
use crate::session::failure;
use crate::session::index::CorpusQuery;
use crate::session::query::{Cx, Lane, Query};

/// Latents by number, by label, by tokens they fire on, by tokens they promote (see [`SearchIn`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// The SAE's id.
    pub sae: String,
    /// A number or a text, with a prefix or without: `Einstein`, `on:Einstein`, `to:was`, `label:physics`, `#12`.
    pub query: String,
}

/// The same, for what the work queue is filtered by: it continues beside a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterQuery(pub SearchQuery);

impl Query for SearchQuery {
    type Answer = Found;
    const NAME: &'static str = "search";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 8;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Found, Report> {
        let (Self { sae, query }, suite) = (self, cx.suite()?);
        let place = suite.place(sae)?;
        let (within, text) = search::parse(query);
        let wants = |what| !text.is_empty() && (within == what || within == SearchIn::Everything);
        let labels = if wants(SearchIn::Labels) { suite.label_texts(place, cx.cancel)? } else { BTreeMap::new() };
        let usual = if wants(SearchIn::UsualTokens) {
            match suite.usual_tokens(sae, cx.cancel, cx.progress) {
                // What else a word stands for is found without an index that cannot be read.
                Err(report) if report.kind != Kind::Cancelled && within == SearchIn::Everything => None,
                usual => usual?,
            }
        } else {
            None
        };
        let searched = Searched {
            sae: &suite.saes[place].sae,
            tokenizer: &suite.model.tokenizer,
            words: suite.words(),
            labels: &labels,
            usual: usual.as_deref(),
        };
        let matches = search::search(query, searched)
            .map_err(|error| failure::of_sae(format!("cannot search SAE `{sae}`"), &error))?;
        Ok(Found { sae: sae.clone(), query: query.clone(), meaning: matches.meaning, hits: matches.hits })
    }
}

impl Query for FilterQuery {
    type Answer = Found;
    const NAME: &'static str = "filter";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 9;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Found, Report> {
        self.0.run(cx)
    }
}

/// What the index says of a latent that was found; it is asked beside what is asked of the chosen one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewQuery(pub CorpusQuery);

impl Query for PreviewQuery {
    type Answer = Option<LatentCorpus>;
    const NAME: &'static str = "preview";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 11;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Option<LatentCorpus>, Report> {
        self.0.run(cx)
    }
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
    /// The latents, best first.
    pub hits: Vec<Hit>,
}
