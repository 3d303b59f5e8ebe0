//! Rule labels made of a text: read once through the model, for all latents of an SAE.
//! Not here: choosing rules (`analysis::rules`).

use std::path::PathBuf;
use std::time::Instant;

use crate::analysis::{Label, LabelSource, tokens};
use crate::report::Report;
use crate::session::index::{IndexRecipe, read_firings};
use crate::session::labels::LabelCount;
use crate::session::load_scope::{LoadScope, needs_model};
use crate::session::query::{Cx, Lane, Query};

/// Tokens of the text that are read where nothing else is said.
pub const LABEL_TOKENS: u64 = 200_000;

/// Make rule labels of an SAE's latents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MakeLabelsQuery {
    /// The SAE's id.
    pub sae: String,
    /// These latents; all of the SAE's where it is empty.
    pub latents: Vec<u32>,
    /// Only so many of them, in their order.
    pub limit: Option<usize>,
    /// The text, as for an index; the one that is measured on otherwise.
    pub texts: Vec<PathBuf>,
    /// Tokens of it that are read at most.
    pub tokens: Option<u64>,
    /// Make none where all latents of the SAE were asked about before.
    pub unless_made: bool,
}

impl Query for MakeLabelsQuery {
    type Answer = LabelCount;
    const NAME: &'static str = "make-labels";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 80;

    fn run(&self, cx: &mut Cx<'_>) -> Result<LabelCount, Report> {
        let started = Instant::now();
        let (suite, corpus, cancel) = (cx.suite()?, cx.corpus()?, cx.cancel);
        if suite.open.reach == LoadScope::WeightsOnly {
            return Err(needs_model("cannot read a text".to_owned()));
        }
        let place = suite.place(&self.sae)?;
        self.latents.iter().try_for_each(|latent| suite.check_latent(place, *latent))?;
        let known = suite.labels(place, cancel)?;
        let width = suite.saes[place].sae.width();
        if self.unless_made && known.of.get(&LabelSource::Rule).is_some_and(|of| of.len() == width) {
            return Ok(known.count(&self.sae, width));
        }
        let recipe = IndexRecipe {
            texts: self.texts.clone(),
            saes: vec![self.sae.clone()],
            tokens: Some(self.tokens.unwrap_or(LABEL_TOKENS)),
            ..IndexRecipe::default()
        };
        let firings = read_firings(suite, &corpus, &recipe, (&self.sae, cancel, cx.progress))?;
        let all: Vec<u32> = (0..suite.saes[place].sae.width() as u32).collect();
        let mut latents = if self.latents.is_empty() { all } else { self.latents.clone() };
        latents.truncate(self.limit.unwrap_or(usize::MAX));
        let rules = firings.rules(&latents, cancel)?;
        let text = |id: u32| tokens::shown(id, &suite.model.tokenizer);
        let label = |rule: &Option<_>| rule.as_ref().and_then(|rule| firings.label(rule, &text));
        let labels: Vec<(u32, Vec<Label>)> =
            latents.iter().zip(&rules).map(|(latent, rule)| (*latent, label(rule).into_iter().collect())).collect();
        suite.keep_labels(place, LabelSource::Rule, labels, cancel)?;
        let count = suite.labels(place, cancel)?.count(&self.sae, suite.saes[place].sae.width());
        let tokens = Some(firings.held_out.len() as u64);
        Ok(LabelCount { tokens, seconds: started.elapsed().as_secs_f64(), ..count })
    }
}
