//! The program's side of `compare.py`: does one piece of work for each line of JSON on standard input, and answers with
//! a line that says how long it took. Not here: the other side, medians, and whether the two agree.
//!
//! Built by `cargo bench --no-run --bench compare`; started by hand, or by `cargo bench`, it says so and ends.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it speaks to a script, and stops when something is wrong"
)]

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::io::{BufRead, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use saescope::analysis::intervention::{ActivationEdit, ArmEdit, Intervention, Setting, Where};
use saescope::analysis::measuring::{ActivationSource, Apart};
use saescope::analysis::steering::{Prefix, Steering};
use saescope::blob::Blob;
use saescope::hub::Hub;
use saescope::model::{self, Generate, Logits, ModelFiles, Pass, Sampling, TokenizerFiles, TokenizerSaid};
use saescope::sae::lens::{self, SaeFiles};
use saescope::sae::meta;
use saescope::sae::stitch::{Pair, Scores};
use saescope::sae::train::{Config, train};
use saescope::sae::{Codes, Sae, compare, nearest_all, random_directions};
use saescope::session::{
    CorpusQuery, EffectQuery, FrequenciesQuery, IndexQuery, IndexRecipe, LoadScope, OpenQuery, PackQuery, ReadOn,
    RunQuery, Session, SessionConfig,
};
use saescope::site::{Site, SiteKind};
use saescope::task::{Cancel, Progress};
use serde::Deserialize;
use serde_json::{Value, json};

/// One piece of work. Paths lie in the folder that the worker was given.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Work {
    /// Opens the suite as the explorer does, with these SAEs or with all.
    Open {
        #[serde(default)]
        saes: Vec<String>,
    },
    /// An index of a text, made anew; `told` asks how often and how strongly each latent fires.
    Index { saes: Vec<String>, text: PathBuf, out: PathBuf, told: bool },
    /// The same text through the model and the SAEs, and nothing counted.
    Unindexed { saes: Vec<String>, windows: Vec<Vec<u32>> },
    /// What an index says of each of these latents, one after the other: the median.
    Examples { sae: String, index: PathBuf, latents: Vec<u32> },
    /// An index of a text begun beside the questions that follow, as the explorer does it; none ends it.
    Beside { text: Option<PathBuf> },
    /// What each latent that fires at the prompt's last token does to the next one.
    Effect { prompt: String, sae: String, told: bool },
    /// Rows of random activations at the site through the blocks behind it and the head.
    Rest { rows: usize },
    /// A prompt through the open suite; `told` asks for what came out.
    Question { prompt: String, told: bool },
    /// Logits of all positions.
    Logits { ids: Vec<u32>, save: Option<PathBuf> },
    /// The likeliest tokens, one after the other.
    Generate { ids: Vec<u32>, tokens: usize },
    /// So many arms beside each other, as steering writes them: the untouched model, and under directions that are added.
    Arms { ids: Vec<u32>, tokens: usize, arms: usize },
    /// The latents nearest to one.
    Nearest { sae: usize, latent: usize, k: usize },
    /// The nearest latents of all.
    Pairs { queries: usize, rows: usize, k: usize, save: Option<PathBuf> },
    /// All SAEs up to a width compared with each other.
    Tables { most: usize, k: usize },
    /// What fires on the sample of activations, written for the other side; not timed.
    Codes { sae: usize, tokens: usize, save: PathBuf },
    /// What inserting each latent would do, on as many tokens.
    Scores { small: usize, large: usize, tokens: usize, save: Option<PathBuf> },
    /// Steps of meta-SAE training, some of them untimed. With `first`, the weights it starts from are written.
    Train { sae: usize, width: usize, k: usize, batch: usize, steps: usize, first: Option<PathBuf> },
    /// What fires on some tokens of the sample.
    Encode { sae: usize, tokens: usize },
    /// Reads files once, whole or the named tensor's share of them.
    Read { parts: Vec<(PathBuf, u64, u64)> },
    /// A large matrix product.
    Product { size: usize },
    /// The memory that the process holds.
    Memory,
}

struct Worker {
    folder: PathBuf,
    session: Option<Session>,
    model: Option<model::Loaded>,
    saes: HashMap<usize, Sae>,
    codes: HashMap<(usize, usize), Codes>,
    maps: HashMap<PathBuf, memmap2::Mmap>,
    beside: Option<Beside>,
}

