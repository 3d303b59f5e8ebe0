//! `saescope latent`: a latent's card.
//! Not here: making it (`analysis`).

use std::fmt::Write as _;

use serde::Serialize;

use crate::analysis::{
    Attribution, Class, Example, ExampleSource, Label, LabelSource, LatentCard, LatentCorpus, TokenValue,
};
use crate::cli::args;
use crate::cli::context::{Context, open};
use crate::cli::output::Output;
use crate::cli::progress::cancel_on_interrupt;
use crate::report::Report;
use crate::session::{CorpusQuery, LabelsQuery, LoadScope, OpenRequest, RunOptions, check_attribution};
use crate::suite::Error;
use crate::text::{Charset, prose, token};

pub fn latent(context: &Context, options: &args::Latent, output: &Output) -> Result<u8, Report> {
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    suite.sae(&options.sae)?;
    // The SAE that is asked about must be here; of the others, those that are.
    let here = |sae: &&crate::suite::SaeEntry| {
        sae.id == options.sae || !matches!(suite.sae_files(sae, &context.setup.hub), Err(Error::Missing { .. }))
    };
    let saes: Vec<String> = suite.saes.iter().filter(here).map(|sae| sae.id.clone()).collect();
    let page = |source: &String| context.setup.neuronpedia.page(source, options.latent);
    let neuronpedia = suite.sae(&options.sae)?.neuronpedia.as_ref().map(page);
    if options.prompt.is_some() {
        check_attribution(&suite, &options.sae, options.latent)?;
    }
    let cancel = cancel_on_interrupt();
    // Whoever asks for the weights alone takes latents without words where the model is not there.
    let (alone, with_words) = (context.reach.without_prompt(&suite), context.reach != LoadScope::WeightsOnly);
    let reach = if options.prompt.is_some() { context.reach.min(LoadScope::Site) } else { alone };
    let mut notes = open(&mut session, OpenRequest { suite, saes: &saes, reach, words: with_words }, &cancel)?.notes;
    let mut attribution = None;
    if let Some(prompt) = &options.prompt {
        notes = session.run(prompt, &RunOptions::default(), &cancel)?.notes;
        attribution = Some(session.attribution(&options.sae, options.latent, options.position, &cancel)?);
    }
    let mut card = session.card(&options.sae, options.latent, options.threshold, options.top as usize)?;
    card.notes.splice(0..0, notes);
    let asked = CorpusQuery { sae: options.sae.clone(), latent: options.latent, index: options.index.clone() };
    let corpus = session.ask(&asked, &cancel, &|_| ())?;
    let query = LabelsQuery { sae: options.sae.clone(), latents: vec![options.latent] };
    let labels = session.ask(&query, &cancel, &|_| ())?;
    card.notes.extend(labels.notes);
    let labels: Vec<Label> = labels.labels.into_iter().flat_map(|(_, labels)| labels).collect();
    if output.is_json() {
        let (attribution, corpus) = (attribution.as_ref(), corpus.as_ref());
        return Output::object(&Answer { card: &card, attribution, corpus, labels: &labels, neuronpedia }).map(|()| 0);
    }
    let attributed = attribution.as_ref().map(attributed).unwrap_or_default();
    let corpus = corpus.as_ref().map(corpus_words).unwrap_or_default();
    let mut text = format!("{}{}{corpus}{attributed}", label_words(&labels), words(&card));
    for note in &card.notes {
        // Writing to a string does not fail.
        let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
    }
    Output::text(&text).map(|()| 0)
}

/// The card, and where the latent's activation comes from when that was asked.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    card: &'a LatentCard,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribution: Option<&'a Attribution>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corpus: Option<&'a LatentCorpus>,
    #[serde(skip_serializing_if = "<[Label]>::is_empty")]
    labels: &'a [Label],
    /// The latent's page there.
    #[serde(skip_serializing_if = "Option::is_none")]
    neuronpedia: Option<String>,
}

/// Who made a label that is from elsewhere, and how.
fn maker(label: &Label) -> String {
    let elsewhere = matches!(label.source, LabelSource::Neuronpedia | LabelSource::Llm);
    let both = [&label.by, &label.kind].into_iter().filter(|said| elsewhere && !said.is_empty());
    both.flat_map(|said| [", ", said]).collect()
}

fn label_words(labels: &[Label]) -> String {
    let mut text = String::new();
    for label in labels {
        let scores = label.scores.map_or_else(String::new, |scores| {
            let each = [
                ("F1", scores.f1),
                ("precision", scores.precision),
                ("recall", scores.recall),
                ("detection", scores.detection),
                ("fuzzing", scores.fuzzing),
            ];
            let said = |(name, value): (&str, Option<f64>)| Some(format!(", {name} {:.2}", value?));
            format!("{}, {} held out", each.into_iter().filter_map(said).collect::<String>(), scores.held_out)
        });
        let (said, source) = (prose(&label.text, Charset::Unicode), label.source.name());
        let maker = prose(&maker(label), Charset::Unicode);
        // Writing to a string does not fail.
        let _ = writeln!(text, "label      {said} ({source}{maker}{scores})");
        if !label.note.is_empty() {
            let _ = writeln!(text, "           {}", prose(&label.note, Charset::Unicode));
        }
    }
    text
}

