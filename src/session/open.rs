//! Opening a suite: finding its files, seeing that it fits into memory, loading model and SAEs, and checking that they
//! belong together. Not here: downloading.

use candle_core::Device;

use crate::hub::bytes;
use crate::model::{self, ModelFiles, TokenizerFiles};
use crate::report::Report;
use crate::sae::Sae;
use crate::sae::formats::{self, Files, Release};
use crate::session::shared::{LoadedSae, Shared};
use crate::session::{Setup, failure};
use crate::suite::{Error, Format, SaeEntry, SaeParts, Suite, TokenizerParts};
use crate::task::{Cancel, OnProgress, Progress};

/// A suite whose files are all here and fit into memory.
pub struct Plan {
    suite: Suite,
    model: ModelFiles,
    saes: Vec<(SaeEntry, SaeParts)>,
    notes: Vec<String>,
}

/// Finds the files of a suite's model and of these SAEs, and sees that they fit.
///
/// # Errors
/// What is missing, unreadable or too large.
pub fn plan(setup: &Setup, suite: Suite, saes: &[String]) -> Result<Plan, Report> {
    let parts = suite.model_files(&setup.hub)?;
    let tokenizer = match parts.tokenizer {
        TokenizerParts::Json(json) => TokenizerFiles::Json(json),
        TokenizerParts::Bpe { vocab, merges } => TokenizerFiles::Bpe { vocab, merges },
    };
    let model = ModelFiles { config: parts.config, weights: parts.weights, tokenizer };
    let (mut found, mut notes, mut missing) = (Vec::new(), Vec::new(), None);
    for id in saes {
        let entry = suite.sae(id)?.clone();
        match suite.sae_files(&entry, &setup.hub) {
            Ok(parts) => found.push((entry, parts)),
            Err(error @ Error::Missing { .. }) => {
                notes.push(format!("SAE `{id}` is not downloaded"));
                missing = missing.or(Some(error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(error) = missing.filter(|_| found.is_empty()) {
        return Err(error.into());
    }
    let mut plan = Plan { suite, model, saes: found, notes };
    plan.check_memory(setup)?;
    Ok(plan)
}

impl Plan {
    fn check_memory(&mut self, setup: &Setup) -> Result<(), Report> {
        let model = model::memory_needed(&self.model).map_err(|error| failure::of_model(self.cannot_open(), &error))?;
        let mut parts = vec![("the model".to_owned(), model)];
        let (mut needed, mut mapped) = (model, Vec::new());
        for (entry, files) in &self.saes {
            let memory = formats::memory(&sae_files(files))
                .map_err(|error| failure::of_sae(format!("cannot open SAE `{}`", entry.id), &error))?;
            needed = needed.saturating_add(memory.held);
            parts.push((format!("SAE {}", entry.id), memory.held.saturating_add(memory.mapped)));
            mapped.push((&entry.id, memory.mapped));
        }
        let Some(free) = (setup.memory)() else { return Ok(()) };
        if needed <= free {
            // What stays in its file can be read from there again and again, only slowly.
            let mut left = free - needed;
            for (id, size) in mapped {
                match left.checked_sub(size) {
                    Some(rest) => left = rest,
                    None => self.notes.push(format!(
                        "SAE `{id}` ({}) is larger than the {} of memory that are left: it is read from disk as needed",
                        bytes(size),
                        bytes(left)
                    )),
                }
            }
            return Ok(());
        }
        let mut report =
            Report::new(format!("{} needs {} of memory, {} are free", self.suite.id, bytes(needed), bytes(free)))
                .hint("load fewer SAEs with --sae, or close other programs");
        report.why = parts.into_iter().map(|(part, size)| format!("{part}: {}", bytes(size))).collect();
        Err(report)
    }

    fn cannot_open(&self) -> String {
        format!("cannot open the suite `{}`", self.suite.id)
    }
}

/// Loads what was planned.
///
/// # Errors
/// What is broken or does not belong together.
pub fn load(plan: Plan, setup: &Setup, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Shared, Report> {
    let cannot = plan.cannot_open();
    let steps = plan.saes.len() as u64 + 1;
    progress(Progress::steps("model", 0, steps));
    let model = model::load(&plan.model, &Device::Cpu).map_err(|error| failure::of_model(&cannot, &error))?;
    let site = plan.suite.site;
    let Some(size) = model.model.site_size(site) else {
        let layers = model.model.shape().layers;
        return Err(Report::new(cannot)
            .because(format!("the model has no site {site}: its layers are 0 to {}", layers.saturating_sub(1)))
            .hint("correct `[site]` in the suite file"));
    };
    let value_bias = if plan.suite.fold_value_bias {
        model.model.value_bias(site.layer).map_err(|error| failure::of_model(&cannot, &error))?
    } else {
        None
    };
    let mut saes = Vec::new();
    for (done, (entry, files)) in plan.saes.into_iter().enumerate() {
        cancel.check()?;
        progress(Progress::steps(format!("SAE {}", entry.id), done as u64 + 1, steps));
        let mut sae = open_sae(&entry, &files)?;
        if sae.d_in() != size {
            return Err(Report::new(format!("SAE `{}` does not fit the model", entry.id))
                .because(format!("it reads activations of {} values; {site} has {size}", sae.d_in()))
                .hint("correct `[model]`, `[site]` or the SAE's place in the suite file"));
        }
        if let Some(bias) = &value_bias {
            let what = format!("SAE `{}` cannot be moved by the values' bias", entry.id);
            sae = sae.shifted(bias).map_err(|error| failure::of_sae(what, &error))?;
        }
        saes.push(LoadedSae { entry, sae });
    }
    saes.sort_by_key(|loaded| loaded.sae.width());
    Shared::new(plan.suite, model, saes, plan.notes, setup)
}

fn open_sae(entry: &SaeEntry, files: &SaeParts) -> Result<Sae, Report> {
    let what = format!("cannot open SAE `{}`", entry.id);
    let opened = formats::open(&sae_files(files));
    opened.map_err(|error| {
        failure::of_sae(what, &error)
            .hint("if the file was damaged, remove it from the cache and `saescope pull` fetches it again")
    })
}

/// The files as the library of SAEs knows them.
fn sae_files(parts: &SaeParts) -> Files {
    let release = match parts.format {
        // Meta-SAEs have readers of their own; one that stands here is read as what SAELens would write.
        Format::SaeLens | Format::BatchTopK => Release::SaeLens,
        Format::GemmaScope => Release::GemmaScope,
        Format::LlamaScope => Release::LlamaScope,
        Format::OpenAi => Release::OpenAi,
        Format::Sparsify => Release::Sparsify,
        Format::DictionaryLearning => Release::DictionaryLearning,
        Format::HookZ => Release::HookZ,
    };
    Files { release, config: parts.config.clone(), weights: parts.weights.clone(), sparsity: parts.sparsity.clone() }
}
