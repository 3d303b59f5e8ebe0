//! A stitched SAE built by hand, on the prompt and on the text.
//! Not here: what one latent alone does (`verdict.rs`), and cross-entropies (`loss.rs`), which take the model.

use crate::analysis::{Measures, WorkbenchView};
use crate::report::Report;
use crate::sae::metrics::{self, Quality};
use crate::sae::stitch::{Change, Pair, Point, Selection, Workbench};
use crate::sae::{Codes, Error};
use crate::session::current::Corpus;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::pairs::TextBenchKey;
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query};
use crate::task::Cancel;

/// The stitched SAE after these changes: on the prompt always, on the text once the pair was measured there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkbenchQuery {
    /// The narrower SAE.
    pub small: String,
    /// The wider SAE.
    pub large: String,
    /// All changes from the narrower SAE on.
    pub changes: Vec<Change>,
}

impl Query for WorkbenchQuery {
    type Answer = WorkbenchView;
    const NAME: &'static str = "bench";
    const PRIORITY: u8 = 80;

    fn run(&self, cx: &mut Cx<'_>) -> Result<WorkbenchView, Report> {
        let (corpus, cancel) = (cx.corpus()?, cx.cancel);
        let session = cx.prompt()?;
        let places = session.places(&self.small, &self.large)?;
        let prompt = session.seen_by(places);
        let (suite, _, benches) = session.with::<Workbenches>();
        suite.bench(&corpus, &prompt, benches, places, &self.changes, cancel)
    }
}

/// A prompt as two SAEs see it.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    pub ids: Vec<u32>,
    pub counts: Vec<bool>,
    /// Activations, f32 [positions, size].
    pub x: Vec<f32>,
    /// What fires in the smaller and in the larger SAE.
    pub codes: (Codes, Codes),
    /// Their reconstructions, f32 [positions, size].
    pub x_hat: (Vec<f32>, Vec<f32>),
}

/// The workbenches last used, one for the prompt and one for the text: a change costs what it changes.
#[derive(Default)]
pub struct Workbenches {
    prompt: Option<((usize, usize), Vec<u32>, Workbench)>,
    text: Option<((u64, usize, usize), Workbench)>,
}

/// One SAE or stitched SAE on the prompt: measures, and the squared error of every position.
pub struct OnPrompt {
    pub measures: Measures,
    errors: Vec<f64>,
}

/// The latents that are there after some changes.
pub fn selection(pair: Pair<'_>, changes: &[Change]) -> Result<Selection, Report> {
    let mut selection = Selection::small_sae(pair);
    for change in changes {
        let set = selection.set(change, true);
        set.map_err(|error| failure::of_sae("the change cannot be made", &error))?;
    }
    Ok(selection)
}

/// Measures out of what an SAE's reconstruction is worth; zeros on no tokens.
pub fn measures(quality: &Quality) -> Measures {
    Measures {
        mse: quality.mse.unwrap_or_default(),
        explained_variance: quality.explained_variance,
        l0: quality.l0.unwrap_or_default(),
        ce: None,
    }
}

fn measures_at(point: &Point) -> Measures {
    Measures { mse: point.mse, explained_variance: point.explained_variance, l0: point.l0, ce: None }
}

impl PromptSession {
    /// The last prompt that was run to its end, as two SAEs see it; nothing of one that was broken off.
    pub fn seen_by(&self, (small, large): (usize, usize)) -> Prompt {
        let (live, positions) = (&self.live, self.live.ids().len());
        let whole = [small, large].iter().all(|place| live.codes(*place).rows() == positions);
        if !whole {
            return Prompt::default();
        }
        Prompt {
            ids: live.ids().to_vec(),
            counts: self.counts(live.ids()),
            x: live.activations().to_vec(),
            codes: (live.codes(small).clone(), live.codes(large).clone()),
            x_hat: (live.reconstruction(small).to_vec(), live.reconstruction(large).to_vec()),
        }
    }
}