/// Examples that are printed, and tokens around the peak of each.
const EXAMPLES: usize = 5;
const AROUND: usize = 10;

/// What an index says of a latent, for a person.
pub fn corpus_words(corpus: &LatentCorpus) -> String {
    let mut text = match corpus.tokens {
        0 => "in text    no text was indexed".to_owned(),
        tokens => format!("in text    fires on {} of {tokens} tokens, {:.3} %", corpus.count, corpus.density * 100.0),
    };
    // Writing to a string does not fail, here and below.
    if let Some(mean) = corpus.mean_when_active {
        let _ = write!(text, "; mean {mean:.3}, largest {:.3}", corpus.max);
    }
    let tokens: Vec<String> =
        corpus.top_tokens.iter().map(|top| format!("{} {}", token(&top.text, Charset::Unicode), top.count)).collect();
    let _ = writeln!(text, "\nusually on {}", tokens.join(", "));
    text + &example_words(&corpus.examples)
}

/// The strongest examples, a line each.
pub fn example_words(examples: &[Example]) -> String {
    let best = examples.iter().filter(|example| example.best).take(EXAMPLES);
    let line = |example: &Example| {
        let from = if example.source == ExampleSource::Neuronpedia { " (published by Neuronpedia)" } else { "" };
        format!("{:>10.3} {}{from}\n", example.activation, line_of(example))
    };
    best.map(line).collect()
}

/// The text around a peak, with the peak's token in brackets.
fn line_of(example: &Example) -> String {
    let from = example.position.saturating_sub(AROUND);
    let near = example.tokens.iter().enumerate().skip(from).take(2 * AROUND + 1);
    let peak = example.position;
    let shown = near.map(|(at, of)| if at == peak { format!("[{}]", of.text) } else { of.text.clone() });
    prose(&shown.collect::<String>(), Charset::Unicode)
}

/// Heads and sources that brought most, either way.
const STRONGEST: usize = 8;

fn attributed(of: &Attribution) -> String {
    let strongest = |mut parts: Vec<(String, f32)>| {
        parts.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        let shown: Vec<String> =
            parts.iter().take(STRONGEST).map(|(name, value)| format!("{name} {value:+.3}")).collect();
        shown.join(", ")
    };
    let heads = of.heads.iter().map(|head| (format!("h{}", head.head), head.value)).collect();
    let named = |at: usize| of.sources.get(at).map(|s| token(&s.text, Charset::Unicode)).unwrap_or_default();
    let sources = (0..of.sources.len()).map(|at| (format!("{at} {}", named(at)), of.sources[at].value)).collect();
    let fires =
        if of.activation > 0.0 { format!("fires with {:.3}", of.activation) } else { "does not fire".to_owned() };
    let all: f32 = of.sources.iter().map(|source| source.value).sum();
    format!(
        "at {} {}: {fires}; pre-activation {:.3} = {all:+.3} from attention {:+.3} bias\nby head    {}\nfrom       {}\n",
        of.position,
        named(of.position),
        of.pre_activation,
        of.bias,
        strongest(heads),
        strongest(sources)
    )
}

fn words(card: &LatentCard) -> String {
    let list = |values: &[TokenValue]| {
        let shown: Vec<String> = values
            .iter()
            .map(|value| format!("{} {:+.2}", token(&value.text, Charset::Unicode), value.value))
            .collect();
        shown.join(", ")
    };
    let mut text = format!(
        "SAE {} · latent {} · decoder norm {:.4}\n",
        prose(&card.sae, Charset::Unicode),
        card.latent,
        card.decoder_norm,
    );
    // Writing to a string does not fail, here and below.
    if card.zero {
        text.push_str("promotes   nothing: its decoder row is zero, and nothing is near to it\n");
    } else {
        let (promoted, suppressed) = (list(&card.promoted), list(&card.suppressed));
        let _ = writeln!(text, "promotes   {promoted}\nsuppresses {suppressed}");
    }
    for entry in &card.ladder {
        let nearest: Vec<String> =
            entry.nearest.iter().take(5).map(|near| format!("{} {:.3}", near.latent, near.cosine)).collect();
        let class = match entry.class {
            Some(Class::Novel) => format!("  novel (θ {})", entry.threshold),
            Some(Class::Reconstruction) => format!("  reconstruction (θ {})", entry.threshold),
            None => String::new(),
        };
        let _ = writeln!(text, "in {:<8} {}{class}", prose(&entry.sae, Charset::Unicode), nearest.join(", "));
    }
    for entry in &card.meta {
        let parts: Vec<String> =
            entry.components.iter().map(|part| format!("{} {:.3}", part.meta_latent, part.activation)).collect();
        let (meta, share) = (prose(&entry.meta, Charset::Unicode), entry.explained * 100.0);
        let _ = writeln!(text, "made of    {} by meta-SAE {meta}, {share:.1} % explained", parts.join(", "));
    }
    for note in &card.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}
