//! The report's part on stitching: what is new from SAE to SAE, and which latents stand for one person or place.
//! It takes model and SAEs from the demo's files, through the library, as a user's program would.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use saescope::analysis::PairView;
use saescope::analysis::measuring::{ActivationSource, Apart, Sample};
use saescope::blob::Blob;
use saescope::hub::Hub;
use saescope::model::{self, ModelFiles, Tokenizer, TokenizerFiles, TokenizerSaid};
use saescope::sae::{Codes, SaeFiles, lens};
use saescope::session::{LoadScope, OpenQuery, PairQuery, Session, SessionConfig};
use saescope::site::{Site, SiteKind};
use saescope::task::Cancel;

use crate::plan::LAYER;
use crate::world::World;

/// Where θ is looked for.
const THETAS: [f32; 13] = [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9];
/// Share of a latent's activation that must lie on one subject.
const SHARE: f64 = 0.8;
/// Tokens on which it must fire at least.
const FIRED: usize = 5;
/// Latents shown by name.
const SHOWN: usize = 12;
/// How the part begins, by which an older one is found.
const HEADING: &str = "\n## Stitching\n";

/// Puts the part into `REPORT.md`, in place of an older one.
pub fn write(out: &Path, rows: Vec<Vec<u32>>, world: &World) -> Result<()> {
    let file = out.join("REPORT.md");
    let report = fs::read_to_string(&file).context("the demo has no report")?;
    let part = part(out, rows, world)?;
    let before = report.split(HEADING).next().unwrap_or_default();
    let after = report.split_once(HEADING).and_then(|(_, rest)| rest.find("\n## ").map(|at| &rest[at..]));
    Ok(fs::write(file, format!("{before}{HEADING}{part}{}", after.unwrap_or_default()))?)
}

fn part(out: &Path, rows: Vec<Vec<u32>>, world: &World) -> Result<String> {
    let mut session = session()?;
    let ids = ladder(&mut session, out)?;
    let mut neighbours = Vec::new();
    for step in ids.windows(2) {
        neighbours.push(pair(&mut session, &step[0], &step[1], THETAS[0])?);
    }
    let theta = best(&neighbours);
    keep(out, theta)?;
    let mut text = format!(
        "\nWritten by `cargo run --release -p make_demo -- --measure`. For each pair of SAEs at θ = {theta}: latents \
         of the wider one that are new, that the narrower one has, groups, latents of the narrower one that nothing \
         matches, the area under the ROC curve of the cosine rule against what putting a latent in does to the \
         squared error of `text.txt`, and of the latents that fire there how many both rules judge alike. θ is that \
         of {THETAS:?} at which the cosine rule tells best, over neighbouring widths, what lowers the error from what does \
         not (mean of Youden's J, {:.2}).\n\n\
         | narrower | wider | novel | reconstruction | groups | unmatched | ROC-AUC | judged alike |\n\
         |---|---|---|---|---|---|---|---|\n",
        youden(&neighbours, theta)
    );
    let mut ends = None;
    for (at, large) in ids.iter().enumerate() {
        for small in &ids[..at] {
            let view = pair(&mut session, small, large, theta)?;
            let counts = view.counts(theta)?;
            let auc = view.auc.map_or_else(|| "–".to_owned(), |auc| format!("{auc:.3}"));
            let judged: Vec<bool> = view.rows.iter().filter_map(|row| row.disagrees(theta)).collect();
            let alike = judged.iter().filter(|disagree| !**disagree).count();
            writeln!(
                text,
                "| {small} | {large} | {} | {} | {} | {} | {auc} | {:.0} % |",
                counts.novel,
                counts.reconstruction,
                counts.groups,
                counts.unmatched,
                100.0 * alike as f64 / judged.len().max(1) as f64
            )?;
            ends = if small == &ids[0] { Some(view) } else { ends };
        }
    }
    let Some(view) = ends else { bail!("the demo has one SAE") };
    subjects(&mut text, out, rows, world, &view, theta)?;
    Ok(text)
}

/// Youden's J of the cosine rule, mean over pairs: of the latents that lower the error when they are put in, the share
/// called novel, less the same share of the others.
fn youden(pairs: &[PairView], theta: f32) -> f64 {
    let of = |view: &PairView| {
        let mut counts = [[0usize; 2]; 2];
        for row in &view.rows {
            if let Some(c) = row.c_star {
                counts[usize::from(c > 0.5)][usize::from(row.max_cosine < theta)] += 1;
            }
        }
        let [others, helpful] = counts.map(|[kept, novel]| novel as f64 / (kept + novel).max(1) as f64);
        helpful - others
    };
    pairs.iter().map(of).sum::<f64>() / pairs.len().max(1) as f64
}

