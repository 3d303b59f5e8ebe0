//! The work queue of a pair of SAEs: every latent of the wider one with its class, its m and what putting it in does,
//! at any threshold. Not here: the order and the filter of the list.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Class, Side, TextInfo};
use crate::sae::stitch::Score;
use crate::sae::{self, Classes, Comparison, Error, Group, Sae, metrics};

/// Two SAEs compared, and every latent of the larger one measured on the text. Clones share the comparison.
#[derive(Clone, Debug, Serialize)]
pub struct PairView {
    /// The smaller SAE.
    pub small: String,
    /// The larger SAE.
    pub large: String,
    /// The lowest threshold for which there are groups; for a lower one, ask for the pair with that threshold.
    pub floor: f32,
    /// The text that was measured on.
    pub text: TextInfo,
    /// Every latent of the larger SAE, by index.
    pub rows: Vec<QueueRow>,
    /// For each latent of the smaller SAE on how many tokens of the text it fires.
    pub small_fired: Vec<u64>,
    /// Area under the ROC curve of the cosine rule (−m against whether inserting the latent lowers the error), over the
    /// latents that fire.
    pub auc: Option<f64>,
    /// Whether latents compete (TopK): then c* and ΔMSE are those of an SAE in which they do not.
    pub competes: bool,
    /// Things worth saying, such as that the table could not be kept on disk.
    pub notes: Vec<String>,
    #[serde(skip)]
    comparison: Arc<Comparison>,
}

/// A latent of the larger SAE.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct QueueRow {
    /// Its index.
    pub latent: u32,
    /// The nearest latent of the smaller SAE.
    pub nearest: u32,
    /// Their cosine.
    #[serde(flatten, serialize_with = "crate::analysis::stitching::max_cosine")]
    pub max_cosine: f32,
    /// On how many tokens of the text it fires.
    pub fired: u64,
    /// c*: above ½ exactly when putting it in lowers the squared error. None when it never fires.
    pub c_star: Option<f64>,
    /// What putting it in does to the MSE, the decoder bias held. None when it never fires.
    pub delta_mse: Option<f64>,
    /// Whether its decoder row is zero: it points nowhere and is of no class, and putting it in changes nothing.
    pub zero: bool,
}

/// How many there are of each at a threshold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Latents of the larger SAE with m < θ.
    pub novel: usize,
    /// Latents of the larger SAE with m ≥ θ.
    pub reconstruction: usize,
    /// Swap groups.
    pub groups: usize,
    /// Latents of the larger SAE whose decoder rows are zero; they are of neither class.
    pub zero: usize,
    /// Latents of the smaller SAE in no group.
    pub unmatched: usize,
    /// (latents of the smaller, latents of the larger SAE, how many groups of this size), by size.
    pub census: Vec<(usize, usize, usize)>,
}

impl QueueRow {
    /// Its class at a threshold; none for a decoder row of zeros.
    #[must_use]
    pub fn class(&self, threshold: f32) -> Option<Class> {
        (!self.zero).then(|| Class::of(self.max_cosine, threshold))
    }

    /// Whether the two rules disagree: novel, but putting it in does not lower the error; or reconstruction, but it does.
    /// None when it never fires.
    #[must_use]
    pub fn disagrees(&self, threshold: f32) -> Option<bool> {
        self.class(threshold).zip(self.c_star).map(|(class, c)| (class == Class::Novel) != (c > 0.5))
    }
}

impl PairView {
    /// The view of a comparison with the scores of putting each latent of the larger SAE in, `d_out` dimensions each.
    ///
    /// # Errors
    /// [`Error::Latent`] when there are not as many scores as latents.
    pub fn new(
        (small, large): (String, String),
        comparison: Arc<Comparison>,
        scores: &[Score],
        small_fired: Vec<u64>,
        text: TextInfo,
        d_out: usize,
    ) -> Result<Self, Error> {
        let width = comparison.nearest.rows();
        if scores.len() != width || small_fired.len() != comparison.forest.small {
            return Err(Error::Latent { latent: scores.len(), width });
        }
        let values = (text.tokens * d_out) as f64;
        let rows: Vec<QueueRow> = scores
            .iter()
            .enumerate()
            .map(|(latent, score)| {
                let nearest = comparison.nearest.row(latent)[0];
                QueueRow {
                    latent: latent as u32,
                    nearest: nearest.latent,
                    max_cosine: nearest.cosine,
                    fired: score.fired,
                    c_star: score.c_star(),
                    delta_mse: score.c_star().map(|_| score.delta_sse() / values),
                    zero: false,
                }
            })
            .collect();
        let (floor, auc) = (comparison.forest.floor, auc(&rows));
        let (competes, notes) = (false, Vec::new());
        Ok(Self { small, large, floor, text, rows, small_fired, auc, competes, notes, comparison })
    }

