//! How the typed errors of models and SAEs become reports: what could not be done, why, and what to do.
//! Not here: the errors themselves.

use crate::analysis::live;
use crate::device::DeviceName;
use crate::report::{Kind, Report};
use crate::session::reach::{WITH_MODEL, WITH_PREDICTIONS};
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
        model::Error::Architecture { supported, .. } => report.hint(format!("supported are: {supported}")),
        model::Error::Tensor(why) if why.to_string().contains("OUT_OF_MEMORY") => {
            report.hint("the card's memory is full: try --no-predictions, a shorter prompt, or --device cpu")
        }
        model::Error::Weights(_) | model::Error::Config { .. } | model::Error::Tokenizer { .. } => {
            report.hint("the file is damaged or of another model: remove it and download it again")
        }
        _ => report,
    }
}

/// An SAE that cannot be opened or used.
pub fn of_sae(what: impl Into<String>, error: &sae::Error) -> Report {
    match error {
        sae::Error::Cancelled(cancelled) => (*cancelled).into(),
        sae::Error::Latent { width, .. } => {
            let last = width.saturating_sub(1);
            Report::caused(what, error).hint(format!("its latents are 0 to {last}")).kind(Kind::Usage)
        }
        _ => Report::caused(what, error),
    }
}

/// A prompt that cannot be run.
pub fn of_run(error: &live::Error) -> Report {
    match error {
        live::Error::Model(error) => of_model("cannot run the prompt", error),
        live::Error::Sae { sae, source } => of_sae(format!("SAE `{sae}` cannot encode the activations"), source),
    }
}
