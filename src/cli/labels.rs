//! `saescope labels`: rules made of a text, Neuronpedia's, a model's (`words`), labels taken in and written out.
//! Not here: making and keeping them (`session`).

mod words;

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::answer::{Answer, CommandLine};
use crate::cli::args::{self, Labels};
use crate::cli::context::{Context, open};
use crate::cli::output::{Output, say};
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::{Kind, Report};
use crate::session::{
    ExamplesCount, ExportLabelsQuery, ImportLabelsQuery, LabelCount, LoadScope, MakeLabelsQuery, ModelAsked,
    OpenRequest, PullExamplesQuery, PullLabelsQuery, Query, Session,
};
use crate::suite::{Error, SaeEntry, Suite};
use crate::task::Cancel;
use crate::text::{Charset, prose};

pub fn labels(context: &Context, options: &Labels, output: &Output) -> Result<u8, Report> {
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    let name = suite.name.clone();
    let cancel = cancel_on_interrupt();
    let (counts, command) = match options {
        Labels::Make(options) => (make(context, &mut session, suite, options, &cancel)?, make_command(&name, options)),
        Labels::Score(options) => {
            let count = words::score(context, &mut session, suite, options, &cancel)?;
            (vec![count], words::score_command(&name, options))
        }
        Labels::Pull(options) => (pull(context, &mut session, suite, options, &cancel)?, {
            let line = CommandLine::new("labels pull", &name).texts("sae", &options.sae);
            let line = line.flag("examples", options.examples).flag("anyway", options.anyway);
            options.latent.iter().fold(line, |line, latent| line.number("latent", latent))
        }),
        Labels::Import(options) => {
            opened(context, &mut session, suite, &[], &cancel)?;
            let counts = session.ask(&ImportLabelsQuery(options.file.clone()), &cancel, &|_| ())?;
            (counts, of_file("labels import", &name, options))
        }
        Labels::Export(options) => {
            opened(context, &mut session, suite, &[], &cancel)?;
            let counts = session.ask(&ExportLabelsQuery(options.file.clone()), &cancel, &|_| ())?;
            (counts, of_file("labels export", &name, options))
        }
    };
    if output.is_json() {
        let saes: Vec<String> = counts.iter().map(|count| count.sae.clone()).collect();
        let versions = session.versions(&saes, &cancel)?;
        let one = if let [one] = &counts[..] { Some(one) } else { None };
        let notes = one.is_none().then(Vec::new);
        let answer = Answer { view: &Counts { one, saes: &counts, notes }, command: command.json(), versions };
        return Output::object(&answer).map(|()| 0);
    }
    counts.iter().flat_map(|count| &count.notes).for_each(|note| say(note));
    Output::text(&words(&counts)).map(|()| 0)
}

/// What is answered of each SAE; of one its fields stand at the top too.
#[derive(Serialize)]
struct Counts<'a> {
    #[serde(flatten)]
    one: Option<&'a LabelCount>,
    saes: &'a [LabelCount],
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<Vec<String>>,
}

fn of_file(command: &str, suite: &str, options: &args::LabelsFile) -> CommandLine {
    CommandLine::new(command, suite).argument(&options.file.display().to_string())
}

fn make_command(suite: &str, options: &args::LabelsMake) -> CommandLine {
    let line = CommandLine::new("labels make", suite).text("sae", &options.sae).flag("rules", options.rules);
    let line = words::with_model(line, &options.model);
    with_text(options.latent.iter().fold(line, |line, latent| line.number("latent", latent)), &options.text)
        .maybe("limit", options.limit)
}

fn with_text(line: CommandLine, options: &args::LabelsText) -> CommandLine {
    let texts: Vec<String> = options.text.iter().map(|path| path.display().to_string()).collect();
    line.texts("text", &texts).number("tokens", options.tokens)
}

fn make(
    context: &Context,
    session: &mut Session,
    suite: Suite,
    options: &args::LabelsMake,
    cancel: &Cancel,
) -> Result<Vec<LabelCount>, Report> {
    let endpoint = words::endpoint(&options.model)?;
    to_read(context, session, suite, &options.sae, cancel)?;
    if let Some(endpoint) = endpoint {
        return words::make(session, options, endpoint, cancel).map(|count| vec![count]);
    }
    let query = MakeLabelsQuery {
        sae: options.sae.clone(),
        latents: options.latent.clone(),
        limit: options.limit,
        texts: options.text.text.clone(),
        tokens: Some(options.text.tokens),
        unless_made: false,
    };
    watched(session, &query, cancel).map(|count| vec![count])
}

