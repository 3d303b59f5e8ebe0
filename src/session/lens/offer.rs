//! Whether a Jacobian lens of the open model is published, and its download, at a person's wish.
//! Not here: reading it (`lens.rs`).

use serde::Serialize;

use crate::hub::{Repo, RepoFile};
use crate::report::{Kind, Report};
use crate::session::lens::{REPOSITORY, choose, no_lens};
use crate::session::query::{Cx, Lane, Query};

/// Which Jacobian lens is published for the open model; the hub is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LensOfferQuery;

/// A published lens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LensOffer {
    /// Its file in `neuronpedia/jacobian-lens`.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// On how many prompts it was fitted, where its name says so.
    pub prompts: Option<u64>,
}

/// Download a lens that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LensPullQuery {
    /// The lens.
    pub offer: LensOffer,
}

impl Query for LensOfferQuery {
    type Answer = LensOffer;
    const NAME: &'static str = "published lens";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 55;

    fn run(&self, cx: &mut Cx<'_>) -> Result<LensOffer, Report> {
        let suite = cx.suite()?;
        let (folder, own) = suite.published_name()?;
        let listed = suite.setup.hub.list(&Repo::new(REPOSITORY), Some(&folder), cx.cancel).map_err(Report::from)?;
        let file = choose(listed.iter().map(|(name, _)| name.clone()).collect(), &own);
        let Some(file) = file else { return Err(no_lens(format!("`{REPOSITORY}` has none in {folder}"))) };
        let bytes = listed.iter().find(|(name, _)| *name == file).map_or(0, |(_, bytes)| *bytes);
        let prompts = prompts_of(&file);
        Ok(LensOffer { file, bytes, prompts })
    }
}

impl Query for LensPullQuery {
    type Answer = LensOffer;
    const NAME: &'static str = "lens download";
    const LANE: Lane = Lane::Download;
    const PRIORITY: u8 = 10;

    fn run(&self, cx: &mut Cx<'_>) -> Result<LensOffer, Report> {
        let wanted = RepoFile { repo: Repo::new(REPOSITORY), file: self.offer.file.clone() };
        cx.setup().hub.fetch(&wanted, cx.cancel, cx.progress).map_err(|error| {
            let report = Report::from(error);
            let cancelled = report.kind == Kind::Cancelled;
            if cancelled { report } else { report.hint("what has come is kept: ask again to go on") }
        })?;
        Ok(self.offer.clone())
    }
}

/// The number behind `_n` at the end of a file's name.
fn prompts_of(file: &str) -> Option<u64> {
    file.strip_suffix(".pt")?.rsplit_once("_n")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_on_how_many_prompts_a_lens_was_fitted() {
        assert_eq!(prompts_of("m/jlens/t/gpt2_jacobian_lens_n1000.pt"), Some(1000));
        assert_eq!(prompts_of("m/jlens/t/gpt2_jacobian_lens.pt"), None);
        assert_eq!(prompts_of("m/_n12/lens.pt"), None);
    }
}