/// An index that is made beside the questions.
struct Beside {
    /// Ends the reading that is under way.
    cancel: Arc<Mutex<Cancel>>,
    /// Whether somebody waits for an answer, and whether it is over.
    state: Arc<(AtomicBool, AtomicBool)>,
    reading: JoinHandle<()>,
}

fn main() {
    let Some(folder) = std::env::args().nth(1).filter(|arg| !arg.starts_with('-')) else {
        println!("the comparison is run by benches/compare/compare.py");
        return;
    };
    if std::io::stdin().is_terminal() {
        println!("work is given on standard input, by benches/compare/compare.py");
        return;
    }
    let mut worker = Worker {
        folder: folder.into(),
        session: None,
        model: None,
        saes: HashMap::new(),
        codes: HashMap::new(),
        maps: HashMap::new(),
        beside: None,
    };
    for line in std::io::stdin().lock().lines() {
        let work: Work = serde_json::from_str(&line.unwrap()).unwrap();
        // As the explorer computes: among rayon's threads.
        println!("{}", rayon::scope(|_| worker.exec(work)));
        std::io::stdout().flush().unwrap();
    }
}

/// How long it takes, in milliseconds, and what it gives.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = black_box(work());
    (start.elapsed().as_secs_f64() * 1e3, result)
}

fn write(path: &Path, values: &[f32]) {
    fs::write(path, bytemuck::cast_slice(values)).unwrap();
}

impl Worker {
    fn exec(&mut self, work: Work) -> Value {
        let never = Cancel::new();
        match work {
            Work::Open { saes } => self.open(saes),
            Work::Index { saes, text, out, told } => self.index(saes, text, &out, told),
            Work::Unindexed { saes, windows } => self.unindexed(&saes, &windows),
            Work::Examples { sae, index, latents } => self.examples(&sae, &index, &latents),
            Work::Beside { text } => self.beside(text),
            Work::Effect { prompt, sae, told } => self.effect(prompt, sae, told),
            Work::Rest { rows } => self.rest(rows),
            Work::Question { prompt, told } => self.question(prompt, told),
            Work::Logits { ids, save } => {
                let model = self.model();
                let mut cache = model.model.cache();
                let pass = Pass { layers: None, logits: Logits::All, hook: None, cancel: &never };
                let (ms, logits) = timed(|| model.model.forward(&ids, &mut cache, pass).unwrap().unwrap());
                if let Some(path) = save {
                    write(&path, &logits.flatten_all().unwrap().to_vec1().unwrap());
                }
                json!({ "ms": ms })
            }
            Work::Generate { ids, tokens } => {
                let model = self.model();
                let mut cache = model.model.cache();
                let asked =
                    Generate { ids: &ids, tokens, sampling: Sampling::Greedy, stop: &[], hook: None, cancel: &never };
                let go_on = &mut |_| ControlFlow::Continue(());
                let (ms, ids) = timed(|| model::generate(&*model.model, &mut cache, asked, go_on).unwrap());
                json!({ "ms": ms, "ids": ids })
            }
            Work::Arms { ids, tokens, arms } => {
                let model = self.model();
                let (model, cancel) = (&*model.model, &never);
                let site = Site { layer: 8, kind: SiteKind::ResidPre };
                let size = model.site_size(site).unwrap();
                let edit = |arm: usize| {
                    let direction = random_directions(1, size, arm as u64).into();
                    let edits = vec![ActivationEdit::Add { direction, strength: 20.0 }];
                    let setting = Setting { sae: &|_| None, size, center: false, bos: 0 };
                    let compiled = Intervention::new(site, Where::All, edits).compile(setting).unwrap();
                    ArmEdit::new(compiled, arm > 0, ids.len())
                };
                let steering = Steering {
                    model,
                    site,
                    ids: &ids,
                    tokens,
                    sampling: Sampling::Greedy,
                    candidates: 0,
                    stop: &[],
                    cancel,
                };
                let mut prefix = Prefix::default();
                prefix.run(model, site, &ids, cancel).unwrap();
                let edits = (0..arms).map(edit).collect();
                let (ms, written) = timed(|| steering.write(&prefix, edits, &mut |_| ()).unwrap());
                json!({ "ms": ms, "ids": written[0].ids })
            }
            Work::Nearest { sae, latent, k } => {
                let sae = self.sae(sae);
                let (ms, near) = timed(|| sae.nearest(latent, &sae, k).unwrap());
                let near: Vec<(u32, f32)> = near.iter().map(|near| (near.latent, near.cosine)).collect();
                json!({ "ms": ms, "near": near })
            }
            Work::Pairs { queries, rows, k, save } => {
                let (queries, rows) = (self.sae(queries), self.sae(rows));
                let (ms, table) = timed(|| nearest_all(&queries, &rows, k, &never, &|_| ()).unwrap());
                if let Some(path) = save {
                    write(&path, &table.neighbours.iter().map(|near| near.cosine).collect::<Vec<_>>());
                }
                json!({ "ms": ms })
            }
            Work::Tables { most, k } => self.tables(most, k),
            Work::Codes { sae, tokens, save } => {
                let codes = self.codes(sae, tokens);
                let row = |row: usize| std::iter::repeat_n(row as u32, codes.row(row).0.len());
                let rows: Vec<u32> = (0..codes.rows()).flat_map(row).collect();
                let whole = [&rows[..], &codes.latents, bytemuck::cast_slice(&codes.values)].concat();
                fs::write(save, bytemuck::cast_slice(&whole)).unwrap();
                json!({ "active": codes.latents.len() })
            }
            Work::Scores { small, large, tokens, save } => {
                let (x, counts) = (self.sample(tokens), vec![true; tokens]);
                let (f0, f1) = (self.codes(small, tokens), self.codes(large, tokens));
                let (small, large) = (self.sae(small), self.sae(large));
                let pair = Pair::new(&small, &large).unwrap();
                let (ms, scores) = timed(|| {
                    let mut scores = Scores::insertions(pair);
                    scores.add(pair, &x, &f0, &f1, &counts, &never).unwrap();
                    scores
                });
                if let Some(path) = save {
                    let both = scores.scores().iter().flat_map(|score| [score.gain as f32, score.energy as f32]);
                    write(&path, &both.collect::<Vec<_>>());
                }
                json!({ "ms": ms, "active": f1.latents.len() })
            }
            Work::Train { sae, width, k, batch, steps, first } => self.train(sae, width, k, (batch, steps), first),
            Work::Encode { sae, tokens } => {
                let (sae, x) = (self.sae(sae), self.sample(tokens));
                let (ms, codes) = timed(|| sae.encode(&x, &never).unwrap());
                json!({ "ms": ms, "active": codes.latents.len() })
            }
            Work::Read { parts } => self.read(&parts),
            Work::Product { size } => json!({ "ms": product(size) }),
            Work::Memory => {
                let status = fs::read_to_string("/proc/self/status").unwrap();
                let kib = |name: &str| -> Option<u64> {
                    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                    line.trim_start_matches(':').trim().strip_suffix("kB")?.trim().parse().ok()
                };
                json!({ "resident": kib("VmRSS").map(|kib| kib * 1024), "own": kib("RssAnon").map(|kib| kib * 1024) })
            }
        }
    }

