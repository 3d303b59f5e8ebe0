//! Serves a directory tree as a hub on the loopback, for trying downloads by hand:
//! `cargo run --example hub_stand_in -- DIR [PORT]`, then `HF_ENDPOINT=http://127.0.0.1:PORT saescope …`.
//! Not here: the protocol, which the tests share.
#![allow(dead_code, reason = "the tests use more of the stand-in than this does")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

#[path = "../tests/support/hub_server.rs"]
mod hub_server;

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = arguments.get(1).map_or(Ok(8000), |port| port.parse());
    let (Some(directory), Ok(port)) = (arguments.first(), port) else {
        eprintln!("usage: hub_stand_in DIR [PORT]   (DIR/owner/name/… are the files of owner/name)");
        return ExitCode::from(2);
    };
    let server = match hub_server::HubServer::serve_on(Path::new(directory), port) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("cannot listen on port {port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("HF_ENDPOINT={}", server.endpoint());
    let mut told = 0;
    loop {
        let requests = server.requests();
        for request in &requests[told..] {
            let range = request.range.as_deref().unwrap_or("");
            println!(
                "{} {} {range}{}",
                request.method,
                request.path,
                if request.token.is_some() { " +token" } else { "" }
            );
        }
        told = requests.len();
        thread::sleep(Duration::from_millis(200));
    }
}
