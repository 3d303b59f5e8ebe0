//! Latents by number or by a token they promote.
//! Not here: how they are ranked (`analysis::card`).

use crate::analysis::card;
use crate::report::Report;
use crate::session::failure;
use crate::session::query::{Cx, Query};

/// Latents by number or by a token they promote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchQuery {
    /// The SAE's id.
    pub sae: String,
    /// A number, or text of a token.
    pub query: String,
}

/// The same, for what the work queue is filtered by: it continues beside a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterQuery(pub SearchQuery);

impl Query for SearchQuery {
    type Answer = Found;
    const NAME: &'static str = "search";
    const PRIORITY: u8 = 50;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Found, Report> {
        let (Self { sae, query }, suite) = (self, cx.suite()?);
        let place = suite.place(sae)?;
        let matches = card::search(&suite.saes[place].sae, query, suite.words())
            .map_err(|error| failure::of_sae(format!("cannot search SAE `{sae}`"), &error))?;
        Ok(Found { sae: sae.clone(), query: query.clone(), meaning: matches.meaning, latents: matches.latents })
    }
}

impl Query for FilterQuery {
    type Answer = Found;
    const NAME: &'static str = "filter";
    const PRIORITY: u8 = 60;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Found, Report> {
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
    /// The latents, best first, with the value they were ranked by.
    pub latents: Vec<(u32, f32)>,
}