    fn open(&mut self, saes: Vec<String>) -> Value {
        let never = Cancel::new();
        let hub = Hub::from_env(|name| std::env::var_os(name)).unwrap();
        let mut session = Session::new(SessionConfig::new(hub));
        let suite = self.folder.join("suite.toml").display().to_string();
        let asked = OpenQuery { suite, saes, reach: LoadScope::Whole };
        let (ms, opened) = timed(|| session.ask(&asked, &never, &|_| ()).map(drop));
        opened.unwrap();
        // As the explorer does it: what is read by the first question is packed after it.
        session.ask(&RunQuery { prompt: "The".to_owned(), next: 1 }, &never, &|_| ()).map(drop).unwrap();
        session.ask(&PackQuery, &never, &|_| ()).map(drop).unwrap();
        self.session = Some(session);
        json!({ "ms": ms })
    }

    fn index(&mut self, saes: Vec<String>, text: PathBuf, out: &Path, told: bool) -> Value {
        // What an open suite has read it does not read again.
        self.open(saes.clone());
        let session = self.session.as_mut().unwrap();
        let _ = fs::remove_dir_all(out);
        let recipe = IndexRecipe {
            texts: vec![text],
            saes,
            context: Some(128),
            out: Some(out.to_owned()),
            ..IndexRecipe::default()
        };
        let asked = IndexQuery { read: Some(ReadOn::All), recipe };
        let (ms, made) = timed(|| session.ask(&asked, &Cancel::new(), &|_| ()));
        let view = made.unwrap();
        let mut answer = json!({ "ms": ms, "tokens": view.tokens });
        if told {
            let of = |sae: &saescope::analysis::IndexSae| {
                let latents = (0..sae.width as u32).collect();
                let asked = FrequenciesQuery { sae: sae.id.clone(), latents, index: Some(out.to_owned()) };
                let found = session.ask(&asked, &Cancel::new(), &|_| ()).unwrap().unwrap();
                let pairs: Vec<(u64, f32)> = found.latents.iter().map(|(_, of)| (of.count, of.max)).collect();
                json!({ "id": sae.id, "l0": sae.l0, "figures": pairs })
            };
            answer["saes"] = view.saes.iter().map(of).collect();
        }
        answer
    }

