//! The prompt that is being typed, in the suite that is open.
//! Not here: how the suite was loaded, what is shared of it (`loaded_suite.rs`), and what is asked of either.

use std::ops::Deref;
use std::sync::Arc;

use crate::analysis::live::Live;
use crate::report::Report;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::prompt::{self, Typed};
use crate::session::scratch::Scratch;

/// An open suite and what the last prompt left.
pub struct PromptSession {
    loaded: Arc<LoadedSuite>,
    /// The pass that the last prompt left.
    pub live: Live,
    /// For each SAE how often each latent fired on the tokens that were newly run.
    fired: Vec<Vec<u32>>,
    /// How many tokens those were.
    pub tokens: u64,
    /// What questions keep of it.
    scratch: Scratch,
}

impl Deref for PromptSession {
    type Target = LoadedSuite;
    fn deref(&self) -> &LoadedSuite {
        &self.loaded
    }
}

impl PromptSession {
    pub fn new(suite: LoadedSuite) -> Self {
        let live = live(&suite);
        let fired = suite.saes.iter().map(|loaded| vec![0; loaded.sae.width()]).collect();
        Self { loaded: Arc::new(suite), live, fired, tokens: 0, scratch: Scratch::default() }
    }

    /// What is shared of it.
    pub const fn shared(&self) -> &Arc<LoadedSuite> {
        &self.loaded
    }

    /// The suite, the last prompt's pass, and what a question keeps between two askings.
    pub fn with<T: Default + Send + 'static>(&mut self) -> (&LoadedSuite, &Live, &mut T) {
        (&self.loaded, &self.live, self.scratch.of())
    }

    /// On how many of the tokens run a latent fired.
    pub fn fired(&self, place: usize, latent: usize) -> u64 {
        self.fired[place].get(latent).map_or(0, |count| u64::from(*count))
    }

    /// Forgets what the last run left, after a question that broke off in the middle of it.
    pub fn forget_run(&mut self) {
        self.live = live(&self.loaded);
        self.scratch.clear();
    }

    /// A prompt's tokens.
    pub fn typed(&self, prompt: &str) -> Result<Typed, Report> {
        prompt::typed(&self.model, &self.suite, prompt)
    }

    /// Which positions count: not those where a beginning-of-sequence token stands in front (methods §1).
    pub fn counts(&self, ids: &[u32]) -> Vec<bool> {
        self.apart().counts(ids).collect()
    }

    /// Counts what fires on the tokens that were newly run, so that retyping a word does not count its sentence twice.
    pub fn count_firings(&mut self, counts: &[bool]) {
        let new = counts.len() - self.live.new_positions()..counts.len();
        for position in new.filter(|position| counts[*position]) {
            self.tokens += 1;
            for (place, fired) in self.fired.iter_mut().enumerate() {
                for latent in self.live.codes(place).row(position).0 {
                    fired[*latent as usize] += 1;
                }
            }
        }
    }
}

/// A pass that nothing has gone through yet.
pub fn live(loaded: &LoadedSuite) -> Live {
    let LoadedSuite { suite, model, saes, .. } = loaded;
    let size = model.model.site_size(suite.site).unwrap_or_default();
    Live::new(&*model.model, suite.site, suite.center, size, saes.len())
}
