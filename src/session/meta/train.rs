//! Training meta-SAEs and keeping them: in a folder of the SAE's hash, each as SAELens writes it, with a note of what it
//! was trained on. Not here: the trainer (`sae::train`), and what is asked of a meta-SAE (`meta.rs`).

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::analysis::MetaInfo;
use crate::report::{Kind, Report};
use crate::sae::train::{Config, Dtype, Keep, Origin, TrainError, hex, train_kept};
use crate::sae::{Sae, meta};
use crate::session::failure;
use crate::session::meta::answers::{MetaRecipe, MetaTrained};
use crate::session::meta::open::{info, open_folder};
use crate::session::query::{Cx, Lane, Query};
use crate::task::{Cancel, OnProgress, Progress};

/// Time between two checkpoints: a killed run loses less than a minute.
const EVERY: Duration = Duration::from_secs(20);
/// The note beside the weights.
const NOTE: &str = "meta.json";
/// The checkpoint of a run that is not over.
const UNFINISHED: &str = "unfinished";

impl Query for MetaRecipe {
    type Answer = MetaTrained;
    const NAME: &'static str = "meta-train";
    const LANE: Lane = Lane::Training;
    const PRIORITY: u8 = 0;

    /// Trains a meta-SAE on an SAE's decoder rows; one that was begun and not finished is taken up again.
    fn run(&self, cx: &mut Cx<'_>) -> Result<MetaTrained, Report> {
        let suite = cx.suite()?;
        let of = &suite.saes[suite.place(&self.sae)?].sae;
        train(of, self, suite.setup.metas.as_deref(), cx.cancel, cx.progress)
    }
}

/// A meta-SAE that this program trained.
pub struct Kept {
    pub id: String,
    pub k: Option<usize>,
    pub meta: Result<Sae, Report>,
}

/// The folder of all that was trained for an SAE.
fn folder_of(metas: &Path, of: &Sae) -> PathBuf {
    metas.join(prefix(of) + &hex(&of.decoder_hash()[..16]))
}

/// What the folder's name begins with, which costs no hash.
fn prefix(of: &Sae) -> String {
    format!("{}x{}-", of.width(), of.d_out())
}

/// The names in a folder, sorted; none where there is no such folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// All that was trained for an SAE, is whole and not yet known, by id.
pub fn kept(metas: Option<&Path>, of: &Sae, known: &dyn Fn(&str) -> bool) -> Vec<Kept> {
    let Some(metas) = metas else { return Vec::new() };
    let cannot = |folder: &Path, error: &io::Error| {
        let id = folder.display().to_string();
        let what = format!("cannot look for meta-SAEs that were trained here in `{id}`");
        let new = !known(&id);
        new.then(|| Kept { id, k: None, meta: Err(Report::caused(what, error)) }).into_iter().collect()
    };
    match names(metas) {
        Err(error) => return cannot(metas, &error),
        Ok(names) if !names.iter().any(|name| name.starts_with(&prefix(of))) => return Vec::new(),
        Ok(_) => {}
    }
    let folder = folder_of(metas, of);
    let names = match names(&folder) {
        Err(error) => return cannot(&folder, &error),
        Ok(names) => names,
    };
    let new = names.into_iter().filter(|name| !known(name));
    let whole = new.filter(|name| folder.join(name).join("cfg.json").is_file());
    whole
        .map(|id| {
            let folder = folder.join(&id);
            let note = fs::read(folder.join(NOTE)).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            let k = note.as_ref().and_then(|note| note["k"].as_u64()).map(|k| k as usize);
            let fits = |meta: Sae| match meta::check_fit(&meta, of) {
                Ok(()) => Ok(meta),
                Err(error) => Err(failure::of_sae(format!("cannot use meta-SAE `{}`", folder.display()), &error)),
            };
            Kept { k, meta: open_folder(&folder).and_then(fits), id }
        })
        .collect()
}

