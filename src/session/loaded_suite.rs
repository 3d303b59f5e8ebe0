//! An open suite as the session and those beside it share it: model, ladder, and what was computed of them once.
//! Not here: the prompt being typed (`prompt.rs`), and who asks for what: it does not know its users.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::analysis::card::LogitLens;
use crate::analysis::measuring::{ActivationSource, Apart};
use crate::analysis::splice::Measured;
use crate::model;
use crate::report::{Kind, Report};
use crate::sae::Sae;
use crate::sae::stitch::Pair;
use crate::session::fit::Memory;
use crate::session::load_scope::LoadScope;
use crate::session::memo::Memo;
use crate::session::{SessionConfig, failure};
use crate::site::SiteKind;
use crate::suite::{SaeEntry, Suite, argument};
use crate::weights::Array;

/// A suite with its model and SAEs.
pub struct LoadedSuite {
    pub suite: Suite,
    pub model: model::Loaded,
    /// By rising width.
    pub saes: Vec<LoadedSae>,
    pub open: OpenFacts,
    pub setup: SessionConfig,
    /// What was computed of it once.
    pub memo: Memo,
    prompt: Mutex<Arc<Vec<u32>>>,
    /// What the heads of the site's block write, where the site is their z; none where that cannot be had.
    outputs: OnceLock<Option<Array>>,
}

/// How a suite was opened.
#[derive(Clone, Debug)]
pub struct OpenFacts {
    /// How much of the model is there.
    pub reach: LoadScope,
    pub memory: Memory,
    /// Things worth saying.
    pub notes: Vec<String>,
}

/// An SAE of the suite.
pub struct LoadedSae {
    pub entry: SaeEntry,
    pub sae: Sae,
}

impl LoadedSuite {
    pub fn new(
        suite: Suite,
        model: model::Loaded,
        saes: Vec<LoadedSae>,
        open: OpenFacts,
        setup: &SessionConfig,
    ) -> Result<Self, Report> {
        if suite.model.prepend_bos && model.tokenizer.bos().is_none() && open.reach != LoadScope::WeightsOnly {
            return Err(Report::new(format!("cannot open the suite `{}`", suite.id))
                .because("prompts are to begin with a beginning-of-sequence token, and the tokenizer has none")
                .hint("set `prepend_bos = false` in the suite file"));
        }
        Ok(Self {
            suite,
            model,
            saes,
            open,
            setup: setup.clone(),
            memo: Memo::default(),
            prompt: Mutex::default(),
            outputs: OnceLock::new(),
        })
    }

    /// The place of a loaded SAE in the ladder.
    pub fn place(&self, sae: &str) -> Result<usize, Report> {
        if let Some(place) = self.saes.iter().position(|loaded| loaded.entry.id == sae) {
            return Ok(place);
        }
        self.suite.sae(sae)?;
        Err(Report::new(format!("SAE `{sae}` is not loaded"))
            .hint(format!("`saescope pull {} --sae {sae}` downloads it", argument(&self.suite.name)))
            .kind(Kind::Missing))
    }

    /// The places of two SAEs that can be stitched.
    pub fn places(&self, small: &str, large: &str) -> Result<(usize, usize), Report> {
        let places = (self.place(small)?, self.place(large)?);
        self.pair(places)?;
        Ok(places)
    }

    /// Two SAEs that can be stitched.
    pub fn pair(&self, (small, large): (usize, usize)) -> Result<Pair<'_>, Report> {
        let (a, b) = (&self.saes[small], &self.saes[large]);
        let what = format!("SAEs `{}` and `{}` cannot be stitched", a.entry.id, b.entry.id);
        if small == large {
            return Err(Report::new(what).because("they are the same").kind(Kind::Usage));
        }
        if a.sae.width() > b.sae.width() {
            let why = format!("the first has {} latents, the second {}", a.sae.width(), b.sae.width());
            return Err(Report::new(what).because(why).hint("name the narrower one first").kind(Kind::Usage));
        }
        if let (Some(one), Some(other)) = (&a.sae.metadata.hook_name, &b.sae.metadata.hook_name)
            && one != other
        {
            return Err(Report::new(what)
                .because(format!("they read different sites: {one} and {other}"))
                .hint("give each site a suite of its own"));
        }
        Pair::new(&a.sae, &b.sae).map_err(|error| failure::of_sae(what, &error))
    }

    pub fn names(&self, (small, large): (usize, usize)) -> (String, String) {
        (self.saes[small].entry.id.clone(), self.saes[large].entry.id.clone())
    }

    pub fn taker(&self) -> ActivationSource<'_> {
        ActivationSource {
            model: &*self.model.model,
            site: self.suite.site,
            center: self.suite.center,
            apart: self.apart(),
        }
    }

    /// Which positions at the beginning of a row do not count: those of the token that begins a text, whoever put it there.
    pub fn apart(&self) -> Apart {
        Apart::Bos(self.model.tokenizer.bos())
    }

    /// One row of tokens whose cross-entropy is to be measured.
    pub fn measured<'a>(&'a self, ids: &'a [u32], counts: &'a [bool], x: &'a [f32]) -> Measured<'a> {
        let (site, center) = (self.suite.site, self.suite.center);
        Measured { model: &*self.model.model, site, center, ids, counts, activations: x }
    }

    /// What turns directions into words; those of attention z through what its heads write into the residual stream.
    pub fn words(&self) -> Option<LogitLens<'_>> {
        let (model, site) = (&self.model.model, self.suite.site);
        let outputs = match site.kind {
            SiteKind::AttnZ => {
                // Weights that cannot be read are reported by the run that needs them.
                let read = || model.head_outputs(site.layer).unwrap_or_default();
                Some(self.outputs.get_or_init(read).as_ref()?)
            }
            _ => None,
        };
        Some(LogitLens { unembedding: model.unembedding()?, tokenizer: &self.model.tokenizer, outputs })
    }

    /// The tokens of the last prompt that was run.
    pub fn prompt(&self) -> Arc<Vec<u32>> {
        self.prompt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_prompt(&self, ids: Vec<u32>) {
        *self.prompt.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(ids);
    }
}
