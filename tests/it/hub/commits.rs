//! Branches that move: while something is fetched, and afterwards.
//! Not here: which commit of a suite is opened.

use std::fs;
use std::path::{Path, PathBuf};

use saescope::hub::{Error, Locator, Repo, RepoFile};
use saescope::task::Cancel;

use super::{SIZE, Setting, WEIGHTS, content, fetch, report, setting, wanted};
use crate::support::hub_server::{self, Fault};

/// A commit after the first.
pub const NEXT: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// The files of the next commit: all but `sub/cfg.json` are others.
fn next(setting: &Setting) -> PathBuf {
    let root = setting.files.with_file_name("next");
    let repo = root.join("owner/name");
    fs::create_dir_all(repo.join("sub")).expect("is made");
    fs::write(repo.join("config.json"), "{\"b\": 2}").expect("is written");
    fs::write(repo.join("sub/cfg.json"), "{}").expect("is written");
    fs::write(repo.join(WEIGHTS), newer()).expect("is written");
    root
}

/// As long as the older, and other bytes.
fn newer() -> Vec<u8> {
    content().into_iter().map(|byte| !byte).collect()
}

fn head(setting: &Setting) -> String {
    fs::read_to_string(setting.root().join("refs/main")).expect("is there")
}

#[test]
fn a_commit_pushed_meanwhile_mixes_nothing() {
    let files = [wanted("config.json"), wanted(WEIGHTS), wanted("sub/cfg.json")];
    for (method, at) in [("HEAD", WEIGHTS), ("HEAD", "sub/cfg.json"), ("GET", "config.json"), ("GET", WEIGHTS)] {
        let setting = setting();
        setting.server.fault(method, at, 1, Fault::Push(NEXT.to_owned(), next(&setting)));
        let places = setting.hub().fetch_all(&files, &Cancel::new(), &|_| {}).expect("are fetched");
        let first = setting.root().join("snapshots").join(setting.server.commit());
        assert!(places.iter().all(|place| place.starts_with(&first)), "{places:?}");
        assert_eq!(fs::read(&places[1]).expect("is there"), content(), "{method} {at}");
        assert_eq!(head(&setting), setting.server.commit());
        // The next time all of it is the newer one.
        let places = setting.hub().fetch_all(&files, &Cancel::new(), &|_| {}).expect("are fetched");
        assert_eq!(fs::read(&places[1]).expect("is there"), newer());
        assert_eq!(head(&setting), NEXT);
    }
}

#[test]
fn a_download_goes_on_at_the_commit_that_it_began_with() {
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 1, Fault::Cut(100_000));
    setting.server.fault("GET", WEIGHTS, 2, Fault::Push(NEXT.to_owned(), next(&setting)));
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched in two parts");
    assert_eq!(fs::read(place).expect("is there"), content());
    assert_eq!(setting.server.sent(), SIZE);
}

#[test]
fn each_repository_is_resolved_once_and_asked_about_each_file_once() {
    let setting = setting();
    let other = setting.files.join("owner/other");
    fs::create_dir_all(&other).expect("is made");
    fs::write(other.join("a.json"), "[1]").expect("is written");
    fs::write(other.join("b.json"), "[2]").expect("is written");
    let of_other = |file: &str| RepoFile { repo: Repo::new("owner/other"), file: file.into() };
    let cancel = Cancel::new();
    let hub = setting.hub();
    let visit = hub.visit(&cancel, &|_| {});
    visit.list(&Repo::new("owner/name"), None, Some("config.json")).expect("is listed");
    visit.fetch_all(&[wanted("config.json"), of_other("a.json")]).expect("are fetched");
    let all = [wanted("config.json"), wanted(WEIGHTS), of_other("a.json"), of_other("b.json")];
    visit.fetch_all(&all).expect("are fetched");
    let named: Vec<String> = setting
        .server
        .requests()
        .into_iter()
        .filter(|seen| seen.path.contains("/main"))
        .map(|seen| seen.path)
        .collect();
    assert_eq!(named, ["/owner/name/resolve/main/config.json", "/owner/other/resolve/main/a.json"]);
    assert_eq!(setting.server.requests().iter().filter(|seen| seen.method == "HEAD").count(), 4);
}

