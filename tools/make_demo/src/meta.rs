//! The demo's meta-SAE: trained on the widest SAE's decoder rows, measured against what the world knows.
//! It does not decide what is true of a latent; that is `truth.rs`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use saescope::blob::Blob;
use saescope::sae::meta::{self, BreakdownTable, STABLE};
use saescope::sae::train::{Config, Dtype, Origin, Trained, train};
use saescope::sae::{Sae, SaeFiles, lens};
use saescope::task::Cancel;

use crate::corpus::Corpus;
use crate::exchange;
use crate::lm::Model;
use crate::measure::{self, rounded};
use crate::plan::{LAYER, Plan, TEXT_SEEDS};
use crate::tokens;
use crate::truth::{ATTRIBUTES, Score, Truth};
use crate::world::{Kind, Subject, World};

/// Where the section of the report begins; it ends where the next one begins.
const HEADING: &str = "## Meta-SAE\n";
/// The meta-SAE that is kept: meta-latents and k. By methods' choice it would be 3/64 of the latents; the table in the
/// report says what else was tried.
const KEPT: (usize, usize) = (192, 4);
/// Seeds of the kept one and of the run that says which of its meta-latents are stable.
const SEEDS: [u64; 2] = [0, 1];
/// What else is measured: meta-latents and k.
const TRIED: [(usize, usize); 6] = [(96, 4), (192, 2), (192, 4), (192, 8), (384, 4), (768, 8)];
/// Rows of the text from which latents are distinguished.
const ROWS: usize = 2_000;

/// Trains, measures and writes: `metas/`, `[[meta]]` in suite.toml, the section of the report.
pub fn make(out: &Path, plan: &Plan, world: &World, corpus: &Corpus<'_>) -> Result<()> {
    let width = widest(out)?;
    let (sae, start) = (open(&out.join("saes").join(&width))?, Instant::now());
    let tokenizer = tokens::load(&out.join("model/tokenizer.json"))?;
    let shape = Plan::shape(tokenizer.get_vocab_size(true));
    let model = Model::load(shape, &out.join("model/model.safetensors"))?;
    let known = corpus.documents(TEXT_SEEDS[0], plan.text, false, &HashSet::new());
    let known: HashSet<String> = known.into_iter().collect();
    let docs = corpus.documents(TEXT_SEEDS[2], ROWS * 700, true, &known);
    let mut rows = tokens::rows(&tokenizer, &docs, shape.context + 1)?;
    rows.truncate(ROWS);
    let sample = measure::sample(&model, &rows, LAYER)?;
    let truth = Truth::of(&sae, &sample, &tokenizer, world)?;
    println!("meta: {} latents stand for one subject ({:.0?})", truth.stand.len(), start.elapsed());

    let learnt = meta::rows(&sae)?;
    let trained = |width: usize, k: usize, seed: u64| -> Result<Trained> {
        let config = Config { seed, ..meta::recipe(width, k) };
        rounded(&train(&learnt, sae.d_in(), &config, &Cancel::new(), &|_| {})?)
    };
    let mut tried = Vec::new();
    for (width, k) in TRIED {
        let start = Instant::now();
        let meta = trained(width, k, SEEDS[0])?.sae()?;
        let table = BreakdownTable::new(&meta, &sae, &Cancel::new())?;
        let line = Line { width, k, table, seconds: start.elapsed().as_secs_f64() };
        println!("meta: {}", line.words(&truth));
        tried.push(line);
    }
    let runs = SEEDS.iter().map(|seed| trained(KEPT.0, KEPT.1, *seed)).collect::<Result<Vec<_>>>()?;
    let (first, second) = (runs[0].sae()?, runs[1].sae()?);
    let again = meta::stability(&first, &second, &Cancel::new())?;
    let stable: Vec<bool> = again.iter().map(|near| near.cosine >= STABLE).collect();
    let origin = Origin {
        model_name: "saescope-demo".to_owned(),
        hook_name: format!("decoder rows of SAE {width} at blocks.{LAYER}.hook_resid_pre"),
        prepend_bos: true,
        context_size: shape.context,
    };
    let ids = [KEPT.0.to_string(), format!("{}-second-seed", KEPT.0)];
    for (run, id) in runs.iter().zip(&ids) {
        run.save(&out.join("metas").join(id), Dtype::F16, &origin)?;
    }
    suite(out, &width, &ids)?;
    let table = BreakdownTable::new(&first, &sae, &Cancel::new())?;
    let mut text = section(&sae, &width, &first, &table, &stable, &truth, &tried, world)?;
    exchange::write(&mut text, out, (&width, &sae), (&ids[0], &first), &truth)?;
    report(out, &text)?;
    println!("meta: done ({:.0?})", start.elapsed());
    Ok(())
}

