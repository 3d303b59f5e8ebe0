//! `saescope doctor`: terminal, device, directories, versions; with a suite, whether it is wired as its SAEs need it.
//! Not here: measuring.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::analysis::doctor::{Checkup, MappingFigures, MappingView, Verdict, render};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::output::Output;
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::hub::bytes;
use crate::report::Report;
use crate::session::{CheckupQuery, ComputeDevice, MappingQuery, OpenedSuite, available_memory};
use crate::tui::theme::detect;

/// Columns where the terminal does not say.
const COLUMNS: usize = 80;

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
        "device": device(&context.setup.compute_device),
        "directories": {
            "hub_cache": environment.cache,
            "config": context.directories.config_file(),
            "suites": context.directories.suites(),
            "log": context.directories.log(),
            "log_error": context.without_log,
        },
        "hub": {
            "endpoint": environment.shown_endpoint(),
            "offline": environment.offline,
            "token": environment.token.is_some(),
        },
    });
    // The suite is opened only when it was asked for: settings name one always.
    let wanted = std::env::args_os().any(|arg| arg.to_string_lossy().starts_with("--suite"));
    let suite = wanted.then(|| suite(context)).transpose()?;
    let unusable = found["device"]["error"].is_object();
    let off = unusable
        || suite.as_ref().is_some_and(|(_, checkup, mapping)| {
            checkup.verdict == Verdict::Off || mapping.iter().any(MappingView::is_off)
        });
    let code = u8::from(off);
    if output.is_json() {
        found["notes"] = json!(suite.as_ref().map_or(&[][..], |(opened, ..)| &opened.notes));
        if let Some((opened, checkup, mapping)) = &suite {
            found["suite"] = json!(checkup.as_ref());
            found["suite"]["id"] = json!(opened.suite);
            found["suite"]["model"] = json!(opened.model);
            found["suite"]["site"] = json!(opened.site);
            found["suite"]["notes"] = json!(opened.notes);
            found["suite"]["mapping"] = json!(mapping);
        }
        return Output::object(&found).map(|()| code);
    }
    let mut text = String::new();
    lines(&mut text, "", &found);
    if let Some((opened, checkup, mapping)) = suite {
        let columns = crate::tui::terminal::size().map_or(COLUMNS, |(columns, _)| usize::from(columns));
        let charset = crate::text::Charset::Unicode;
        let about = format!("{}: {} at {}", opened.suite, opened.model, opened.site);
        let _ = writeln!(text, "\n{}", crate::text::prose(&about, charset));
        for note in &opened.notes {
            let _ = writeln!(text, "{}", crate::text::prose(note, charset));
        }
        for (_, line) in render::lines(&checkup, columns, charset) {
            let _ = writeln!(text, "{line}");
        }
        text.push_str(&mapped(&mapping));
    }
    Output::text(&text).map(|()| code)
}

/// What computes, and in which precision; why it does not, where it does not.
fn device(compute_device: &ComputeDevice) -> Value {
    let mut device = json!({
        "kind": compute_device.name().kind(),
        "name": compute_device.name().to_string(),
        "threads": rayon::current_num_threads(),
        "memory_available": available_memory(),
    });
    match compute_device.place() {
        Ok(place) => {
            device["precision"] = json!(place.precision());
            if place.holds_weights() {
                device["memory_available_there"] = json!(place.free());
            }
        }
        Err(report) => device["error"] = json!(report),
    }
    device
}

/// Opens the suite and measures its SAEs, whatever is remembered of them.
fn suite(context: &Context) -> Result<(OpenedSuite, Arc<Checkup>, Vec<MappingView>), Report> {
    let cancel = cancel_on_interrupt();
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    let saes: Vec<String> = suite.saes.iter().filter(|sae| sae.default).map(|sae| sae.id.clone()).collect();
    let opened = session.open(suite, &saes, &cancel, &|_| {})?;
    let line = Line::new();
    let query = CheckupQuery { losses: true, again: true };
    let checked = session.ask(&query, &cancel, &|progress| line.show(&progress));
    let mut mapping = Vec::new();
    for sae in saes {
        mapping.extend(session.ask(&MappingQuery { sae }, &cancel, &|progress| line.show(&progress))?);
    }
    line.end();
    Ok((opened, checked?.checkup, mapping))
}

/// How published activations compare, a line for each SAE of which examples were taken in.
fn mapped(mapping: &[MappingView]) -> String {
    let mut text = String::new();
    for MappingView { sae, rows, left_out, figures, said, .. } in mapping {
        let MappingFigures { argmax, correlation, scale, fires } = figures;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "SAE {}: {}\n  {rows} published rows ({left_out} left out): {:.0} % peak on the same token, correlation \
             {correlation:.3}, scale {scale:.3}, {fires:.2} times as many tokens fire",
            crate::text::prose(sae, crate::text::Charset::Unicode),
            crate::text::prose(said, crate::text::Charset::Unicode),
            argmax * 100.0
        );
    }
    text
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
                Value::Number(number) if name.contains(".memory_available") => bytes(number.as_u64().unwrap_or(0)),
                other => other.to_string(),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<34} {shown}");
        }
    }
}
