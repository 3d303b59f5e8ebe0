//! Labels that Neuronpedia publishes, at a person's wish.
//! Not here: where its export is and how it is read (`neuronpedia`).

use std::time::Instant;

use crate::analysis::{Label, LabelSource};
use crate::report::{Kind, Report};
use crate::session::labels::LabelCount;
use crate::session::neuronpedia::Export;
use crate::session::query::{Cx, Lane, Query};

/// Take in what Neuronpedia says of an SAE's latents. All of it is read before any is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullLabelsQuery {
    /// The SAE's id.
    pub sae: String,
    /// Whether the source may be of other files than the suite's.
    pub anyway: bool,
}

impl Query for PullLabelsQuery {
    type Answer = LabelCount;
    const NAME: &'static str = "pull-labels";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 85;

    fn run(&self, cx: &mut Cx<'_>) -> Result<LabelCount, Report> {
        let started = Instant::now();
        let (suite, cancel) = (cx.suite()?, cx.cancel);
        let place = suite.place(&self.sae)?;
        let (entry, width) = (&suite.saes[place].entry, suite.saes[place].sae.width());
        let export = Export::of(&suite.setup.neuronpedia, entry)?;
        let doubt = match export.check(entry, cancel) {
            Err(report) if self.anyway && report.kind != Kind::Cancelled => Some(report.what),
            other => other?,
        };
        let (mut found, bytes) = export.explanations(width, cancel, cx.progress)?;
        let nothing = found.is_empty().then(|| format!("Neuronpedia's export of `{}` has no labels", export.id));
        // What it does not say anything of is known to have none.
        let labels: Vec<(u32, Vec<Label>)> =
            (0..width as u32).map(|latent| (latent, found.remove(&latent).unwrap_or_default())).collect();
        suite.keep_labels(place, LabelSource::Neuronpedia, labels, cancel)?;
        let mut count = suite.labels(place, cancel)?.count(&self.sae, width);
        count.notes.extend(doubt.into_iter().chain(nothing));
        count.notes.push(export.terms());
        Ok(LabelCount { bytes: Some(bytes), seconds: started.elapsed().as_secs_f64(), ..count })
    }
}
