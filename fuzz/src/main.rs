//! Feeds the readers of foreign files with damaged ones: `cargo run -p fuzz -- TARGET [MINUTES] [SEED]`, in the profile
//! that checks overflows. It runs itself as a child with bounded memory, so that what ends a process is found as well.
//! Not here: how files are damaged (`mutate`), and what is done with them (`targets`).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod campaign;
mod input;
mod mutate;
mod targets;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs, io};

use campaign::{Counts, Plan};
use input::Input;
use targets::Target;

const USAGE: &str = "usage: fuzz TARGET [MINUTES] [SEED]
       fuzz TARGET --again FOLDER
  TARGET is safetensors, pickle, npz, suite or tokenizer
  MINUTES is 20 without it, SEED 0: the same one damages the same files in the same way
  --again gives the target the files of one folder, such as what was found and stands in target/fuzz/TARGET";

/// Memory that one child may take, in KiB of addresses: thousands of times the largest input.
const MEMORY: usize = 2 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--child", target, seed, seconds, folder] => child(target, seed, seconds, Path::new(folder)),
        [target, "--again", folder] => again(target, Path::new(folder)),
        [target] => parent(target, "20", "0"),
        [target, minutes] => parent(target, minutes, "0"),
        [target, minutes, seed] => parent(target, minutes, seed),
        _ => None,
    };
    done.unwrap_or_else(|| {
        eprintln!("{USAGE}");
        ExitCode::from(2)
    })
}

/// Damages files for so many seconds, in this process.
fn child(target: &str, seed: &str, seconds: &str, folder: &Path) -> Option<ExitCode> {
    let target = Target::named(target)?;
    let time = Duration::from_secs_f64(seconds.parse().ok().filter(|seconds: &f64| *seconds >= 0.0)?);
    campaign::run(&Plan { target, seed: seed.parse().ok()?, time, folder: folder.to_owned() });
    Some(ExitCode::SUCCESS)
}

/// Gives the files of a folder to a target, in this process.
fn again(target: &str, folder: &Path) -> Option<ExitCode> {
    let target = Target::named(target)?;
    let input = Input::of_folder(folder).inspect_err(|error| eprintln!("{}: {error}", folder.display())).ok()?;
    let start = Instant::now();
    println!("{}", target.run(&input, folder));
    println!("{:.3} s", start.elapsed().as_secs_f64());
    Some(ExitCode::SUCCESS)
}

/// Runs children one after the other until the time is over, and keeps what ended one.
fn parent(target: &str, minutes: &str, seed: &str) -> Option<ExitCode> {
    Target::named(target)?;
    let minutes: f64 = minutes.parse().ok().filter(|minutes| (0.0..1e6).contains(minutes))?;
    let mut seed: u64 = seed.parse().ok()?;
    let found = PathBuf::from("target/fuzz").join(target);
    let (end, mut counts, mut ended) = (Instant::now() + Duration::from_secs_f64(60.0 * minutes), Counts::default(), 0);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let work = tempfile::tempdir_in(fast_folder()).inspect_err(|error| eprintln!("no folder: {error}")).ok()?;
        let status = spawn(target, seed, left, work.path());
        let status = status.inspect_err(|error| eprintln!("cannot run myself: {error}")).ok()?;
        counts.add(&Counts::read(work.path()));
        let _ = input::keep_all(&work.path().join("found"), &found);
        if status.success() {
            break;
        }
        ended += 1;
        eprintln!("seed {seed}: the process ended with {status}");
        let _ = input::keep(&work.path().join("current"), &found.join(format!("ended-{seed}")));
        // The same seed would end there again.
        seed += 1;
    }
    println!("{target}: {counts}; processes that ended early: {ended}; found: {}", found.display());
    Some(if counts.found + ended == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn spawn(target: &str, seed: u64, time: Duration, work: &Path) -> io::Result<std::process::ExitStatus> {
    let (seed, seconds) = (seed.to_string(), time.as_secs_f64().to_string());
    let limited = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).arg(env::current_exe()?).args(["--child", target, &seed, &seconds]).arg(work);
    // One thread of the pools is enough, and each thread takes addresses.
    command.env("RAYON_NUM_THREADS", "1").env("RUST_BACKTRACE", "0").status()
}

/// Where small files are written fast.
fn fast_folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if fs::metadata(&memory).is_ok_and(|about| about.is_dir()) { memory } else { env::temp_dir() }
}
