//! The list of known suites with what of each is on this machine.
//! Not here: what a suite is, and downloading.

use crate::session::{Reach, Setup, SuiteEntry};
use crate::suite::{self, Choice, Listed, Suite};

/// Every known suite, with what of the model this reach takes; of the user's own files that cannot be read, the reason stands in the title.
/// A suite `beside` them, which only its file's path finds, comes first.
pub fn entries(setup: &Setup, beside: Option<&str>, reach: Reach) -> Vec<SuiteEntry> {
    let mut all: Vec<SuiteEntry> =
        suite::catalogue(&setup.suites).into_iter().map(|listed| entry(listed, setup, reach)).collect();
    if let Some(name) = beside.filter(|name| all.iter().all(|entry| entry.name != *name))
        && let Ok(suite) = suite::find(name, &setup.suites)
    {
        all.insert(0, of_suite(&suite, setup, reach));
    }
    all
}

fn entry(listed: Listed, setup: &Setup, reach: Reach) -> SuiteEntry {
    let file = listed.file.as_ref().map(|file| file.display().to_string());
    match listed.suite {
        Ok(suite) => of_suite(&suite, setup, reach),
        Err(error) => SuiteEntry {
            id: file.clone().unwrap_or_default(),
            name: file.unwrap_or_default(),
            title: format!("cannot be read: {error}"),
            model: String::new(),
            site: None,
            saes: Vec::new(),
            download_bytes: None,
            cached_bytes: 0,
            ready: false,
            licence: None,
            gated: None,
        },
    }
}

fn of_suite(suite: &Suite, setup: &Setup, reach: Reach) -> SuiteEntry {
    let plan = suite.plan_with(&Choice::default(), &reach.pick(suite.site), &setup.hub).ok();
    let model = suite.model.source.to_string();
    SuiteEntry {
        id: suite.id.clone(),
        name: suite.name.clone(),
        title: suite.title.clone(),
        site: Some(suite.site),
        saes: suite.saes.iter().map(|sae| sae.id.clone()).collect(),
        download_bytes: plan.as_ref().and_then(suite::Plan::total_bytes),
        cached_bytes: plan.as_ref().map_or(0, suite::Plan::cached_bytes),
        ready: plan.as_ref().is_some_and(suite::Plan::ready),
        licence: suite.model.licence.clone(),
        gated: suite.model.gated.then(|| {
            format!("accept the licence at the page of {model}, then log in or set HF_TOKEN{}", copies(suite))
        }),
        model,
    }
}

/// The open copies of a gated model, for the end of a sentence.
fn copies(suite: &Suite) -> String {
    let mirrors = &suite.model.mirrors;
    if mirrors.is_empty() { String::new() } else { format!("; open copies: {}", mirrors.join(", ")) }
}