fn pull(
    context: &Context,
    session: &mut Session,
    suite: Suite,
    options: &args::LabelsPull,
    cancel: &Cancel,
) -> Result<Vec<LabelCount>, Report> {
    let sourced = |sae: &SaeEntry| sae.neuronpedia.is_some();
    let of: Vec<(String, bool)> = suite.saes.iter().map(|sae| (sae.id.clone(), sourced(sae))).collect();
    let named = suite.name.clone();
    opened(context, session, suite, &options.sae, cancel)?;
    let here: Vec<String> = if options.sae.is_empty() {
        let loaded = session.versions(&[], cancel)?.sae;
        of.iter().filter(|(id, sourced)| *sourced && loaded.contains_key(id)).map(|(id, _)| id.clone()).collect()
    } else {
        options.sae.clone()
    };
    if here.is_empty() {
        return Err(Report::new(format!("no SAE of suite `{named}` that is here has a source on Neuronpedia"))
            .hint("`neuronpedia = \"model/source\"` in an SAE's entry of the suite file names it")
            .kind(Kind::Usage));
    }
    let mut counts = Vec::with_capacity(here.len());
    for sae in here {
        let query = PullLabelsQuery { sae: sae.clone(), anyway: options.anyway };
        let mut count = watched(session, &query, cancel)?;
        if options.examples {
            count.examples = Some(examples(session, sae, options, cancel)?);
        }
        counts.push(count);
    }
    Ok(counts)
}

/// Takes in published examples; how much there is to be read is said first.
fn examples(
    session: &mut Session,
    sae: String,
    options: &args::LabelsPull,
    cancel: &Cancel,
) -> Result<ExamplesCount, Report> {
    let (latents, anyway) = (options.latent.clone(), options.anyway);
    let estimate = PullExamplesQuery { sae, latents, anyway, estimate: true };
    let ExamplesCount { source, bytes, batches, .. } = watched(session, &estimate, cancel)?;
    say(&format!("the published activations of `{source}` are {} in {batches} files", crate::hub::bytes(bytes)));
    watched(session, &PullExamplesQuery { estimate: false, ..estimate }, cancel)
}

/// Asks, telling how far it is where somebody watches.
fn watched<Q: Query>(session: &mut Session, query: &Q, cancel: &Cancel) -> Result<Q::Answer, Report> {
    let line = Line::new();
    let answer = session.ask(query, cancel, &|so_far| line.show(&so_far));
    line.end();
    answer
}

/// Opens the SAE and as much of the model as reads a text for it.
fn to_read(context: &Context, session: &mut Session, suite: Suite, sae: &str, cancel: &Cancel) -> Result<(), Report> {
    suite.sae(sae)?;
    let (saes, reach) = ([sae.to_owned()], context.reach.min(LoadScope::Site));
    open(session, OpenRequest { suite, saes: &saes, reach, words: true }, cancel).map(drop)
}

/// Opens these SAEs of the suite, or all that are here, without a model.
fn opened(
    context: &Context,
    session: &mut Session,
    suite: Suite,
    named: &[String],
    cancel: &Cancel,
) -> Result<(), Report> {
    let hub = &context.setup.hub;
    let missing = |sae: &SaeEntry| matches!(suite.sae_files(sae, hub), Err(Error::Missing { .. }));
    let mut saes = named.to_vec();
    saes.iter().try_for_each(|sae| suite.sae(sae).map(drop))?;
    if saes.is_empty() {
        saes = suite.saes.iter().filter(|sae| !missing(sae)).map(|sae| sae.id.clone()).collect();
    }
    if saes.is_empty() {
        saes = suite.default_saes();
    }
    let request = OpenRequest { suite, saes: &saes, reach: LoadScope::WeightsOnly, words: false };
    open(session, request, cancel).map(drop)
}

fn words(counts: &[LabelCount]) -> String {
    let mut text = String::new();
    for LabelCount { sae, labelled, none, unknown, tokens, asked, examples, .. } in counts {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "SAE {}: {labelled} latents with a label, {none} known to have none, {unknown} for which nobody looked",
            prose(sae, Charset::Unicode)
        );
        if let Some(tokens) = tokens {
            let _ = writeln!(text, "{tokens} positions of the text were read; half of them were held out");
        }
        if let Some(ExamplesCount { kept, latents, .. }) = examples {
            let _ = writeln!(text, "{kept} published examples of {latents} latents are kept");
        }
        if let Some(ModelAsked { latents, requests, prompt_tokens, answer_tokens }) = asked {
            let _ = writeln!(
                text,
                "{requests} requests about {latents} latents, {prompt_tokens} tokens of requests, {answer_tokens} of \
                 answers"
            );
        }
    }
    text
}
