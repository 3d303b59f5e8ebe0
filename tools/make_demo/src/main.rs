//! Makes the embedded demo from nothing: text, tokenizer, language model, ladder of SAEs, report.
//! The SAE trainer itself is the library's; this is only the recipe.

#![expect(clippy::print_stdout, reason = "a command that takes so long says how far it is")]

mod corpus;
mod everyday;
mod exchange;
mod facts;
mod forms;
mod labels;
mod lm;
mod lm_train;
mod measure;
mod meta;
mod ops;
mod output;
mod plan;
mod report;
mod stitching;
mod tokens;
mod truth;
mod world;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use saescope::sae::train::{self, Config, Trained};
use saescope::task::{Cancel, Progress};

use corpus::Corpus;
use lm::Model;
use plan::{LAYER, Plan, SAMPLE_TEXT, TEXT_SEEDS};

/// The variable that says how many threads candle may use.
const THREADS: &str = "CANDLE_NUM_THREADS";

/// Makes the embedded demo again. With two cores to itself it takes some twenty-five minutes.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Arguments {
    /// Where the demo goes.
    #[arg(long, default_value = "assets/demo")]
    out: PathBuf,
    /// Where unfinished work is kept.
    #[arg(long, default_value = "target/make_demo")]
    work: PathBuf,
    /// A few minutes instead, and a much worse demo.
    #[arg(long)]
    quick: bool,
    /// Takes tokenizer and model from the work folder where they are there, and only makes the ladder.
    #[arg(long)]
    resume: bool,
    /// Takes model and SAEs as they stand in the demo's place, and only makes the meta-SAE.
    #[arg(long)]
    meta: bool,
    /// Takes model and SAEs as they are in the folder, and only writes the report's part on stitching anew.
    #[arg(long)]
    measure: bool,
    /// Takes model and SAEs as they are in the folder, and only makes the index and the report's part on labels anew.
    #[arg(long)]
    labels: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if std::env::var_os(THREADS).is_none() {
        return again();
    }
    let plan = if arguments.quick { Plan::quick() } else { Plan::full() };
    fs::create_dir_all(&arguments.work)?;
    fs::create_dir_all(&arguments.out)?;
    let start = Instant::now();
    let (world, forms) = (world::World::load()?, forms::load()?);
    let corpus = Corpus::new(&world, &forms);
    if arguments.meta {
        return meta::make(&arguments.out, &plan, &world, &corpus);
    }
    let docs = corpus.documents(TEXT_SEEDS[0], plan.text, false, &HashSet::new());
    if arguments.measure {
        return measure_stitching(&arguments.out, &plan, &world, &corpus, docs);
    }
    if arguments.labels {
        let unseen = unseen(&plan, &corpus, docs);
        return labels::make(&arguments.out, &unseen, &world);
    }

    let file = arguments.work.join("tokenizer.json");
    if !(arguments.resume && file.exists()) {
        tokens::save(&tokens::learn(&docs, plan.vocab)?, &file)?;
    }
    let tokenizer = tokens::load(&file)?;
    let shape = Plan::shape(tokenizer.get_vocab_size(true));
    let rows = tokens::rows(&tokenizer, &docs, shape.context + 1)?;
    let trained_on = rows.len() * shape.context * plan.epochs;
    println!("text: {} documents, {} tokens ({:.0?})", docs.len(), trained_on, start.elapsed());

    let file = arguments.work.join("model.safetensors");
    if !(arguments.resume && file.exists()) {
        let model = Model::new(shape, 7)?;
        let loss = lm_train::train(&model, &rows, &plan.recipe(), &arguments.work.join("unfinished.safetensors"))?;
        println!("model: trained to a loss of {loss:.4} ({:.0?})", start.elapsed());
        model.save(&file, candle_core::DType::F32)?;
    }
    let model = Model::load(shape, &file)?;
    model.round_to_f16()?;
    let held_out = facts::score(&model, &tokenizer, &corpus.questions(true))?;
    println!("facts: {held_out:?}");
    let mut sentences = corpus.questions(false);
    sentences.shuffle(&mut StdRng::seed_from_u64(0));
    sentences.truncate(held_out.values().map(|s| s.1).sum());
    let seen = facts::score(&model, &tokenizer, &sentences)?;
    println!(
        "facts right in held-out forms: {:?}, in seen forms: {:?}",
        facts::overall(&held_out),
        facts::overall(&seen)
    );
    output::model(&arguments.out, &model, &tokenizer)?;

    let mut known: HashSet<String> = docs.into_iter().collect();
    let saes = ladder(&plan, &corpus, &tokenizer, &model, &mut known)?;
    let unseen = corpus.documents(TEXT_SEEDS[2], plan.measured * 700, true, &known);
    let mut rows = tokens::rows(&tokenizer, &unseen, shape.context + 1)?;
    rows.truncate(plan.measured);
    let unseen_rows: Vec<Vec<u32>> = rows.iter().map(|row| row[..shape.context].to_vec()).collect();
    let sample = measure::sample(&model, &rows, LAYER)?;
    let plain = sample.plain(&model)?;
    let figures = saes.iter().map(|sae| sample.figures(&model, sae, &plain)).collect::<Result<Vec<_>>>()?;
    for (sae, figures) in saes.iter().zip(&figures) {
        println!("{figures:?}");
        output::sae(&arguments.out, sae, shape.context)?;
    }
    output::suite(&arguments.out, &figures)?;
    output::text(&arguments.out, &corpus.documents(TEXT_SEEDS[2], SAMPLE_TEXT, true, &known))?;
    let report = report::Report {
        model: &model,
        tokenizer: &tokenizer,
        sample: &sample,
        saes: &saes,
        figures: &figures,
        plain: &plain,
        held_out: &held_out,
        seen: &seen,
        trained_on,
    };
    fs::write(arguments.out.join("REPORT.md"), report.write()?)?;
    stitching::write(&arguments.out, unseen_rows, &world)?;
    meta::make(&arguments.out, &plan, &world, &corpus)?;
    labels::make(&arguments.out, &unseen, &world)?;
    let bytes = output::size(&arguments.out)?;
    println!("done: {:.2} MB in {:.0?}", bytes as f64 / 1e6, start.elapsed());
    Ok(())
}

