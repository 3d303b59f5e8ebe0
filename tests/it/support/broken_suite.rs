//! Small suites that can be broken on purpose: the demo's model and one SAE, in files of their own.
//! Not here: what is broken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::Device;
use saescope::analysis::doctor::{Checkup, Figures};
use saescope::analysis::measuring::{ActivationSource, Apart, Sample};
use saescope::blob::Blob;
use saescope::hub::{Environment, Hub};
use saescope::model::{self, ModelFiles, TokenizerFiles, TokenizerSaid};
use saescope::sae::lens::{self, SaeFiles};
use saescope::sae::train::{Config, train};
use saescope::sae::{Sae, SaeWeights};
use saescope::session::{Checked, CheckupQuery, LoadScope, OpenQuery, Session, SessionConfig};
use saescope::site::{Site, SiteKind};
use saescope::task::Cancel;
use saescope::weights::TensorFiles;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

/// Where the demo's files are.
pub fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo")
}

/// A suite of one SAE, as it is wired.
pub struct Wired {
    pub folder: tempfile::TempDir,
    pub site: Site,
    pub center: bool,
    pub fold: bool,
    pub bos: bool,
    /// `expect = { … }` and what else the SAE's table holds.
    pub more: String,
    pub model: PathBuf,
}

/// A tensor of f32 that can be changed.
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

