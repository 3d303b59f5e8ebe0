//! `saescope doctor`: terminal, device, directories, versions; with a suite, whether it opens and what it measures.
//! Not here: the explorer.

use std::fmt::Write as _;
use std::io::IsTerminal;

use serde_json::{Value, json};

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::output::Output;
use crate::cli::progress::cancel_on_interrupt;
use crate::hub::bytes;
use crate::report::Report;
use crate::session::{RunOptions, available_memory};
use crate::tui::theme::detect;

/// A sentence or two of plain English, for a first look at a suite's figures.
const SENTENCES: &str = "The old library stood at the end of the street, and every morning the children walked past it \
on their way to school. Nobody knew who had built it, but people said that its books came from all over the world.";

pub fn doctor(context: &Context, _: &args::Doctor, output: &Output) -> Result<u8, Report> {
    let env = |name: &str| std::env::var(name).ok();
    let environment = context.setup.hub.environment();
    let mut found = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "terminal": {
            "name": env("TERM"),
            "is_terminal": std::io::stdout().is_terminal(),
            "size": crossterm::terminal::size().ok(),
            "colors": format!("{:?}", detect::depth(&env)).to_lowercase(),
            "charset": format!("{:?}", detect::charset(&env)).to_lowercase(),
        },
        "device": {
            "kind": "cpu",
            "threads": rayon::current_num_threads(),
            "memory_available": available_memory(),
        },
        "directories": {
            "hub_cache": environment.cache,
            "config": context.directories.config_file(),
            "suites": context.directories.suites(),
            "log": context.directories.log(),
        },
        "hub": {
            "endpoint": environment.endpoint.clone(),
            "offline": environment.offline,
            "token": environment.token.is_some(),
        },
    });
    // The suite is opened only when it was asked for: settings name one always.
    if std::env::args_os().any(|arg| arg.to_string_lossy().starts_with("--suite")) {
        found["suite"] = suite(context)?;
    }
    if output.is_json() {
        return Output::object(&found).map(|()| 0);
    }
    let mut text = String::new();
    lines(&mut text, "", &found);
    Output::text(&text).map(|()| 0)
}

/// Opens the suite and puts its figures on a short text beside those it expects.
fn suite(context: &Context) -> Result<Value, Report> {
    let cancel = cancel_on_interrupt();
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    let saes: Vec<String> = suite.saes.iter().filter(|sae| sae.default).map(|sae| sae.id.clone()).collect();
    let expected: Vec<_> = suite.saes.iter().map(|sae| (sae.id.clone(), sae.expect)).collect();
    let opened = session.open(suite, &saes, &cancel, &|_| {})?;
    let run = session.run(SENTENCES, &RunOptions { next: 1, metrics: true }, &cancel)?;
    let saes: Vec<Value> = run
        .saes
        .iter()
        .map(|sae| {
            let expect = expected.iter().find(|(id, _)| *id == sae.id).map(|(_, expect)| *expect).unwrap_or_default();
            json!({
                "id": sae.id, "width": sae.width, "measured": sae.metrics,
                "expected": { "l0": expect.l0, "explained_variance": expect.explained_variance,
                    "mse": expect.mse, "loss_recovered": expect.loss_recovered },
            })
        })
        .collect();
    Ok(json!({ "id": opened.suite, "model": opened.model, "site": opened.site, "notes": opened.notes, "saes": saes }))
}

fn lines(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                lines(text, &name, value);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                let id = item.get("id").and_then(Value::as_str).unwrap_or("?");
                lines(text, &format!("{name}[{id}]"), item);
            }
        }
        Value::Null => {}
        value => {
            let shown = match value {
                Value::String(string) => crate::text::prose(string, crate::text::Charset::Unicode),
                Value::Number(number) if name.ends_with("memory_available") => bytes(number.as_u64().unwrap_or(0)),
                other => other.to_string(),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<34} {shown}");
        }
    }
}
