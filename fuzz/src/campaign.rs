//! One child's work: take an input, damage it, give it to the target, and keep what showed something new.
//! Not here: the target, and what becomes of a process that ends.

use std::collections::HashSet;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::targets::Target;

/// The largest input, in bytes.
const LARGEST: usize = 256 << 10;
/// One input may take so long by the clock; the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_mins(1);
/// The counts are written down after so many inputs.
const TOLD_EVERY: u64 = 256;

/// What to do.
pub struct Plan {
    pub target: Target,
    pub seed: u64,
    pub time: Duration,
    /// Where the current input is, what was found, and the counts.
    pub folder: PathBuf,
}

/// How much was done.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Inputs that the target was given.
    pub executions: u64,
    /// Inputs that the target read without an error.
    pub read: u64,
    /// Different outcomes.
    pub outcomes: u64,
    /// The longest that one took, in milliseconds.
    pub slowest: u64,
    /// What should not have happened, each kind once.
    pub found: u64,
}

impl Counts {
    /// Those that a child wrote.
    pub fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("counts")).unwrap_or_default();
        let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self { executions: next(), read: next(), outcomes: next(), slowest: next(), found: next() }
    }

    fn write(&self, folder: &Path) {
        let Self { executions, read, outcomes, slowest, found } = self;
        // Where it cannot be written the parent counts less.
        let _ = fs::write(folder.join("counts"), format!("{executions} {read} {outcomes} {slowest} {found}"));
    }

    /// Adds another child's.
    pub fn add(&mut self, other: &Self) {
        self.executions += other.executions;
        self.read += other.read;
        self.outcomes = self.outcomes.max(other.outcomes);
        self.slowest = self.slowest.max(other.slowest);
        self.found += other.found;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, read, outcomes, slowest, found } = self;
        write!(f, "{executions} inputs, {read} read, {outcomes} outcomes, slowest {slowest} ms, found {found}")
    }
}

/// Ends the process when one input takes too long.
struct Watch(Arc<Mutex<Instant>>);

impl Watch {
    fn new() -> Self {
        let since = Arc::new(Mutex::new(Instant::now()));
        let seen = Arc::clone(&since);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(1));
                if seen.lock().is_ok_and(|since| since.elapsed() > PATIENCE) {
                    eprintln!("one input took more than {PATIENCE:?}");
                    process::abort();
                }
            }
        });
        Self(since)
    }

    fn begin(&self) -> Instant {
        let now = Instant::now();
        if let Ok(mut since) = self.0.lock() {
            *since = now;
        }
        now
    }
}

/// Damages inputs until the time is over.
pub fn run(plan: &Plan) {
    let end = Instant::now() + plan.time;
    let mut rng = StdRng::seed_from_u64(plan.seed);
    let seeds = plan.target.seeds();
    assert!(!seeds.is_empty(), "there are seeds: run it from the repository's root");
    let (mut corpus, mut seen, mut bad) = (Vec::new(), HashSet::new(), HashSet::new());
    let (mut counts, watch, current) = (Counts::default(), Watch::new(), plan.folder.join("current"));
    let said = silence();
    let mut fresh = seeds.iter().cloned();
    while Instant::now() < end {
        let input = fresh.next().unwrap_or_else(|| {
            let from = if rng.random_bool(0.5) { &seeds } else { &corpus };
            let start = from.choose(&mut rng).or_else(|| seeds.first()).cloned().unwrap_or_default();
            let donor = seeds.choose(&mut rng).cloned().unwrap_or_default();
            plan.target.damaged(&start, &donor, &mut rng)
        });
        if input.size() > LARGEST || input.write(&current).is_err() {
            continue;
        }
        let start = watch.begin();
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| plan.target.run(&input, &current)));
        counts.slowest = counts.slowest.max(start.elapsed().as_millis() as u64);
        counts.executions += 1;
        let wrong = match &outcome {
            Ok(outcome) => outcome.wrong.clone(),
            Err(_) => Some(said.lock().map(|said| said.clone()).unwrap_or_default()),
        };
        counts.read += u64::from(outcome.as_ref().is_ok_and(|outcome| outcome.is_read));
        if let Some(wrong) = wrong {
            if bad.insert(outcome_of(&wrong)) {
                counts.found += 1;
                eprintln!("found {}: {wrong}", counts.found);
                let _ = input.write(&plan.folder.join("found").join(format!("{}-{}", plan.seed, counts.executions)));
            }
        } else if let Ok(outcome) = outcome
            && seen.insert(outcome_of(&outcome.to_string()))
        {
            counts.outcomes += 1;
            corpus.push(input);
        }
        if counts.executions.is_multiple_of(TOLD_EVERY) {
            counts.write(&plan.folder);
        }
    }
    counts.write(&plan.folder);
}

/// A message without what is quoted in it and without numbers: what it says of its kind.
fn outcome_of(message: &str) -> String {
    let outside = message.split(['`', '"', '\'']).step_by(2);
    let mut kind: String = outside.flat_map(str::chars).filter(|c| !c.is_ascii_digit()).collect();
    kind.truncate(kind.floor_char_boundary(200));
    kind
}

/// Keeps what a panic says in place of printing it.
fn silence() -> Arc<Mutex<String>> {
    let said = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&said);
    panic::set_hook(Box::new(move |info| {
        if let Ok(mut keep) = keep.lock() {
            *keep = info.to_string();
        }
    }));
    said
}
