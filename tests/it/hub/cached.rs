//! What may be in the cache: files in place of links, links and pipes in place of files, bytes that have changed.
//! Not here: branches that move.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use saescope::hub::{Environment, Error, Hub, Locator, Repo, RepoFile};
use saescope::task::Cancel;

use super::commits::NEXT;
use super::{SIZE, Setting, WEIGHTS, content, fetch, hub, report, setting, wanted};
use crate::support::hub_server::{self, Fault};

/// The blob of the weights.
fn blob(setting: &Setting) -> PathBuf {
    setting.root().join("blobs").join(hub_server::etag(Path::new(WEIGHTS), &content()))
}

/// Changes a byte of a file and nothing else.
fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("is there");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("is written");
}

/// Fetches a file, and gives its content with the names of what was damaged.
fn mend(hub: &Hub, wanted: RepoFile) -> Result<(Vec<u8>, Vec<String>), Error> {
    let cancel = Cancel::new();
    let visit = hub.visit(&cancel, &|_| {});
    let places = visit.fetch_all(&[wanted])?;
    let mended = visit.mended().into_iter().map(|file| format!("{}: {}", file.repo, file.file)).collect();
    Ok((fs::read(&places[0]).expect("is there"), mended))
}

/// What is in a cache: where links lead to, and what is in files.
fn layout(cache: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("is there").flatten() {
        let path = entry.path();
        let name = path.strip_prefix(cache).expect("is in it").display().to_string();
        if let Ok(target) = fs::read_link(&path) {
            found.insert(name, format!("-> {}", target.display()));
        } else if path.is_dir() {
            layout(cache, &path, found);
        } else {
            found.insert(name, fs::read_to_string(&path).expect("is text"));
        }
    }
}

