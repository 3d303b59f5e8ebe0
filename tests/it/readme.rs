//! README says what is true: its key table is the program's, its commands exist, its suites are in the catalogue.

use saescope::cli::args::Args;
use saescope::{suite, tui};

const README: &str = include_str!("../../README.md");

#[test]
fn the_key_table_is_the_programs() {
    let (_, rest) = README.split_once("held by a test -->\n").expect("README has the keys' mark");
    let (table, _) = rest.split_once("<!-- /keys -->").expect("README ends the keys");
    let keys = tui::keymap::markdown();
    if std::env::var_os("UPDATE_README").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        std::fs::write(path, README.replacen(table, &keys, 1)).expect("README can be written");
        return;
    }
    assert_eq!(table.trim(), keys.trim(), "UPDATE_README=1 cargo test --test it readme brings it up to date");
}

#[test]
fn every_command_line_can_be_parsed() {
    let mut lines = 0;
    for line in README.lines().filter(|line| line.starts_with("saescope ")) {
        let line = line.split(" #").next().unwrap_or(line);
        let words = shell_words(line);
        let parsed: Result<Args, _> = clap::Parser::try_parse_from(words);
        assert!(parsed.is_ok(), "{line}: {parsed:?}");
        lines += 1;
    }
    assert!(lines >= 5, "README has command lines");
}

#[test]
fn the_suites_it_names_are_in_the_catalogue() {
    for id in ["demo", "gpt2-small-feature-splitting", "gpt2-small-res-jb-0", "gpt2-small-res-jb-11-post"] {
        assert!(README.contains(id.trim_end_matches("-post").trim_end_matches("-11")), "README names {id}");
        suite::find(id, &[]).unwrap_or_else(|error| panic!("{id}: {error}"));
    }
}

#[test]
fn its_suite_file_is_one() {
    let (_, rest) = README.split_once("```toml\n").expect("README shows a suite file");
    let (toml, _) = rest.split_once("```").expect("it ends");
    let parsed = suite::parse("README", toml, suite::Base::Nowhere).expect("is a suite");
    assert_eq!((parsed.id.as_str(), parsed.saes.len()), ("my-suite", 1));
}

/// Words of a command line with single quotes, as a shell splits them.
fn shell_words(line: &str) -> Vec<String> {
    line.split('\'')
        .enumerate()
        .flat_map(|(part, text)| match part % 2 {
            1 => vec![text.to_owned()],
            _ => text.split_whitespace().map(ToOwned::to_owned).collect(),
        })
        .collect()
}
