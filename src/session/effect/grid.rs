//! What the latents of every earlier position of a prompt do to a token further on.
//! Not here: the arithmetic (`analysis::effect`), and one position (`effect.rs`).

use crate::analysis::effect::{GridStep, SIGN};
use crate::analysis::{GridView, SaeGrid};
use crate::report::Report;
use crate::session::effect::{CANNOT, Target};
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::prompt::typed;
use crate::session::prompt_session::live;
use crate::session::query::{Cx, Lane, Query};
use crate::task::{Cancel, OnProgress, Progress, SoFar};

/// At how many positions latents are measured one by one where nothing else is said.
pub const GRID_POSITIONS: usize = 16;

/// What each position in front of a token does to it, and each latent at the positions that do most. Progress carries a
/// [`GridView`] of what is known so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GridQuery {
    /// The prompt.
    pub prompt: String,
    /// The SAEs' ids; all that are loaded where it is empty.
    pub saes: Vec<String>,
    /// Where the next token is read, from 0; the last position otherwise.
    pub read: Option<usize>,
    /// The text of the token asked about; the likeliest otherwise.
    pub token: Option<String>,
    /// At how many positions latents are measured one by one: those where all of them together do most.
    pub positions: usize,
}

impl Query for GridQuery {
    type Answer = GridView;
    const NAME: &'static str = "effects of all positions";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 50;

    fn run(&self, cx: &mut Cx<'_>) -> Result<GridView, Report> {
        cx.suite()?.grid(self, cx.cancel, cx.progress)
    }
}

impl LoadedSuite {
    fn grid(&self, asked: &GridQuery, cancel: &Cancel, progress: OnProgress<'_>) -> Result<GridView, Report> {
        let GridQuery { prompt, saes, read, token, positions } = asked;
        let ids = typed(&self.model, &self.suite, prompt)?.ids;
        let last = ids.len().saturating_sub(1);
        // A beginning-of-sequence token is left alone.
        let first = self.apart().of(&ids);
        let read = read.unwrap_or(last);
        let target =
            Target { prompt, saes, position: Some(first.min(read)), read: Some(read), token: token.as_deref() };
        let mut live = live(self);
        let mut ready = target.run(self, &mut live, cancel)?;
        if read < first {
            ready.notes.push(format!("position {read} is that of a beginning-of-sequence token, which is left alone"));
        }
        let view = |saes: Vec<SaeGrid>| GridView {
            read,
            token: ready.token.clone(),
            sign: SIGN,
            saes,
            notes: ready.notes.clone(),
        };
        let mut tell = |step: GridStep<'_>| {
            let (done, total) = (step.done.0 as u64, step.done.1 as u64);
            let so_far = Some(SoFar::new(view(step.saes.to_vec())));
            progress(Progress { so_far, ..Progress::steps(step.what, done, total) });
        };
        let none = vec![Vec::new(); ready.places.len()];
        if read < first {
            return Ok(view(Vec::new()));
        }
        let found = ready.asked(self, &live).grid(&ready.subjects(self, &none), *positions, cancel, &mut tell);
        let mut view = view(found.map_err(|error| failure::of_intervention(CANNOT, &error))?);
        view.notes.extend(view.saes.iter().filter_map(left_out).collect::<Vec<_>>());
        Ok(view)
    }
}

/// What the positions do at most whose latents were not measured one by one.
fn left_out(of: &SaeGrid) -> Option<String> {
    let rest = of.positions.iter().filter(|at| !at.measured && at.latents > 0);
    let (count, most) =
        rest.fold((0usize, 0.0f64), |(count, most), at| (count + 1, most.max(at.all_latents.delta_logprob.abs())));
    let said = || {
        format!(
            "at {count} positions, where all latents of SAE `{}` together change the log-probability by at most {most:.4}, they were not measured one by one",
            of.id
        )
    };
    (count > 0).then(said)
}
