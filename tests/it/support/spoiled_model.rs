//! A small model of the fixtures, copied so that it can be spoiled.
//! Not here: what is spoiled, and what must be said then.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::Device;
use saescope::blob::Blob;
use saescope::model::{Error, Logits, ModelFiles, Pass, TokenizerFiles, TokenizerSaid, load};
use saescope::task::Cancel;
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A copy of one fixture.
pub struct Spoiled {
    folder: tempfile::TempDir,
    weights: Vec<String>,
}

impl Spoiled {
    pub fn of(model: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut weights = Vec::new();
        for entry in fs::read_dir(fixtures().join("models").join(model)).expect("the fixture") {
            let entry = entry.expect("a file");
            let name = entry.file_name().into_string().expect("a name");
            fs::copy(entry.path(), folder.path().join(&name)).expect("a copy");
            if name.starts_with("model") && name.ends_with(".safetensors") {
                weights.push(name);
            }
        }
        weights.sort();
        Self { folder, weights }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn files(&self) -> ModelFiles {
        ModelFiles {
            config: Blob::path(self.path("config.json")),
            weights: self.weights.iter().map(|file| Blob::path(self.path(file))).collect(),
            tokenizer: TokenizerFiles::Json(Blob::path(fixtures().join("tokenizer/tokenizer.json"))),
            said: TokenizerSaid::default(),
        }
    }

    /// Changes keys of the config; null takes a key away.
    pub fn config(self, changes: Value) -> Self {
        let path = self.path("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).expect("a config")).expect("JSON");
        let (Value::Object(keys), Value::Object(changes)) = (&mut config, changes) else { panic!("not objects") };
        keys.extend(changes);
        keys.retain(|_, value| !value.is_null());
        fs::write(path, config.to_string()).expect("written");
        self
    }

    /// Changes the header and the bytes behind it.
    pub fn weights(self, change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Self {
        let path = self.path("model.safetensors");
        let bytes = fs::read(&path).expect("weights");
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
        let mut data = bytes[8 + length..].to_vec();
        change(&mut header, &mut data);
        let header = header.to_string();
        let whole = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        fs::write(path, whole).expect("written");
        self
    }

    /// Writes a value into an element of a tensor.
    pub fn element(self, tensor: &str, index: usize, value: f32) -> Self {
        self.weights(|header, data| {
            let start = header[tensor]["data_offsets"][0].as_u64().expect("an offset") as usize + 4 * index;
            data[start..start + 4].copy_from_slice(&value.to_le_bytes());
        })
    }

    /// What loading and one pass through all blocks say.
    pub fn first_failure(&self) -> Result<(), Error> {
        let model = load(&self.files(), &Device::Cpu)?.model;
        let pass = Pass { layers: None, logits: Logits::Last, hook: None, cancel: &Cancel::new() };
        model.forward(&[1, 2], &mut model.cache(), pass).map(|_| ())
    }

    pub fn refused(&self, says: &[&str]) -> Error {
        let error = load(&self.files(), &Device::Cpu).err().expect("refused");
        let message = error.to_string();
        for part in says {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        error
    }
}
