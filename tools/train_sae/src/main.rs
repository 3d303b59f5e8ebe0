//! Trains a ladder of SAEs on any model and text, in SAELens' format, with a suite file that opens them:
//! `cargo run --release -p train_sae -- --model DIR --layer 2 --text FILE --out DIR`.
//! Not here: the trainer, which is the library's, and reading models.

#![allow(clippy::print_stderr, reason = "a command that takes so long says how far it is")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use candle_core::Device;
use clap::{Parser, ValueEnum};
use saescope::analysis::doctor::{Diagnostics, Expected, Figures, Found, Subject};
use saescope::analysis::measuring::{ActivationSource, Apart};
use saescope::blob::Blob;
use saescope::hub::{Hub, bytes};
use saescope::model::{self, ModelFiles, PIECE, Tokenizer, TokenizerFiles, TokenizerSaid, cut};
use saescope::report::Report;
use saescope::sae::train::{self, Config, Dtype, Origin};
use saescope::session::{Session, SessionConfig, available_memory};
use saescope::site::{Site, SiteKind};
use saescope::suite::{ModelEntry, Source, Suite, TokenizerParts, TokenizerWord};
use saescope::task::{Cancel, Progress};

/// What stands between documents.
const SEPARATOR: &str = "<|endoftext|>";
/// The share of the text that nothing is trained on, and how many bytes of it at most.
const UNSEEN: usize = 10;
const UNSEEN_BYTES: usize = 256 << 10;
/// Tokens of it that figures are measured on, about.
const MEASURED: usize = 20_000;

/// Trains SAEs of several widths on one site of a model. A tenth of the text is kept back: what the suite file expects is
/// measured on it, and the explorer compares SAEs on it.
#[derive(Parser)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// The model's folder, as the hub has it: config.json, safetensors files, tokenizer.
    #[arg(long, value_name = "DIR", required_unless_present = "suite")]
    pub model: Option<PathBuf>,
    /// Take model, site, centring and BOS from this suite; the other flags still have the last word.
    #[arg(long, value_name = "ID|FILE", conflicts_with = "model")]
    pub suite: Option<String>,
    /// The block at which activations are taken, from 0.
    #[arg(long, value_name = "N", required_unless_present = "suite")]
    pub layer: Option<usize>,
    /// What is taken there; resid_pre without it.
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Subtract each activation's mean, as TransformerLens' centred weights do.
    #[arg(long)]
    pub center: bool,
    /// Begin rows without a beginning-of-sequence token.
    #[arg(long)]
    pub no_bos: bool,
    /// The text, in UTF-8; documents are separated by <|endoftext|>.
    #[arg(long, value_name = "FILE")]
    pub text: PathBuf,
    /// Tokens of a row at most.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub context: usize,
    /// Activations that are learnt from at most; they are held in memory as f32.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub tokens: usize,
    /// Latents of an SAE (repeatable); 4, 8 and 16 times the activation's size without it.
    #[arg(long, value_name = "N")]
    pub width: Vec<usize>,
    /// Latents that fire on a token, on average.
    #[arg(long, default_value_t = 16)]
    pub k: usize,
    /// Steps of training for each SAE.
    #[arg(long, default_value_t = 3_000)]
    pub steps: usize,
    /// Activations of a step.
    #[arg(long, default_value_t = 2_048)]
    pub batch: usize,
    /// The learning rate.
    #[arg(long, default_value_t = 1e-3)]
    pub lr: f32,
    /// The seed: the same one gives the same SAEs.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A new folder for the SAEs, the text kept back and suite.toml.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Kinds of sites by their names in suite files.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// The residual stream before the block.
    ResidPre,
    /// The residual stream behind it.
    ResidPost,
    /// Attention heads' z, before the output projection.
    AttnZ,
    /// What attention adds.
    AttnOut,
    /// The residual stream between attention and MLP.
    ResidMid,
    /// What the MLP adds.
    MlpOut,
}

/// A suite without SAEs: what they are trained for.
struct Wiring {
    model: ModelEntry,
    site: Site,
    center: bool,
}

