//! Serves a directory tree as a hub on the loopback, for trying downloads by hand:
//! `cargo run --example hub_stand_in -- DIR [PORT] [FAULT]…`, then `HF_ENDPOINT=http://127.0.0.1:PORT saescope …`.
//! Not here: the protocol, which the tests share.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

#[allow(dead_code, reason = "the tests use more of the stand-in than this does")]
#[path = "../tests/it/support/hub_server.rs"]
mod hub_server;

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use hub_server::{Fault, HubServer};

const USAGE: &str = "usage: hub_stand_in DIR [PORT] [FAULT]…
  DIR/owner/name/… are the files of owner/name; faults are
  slow=MS          a pause after every 16 KiB
  cut=BYTES        the first three downloads are cut after so many bytes
  flip=BYTE        the first download has another byte there
  status=CODE      the first three answers have this status
  announce=BYTES   every file is said to be so large
  page=ENTRIES     listings come in pages of so many entries
  push=FILE:DIR    when FILE is first downloaded main becomes another commit, with the files in DIR
  gate=REPO:TOKEN  the repository is open only to this token";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = arguments.get(1).map_or(Ok(8000), |port| port.parse());
    let (Some(directory), Ok(port)) = (arguments.first(), port) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let server = match HubServer::serve_on(Path::new(directory), port) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("cannot listen on port {port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.iter().skip(2).any(|fault| script(&server, fault).is_none()) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    println!("HF_ENDPOINT={}", server.endpoint());
    let mut told = 0;
    loop {
        let requests = server.requests();
        for request in &requests[told..] {
            let range = request.range.as_deref().unwrap_or("");
            let token = if request.token.is_some() { " +token" } else { "" };
            println!("{} {} {range}{token}", request.method, request.path);
        }
        told = requests.len();
        thread::sleep(Duration::from_millis(200));
    }
}

/// Takes one `name=value` of the command line.
fn script(server: &HubServer, fault: &str) -> Option<()> {
    let (name, value) = fault.split_once('=')?;
    match name {
        "slow" => {
            let pause = Duration::from_millis(value.parse().ok()?);
            server.fault("GET", "resolve", usize::MAX, Fault::Slow(pause));
        }
        "cut" => server.fault("GET", "resolve", 3, Fault::Cut(value.parse().ok()?)),
        "flip" => server.fault("GET", "resolve", 1, Fault::Flip(value.parse().ok()?)),
        "announce" => server.fault("*", "resolve", usize::MAX, Fault::Announce(value.parse().ok()?)),
        "page" => server.page(value.parse().ok()?, &server.endpoint()),
        "push" => {
            let (file, directory) = value.split_once(':')?;
            server.fault("GET", file, 1, Fault::Push("fedcba98".repeat(5), directory.into()));
        }
        "status" => server.fault("*", "resolve", 3, Fault::Status(value.parse().ok()?, Vec::new())),
        "gate" => {
            let (repo, token) = value.split_once(':')?;
            server.gate(repo, token);
        }
        _ => return None,
    }
    Some(())
}
