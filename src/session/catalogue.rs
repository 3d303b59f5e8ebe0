//! The list of known suites with what of each is on this machine.
//! Not here: what a suite is, and downloading.

use serde::Serialize;

use crate::report::Report;
use crate::session::SessionConfig;
use crate::session::load_scope::LoadScope;
use crate::session::query::{Cx, Query};
use crate::site::Site;
use crate::suite::{self, CatalogueEntry, Choice, Suite};

/// The known suites and what of them is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueQuery {
    /// A suite that is to be in the list also where nothing but its file's path finds it; it comes first then.
    pub beside: Option<String>,
    /// How much of each model counts.
    pub reach: LoadScope,
}

impl Query for CatalogueQuery {
    type Answer = Vec<SuiteEntry>;
    const NAME: &'static str = "catalogue";
    const PRIORITY: u8 = 200;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Vec<SuiteEntry>, Report> {
        Ok(entries(cx.setup(), self.beside.as_deref(), self.reach))
    }
}

/// A known suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteEntry {
    /// Its id, or the path of its file.
    pub id: String,
    /// What `--suite` takes to find it: its id, or the path it was asked by.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The model's repository or directory.
    pub model: String,
    /// Where activations are taken; none when the suite's file cannot be read.
    pub site: Option<Site>,
    /// The ids of its SAEs.
    pub saes: Vec<String>,
    /// Bytes to download for the default choice, as far as known.
    pub download_bytes: Option<u64>,
    /// Bytes of it that are on this machine.
    pub cached_bytes: u64,
    /// Whether everything of the default choice is on this machine.
    pub ready: bool,
    /// The model's licence, and whether it must be accepted first.
    pub licence: Option<String>,
    /// How to get access when the model is gated.
    pub gated: Option<String>,
}

impl SuiteEntry {
    /// Where activations are taken, in words.
    pub fn site_name(&self) -> String {
        self.site.map_or_else(|| "no site".to_owned(), |site| site.to_string())
    }
}

/// Every known suite, with what of the model this reach takes; of the user's own files that cannot be read, the reason stands in the title.
/// A suite `beside` them, which only its file's path finds, comes first.
fn entries(setup: &SessionConfig, beside: Option<&str>, reach: LoadScope) -> Vec<SuiteEntry> {
    let mut all: Vec<SuiteEntry> =
        suite::catalogue(&setup.suites).into_iter().map(|listed| entry(listed, setup, reach)).collect();
    if let Some(name) = beside.filter(|name| all.iter().all(|entry| entry.name != *name))
        && let Ok(suite) = suite::find(name, &setup.suites)
    {
        all.insert(0, of_suite(&suite, setup, reach));
    }
    all
}

fn entry(listed: CatalogueEntry, setup: &SessionConfig, reach: LoadScope) -> SuiteEntry {
    let file = listed.file.as_ref().map(|file| file.display().to_string());
    match listed.suite {
        Ok(suite) => of_suite(&suite, setup, reach),
        Err(error) => SuiteEntry {
            id: file.clone().unwrap_or_default(),
            name: file.unwrap_or_default(),
            title: format!("cannot be read: {}", why(error)),
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

/// What is wrong with a suite file, on one line.
fn why(error: suite::Error) -> String {
    let Report { what, why, .. } = error.into();
    [what].into_iter().chain(why).collect::<Vec<_>>().join(": ")
}

fn of_suite(suite: &Suite, setup: &SessionConfig, reach: LoadScope) -> SuiteEntry {
    let plan = suite.plan_with(&Choice::default(), &reach.pick(suite.site), &setup.hub).ok();
    let model = suite.model.source.to_string();
    SuiteEntry {
        id: suite.id.clone(),
        name: suite.name.clone(),
        title: suite.title.clone(),
        site: Some(suite.site),
        saes: suite.saes.iter().map(|sae| sae.id.clone()).collect(),
        download_bytes: plan.as_ref().and_then(suite::PullPlan::total_bytes),
        cached_bytes: plan.as_ref().map_or(0, suite::PullPlan::cached_bytes),
        ready: plan.as_ref().is_some_and(suite::PullPlan::ready),
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
