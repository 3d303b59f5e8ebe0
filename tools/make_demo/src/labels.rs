//! The demo's index, and the report's part on labels by rule: how many latents get one, how often it is right on text that
//! nothing was chosen on, and whether the names in it have something in common.
//! It counts nothing itself; the library does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use saescope::analysis::Label;
use saescope::hub::Hub;
use saescope::session::{IndexQuery, IndexRecipe, LabelsQuery, MakeLabelsQuery, ReadOn, Session, SessionConfig};
use saescope::task::Cancel;

use crate::stitching::ladder;
use crate::tokens;
use crate::truth::ATTRIBUTES;
use crate::world::{Subject, World};

const HEADING: &str = "## Labels\n";
/// Best examples kept of each latent: with those of its tenths, up to sixty, and small enough for the package.
const TOP: usize = 10;
/// The meta-SAEs that are counted; examples of the other seed's are found among its members'.
const FIRST_META: [&str; 1] = ["192"];
/// Labels that the report shows of each SAE.
const SHOWN: usize = 6;
/// Seeds that name the same number of random names, for comparison.
const DRAWS: usize = 200;

/// Counts the suite's text into `index/`, and puts the part on labels into `REPORT.md`; rules are made of `unseen`.
pub fn make(out: &Path, unseen: &[String], world: &World) -> Result<()> {
    let kept = out.join("index");
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    let work = out.join(".labels");
    fs::create_dir_all(&work)?;
    let done = make_in(out, &work, unseen, world);
    fs::remove_dir_all(&work)?;
    done
}

fn make_in(out: &Path, work: &Path, unseen: &[String], world: &World) -> Result<()> {
    let hub = Hub::from_env(|_: &str| None)?;
    let mut session = Session::new(SessionConfig { metas: Some(work.join("metas")), ..SessionConfig::new(hub) });
    let ids = ladder(&mut session, out)?;
    let index = out.join("index");
    let metas = FIRST_META.iter().map(|id| (*id).to_owned()).collect();
    let recipe = IndexRecipe { out: Some(index.clone()), top: Some(TOP), metas, ..IndexRecipe::default() };
    let view = session.ask(&IndexQuery { read: Some(ReadOn::All), recipe }, &Cancel::new(), &|_| ())?;
    ensure!(view.complete, "the index is not complete");
    // What is needed to continue it is more than all the rest.
    fs::remove_file(index.join("state.bin"))?;
    let text = work.join("unseen.txt");
    fs::write(&text, unseen.join(tokens::END))?;
    let part = part(&mut session, &ids, &text, (view.tokens, world))?;
    let file = out.join("REPORT.md");
    let report = fs::read_to_string(&file).context("the demo has no report")?;
    let (before, after) = match report.split_once(HEADING) {
        None => (report.trim_end(), ""),
        Some((before, old)) => (before.trim_end(), old.find("\n## ").map_or("", |at| &old[at + 1..])),
    };
    let gap = if after.is_empty() { "" } else { "\n" };
    Ok(fs::write(file, format!("{before}\n\n{HEADING}{part}{gap}{after}"))?)
}

