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
pub struct LabelsQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latents.
    pub latents: Vec<u32>,
}

impl Query for LabelsQuery {
    type Answer = Labels;
    const NAME: &'static str = "labels";
    const PRIORITY: u8 = 40;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Labels, Report> {
        let suite = cx.suite()?;
        let place = suite.place(&self.sae)?;
        let labels = match suite.words() {
            None => Vec::new(),
            Some(words) => card::labels(&suite.saes[place].sae, &self.latents, words, LABEL)
                .map_err(|error| failure::of_sae(format!("cannot name latents of SAE `{}`", self.sae), &error))?,
        };
        Ok(Labels { sae: self.sae.clone(), labels })
    }
}

/// Names of latents of one SAE.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// The SAE's id.
    pub sae: String,
    /// Each latent with the tokens it promotes most, best first.
    pub labels: Vec<(u32, Vec<TokenValue>)>,
}
