//! `saescope compare`: two prompts beside each other.
//! Not here: comparing them (`analysis::compare`).

use std::fmt::Write as _;

use crate::analysis::{CompareView, NextToken, TokenView};
use crate::cli::answer::{Answer, CommandLine};
use crate::cli::args;
use crate::cli::context::{Context, open};
use crate::cli::output::Output;
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::{Kind, Report};
use crate::session::{CompareQuery, LoadScope, OpenRequest};
use crate::text::{Charset, prose, token};

/// Latents of each list that are printed for a person where nothing else is said.
const TOP: usize = 5;

pub fn compare(context: &Context, options: &args::Compare, output: &Output) -> Result<u8, Report> {
    let [a, b] = &options.prompt[..] else {
        let why = format!("there are {}", options.prompt.len());
        return Err(Report::new("two prompts are compared")
            .because(why)
            .hint("--prompt A --prompt B")
            .kind(Kind::Usage));
    };
    if context.reach == LoadScope::WeightsOnly {
        return Err(Report::new("cannot compare prompts without a model")
            .hint("leave out --weights-only")
            .kind(Kind::Usage));
    }
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    let (name, cancel) = (suite.name.clone(), cancel_on_interrupt());
    let saes = [options.sae.clone()];
    open(&mut session, OpenRequest { suite, saes: &saes, reach: context.reach, words: false }, &cancel)?;
    let query = CompareQuery {
        a: a.clone(),
        b: b.clone(),
        sae: options.sae.clone(),
        shift: options.shift,
        next: if context.reach == LoadScope::Whole { options.logits } else { 0 },
    };
    let line = Line::new();
    let view = session.ask(&query, &cancel, &|so_far| line.show(&so_far));
    line.end();
    let mut view = view?;
    let top = options.top.map(|top| top as usize);
    cut(&mut view, if output.is_json() { top } else { top.or(Some(TOP)) });
    if !output.is_json() {
        return Output::text(&words(&view)).map(|()| 0);
    }
    let command = CommandLine::new("compare", &name)
        .text("sae", &options.sae)
        .texts("prompt", &options.prompt)
        .maybe("shift", Some(options.shift).filter(|shift| *shift != 0))
        .maybe("top", options.top)
        .number("logits", options.logits)
        .json();
    let versions = session.versions(&saes, &cancel)?;
    Output::object(&Answer { view: &view, command, versions }).map(|()| 0)
}

fn cut(view: &mut CompareView, top: Option<usize>) {
    let Some(top) = top else { return };
    for pair in &mut view.pairs {
        pair.both.truncate(top);
        pair.a_only.truncate(top);
        pair.b_only.truncate(top);
    }
}

fn words(view: &CompareView) -> String {
    let shown = |tokens: &[TokenView], at: usize| {
        tokens.get(at).map(|of| token(&of.text, Charset::Unicode)).unwrap_or_default()
    };
    let mut text = format!("SAE {}\n", prose(&view.sae, Charset::Unicode));
    for pair in &view.pairs {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            text,
            "\n{:>4} {:<18} {:>4} {}",
            pair.a,
            shown(&view.tokens_a, pair.a),
            pair.b,
            shown(&view.tokens_b, pair.b)
        );
        for of in &pair.both {
            let _ = writeln!(text, "  both {:>10} {:>10.3} {:>10.3} {:>+10.3}", of.latent, of.a, of.b, of.b - of.a);
        }
        for of in &pair.a_only {
            let _ = writeln!(text, "     A {:>10} {:>10.3}", of.latent, of.a);
        }
        for of in &pair.b_only {
            let _ = writeln!(text, "     B {:>10} {:>10} {:>10.3}", of.latent, "", of.b);
        }
        for (name, next) in [("A", &pair.next_a), ("B", &pair.next_b)].into_iter().filter(|(_, next)| !next.is_empty())
        {
            let _ = writeln!(text, "  next {name}  {}", likeliest(next));
        }
    }
    for (name, tokens, unpaired) in [("A", &view.tokens_a, &view.unpaired_a), ("B", &view.tokens_b, &view.unpaired_b)] {
        let named: Vec<String> = unpaired.iter().map(|at| format!("{at} {}", shown(tokens, *at))).collect();
        if !named.is_empty() {
            let _ = writeln!(text, "\nonly in {name}: {}", named.join(", "));
        }
    }
    for note in &view.notes {
        let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
    }
    text
}

fn likeliest(next: &[NextToken]) -> String {
    let one = |next: &NextToken| format!("{} {:.3}", token(&next.text, Charset::Unicode), next.logprob);
    next.iter().map(one).collect::<Vec<_>>().join("  ")
}
