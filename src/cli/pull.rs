//! `saescope pull`: downloads what a suite lacks.
//! Not here: downloading (`suite`, `hub`).

use serde_json::json;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::output::{Output, say};
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::hub::bytes;
use crate::report::{Kind, Report};
use crate::session::{LoadScope, Session};
use crate::suite::{Choice, FileNeed, Part, PullPlan, Suite, argument};

pub fn pull(context: &Context, options: &args::Pull, output: &Output) -> Result<u8, Report> {
    let mut setup = context.setup.clone();
    if options.verify {
        setup.hub = setup.hub.verifying();
    }
    let session = Session::new(setup);
    let suite = session.suite(&options.suite)?;
    let choice = Choice { saes: options.sae.clone(), metas: options.meta.clone(), all: options.all };
    let line = Line::new();
    let pulled = session.pull(&suite, &choice, context.reach, &cancel_on_interrupt(), &|progress| line.show(&progress));
    line.end();
    let plan = pulled.map_err(|report| match report.kind {
        Kind::Cancelled => report.hint("what has arrived is kept: the same command continues from there"),
        _ => report,
    })?;
    if !plan.ready() {
        let missing = plan.needs.iter().flat_map(|need| &need.files).filter(|file| !file.cached);
        let missing: Vec<String> = missing.map(|file| format!("{}: {}", file.repo, file.file)).collect();
        return Err(Report::new(format!("{} is not whole in the cache after the download", suite.id))
            .because(missing.join(", "))
            .hint("the same command tries again"));
    }
    let mended: Vec<String> = plan.mended.iter().map(|file| format!("{}: {}", file.repo, file.file)).collect();
    let files: usize = plan.needs.iter().map(|need| need.files.len()).sum();
    if output.is_json() {
        let left: Vec<String> = plan.left_out().map(|left| format!("{}: {}", left.repo, left.file)).collect();
        return Output::object(&json!({
            "suite": suite.id,
            "files": files,
            "bytes": plan.total_bytes(),
            "left_out": left,
            "left_out_bytes": left_bytes(&plan),
            "mended": mended,
            "checked": plan.checked,
        }))
        .map(|()| 0);
    }
    for file in &mended {
        say(&format!("{file} was damaged in the cache and has been downloaded again"));
    }
    if options.verify {
        say(&format!("files that were here and are what their hashes say: {}", plan.checked));
    }
    if let Some(said) = left_out(&suite, &plan, context.reach) {
        say(&said);
    }
    let flag = context.reach.flag().map(|flag| format!(" {flag}")).unwrap_or_default();
    say(&format!("{} is ready: `saescope --suite {}{flag}` opens it", suite.id, argument(&suite.name)));
    Ok(0)
}

fn left_bytes(plan: &PullPlan) -> Option<u64> {
    plan.left_out().map(|left| left.bytes).sum()
}

/// What of the model was not fetched, what needs it and what brings it; or why nothing could be left out.
fn left_out(suite: &Suite, plan: &PullPlan, reach: LoadScope) -> Option<String> {
    let needs_it = match reach {
        LoadScope::Whole => return None,
        LoadScope::Site => "what the model says next needs them",
        LoadScope::WeightsOnly => "prompts need them",
    };
    let model = plan.needs.iter().find(|need| need.part == Part::Model)?;
    let left: Vec<&FileNeed> = plan.left_out().collect();
    let shards = model.files.iter().chain(&model.left).filter(|file| file.file.ends_with(".safetensors")).count();
    if left.is_empty() {
        let why = match (shards, model.left.len()) {
            (1, 0) => "the model's weights are one file",
            (_, 0) => "every file of the model's weights holds something of it",
            _ => "the rest is on this machine already",
        };
        return Some(format!("nothing of the model is left out: {why}"));
    }
    let size = left_bytes(plan).map(|size| format!(" ({})", bytes(size))).unwrap_or_default();
    let all = argument(&suite.name);
    Some(format!(
        "left out: {} of {shards} files of weights{size}; {needs_it}, and `saescope pull {all}` brings them",
        left.len()
    ))
}
