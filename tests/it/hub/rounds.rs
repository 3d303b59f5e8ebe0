//! Answers that are not what was announced or asked for, and addresses of hubs in every form.
//! Not here: lists of files.

use std::fs;

use saescope::hub::{Environment, Error, Repo};

use super::{SIZE, Setting, WEIGHTS, content, fetch, hub, report, setting, wanted};
use crate::support::hub_server::{self, Fault};

/// A text that lives as long as the program.
fn text(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn with_partial(length: usize) -> Setting {
    let setting = setting();
    fs::create_dir_all(setting.root().join("blobs")).expect("is made");
    fs::write(setting.partial(), &content()[..length]).expect("is written");
    setting
}

#[test]
fn a_file_that_is_shorter_than_announced_ends_with_a_report() {
    for ranges in [true, false] {
        let setting = setting();
        setting.server.fault("*", WEIGHTS, 99, Fault::Announce(SIZE + 100_000));
        if !ranges {
            setting.server.fault("GET", WEIGHTS, 99, Fault::NoRanges);
        }
        let error = fetch(&setting.hub(), WEIGHTS).expect_err("does not end otherwise");
        assert!(matches!(error, Error::Short { have: SIZE, want: 400_000, .. }), "{error:?}");
        assert_eq!(setting.gets(WEIGHTS), 4, "three rounds that get no further are borne");
        if ranges {
            assert_eq!(setting.server.sent(), SIZE, "no byte is fetched twice");
        }
        let told = report(error);
        assert!(told.starts_with("the hub announced `model.safetensors` with 400000 bytes and gives 300000"), "{told}");
        assert!(!setting.root().join("snapshots").exists());
    }
}

#[test]
fn rounds_that_get_further_are_not_counted() {
    let setting = setting();
    for end in 1..8 {
        setting.server.fault("GET", WEIGHTS, 1, Fault::Cut(end * 10_000));
    }
    fetch(&setting.hub(), WEIGHTS).expect("is fetched in eight parts");
    assert_eq!(setting.gets(WEIGHTS), 8, "more than the failures that are borne in a row");
}

#[test]
fn a_length_that_nobody_told_is_found_out() {
    for here in [0, 123_456, SIZE as usize] {
        let (setting, elsewhere) = (with_partial(here), setting());
        setting.server.fault("*", WEIGHTS, 99, Fault::Without("X-Linked-Size"));
        setting.server.fault("*", WEIGHTS, 99, Fault::Elsewhere(elsewhere.server.endpoint()));
        let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
        assert_eq!(fs::read(place).expect("is there"), content(), "{here}");
        assert_eq!(elsewhere.server.sent(), SIZE - here as u64);
    }
}

#[test]
fn a_part_that_begins_before_the_one_asked_for_is_taken_and_one_behind_it_is_not() {
    let setting = with_partial(123_456);
    setting.server.fault("GET", WEIGHTS, 1, Fault::From(100_000));
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    assert_eq!(fs::read(place).expect("is there"), content());
    let setting = with_partial(123_456);
    setting.server.fault("GET", WEIGHTS, 1, Fault::From(123_457));
    let told = report(fetch(&setting.hub(), WEIGHTS).expect_err("has a hole"));
    assert!(told.contains("from byte 123456 it gives bytes 123457-299999/300000"), "{told}");
}

#[test]
fn what_was_compressed_on_the_way_is_called_that() {
    let setting = setting();
    setting.server.fault("*", "config.json", 9, Fault::With("Content-Encoding", "gzip"));
    let told = report(fetch(&setting.hub(), "config.json").expect_err("is compressed"));
    assert!(told.contains("it gives `config.json` compressed"), "{told}");
    assert!(!setting.root().join("snapshots").exists());
}

#[test]
fn a_server_that_knows_no_heads_is_asked_for_the_first_byte() {
    for status in [405, 501] {
        let setting = setting();
        setting.server.fault("HEAD", "/", 99, Fault::Status(status, vec![]));
        for file in [WEIGHTS, "config.json", "sub/cfg.json"] {
            let place = fetch(&setting.hub(), file).expect("is fetched");
            let original = fs::read(setting.files.join("owner/name").join(file)).expect("is there");
            assert_eq!(fs::read(place).expect("is there"), original);
        }
        let info = setting.hub().info(&[wanted("config.json")], &saescope::task::Cancel::new()).expect("is asked");
        assert_eq!(info[0].as_ref().ok().and_then(|info| info.size), Some(8));
    }
}

#[test]
fn an_etag_is_its_name_without_quotes_and_weakness() {
    let git = hub_server::etag(std::path::Path::new("config.json"), b"{\"a\": 1}");
    for etag in [format!("W/\"{git}\""), format!("\"{git}\""), git.clone()] {
        let setting = setting();
        setting.server.fault("*", "config.json", 99, Fault::Without("ETag"));
        setting.server.fault("*", "config.json", 99, Fault::With("ETag", text(etag)));
        // Python takes the other one as well where the first is empty.
        setting.server.fault("*", "config.json", 99, Fault::With("X-Linked-Etag", ""));
        fetch(&setting.hub(), "config.json").expect("is fetched");
        assert!(setting.root().join("blobs").join(&git).is_file());
    }
}

#[test]
fn an_endpoint_may_have_a_port_a_path_and_who_asks() {
    let setting = setting();
    let below = setting.files.join("mirror");
    fs::create_dir_all(&below).expect("is made");
    fs::rename(setting.files.join("owner"), below.join("owner")).expect("is moved");
    let endpoint = setting.server.endpoint().replace("http://", "http://me:pa%20ss@") + "/mirror";
    let environment = Environment { endpoint, token: Some("secret".into()), ..setting.environment() };
    let place = fetch(&hub(environment), WEIGHTS).expect("is fetched");
    assert_eq!(fs::read(place).expect("is there"), content());
    for seen in setting.server.requests() {
        assert!(seen.path.starts_with("/mirror/owner/name/resolve/"), "{seen:?}");
        // `printf 'me:pa ss' | base64`; as with Python, the address says who asks, and nothing else does.
        assert_eq!(seen.authorization, ["Basic bWU6cGEgc3M="]);
    }
}

#[test]
fn what_proves_who_asks_is_sent_where_the_hub_leads_to_within_itself_and_nowhere_else() {
    let (setting, elsewhere) = (setting(), setting());
    let endpoint = setting.server.endpoint();
    let here = vec![("Location", format!("{endpoint}/owner/name/resolve/main/{WEIGHTS}"))];
    setting.server.fault("*", "/owner/old/", 99, Fault::Status(307, here));
    setting.server.fault("*", "/owner/name/", 99, Fault::Elsewhere(elsewhere.server.endpoint()));
    let environment = Environment { endpoint: endpoint.replace("http://", "http://me:pass@"), ..setting.environment() };
    let old = saescope::hub::RepoFile { repo: Repo::new("owner/old"), file: WEIGHTS.into() };
    let cancel = saescope::task::Cancel::new();
    let place = hub(environment).fetch(&old, &cancel, &|_| {}).expect("is fetched");
    assert_eq!(fs::read(place).expect("is there"), content());
    assert!(setting.server.requests().iter().all(|seen| seen.authorization == ["Basic bWU6cGFzcw=="]));
    let there = elsewhere.server.requests();
    assert!(!there.is_empty() && there.iter().all(|seen| seen.authorization.is_empty()), "{there:?}");
}

#[test]
fn a_repository_that_was_renamed_is_not_one_that_does_not_exist() {
    let setting = setting();
    // A server that gives no reason is asked what there is, and that has moved.
    setting.server.fault("HEAD", "resolve", 9, Fault::Status(404, vec![]));
    let to = |path: &str| Fault::Status(301, vec![("Location", format!("/api/models/owner/name{path}"))]);
    setting.server.fault("GET", "/owner/old/revision/", 9, to("/revision/main"));
    setting.server.fault("GET", "/owner/old", 9, to(""));
    let old = saescope::hub::RepoFile { repo: Repo::new("owner/old"), file: "none.json".into() };
    let error = setting.hub().fetch(&old, &saescope::task::Cancel::new(), &|_| {}).expect_err("is not there");
    assert_eq!(error.to_string(), "`owner/old` has no file `none.json`");
}
