//! How the typed errors of models and SAEs become reports: what could not be done, why, and what to do.
//! Not here: the errors themselves.

use crate::analysis::intervention::{self, Failure};
use crate::analysis::live;
use crate::blob::{Blob, Instead};
use crate::device::DeviceName;
use crate::format::Files;
use crate::model::{ModelFiles, TokenizerFiles};
use crate::report::{Kind, Report};
use crate::session::damage;
use crate::session::load_scope::{WITH_MODEL, WITH_PREDICTIONS};
use crate::{model, sae};

/// A device that cannot be used.
pub fn of_device(name: DeviceName, error: &model::Error) -> Report {
    let what = format!("cannot compute on {name}");
    let report = match error {
        model::Error::NoDevice { why, .. } => Report::new(what).because(why.as_str()),
        _ => Report::caused(what, error),
    };
    let elsewhere = "`--device cpu` needs nothing";
    match (error, name) {
        (model::Error::NotBuilt { .. }, _) => {
            let feature = name.kind();
            let build = format!("build with `--features {feature}` (README, Graphics cards); {elsewhere}");
            report.hint(build).kind(Kind::Usage)
        }
        (_, DeviceName::Cuda(_)) => {
            report.hint(format!("`nvidia-smi` lists the cards that are there, from 0; {elsewhere}"))
        }
        _ => report.hint(elsewhere),
    }
}

/// A model that cannot be run with an intervention.
pub fn of_intervention(what: &str, error: &Failure) -> Report {
    match error {
        Failure::Model(error) => of_model(what, error),
        Failure::Intervention(intervention::Error::Sae(error)) => of_sae(what, error),
        Failure::Intervention(error) => Report::caused(what, error),
    }
}

/// A model that cannot be loaded or run.
pub fn of_model(what: impl Into<String>, error: &model::Error) -> Report {
    let report = Report::caused(what, error);
    match error {
        model::Error::Cancelled(cancelled) => (*cancelled).into(),
        model::Error::TooLong { context, .. } => {
            report.hint(format!("shorten the prompt: the model takes {context} tokens, the first one included"))
        }
        model::Error::FarTooLong { context, .. } => {
            report.hint(format!("shorten the text: the model takes {context} tokens, the first one included"))
        }
        model::Error::NoRow { .. } => report.hint("take it out of the text: the model has nothing to look up for it"),
        model::Error::Empty => report.hint("type something"),
        model::Error::NoSite { .. } => report.hint("correct `[site]` in the suite file"),
        model::Error::WeightsOnly => report.hint(WITH_MODEL),
        model::Error::NotOpen { .. } => report.hint(WITH_PREDICTIONS),
        model::Error::NoHead { .. } => report.hint(
            "latents need no head: --no-predictions; for predictions give the suite a checkpoint that was saved with its \
             head (`AutoModelForCausalLM`)",
        ),
        model::Error::Tensor(why) if why.to_string().contains("OUT_OF_MEMORY") => {
            report.hint("the card's memory is full: try --no-predictions, a shorter prompt, or --device cpu")
        }
        _ => match Instead::behind(error) {
            Some(instead) => report.hint(instead.hint()),
            None => report,
        },
    }
}

/// A model that cannot be opened from these files; `ways` is what can be had without them.
pub fn of_model_files(what: impl Into<String>, error: &model::Error, files: &ModelFiles, ways: &[&str]) -> Report {
    let report = of_model(what, error);
    let named = match error {
        model::Error::Read { file, .. }
        | model::Error::Config { file, .. }
        | model::Error::Tokenizer { file, .. }
        | model::Error::Architecture { file, .. } => Some(file.as_str()),
        model::Error::Weights(error) => Some(error.file()),
        _ => None,
    };
    // What a config asks for is what its makers wrote: there is nothing to copy again.
    let broken = matches!(error, model::Error::Weights(_) | model::Error::Tokenizer { .. });
    of_files(report, error, (named, broken), &model_blobs(files), ways)
}

/// An SAE that cannot be opened from these files.
pub fn of_sae_files(what: impl Into<String>, error: &sae::Error, files: &Files) -> Report {
    let report = of_sae(what, error);
    let named = match error {
        sae::Error::Read { file, .. } | sae::Error::Config { file, .. } | sae::Error::Unsupported { file, .. } => {
            Some(file.as_str())
        }
        sae::Error::Weights(error) => Some(error.file()),
        _ => None,
    };
    let broken = matches!(error, sae::Error::Weights(_));
    let blobs: Vec<&Blob> = files.config.iter().chain([&files.weights]).chain(&files.sparsity).collect();
    of_files(report, error, (named, broken), &blobs, &[])
}

/// What can be done where files are wrong, one of which a report names: about that file, else without it.
fn of_files(
    report: Report,
    error: &(dyn std::error::Error + 'static),
    (named, broken): (Option<&str>, bool),
    blobs: &[&Blob],
    ways: &[&str],
) -> Report {
    let before = report.hint.clone();
    let report = damage::explain(report, error, named, blobs);
    if report.hint != before {
        return report;
    }
    let copied = "the file is one of yours, not from the hub: compare it with where it was made, or copy it again";
    let copied = (broken && damage::is_own(named, blobs)).then_some(copied);
    let all: Vec<&str> = before.as_deref().into_iter().chain(copied).chain(ways.iter().copied()).collect();
    if all.is_empty() { report } else { report.hint(all.join("; ")) }
}

fn model_blobs(files: &ModelFiles) -> Vec<&Blob> {
    let tokenizer = match &files.tokenizer {
        TokenizerFiles::Json(json) => vec![json],
        TokenizerFiles::Bpe { vocab, merges } => vec![vocab, merges],
    };
    let said = files.said.config.iter().chain(&files.said.specials).chain(&files.said.added);
    [&files.config].into_iter().chain(&files.weights).chain(tokenizer).chain(said).collect()
}

/// An SAE that cannot be opened or used.
pub fn of_sae(what: impl Into<String>, error: &sae::Error) -> Report {
    match error {
        sae::Error::Cancelled(cancelled) => (*cancelled).into(),
        sae::Error::Latent { width, .. } => {
            let last = width.saturating_sub(1);
            Report::caused(what, error).hint(format!("its latents are 0 to {last}")).kind(Kind::Usage)
        }
        _ => {
            let report = Report::caused(what, error);
            match Instead::behind(error) {
                Some(instead) => report.hint(instead.hint()),
                None => report,
            }
        }
    }
}

/// A prompt that cannot be run.
pub fn of_run(error: &live::Error) -> Report {
    match error {
        live::Error::Model(error) => of_model("cannot run the prompt", error),
        live::Error::Sae { sae, source } => of_sae(format!("SAE `{sae}` cannot encode the activations"), source),
    }
}
