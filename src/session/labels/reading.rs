//! A text read once in windows, with where latents of an SAE fire in them.
//! Not here: what a model is asked about them (`words`).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::explain::{BLOCK, Reading};
use crate::report::Report;
use crate::session::current::Corpus;
use crate::session::index::{IndexRecipe, ReadWindow, read_windows};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::task::{Cancel, OnProgress};

/// A text that was read for some latents of an SAE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadingKey {
    pub place: usize,
    pub texts: Vec<PathBuf>,
    pub tokens: u64,
    /// Of which latents it is noted where they fire; of all where there are none.
    pub latents: Vec<u32>,
    /// Which choice of the text that is measured on.
    pub generation: u64,
}

impl MemoKey for ReadingKey {
    type Value = Arc<Reading>;

    fn generation(&self) -> Option<u64> {
        Some(self.generation)
    }
}

impl LoadedSuite {
    /// The text of a key, which is read once; one is kept at a time.
    pub(super) fn reading(
        &self,
        key: &ReadingKey,
        corpus: &Corpus,
        cancel: &Cancel,
        on: OnProgress<'_>,
    ) -> Result<Arc<Reading>, Report> {
        self.memo.retain(|of: &ReadingKey| of == key);
        self.memo.get_or(key, cancel, on, |on| {
            let sae = &self.saes[key.place].entry.id;
            let recipe = IndexRecipe {
                texts: key.texts.clone(),
                saes: vec![sae.clone()],
                tokens: Some(key.tokens),
                ..IndexRecipe::default()
            };
            let wanted: HashSet<u32> = key.latents.iter().copied().collect();
            let (mut reading, mut places) = (Reading::default(), Vec::new());
            let mut take = |window: &ReadWindow<'_>| self.take(&mut reading, &mut places, window, &wanted);
            let halves = read_windows(self, corpus, &recipe, (sae, cancel, on), &mut take)?;
            for ((_, held_out), place) in reading.windows.iter_mut().zip(places) {
                *held_out = halves.is_held_out(place);
            }
            Ok(Arc::new(reading))
        })
    }

    /// Cuts a window of the model into windows to be shown. What begins a text is in none.
    fn take(
        &self,
        reading: &mut Reading,
        places: &mut Vec<(u64, u32)>,
        window: &ReadWindow<'_>,
        wanted: &HashSet<u32>,
    ) {
        let first = self.apart().of(window.ids);
        for at in first..window.ids.len() {
            let position = reading.ids.len() as u32;
            if (at - first).is_multiple_of(BLOCK) {
                reading.windows.push((position, false));
                places.push(window.place);
            }
            reading.ids.push(window.ids[at]);
            if !window.counted[at] {
                continue;
            }
            for (latent, value) in window.fires(at).filter(|(_, value)| *value > 0.0) {
                if wanted.is_empty() || wanted.contains(&latent) {
                    reading.fires.entry(latent).or_default().push((position, value));
                }
            }
        }
    }
}
