//! `saescope labels`: rules made of a text, labels taken in and written out.
//! Not here: making and keeping them (`session`).

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::args::{self, Labels};
use crate::cli::context::{Context, open};
use crate::cli::output::{Output, say};
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::Report;
use crate::session::{
    ExportLabelsQuery, ImportLabelsQuery, LabelCount, LoadScope, MakeLabelsQuery, OpenRequest, Session,
};
use crate::suite::{Error, Suite};
use crate::text::{Charset, prose};

pub fn labels(context: &Context, options: &Labels, output: &Output) -> Result<u8, Report> {
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    let counts = match options {
        Labels::Make(options) => {
            let count = make(context, &mut session, suite, options)?;
            if output.is_json() {
                return Output::object(&count).map(|()| 0);
            }
            vec![count]
        }
        Labels::Import(options) => {
            let cancel = cancel_on_interrupt();
            opened(context, &mut session, suite)?;
            session.ask(&ImportLabelsQuery(options.file.clone()), &cancel, &|_| ())?
        }
        Labels::Export(options) => {
            let cancel = cancel_on_interrupt();
            opened(context, &mut session, suite)?;
            session.ask(&ExportLabelsQuery(options.file.clone()), &cancel, &|_| ())?
        }
    };
    if output.is_json() {
        return Output::object(&Counts { saes: &counts }).map(|()| 0);
    }
    counts.iter().flat_map(|count| &count.notes).for_each(|note| say(note));
    Output::text(&words(&counts)).map(|()| 0)
}

#[derive(Serialize)]
struct Counts<'a> {
    saes: &'a [LabelCount],
}

fn make(
    context: &Context,
    session: &mut Session,
    suite: Suite,
    options: &args::LabelsMake,
) -> Result<LabelCount, Report> {
    suite.sae(&options.sae)?;
    let cancel = cancel_on_interrupt();
    let saes = [options.sae.clone()];
    let reach = context.reach.min(LoadScope::Site);
    open(session, OpenRequest { suite, saes: &saes, reach, words: true }, &cancel)?;
    let query = MakeLabelsQuery {
        sae: options.sae.clone(),
        latents: options.latent.clone(),
        texts: options.text.clone(),
        tokens: Some(options.tokens),
        unless_made: false,
    };
    let line = Line::new();
    let made = session.ask(&query, &cancel, &|so_far| line.show(&so_far));
    line.end();
    made
}

/// Opens the suite's SAEs that are here, without a model.
fn opened(context: &Context, session: &mut Session, suite: Suite) -> Result<(), Report> {
    let hub = &context.setup.hub;
    let missing = |sae: &crate::suite::SaeEntry| matches!(suite.sae_files(sae, hub), Err(Error::Missing { .. }));
    let mut saes: Vec<String> = suite.saes.iter().filter(|sae| !missing(sae)).map(|sae| sae.id.clone()).collect();
    if saes.is_empty() {
        saes = suite.default_saes();
    }
    let cancel = cancel_on_interrupt();
    let request = OpenRequest { suite, saes: &saes, reach: LoadScope::WeightsOnly, words: false };
    open(session, request, &cancel).map(drop)
}

fn words(counts: &[LabelCount]) -> String {
    let mut text = String::new();
    for LabelCount { sae, labelled, none, unknown, tokens, .. } in counts {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "SAE {}: {labelled} latents with a label, {none} known to have none, {unknown} for which nobody looked",
            prose(sae, Charset::Unicode)
        );
        if let Some(tokens) = tokens {
            let _ = writeln!(text, "{tokens} positions of the text were read; half of them were held out");
        }
    }
    text
}
