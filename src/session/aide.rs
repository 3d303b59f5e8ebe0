//! Who does what takes long beside the session, on the suite that it has open: tables, measuring on a text, curves.
//! Not here: threads, and the prompt being typed.

use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::TextInfo;
use crate::report::{Kind, Report};
use crate::session::bench::selection;
use crate::session::desk::{Chosen, Desk};
use crate::session::shared::Shared;
use crate::session::way::Asked;
use crate::session::{Job, Outcome, meta_train};
use crate::task::{Cancel, OnProgress};

/// A session's helper. It can be used on another thread, at the same time.
#[derive(Clone)]
pub struct Aide {
    desk: Arc<Desk>,
}

impl Aide {
    pub(super) const fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// Does a job that needs no prompt but the last one that was run, on the calling thread.
    ///
    /// # Errors
    /// As [`Session::exec`](super::Session::exec).
    pub fn exec(&self, job: Job, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Outcome, Report> {
        let shared = self.desk.lease(cancel)?;
        let chosen = self.desk.text();
        if let Job::Text { file } = job {
            return self.choose(&shared, file, chosen.most, cancel, progress).map(Outcome::Text);
        }
        do_job(&shared, &chosen, job, cancel, progress)
    }

    /// Chooses a text that can be measured on; one that cannot leaves the one before.
    pub(super) fn choose(
        &self,
        shared: &Shared,
        file: Option<PathBuf>,
        most: Option<usize>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<TextInfo, Report> {
        let before = self.desk.text();
        self.desk.choose(file, most);
        let chosen = self.desk.text();
        let read = shared.sample(&chosen, cancel, progress);
        if read.is_err() {
            self.desk.choose(before.file, before.most);
        }
        shared.forget_other_texts(self.desk.text().generation);
        read.map(|text| text.info.clone())
    }
}

fn do_job(
    shared: &Shared,
    chosen: &Chosen,
    job: Job,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<Outcome, Report> {
    Ok(match job {
        Job::Family { sae, latent, threshold } => Outcome::Family(Arc::new(shared.family(&sae, latent, threshold)?)),
        Job::Tables => Outcome::Tables(shared.all_tables(cancel, progress)?),
        Job::Pair { small, large, threshold } => {
            let places = shared.places(&small, &large)?;
            Outcome::Pair(Arc::new(shared.pair_view(chosen, places, threshold, cancel, progress)?))
        }
        Job::VerdictLoss { small, large, latent, threshold } => {
            let places = shared.places(&small, &large)?;
            let verdict = shared.verdict_loss(chosen, places, latent, threshold, cancel, progress)?;
            Outcome::VerdictLoss(Arc::new(verdict))
        }
        Job::BenchLoss { small, large, changes } => {
            let places = shared.places(&small, &large)?;
            Outcome::BenchLoss(Arc::new(shared.bench_loss(chosen, places, &changes, cancel, progress)?))
        }
        Job::Curve { small, large, threshold, order, points } => {
            let asked = Asked { chosen, places: shared.places(&small, &large)?, threshold, order };
            Outcome::Curve(Arc::new(shared.curve(&asked, points, cancel, progress)?))
        }
        Job::CurveLoss { small, large, threshold, order, at } => {
            let asked = Asked { chosen, places: shared.places(&small, &large)?, threshold, order };
            Outcome::CurveLoss(Arc::new(shared.curve_loss(&asked, &at, cancel, progress)?))
        }
        Job::Group { small, large, side, latent, threshold } => {
            let places = shared.places(&small, &large)?;
            let group = shared.group(places, (side, latent), threshold, cancel, progress)?;
            Outcome::Group(group.map(Arc::new))
        }
        Job::Export { small, large, changes, folder } => {
            let places = shared.places(&small, &large)?;
            let now = selection(shared.pair(places)?, &changes)?;
            Outcome::Exported(shared.export(places, &now, &folder)?)
        }
        Job::Pack => Outcome::Packed(shared.pack(cancel)?),
        Job::Checkup { losses, again } => Outcome::Checked(shared.checkup(chosen, losses, again, cancel, progress)?),
        Job::TrainMeta(recipe) => {
            let of = &shared.saes[shared.place(&recipe.sae)?].sae;
            let metas = shared.setup.metas.as_deref();
            Outcome::Trained(Arc::new(meta_train::train(of, &recipe, metas, cancel, progress)?))
        }
        other => return Err(Report::new(format!("{other:?} is not for an aide")).kind(Kind::Bug)),
    })
}
