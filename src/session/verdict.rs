//! Whether a latent of a wider SAE is new to a narrower one, and what putting it in does, on prompt and text.
//! Not here: cross-entropies (`loss.rs`), which take the model.

use crate::analysis::{Class, Effect, Measures, Neighbour, Verdict};
use crate::report::Report;
use crate::sae::Error;
use crate::sae::stitch::{Change, Pair, Scores, Selection};
use crate::session::current::Corpus;
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::pairs::MeasuredKey;
use crate::session::query::{Cx, Query};
use crate::session::workbench::{Prompt, Workbenches, on_prompt, selection};
use crate::task::Cancel;

/// Whether a latent is new, and what putting it in does on the prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictQuery {
    /// The narrower SAE.
    pub small: String,
    /// The wider SAE.
    pub large: String,
    /// The latent of the wider SAE.
    pub latent: u32,
    /// θ.
    pub threshold: f32,
}

impl Query for VerdictQuery {
    type Answer = Verdict;
    const NAME: &'static str = "verdict";
    const PRIORITY: u8 = 70;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Verdict, Report> {
        let (corpus, cancel) = (cx.corpus()?, cx.cancel);
        let session = cx.prompt()?;
        let places = session.places(&self.small, &self.large)?;
        let prompt = session.seen_by(places);
        let (suite, _, benches) = session.with::<Workbenches>();
        suite.verdict(&corpus, &prompt, benches, places, (self.latent, self.threshold), cancel)
    }
}

impl LoadedSuite {
    /// Whether a latent is new, and what putting it in does.
    pub fn verdict(
        &self,
        corpus: &Corpus,
        prompt: &Prompt,
        benches: &mut Workbenches,
        places: (usize, usize),
        (latent, threshold): (u32, f32),
        cancel: &Cancel,
    ) -> Result<Verdict, Report> {
        let pair = self.pair(places)?;
        let wrong = |error: Error| failure::of_sae(format!("there is no verdict on latent {latent}"), &error);
        let nearest = pair.large().nearest(latent as usize, pair.small(), 1).map_err(wrong)?;
        let nearest = nearest.first().copied().unwrap_or(Neighbour { latent: 0, cosine: 0.0 });
        let zero = pair.large().decoder_norm(latent as usize).map_err(wrong)? == 0.0;
        let on_prompt = effect_on_prompt(pair, prompt, benches, places, latent, cancel).map_err(wrong)?;
        let on_text = self.effect_on_text(corpus, places, latent, |now| {
            let before = self.on_text(corpus, benches, places, &Selection::small_sae(pair)).ok()??;
            Some((before, self.on_text(corpus, benches, places, now).ok()??))
        });
        let (small, large) = self.names(places);
        let mut verdict = Verdict {
            small,
            large,
            latent,
            max_cosine: nearest.cosine,
            nearest,
            threshold,
            class: (!zero).then(|| Class::of(nearest.cosine, threshold)),
            agrees: None,
            prompt: on_prompt,
            text: on_text,
            reencoded: pair.competes(),
            words: String::new(),
        };
        verdict.conclude();
        Ok(verdict)
    }

    /// What putting a latent in does on the text, where the pair was measured there; `both` measures before and after.
    pub fn effect_on_text(
        &self,
        corpus: &Corpus,
        places: (usize, usize),
        latent: u32,
        both: impl FnOnce(&Selection) -> Option<(Measures, Measures)>,
    ) -> Option<Effect> {
        let measured = self.memo.get(&MeasuredKey(corpus.generation, places))?;
        let score = measured.scores.get(latent as usize)?;
        let now = selection(self.pair(places).ok()?, &[Change::Insert(latent)]).ok()?;
        let (before, after) = both(&now)?;
        let tokens = measured.info.tokens;
        Some(Effect { tokens, fired: score.fired, c_star: score.c_star(), before, after })
    }
}

fn effect_on_prompt(
    pair: Pair<'_>,
    prompt: &Prompt,
    benches: &mut Workbenches,
    places: (usize, usize),
    latent: u32,
    cancel: &Cancel,
) -> Result<Effect, Error> {
    let change = Change::Insert(latent);
    let mut scores = Scores::of(pair, [&change])?;
    scores.add(pair, &prompt.x, &prompt.codes.0, &prompt.codes.1, &prompt.counts, cancel)?;
    let score = scores.scores().first().copied().unwrap_or_default();
    let mut now = Selection::small_sae(pair);
    let before = on_prompt(pair, prompt, benches, places, &now, cancel)?.measures;
    now.set(&change, true)?;
    let after = on_prompt(pair, prompt, benches, places, &now, cancel)?.measures;
    let tokens = scores.tokens() as usize;
    Ok(Effect { tokens, fired: score.fired, c_star: score.c_star(), before, after })
}
