//! Labels in files that a person has: JSON lines or CSV with sae, latent, text, note.
//! Not here: where labels are kept (`store`).

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::analysis::{Label, LabelSource};
use crate::report::{Kind, Report};
use crate::session::labels::LabelCount;
use crate::session::query::{Cx, Lane, Query};

/// Bytes of a file that is taken in, at most.
const LARGEST: u64 = 1 << 28;

/// Take in the labels of a file. All of it is read before any is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportLabelsQuery(pub PathBuf);

/// Write the labels of the loaded SAEs into a new file: of each latent those of every source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportLabelsQuery(pub PathBuf);

/// A line of such a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    sae: String,
    latent: u32,
    text: String,
    #[serde(default)]
    note: String,
    /// Where it is from; what is not a person's is not taken in.
    #[serde(default)]
    source: String,
}

/// How the lines of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

impl Query for ImportLabelsQuery {
    /// One entry for each SAE of the file.
    type Answer = Vec<LabelCount>;
    const NAME: &'static str = "import-labels";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 60;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Vec<LabelCount>, Report> {
        let suite = cx.suite()?;
        let wrong = |line: usize, why: String| {
            Report::new(format!("cannot take in line {line} of `{}`", self.0.display()))
                .because(why)
                .hint("nothing of the file was taken in; correct the line and try again")
                .kind(Kind::Usage)
        };
        let mut of_sae: BTreeMap<usize, Vec<(u32, Vec<Label>)>> = BTreeMap::new();
        let mut others = 0;
        for (number, line) in read(&self.0, &wrong)? {
            if !(line.source.is_empty() || line.source == LabelSource::File.name()) {
                others += 1;
                continue;
            }
            let place = suite.place(&line.sae).map_err(|report| wrong(number, report.what))?;
            let checked = suite.check_latent(place, line.latent);
            checked.map_err(|report| wrong(number, report.what))?;
            let text = line.text.trim().to_owned();
            if text.is_empty() {
                return Err(wrong(number, "its text is empty".to_owned()));
            }
            let label = Label { text, note: line.note, by: name_of(&self.0), ..Label::default() };
            of_sae.entry(place).or_default().push((line.latent, vec![label]));
        }
        let mut counts = Vec::new();
        for (place, labels) in of_sae {
            suite.keep_labels(place, LabelSource::File, labels, cx.cancel)?;
            let loaded = &suite.saes[place];
            let mut count = suite.labels(place, cx.cancel)?.count(&loaded.entry.id, loaded.sae.width());
            if counts.is_empty() && others > 0 {
                count.notes.push(format!("{others} lines are of other sources than a person and are not taken in"));
            }
            counts.push(count);
        }
        Ok(counts)
    }
}

impl Query for ExportLabelsQuery {
    /// One entry for each SAE.
    type Answer = Vec<LabelCount>;
    const NAME: &'static str = "export-labels";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 61;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Vec<LabelCount>, Report> {
        let suite = cx.suite()?;
        let (mut lines, mut counts) = (Vec::new(), Vec::new());
        for (place, loaded) in suite.saes.iter().enumerate() {
            let (known, sae) = (suite.labels(place, cx.cancel)?, &loaded.entry.id);
            for (source, of) in &known.of {
                let labels = of.iter().flat_map(|(latent, labels)| labels.iter().map(|label| (*latent, label)));
                lines.extend(labels.map(|(latent, label)| Line {
                    sae: sae.clone(),
                    latent,
                    text: label.text.clone(),
                    note: label.note.clone(),
                    source: source.name().to_owned(),
                }));
            }
            counts.push(known.count(sae, loaded.sae.width()));
        }
        write(&self.0, &lines)?;
        Ok(counts)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn form(path: &Path) -> Result<Form, Report> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl") => Ok(Form::Json),
        Some("csv") => Ok(Form::Csv),
        _ => Err(Report::new(format!("cannot tell what `{}` is", path.display()))
            .hint("name it .jsonl (one JSON object a line) or .csv, with sae, latent, text, note")
            .kind(Kind::Usage)),
    }
}

/// The lines of a file, with their numbers from 1.
fn read(path: &Path, wrong: &dyn Fn(usize, String) -> Report) -> Result<Vec<(usize, Line)>, Report> {
    let form = form(path)?;
    let unread = |error: &std::io::Error| Report::caused(format!("cannot read `{}`", path.display()), error);
    if fs::metadata(path).map_err(|error| unread(&error))?.len() > LARGEST {
        return Err(Report::new(format!("`{}` is longer than {LARGEST} bytes", path.display())));
    }
    let bytes = fs::read(path).map_err(|error| unread(&error))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        wrong(line, "it is not UTF-8".to_owned())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if form == Form::Json {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = lines.map(|(at, line)| {
            serde_json::from_str(line).map(|line| (at + 1, line)).map_err(|error| wrong(at + 1, error.to_string()))
        });
        return read.collect();
    }
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let of_csv = |error: &csv::Error| {
        let line = error.position().map_or(1, |position| position.line() as usize);
        wrong(line, error.to_string())
    };
    let header = rows.headers().map_err(|error| of_csv(&error))?.clone();
    let mut lines = Vec::new();
    for row in rows.records() {
        let row = row.map_err(|error| of_csv(&error))?;
        let line = row.position().map_or(1, |position| position.line() as usize);
        lines.push((line, row.deserialize(Some(&header)).map_err(|error| wrong(line, error.to_string()))?));
    }
    Ok(lines)
}

fn write(path: &Path, lines: &[Line]) -> Result<(), Report> {
    let form = form(path)?;
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        if form == Form::Json {
            for line in lines {
                serde_json::to_writer(&mut file, line)?;
                file.write_all(b"\n")?;
            }
        } else {
            let mut rows = csv::Writer::from_writer(&mut file);
            for line in lines {
                rows.serialize(line).map_err(std::io::Error::other)?;
            }
            rows.flush()?;
        }
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| {
        let report = Report::caused(format!("cannot write `{}`", path.display()), &error);
        if error.kind() == std::io::ErrorKind::AlreadyExists { report.hint("name a new file") } else { report }
    })
}
