//! The explorer, on the person's terminal or on one in memory.
//! Not here: the explorer itself (`tui`).

use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::output::{self, Output, say};
use crate::report::{Kind, Report};
use crate::session::LoadScope;
use crate::settings::{Color, Theme};
use crate::tui::msg::Format;
use crate::tui::theme::{Depth, Ground, detect};
use crate::tui::{self, EventSink, Options};
use crate::worker::Worker;

pub fn explore(context: &Context) -> Result<u8, Report> {
    // What cannot compute is reported on the person's screen, not on the explorer's.
    computes(context)?;
    tui::run(&options(context, context.prompt.clone()), |sink| worker(context, sink))
}

pub fn shot(context: &Context, options: &args::Shot) -> Result<u8, Report> {
    computes(context)?;
    let format = match &options.out {
        None => Format::Text,
        Some(path) => {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            Format::of_extension(ending).ok_or_else(|| {
                Report::new(format!("`{}` does not say what kind of picture is wanted", path.display()))
                    .hint("let it end in .txt, .ansi or .svg")
                    .kind(Kind::Usage)
            })?
        }
    };
    let start = self::options(context, options.prompt.clone().or_else(|| context.prompt.clone()));
    let picture = tui::shot(&start, &options.keys, options.size, format, |sink| worker(context, sink))?;
    let Some(path) = &options.out else { return Output::text(&picture).map(|()| 0) };
    output::save(path, picture.as_bytes())?;
    say(&format!("saved {}", path.display()));
    Ok(0)
}

fn computes(context: &Context) -> Result<(), Report> {
    match context.reach {
        LoadScope::WeightsOnly => context.setup.compute_device.check(),
        LoadScope::Site | LoadScope::Whole => context.setup.compute_device.place().map(|_| ()),
    }
}

fn worker(context: &Context, sink: EventSink) -> Result<Worker, Report> {
    Worker::start(&context.setup, move |event| sink(event))
        .map_err(|error| Report::caused("cannot start a thread", &error))
}

fn options(context: &Context, prompt: Option<String>) -> Options {
    let settings = &context.settings;
    let env = |name: &str| std::env::var(name).ok();
    Options {
        suite: settings.suite.clone(),
        prompt,
        no_mouse: !settings.mouse,
        depth: match settings.color {
            Color::Auto => None,
            Color::Always => Some(detect::depth(&|name: &str| env(name).filter(|_| name != "NO_COLOR"))),
            Color::Never => Some(Depth::Mono),
            Color::Sixteen => Some(Depth::Ansi16),
            Color::Cube => Some(Depth::Ansi256),
            Color::True => Some(Depth::True),
        },
        ground: match settings.theme {
            Theme::Auto => None,
            Theme::Dark => Some(Ground::Dark),
            Theme::Light => Some(Ground::Light),
        },
        ascii: settings.ascii,
        saes: context.saes.clone(),
        reach: context.reach,
    }
}
