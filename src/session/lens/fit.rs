//! Fitting a Jacobian lens on a text, with what was done kept beside the file, so that it goes on where it stopped.
//! Not here: the Jacobians of one prompt (`model::jacobians`).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::model::{self, SKIPPED, jacobians, write_jacobian_lens};
use crate::report::{Kind, Report};
use crate::session::failure;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::query::{Cx, Lane, Query};
use crate::session::text::Cut;
use crate::task::{Cancel, OnProgress, Progress};

const CANNOT: &str = "cannot fit a Jacobian lens";
/// Tokens of a prompt.
const LENGTH: usize = 128;
/// How often what was done is kept.
const KEPT_EVERY: Duration = Duration::from_secs(20);
/// What the file of a fit under way begins with.
const MAGIC: &[u8; 8] = b"saejlf1\n";

/// Fit a Jacobian lens of the suite's model on the text: J_l is the mean over prompts of 128 tokens of what
/// [`jacobians`] gives for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LensRecipe {
    /// Prompts at most.
    pub prompts: u64,
    /// Where the lens is written.
    pub out: PathBuf,
}

/// A lens that was fitted (the JSON of `saescope lens fit`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LensFitted {
    /// The file.
    pub out: PathBuf,
    /// The blocks that it reads.
    pub source_layers: Vec<usize>,
    /// On how many prompts it was fitted.
    pub prompts: u64,
    /// The size of the residual stream.
    pub d_model: usize,
    /// The text.
    pub text: String,
    /// How many of the prompts were done before.
    pub resumed: u64,
    /// How long it took.
    pub seconds: f64,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Query for LensRecipe {
    type Answer = LensFitted;
    const NAME: &'static str = "lens fit";
    const LANE: Lane = Lane::Training;
    const PRIORITY: u8 = 10;

    fn run(&self, cx: &mut Cx<'_>) -> Result<LensFitted, Report> {
        let corpus = cx.corpus()?;
        let suite = cx.suite()?;
        let text = suite.text(&corpus)?;
        suite.fit_lens(self, &text, cx.cancel, cx.progress)
    }
}

/// What was done so far.
struct Sums {
    /// What it is of: another model, text or length begins anew.
    key: [u8; 32],
    /// Rows of the text that were read.
    rows: u64,
    /// Prompts among them that were long enough.
    prompts: u64,
    /// For each block the sum of its Jacobians.
    blocks: Vec<Vec<f64>>,
}

impl LoadedSuite {
    fn fit_lens(
        &self,
        recipe: &LensRecipe,
        text: &crate::session::text::Text,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<LensFitted, Report> {
        let started = Instant::now();
        let model = &*self.model.model;
        let (d, layers) = (model.shape().d_model, model.shape().layers);
        let of_model = |error: &model::Error| failure::of_model(CANNOT, error);
        model.check_logits().map_err(|error| of_model(&error))?;
        let bos = self.model.tokenizer.bos().filter(|_| self.suite.model.prepend_bos);
        let length = LENGTH.min(model.shape().context);
        if length < SKIPPED + 2 {
            let why = format!("the model takes {length} tokens, and the first {SKIPPED} are left out");
            return Err(Report::new(CANNOT).because(why));
        }
        let mut rows = text.rows(Cut { tokenizer: &self.model.tokenizer, length, bos })?;
        let partial = beside(&recipe.out);
        let key = self.fit_key(text, length)?;
        let mut done = Sums::read(&partial, key, (layers - 1, d)).unwrap_or_else(|| Sums::new(key, (layers - 1, d)));
        let (resumed, mut kept) = (done.prompts.min(recipe.prompts), Instant::now());
        for _ in 0..done.rows {
            rows.next().transpose()?;
        }
        while done.prompts < recipe.prompts {
            progress(Progress::steps("fitting", done.prompts, recipe.prompts));
            let Some(row) = rows.next().transpose()? else { break };
            match jacobians(model, &row, cancel) {
                Ok(found) => done.add(found),
                Err(error) => {
                    if matches!(error, model::Error::Cancelled(_)) && done.prompts > 0 {
                        done.write(&partial)?;
                    }
                    return Err(of_model(&error));
                }
            }
            if kept.elapsed() > KEPT_EVERY {
                done.write(&partial)?;
                kept = Instant::now();
            }
        }
        if done.prompts == 0 {
            let why = format!("{} has no prompt of more than {} tokens", text.quoted(), SKIPPED + 1);
            return Err(Report::new(CANNOT).because(why).hint("give a longer text with --text").kind(Kind::Usage));
        }
        let mut notes = Vec::new();
        if done.prompts < recipe.prompts {
            notes.push(format!("the text has no more than {} prompts of {length} tokens", done.prompts));
        }
        self.write_lens(recipe, &done, &text.name)?;
        // A fit that is whole needs nothing to go on from.
        let _ = std::fs::remove_file(&partial);
        Ok(LensFitted {
            out: recipe.out.clone(),
            source_layers: (0..layers - 1).collect(),
            prompts: done.prompts,
            d_model: d,
            text: text.name.clone(),
            resumed,
            seconds: started.elapsed().as_secs_f64(),
            notes,
        })
    }

    /// Writes the means as a lens.
    fn write_lens(&self, recipe: &LensRecipe, done: &Sums, text: &str) -> Result<(), Report> {
        let (source, d) = (self.suite.model.source.to_string(), self.model.model.shape().d_model);
        let program = concat!("saescope ", env!("CARGO_PKG_VERSION"));
        let about = [("model", source.as_str()), ("text", text), ("fitted_by", program)];
        let written = write_jacobian_lens(&done.means(), d, done.prompts, &about);
        let written = written.and_then(|bytes| put(&recipe.out, &bytes));
        written.map_err(|error| Report::caused(format!("cannot write `{}`", recipe.out.display()), &error))
    }

    /// What a fit under way is of: the model, the text's name, length and beginning, and the length of prompts.
    fn fit_key(&self, text: &crate::session::text::Text, length: usize) -> Result<[u8; 32], Report> {
        let mut hash = Sha256::new();
        hash.update(self.suite.model.source.to_string());
        hash.update(format!("\n{}\n{:?}\n{length}\n{}\n", text.name, text.bytes(), self.suite.model.prepend_bos));
        hash.update(text.beginning(1 << 20)?);
        Ok(hash.finalize().into())
    }
}

/// The file of a fit under way.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    out.with_file_name(name)
}

