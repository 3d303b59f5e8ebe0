//! What the catalogue marks as not checked against the files, and what can be said of it with the files at hand.
//! Not here: the marks themselves (suite files).

use crate::analysis::doctor::{Finding, SaeCheckup, Trial, Verdict, short};
use crate::hub::bytes;
use crate::sae::Activation;
use crate::session::loaded_suite::{LoadedSae, LoadedSuite};
use crate::suite::SaeEntry;

/// How far a stated download size may be off.
const SIZE: f64 = 0.01;

/// The conventions that the marks cast doubt on, by their names.
pub fn doubted(model: &[String], sae: &[String]) -> Vec<&'static str> {
    let mut doubted = Vec::new();
    for mark in model.iter().chain(sae) {
        match mark.as_str() {
            "bos" | "prepend_bos" => doubted.push("bos"),
            "value-bias" => doubted.push("value_bias"),
            _ => {}
        }
    }
    doubted
}

/// What came of checking every mark of the model and of the SAEs that were examined.
pub fn findings(shared: &LoadedSuite, saes: &[SaeCheckup]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let model = &shared.suite.model;
    for mark in &model.unverified {
        let (holds, said) = match mark.as_str() {
            "bytes" => size(model.bytes, model_bytes(shared)),
            "bos" | "prepend_bos" => bos(shared, saes),
            "dtype" => (Some(true), "the weights were read".to_owned()),
            _ => (None, "the files at hand do not say".to_owned()),
        };
        findings.push(Finding { of: "the model".to_owned(), key: mark.clone(), holds, said });
    }
    for (loaded, sae) in shared.saes.iter().zip(saes) {
        for mark in &loaded.entry.unverified {
            let (holds, said) = of_sae(shared, loaded, sae, mark);
            findings.push(Finding { of: format!("SAE {}", sae.id), key: mark.clone(), holds, said });
        }
    }
    findings
}

fn of_sae(shared: &LoadedSuite, loaded: &LoadedSae, checkup: &SaeCheckup, mark: &str) -> (Option<bool>, String) {
    match mark {
        "bytes" => size(loaded.entry.bytes, sae_bytes(shared, &loaded.entry)),
        "decoder-norms" => unit(checkup),
        "config" | "stored" | "folder" => (Some(true), "the files were found and read as stated".to_owned()),
        "k" => match loaded.sae.parts().activation {
            Activation::TopK { k } | Activation::GroupMax { k } => (Some(true), format!("its own files say k = {k}")),
            _ => (Some(false), "it is not a TopK SAE".to_owned()),
        },
        "value-bias" => compared(checkup, "value_bias"),
        "bos" | "prepend_bos" => bos(shared, std::slice::from_ref(checkup)),
        "l0" => stated(checkup.measured.l0, checkup.expected.l0, |a, b| (a / b).ln().abs() < 1.5f64.ln()),
        "explained_variance" => {
            let figures = &checkup.measured;
            stated(figures.explained_variance, checkup.expected.explained_variance, |a, b| (a - b).abs() < 0.1)
        }
        _ => (None, "the files at hand do not say".to_owned()),
    }
}

fn size(stated: Option<u64>, found: Option<u64>) -> (Option<bool>, String) {
    match (stated, found) {
        (Some(stated), Some(found)) => {
            let near = (found as f64 - stated as f64).abs() <= SIZE * stated as f64;
            (Some(near), format!("{} stated, {} found", bytes(stated), bytes(found)))
        }
        _ => (None, "the size is not known".to_owned()),
    }
}

fn model_bytes(shared: &LoadedSuite) -> Option<u64> {
    let parts = shared.suite.model_files(&shared.setup.hub).ok()?;
    parts.weights.iter().map(|blob| blob.size().ok()).sum()
}

fn sae_bytes(shared: &LoadedSuite, entry: &SaeEntry) -> Option<u64> {
    let parts = shared.suite.sae_files(entry, &shared.setup.hub).ok()?;
    parts.config.iter().chain([&parts.weights]).chain(&parts.sparsity).map(|blob| blob.size().ok()).sum()
}

fn unit(checkup: &SaeCheckup) -> (Option<bool>, String) {
    let norms = &checkup.decoder_norms;
    (Some(norms.is_unit()), format!("decoder rows are {} to {} long", short(norms.min), short(norms.max)))
}

/// Whether the tokenizer has the token, and prompts are better with it.
fn bos(shared: &LoadedSuite, saes: &[SaeCheckup]) -> (Option<bool>, String) {
    if shared.suite.model.prepend_bos && shared.model.tokenizer.bos().is_none() {
        return (Some(false), "the tokenizer has no beginning-of-sequence token".to_owned());
    }
    saes.first().map_or((None, "nothing was measured".to_owned()), |sae| compared(sae, "bos"))
}

/// Whether the suite's own choice is better than the other one.
fn compared(checkup: &SaeCheckup, convention: &str) -> (Option<bool>, String) {
    let Some(trial) = checkup.trials.iter().find(|trial| trial.convention == convention) else {
        return (None, "there is nothing to compare with".to_owned());
    };
    let Some((own, other)) = checkup.measured.explained_variance.zip(trial.measured.explained_variance) else {
        return (None, "nothing was measured".to_owned());
    };
    let said = format!("explained variance {}, with {} {}", short(own), trial.said, short(other));
    (holds(checkup, trial, own, other), said)
}

fn holds(checkup: &SaeCheckup, trial: &Trial, own: f64, other: f64) -> Option<bool> {
    if checkup.verdict == Verdict::Off && trial.fits {
        return Some(false);
    }
    // Differences in the third digit are the text's.
    (own > other + 0.005).then_some(true)
}

fn stated(found: Option<f64>, stated: Option<f64>, near: impl Fn(f64, f64) -> bool) -> (Option<bool>, String) {
    match (found, stated) {
        (Some(found), Some(stated)) => {
            (Some(near(found, stated)), format!("{} stated, {} measured", short(stated), short(found)))
        }
        _ => (None, "nothing is stated, or nothing was measured".to_owned()),
    }
}