    fn unindexed(&mut self, saes: &[String], windows: &[Vec<u32>]) -> Value {
        let model = self.model();
        let site = Site { layer: 8, kind: SiteKind::ResidPre };
        let source = ActivationSource { model: &*model.model, site, center: false, apart: Apart::First };
        let saes: Vec<Sae> = saes.iter().map(|id| self.sae(id.parse().unwrap())).collect();
        let never = Cancel::new();
        let (ms, active) = timed(|| {
            let mut active = 0;
            for part in windows.chunks(16) {
                let rows: Vec<f32> = part.iter().flat_map(|ids| source.activations(ids, &never).unwrap()).collect();
                for sae in &saes {
                    active += sae.encode(&rows, &never).unwrap().latents.len();
                }
            }
            active
        });
        json!({ "ms": ms, "active": active })
    }

    fn examples(&mut self, sae: &str, index: &Path, latents: &[u32]) -> Value {
        let session = self.session.as_mut().unwrap();
        let mut read = |latent: u32| {
            let asked = CorpusQuery { sae: sae.to_owned(), latent, index: Some(index.to_owned()) };
            let (ms, found) = timed(|| session.ask(&asked, &Cancel::new(), &|_| ()).unwrap().unwrap());
            (ms, found.examples.len())
        };
        // What the suite is of is hashed once.
        read(latents[0]);
        let (mut times, examples): (Vec<f64>, Vec<usize>) = latents.iter().map(|latent| read(*latent)).unzip();
        times.sort_by(f64::total_cmp);
        json!({
            "ms": times[times.len() / 2],
            "most": times[times.len() - 1],
            "examples": examples.iter().sum::<usize>()
        })
    }

    fn beside(&mut self, text: Option<PathBuf>) -> Value {
        if let Some(beside) = self.beside.take() {
            beside.state.1.store(true, Ordering::Release);
            beside.cancel.lock().unwrap().cancel();
            beside.reading.join().unwrap();
        }
        let Some(text) = text else { return json!({}) };
        let session = self.session.as_ref().unwrap().background();
        let cancel = Arc::new(Mutex::new(Cancel::new()));
        let state = Arc::new((AtomicBool::new(false), AtomicBool::new(false)));
        let (flag, shared) = (Arc::clone(&cancel), Arc::clone(&state));
        let reading = std::thread::spawn(move || {
            let recipe = IndexRecipe { texts: vec![text], ..IndexRecipe::default() };
            let asked = IndexQuery { read: Some(ReadOn::CoreSeconds(f64::INFINITY)), recipe };
            while !shared.1.load(Ordering::Acquire) {
                if shared.0.load(Ordering::Acquire) {
                    std::thread::yield_now();
                    continue;
                }
                let now = flag.lock().unwrap().clone();
                if now.check().is_ok() {
                    let read = session.ask(&asked, &now, &|_| ());
                    assert!(read.is_err(), "the text was too short to be read beside all questions");
                }
            }
        });
        self.beside = Some(Beside { cancel, state, reading });
        json!({})
    }

    fn effect(&mut self, prompt: String, sae: String, told: bool) -> Value {
        let session = self.session.as_mut().unwrap();
        let asked = EffectQuery {
            prompt,
            saes: vec![sae],
            position: None,
            read: None,
            token: None,
            relatives_of: None,
            seed: 0,
        };
        let (ms, view) = timed(|| session.ask(&asked, &Cancel::new(), &|_| ()).unwrap());
        let of = &view.saes[0];
        // Untouched, each latent, all of them, the error, and two times as many random directions.
        let rows = of.latents.len() + 3 + 2 * 16;
        if !told {
            return json!({ "ms": ms, "rows": rows });
        }
        let mut latents: Vec<(u32, f32, f64)> =
            of.latents.iter().map(|of| (of.latent, of.activation, of.delta_logprob)).collect();
        latents.sort_by_key(|(latent, ..)| *latent);
        json!({ "ms": ms, "rows": rows, "token": view.token.id, "logprob": view.token.logprob, "latents": latents })
    }