/// One meta-SAE that was tried.
struct Line {
    width: usize,
    k: usize,
    table: BreakdownTable,
    seconds: f64,
}

impl Line {
    fn words(&self, truth: &Truth<'_>) -> String {
        let quality = self.table.quality;
        let mut line = format!(
            "| {} | {} | {:.2} % | {:.2} | {} |",
            self.width,
            self.k,
            100.0 * quality.variance_explained.unwrap_or(0.0),
            quality.mean_active,
            quality.dead
        );
        for attribute in &ATTRIBUTES[..3] {
            let score = truth.score(&self.table, attribute, None);
            // Writing to a string does not fail.
            let _ = write!(line, " {:.2} / {:.2} |", score.precision(), score.recall());
        }
        line
    }
}

/// The id of the widest SAE.
fn widest(out: &Path) -> Result<String> {
    let mut widths = Vec::new();
    for entry in fs::read_dir(out.join("saes"))? {
        widths.extend(entry?.file_name().to_str().and_then(|name| name.parse::<usize>().ok()));
    }
    let widest = widths.into_iter().max().with_context(|| format!("{} has no SAEs", out.display()))?;
    Ok(widest.to_string())
}

fn open(folder: &Path) -> Result<Sae> {
    let files = SaeFiles {
        config: Blob::path(folder.join("cfg.json")),
        weights: vec![Blob::path(folder.join("sae_weights.safetensors"))],
        sparsity: None,
    };
    Ok(lens::open(&files)?)
}

/// Names the meta-SAEs in suite.toml, in place of those that stood there.
fn suite(out: &Path, sae: &str, ids: &[String]) -> Result<()> {
    let file = out.join("suite.toml");
    let text = fs::read_to_string(&file)?;
    let mut text = text.split("\n[[meta]]").next().unwrap_or_default().trim_end().to_owned() + "\n";
    for id in ids {
        write!(
            text,
            "\n[[meta]]\nid = \"{id}\"\nsae = \"{sae}\"\nformat = \"sae-lens\"\npath = \"metas\"\nfolder = \"{id}\"\n"
        )?;
    }
    Ok(fs::write(file, text)?)
}

/// Puts the section into the report, in place of the one that stood there.
fn report(out: &Path, section: &str) -> Result<()> {
    let file = out.join("REPORT.md");
    let text = fs::read_to_string(&file)?;
    let (before, after) = match text.split_once(HEADING) {
        None => (text.as_str(), ""),
        Some((before, old)) => (before, old.find("\n## ").map_or("", |at| &old[at + 1..])),
    };
    let gap = if after.is_empty() { "" } else { "\n" };
    Ok(fs::write(file, format!("{}\n\n{section}{gap}{after}", before.trim_end()))?)
}

