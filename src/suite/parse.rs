//! A suite file's text, turned into a [`Suite`] or into the line of its first mistake.
//! Not here: reading the file, and whether what it names exists.

use std::path::Path;

use super::{Expect, MetaEntry, ModelEntry, NormalizeActivations, SaeEntry, Source, Suite, TokenizerWord, canonical};
use crate::format::Format;
use crate::home;
use crate::hub::{Repo, name};
use crate::site::{Site, SiteKind};
use crate::toml_file::{Document, Error, Table};

/// θ for suites that name none: PAPER's for GPT-2 (methods §3).
const THRESHOLD: f64 = 0.7;

/// Most blocks of any model, to catch slips.
const MAX_LAYER: u64 = 10_000;

/// What relative paths of a suite file are relative to.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// A directory on this machine.
    Directory(&'a Path),
    /// The demo's directory within the program.
    Embedded,
    /// Nothing: the catalogue's files name repositories.
    Nowhere,
}

/// Parses `text`, which a person knows as `file`.
///
/// # Errors
/// The first mistake, with its line.
pub fn parse(file: &str, text: &str, base: Base<'_>) -> Result<Suite, Error> {
    let document = Document::parse(file, text)?;
    let root = document.root();
    root.only(&["id", "title", "threshold", "prompt", "text", "index", "model", "site", "sae", "meta"])?;
    let id = root.required("id", root.string("id")?)?;
    if !is_id(id) {
        return Err(root
            .wrong("id", format!("`id` cannot be \"{id}\""))
            .with_hint("an id has letters, digits, `.`, `_` and `-`, and begins with a letter or a digit"));
    }
    let threshold = root.number("threshold")?.unwrap_or(THRESHOLD);
    if !(-1.0..=1.0).contains(&threshold) {
        return Err(root.wrong("threshold", "`threshold` is a cosine and must lie between -1 and 1"));
    }
    let (site, center, fold_value_bias) = site(&root.required("site", root.table("site")?)?)?;
    let saes = saes(&root, base)?;
    Ok(Suite {
        id: id.to_owned(),
        name: id.to_owned(),
        title: root.string("title")?.unwrap_or(id).to_owned(),
        threshold: threshold as f32,
        prompt: root.text("prompt")?.map(ToOwned::to_owned),
        text: own(&root, "text", base)?,
        index: own(&root, "index", base)?,
        model: model(&root.required("model", root.table("model")?)?, base)?,
        site,
        target: site,
        center,
        fold_value_bias,
        metas: metas(&root, base, &saes)?,
        saes,
    })
}