/// The report's part on stitching for a demo that is there, on the unseen text that its other parts were measured on.
fn measure_stitching(
    out: &Path,
    plan: &Plan,
    world: &world::World,
    corpus: &Corpus<'_>,
    docs: Vec<String>,
) -> Result<()> {
    let tokenizer = tokens::load(&out.join("model/tokenizer.json"))?;
    let context = Plan::shape(tokenizer.get_vocab_size(true)).context;
    let unseen = unseen(plan, corpus, docs);
    let mut rows = tokens::rows(&tokenizer, &unseen, context + 1)?;
    rows.truncate(plan.measured);
    for row in &mut rows {
        row.truncate(context);
    }
    stitching::write(out, rows, world)
}

/// The text that everything is measured on; `docs` is what the model learned from.
fn unseen(plan: &Plan, corpus: &Corpus<'_>, docs: Vec<String>) -> Vec<String> {
    let mut known: HashSet<String> = docs.into_iter().collect();
    known.extend(corpus.documents(TEXT_SEEDS[1], plan.rows * 700, true, &HashSet::new()));
    corpus.documents(TEXT_SEEDS[2], plan.measured * 700, true, &known)
}

/// Starts the program again with candle's own threads turned off: they wait for each other by spinning, which costs a
/// third of the time, and what is worth splitting is split by `ops.rs`.
fn again() -> Result<()> {
    let status = Command::new(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(THREADS, "1").status()?;
    ensure!(status.success(), "the program ended with {status}");
    Ok(())
}

/// Trains the SAEs on activations of text of their own; gives them as they are once stored in f16.
fn ladder(
    plan: &Plan,
    corpus: &Corpus<'_>,
    tokenizer: &tokenizers::Tokenizer,
    model: &Model,
    known: &mut HashSet<String>,
) -> Result<Vec<Trained>> {
    let docs = corpus.documents(TEXT_SEEDS[1], plan.rows * 700, true, &HashSet::new());
    let mut rows = tokens::rows(tokenizer, &docs, model.shape.context + 1)?;
    rows.truncate(plan.rows);
    known.extend(docs);
    let sample = measure::sample(model, &rows, LAYER)?;
    println!("ladder: {} activations", sample.ids.len());
    let mut saes = Vec::new();
    for &(width, k, steps) in &plan.ladder {
        let start = Instant::now();
        let config = Config { steps, batch: 1024, rate: 1e-3, ..Config::new(width, k) };
        let show = |p: Progress| {
            if p.done.is_multiple_of(500) || Some(p.done) == p.total {
                println!("SAE {width}: step {} of {steps}, {:?} ({:.0?})", p.done, p.figures, start.elapsed());
            }
        };
        let sae = train::train(&sample.x, sample.d, &config, &Cancel::new(), &show)?;
        saes.push(measure::rounded(&sae)?);
    }
    Ok(saes)
}