/// Trains a meta-SAE, or continues with one that was begun, and keeps it.
///
/// # Errors
/// Settings that make no sense, rows that cannot be learnt from, a full disk (what was learnt up to the last checkpoint
/// is kept), and that it was cancelled (so is that).
fn train(
    of: &Sae,
    recipe: &MetaRecipe,
    metas: Option<&Path>,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<MetaTrained, Report> {
    let what = format!("cannot train a meta-SAE on SAE `{}`", recipe.sae);
    let config = config(of, recipe, &what)?;
    let id = id(&config);
    let folder = match (&recipe.out, metas) {
        (Some(out), _) => out.clone(),
        (None, Some(metas)) => folder_of(metas, of).join(&id),
        (None, None) => {
            return Err(Report::new(what).because("there is no folder to keep it in").kind(Kind::Usage));
        }
    };
    let rows = meta::rows(of).map_err(|error| failure::of_sae(what.clone(), &error))?;
    let started = Instant::now();
    let first = std::cell::Cell::new(None);
    let tell = |mut step: Progress| {
        let begun = first.get().unwrap_or(step.done);
        first.set(Some(begun));
        if let (Some(total), true) = (step.total, step.done > begun) {
            let left = started.elapsed().as_secs_f64() / (step.done - begun) as f64 * (total - step.done) as f64;
            step.figures.push(("seconds left".to_owned(), left));
        }
        progress(step);
    };
    let wrong = |error: TrainError| report(&what, &error, &folder);
    let unfinished = folder.join(UNFINISHED);
    let keep = Keep { file: &unfinished, every: EVERY };
    let trained = train_kept(&rows, of.d_out(), &config, keep, cancel, &tell).map_err(wrong)?;
    let note = note(of, recipe, &config);
    let origin = Origin {
        model_name: of.metadata.model_name.clone().unwrap_or_default(),
        hook_name: format!("decoder rows of SAE {} at {}", recipe.sae, of.metadata.hook_name.as_deref().unwrap_or("?")),
        prepend_bos: of.metadata.prepend_bos.unwrap_or(false),
        context_size: of.metadata.context_size.unwrap_or(0),
    };
    let noted = fs::write(folder.join(NOTE), note);
    let noted = noted.map_err(|source| TrainError::Write { file: folder.join(NOTE).display().to_string(), source });
    // cfg.json is written last: where it is, everything is.
    noted.and_then(|()| trained.save(&folder, Dtype::F32, &origin)).map_err(wrong)?;
    // Now that the result is in safety. One that stays is overwritten or ignored by the next run.
    let _ = fs::remove_file(unfinished);
    let sae = trained.sae().map_err(|error| failure::of_sae(what.clone(), &error))?;
    let id = recipe.out.as_ref().map_or(id, |out| out.display().to_string());
    let quality = meta::BreakdownTable::new(&sae, of, cancel).map_err(|error| failure::of_sae(what, &error))?.quality;
    let info = MetaInfo { trained: true, ..info(&id, &recipe.sae, &sae, Some(config.k), quality) };
    Ok(MetaTrained { info, seconds: started.elapsed().as_secs_f64(), folder })
}

fn config(of: &Sae, recipe: &MetaRecipe, what: &str) -> Result<Config, Report> {
    let width = recipe.width.unwrap_or_else(|| meta::default_width(of.width()));
    if width > of.width() {
        return Err(Report::new(what)
            .because(format!("{width} meta-latents are more than the SAE's {} latents", of.width()))
            .hint(format!("{} are usual for this SAE", meta::default_width(of.width())))
            .kind(Kind::Usage));
    }
    let paper = meta::recipe(width, recipe.k);
    Ok(Config { steps: recipe.steps, batch: recipe.batch, rate: recipe.rate, seed: recipe.seed, ..paper })
}

/// The folder's name: what distinguishes one run from another.
fn id(config: &Config) -> String {
    let usual = meta::recipe(config.width, config.k);
    let mut id = format!("{}-k{}-s{}", config.width, config.k, config.seed);
    for (letter, given, usual) in [("n", config.steps, usual.steps), ("b", config.batch, usual.batch)] {
        if given != usual {
            // Writing to a string does not fail.
            let _ = write!(id, "-{letter}{given}");
        }
    }
    if config.rate != usual.rate {
        let _ = write!(id, "-lr{}", config.rate);
    }
    id
}

/// What it was trained on and how.
fn note(of: &Sae, recipe: &MetaRecipe, config: &Config) -> String {
    let note = json!({
        "sae": recipe.sae,
        "sae_latents": of.width(),
        "sae_decoder_sha256": hex(of.decoder_hash()),
        "width": config.width,
        "k": config.k,
        "steps": config.steps,
        "batch": config.batch,
        "lr": config.rate,
        "seed": config.seed,
        "program": concat!("saescope ", env!("CARGO_PKG_VERSION")),
    });
    format!("{note:#}\n")
}

fn report(what: &str, error: &TrainError, folder: &Path) -> Report {
    match error {
        TrainError::Cancelled(cancelled) => {
            Report::from(*cancelled).hint("what was learnt is kept: the same command continues from there")
        }
        TrainError::Write { .. } => Report::caused(what, error).hint(format!(
            "make room, or choose another folder than {}; what was learnt up to the last checkpoint is kept, and the \
             same command continues from there",
            folder.display()
        )),
        TrainError::Setting { .. } => Report::caused(what, error).kind(Kind::Usage),
        TrainError::Constant => Report::caused(what, error).hint("all decoder rows of this SAE point the same way"),
        _ => Report::caused(what, error),
    }
}