    fn rest(&mut self, rows: usize) -> Value {
        let model = self.model();
        let x = self.sample(rows);
        let residual = Tensor::from_vec(x, (rows, 768), &Device::Cpu).unwrap();
        let ids: Vec<u32> = (0..rows as u32).collect();
        let (ms, logits) = timed(|| {
            let mut cache = model.model.cache_behind(8);
            let last = model.model.resume(&ids, &residual, &mut cache, &Cancel::new()).unwrap();
            model.model.logits(&last).unwrap()
        });
        json!({ "ms": ms, "logits": logits.elem_count() })
    }

    fn question(&mut self, prompt: String, told: bool) -> Value {
        let session = self.session.as_mut().unwrap();
        let beside = self.beside.as_ref();
        let (ms, outcome) = timed(|| {
            if let Some(beside) = beside {
                // As the explorer does it: what is read beside gives way to the question.
                beside.state.0.store(true, Ordering::Release);
                beside.cancel.lock().unwrap().cancel();
            }
            session.ask(&RunQuery { prompt, next: 5 }, &Cancel::new(), &|_| ())
        });
        if let Some(beside) = beside {
            *beside.cancel.lock().unwrap() = Cancel::new();
            beside.state.0.store(false, Ordering::Release);
        }
        let run = outcome.unwrap();
        if !told {
            return json!({ "ms": ms });
        }
        let latents: Vec<Vec<Vec<(u32, f32)>>> = run
            .saes
            .iter()
            .map(|sae| {
                let top = |position: &saescope::analysis::PositionRun| {
                    position.latents.iter().take(20).map(|firing| (firing.latent, firing.activation)).collect()
                };
                sae.positions.iter().map(top).collect()
            })
            .collect();
        let next: Vec<Vec<(u32, f32)>> =
            run.next.iter().map(|next| next.iter().map(|next| (next.id, next.logprob)).collect()).collect();
        json!({ "ms": ms, "latents": latents, "next": next })
    }

    /// Nothing is kept but the time and the largest memory that a table took.
    fn tables(&mut self, most: usize, k: usize) -> Value {
        let widths: Vec<usize> = (0..8).map(|step| 768 << step).filter(|width| *width <= most).collect();
        let saes: Vec<Sae> = widths.iter().map(|width| self.sae(*width)).collect();
        for sae in &saes {
            // Their lengths are computed once, whatever is compared.
            sae.nearest(0, sae, 1).unwrap();
        }
        let (mut ms, mut flop, mut bytes) = (0.0, 0.0, 0);
        for large in 1..saes.len() {
            for small in 0..large {
                let (large, small) = (&saes[large], &saes[small]);
                let (took, comparison) = timed(|| compare(large, small, k, 0.3, &Cancel::new(), &|_| ()).unwrap());
                ms += took;
                flop += 2.0 * (large.width() * small.width() * large.d_in()) as f64;
                bytes = bytes.max(size_of_val(&comparison.nearest.neighbours[..]));
            }
        }
        json!({ "ms": ms, "flop": flop, "bytes": bytes })
    }

    /// The time of every step after the first, which knows nothing yet of what will be kept.
    fn train(
        &mut self,
        sae: usize,
        width: usize,
        k: usize,
        (batch, steps): (usize, usize),
        first: Option<PathBuf>,
    ) -> Value {
        let of = self.sae(sae);
        let rows = meta::rows(&of).unwrap();
        let config = Config { steps, batch, ..meta::recipe(width, k) };
        if let Some(path) = first {
            // A step of next to nothing gives the weights as they begin.
            let still = Config { steps: 1, rate: 1e-30, batch: 1, ..config.clone() };
            write(&path, &train(&rows, of.d_in(), &still, &Cancel::new(), &|_| ()).unwrap().w_dec);
        }
        let started = Instant::now();
        let told = Mutex::new(Vec::new());
        let tell = |progress: Progress| {
            let explained = progress.figures.first().map_or(f64::NAN, |(_, value)| *value);
            told.lock().unwrap().push((progress.done, started.elapsed().as_secs_f64() * 1e3, explained));
        };
        train(&rows, of.d_in(), &config, &Cancel::new(), &tell).unwrap();
        let told = told.into_inner().unwrap();
        let (begin, end) = (told.first().unwrap(), told.last().unwrap());
        json!({ "ms": (end.1 - begin.1) / (end.0 - begin.0).max(1) as f64, "explained": end.2 })
    }

