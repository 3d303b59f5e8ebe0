//! What lenses say of a prompt's token, a latent or a meta-latent.
//! Not here: the arithmetic (`analysis::lens`), and fitting a lens (`lens/fit.rs`).

mod fit;
mod offer;

use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::lens::{self, JacobianView, LensView};
use crate::analysis::{live, tokens};
use crate::blob::Blob;
use crate::hub::{self, Hub, Repo, RepoFile};
use crate::kernel;
use crate::model::{self, JacobianLens};
use crate::report::{Kind, Report};
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::meta::Scope;
use crate::session::prompt_session::PromptSession;
use crate::session::query::{Cx, Query, Slot};
use crate::suite::Source;
use crate::task::{Cancel, OnProgress};

pub use fit::{LensFitted, LensRecipe};
pub use offer::{LensOffer, LensOfferQuery, LensPullQuery};

const CANNOT: &str = "cannot read this through a lens";
/// Where fitted lenses are, and the text that they were fitted on.
const REPOSITORY: &str = "neuronpedia/jacobian-lens";
const TEXT: &str = "Salesforce-wikitext";

/// What lenses say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LensQuery {
    /// Of what.
    pub of: LensOf,
    /// The Jacobian lens; the logit lens alone otherwise.
    pub jacobian: Option<LensFile>,
    /// Tokens wanted in each list.
    pub top: usize,
}

/// What is read through a lens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LensOf {
    /// A token of a prompt, at every block.
    Prompt {
        /// The prompt.
        prompt: String,
        /// Its position, from 0; the last otherwise.
        position: Option<usize>,
    },
    /// A latent's decoder row.
    Latent {
        /// The SAE's id.
        sae: String,
        /// The latent.
        latent: u32,
    },
    /// A meta-latent's decoder row.
    MetaLatent {
        /// The SAE's id.
        sae: String,
        /// The meta-SAE's id, or a folder.
        meta: String,
        /// The meta-latent.
        meta_latent: u32,
    },
}

/// Where a Jacobian lens is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LensFile {
    /// In `neuronpedia/jacobian-lens`, from where it is downloaded.
    Hub,
    /// In a file.
    File(PathBuf),
    /// The published one where it was downloaded before; none otherwise.
    Here,
}

impl Query for LensQuery {
    type Answer = LensView;
    const NAME: &'static str = "lens";
    const PRIORITY: u8 = 98;

    fn slot(&self) -> Slot {
        if matches!(self.of, LensOf::Prompt { .. }) { Self::NAME } else { "lens of a direction" }
    }

    fn priority(&self) -> u8 {
        Self::PRIORITY + u8::from(!matches!(self.of, LensOf::Prompt { .. }))
    }

    fn run(&self, cx: &mut Cx<'_>) -> Result<LensView, Report> {
        let (cancel, progress) = (cx.cancel, cx.progress);
        kernel::awake(|| {
            let session = cx.session()?;
            let suite = Arc::clone(session.prompt()?.shared());
            let found = match &self.jacobian {
                None => None,
                Some(LensFile::Here) => suite.jacobian_here(cancel)?,
                Some(file) => Some(suite.jacobian(file, cancel, progress)?),
            };
            let lens = found.as_ref().map(|(lens, source)| (lens, source.as_str()));
            match &self.of {
                LensOf::Prompt { prompt, position } => {
                    session.prompt_mut()?.read_layers(prompt, *position, lens, self.top, cancel)
                }
                LensOf::Latent { sae, latent } => {
                    let loaded = &suite.saes[suite.place(sae)?];
                    let row = loaded.sae.decoder_row(*latent as usize);
                    let row = row.map_err(|error| failure::of_sae(CANNOT, &error))?;
                    suite.read_direction(format!("latent {latent} of SAE {sae}"), &row, lens, self)
                }
                LensOf::MetaLatent { sae, meta, meta_latent } => {
                    let row = session.scope(sae, meta, cancel)?.row(*meta_latent)?;
                    let of = format!("meta-latent {meta_latent} of {meta}, a meta-SAE of SAE {sae}");
                    suite.read_direction(of, &row, lens, self)
                }
            }
        })
    }
}

