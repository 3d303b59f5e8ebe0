//! An index that is being made: text through the model, what fires counted, and all of it kept now and then.
//! Not here: where a person asks for it (`index.rs`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::analysis::IndexView;
use crate::analysis::SkippedPositions;
use crate::analysis::index::{Corpus, Rule, WindowAt, sinks};
use crate::analysis::measuring::ActivationSource;
use crate::report::{Kind, Report};
use crate::sae::Codes;
use crate::session::failure;
use crate::session::index::folder::Folder;
use crate::session::index::metas::IndexedMeta;
use crate::session::index::note::{FORMAT, Note, NoteSae, Origin};
use crate::session::index::texts::{Meter, Texts};
use crate::session::index::windows::{Cut, Position, Window, Windows};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::sample::cannot_encode;
use crate::task::{Cancel, OnProgress, Progress};

/// Positions that are run and encoded before they are counted.
const ROWS: usize = 2048;
/// Time between two writings at most: a killed run loses no more.
const EVERY: Duration = Duration::from_secs(50);
/// Time between two writings at least, and how many times as long as writing takes.
const LEAST: (Duration, u32) = (Duration::from_secs(10), 20);

/// What an index is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    pub suite: String,
    pub origin: Origin,
    pub rule: Rule,
    /// The meta-SAEs that are counted, of SAEs that are.
    pub metas: Vec<Arc<IndexedMeta>>,
    /// Which shard, from 1, and of how many.
    pub shard: Option<(u64, u64)>,
    pub most: Option<u64>,
    pub texts: Texts,
    /// Where it is kept; none to keep nothing.
    pub folder: Option<Folder>,
}

/// An index that is being made.
pub struct Live {
    pub plan: Plan,
    corpus: RwLock<Corpus>,
    work: Mutex<Work>,
}

/// Where the work stands; only who works on it looks at it.
struct Work {
    windows: Windows,
    meter: Meter,
    /// Bytes of the texts, where that can be known.
    bytes: Option<u64>,
    /// What was cut off and is not counted yet.
    waiting: Vec<Window>,
    /// Behind the last window that is counted.
    position: Position,
    reading: Option<u32>,
    complete: bool,
    seconds: f64,
    core_seconds: f64,
    /// When it was last written, how long that took, and whether anything was counted since.
    written: Instant,
    cost: Duration,
    new: bool,
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Until {
    /// Seconds of one core, over all the times that it was continued.
    pub core_seconds: f64,
    /// Whether what was counted is written when it is cancelled.
    pub keep: bool,
}

impl Plan {
    /// The windows behind a place.
    pub fn windows(&self, meter: Meter, behind: &Position) -> Windows {
        let cut = Cut {
            length: self.rule.context,
            bos: self.origin.bos,
            shard: self.shard.map_or((0, 1), |(shard, of)| (shard - 1, of)),
            most: self.most,
        };
        Windows::new(&self.texts, meter, cut, Some(behind.clone()))
    }
}

impl Live {
    /// Begins an index, or continues with the one in its folder.
    ///
    /// # Errors
    /// That the folder's index is of something else, or broken.
    pub fn open(plan: Plan) -> Result<Self, Report> {
        let mut at = Position::default();
        let widths: Vec<(String, usize)> = Vec::new();
        let mut corpus = Corpus::new(plan.rule, &widths);
        let mut seconds = 0.0;
        if let Some(folder) = &plan.folder {
            folder.check()?;
            if let Some(note) = folder.note()? {
                fits(&plan, folder, &note)?;
                corpus = folder.state(&note)?;
                (at, seconds) = (note.position, folder.seconds());
            }
        }
        let meter = Meter::default();
        let begun = at.documents > 0 || at.windows > 0;
        let windows = plan.windows(meter.clone(), &at);
        let reading = (!at.ended && at.windows > 0).then_some(at.documents as u32);
        let complete = begun && (at.ended || plan.most.is_some_and(|most| at.passed >= most));
        let work = Work {
            windows,
            meter,
            bytes: plan.texts.bytes(),
            waiting: Vec::new(),
            position: at,
            reading,
            complete,
            seconds,
            core_seconds: 0.0,
            written: Instant::now(),
            cost: Duration::ZERO,
            new: false,
        };
        Ok(Self { plan, corpus: RwLock::new(corpus), work: Mutex::new(work) })
    }

    /// What is counted so far.
    pub fn corpus(&self) -> RwLockReadGuard<'_, Corpus> {
        self.corpus.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn corpus_mut(&self) -> RwLockWriteGuard<'_, Corpus> {
        self.corpus.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is said of it as a whole.
    pub fn view(&self) -> IndexView {
        let work = self.work();
        let mut view = self.note(&work).view(work.seconds);
        view.index = self.plan.folder.as_ref().map(|folder| folder.0.clone());
        view
    }