impl Wired {
    /// The demo's model at its site.
    pub fn demo() -> Self {
        let suite = saescope::suite::find("demo", &[]).expect("is part of the program");
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            site: suite.site,
            center: suite.center,
            fold: false,
            bos: suite.model.prepend_bos,
            more: String::new(),
            model: demo().join("model"),
        }
    }

    /// The SAE in the middle of the demo's ladder.
    pub fn demo_sae() -> Sae {
        let suite = saescope::suite::find("demo", &[]).expect("is part of the program");
        let entry = &suite.saes[suite.saes.len() / 2];
        let folder = demo().join("saes").join(entry.folder.as_deref().unwrap_or_default());
        let file = |name: &str| Blob::path(folder.join(name));
        let (config, weights) = (file("cfg.json"), vec![file("sae_weights.safetensors")]);
        lens::open(&SaeFiles { config, weights, sparsity: None }).expect("opens")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Changes the model's weights, by the names without what some files put in front.
    pub fn change_model(&mut self, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
        let target = self.path("model");
        fs::create_dir_all(&target).expect("is made");
        for entry in fs::read_dir(&self.model).expect("the model") {
            let path = entry.expect("a file").path();
            fs::copy(&path, target.join(path.file_name().expect("a name"))).expect("a copy");
        }
        let files = TensorFiles::open(&[Blob::path(self.model.join("model.safetensors"))]).expect("opens");
        let mut tensors = BTreeMap::new();
        for name in files.names() {
            let array = files.get(name).expect("is there");
            let tensor = Tensor { shape: array.shape().to_vec(), values: array.to_vec() };
            tensors.insert(name.trim_start_matches("transformer.").to_owned(), tensor);
        }
        change(&mut tensors);
        let bytes: Vec<_> = tensors
            .iter()
            .map(|(name, tensor)| {
                let bytes: Vec<u8> = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
                (format!("transformer.{name}"), tensor.shape.clone(), bytes)
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("fits"))
        });
        let written = safetensors::serialize(views, None).expect("is written");
        fs::write(target.join("model.safetensors"), written).expect("is written");
        self.model = target;
    }

    pub fn load_model(&self) -> model::Loaded {
        let file = |name: &str| Blob::path(self.model.join(name));
        let files = ModelFiles {
            config: file("config.json"),
            weights: vec![file("model.safetensors")],
            tokenizer: TokenizerFiles::Json(file("tokenizer.json")),
            said: TokenizerSaid::default(),
        };
        model::load(&files, &Device::Cpu).expect("loads")
    }

    /// Activations of the demo's text at the site, as the suite takes them, without position 0; [positions, size].
    pub fn rows(&self) -> Vec<f32> {
        let loaded = self.load_model();
        let taker =
            ActivationSource { model: &*loaded.model, site: self.site, center: self.center, apart: Apart::First };
        let text = fs::read_to_string(demo().join("text.txt")).expect("the demo's text");
        let mut sample = Sample::default();
        for document in text.split("<|endoftext|>").filter(|document| document.len() > 40) {
            let bos = loaded.tokenizer.bos().filter(|_| self.bos);
            let ids = bos.into_iter().chain(loaded.tokenizer.encode(document).expect("is text")).take(100);
            taker.add(&mut sample, ids.collect(), &Cancel::new()).expect("runs");
        }
        let size = sample.x.len() / sample.counts.len();
        let counted = sample.x.chunks_exact(size).zip(&sample.counts).filter(|(_, counts)| **counts);
        counted.flat_map(|(row, _)| row.to_vec()).collect()
    }

    /// An SAE trained on such activations.
    pub fn trained(&self, rows: &[f32]) -> Sae {
        let size = self.load_model().model.site_size(self.site).expect("is a site");
        let config = Config { steps: 250, batch: 512, rate: 3e-3, dead_after: 30, ..Config::new(256, 8) };
        let trained = train(rows, size, &config, &Cancel::new(), &|_| ()).expect("trains");
        trained.sae().expect("fits together")
    }

    /// Writes the SAE and gives what the doctor finds out about the suite.
    pub fn checkup(&self, sae: &Sae) -> Checkup {
        self.write(sae, |_| ());
        Checkup::clone(&self.ask(None).checkup)
    }

    /// The same with its `cfg.json` changed behind its back.
    pub fn checkup_with(&self, sae: &Sae, config: impl FnOnce(&mut Value)) -> Checkup {
        self.write(sae, config);
        Checkup::clone(&self.ask(None).checkup)
    }

    pub fn write(&self, sae: &Sae, config: impl FnOnce(&mut Value)) {
        lens::save(&self.path("sae"), sae).expect("is written");
        let path = self.path("sae/cfg.json");
        let mut written: Value = serde_json::from_slice(&fs::read(&path).expect("is there")).expect("is JSON");
        config(&mut written);
        fs::write(&path, written.to_string()).expect("is written");
        let Self { site, center, fold, bos, more, .. } = self;
        let fold = if site.kind == SiteKind::AttnZ { format!("fold_value_bias = {fold}\n") } else { String::new() };
        let text = format!(
            "id = \"x\"\ntext = '{}'\n[model]\npath = '{}'\nprepend_bos = {bos}\n[site]\nlayer = {}\nkind = \"{}\"\n\
             center = {center}\n{fold}[[sae]]\nid = \"x\"\nformat = \"sae-lens\"\npath = '{}'\n{more}\n",
            demo().join("text.txt").display(),
            self.model.display(),
            site.layer,
            site.kind.name(),
            self.path("sae").display(),
        );
        fs::write(self.path("x.toml"), text).expect("is written");
    }

    /// What the doctor answers about the suite as it was written; `kept`: where it may remember.
    pub fn ask(&self, kept: Option<PathBuf>) -> Checked {
        let cache = self.path("cache");
        let environment = Environment { endpoint: "http://127.0.0.1:9".into(), cache, token: None, offline: true };
        let mut session = Session::new(SessionConfig { checkups: kept, ..SessionConfig::new(Hub::new(environment)) });
        let suite = self.path("x.toml").display().to_string();
        session
            .ask(&OpenQuery { suite, saes: Vec::new(), reach: LoadScope::Whole }, &Cancel::new(), &|_| {})
            .expect("opens");
        let job = CheckupQuery { losses: false, again: false };
        session.ask(&job, &Cancel::new(), &|_| {}).expect("is measured")
    }

    /// Expects from now on what is measured with this SAE as the suite is wired now.
    pub fn expect_as_now(&mut self, sae: &Sae) -> Figures {
        let measured = self.checkup(sae).saes[0].measured.clone();
        let (l0, variance) = (measured.l0.expect("is measured"), measured.explained_variance.expect("is measured"));
        assert!(variance > 0.7, "the SAE itself must be fine: {measured:?}");
        self.more = format!("expect = {{ l0 = {l0:.4}, explained_variance = {variance:.4} }}");
        measured
    }
}

/// An SAE with some of its parts changed.
pub fn changed(sae: &Sae, change: impl FnOnce(&mut SaeWeights)) -> Sae {
    let mut parts = sae.parts().clone();
    change(&mut parts);
    let mut made = Sae::new(parts).expect("fits together");
    made.metadata = sae.metadata.clone();
    made
}

/// The mean length of rows.
pub fn mean_norm(rows: &[f32], size: usize) -> f32 {
    let norms = rows.chunks_exact(size).map(|row| row.iter().map(|x| x * x).sum::<f32>().sqrt());
    norms.sum::<f32>() / (rows.len() / size) as f32
}