/// The θ that tells best.
fn best(pairs: &[PairView]) -> f32 {
    THETAS.into_iter().max_by(|a, b| youden(pairs, *a).total_cmp(&youden(pairs, *b))).unwrap_or(THETAS[0])
}

/// Writes θ into the suite file.
fn keep(out: &Path, theta: f32) -> Result<()> {
    let file = out.join("suite.toml");
    let text = fs::read_to_string(&file)?;
    let lines = text.lines().map(|line| {
        if line.starts_with("threshold = ") { format!("threshold = {theta}\n") } else { format!("{line}\n") }
    });
    Ok(fs::write(file, lines.collect::<String>())?)
}

/// A session with nothing kept and nothing of the user's.
pub fn session() -> Result<Session> {
    let hub = Hub::from_env(|_: &str| None)?;
    Ok(Session::new(SessionConfig::new(hub)))
}

/// Opens the demo's suite and gives its SAEs by rising width.
pub fn ladder(session: &mut Session, out: &Path) -> Result<Vec<String>> {
    let suite = out.join("suite.toml").display().to_string();
    let query = OpenQuery { suite, saes: Vec::new(), reach: LoadScope::Whole };
    let opened = session.ask(&query, &Cancel::new(), &|_| ())?;
    Ok(opened.saes.iter().filter(|sae| sae.loaded).map(|sae| sae.id.clone()).collect())
}

fn pair(session: &mut Session, small: &str, large: &str, threshold: f32) -> Result<PairView> {
    let job = PairQuery { small: small.to_owned(), large: large.to_owned(), threshold };
    Ok(session.ask(&job, &Cancel::new(), &|_| ())?)
}

/// What is measured of a latent over the unseen text.
#[derive(Clone, Default)]
struct Mass {
    fired: usize,
    all: f64,
    of: HashMap<usize, f64>,
}

fn subjects(
    text: &mut String,
    out: &Path,
    rows: Vec<Vec<u32>>,
    world: &World,
    view: &PairView,
    theta: f32,
) -> Result<()> {
    let file = |name: &str| Blob::path(out.join("model").join(name));
    let (config, weights) = (file("config.json"), vec![file("model.safetensors")]);
    let files = ModelFiles {
        config,
        weights,
        tokenizer: TokenizerFiles::Json(file("tokenizer.json")),
        said: TokenizerSaid::default(),
    };
    let loaded = model::load(&files, &candle_core::Device::Cpu)?;
    let folder = out.join("saes").join(&view.large);
    let files = SaeFiles {
        config: Blob::path(folder.join("cfg.json")),
        weights: vec![Blob::path(folder.join("sae_weights.safetensors"))],
        sparsity: None,
    };
    let sae = lens::open(&files)?;
    let site = Site { layer: LAYER, kind: SiteKind::ResidPre };
    let taker = ActivationSource { model: &*loaded.model, site, center: false, apart: Apart::First };
    let mut sample = Sample::default();
    for row in rows {
        taker.add(&mut sample, row, &Cancel::new())?;
    }
    let codes = sample.encode(&sae, &Cancel::new(), &|_| ())?;
    let named = names(world);
    let masses = masses(&sample, &codes, sae.width(), &mentions(&sample, &loaded.tokenizer, &named));
    let mut found: Vec<(u32, usize, f64, usize)> = Vec::new();
    for (latent, mass) in masses.iter().enumerate().filter(|(_, mass)| mass.fired >= FIRED && mass.all > 0.0) {
        let best = mass.of.iter().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(a.0)));
        if let Some((subject, on)) = best.filter(|(_, on)| **on >= SHARE * mass.all) {
            found.push((latent as u32, *subject, on / mass.all, mass.fired));
        }
    }
    let is_novel = |latent: u32| view.rows[latent as usize].max_cosine < theta;
    let novel: Vec<_> = found.iter().filter(|(latent, ..)| is_novel(*latent)).collect();
    let covered = |found: &mut dyn Iterator<Item = usize>| {
        let mut all: Vec<usize> = found.collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    };
    writeln!(
        text,
        "\n### Latents that stand for one person or place\n\n\
         On {} unseen tokens. A token belongs to a subject when it lies within a mention of it (a person's full or short \
         name, a city's name, as whole words) or is the first token after one. A latent of SAE {} stands for a \
         subject when it fires on at least {FIRED} tokens and at least {:.0} % of the sum of its activations lies on tokens \
         of that one subject.\n\n\
         - {} latents stand for one subject, {} subjects of {} between them.\n\
         - **{}** of these latents ({} subjects) are novel with respect to SAE {}: no latent there comes as near as \
         θ = {theta}.\n\n\
         The {SHOWN} surest of the novel ones:\n\n\
         | latent | subject | share | tokens | nearest in {} | cosine |\n|---|---|---|---|---|---|",
        sample.tokens(),
        view.large,
        100.0 * SHARE,
        found.len(),
        covered(&mut found.iter().map(|found| found.1)),
        named.len(),
        novel.len(),
        covered(&mut novel.iter().map(|found| found.1)),
        view.small,
        view.small
    )?;
    let mut surest = novel;
    surest.sort_by(|a, b| b.2.total_cmp(&a.2).then(b.3.cmp(&a.3)).then(a.0.cmp(&b.0)));
    for (latent, subject, share, fired) in surest.into_iter().take(SHOWN) {
        let row = &view.rows[*latent as usize];
        let (name, share) = (&named[*subject].0, 100.0 * share);
        writeln!(text, "| {latent} | {name} | {share:.0} % | {fired} | {} | {:.3} |", row.nearest, row.max_cosine)?;
    }
    Ok(())
}

