#!/usr/bin/env bash
# reqwest 0.13.5: an address with a user and a password makes a Basic header of its own, and `bearer_auth` adds a second
# `Authorization` to it instead of taking its place.
#
# Guess: `RequestBuilder::bearer_auth` sets the header, as in Python (httpx, requests: one header; huggingface_hub 2.4.0
# sends Basic alone), so the request says once who asks.
# Real: both are sent, Basic first. HTTP allows one (RFC 9110, 11.6.2: the field is not a list), and servers differ in which
# one they read: behind a mirror that asks for a password, a token is heeded or not by chance.
#
# What this program does: an endpoint with a user gets those alone, and no token (`src/hub/client.rs`).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "asks"
version = "0.0.0"
edition = "2024"

[dependencies]
reqwest = { version = "=0.13.5", default-features = false }
tokio = { version = "=1.54.1", features = ["rt", "time"] }
TOML
cat > src/main.rs <<'RUST'
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let seen: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        seen
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://reader:secret@127.0.0.1:{port}/");
        client.get(url).bearer_auth("a-token").send().await.unwrap();
    });
    for line in server.join().unwrap() {
        if line.to_ascii_lowercase().starts_with("authorization") {
            println!("{line}");
        }
    }
}
RUST
seen=$(cargo run --quiet)
echo "$seen"
[ "$(echo "$seen" | grep -ci '^authorization: Basic cmVhZGVyOnNlY3JldA==')" = 1 ] || { echo "changed: no Basic header"; exit 1; }
[ "$(echo "$seen" | grep -ci '^authorization: Bearer a-token')" = 1 ] || { echo "changed: no Bearer header"; exit 1; }
[ "$(echo "$seen" | wc -l)" = 2 ] || { echo "changed: not two headers"; exit 1; }
echo "seen with reqwest 0.13.5: two Authorization headers, Basic of the address and the bearer token"
