//! A stitched SAE built by hand, on the prompt and on the text, and what one latent alone does.
//! Not here: cross-entropies (`loss.rs`), which take the model.

use std::path::{Path, PathBuf};

use crate::analysis::{self, Bench, Class, Effect, Measures, Neighbour, Verdict};
use crate::report::{Kind, Report};
use crate::sae::metrics::{self, Quality};
use crate::sae::stitch::{Change, Pair, Point, Scores, Selection, Workbench};
use crate::sae::{Codes, Error, lens};
use crate::session::desk::Chosen;
use crate::session::failure;
use crate::session::shared::Shared;
use crate::task::Cancel;

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
pub struct Benches {
    prompt: Option<((usize, usize), Vec<u32>, Workbench)>,
    text: Option<((u64, usize, usize), Workbench)>,
}

/// One SAE or stitched SAE on the prompt: measures, and the squared error of every position.
struct OnPrompt {
    measures: Measures,
    errors: Vec<f64>,
}

/// The latents that are there after some changes.
pub fn selection(pair: Pair<'_>, changes: &[analysis::Change]) -> Result<Selection, Report> {
    let mut selection = Selection::small_sae(pair);
    for change in changes {
        let change = match change {
            analysis::Change::Insert(latent) => Change::insert(*latent),
            analysis::Change::Remove(latent) => Change::drop(*latent),
            analysis::Change::Swap { small, large } => Change { large: large.clone(), small: small.clone() },
        };
        let set = selection.set(&change, true);
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

impl Shared {
    /// The stitched SAE after these changes.
    pub fn bench(
        &self,
        chosen: &Chosen,
        prompt: &Prompt,
        benches: &mut Benches,
        places: (usize, usize),
        changes: &[analysis::Change],
        cancel: &Cancel,
    ) -> Result<Bench, Report> {
        let pair = self.pair(places)?;
        let now = selection(pair, changes)?;
        let wrong = |error: Error| failure::of_sae("the stitched SAE cannot be measured", &error);
        let stitched = on_prompt(pair, prompt, benches, places, &now, cancel).map_err(wrong)?;
        let small = parent(pair, prompt, &prompt.codes.0, &prompt.x_hat.0).map_err(wrong)?;
        let large = parent(pair, prompt, &prompt.codes.1, &prompt.x_hat.1).map_err(wrong)?;
        let text = self.on_text(chosen, benches, places, &now).map_err(wrong)?;
        let on_text = |place: usize| self.known_quality(chosen, place);
        let tokens = on_text(places.0).map_or(0, |quality| quality.tokens);
        let errors = small.errors.iter().zip(&stitched.errors).zip(&large.errors);
        let (there, inserted) = now.counts();
        let (small_id, large_id) = self.names(places);
        Ok(Bench {
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
    fn on_text(
        &self,
        chosen: &Chosen,
        benches: &mut Benches,
        places: (usize, usize),
        now: &Selection,
    ) -> Result<Option<Measures>, Error> {
        let key = (chosen.generation, places.0, places.1);
        if benches.text.as_ref().is_none_or(|(kept, _)| *kept != key) {
            let base = self.benches.get(&key);
            benches.text = base.map(|base| (key, (*base).clone()));
        }
        let Some((_, bench)) = &mut benches.text else { return Ok(None) };
        bench.move_to(now)?;
        Ok(Some(measures_at(&bench.point())))
    }

    /// Whether a latent is new, and what putting it in does.
    pub fn verdict(
        &self,
        chosen: &Chosen,
        prompt: &Prompt,
        benches: &mut Benches,
        places: (usize, usize),
        (latent, threshold): (u32, f32),
        cancel: &Cancel,
    ) -> Result<Verdict, Report> {
        let pair = self.pair(places)?;
        let wrong = |error: Error| failure::of_sae(format!("there is no verdict on latent {latent}"), &error);
        let nearest = pair.large().nearest(latent as usize, pair.small(), 1).map_err(wrong)?;
        let nearest = nearest.first().map(|near| Neighbour { latent: near.latent, cosine: near.cosine });
        let nearest = nearest.unwrap_or(Neighbour { latent: 0, cosine: 0.0 });
        let on_prompt = effect_on_prompt(pair, prompt, benches, places, latent, cancel).map_err(wrong)?;
        let on_text = self.effect_on_text(chosen, places, latent, |now| {
            let before = self.on_text(chosen, benches, places, &Selection::small_sae(pair)).ok()??;
            Some((before, self.on_text(chosen, benches, places, now).ok()??))
        });
        let (small, large) = self.names(places);
        let mut verdict = Verdict {
            small,
            large,
            latent,
            m: nearest.cosine,
            nearest,
            threshold,
            class: Class::of(nearest.cosine, threshold),
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
        chosen: &Chosen,
        places: (usize, usize),
        latent: u32,
        both: impl FnOnce(&Selection) -> Option<(Measures, Measures)>,
    ) -> Option<Effect> {
        let measured = self.pairs.get(&(chosen.generation, places.0, places.1))?;
        let score = measured.scores.get(latent as usize)?;
        let now = selection(self.pair(places).ok()?, &[analysis::Change::Insert(latent)]).ok()?;
        let (before, after) = both(&now)?;
        let tokens = measured.info.tokens;
        Some(Effect { tokens, fired: score.fired, c_star: score.c_star(), before, after })
    }

    /// Writes a stitched SAE as SAELens has it, into a folder that has none.
    pub fn export(&self, places: (usize, usize), now: &Selection, folder: &Path) -> Result<PathBuf, Report> {
        let cannot = format!("cannot write the stitched SAE to `{}`", folder.display());
        if let Some(file) = ["cfg.json", "sae_weights.safetensors"].iter().find(|file| folder.join(file).exists()) {
            return Err(Report::new(cannot)
                .because(format!("there is a `{file}` already"))
                .hint("name a new folder")
                .kind(Kind::Usage));
        }
        let stitched = self.pair(places)?.fold(now);
        let saved = stitched.and_then(|stitched| lens::save(folder, &stitched));
        saved.map_err(|error| failure::of_sae(cannot, &error))?;
        Ok(folder.to_owned())
    }
}

fn effect_on_prompt(
    pair: Pair<'_>,
    prompt: &Prompt,
    benches: &mut Benches,
    places: (usize, usize),
    latent: u32,
    cancel: &Cancel,
) -> Result<Effect, Error> {
    let change = Change::insert(latent);
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

/// A stitched SAE on the prompt.
fn on_prompt(
    pair: Pair<'_>,
    prompt: &Prompt,
    benches: &mut Benches,
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
