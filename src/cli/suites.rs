//! `saescope suites`: what can be explored, and what it costs to download.
//! Not here: the catalogue.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::output::Output;
use crate::report::Report;
use crate::session::{CatalogueQuery, SuiteEntry};
use crate::task::Cancel;
use crate::text::{Charset, prose};
use crate::tui::format;

pub fn suites(context: &Context, output: &Output) -> Result<u8, Report> {
    let query = CatalogueQuery { beside: None, reach: context.reach };
    let suites = context.session().ask(&query, &Cancel::new(), &|_| {})?;
    if output.is_json() {
        return Output::object(&json!({ "suites": suites })).map(|()| 0);
    }
    let widest = suites.iter().map(|suite| suite.id.chars().count()).max().unwrap_or(0);
    let text: String = suites.iter().map(|suite| line(suite, widest)).collect();
    Output::text(&text).map(|()| 0)
}

fn line(suite: &SuiteEntry, widest: usize) -> String {
    let id = prose(&suite.id, Charset::Unicode);
    let state = match (suite.ready, suite.download_bytes) {
        (true, Some(0) | None) => "ready".to_owned(),
        (true, Some(bytes)) => format!("ready, {}", format::bytes(bytes)),
        (false, Some(bytes)) if suite.cached_bytes > 0 => {
            format!("{} of {} here", format::bytes(suite.cached_bytes), format::bytes(bytes))
        }
        (false, Some(bytes)) => format!("{} to download", format::bytes(bytes)),
        (false, None) => "size unknown".to_owned(),
    };
    let gated = if suite.gated.is_some() { ", needs access" } else { "" };
    format!("{id:<widest$}  {:<22} {}\n", format!("{state}{gated}"), prose(&suite.title, Charset::Unicode))
}
