//! Rules that are kept, counted on the held-out half of a text.
//! Not here: words, which a model judges (`words`).

use std::path::PathBuf;
use std::time::Instant;

use crate::analysis::{Label, LabelSource, RulePart};
use crate::report::Report;
use crate::session::index::{IndexRecipe, read_firings};
use crate::session::labels::{LABEL_TOKENS, LabelCount};
use crate::session::load_scope::{LoadScope, needs_model};
use crate::session::query::{Cx, Lane, Query};

/// Count the rules that are kept of an SAE's latents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScoreRulesQuery {
    /// The SAE's id.
    pub sae: String,
    /// These latents; all that have a rule where it is empty.
    pub latents: Vec<u32>,
    /// Only so many of them, in their order.
    pub limit: Option<usize>,
    /// The text, as for an index; the one that is measured on otherwise.
    pub texts: Vec<PathBuf>,
    /// Tokens of it that are read at most.
    pub tokens: Option<u64>,
}

impl Query for ScoreRulesQuery {
    type Answer = LabelCount;
    const NAME: &'static str = "score-rules";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 87;

    fn run(&self, cx: &mut Cx<'_>) -> Result<LabelCount, Report> {
        let started = Instant::now();
        let (suite, corpus, cancel) = (cx.suite()?, cx.corpus()?, cx.cancel);
        if suite.open.reach == LoadScope::WeightsOnly {
            return Err(needs_model("cannot read a text".to_owned()));
        }
        let place = suite.place(&self.sae)?;
        self.latents.iter().try_for_each(|latent| suite.check_latent(place, *latent))?;
        let width = suite.saes[place].sae.width();
        let known = suite.labels(place, cancel)?;
        let rules = known.of.get(&LabelSource::Rule).cloned().unwrap_or_default();
        let wanted = |latent: &u32| self.latents.is_empty() || self.latents.contains(latent);
        let labels = rules.into_iter().filter(|(latent, _)| wanted(latent));
        let labels = labels.flat_map(|(latent, labels)| labels.into_iter().map(move |label| (latent, label)));
        let mut labels: Vec<(u32, Label)> = labels.take(self.limit.unwrap_or(usize::MAX)).collect();
        let before = labels.iter().filter(|(_, label)| label.rule.is_empty()).count();
        labels.retain(|(_, label)| !label.rule.is_empty());
        let mut notes = Vec::new();
        if before > 0 {
            notes.push(format!(
                "{before} rules are of an earlier version that did not keep what they name: make them again"
            ));
        }
        if labels.is_empty() {
            notes.push("there are no rules to be counted: `labels make --rules` makes them".to_owned());
            let mut count = known.count(&self.sae, width);
            count.notes.extend(notes);
            return Ok(LabelCount { seconds: started.elapsed().as_secs_f64(), ..count });
        }
        let recipe = IndexRecipe {
            texts: self.texts.clone(),
            saes: vec![self.sae.clone()],
            tokens: Some(self.tokens.unwrap_or(LABEL_TOKENS)),
            ..IndexRecipe::default()
        };
        let firings = read_firings(suite, &corpus, &recipe, (&self.sae, cancel, cx.progress))?;
        let rules: Vec<(u32, &[RulePart])> = labels.iter().map(|(latent, label)| (*latent, &label.rule[..])).collect();
        let counts = firings.counted(&rules, cancel)?;
        let scored = labels.iter().zip(counts).map(|((latent, label), counts)| {
            let scores = counts.map(|counts| counts.scores()).or(label.scores);
            (*latent, vec![Label { scores, ..label.clone() }])
        });
        suite.keep_labels(place, LabelSource::Rule, scored.collect(), cancel)?;
        let mut count = suite.labels(place, cancel)?.count(&self.sae, width);
        count.notes.extend(notes);
        let tokens = Some(firings.held_out.len() as u64);
        Ok(LabelCount { tokens, seconds: started.elapsed().as_secs_f64(), ..count })
    }
}
