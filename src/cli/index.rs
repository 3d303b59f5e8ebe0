//! `saescope index`: a text read once through the model, and what fires in it counted.
//! Not here: counting it (`session`).

use std::fmt::Write as _;

use crate::analysis::IndexView;
use crate::cli::args::{self, Index};
use crate::cli::context::{Context, open};
use crate::cli::output::{Output, say};
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::Report;
use crate::session::{IndexQuery, IndexRecipe, LoadScope, OpenRequest, ReadOn, index_info, merge_indexes};
use crate::suite::Error;
use crate::text::{Charset, prose};
use crate::tui::format;

pub fn index(context: &Context, options: &Index, output: &Output) -> Result<u8, Report> {
    let view = match options {
        Index::Build(options) => build(context, options)?,
        Index::Merge(options) => {
            let (cancel, line) = (cancel_on_interrupt(), Line::new());
            let merged = merge_indexes(&options.parts, options.out.clone(), &cancel, &|so_far| line.show(&so_far));
            line.end();
            merged?
        }
        Index::Info(options) => index_info(&options.index)?,
    };
    if output.is_json() {
        return Output::object(&view).map(|()| 0);
    }
    view.notes.iter().for_each(|note| say(note));
    Output::text(&words(&view)).map(|()| 0)
}

fn build(context: &Context, options: &args::IndexBuild) -> Result<IndexView, Report> {
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    options.sae.iter().try_for_each(|id| suite.sae(id).map(drop))?;
    // The SAEs that are asked for must be here; without any, those that are.
    let missing =
        |sae: &crate::suite::SaeEntry| matches!(suite.sae_files(sae, &context.setup.hub), Err(Error::Missing { .. }));
    let asked = |sae: &crate::suite::SaeEntry| options.sae.contains(&sae.id);
    let here = |sae: &&crate::suite::SaeEntry| asked(sae) || (options.sae.is_empty() && !missing(sae));
    let mut saes: Vec<String> = suite.saes.iter().filter(here).map(|sae| sae.id.clone()).collect();
    if saes.is_empty() {
        saes = suite.default_saes();
    }
    let cancel = cancel_on_interrupt();
    let reach = context.reach.min(LoadScope::Site);
    open(&mut session, OpenRequest { suite, saes: &saes, reach, words: true }, &cancel)?;
    let recipe = IndexRecipe {
        texts: options.text.clone(),
        saes: options.sae.clone(),
        metas: options.meta.clone(),
        tokens: options.tokens,
        context: options.context.map(|context| context as usize),
        top: Some(options.top as usize),
        shard: options.shard,
        out: options.out.clone(),
    };
    let line = Line::new();
    let built = session.ask(&IndexQuery { read: Some(ReadOn::All), recipe }, &cancel, &|so_far| line.show(&so_far));
    line.end();
    built
}

fn words(view: &IndexView) -> String {
    let shown = |text: &str| prose(text, Charset::Unicode);
    let mut text = String::new();
    // Writing to a string does not fail, here and below.
    if let Some(folder) = &view.index {
        let _ = writeln!(text, "index      {}", shown(&folder.display().to_string()));
    }
    if let Some((shard, of)) = view.shard {
        let _ = writeln!(text, "shard      {shard} of {of}");
    }
    let _ = writeln!(
        text,
        "suite      {}\ntexts      {}{}\ntokens     {} in {} documents, {} windows of up to {}; {} sinks left out",
        shown(&view.suite),
        view.texts.iter().map(|text| shown(text)).collect::<Vec<_>>().join(", "),
        if view.complete { "" } else { " (not read to the end: the same command continues)" },
        format::count(view.tokens),
        format::count(view.documents),
        format::count(view.windows),
        view.context,
        format::count(view.sinks),
    );
    if view.seconds > 0.0 {
        let _ = writeln!(text, "time       {:.1} s, {:.0} tokens a second", view.seconds, view.tokens_per_second);
    }
    for sae in &view.saes {
        let _ = writeln!(
            text,
            "SAE {:<10} {:>8} latents, {} silent, {} dense, L0 {:.1}",
            shown(&sae.id),
            sae.width,
            sae.silent,
            sae.dense,
            sae.l0
        );
    }
    for meta in &view.metas {
        let _ = writeln!(
            text,
            "meta-SAE {} of SAE {}: {} meta-latents, {} silent, {} dense, {:.1} on a token",
            shown(&meta.id),
            shown(&meta.sae),
            meta.width,
            meta.silent,
            meta.dense,
            meta.l0
        );
    }
    text
}