fn is_id(id: &str) -> bool {
    id.len() <= 128
        && id.starts_with(|first: char| first.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn model(table: &Table<'_>, base: Base<'_>) -> Result<ModelEntry, Error> {
    table.only(&[
        "repo",
        "revision",
        "path",
        "prepend_bos",
        "tokenizer",
        "licence",
        "gated",
        "bytes",
        "mirrors",
        "unverified",
    ])?;
    Ok(ModelEntry {
        source: source(table, base)?,
        prepend_bos: table.boolean("prepend_bos")?.unwrap_or(true),
        tokenizer: table.choice("tokenizer", &TokenizerWord::NAMES)?.unwrap_or_default(),
        licence: table.string("licence")?.map(ToOwned::to_owned),
        gated: table.boolean("gated")?.unwrap_or(false),
        bytes: table.count("bytes")?,
        mirrors: mirrors(table)?,
        unverified: table.strings("unverified")?.into_iter().map(ToOwned::to_owned).collect(),
    })
}

fn mirrors(table: &Table<'_>) -> Result<Vec<String>, Error> {
    let mirrors = table.strings("mirrors")?;
    for mirror in &mirrors {
        name::repository(mirror).map_err(|error| table.wrong("mirrors", error.to_string()))?;
    }
    Ok(mirrors.into_iter().map(ToOwned::to_owned).collect())
}

fn site(table: &Table<'_>) -> Result<(Site, bool, bool), Error> {
    table.only(&["layer", "kind", "center", "fold_value_bias"])?;
    let layer = table.required("layer", table.count("layer")?)?;
    if layer > MAX_LAYER {
        return Err(table.wrong("layer", format!("no model has a layer {layer}")));
    }
    let kinds = SiteKind::ALL.map(|kind| (kind.name(), kind));
    let kind = table.required("kind", table.choice("kind", &kinds)?)?;
    let fold_value_bias = table.boolean("fold_value_bias")?.unwrap_or(false);
    if fold_value_bias && kind != SiteKind::AttnZ {
        return Err(table.wrong("fold_value_bias", "`fold_value_bias` belongs to sites of kind `attn_z`"));
    }
    Ok((Site { layer: layer as usize, kind }, table.boolean("center")?.unwrap_or(false), fold_value_bias))
}

fn saes(root: &Table<'_>, base: Base<'_>) -> Result<Vec<SaeEntry>, Error> {
    let tables = root.tables("sae")?;
    root.required("[[sae]]", tables.first())?;
    let mut saes: Vec<SaeEntry> = Vec::new();
    let mut defaults = Vec::new();
    for table in &tables {
        table.only(&[
            "id",
            "format",
            "repo",
            "revision",
            "path",
            "folder",
            "file",
            "norm_scaling_factor",
            "normalize_activations",
            "default",
            "neuronpedia",
            "expect",
            "bytes",
            "licence",
            "unverified",
        ])?;
        let id = entry_id(table)?;
        if saes.iter().any(|sae| sae.id == id) {
            return Err(table.wrong("id", format!("there are two SAEs `{id}`")));
        }
        defaults.push(table.boolean("default")?);
        let format = table.required("format", table.choice("format", &named(&Format::SAE))?)?;
        saes.push(SaeEntry {
            id,
            format,
            source: source(table, base)?,
            folder: sae_folder(table, format)?,
            file: file(table, format)?,
            norm_scaling_factor: norm_scaling_factor(table)?,
            normalize_activations: table.choice("normalize_activations", &NormalizeActivations::NAMES)?,
            default: false,
            neuronpedia: neuronpedia(table)?,
            expect: expect(table)?,
            bytes: table.count("bytes")?,
            licence: table.string("licence")?.map(ToOwned::to_owned),
            unverified: table.strings("unverified")?.into_iter().map(ToOwned::to_owned).collect(),
        });
    }
    // A file in which nothing is chosen means all of it.
    let otherwise = !defaults.contains(&Some(true));
    for (sae, default) in saes.iter_mut().zip(defaults) {
        sae.default = default.unwrap_or(otherwise);
    }
    Ok(saes)
}

/// Formats by their names.
fn named(formats: &[Format]) -> Vec<(&'static str, Format)> {
    formats.iter().map(|format| (format.name(), *format)).collect()
}

fn metas(root: &Table<'_>, base: Base<'_>, saes: &[SaeEntry]) -> Result<Vec<MetaEntry>, Error> {
    let mut metas: Vec<MetaEntry> = Vec::new();
    for table in &root.tables("meta")? {
        table.only(&["id", "sae", "format", "repo", "revision", "path", "folder", "threshold", "bytes"])?;
        let id = entry_id(table)?;
        if metas.iter().any(|meta| meta.id == id) {
            return Err(table.wrong("id", format!("there are two meta-SAEs `{id}`")));
        }
        let sae = table.required("sae", table.string("sae")?)?;
        if !saes.iter().any(|known| known.id == sae) {
            let error =
                table.wrong("sae", format!("meta-SAE `{id}` decomposes SAE `{sae}`, which the suite does not have"));
            return Err(match super::nearest(sae, saes.iter().map(|sae| sae.id.as_str())) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error,
            });
        }
        let threshold = table.number("threshold")?.map(|threshold| threshold as f32);
        if threshold.is_some_and(|threshold| !threshold.is_finite() || threshold < 0.0) {
            return Err(table.wrong("threshold", "`threshold` of a meta-SAE is an activation and cannot be negative"));
        }
        metas.push(MetaEntry {
            id,
            sae: sae.to_owned(),
            format: table.required("format", table.choice("format", &named(&Format::META))?)?,
            source: source(table, base)?,
            folder: folder(table)?,
            threshold,
            bytes: table.count("bytes")?,
        });
    }
    Ok(metas)
}

/// A file or folder beside the suite's own.
fn own(root: &Table<'_>, key: &'static str, base: Base<'_>) -> Result<Option<Source>, Error> {
    let Some(file) = root.string(key)? else { return Ok(None) };
    match base {
        _ if file.is_empty() => Err(root.wrong(key, format!("`{key}` is empty"))),
        Base::Directory(directory) => Ok(Some(Source::Path(directory.join(home::expand(file))))),
        Base::Embedded => Ok(Some(Source::Embedded(file.to_owned()))),
        Base::Nowhere => Err(root.wrong(key, format!("a suite of the catalogue has no `{key}`"))),
    }
}

/// An SAE's id may name a path of its authors, such as `layer_12/width_16k`.
fn entry_id(table: &Table<'_>) -> Result<String, Error> {
    let id = table.required("id", table.string("id")?)?;
    if id.is_empty() || id.len() > 256 || id.starts_with('-') || id.contains(char::is_whitespace) {
        return Err(table
            .wrong("id", format!("`id` cannot be \"{id}\""))
            .with_hint("an id has no spaces and does not begin with `-`"));
    }
    Ok(id.to_owned())
}

fn source(table: &Table<'_>, base: Base<'_>) -> Result<Source, Error> {
    let revision = table.string("revision")?;
    match (table.string("repo")?, table.string("path")?) {
        (Some(repo), None) => {
            name::repository(repo).map_err(|error| table.wrong("repo", error.to_string()))?;
            let revision = revision.unwrap_or("main");
            name::revision(revision).map_err(|error| table.wrong("revision", error.to_string()))?;
            Ok(Source::Hub(Repo { id: repo.to_owned(), revision: revision.to_owned() }))
        }
        (None, Some(_)) if revision.is_some() => {
            Err(table.wrong("revision", "`revision` belongs to `repo`, and a `path` has none"))
        }
        (None, Some("")) => Err(table.wrong("path", "`path` is empty")),
        (None, Some(path)) => match base {
            Base::Directory(directory) => Ok(Source::Path(directory.join(home::expand(path)))),
            Base::Embedded => {
                name::file(path).map_err(|error| table.wrong("path", error.to_string()))?;
                Ok(Source::Embedded(path.to_owned()))
            }
            Base::Nowhere => Err(table.wrong("path", "a suite of the catalogue has no `path`")),
        },
        (Some(_), Some(_)) => Err(table.wrong("path", "there is both a `repo` and a `path`").with_hint("keep one")),
        (None, None) => Err(table.missing("repo").with_hint("or give the `path` of a directory on this machine")),
    }
}

fn folder(table: &Table<'_>) -> Result<Option<String>, Error> {
    let Some(folder) = table.string("folder")? else { return Ok(None) };
    name::file(folder).map_err(|error| table.wrong("folder", error.to_string()))?;
    Ok(Some(folder.to_owned()))
}

/// The folder of an SAE; of Gemma Scope's the canonical one has a name of its own.
fn sae_folder(table: &Table<'_>, format: Format) -> Result<Option<String>, Error> {
    let (Some(given), Format::GemmaScope) = (folder(table)?, format) else { return folder(table) };
    let repo = table.string("repo")?.unwrap_or_default();
    let found = canonical::folder(repo, &given);
    found.map(Some).ok_or_else(|| {
        table
            .wrong("folder", format!("`{repo}` has no canonical SAE in `{given}`"))
            .with_hint("name the folder with its average L0")
    })
}

/// The file of the tensors; formats without a usual name must have it.
fn file(table: &Table<'_>, format: Format) -> Result<Option<String>, Error> {
    let Some(file) = table.string("file")? else {
        if !format.has_usual_file() {
            let hint = format!("SAEs of format `{}` have no usual file name", format.name());
            return Err(table.missing("file").with_hint(hint));
        }
        return Ok(None);
    };
    name::file(file).map_err(|error| table.wrong("file", error.to_string()))?;
    Ok(Some(file.to_owned()))
}

/// The factor that SAELens' registry has for an SAE whose own files leave it out.
fn norm_scaling_factor(table: &Table<'_>) -> Result<Option<f32>, Error> {
    let Some(given) = table.number("norm_scaling_factor")? else { return Ok(None) };
    let factor = given as f32;
    if !factor.is_normal() || factor < 0.0 {
        return Err(table.wrong("norm_scaling_factor", "`norm_scaling_factor` must be a number above zero"));
    }
    if table.string("normalize_activations")?.is_some_and(|other| other != "none") {
        return Err(table
            .wrong("norm_scaling_factor", "`norm_scaling_factor` is one factor for all activations")
            .with_hint("`normalize_activations` scales each by itself: keep one of the two"));
    }
    Ok(Some(factor))
}

fn neuronpedia(table: &Table<'_>) -> Result<Option<String>, Error> {
    let Some(id) = table.string("neuronpedia")? else { return Ok(None) };
    // It becomes part of an address.
    if name::file(id).is_err() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)) {
        return Err(table
            .wrong("neuronpedia", format!("`neuronpedia` cannot be \"{id}\""))
            .with_hint("it is `model/source`"));
    }
    Ok(Some(id.to_owned()))
}

fn expect(table: &Table<'_>) -> Result<Expect, Error> {
    let Some(table) = table.table("expect")? else { return Ok(Expect::default()) };
    table.only(&["l0", "explained_variance", "mse", "loss_recovered"])?;
    Ok(Expect {
        l0: table.number("l0")?,
        explained_variance: table.number("explained_variance")?,
        mse: table.number("mse")?,
        loss_recovered: table.number("loss_recovered")?,
    })
}