    /// Goes on until the text ends, the time is used up, or it is cancelled.
    ///
    /// # Errors
    /// What is wrong with the text, the model or the disk: what was counted before is kept. That it was cancelled.
    pub fn go_on(&self, suite: &LoadedSuite, until: Until, cancel: &Cancel, on: OnProgress<'_>) -> Result<(), Report> {
        let mut work = self.work();
        self.begin(suite);
        let (before, already) = (Instant::now(), self.corpus().tokens);
        let threads = rayon::current_num_threads() as f64;
        let done = loop {
            let started = Instant::now();
            let step = self.step(suite, &mut work, cancel);
            let took = started.elapsed().as_secs_f64();
            (work.seconds, work.core_seconds) = (work.seconds + took, work.core_seconds + took * threads);
            match step {
                Ok(true) => {}
                other => break other.map(drop),
            }
            on(self.progress(&work, before.elapsed().as_secs_f64(), already));
            if work.core_seconds >= until.core_seconds {
                break Ok(());
            }
            let pause = LEAST.0.max(work.cost * LEAST.1).min(EVERY);
            if work.written.elapsed() >= pause {
                self.write(&mut work)?;
            }
        };
        let cancelled = done.as_ref().is_err_and(|report| report.kind == Kind::Cancelled);
        if !cancelled || until.keep {
            self.write(&mut work)?;
        }
        match done {
            Err(report) if cancelled && until.keep && self.plan.folder.is_some() => {
                Err(report.hint("what was read is kept: the same command continues from there"))
            }
            done => done,
        }
    }

    /// Sees that there is a place for every latent.
    fn begin(&self, suite: &LoadedSuite) {
        let mut corpus = self.corpus_mut();
        if corpus.saes.is_empty() {
            let named = |id: &str| self.plan.origin.saes.contains_key(id);
            let saes = suite.saes.iter().filter(|loaded| named(&loaded.entry.id));
            let widths: Vec<(String, usize)> =
                saes.map(|loaded| (loaded.entry.id.clone(), loaded.sae.width())).collect();
            let of_saes = Corpus::new(self.plan.rule, &widths);
            let metas = self.plan.metas.iter();
            *corpus =
                metas.fold(of_saes, |corpus, meta| corpus.and_meta(&meta.sae, &meta.id, meta.table.members.rows()));
        }
    }

    /// Reads, runs, encodes and counts some windows; gives whether there may be more.
    fn step(&self, suite: &LoadedSuite, work: &mut Work, cancel: &Cancel) -> Result<bool, Report> {
        let mut failed = None;
        let mut rows: usize = work.waiting.iter().map(|window| window.ids.len()).sum();
        while rows < ROWS {
            cancel.check()?;
            match work.windows.next(&suite.model.tokenizer) {
                Ok(Some(window)) => {
                    rows += window.ids.len();
                    work.waiting.push(window);
                }
                Ok(None) => break,
                // What stands before the mistake is counted first.
                Err(report) => {
                    failed = Some(report);
                    break;
                }
            }
        }
        if !work.waiting.is_empty() {
            self.count(suite, &work.waiting, cancel)?;
            work.waiting.clear();
            work.new = true;
        }
        work.position = work.windows.position().clone();
        work.reading = work.windows.reading();
        if let Some(report) = failed {
            // What comes behind a mistake is not read: the next time it is tried from here again.
            work.windows = self.plan.windows(work.meter.clone(), &work.position);
            return Err(report);
        }
        work.new |= !work.complete && work.windows.is_over();
        work.complete = work.windows.is_over();
        Ok(!work.complete)
    }

    fn count(&self, suite: &LoadedSuite, windows: &[Window], cancel: &Cancel) -> Result<(), Report> {
        let taker = suite.taker();
        let (mut x, mut counted) = (Vec::new(), Vec::with_capacity(windows.len()));
        for Window { document, number: window, ids } in windows {
            let (rows, counts, sinks) = run_window(&taker, ids, cancel)?;
            let document = u32::try_from(*document).map_err(|_| Report::new("the text has too many documents"))?;
            counted.push(WindowAt { document, window: *window, ids: ids.clone(), counts, sinks });
            x.extend(rows);
        }
        let codes = self.codes(suite, &x, cancel)?;
        let mut corpus = self.corpus_mut();
        corpus.add_windows(&counted);
        for (place, codes) in codes.iter().enumerate() {
            corpus.add_codes(place, &counted, codes);
        }
        Ok(())
    }