    /// Marks the latents of the larger SAE, `large`, whose decoder rows are zero.
    ///
    /// # Errors
    /// [`Error::Latent`] when it is another SAE.
    pub fn mark_zeros(&mut self, large: &Sae) -> Result<(), Error> {
        // Only a cosine of exactly 0 can be that of a row of zeros.
        for row in self.rows.iter_mut().filter(|row| row.max_cosine == 0.0) {
            row.zero = large.decoder_norm(row.latent as usize)? == 0.0;
        }
        Ok(())
    }

    /// What a threshold makes of the pair: one walk over the forest, some milliseconds for 100,000 latents.
    ///
    /// # Errors
    /// [`Error::Threshold`], [`Error::Floor`] when the threshold lies below `floor`.
    pub fn classes(&self, threshold: f32) -> Result<Classes, Error> {
        Classes::new(&self.comparison, threshold)
    }

    /// How many there are of each at a threshold.
    ///
    /// # Errors
    /// As [`PairView::classes`].
    pub fn counts(&self, threshold: f32) -> Result<Counts, Error> {
        let mut counts = self.classes(threshold).map(|classes| Counts::of(&classes))?;
        counts.zero = self.rows.iter().filter(|row| row.zero).count();
        // By the cosine alone, 0, they were counted with the others.
        let counted = match Class::of(0.0, threshold) {
            Class::Novel => &mut counts.novel,
            Class::Reconstruction => &mut counts.reconstruction,
        };
        *counted = counted.saturating_sub(counts.zero);
        Ok(counts)
    }

    /// The class of a latent of the larger SAE; none when there is no such latent, or its decoder row is zero. For every threshold.
    #[must_use]
    pub fn class(&self, latent: u32, threshold: f32) -> Option<Class> {
        self.rows.get(latent as usize)?.class(threshold)
    }

    /// The group of a latent of either SAE at a threshold; none for a novel or unmatched one.
    ///
    /// # Errors
    /// As [`PairView::classes`].
    pub fn group_of(&self, side: Side, latent: u32, threshold: f32) -> Result<Option<Group>, Error> {
        let classes = self.classes(threshold)?;
        let of = match side {
            Side::Small => &classes.small_group,
            Side::Large => &classes.large_group,
        };
        let group = of.get(latent as usize).copied().flatten();
        Ok(group.and_then(|group| classes.groups.get(group as usize).cloned()))
    }

    /// How the two SAEs were compared.
    #[must_use]
    pub const fn comparison(&self) -> &Arc<Comparison> {
        &self.comparison
    }
}

impl Counts {
    /// The counts of some classes.
    #[must_use]
    pub fn of(classes: &Classes) -> Self {
        let sae::Census { novel, reconstruction, groups, unmatched } = classes.census();
        let mut sizes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for group in &classes.groups {
            *sizes.entry((group.small.len(), group.large.len())).or_default() += 1;
        }
        let census = sizes.into_iter().map(|((small, large), count)| (small, large, count)).collect();
        Self { novel, reconstruction, groups, zero: 0, unmatched, census }
    }
}

/// The area under the ROC curve of −m as a sign that putting a latent in lowers the error.
fn auc(rows: &[QueueRow]) -> Option<f64> {
    let fired = rows.iter().filter_map(|row| row.c_star.map(|c| (-f64::from(row.max_cosine), c > 0.5)));
    let (rule, helps): (Vec<f64>, Vec<bool>) = fired.unzip();
    metrics::roc_auc(&rule, &helps)
}
