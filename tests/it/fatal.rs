//! The last word of a command without a screen.
//! Not here: that of the explorer (`tui_terminal`).
#![cfg(target_os = "linux")]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Whether a process answers a signal, by the system's own list.
fn answers(process: u32, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
    u64::from_str_radix(caught.trim(), 16).is_ok_and(|bits| bits & (1 << (signal - 1)) != 0)
}

#[test]
fn a_signal_that_ends_a_command_at_once_is_told_on_standard_error() {
    for (signal, name) in [(3, "SIGQUIT"), (7, "SIGBUS"), (6, "SIGABRT")] {
        let folder = tempfile::tempdir().expect("a folder");
        // It waits for a prompt that never comes.
        let program = format!("ulimit -c 0; exec '{}' run --suite demo --json -", env!("CARGO_BIN_EXE_saescope"));
        let mut command = Command::new("sh");
        command.args(["-c", &program]).env("HOME", folder.path());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("started");
        let open = child.stdin.take();
        let until = Instant::now() + Duration::from_mins(1);
        while !answers(child.id(), signal) && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let output = child.wait_with_output().expect("ended");
        drop(open);
        assert_eq!(output.status.signal(), Some(signal as i32), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.starts_with(&format!("error: saescope was ended by {name}\ncaused by: ")), "{told}");
        assert!(output.stdout.is_empty(), "nothing of the terminal is written where there is none");
    }
}
