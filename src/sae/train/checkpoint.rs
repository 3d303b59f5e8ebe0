//! Training that can be taken up again: the state of a run on disk, so that a killed one loses little.
//! Not here: what a step does, and the finished SAE's files.
//!
//! A checkpoint holds weights, moments and counters; the order of the rows follows from the seed and the number of
//! steps. It is written beside its place and renamed into it, so that the last whole one always stands.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use sha2::{Digest, Sha256};

use super::{TrainError, Training};

/// Where a checkpoint is kept, and how often it is written.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// The file; its folder is made where it is missing.
    pub file: &'a Path,
    /// Time between two writings.
    pub every: Duration,
}

/// A checkpoint's place with the time of its last writing.
pub(super) struct Kept {
    file: PathBuf,
    every: Duration,
    written: Instant,
    key: String,
}

impl Kept {
    /// Takes up what is on disk, if it is of these rows and settings; anything else there is as good as nothing.
    pub fn begin(keep: Keep<'_>, training: &mut Training<'_>) -> Result<Self, TrainError> {
        let folder = keep.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        let kept = Self {
            file: keep.file.to_owned(),
            every: keep.every,
            written: Instant::now(),
            key: key(training.data.rows(), training),
        };
        if let Ok(bytes) = fs::read(&kept.file) {
            // A file that does not fit changes nothing: training begins at the beginning.
            let _ = kept.restore(&bytes, training);
        }
        Ok(kept)
    }

    pub fn write_when_due(&mut self, training: &Training<'_>) -> Result<(), TrainError> {
        if self.written.elapsed() < self.every || training.is_done() { Ok(()) } else { self.write(training) }
    }

    pub fn write(&mut self, training: &Training<'_>) -> Result<(), TrainError> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let write = || {
            let bytes = self.bytes(training).map_err(std::io::Error::other)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&self.file).map_err(|error| error.error)
        };
        write().map_err(|source| failed(&self.file, source))?;
        self.written = Instant::now();
        Ok(())
    }

    fn bytes(&self, training: &Training<'_>) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let (silent, steps, floor) = training.state.counters();
        let numbers = [
            training.steps as f64,
            f64::from(steps),
            f64::from(floor),
            training.floors.0,
            training.floors.1 as f64,
            training.closing.0,
            training.closing.1,
        ];
        let view = |kind, shape: usize, bytes| TensorView::new(kind, vec![shape], bytes);
        let mut views = vec![
            ("silent", view(Dtype::U32, silent.len(), bytemuck::cast_slice(silent))?),
            ("numbers", view(Dtype::F64, numbers.len(), bytemuck::cast_slice(&numbers))?),
        ];
        for (name, part) in training.state.parts() {
            views.push((name, view(Dtype::F32, part.len(), bytemuck::cast_slice(part))?));
        }
        serialize(views, Some(HashMap::from([("key".to_owned(), self.key.clone())])))
    }

    /// Fills `training` from a checkpoint; none, and nothing changed, where it does not fit.
    fn restore(&self, bytes: &[u8], training: &mut Training<'_>) -> Option<()> {
        let (_, about) = SafeTensors::read_metadata(bytes).ok()?;
        if about.metadata().as_ref()?.get("key") != Some(&self.key) {
            return None;
        }
        let tensors = SafeTensors::deserialize(bytes).ok()?;
        let numbers: Vec<f64> = words(&tensors, "numbers", f64::from_le_bytes)?;
        let &[done, steps, floor, floors, counted, error, total] = numbers.as_slice() else { return None };
        let silent: Vec<u32> = words(&tensors, "silent", u32::from_le_bytes)?;
        let parts: Vec<Vec<f32>> = training
            .state
            .parts()
            .iter()
            .map(|(name, part)| words(&tensors, name, f32::from_le_bytes).filter(|found| found.len() == part.len()))
            .collect::<Option<_>>()?;
        let finite = parts.iter().flatten().all(|value| value.is_finite()) && numbers.iter().all(|n| n.is_finite());
        if !finite || silent.len() != training.config.width || !(0.0..=training.config.steps as f64).contains(&done) {
            return None;
        }
        for ((_, part), found) in training.state.parts_mut().into_iter().zip(parts) {
            part.copy_from_slice(&found);
        }
        training.state.set_counters(silent, steps as i32, floor as f32);
        training.steps = done as usize;
        training.floors = (floors, counted as usize);
        training.closing = (error, total);
        training.data.skip(training.steps);
        Some(())
    }
}