#[expect(clippy::too_many_arguments, reason = "the figures of one section")]
fn section(
    sae: &Sae,
    id: &str,
    meta: &Sae,
    table: &BreakdownTable,
    stable: &[bool],
    truth: &Truth<'_>,
    tried: &[Line],
    world: &World,
) -> Result<String> {
    let (quality, stand) = (table.quality, truth.stand.len());
    let mut out = format!("{HEADING}\n");
    writeln!(
        out,
        "A BatchTopK SAE on the {} decoder rows of SAE {id}: {} meta-latents, k {}, seed {}, 2,000 steps. It explains \
         {:.2} % of the rows' variance; {:.2} meta-latents are active in a row, in the mean; {} are in no row; {} of {} \
         were found again (cosine {STABLE} or more) by the run of another seed.\n",
        quality.rows,
        meta.width(),
        KEPT.1,
        SEEDS[0],
        100.0 * quality.variance_explained.unwrap_or(0.0),
        quality.mean_active,
        quality.dead,
        stable.iter().filter(|stable| **stable).count(),
        stable.len(),
    )?;
    writeln!(
        out,
        "### Do meta-latents stand for what is true?\n\n\
         A latent stands for a subject of the world (a person, a city, an animal) when at least {:.0} % of its activation \
         on {} unseen tokens lies on the tokens of that subject's name or the token right after it, on at least {} \
         such tokens. {stand} latents do: {}. Of these, an attribute of the subject is right in the breakdown when one of \
         the latent's meta-latents stands for it. A meta-latent stands for a value (physicist, Germany) when its \
         members that stand for *other* subjects say so: at least {} of them, and that value has at least half of \
         their activation and at least twice its share among all subjects. No subject is judged by itself. Precision: of the \
         values that a breakdown holds, how many are the subject's. Recall: of the latents, how many hold their \
         subject's value. The control gives every subject the attribute of another, drawn at random, and is measured in \
         the same way (mean of {} draws).\n",
        100.0 * crate::truth::SHARE,
        truth.tokens,
        crate::truth::LEAST,
        truth.kinds(),
        crate::truth::WITNESSES,
        crate::truth::DRAWS,
    )?;
    out.push_str("| attribute | latents | values held | precision | recall | shuffled: precision | recall |\n");
    out.push_str("|---|---|---|---|---|---|---|\n");
    for attribute in &ATTRIBUTES {
        let (score, control) = (truth.score(table, attribute, None), truth.control(table, attribute));
        writeln!(
            out,
            "| {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} |",
            attribute.1,
            score.latents,
            score.held,
            score.precision(),
            score.recall(),
            control.precision(),
            control.recall()
        )?;
    }
    out.push_str(
        "\n### Where it is known\n\nThe mean activation on the last token of each subject's name, and the decoder rows \
         of the latents that stand for subjects, each less their mean: a vector is held against the mean vectors of other \
         subjects, one for each value; right means that the nearest is that of the subject's value. A breakdown can hold no \
         more than the row does.\n\n| attribute | activations: asked | right | commonest value | rows: asked | right | \
         commonest value |\n|---|---|---|---|---|---|---|\n",
    );
    for attribute in &ATTRIBUTES {
        let words = |(right, all, commonest): (usize, usize, usize)| {
            let percent = |part: usize| 100.0 * part as f64 / all.max(1) as f64;
            format!("{all} | {:.0} % | {:.0} %", percent(right), percent(commonest))
        };
        let (activations, rows) = (truth.in_activations(attribute), truth.in_rows(sae, attribute)?);
        writeln!(out, "| {} | {} | {} |", attribute.1, words(activations), words(rows))?;
    }
    writeln!(
        out,
        "\nThe row of a latent that stands for a person has a cosine of {:.2}, in the mean, with what sets this person's \
         mean activation apart from all people's. Where the activations know an attribute and the rows do not, other latents \
         carry it: those that fire on many physicists, or on many Germans, beside the one that says who it is.",
        truth.agreement(sae, Kind::Person)?
    )?;
    out.push_str(
        "\n### What else was tried\n\nThe last columns are precision / recall for a person's profession, country and \
         century.\n\n| meta-latents | k | variance explained | active | in no row | profession | country | century |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for line in tried {
        writeln!(out, "{}", line.words(truth))?;
    }
    let seconds = tried.iter().map(|line| line.seconds).fold(0.0, f64::max);
    writeln!(
        out,
        "\nNo training took longer than {seconds:.0} s.\n\n\
         Other ladders were tried once, each with 192 meta-latents and k 4 on the SAE of 4096 latents; the program makes them \
         no more. With k 24 for that SAE, profession 0.24 / 0.09 and country 0.23 / 0.05; with k 6 (2,500 steps), 0.39 / 0.22 \
         and 0.27 / 0.14; with k 4 (2,500 steps, half of the latents dead), 0.17 / 0.09 and 0.00 / 0.00. At the site before \
         block 1 with k 4, 137 of 198 surnames had a latent of their own, and their rows knew the profession no better \
         (16 %). Fewer latents on a token and an earlier site give a name more latents of its own, but what is true of \
         somebody stays with latents that others share: this ladder is closer to atoms than GPT-2's, and there is little \
         left for a meta-SAE to take apart."
    )?;
    einstein(&mut out, sae, meta, table, stable, truth, world)?;
    Ok(out)
}