fn main() -> ExitCode {
    match train(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Trains and writes everything.
///
/// # Errors
/// What is missing, broken or does not fit together.
pub fn train(arguments: &Arguments) -> Result<()> {
    let suite_file = arguments.out.join("suite.toml");
    ensure!(!suite_file.exists(), "{} is there already; choose another --out", suite_file.display());
    let (wiring, files) = wiring(arguments)?;
    let loaded = model::load(&files, &Device::Cpu)?;
    let model = &*loaded.model;
    let (site, bos) = (wiring.site, wiring.model.prepend_bos);
    let size = model.site_size(site)?;
    let bos_id = loaded.tokenizer.bos().filter(|_| bos);
    ensure!(!bos || bos_id.is_some(), "the tokenizer has no beginning-of-sequence token; give --no-bos");

    let cannot = || format!("cannot read the text {}", arguments.text.display());
    let text = Blob::path(&arguments.text).read().with_context(cannot)?;
    let text = std::str::from_utf8(&text).with_context(cannot)?;
    let (seen, unseen) = text.split_at(kept_back(text));
    let longest = arguments.context.min(model.shape().context).saturating_sub(usize::from(bos)).max(2);
    let rows = |text: &str, most: usize| rows((&loaded.tokenizer, bos_id), text, longest, most);
    let (rows, mut held_out) = (rows(seen, arguments.tokens)?, rows(unseen, MEASURED)?);
    held_out.truncate(MEASURED.div_ceil(longest));
    ensure!(!rows.is_empty() && !held_out.is_empty(), "{} is too short to learn from", arguments.text.display());

    let mut widths = arguments.width.clone();
    if widths.is_empty() {
        widths = [4, 8, 16].map(|times| times * size).to_vec();
    }
    widths.sort_unstable();
    widths.dedup();
    if let Some(narrow) = widths.iter().find(|width| !(1..=**width).contains(&arguments.k)) {
        anyhow::bail!("--k {} does not go with {narrow} latents: it can be 1 to {narrow}", arguments.k);
    }
    fs::create_dir_all(&arguments.out).with_context(|| format!("cannot make {}", arguments.out.display()))?;

    let taker = ActivationSource { model, site, center: wiring.center, apart: Apart::First };
    let start = Instant::now();
    let x = activations(taker, bos_id, &rows, size, arguments.tokens)?;
    eprintln!("{} activations of {size} values at {site} ({:.0?})", x.len() / size, start.elapsed());

    let origin = Origin {
        model_name: name(&wiring.model.source),
        hook_name: site.hook(),
        prepend_bos: bos,
        context_size: longest + usize::from(bos),
    };
    let mut examiner = Diagnostics {
        model,
        names: Vec::new(),
        site,
        center: wiring.center,
        bos,
        bos_id,
        opening: loaded.tokenizer.opening().to_vec(),
        value_bias: None,
        folded: false,
        sentences: held_out,
        taken: Vec::new(),
        bounds: None,
        found: Found::default(),
    };
    let mut figures = Vec::new();
    for width in widths {
        let config = Config {
            steps: arguments.steps,
            batch: arguments.batch,
            rate: arguments.lr,
            seed: arguments.seed,
            ..Config::new(width, arguments.k)
        };
        let trained = train::train(&x, size, &config, &Cancel::new(), &told(width))?;
        trained.save(&arguments.out.join(width.to_string()), Dtype::F32, &origin)?;
        let (id, sae) = (width.to_string(), trained.sae()?);
        let patient = Subject { id: &id, sae: &sae, expected: Expected::default(), doubted: Vec::new() };
        let measured = examiner.examine(&patient, true, &Cancel::new(), &|_| ())?.measured;
        eprintln!("{}", line(width, &measured));
        figures.push((id, measured));
    }
    fs::write(arguments.out.join("text.txt"), unseen)?;
    fs::write(&suite_file, suite(&wiring, &arguments.out, &figures)?)?;
    eprintln!("saescope --suite {}   ({:.0?})", suite_file.display(), start.elapsed());
    Ok(())
}

/// Rows of at most `longest` tokens of a text's documents, until there are `most` tokens behind the first of each row or
/// the text ends: what is not used is not spelled either.
fn rows((tokenizer, bos): (&Tokenizer, Option<u32>), text: &str, longest: usize, most: usize) -> Result<Vec<Vec<u32>>> {
    let (mut rows, mut tokens): (Vec<Vec<u32>>, usize) = (Vec::new(), 0);
    for document in text.split(SEPARATOR).map(str::trim) {
        let (mut rest, mut row, mut begun) = (document, Vec::new(), false);
        while !rest.is_empty() && tokens < most {
            let at = if rest.len() > PIECE { cut(rest.as_bytes(), PIECE) } else { rest.len() };
            let (piece, after) = rest.split_at(at);
            rest = after;
            let ids = tokenizer.encode(piece)?;
            // A document that spells the token which is put in front has it once.
            row.extend(ids.into_iter().skip_while(|id| !begun && bos == Some(*id)));
            begun |= !row.is_empty();
            let whole = row.len() / longest;
            let after = row.split_off(whole * longest);
            rows.extend(row.chunks(longest).map(<[u32]>::to_vec));
            (tokens, row) = (tokens + whole * (longest - 1), after);
        }
        tokens += row.len().saturating_sub(1);
        // A row of one token has no position that counts.
        rows.extend(Some(row).filter(|row| row.len() > 1));
    }
    Ok(rows)
}

/// At most `most` activations of rows of text. Position 0 is left out, as it is of every figure (README, "What the
/// numbers are").
fn activations(
    taker: ActivationSource<'_>,
    bos: Option<u32>,
    rows: &[Vec<u32>],
    size: usize,
    most: usize,
) -> Result<Vec<f32>> {
    let there: usize = rows.iter().map(|row| row.len() + usize::from(bos.is_some()) - 1).sum();
    let wanted = there.min(most);
    let needed = 4 * wanted as u64 * size as u64;
    if let Some(free) = available_memory().filter(|free| needed > *free) {
        let (needed, free) = (bytes(needed), bytes(free));
        anyhow::bail!("{wanted} activations of {size} values take {needed} of memory, {free} are free; give --tokens");
    }
    let (mut x, mut told) = (Vec::with_capacity((wanted + rows[0].len()) * size), Instant::now());
    for row in rows {
        if x.len() / size >= wanted {
            break;
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            eprintln!("{} activations of {wanted} taken", x.len() / size);
        }
        let ids: Vec<u32> = bos.into_iter().chain(row.iter().copied()).collect();
        x.extend_from_slice(&taker.activations(&ids, &Cancel::new())?[size..]);
    }
    x.truncate(wanted * size);
    Ok(x)
}

/// What SAEs are trained for, and the model's files.
fn wiring(arguments: &Arguments) -> Result<(Wiring, ModelFiles)> {
    let hub = Hub::from_env(|name| std::env::var_os(name))?;
    let kind = arguments.kind.map(|kind| match kind {
        Kind::ResidPre => SiteKind::ResidPre,
        Kind::ResidPost => SiteKind::ResidPost,
        Kind::AttnZ => SiteKind::AttnZ,
        Kind::AttnOut => SiteKind::AttnOut,
        Kind::ResidMid => SiteKind::ResidMid,
        Kind::MlpOut => SiteKind::MlpOut,
    });
    let mut suite = if let Some(suite) = &arguments.suite {
        Session::new(SessionConfig::new(hub.clone())).suite(suite).map_err(|report| said(&report))?
    } else {
        let folder = arguments.model.clone().unwrap_or_default();
        let folder =
            fs::canonicalize(&folder).with_context(|| format!("cannot open the model {}", folder.display()))?;
        empty(Source::Path(folder))
    };
    suite.site.layer = arguments.layer.unwrap_or(suite.site.layer);
    suite.site.kind = kind.unwrap_or(suite.site.kind);
    suite.target = suite.site;
    suite.center |= arguments.center;
    suite.model.prepend_bos &= !arguments.no_bos;
    ensure!(
        !matches!(suite.model.source, Source::Embedded(_)),
        "the demo's model is part of the program; give its folder: --model assets/demo/model --layer 3"
    );
    let parts = suite.model_files(&hub).map_err(|error| said(&error.into()))?;
    let tokenizer = match parts.tokenizer {
        TokenizerParts::Json(json) => TokenizerFiles::Json(json),
        TokenizerParts::Bpe { vocab, merges } => TokenizerFiles::Bpe { vocab, merges },
        _ => anyhow::bail!("the tokenizer is in files that this program does not know"),
    };
    let own_word = suite.model.tokenizer == TokenizerWord::File;
    let said =
        TokenizerSaid { config: parts.said.config, specials: parts.said.specials, added: parts.said.added, own_word };
    let files = ModelFiles { config: parts.config, weights: parts.weights, tokenizer, said };
    Ok((Wiring { model: suite.model, site: suite.site, center: suite.center }, files))
}

/// A report with its reasons and hint.
fn said(report: &Report) -> anyhow::Error {
    anyhow::anyhow!(report.to_string().trim_start_matches("error: ").to_owned())
}

/// What a person calls the model by.
fn name(source: &Source) -> String {
    match source {
        Source::Hub(repo) => repo.id.clone(),
        Source::Path(path) => path.file_name().map_or_else(|| path.display().to_string(), |n| n.display().to_string()),
        other => other.to_string(),
    }
}

fn empty(source: Source) -> Suite {
    Suite {
        id: String::new(),
        name: String::new(),
        title: String::new(),
        threshold: 0.7,
        prompt: None,
        text: None,
        index: None,
        model: ModelEntry {
            source,
            prepend_bos: true,
            tokenizer: TokenizerWord::default(),
            licence: None,
            gated: false,
            bytes: None,
            mirrors: Vec::new(),
            unverified: Vec::new(),
        },
        site: Site { layer: 0, kind: SiteKind::ResidPre },
        target: Site { layer: 0, kind: SiteKind::ResidPre },
        center: false,
        fold_value_bias: false,
        saes: Vec::new(),
        metas: Vec::new(),
    }
}

/// Where the part of the text begins that is kept back: at a document, else at a line, else at a character.
fn kept_back(text: &str) -> usize {
    let kept = (text.len() / UNSEEN).min(UNSEEN_BYTES);
    let at = text.floor_char_boundary(text.len() - kept);
    let behind = |found: &str| text[at..].find(found).map(|start| at + start + found.len());
    let inside = |end: &usize| *end < text.len() - kept / 2;
    behind(SEPARATOR).filter(inside).or_else(|| behind("\n").filter(inside)).unwrap_or(at)
}

/// Says now and then how far training is.
fn told(width: usize) -> impl Fn(Progress) + Sync {
    let start = Instant::now();
    move |progress| {
        if progress.done.is_multiple_of(500) {
            let figures: Vec<String> =
                progress.figures.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
            let total = progress.total.unwrap_or_default();
            eprintln!("{width}: step {} of {total}, {} ({:.0?})", progress.done, figures.join(", "), start.elapsed());
        }
    }
}

fn line(width: usize, figures: &Figures) -> String {
    let say = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    format!(
        "{width}: on {} tokens kept back: L0 {}, explained variance {}, loss recovered {}, {} silent latents",
        figures.tokens,
        say(figures.l0),
        say(figures.explained_variance),
        say(figures.loss_recovered),
        figures.silent
    )
}

/// The suite file, beside the SAEs.
fn suite(wiring: &Wiring, out: &Path, figures: &[(String, Figures)]) -> Result<String> {
    let string = |value: &str| toml::Value::from(value).to_string();
    let out = fs::canonicalize(out)?;
    let id = out.file_name().unwrap_or_default().to_string_lossy();
    let id: String = id.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    let id = id.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let (first, last) = (figures.first().map_or("", |one| &one.0), figures.last().map_or("", |one| &one.0));
    let Wiring { model, site, center } = wiring;
    let mut text = format!(
        "id = {}\ntitle = {}\ntext = \"text.txt\"\n\n[model]\n",
        string(if id.is_empty() { "trained" } else { id }),
        string(&format!("{} at {site}, {first} to {last} latents", name(&model.source)))
    );
    match &model.source {
        Source::Hub(repo) => writeln!(text, "repo = {}\nrevision = {}", string(&repo.id), string(&repo.revision))?,
        Source::Path(path) => writeln!(text, "path = {}", string(&path.display().to_string()))?,
        other => anyhow::bail!("a suite file cannot name the model {other}"),
    }
    writeln!(text, "prepend_bos = {}\n", model.prepend_bos)?;
    writeln!(text, "[site]\nlayer = {}\nkind = \"{}\"\ncenter = {center}", site.layer, site.kind.name())?;
    for (id, measured) in figures {
        let expected = [
            ("l0", measured.l0),
            ("explained_variance", measured.explained_variance),
            ("mse", measured.mse),
            ("loss_recovered", measured.loss_recovered),
        ];
        // As many digits as differ between texts, and no exponent.
        let expected = expected.iter().filter_map(|(key, value)| Some(format!("{key} = {:.5}", (*value)?)));
        let expected = expected.collect::<Vec<_>>().join(", ");
        writeln!(text, "\n[[sae]]\nid = \"{id}\"\nformat = \"sae-lens\"\npath = \".\"\nfolder = \"{id}\"")?;
        writeln!(text, "expect = {{ {expected} }}")?;
    }
    Ok(text)
}