#[test]
fn the_cache_is_laid_out_as_python_lays_it_out() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hub");
    let text = fs::read_to_string(fixtures.join("layout.json")).expect("is there");
    let python: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&text).expect("is JSON");
    assert_eq!(python.len(), 3);
    for (case, expected) in python {
        let cache = tempfile::tempdir().expect("a folder");
        let server = hub_server::HubServer::serve(&fixtures.join("files")).expect("can listen");
        let environment =
            Environment { endpoint: server.endpoint(), cache: cache.path().to_owned(), token: None, offline: false };
        let fetch = |links: bool, files: &[&str]| {
            let files: Vec<RepoFile> = files.iter().map(|file| wanted(file)).collect();
            let hub = hub(environment.clone()).symlinks(links);
            hub.fetch_all(&files, &Cancel::new(), &|_| {}).expect("are fetched");
        };
        let files = ["config.json", "model.safetensors", "sub/cfg.json", "last.txt"];
        fetch(case.starts_with("links"), &files);
        server.push(&"fedcba98".repeat(5), &fixtures.join("files"));
        fetch(case.ends_with("links"), &files[..3]);
        let mut found = BTreeMap::new();
        layout(cache.path(), cache.path(), &mut found);
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn without_links_a_commits_files_are_the_contents() {
    let setting = setting();
    let hub = setting.hub().symlinks(false);
    let place = fetch(&hub, WEIGHTS).expect("is fetched");
    assert!(fs::symlink_metadata(&place).expect("is there").is_file());
    assert!(!blob(&setting).exists(), "it is not there twice");
    assert_eq!(fetch(&hub, WEIGHTS).expect("is here"), place);
    assert_eq!(fs::read(&place).expect("is there"), content());
    // The same content under another commit is copied.
    setting.server.push(NEXT, &setting.files);
    let next = fetch(&hub, WEIGHTS).expect("is copied");
    assert!(next.starts_with(setting.root().join("snapshots").join(NEXT)) && place.is_file());
    assert_eq!(fs::read(&next).expect("is there"), content());
    assert_eq!(setting.gets(WEIGHTS), 1);
    // What has changed is fetched, although it is as long.
    let other = setting.files.with_file_name("other");
    fs::create_dir_all(other.join("owner/name")).expect("is made");
    let changed: Vec<u8> = content().into_iter().rev().collect();
    fs::write(other.join("owner/name").join(WEIGHTS), &changed).expect("is written");
    setting.server.push(&"a".repeat(40), &other);
    assert_eq!(fs::read(fetch(&hub, WEIGHTS).expect("is fetched")).expect("is there"), changed);
}

#[test]
fn a_blob_that_is_there_already_stays_where_links_are_not_wanted() {
    let setting = setting();
    let linked = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    let hub = setting.hub().symlinks(false);
    assert_eq!(fetch(&hub, WEIGHTS).expect("is here"), linked, "a link that is there serves");
    setting.server.push(NEXT, &setting.files);
    let copied = fetch(&hub, WEIGHTS).expect("is copied");
    assert!(fs::symlink_metadata(copied).expect("is there").is_file());
    assert!(linked.is_file() && blob(&setting).is_file(), "the older commit keeps it");
    assert_eq!(setting.gets(WEIGHTS), 1);
}

#[test]
fn links_are_not_wanted_in_python_s_words() {
    for (value, links) in [("1", false), ("yes", false), ("ON", false), ("true", false), ("0", true), ("", true)] {
        let setting = setting();
        let env = |name: &str| match name {
            "HF_ENDPOINT" => Some(setting.server.endpoint().into()),
            "HF_HUB_CACHE" => Some(setting.cache.clone().into_os_string()),
            "HF_HUB_DISABLE_SYMLINKS" => Some(value.into()),
            "HF_HUB_DISABLE_IMPLICIT_TOKEN" => Some("1".into()),
            "HOME" => Some("/nowhere".into()),
            _ => None,
        };
        let place = fetch(&Hub::from_env(env).expect("is a hub"), "config.json").expect("is fetched");
        assert_eq!(place.is_symlink(), links, "{value}");
    }
}

/// Puts something else at the second path, which has to do with the first.
type Trap = fn(&Path, &Path);

#[test]
fn what_has_the_name_of_a_file_that_arrives_is_not_followed() {
    let kinds: [(&str, Trap); 4] = [
        ("link", |precious, partial| symlink(precious, partial).expect("is linked")),
        ("link to nowhere", |precious, partial| symlink(precious.with_file_name("none"), partial).expect("is linked")),
        ("second name", |precious, partial| fs::hard_link(precious, partial).expect("is linked")),
        ("pipe", |_, partial| pipe(partial)),
    ];
    for (kind, make) in kinds {
        let setting = setting();
        let precious = setting.files.with_file_name("precious");
        fs::write(&precious, "precious").expect("is written");
        fs::create_dir_all(setting.root().join("blobs")).expect("is made");
        make(&precious, &setting.partial());
        let place = fetch(&setting.hub(), WEIGHTS).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(fs::read(place).expect("is there"), content(), "{kind}");
        assert_eq!(fs::read_to_string(&precious).expect("is there"), "precious", "{kind}");
        assert!(!precious.with_file_name("none").exists());
        assert!(fs::symlink_metadata(blob(&setting)).expect("is there").is_file());
    }
    let setting = setting();
    fs::create_dir_all(setting.partial().join("full")).expect("is made");
    let error = fetch(&setting.hub(), WEIGHTS).expect_err("is in the way");
    assert!(matches!(&error, Error::Io { path, .. } if *path == setting.partial()), "{error:?}");
}

fn pipe(at: &Path) {
    let made = Command::new("mkfifo").arg(at).status().expect("can start");
    assert!(made.success());
}

#[test]
fn pipes_anywhere_in_the_cache_are_not_waited_for() {
    let setting = setting();
    let etag = hub_server::etag(Path::new(WEIGHTS), &content());
    let locks = setting.cache.join(".locks/models--owner--name");
    for place in [setting.root().join("refs/main"), locks.join(format!("{etag}.lock")), blob(&setting)] {
        fs::create_dir_all(place.parent().expect("is in a folder")).expect("is made");
        pipe(&place);
    }
    assert_eq!(setting.hub().find(&Repo::new("owner/name"), WEIGHTS), None);
    assert!(setting.hub().earlier(&Repo::new("owner/name")).is_empty());
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    assert_eq!(fs::read(place).expect("is there"), content());
    assert_eq!(fs::read_to_string(setting.root().join("refs/main")).expect("is text"), setting.server.commit());
    assert!(!fs::metadata(blob(&setting)).expect("is there").file_type().is_fifo());
}

#[test]
fn a_byte_that_has_changed_in_the_cache_is_found_when_it_is_pulled_again() {
    for links in [true, false] {
        let setting = setting();
        let hub = setting.hub().symlinks(links);
        let place = fetch(&hub, WEIGHTS).expect("is fetched");
        flip(&place, 7);
        let (found, mended) = mend(&hub, wanted(WEIGHTS)).expect("is fetched again");
        assert_eq!((found, mended), (content(), vec!["owner/name: model.safetensors".to_owned()]), "{links}");
        let (found, mended) = mend(&hub, wanted(WEIGHTS)).expect("is here");
        assert_eq!((found, mended.len()), (content(), 0));
        assert_eq!(setting.gets(WEIGHTS), 2);
        assert_eq!(place.is_symlink(), links);
    }
}

#[test]
fn a_commits_file_is_held_to_what_its_link_says() {
    let setting = setting();
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    let repo = Repo { id: "owner/name".into(), revision: setting.server.commit().to_owned() };
    let pinned = RepoFile { repo, file: WEIGHTS.into() };
    flip(&place, 0);
    let offline = hub(Environment { offline: true, ..setting.environment() });
    let told = report(mend(&offline, wanted(WEIGHTS)).expect_err("is damaged"));
    assert!(told.starts_with("`model.safetensors` of `owner/name` is damaged in the cache: its SHA-256 is"), "{told}");
    let (found, mended) = mend(&setting.hub(), pinned.clone()).expect("is fetched again");
    assert_eq!((found, mended.len()), (content(), 1));
    let asked = setting.server.requests().len();
    mend(&setting.hub(), pinned.clone()).expect("is here");
    assert_eq!(setting.server.requests().len(), asked, "nobody is asked about what is sound");
    // Who wants to know asks the hub.
    let (_, mended) = mend(&setting.hub().verifying(), pinned).expect("is here");
    assert_eq!(mended.len(), 0);
    assert!(setting.server.requests().len() > asked);
    assert_eq!(setting.server.sent(), 2 * SIZE);
}

#[test]
fn everything_is_hashed_where_that_is_asked_for() {
    let setting = setting();
    let files = [wanted(WEIGHTS), wanted("config.json"), wanted("sub/cfg.json")];
    setting.hub().fetch_all(&files, &Cancel::new(), &|_| {}).expect("are fetched");
    let (cancel, hub) = (Cancel::new(), setting.hub().verifying());
    let visit = hub.visit(&cancel, &|_| {});
    visit.fetch_all(&files).expect("are here");
    assert_eq!((visit.checked(), visit.mended().len()), (3, 0));
    // A hub that cannot be asked leaves it open, and that is said.
    setting.server.fault("*", "/", 99, Fault::Silence);
    assert!(matches!(mend(&hub, wanted(WEIGHTS)), Err(Error::Network { .. })));
    cancel.cancel();
    assert!(matches!(hub.visit(&cancel, &|_| {}).fetch_all(&files), Err(Error::Cancelled(_))));
}

#[test]
fn a_server_whose_etags_are_its_own_damages_nothing() {
    let setting = setting();
    setting.server.fault("*", "config.json", 99, Fault::Etag("a".repeat(40)));
    fetch(&setting.hub(), "config.json").expect("is fetched");
    for _ in 0..2 {
        let (found, mended) = mend(&setting.hub().verifying(), wanted("config.json")).expect("is here");
        assert_eq!((found, mended.len()), (b"{\"a\": 1}".to_vec(), 0));
    }
}

#[test]
fn what_stays_damaged_is_an_error() {
    let setting = setting();
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    flip(&place, 7);
    setting.server.fault("GET", WEIGHTS, 9, Fault::Flip(9));
    let error = mend(&setting.hub(), wanted(WEIGHTS)).expect_err("is corrupt");
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}
