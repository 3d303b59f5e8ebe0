//! Short names of latents: the tokens they promote.
//! Not here: how tokens are ranked (`analysis::card`).

use crate::analysis::{TokenValue, card};
use crate::report::Report;
use crate::session::failure;
use crate::session::query::{Cx, Query};

/// Tokens in a latent's short name.
const LABEL: usize = 5;

/// Short names of latents: the tokens they promote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamesQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latents.
    pub latents: Vec<u32>,
}

impl Query for NamesQuery {
    type Answer = LatentNames;
    const NAME: &'static str = "names";
    const PRIORITY: u8 = 40;

    fn run(&self, cx: &mut Cx<'_>) -> Result<LatentNames, Report> {
        let suite = cx.suite()?;
        let place = suite.place(&self.sae)?;
        let names = match suite.words() {
            None => Vec::new(),
            Some(words) => card::names(&suite.saes[place].sae, &self.latents, words, LABEL)
                .map_err(|error| failure::of_sae(format!("cannot name latents of SAE `{}`", self.sae), &error))?,
        };
        Ok(LatentNames { sae: self.sae.clone(), names })
    }
}

/// Names of latents of one SAE.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentNames {
    /// The SAE's id.
    pub sae: String,
    /// Each latent with the tokens it promotes most, best first.
    pub names: Vec<(u32, Vec<TokenValue>)>,
}