/// Writes a file beside its place and moves it there when it is whole.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(".".as_ref());
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

impl Sums {
    fn new(key: [u8; 32], (blocks, d): (usize, usize)) -> Self {
        Self { key, rows: 0, prompts: 0, blocks: vec![vec![0.0; d * d]; blocks] }
    }

    fn add(&mut self, found: Option<Vec<Vec<f32>>>) {
        self.rows += 1;
        let Some(found) = found else { return };
        self.prompts += 1;
        for (sum, jacobian) in self.blocks.iter_mut().zip(found) {
            sum.iter_mut().zip(jacobian).for_each(|(sum, value)| *sum += f64::from(value));
        }
    }

    fn means(&self) -> Vec<(usize, Vec<f32>)> {
        let mean = |sum: &Vec<f64>| sum.iter().map(|sum| (sum / self.prompts as f64) as f32).collect();
        self.blocks.iter().map(mean).enumerate().collect()
    }

    /// Its own layout: what it begins with, the key, rows, prompts, and the sums in f64.
    fn write(&self, path: &Path) -> Result<(), Report> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.key);
        bytes.extend(self.rows.to_le_bytes());
        bytes.extend(self.prompts.to_le_bytes());
        self.blocks.iter().flatten().for_each(|sum| bytes.extend(sum.to_le_bytes()));
        put(path, &bytes).map_err(|error| Report::caused(format!("cannot write `{}`", path.display()), &error))
    }

    /// What an earlier fit of the same left; none where it is of something else or damaged.
    fn read(path: &Path, key: [u8; 32], (blocks, d): (usize, usize)) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let (head, sums) = bytes.split_at_checked(MAGIC.len() + 32 + 16)?;
        let (begins, head) = head.split_at(MAGIC.len());
        if begins != MAGIC || head.get(..32)? != key || sums.len() != blocks * d * d * 8 {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let (rows, prompts) = (number(32)?, number(40)?);
        let values: Vec<f64> = sums.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        let whole = prompts <= rows && values.iter().all(|value| value.is_finite());
        whole.then(|| Self { key, rows, prompts, blocks: values.chunks(d * d).map(<[f64]>::to_vec).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_goes_on_where_it_stopped_and_not_from_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pt.partial");
        let mut sums = Sums::new([3; 32], (2, 2));
        sums.add(Some(vec![vec![1.0, 2.0, 3.0, 4.0], vec![0.5; 4]]));
        sums.add(None);
        sums.write(&path).unwrap();
        let read = Sums::read(&path, [3; 32], (2, 2)).unwrap();
        assert_eq!((read.rows, read.prompts, &read.blocks), (2, 1, &sums.blocks));
        assert_eq!(read.means()[1], (1, vec![0.5; 4]));
        assert!(Sums::read(&path, [4; 32], (2, 2)).is_none() && Sums::read(&path, [3; 32], (1, 2)).is_none());
        std::fs::write(&path, b"saejlf1\n").unwrap();
        assert!(Sums::read(&path, [3; 32], (2, 2)).is_none());
    }
}
