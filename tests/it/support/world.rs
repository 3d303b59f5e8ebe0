//! A home with a small suite in files of their own, which tests spoil, and the binary in it.
//! Not here: what is spoiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value, json};

/// A home directory, a suite `my.toml` of the demo's model and its smallest SAE, and a text.
pub struct World {
    pub folder: tempfile::TempDir,
    /// The table of the SAE in the suite file.
    pub sae: &'static str,
    pub env: Vec<(&'static str, String)>,
}

fn assets(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(file)
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().expect("a folder"),
            sae: "id = \"a\"\nformat = \"sae-lens\"\npath = \"sae\"\n",
            env: Vec::new(),
        };
        for name in ["config.json", "model.safetensors", "tokenizer.json"] {
            world.copy(&assets(&format!("model/{name}")), &format!("model/{name}"));
        }
        for name in ["cfg.json", "sae_weights.safetensors"] {
            world.copy(&assets(&format!("saes/128/{name}")), &format!("sae/{name}"));
        }
        world.copy(&assets("text.txt"), "text.txt");
        world.suite();
        world
    }

    /// With another SAE, whose file is made from nothing.
    pub fn with_sae(sae: &'static str, file: &str, bytes: &[u8]) -> Self {
        let world = Self { sae, ..Self::new() };
        world.suite();
        world.write(file, bytes);
        world
    }

    pub fn suite(&self) {
        let text = format!(
            "id = \"my\"\ntext = \"text.txt\"\n[model]\npath = \"model\"\n[site]\nlayer = 3\nkind = \"resid_pre\"\n\
             center = true\n[[sae]]\n{}",
            self.sae
        );
        self.write("my.toml", text.as_bytes());
    }

    fn copy(&self, from: &Path, to: &str) {
        self.write(to, &fs::read(from).expect("is there"));
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn name(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }

    pub fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.path(file)).expect("is there")
    }

    pub fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("has a folder")).expect("is made");
        fs::write(path, bytes).expect("is written");
    }

    /// Changes a JSON file.
    pub fn json(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&self.read(file)).expect("is JSON");
        change(&mut value);
        self.write(file, &serde_json::to_vec(&value).expect("is JSON"));
    }

    /// Changes the header of a safetensors file.
    pub fn header(&self, file: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        let bytes = self.read(file);
        let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk().expect("a length"))).expect("fits");
        let mut header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).expect("is JSON");
        change(&mut header);
        let header = serde_json::to_vec(&header).expect("is JSON");
        self.write(file, &[&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat());
    }

    /// The binary in this home, with nothing of this machine's environment that it listens to.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saescope"));
        command.env_clear().env("HOME", self.folder.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HF_HUB_OFFLINE", "1").current_dir(self.folder.path()).stdin(Stdio::null()).args(args);
        command.envs(self.env.iter().map(|(name, value)| (*name, value)));
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    /// All that a command printed, and its exit code.
    pub fn said(&self, args: &[&str]) -> (String, i32) {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("is UTF-8");
        let code = output.status.code().expect("was not killed");
        (format!("{}{}", text(&output.stdout), text(&output.stderr)), code)
    }

    /// What a failing command says on standard error: what and why, and the hint.
    pub fn failing(&self, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).expect("is UTF-8");
        assert_ne!(output.status.code(), Some(0), "{args:?}: {said}");
        let (why, hint) = said.split_once("\nhint: ").unwrap_or((&said, ""));
        (why.to_owned(), hint.to_owned())
    }
}

/// A zip file of these entries, stored as they are.
pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let place = bytes.len() as u32;
        // Version, flags, method, time, date, CRC, both sizes, lengths of name and extra field.
        let sizes = [(content.len() as u32).to_le_bytes(), (content.len() as u32).to_le_bytes()].concat();
        let head = [&[20u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &sizes].concat();
        let lengths = (name.len() as u16).to_le_bytes();
        bytes.extend([&b"PK\x03\x04"[..], &head, &lengths, &[0, 0], name.as_bytes(), content].concat());
        let after = [&lengths[..], &[0; 12], &place.to_le_bytes()].concat();
        directory.extend([&b"PK\x01\x02\x14\x00"[..], &head, &after, name.as_bytes()].concat());
    }
    let (count, start) = ((entries.len() as u16).to_le_bytes(), (bytes.len() as u32).to_le_bytes());
    let length = (directory.len() as u32).to_le_bytes();
    [&bytes[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &length, &start, &[0, 0]].concat()
}

/// An array of NumPy's, with a header of any kind.
pub fn npy(descr: &str) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), &[0; 4]].concat()
}

/// A tensor's entry in the header of a safetensors file.
pub fn entry(dtype: &str, shape: &[u64], from: u64, to: u64) -> Value {
    json!({ "dtype": dtype, "shape": shape, "data_offsets": [from, to] })
}
