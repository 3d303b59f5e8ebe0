//! The tokens that all latents of an SAE fire on most in the index of the open suite, read once.
//! Not here: finding the index, and what is looked up in them (`analysis::search`).

use std::sync::Arc;

use crate::analysis::search::UsualTokens;
use crate::report::Report;
use crate::session::index::{Counted, kept};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::task::{Cancel, OnProgress};

/// The usual tokens of an SAE's latents, by how many tokens and windows of which index they were counted.
#[derive(Clone, PartialEq, Eq, Hash)]
struct UsualKey {
    sae: String,
    tokens: u64,
    windows: u64,
}

impl MemoKey for UsualKey {
    type Value = Arc<UsualTokens>;
}

impl LoadedSuite {
    /// The tokens that the latents of an SAE fire on most; none where no text has been indexed.
    pub(in crate::session) fn usual_tokens(
        &self,
        sae: &str,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Option<Arc<UsualTokens>>, Report> {
        let counted = self.counted(sae, None, None, cancel, progress)?;
        let (tokens, windows) = match &counted {
            Counted::Live(live) => (live.corpus().tokens, live.corpus().len() as u64),
            Counted::Kept(kept) => (kept.note.tokens, kept.note.windows),
            Counted::Nothing => return Ok(None),
        };
        let key = UsualKey { sae: sae.to_owned(), tokens, windows };
        self.memo.retain(|of: &UsualKey| of.sae != key.sae || *of == key);
        let usual = self.memo.get_or(&key, cancel, progress, |_| {
            let usual = match &counted {
                Counted::Live(live) => kept::live_usual_tokens(&live.corpus(), sae, cancel)?,
                Counted::Kept(kept) => kept.usual_tokens(sae, cancel)?,
                Counted::Nothing => UsualTokens::default(),
            };
            Ok(Arc::new(usual))
        })?;
        Ok(Some(usual))
    }
}