    fn read(&mut self, parts: &[(PathBuf, u64, u64)]) -> Value {
        for (path, ..) in parts {
            if !self.maps.contains_key(path) {
                self.maps.insert(path.clone(), map(path));
            }
        }
        let slices: Vec<&[u8]> =
            parts.iter().map(|(path, start, end)| &self.maps[path][*start as usize..*end as usize]).collect();
        let pieces: Vec<&[u8]> = slices.iter().flat_map(|bytes| bytes.chunks(1 << 20)).collect();
        let (ms, _) = timed(|| {
            let each = pieces.par_iter().map(|bytes| {
                let words = bytes.as_chunks::<64>().0.iter();
                let mut sums = [0u64; 8];
                for word in words {
                    for (sum, part) in sums.iter_mut().zip(word.as_chunks::<8>().0) {
                        *sum = sum.wrapping_add(u64::from_ne_bytes(*part));
                    }
                }
                sums.iter().fold(0u64, |all, sum| all.wrapping_add(*sum))
            });
            each.reduce(|| 0, u64::wrapping_add)
        });
        json!({ "ms": ms, "bytes": slices.iter().map(|bytes| bytes.len()).sum::<usize>() })
    }

    /// Activations at the site, row-major [tokens, 768].
    fn sample(&self, tokens: usize) -> Vec<f32> {
        let bytes = fs::read(self.folder.join("activations.f32")).unwrap();
        bytes.as_chunks::<4>().0[..tokens * 768].iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    fn codes(&mut self, width: usize, tokens: usize) -> Codes {
        if !self.codes.contains_key(&(width, tokens)) {
            let codes = self.sae(width).encode(&self.sample(tokens), &Cancel::new()).unwrap();
            self.codes.insert((width, tokens), codes);
        }
        self.codes[&(width, tokens)].clone()
    }

    fn sae(&mut self, width: usize) -> Sae {
        let folder = self.folder.join("saes").join(width.to_string());
        let open = || {
            let files = SaeFiles {
                config: Blob::path(folder.join("cfg.json")),
                weights: vec![Blob::path(folder.join("sae_weights.safetensors"))],
                sparsity: None,
            };
            let sae = lens::open(&files).unwrap();
            // What is computed once for an SAE is not a part of any single question.
            sae.nearest(0, &sae, 1).unwrap();
            sae
        };
        self.saes.entry(width).or_insert_with(open).clone()
    }

    fn model(&mut self) -> model::Loaded {
        let file = |name: &str| Blob::path(self.folder.join("model").join(name));
        let open = || {
            let files = ModelFiles {
                config: file("config.json"),
                weights: vec![file("model.safetensors")],
                tokenizer: TokenizerFiles::Json(file("tokenizer.json")),
                said: TokenizerSaid::default(),
            };
            let loaded = model::load(&files, &Device::Cpu).unwrap();
            // As the explorer does it after the first question, which reads every block.
            let (mut cache, never) = (loaded.model.cache(), Cancel::new());
            let pass = Pass { layers: None, logits: Logits::Last, hook: None, cancel: &never };
            loaded.model.forward(&[0], &mut cache, pass).unwrap();
            for factor in loaded.model.packable() {
                assert!(factor.pack(&|| true).unwrap());
            }
            loaded
        };
        self.model.get_or_insert_with(open).clone()
    }
}

#[expect(unsafe_code, reason = "a memory map is only as constant as its file")]
fn map(path: &Path) -> memmap2::Mmap {
    // SAFETY: the files were made for this comparison and nobody writes them while it runs.
    unsafe { memmap2::Mmap::map(&fs::File::open(path).unwrap()).unwrap() }
}

/// The time of a square product of this program's kernels on all threads.
fn product(size: usize) -> f64 {
    let a = vec![0.5; size * size];
    let (b, mut out) = (vec![0.25; size * size], vec![0.0; size * size]);
    let view = |data| saescope::kernel::View::new(data, size, size);
    timed(|| saescope::kernel::product_parallel(&mut out, view(&a), view(&b))).0
}