#[test]
fn a_hub_that_answers_with_another_commit_is_not_believed() {
    let setting = setting();
    setting.server.fault("HEAD", WEIGHTS, 9, Fault::Without("X-Repo-Commit"));
    setting.server.fault("HEAD", WEIGHTS, 9, Fault::With("X-Repo-Commit", NEXT));
    let files = [wanted("config.json"), wanted(WEIGHTS)];
    let told = report(setting.hub().fetch_all(&files, &Cancel::new(), &|_| {}).expect_err("is another commit"));
    assert!(told.contains(&format!("at commit {} it answers with {NEXT}", setting.server.commit())), "{told}");
}

#[test]
fn a_branch_is_noted_as_moved_when_all_of_the_newer_commit_is_here() {
    let setting = setting();
    let files = [wanted("config.json"), wanted(WEIGHTS)];
    setting.hub().fetch_all(&files, &Cancel::new(), &|_| {}).expect("are fetched");
    setting.server.push(NEXT, &next(&setting));
    setting.server.fault("GET", WEIGHTS, 99, Fault::Status(500, vec![]));
    let error = setting.hub().fetch_all(&files, &Cancel::new(), &|_| {}).expect_err("does not come");
    assert!(matches!(error, Error::Status { status: 500, .. }), "{error:?}");
    assert_eq!(head(&setting), setting.server.commit());
    let here = setting.hub().find(&Repo::new("owner/name"), WEIGHTS).expect("is here");
    assert_eq!(fs::read(here).expect("is there"), content());
    // Who has nothing yet keeps what has arrived.
    let fresh = super::setting();
    fresh.server.fault("GET", WEIGHTS, 99, Fault::Status(500, vec![]));
    fresh.hub().fetch_all(&files, &Cancel::new(), &|_| {}).expect_err("does not come");
    assert!(fresh.hub().find(&Repo::new("owner/name"), "config.json").is_some());
}

#[test]
fn older_commits_are_those_that_no_name_leads_to() {
    let setting = setting();
    fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    let main = Repo::new("owner/name");
    assert!(setting.hub().earlier(&main).is_empty(), "it is the only one");
    setting.server.push(NEXT, &next(&setting));
    fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    let first = Repo { revision: setting.server.commit().to_owned(), ..main.clone() };
    assert_eq!(setting.hub().earlier(&main), std::slice::from_ref(&first));
    assert!(setting.hub().find(&first, WEIGHTS).is_some());
    assert!(setting.hub().earlier(&first).is_empty(), "a commit is what it is");
    let tag = Repo { revision: "v9".into(), ..main.clone() };
    assert!(setting.hub().earlier(&tag).is_empty(), "nothing was fetched by this name");
    fs::write(setting.root().join("refs/v1"), setting.server.commit()).expect("is written");
    assert!(setting.hub().earlier(&main).is_empty(), "the older one is another's");
}

#[test]
fn a_cache_that_cannot_be_written_to_serves_when_every_byte_is_there() {
    let setting = setting();
    let before = fetch(&setting.hub(), "sub/cfg.json").expect("is fetched");
    fetch(&setting.hub(), "config.json").expect("is fetched");
    setting.server.push(NEXT, &next(&setting));
    // As a cache mounted read-only: nothing can be made below the newer commit, whoever asks.
    fs::write(setting.root().join("snapshots").join(NEXT), "in the way").expect("is written");
    let place = fetch(&setting.hub(), "sub/cfg.json").expect("is here");
    assert_eq!(place, before, "the older commit has the same bytes");
    assert_eq!(setting.gets("sub/cfg.json"), 1);
    assert_eq!(setting.hub().find(&Repo::new("owner/name"), "sub/cfg.json"), Some(before));
    // Other bytes of the same length are not passed off as those, also when the right ones are a blob.
    let etag = hub_server::etag(Path::new("config.json"), b"{\"b\": 2}");
    fs::write(setting.root().join("blobs").join(etag), "{\"b\": 2}").expect("is written");
    assert!(matches!(fetch(&setting.hub(), "config.json"), Err(Error::Io { .. })));
    assert_eq!(head(&setting), setting.server.commit());
}