impl Scope<'_> {
    /// A meta-latent's decoder row.
    fn row(&self, meta_latent: u32) -> Result<Vec<f32>, Report> {
        let row = self.pair().0.decoder_row(meta_latent as usize);
        row.map(|row| row.to_vec()).map_err(|error| failure::of_sae(self.cannot("be read through a lens"), &error))
    }
}

impl LoadedSuite {
    /// A Jacobian lens of the suite's model, and what it is called.
    fn jacobian(
        &self,
        file: &LensFile,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<(JacobianLens, String), Report> {
        let (path, source) = match file {
            LensFile::File(path) => (path.clone(), path.display().to_string()),
            LensFile::Hub | LensFile::Here => {
                let wanted = self.published(cancel)?;
                let source = format!("{}/{}", wanted.repo, wanted.file);
                (self.setup.hub.fetch(&wanted, cancel, progress)?, source)
            }
        };
        self.open_lens(path, source)
    }

    /// The published lens where it is in the cache, under the model's own name; the hub is not asked.
    fn jacobian_here(&self, cancel: &Cancel) -> Result<Option<(JacobianLens, String)>, Report> {
        let Ok((_, own)) = self.published_name() else { return Ok(None) };
        let environment = hub::Environment { offline: true, ..self.setup.hub.environment().clone() };
        let hub = Hub::new(environment);
        // A lens that is not published under the model's name alone may be one of a thousand prompts.
        for file in [own.clone(), own.replace(".pt", "_n1000.pt")] {
            let wanted = RepoFile { repo: Repo::new(REPOSITORY), file };
            let source = format!("{}/{}", wanted.repo, wanted.file);
            if let Ok(path) = hub.fetch(&wanted, cancel, &|_| {}) {
                return self.open_lens(path, source).map(Some);
            }
        }
        Ok(None)
    }

    /// Opens a lens that must be of the suite's model.
    fn open_lens(&self, path: PathBuf, source: String) -> Result<(JacobianLens, String), Report> {
        let shape = self.model.model.shape();
        let what = || format!("cannot use the Jacobian lens `{}`", source.escape_debug());
        let lens = JacobianLens::open(&Blob::path(path)).map_err(|error| Report::caused(what(), &error))?;
        lens.check(shape.d_model, shape.layers).map_err(|error| {
            let report = Report::caused(what(), &error).kind(Kind::Usage);
            report.hint("name a lens that was fitted on this model, or fit one with `saescope lens fit`")
        })?;
        Ok((lens, source))
    }

    /// The published lens of the suite's model.
    fn published(&self, cancel: &Cancel) -> Result<RepoFile, Report> {
        let (folder, own) = self.published_name()?;
        let repo = Repo::new(REPOSITORY);
        let file = match self.setup.hub.list(&repo, Some(&folder), cancel) {
            Ok(files) => choose(files.into_iter().map(|(name, _)| name).collect(), &own),
            // What is in the cache serves.
            Err(error) if matches!(error, hub::Error::Offline { .. }) || error.is_unreachable() => Some(own),
            Err(error) => return Err(error.into()),
        };
        match file {
            Some(file) => Ok(RepoFile { repo, file }),
            None => Err(no_lens(format!("`{REPOSITORY}` has none in {folder}"))),
        }
    }

    /// The folder of the model's published lenses, by Neuronpedia's name of it, and the file by the model's own name.
    fn published_name(&self) -> Result<(String, String), Report> {
        let named = self.suite.saes.iter().find_map(|entry| entry.neuronpedia.as_deref()?.split('/').next());
        let Some(named) = named else {
            return Err(no_lens(format!("no SAE of suite {} says what Neuronpedia calls the model", self.suite.id)));
        };
        let Source::Hub(model) = &self.suite.model.source else {
            return Err(no_lens("the model is not one of the hub's".to_owned()));
        };
        let folder = format!("{named}/jlens/{TEXT}");
        let stem = model.id.rsplit('/').next().unwrap_or(&model.id);
        let own = format!("{folder}/{stem}_jacobian_lens.pt");
        Ok((folder, own))
    }

    /// What lenses say of a direction at the suite's site.
    fn read_direction(
        &self,
        of: String,
        row: &[f32],
        lens: Option<(&JacobianLens, &str)>,
        asked: &LensQuery,
    ) -> Result<LensView, Report> {
        let top = asked.top;
        let Some(words) = self.words() else {
            return Err(Report::new(CANNOT).because("the model's end is not open").kind(Kind::Missing));
        };
        let mut view = LensView { of, logit: lens::promoted(row, words, top), ..LensView::default() };
        if let Some((lens, source)) = lens {
            let block = match lens.block_of(self.suite.site) {
                Ok(block) => block,
                // Nobody named it.
                Err(error) if asked.jacobian == Some(LensFile::Here) => {
                    view.notes.push(error.to_string());
                    return Ok(view);
                }
                Err(error) => return Err(Report::caused(CANNOT, &error).kind(Kind::Usage)),
            };
            let moved = lens.apply(block, row).unwrap_or_default();
            view.jacobian = Some(JacobianView {
                layer: Some(block),
                prompts: lens.prompts,
                source: source.to_owned(),
                tokens: lens::promoted(&moved, words, top),
            });
        }
        Ok(view)
    }
}

fn no_lens(why: String) -> Report {
    let hint = "name a file with --jacobian FILE, or fit one with `saescope lens fit`";
    Report::new("cannot find a Jacobian lens for this model").because(why).hint(hint).kind(Kind::Missing)
}

/// The lens of the model's own name, else one of a thousand prompts, else the first.
fn choose(mut files: Vec<String>, own: &str) -> Option<String> {
    files.sort();
    files.retain(|file| {
        std::path::Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pt"))
    });
    let found =
        files.iter().find(|file| *file == own).or_else(|| files.iter().find(|file| file.ends_with("_n1000.pt")));
    found.or(files.first()).cloned()
}

impl PromptSession {
    /// What each block would say after a token of a prompt.
    fn read_layers(
        &mut self,
        prompt: &str,
        position: Option<usize>,
        lens: Option<(&JacobianLens, &str)>,
        top: usize,
        cancel: &Cancel,
    ) -> Result<LensView, Report> {
        let typed = self.typed(prompt)?;
        let suite = Arc::clone(self.shared());
        let (model, tokenizer) = (&*suite.model.model, &suite.model.tokenizer);
        let of_model = |error: &model::Error| failure::of_model(CANNOT, error);
        model.check_logits().map_err(|error| of_model(&error))?;
        let Some(last) = typed.ids.len().checked_sub(1) else { return Err(of_model(&model::Error::Empty)) };
        let position = position.unwrap_or(last);
        if position > last {
            let why = format!("there is no position {position}: the prompt has {} tokens, from 0", last + 1);
            return Err(Report::new(CANNOT).because(why).kind(Kind::Usage));
        }
        let wrong = |error: live::Error| failure::of_run(&error);
        if self.live.ids() != typed.ids {
            self.live.forward(&typed.ids, model, cancel).map_err(wrong)?;
        }
        self.live.logits(&[position], model, cancel, |_| ()).map_err(wrong)?;
        let rows = lens::leaving(model, &self.live, suite.suite.site, position, cancel);
        let rows = rows.map_err(|error| of_model(&error))?;
        let layers = lens::layers(model, &rows, lens.map(|(lens, _)| lens), tokenizer, top);
        let token = tokens::views(&typed.ids, tokenizer).into_iter().nth(position);
        Ok(LensView {
            of: "a token of a prompt".to_owned(),
            token,
            logit: Vec::new(),
            jacobian: lens.map(|(lens, source)| JacobianView {
                layer: None,
                prompts: lens.prompts,
                source: source.to_owned(),
                tokens: Vec::new(),
            }),
            layers: layers.map_err(|error| of_model(&error))?,
            notes: typed.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_own_lens_comes_before_others() {
        let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let own = "m/gpt2_jacobian_lens.pt";
        let all = files(&["m/config.yaml", "m/z_n1000.pt", "m/gpt2_jacobian_lens.pt", "m/a.pt"]);
        assert_eq!(choose(all, own).as_deref(), Some(own));
        assert_eq!(choose(files(&["m/a.pt", "m/z_n1000.pt"]), own).as_deref(), Some("m/z_n1000.pt"));
        assert_eq!(choose(files(&["m/b.pt", "m/a.pt"]), own).as_deref(), Some("m/a.pt"));
        assert_eq!(choose(files(&["m/config.yaml"]), own), None);
    }
}