/// The little-endian values of a tensor.
fn words<const N: usize, T>(tensors: &SafeTensors<'_>, name: &str, read: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
    let tensor = tensors.tensor(name).ok()?;
    Some(tensor.data().as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect())
}

/// What a checkpoint is of: the settings and the rows.
fn key(rows: &[f32], training: &Training<'_>) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("1 {:?}", training.config));
    hash.update(bytemuck::cast_slice(rows));
    hex(&hash.finalize())
}

/// Bytes as two digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn failed(file: &Path, source: std::io::Error) -> TrainError {
    TrainError::Write { file: file.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, train, train_kept};
    use super::*;
    use crate::sae::train::data::directions;
    use crate::task::Cancel;

    #[test]
    fn training_taken_up_again_comes_to_the_same_bits() {
        let rows = directions(200, 8, 5);
        let config = Config { batch: 64, ..Config::new(24, 3) };
        let config = Config { steps: 100, dead_after: 10, ..config };
        let whole = train(&rows, 8, &config, &Cancel::new(), &|_| {}).expect("trained");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deeper/unfinished");
        let keep = Keep { file: &file, every: Duration::ZERO };
        for stop in [10, 50] {
            let cancel = Cancel::new();
            let stopped = train_kept(&rows, 8, &config, keep, &cancel, &|p| {
                if p.done == stop {
                    cancel.cancel();
                }
            });
            assert!(matches!(stopped, Err(TrainError::Cancelled(_))));
            assert!(file.exists());
        }
        let steps = std::cell::Cell::new(0);
        let count = |_| steps.set(steps.get() + 1);
        let resumed = train_kept(&rows, 8, &config, keep, &Cancel::new(), &count).expect("trained");
        assert_eq!(resumed, whole);
        assert_eq!(steps.get(), 5, "the last fifty steps were left");
    }

    #[test]
    fn a_checkpoint_of_something_else_is_not_taken_up() {
        let rows = directions(100, 8, 5);
        let config = Config { steps: 20, batch: 50, ..Config::new(16, 2) };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("unfinished");
        let keep = Keep { file: &file, every: Duration::ZERO };
        let stop = |config: &Config| {
            let cancel = Cancel::new();
            let stopped = train_kept(&rows, 8, config, keep, &cancel, &|_| cancel.cancel());
            assert!(stopped.is_err());
        };
        stop(&Config { seed: 1, ..config.clone() });
        let fresh = train(&rows, 8, &config, &Cancel::new(), &|_| {}).expect("trained");
        assert_eq!(train_kept(&rows, 8, &config, keep, &Cancel::new(), &|_| {}).expect("trained"), fresh);
        // What is finished would only be given again.
        fs::remove_file(&file).expect("is removed");
        stop(&config);
        let mut bytes = fs::read(&file).expect("is read");
        bytes.truncate(bytes.len() / 2);
        fs::write(&file, bytes).expect("is written");
        assert_eq!(train_kept(&rows, 8, &config, keep, &Cancel::new(), &|_| {}).expect("trained"), fresh);
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_is_an_error_that_names_it() {
        let rows = directions(100, 8, 5);
        let config = Config { steps: 20, batch: 50, ..Config::new(16, 2) };
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("file"), "").expect("is written");
        let keep = Keep { file: &folder.path().join("file/unfinished"), every: Duration::ZERO };
        let failed = train_kept(&rows, 8, &config, keep, &Cancel::new(), &|_| {});
        assert!(matches!(failed, Err(TrainError::Write { file, .. }) if file.contains("file")));
    }
}