/// The latent that stands for Einstein most, taken apart.
fn einstein(
    out: &mut String,
    sae: &Sae,
    meta: &Sae,
    table: &BreakdownTable,
    stable: &[bool],
    truth: &Truth<'_>,
    world: &World,
) -> Result<()> {
    out.push_str("\n### Einstein, taken apart\n\n");
    let Some((latent, share)) = truth.latent_of("Albert Einstein") else {
        out.push_str("No latent fires on Albert Einstein's name often enough.\n");
        return Ok(());
    };
    let stands = if share >= crate::truth::SHARE { "stands for him" } else { "comes nearest to standing for him" };
    let parts = meta::breakdown(meta, sae, latent, &Cancel::new())?;
    writeln!(
        out,
        "Latent {latent} {stands}: {:.0} % of its activation lie on his name. {:.1} % of its decoder row are explained. For each meta-latent: its activation, its share of \
         the row's squared length, whether another seed found it, and its strongest members, named where they stand for \
         one subject.\n",
        100.0 * share,
        100.0 * parts.explained
    )?;
    for part in &parts.components {
        let members = table.members_of(part.meta_latent as usize)?;
        let named: Vec<String> = members
            .iter()
            .filter(|(member, _)| *member as usize != latent)
            .take(8)
            .map(|(member, _)| {
                truth.name(*member as usize).map_or_else(|| format!("latent {member}"), ToOwned::to_owned)
            })
            .collect();
        let values: Vec<String> = ATTRIBUTES
            .iter()
            .filter_map(|attribute| truth.value(table, part.meta_latent as usize, attribute, "Albert Einstein"))
            .collect();
        let values = if values.is_empty() { String::new() } else { format!(" — stands for {}", values.join(", ")) };
        let stable = if stable.get(part.meta_latent as usize) == Some(&true) { "stable" } else { "not stable" };
        writeln!(
            out,
            "- meta-latent {} ({:.2}, {:.1} %, {stable}): {}{values}",
            part.meta_latent,
            part.activation,
            100.0 * part.share,
            named.join(", ")
        )?;
    }
    let person = world.people.iter().find(|person| person.get("full") == "Albert Einstein");
    let of = |slot| person.map_or("", |person: &Subject| person.get(slot));
    writeln!(
        out,
        "\nb_dec brings {:.1} %, {:.1} % are left. In the world he is {} from {} in the {}.",
        100.0 * parts.bias,
        100.0 * parts.rest,
        of("aprof"),
        of("country"),
        of("century")
    )?;
    Ok(())
}

impl Score {
    /// Of the values that breakdowns hold, the share that is right.
    pub fn precision(&self) -> f64 {
        self.right as f64 / self.held.max(1) as f64
    }

    /// Of the latents, the share that holds its subject's value.
    pub fn recall(&self) -> f64 {
        self.found as f64 / self.latents.max(1) as f64
    }
}