    /// What fires in every SAE, and then how strongly the meta-latents of each meta-SAE are there.
    fn codes(&self, suite: &LoadedSuite, x: &[f32], cancel: &Cancel) -> Result<Vec<Codes>, Report> {
        let corpus = self.corpus();
        let saes: Vec<&str> = corpus.saes.iter().filter(|of| of.meta.is_none()).map(|of| &*of.id).collect();
        let encode = |id: &&str| -> Result<Codes, Report> {
            let loaded = &suite.saes[suite.place(id)?];
            loaded.sae.encode(x, cancel).map_err(|error| cannot_encode(id, &error))
        };
        let mut codes = saes.iter().map(encode).collect::<Result<Vec<Codes>, Report>>()?;
        for (sae, meta) in corpus.saes.iter().filter_map(|of| Some((&of.id, of.meta.as_ref()?))) {
            let of_sae = saes.iter().position(|id| id == sae).map(|place| &codes[place]);
            let planned = self.plan.metas.iter().find(|of| of.sae == *sae && of.id == *meta);
            let (Some(of_sae), Some(planned)) = (of_sae, planned) else {
                return Err(Report::new(format!("cannot count meta-SAE `{meta}`: its SAE `{sae}` is not counted")));
            };
            codes.push(planned.table.activity(of_sae));
        }
        Ok(codes)
    }

    /// Writes what was counted, where anything was and it is to be kept.
    fn write(&self, work: &mut Work) -> Result<(), Report> {
        let Some(folder) = self.plan.folder.as_ref().filter(|_| work.new) else { return Ok(()) };
        if self.plan.shard.is_none() && self.corpus().is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        self.corpus_mut().close(work.reading);
        folder.write(self.note(work), &self.corpus(), work.seconds)?;
        (work.new, work.written, work.cost) = (false, Instant::now(), started.elapsed());
        Ok(())
    }

    fn note(&self, work: &Work) -> Note {
        let (corpus, plan) = (self.corpus(), &self.plan);
        let begun = work.position.documents + u64::from(work.position.windows > 0);
        let (shard, of) = plan.shard.unwrap_or((1, 1));
        Note {
            format: FORMAT,
            program: concat!("saescope ", env!("CARGO_PKG_VERSION")).to_owned(),
            suite: plan.suite.clone(),
            of: plan.origin.clone(),
            rule: plan.rule,
            skipped_positions: match plan.origin.bos {
                Some(_) => SkippedPositions::Bos,
                None => SkippedPositions::First,
            },
            shard: plan.shard,
            tokens: corpus.tokens,
            documents: (begun + of - shard) / of,
            windows: corpus.len() as u64,
            sinks: corpus.sinks,
            saes: NoteSae::all(&corpus),
            position: work.position.clone(),
            complete: work.complete,
            files: std::collections::BTreeMap::new(),
        }
    }

    fn progress(&self, work: &Work, seconds: f64, already: u64) -> Progress {
        let tokens = self.corpus().tokens;
        let speed = tokens.saturating_sub(already) as f64 / seconds.max(1e-9);
        let by_tokens = self.plan.most.map(|most| work.position.passed as f64 / most.max(1) as f64);
        let by_bytes = work.bytes.map(|bytes| work.meter.read() as f64 / bytes.max(1) as f64);
        // Whichever ends first ends it.
        let share = by_tokens.into_iter().chain(by_bytes).fold(0.0, f64::max).min(1.0);
        let total = (share > 0.0).then(|| (tokens as f64 / share) as u64);
        let left = total.map(|total| total.saturating_sub(tokens) as f64 / speed);
        let mut figures = vec![("tokens/s".to_owned(), speed)];
        figures.extend(left.map(|left| ("seconds left".to_owned(), left)));
        let mut what = format!("reading the text, {speed:.0} tokens/s");
        if let Some(left) = left {
            what = format!("{what}, {} left", duration(left));
        }
        Progress { what, done: tokens, total, figures, ..Progress::default() }
    }
}

/// A window's activations, for each position whether it counts (it is neither skipped nor a sink), and how many sinks it
/// has.
pub fn run_window(
    taker: &ActivationSource<'_>,
    ids: &[u32],
    cancel: &Cancel,
) -> Result<(Vec<f32>, Vec<bool>, usize), Report> {
    let rows = taker.activations(ids, cancel).map_err(|error| failure::of_model("cannot run the text", &error))?;
    let skipped: Vec<bool> = (0..ids.len()).map(|position| position == 0).collect();
    let sinks = sinks(&rows, &skipped);
    let counts = skipped.iter().zip(&sinks).map(|(skipped, sink)| !skipped && !sink).collect();
    Ok((rows, counts, sinks.into_iter().filter(|sink| *sink).count()))
}

fn duration(seconds: f64) -> String {
    match seconds as u64 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Sees that the index in a folder is of what is to be counted.
fn fits(plan: &Plan, folder: &Folder, note: &Note) -> Result<(), Report> {
    let differs = plan.origin.differs(&note.of).or_else(|| {
        (note.rule != plan.rule).then(|| {
            let Rule { context, top } = note.rule;
            format!("it has windows of {context} tokens and {top} best examples")
        })
    });
    let differs = differs.or_else(|| (note.shard != plan.shard).then(|| "it is another shard".to_owned()));
    match differs {
        Some(why) => Err(Report::new(format!("cannot continue the index `{}`", folder.0.display()))
            .because(why)
            .hint("name a new folder with --out DIR, or delete this one")
            .kind(Kind::Usage)),
        None => Ok(()),
    }
}
