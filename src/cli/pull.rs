//! `saescope pull`: downloads what a suite lacks.
//! Not here: downloading (`suite`, `hub`).

use serde_json::json;

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::output::{Output, say};
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::{Kind, Report};
use crate::suite::{Choice, argument};

pub fn pull(context: &Context, options: &args::Pull, output: &Output) -> Result<u8, Report> {
    let suite = context.session().suite(&options.suite)?;
    let choice = Choice { saes: options.sae.clone(), metas: options.meta.clone(), all: options.all };
    let line = Line::new();
    let pulled = suite.pull(&choice, &context.setup.hub, &cancel_on_interrupt(), &|progress| line.show(&progress));
    line.end();
    let plan = pulled.map_err(|error| match Report::from(error) {
        report if report.kind == Kind::Cancelled => {
            report.hint("what has arrived is kept: the same command goes on from there")
        }
        report => report,
    })?;
    let files: usize = plan.needs.iter().map(|need| need.files.len()).sum();
    if output.is_json() {
        return Output::object(&json!({ "suite": suite.id, "files": files, "bytes": plan.total_bytes() })).map(|()| 0);
    }
    say(&format!("{} is ready: `saescope --suite {}` opens it", suite.id, argument(&suite.name)));
    Ok(0)
}