impl LoadedSuite {
    /// The stitched SAE after these changes.
    fn bench(
        &self,
        corpus: &Corpus,
        prompt: &Prompt,
        benches: &mut Workbenches,
        places: (usize, usize),
        changes: &[Change],
        cancel: &Cancel,
    ) -> Result<WorkbenchView, Report> {
        let pair = self.pair(places)?;
        let now = selection(pair, changes)?;
        let wrong = |error: Error| failure::of_sae("the stitched SAE cannot be measured", &error);
        let stitched = on_prompt(pair, prompt, benches, places, &now, cancel).map_err(wrong)?;
        let small = parent(pair, prompt, &prompt.codes.0, &prompt.x_hat.0).map_err(wrong)?;
        let large = parent(pair, prompt, &prompt.codes.1, &prompt.x_hat.1).map_err(wrong)?;
        let text = self.on_text(corpus, benches, places, &now).map_err(wrong)?;
        let on_text = |place: usize| self.known_quality(corpus, place);
        let tokens = on_text(places.0).map_or(0, |quality| quality.tokens);
        let errors = small.errors.iter().zip(&stitched.errors).zip(&large.errors);
        let (there, inserted) = now.counts();
        let (small_id, large_id) = self.names(places);
        Ok(WorkbenchView {
            small: small_id,
            large: large_id,
            changes: changes.to_vec(),
            prompt: stitched.measures,
            text,
            parents: [
                (small.measures, on_text(places.0).as_ref().map(measures)),
                (large.measures, on_text(places.1).as_ref().map(measures)),
            ],
            inserted,
            removed: pair.small().width() - there,
            tokens: (prompt.counts.iter().filter(|counts| **counts).count(), tokens),
            errors: errors.map(|((small, now), large)| (*small, *now, *large)).collect(),
            reencoded: pair.competes(),
        })
    }

    /// The stitched SAE on the text, where a bench for it was made.
    pub fn on_text(
        &self,
        corpus: &Corpus,
        benches: &mut Workbenches,
        places: (usize, usize),
        now: &Selection,
    ) -> Result<Option<Measures>, Error> {
        let key = (corpus.generation, places.0, places.1);
        if benches.text.as_ref().is_none_or(|(kept, _)| *kept != key) {
            let base = self.memo.get(&TextBenchKey(corpus.generation, places));
            benches.text = base.map(|base| (key, (*base).clone()));
        }
        let Some((_, bench)) = &mut benches.text else { return Ok(None) };
        bench.move_to(now)?;
        Ok(Some(measures_at(&bench.point())))
    }
}

/// A stitched SAE on the prompt.
pub fn on_prompt(
    pair: Pair<'_>,
    prompt: &Prompt,
    benches: &mut Workbenches,
    places: (usize, usize),
    now: &Selection,
    cancel: &Cancel,
) -> Result<OnPrompt, Error> {
    if pair.competes() {
        let codes = pair.encode(&prompt.x, now, cancel)?;
        let x_hat = pair.decode(&codes, now)?;
        return parent(pair, prompt, &codes.union(pair.small().width()), &x_hat);
    }
    if benches.prompt.as_ref().is_none_or(|(of, ids, _)| *of != places || *ids != prompt.ids) {
        let bench = Workbench::new(pair, &prompt.x, &prompt.codes.0, &prompt.codes.1, &prompt.counts)?;
        benches.prompt = Some((places, prompt.ids.clone(), bench));
    }
    let Some((.., bench)) = &mut benches.prompt else { return Err(Error::Unlike { what: "they have no workbench" }) };
    bench.move_to(now)?;
    let mut errors = vec![0.0; prompt.counts.len()];
    for (row, error) in bench.row_errors() {
        errors[row] = error;
    }
    Ok(OnPrompt { measures: measures_at(&bench.point()), errors })
}

/// What one reconstruction of the prompt is worth.
fn parent(pair: Pair<'_>, prompt: &Prompt, codes: &Codes, x_hat: &[f32]) -> Result<OnPrompt, Error> {
    let d_out = pair.small().d_out();
    let quality = metrics::quality(&prompt.x, x_hat, codes, &prompt.counts, d_out)?;
    let rows = prompt.x.chunks_exact(d_out).zip(x_hat.chunks_exact(d_out)).zip(&prompt.counts);
    let errors = rows.map(|((x, x_hat), counts)| {
        let squares = x.iter().zip(x_hat).map(|(x, x_hat)| (f64::from(*x) - f64::from(*x_hat)).powi(2));
        if *counts { squares.sum() } else { 0.0 }
    });
    Ok(OnPrompt { measures: measures(&quality), errors: errors.collect() })
}