/// People and cities, each with the spellings it is mentioned by.
fn names(world: &World) -> Vec<(String, Vec<String>)> {
    let people = world.people.iter().map(|person| {
        (person.get("full").to_owned(), vec![person.get("full").to_owned(), person.get("short").to_owned()])
    });
    let cities = world.cities.iter().map(|city| (city.get("city").to_owned(), vec![city.get("city").to_owned()]));
    people.chain(cities).collect()
}

/// For each position the subjects that it belongs to.
fn mentions(sample: &Sample, tokenizer: &Tokenizer, named: &[(String, Vec<String>)]) -> Vec<Vec<usize>> {
    // By first word, so that each place of the text is compared with few names.
    let mut by_start: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    for (subject, (_, spellings)) in named.iter().enumerate() {
        for spelling in spellings.iter().filter(|spelling| !spelling.is_empty()) {
            let first = spelling.split(' ').next().unwrap_or_default();
            by_start.entry(first).or_default().push((subject, spelling));
        }
    }
    let mut all = Vec::new();
    for row in &sample.rows {
        let mut bytes = Vec::new();
        let ends: Vec<usize> = row
            .iter()
            .map(|id| {
                bytes.extend_from_slice(tokenizer.bytes_of(*id));
                bytes.len()
            })
            .collect();
        let text = String::from_utf8_lossy(&bytes);
        let mut belongs = vec![Vec::new(); row.len()];
        // A replaced byte would move every place after it.
        if text.len() == bytes.len() {
            for (start, subject, length) in places(&text, &by_start) {
                let first = ends.partition_point(|end| *end <= start);
                let after = ends.partition_point(|end| *end < start + length) + 1;
                for of in &mut belongs[first..=after.min(row.len() - 1)] {
                    if !of.contains(&subject) {
                        of.push(subject);
                    }
                }
            }
        }
        all.extend(belongs);
    }
    all
}

/// Where names stand as whole words: (start, subject, length).
fn places(text: &str, by_start: &BTreeMap<&str, Vec<(usize, &str)>>) -> Vec<(usize, usize, usize)> {
    let mut places = Vec::new();
    let mut word_before = false;
    for (at, letter) in text.char_indices() {
        let begins = letter.is_alphanumeric() && !word_before;
        word_before = letter.is_alphanumeric();
        if !begins {
            continue;
        }
        let rest = &text[at..];
        let word = rest.split(|c: char| !c.is_alphanumeric() && !"-'.".contains(c)).next().unwrap_or_default();
        let plain = word.trim_end_matches(['.', '\'', '-']);
        for name in [word, plain].into_iter().flat_map(|word| by_start.get(word).into_iter().flatten()) {
            let (subject, spelling) = *name;
            let whole = rest.strip_prefix(spelling).is_some_and(|after| !after.starts_with(char::is_alphanumeric));
            if whole {
                places.push((at, subject, spelling.len()));
            }
        }
    }
    places
}

fn masses(sample: &Sample, codes: &Codes, width: usize, belongs: &[Vec<usize>]) -> Vec<Mass> {
    let mut masses = vec![Mass::default(); width];
    for row in (0..codes.rows()).filter(|row| sample.counts[*row]) {
        let (latents, values) = codes.row(row);
        for (latent, value) in latents.iter().zip(values).filter(|(_, value)| **value > 0.0) {
            let (mass, value) = (&mut masses[*latent as usize], f64::from(*value));
            mass.fired += 1;
            mass.all += value;
            for subject in &belongs[row] {
                *mass.of.entry(*subject).or_default() += value;
            }
        }
    }
    masses
}