fn part(session: &mut Session, ids: &[String], text: &Path, (indexed, world): (u64, &World)) -> Result<String> {
    let mut out = format!(
        "\nWritten by `cargo run --release -p make_demo -- --labels`. The index in `index/` is of `text.txt`, {indexed} \
         tokens, with the suite's first meta-SAE. Rules (docs/labels.md) are chosen here on one half of the documents of the unseen text and counted on \
         the other; means are over latents with a label. Known to have none: rules say too little (F1 below 0.5), or \
         the latent fires less than three times in one half.\n\n\
         | SAE | labelled | known to have none | positions held out | precision | recall | F1 | balanced precision |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    let mut all = BTreeMap::new();
    for id in ids {
        let made = MakeLabelsQuery { sae: id.clone(), texts: vec![text.to_owned()], ..MakeLabelsQuery::default() };
        let count = session.ask(&made, &Cancel::new(), &|_| ())?;
        let width: u32 = id.parse().context("the demo's SAEs are named by their widths")?;
        let asked = LabelsQuery { sae: id.clone(), latents: (0..width).collect() };
        let found = session.ask(&asked, &Cancel::new(), &|_| ())?;
        let labels: Vec<(u32, Label)> = found
            .labels
            .into_iter()
            .filter_map(|(latent, labels)| Some((latent, labels.into_iter().next()?)))
            .collect();
        let mean = |of: fn(&saescope::analysis::LabelScores) -> Option<f64>| {
            let scores: Vec<f64> = labels.iter().filter_map(|(_, label)| of(label.scores.as_ref()?)).collect();
            scores.iter().sum::<f64>() / scores.len().max(1) as f64
        };
        let held_out: u64 = labels.iter().filter_map(|(_, label)| Some(label.scores.as_ref()?.held_out)).sum();
        writeln!(
            out,
            "| {id} | {} | {} | {} | {:.3} | {:.3} | {:.3} | {:.3} |",
            count.labelled,
            count.none,
            held_out / labels.len().max(1) as u64,
            mean(|of| of.precision),
            mean(|of| of.recall),
            mean(|of| of.f1),
            mean(|of| of.precision_balanced)
        )?;
        all.insert(width, labels);
    }
    kinds(&mut out, &all)?;
    in_common(&mut out, &all, world)?;
    strongest(&mut out, &all)?;
    Ok(out)
}

/// The cells of a table's row, each with its border.
fn row(cells: impl Iterator<Item = impl std::fmt::Display>) -> String {
    cells.fold(String::new(), |row, cell| format!("{row} {cell} |"))
}

/// How many labels are of each kind of rule.
fn kinds(out: &mut String, all: &BTreeMap<u32, Vec<(u32, Label)>>) -> Result<()> {
    let mut counts: BTreeMap<&str, BTreeMap<u32, usize>> = BTreeMap::new();
    for (width, labels) in all {
        for (_, label) in labels {
            *counts.entry(&label.kind).or_default().entry(*width).or_default() += 1;
        }
    }
    let mut rows: Vec<(&str, BTreeMap<u32, usize>)> = counts.into_iter().collect();
    rows.sort_by_key(|(kind, of)| (std::cmp::Reverse(of.values().sum::<usize>()), *kind));
    writeln!(out, "\nWhat the rules are of:\n\n| feature |{}\n|---|{}", row(all.keys()), "---|".repeat(all.len()))?;
    for (kind, of) in rows {
        let cells = row(all.keys().map(|width| of.get(width).unwrap_or(&0)));
        writeln!(out, "| {kind} |{cells}")?;
    }
    Ok(())
}

/// Of labels that name several people, cities or animals: how often these have an attribute in common, and how often as
/// many random ones have.
fn in_common(out: &mut String, all: &BTreeMap<u32, Vec<(u32, Label)>>, world: &World) -> Result<()> {
    let last = |name: &str| name.rsplit(' ').next().unwrap_or_default().to_owned();
    let mut of_word: BTreeMap<String, Vec<&Subject>> = BTreeMap::new();
    let subjects: Vec<&Subject> = world.people.iter().chain(&world.cities).chain(&world.animals).collect();
    for subject in &subjects {
        let names = ["full", "short", "city", "animal"].map(|slot| last(subject.get(slot)));
        let mut names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
        names.sort();
        names.dedup();
        for name in names {
            of_word.entry(name).or_default().push(subject);
        }
    }
    let alike = |of: &[&Subject]| {
        let kind = of[0].kind;
        let slots = ATTRIBUTES.iter().filter(|(of, ..)| *of == kind).map(|(.., slot)| *slot);
        let same = |slot: &str| of.iter().all(|subject| subject.get(slot) == of[0].get(slot));
        of.iter().all(|subject| subject.kind == kind) && slots.into_iter().any(same)
    };
    writeln!(
        out,
        "\nLabels of two to eight tokens that all are the last words of names: how often the named have an attribute in \
         common (profession, country, century; of cities country, continent, language; of animals class, habitat, food), \
         and how often as many random ones of the same kind.\n\n\
         | SAE | such labels | something in common | random |\n|---|---|---|---|"
    )?;
    for (width, labels) in all {
        let (mut such, mut common, mut chance) = (0_usize, 0_usize, 0_usize);
        for (_, label) in labels {
            let Some(list) = label.text.strip_prefix("on ").filter(|_| label.kind == "token") else { continue };
            let found: Option<Vec<&Subject>> =
                list.split(", ").map(|word| of_word.get(word)?.first().copied()).collect();
            let Some(found) = found.filter(|found| found.len() > 1) else { continue };
            such += 1;
            common += usize::from(alike(&found));
            let others: Vec<&Subject> = subjects.iter().copied().filter(|of| of.kind == found[0].kind).collect();
            // The same draws each time.
            let mut state = u64::from(*width) << 32 | such as u64;
            for _ in 0..DRAWS {
                let mut draw = || {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    others[(state >> 33) as usize % others.len()]
                };
                let random: Vec<&Subject> = found.iter().map(|_| draw()).collect();
                chance += usize::from(alike(&random));
            }
        }
        let share = |part: f64| 100.0 * part / such.max(1) as f64;
        writeln!(
            out,
            "| {width} | {such} | {:.0} % | {:.0} % |",
            share(common as f64),
            share(chance as f64 / DRAWS as f64)
        )?;
    }
    Ok(())
}

/// The labels with the highest F1, each of another text.
fn strongest(out: &mut String, all: &BTreeMap<u32, Vec<(u32, Label)>>) -> Result<()> {
    writeln!(out, "\nThe {SHOWN} labels with the highest F1 of those that name two tokens or more:\n")?;
    for (width, labels) in all {
        let f1 = |label: &Label| label.scores.as_ref().and_then(|scores| scores.f1).unwrap_or_default();
        let mut several: Vec<&(u32, Label)> = labels.iter().filter(|(_, label)| label.text.contains(", ")).collect();
        several.sort_by(|a, b| f1(&b.1).total_cmp(&f1(&a.1)).then(a.0.cmp(&b.0)));
        let each = several.iter().take(SHOWN);
        let list: Vec<String> = each.map(|(latent, of)| format!("{latent} “{}” ({:.2})", of.text, f1(of))).collect();
        writeln!(out, "- {width}: {}", list.join("; "))?;
    }
    Ok(())
}
