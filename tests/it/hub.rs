//! Downloads against a stand-in for the hub that fails in every way a hub can.
//! Not here: which files a suite needs.

#[cfg(unix)]
#[path = "hub/cached.rs"]
mod cached;
#[path = "hub/commits.rs"]
mod commits;
#[path = "hub/listing.rs"]
mod listing;
#[path = "hub/rounds.rs"]
mod rounds;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::hub_server::{Fault, HubServer};
use saescope::hub::{Environment, Error, Hub, Locator, Patience, Repo, RepoFile};
use saescope::report::Report;
use saescope::task::{Cancel, Progress};

const WEIGHTS: &str = "model.safetensors";
const SIZE: u64 = 300_000;

/// A hub with one repository, and an empty cache.
struct Setting {
    _folder: tempfile::TempDir,
    cache: PathBuf,
    files: PathBuf,
    server: HubServer,
}

fn setting() -> Setting {
    let folder = tempfile::tempdir().expect("a folder");
    let files = folder.path().join("files");
    let repo = files.join("owner/name");
    fs::create_dir_all(repo.join("sub")).expect("is made");
    fs::write(repo.join("config.json"), "{\"a\": 1}").expect("is written");
    fs::write(repo.join("sub/cfg.json"), "{}").expect("is written");
    fs::write(repo.join(WEIGHTS), content()).expect("is written");
    let server = HubServer::serve(&files).expect("can listen");
    Setting { cache: folder.path().join("cache"), files, server, _folder: folder }
}

/// Bytes of which no two places are alike.
fn content() -> Vec<u8> {
    (0..SIZE / 4).flat_map(|word| (word as u32).wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

impl Setting {
    fn environment(&self) -> Environment {
        Environment { endpoint: self.server.endpoint(), cache: self.cache.clone(), token: None, offline: false }
    }

    fn hub(&self) -> Hub {
        hub(self.environment())
    }

    fn with_token(&self, token: &str) -> Hub {
        hub(Environment { token: Some(token.to_owned()), ..self.environment() })
    }

    fn root(&self) -> PathBuf {
        self.cache.join("models--owner--name")
    }

    fn partial(&self) -> PathBuf {
        let etag = crate::support::hub_server::etag(Path::new(WEIGHTS), &content());
        self.root().join(format!("blobs/{etag}.incomplete"))
    }

    /// How often the content of a file was asked for.
    fn gets(&self, file: &str) -> usize {
        self.server.requests().iter().filter(|seen| seen.method == "GET" && seen.path.ends_with(file)).count()
    }
}

fn hub(environment: Environment) -> Hub {
    let quick = Patience { failures: 3, first: Duration::from_millis(5), longest: Duration::from_secs(2) };
    Hub::new(environment).patience(quick)
}

fn wanted(file: &str) -> RepoFile {
    RepoFile { repo: Repo::new("owner/name"), file: file.to_owned() }
}

fn fetch(hub: &Hub, file: &str) -> Result<PathBuf, Error> {
    hub.fetch(&wanted(file), &Cancel::new(), &|_| {})
}

fn report(error: Error) -> String {
    let report = Report::from(error);
    format!("{} | {} | {}", report.what, report.why.join("; "), report.hint.unwrap_or_default())
}

#[test]
fn a_file_lands_in_the_cache_as_python_lays_it_out() {
    let setting = setting();
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    let commit = setting.server.commit();
    assert_eq!(place, setting.root().join("snapshots").join(commit).join(WEIGHTS));
    assert_eq!(fs::read(&place).expect("is there"), content());
    let etag = crate::support::hub_server::etag(Path::new(WEIGHTS), &content());
    assert_eq!(fs::read_link(&place).expect("is a link"), Path::new("../../blobs").join(&etag));
    assert_eq!(fs::read_to_string(setting.root().join("refs/main")).expect("is there"), commit);
    assert!(setting.cache.join(".locks/models--owner--name").join(format!("{etag}.lock")).is_file());
    assert!(!setting.partial().exists());
    assert_eq!(setting.hub().find(&Repo::new("owner/name"), WEIGHTS), Some(place));
    let nested = fetch(&setting.hub(), "sub/cfg.json").expect("is fetched");
    assert_eq!(fs::read_to_string(nested).expect("is there"), "{}");
}

#[test]
fn what_is_here_is_not_fetched_twice() {
    let setting = setting();
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    assert_eq!(fetch(&setting.hub(), WEIGHTS).expect("is here"), place);
    assert_eq!(setting.gets(WEIGHTS), 1);
    assert_eq!(setting.server.sent(), SIZE);
    // A commit is what it is: nobody is asked.
    let asked = setting.server.requests().len();
    let repo = Repo { id: "owner/name".into(), revision: setting.server.commit().to_owned() };
    let pinned = RepoFile { repo, file: WEIGHTS.into() };
    assert_eq!(setting.hub().fetch(&pinned, &Cancel::new(), &|_| {}).expect("is here"), place);
    assert_eq!(setting.server.requests().len(), asked);
}

#[test]
fn the_same_content_under_another_commit_is_linked_and_not_fetched() {
    let setting = setting();
    fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    fs::remove_dir_all(setting.root().join("snapshots")).expect("is removed");
    let place = fetch(&setting.hub(), WEIGHTS).expect("is linked");
    assert_eq!(fs::read(place).expect("is there"), content());
    assert_eq!(setting.gets(WEIGHTS), 1);
}

#[test]
fn a_cut_connection_goes_on_where_it_stopped() {
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 1, Fault::Cut(100_000));
    fetch(&setting.hub(), WEIGHTS).expect("is fetched in two parts");
    let ranges: Vec<_> =
        setting.server.requests().into_iter().filter(|seen| seen.method == "GET").map(|seen| seen.range).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-".to_owned())]);
    assert_eq!(setting.server.sent(), SIZE, "no byte is fetched twice");
}

#[test]
fn what_a_killed_program_left_is_gone_on_with() {
    let setting = setting();
    fs::create_dir_all(setting.root().join("blobs")).expect("is made");
    fs::write(setting.partial(), &content()[..123_456]).expect("is written");
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    assert_eq!(fs::read(place).expect("is there"), content());
    assert_eq!(setting.server.sent(), SIZE - 123_456);
    assert!(!setting.partial().exists());
}

/// The name of the variable that makes this program the one to be killed.
const VICTIM: &str = "SAESCOPE_TEST_VICTIM";

#[test]
fn a_killed_program_loses_nothing_that_had_arrived() {
    if let Some(setting) = std::env::var_os(VICTIM) {
        let setting = setting.into_string().expect("is text");
        let (endpoint, cache) = setting.split_once(' ').expect("are two words");
        let environment = Environment { endpoint: endpoint.into(), cache: cache.into(), token: None, offline: false };
        // Nobody waits for what comes of it.
        let _ = fetch(&hub(environment), WEIGHTS);
        return;
    }
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 1, Fault::Slow(Duration::from_millis(50)));
    let mut victim = Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", "hub::a_killed_program_loses_nothing_that_had_arrived"])
        .env(VICTIM, format!("{} {}", setting.server.endpoint(), setting.cache.display()))
        .stdout(Stdio::null())
        .spawn()
        .expect("can start");
    let length = || fs::metadata(setting.partial()).map_or(0, |data| data.len());
    while length() < 64 << 10 {
        assert!(victim.try_wait().expect("can be asked").is_none(), "it is still fetching");
        thread::sleep(Duration::from_millis(5));
    }
    victim.kill().expect("can be killed");
    victim.wait().expect("is gone");
    let kept = length();
    let place = fetch(&setting.hub(), WEIGHTS).expect("goes on");
    assert_eq!(fs::read(place).expect("is there"), content());
    let range = setting.server.requests().into_iter().rev().find_map(|seen| seen.range);
    assert_eq!(range, Some(format!("bytes={kept}-")));
}

#[test]
fn a_partial_file_that_is_whole_already_is_only_verified() {
    let setting = setting();
    fs::create_dir_all(setting.root().join("blobs")).expect("is made");
    fs::write(setting.partial(), content()).expect("is written");
    fetch(&setting.hub(), WEIGHTS).expect("is verified");
    assert_eq!(setting.gets(WEIGHTS), 0);
}

#[test]
fn a_partial_file_that_is_not_of_this_content_is_replaced() {
    for length in [100_000, SIZE as usize, SIZE as usize + 1] {
        let setting = setting();
        fs::create_dir_all(setting.root().join("blobs")).expect("is made");
        fs::write(setting.partial(), vec![7; length]).expect("is written");
        let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched again");
        assert_eq!(fs::read(place).expect("is there"), content(), "{length}");
    }
}

#[test]
fn a_server_that_ignores_ranges_still_completes_the_file() {
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 9, Fault::NoRanges);
    fs::create_dir_all(setting.root().join("blobs")).expect("is made");
    fs::write(setting.partial(), &content()[..123_456]).expect("is written");
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    assert_eq!(fs::read(place).expect("is there"), content());
}

#[test]
fn a_flipped_byte_is_noticed_and_the_file_fetched_again() {
    for file in [WEIGHTS, "config.json"] {
        let setting = setting();
        setting.server.fault("GET", file, 1, Fault::Flip(5));
        let place = fetch(&setting.hub(), file).expect("is fetched again");
        let original = fs::read(setting.files.join("owner/name").join(file)).expect("is there");
        assert_eq!(fs::read(place).expect("is there"), original);
        assert_eq!(setting.gets(file), 2);
    }
}

#[test]
fn a_file_that_stays_corrupt_is_deleted_and_reported() {
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 9, Fault::Flip(5));
    let error = fetch(&setting.hub(), WEIGHTS).expect_err("is corrupt");
    let told = report(error);
    assert!(
        told.starts_with(
            "what arrived as `model.safetensors` of `owner/name` is not what the hub announced: its SHA-256 is"
        ),
        "{told}"
    );
    let left: Vec<_> = fs::read_dir(setting.root().join("blobs")).expect("is there").flatten().collect();
    assert!(left.is_empty(), "nothing wrong is kept: {left:?}");
    assert_eq!(setting.hub().find(&Repo::new("owner/name"), WEIGHTS), None);
    assert_eq!(setting.gets(WEIGHTS), 2);
}

#[test]
fn a_server_whose_small_files_have_etags_of_its_own_is_believed_when_it_repeats_itself() {
    let setting = setting();
    setting.server.fault("*", "config.json", 9, Fault::Etag("a".repeat(40)));
    let place = fetch(&setting.hub(), "config.json").expect("is fetched");
    assert_eq!(fs::read_to_string(place).expect("is there"), "{\"a\": 1}");
    assert_eq!(setting.gets("config.json"), 2);
}

#[test]
fn a_page_in_place_of_the_file_is_not_stored() {
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 9, Fault::Page("<html>log in</html>"));
    let error = fetch(&setting.hub(), WEIGHTS).expect_err("is no such file");
    assert!(!matches!(error, Error::Cancelled(_)));
    assert_eq!(setting.hub().find(&Repo::new("owner/name"), WEIGHTS), None);
}

#[test]
fn an_error_page_that_another_program_stored_as_the_file_is_replaced() {
    let setting = setting();
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    fs::write(fs::canonicalize(&place).expect("is there"), "Invalid username or password.").expect("is written");
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched again");
    assert_eq!(fs::read(place).expect("is there"), content());
}

#[test]
fn a_busy_server_is_asked_again() {
    for (status, headers) in [(500, vec![]), (503, vec![]), (429, vec![("Retry-After", "1".to_owned())])] {
        for method in ["HEAD", "GET"] {
            let setting = setting();
            let times = if status == 429 { 1 } else { 2 };
            setting.server.fault(method, WEIGHTS, times, Fault::Status(status, headers.clone()));
            fetch(&setting.hub(), WEIGHTS).unwrap_or_else(|error| panic!("{method} {status}: {error}"));
        }
    }
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 2, Fault::Silence);
    fetch(&setting.hub(), WEIGHTS).expect("is fetched at last");
}

#[test]
fn a_server_that_stays_busy_is_given_up() {
    let setting = setting();
    setting.server.fault("HEAD", WEIGHTS, 99, Fault::Status(503, vec![]));
    let told = report(fetch(&setting.hub(), WEIGHTS).expect_err("is busy"));
    assert_eq!(
        told,
        "the hub answered `model.safetensors` of `owner/name` with status 503 |  | try again later; what has arrived is kept"
    );
    assert_eq!(setting.server.requests().len(), 4, "three failures are borne");
    let hour = || Fault::Status(429, vec![("Retry-After", "3600".to_owned())]);
    setting.server.fault("HEAD", "config.json", 99, hour());
    let told = report(fetch(&setting.hub(), "config.json").expect_err("is to wait"));
    assert!(told.ends_with("the hub asks to wait 3600 seconds; what has arrived is kept"), "{told}");
}

#[test]
fn nobody_at_home_is_said_with_the_host() {
    let setting = setting();
    let environment = Environment { endpoint: "http://127.0.0.1:1".into(), ..setting.environment() };
    let told = report(fetch(&hub(environment), WEIGHTS).expect_err("nobody answers"));
    assert!(told.starts_with("the connection to 127.0.0.1 failed | "), "{told}");
    assert!(told.ends_with("check the network and `HF_ENDPOINT`; what has arrived is kept"), "{told}");
}

#[test]
fn a_hub_that_cannot_be_reached_does_not_matter_for_what_is_here() {
    let setting = setting();
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    let environment = Environment { endpoint: "http://127.0.0.1:1".into(), ..setting.environment() };
    assert_eq!(fetch(&hub(environment), WEIGHTS).expect("is here"), place);
}

#[test]
fn a_gated_repository_says_how_to_get_in() {
    let setting = setting();
    setting.server.gate("owner/name", "good");
    let endpoint = setting.server.endpoint();
    let told = report(fetch(&setting.hub(), WEIGHTS).expect_err("is gated"));
    assert_eq!(
        told,
        format!(
            "`owner/name` is open only to those who have accepted its licence | the hub says: Access to this model is restricted | \
             accept the licence at {endpoint}/owner/name, then make a token at {endpoint}/settings/tokens and set `HF_TOKEN` to it, \
             or run `hf auth login`"
        )
    );
    let told = report(fetch(&setting.with_token("bad"), WEIGHTS).expect_err("is gated"));
    assert!(
        told.ends_with(&format!(
            "accept the licence at {endpoint}/owner/name with the account that the token belongs to"
        )),
        "{told}"
    );
    fetch(&setting.with_token("good"), WEIGHTS).expect("is let in");
    let listed = setting.hub().list(&Repo::new("owner/name"), None, &Cancel::new());
    assert!(matches!(listed, Err(Error::Gated { token: false, .. })), "{listed:?}");
}

#[test]
fn a_refusal_between_head_and_body_stores_nothing() {
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 9, Fault::Status(401, vec![]));
    let error = fetch(&setting.hub(), WEIGHTS).expect_err("is refused");
    assert!(matches!(error, Error::Denied { status: 401, token: false, .. }), "{error:?}");
    assert_eq!(setting.hub().find(&Repo::new("owner/name"), WEIGHTS), None);
}

#[test]
fn what_does_not_exist_is_told_apart() {
    let setting = setting();
    let ask = |id: &str, revision: &str, file: &str| {
        let repo = Repo { id: id.into(), revision: revision.into() };
        let error = setting
            .hub()
            .fetch(&RepoFile { repo, file: file.into() }, &Cancel::new(), &|_| {})
            .expect_err("is not there");
        error.to_string()
    };
    for round in 0..2 {
        assert_eq!(ask("owner/none", "main", WEIGHTS), "the hub has no repository `owner/none`");
        assert_eq!(ask("owner/name", "v9", WEIGHTS), "`owner/name` has no revision `v9`");
        assert_eq!(ask("owner/name", "main", "none.json"), "`owner/name` has no file `none.json`");
        if round == 0 {
            // A server that gives no reason is asked what there is.
            setting.server.fault("HEAD", "resolve", 9, Fault::Status(404, vec![]));
        }
    }
}

#[test]
fn the_token_stays_with_the_hub() {
    let (setting, elsewhere) = (setting(), setting());
    fs::create_dir_all(elsewhere.files.join("owner/name")).expect("is made");
    setting.server.fault("*", WEIGHTS, 9, Fault::Elsewhere(elsewhere.server.endpoint()));
    let place = fetch(&setting.with_token("secret"), WEIGHTS).expect("is fetched from elsewhere");
    assert_eq!(fs::read(place).expect("is there"), content());
    let here = setting.server.requests();
    assert!(!here.is_empty() && here.iter().all(|seen| seen.token.as_deref() == Some("secret")), "{here:?}");
    let there = elsewhere.server.requests();
    assert!(!there.is_empty() && there.iter().all(|seen| seen.token.is_none()), "{there:?}");
}

#[test]
fn bytes_that_are_elsewhere_are_gone_on_with_there() {
    let (setting, elsewhere) = (setting(), setting());
    setting.server.fault("*", WEIGHTS, 9, Fault::Elsewhere(elsewhere.server.endpoint()));
    elsewhere.server.fault("GET", WEIGHTS, 1, Fault::Cut(100_000));
    // An address that has expired: the hub is asked for another.
    elsewhere.server.fault("GET", WEIGHTS, 1, Fault::Status(403, vec![]));
    fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    assert_eq!(elsewhere.server.sent(), SIZE);
}

#[test]
fn a_renamed_repository_is_followed_and_kept_under_the_name_that_was_asked_for() {
    let setting = setting();
    let to = |file: &str| vec![("Location", format!("/owner/name/resolve/main/{file}"))];
    setting.server.fault("*", "/owner/old/", 9, Fault::Status(307, to(WEIGHTS)));
    let old = RepoFile { repo: Repo::new("owner/old"), file: WEIGHTS.into() };
    let place = setting.with_token("secret").fetch(&old, &Cancel::new(), &|_| {}).expect("is fetched");
    assert!(place.starts_with(setting.cache.join("models--owner--old")));
    assert_eq!(fs::read(place).expect("is there"), content());
    assert!(setting.server.requests().iter().all(|seen| seen.token.is_some()), "it is the same hub");
}

#[test]
fn redirects_that_do_not_end_are_given_up() {
    let setting = setting();
    let here = vec![("Location", format!("/owner/name/resolve/main/{WEIGHTS}"))];
    setting.server.fault("*", WEIGHTS, 99, Fault::Status(307, here));
    let told = report(fetch(&setting.hub(), WEIGHTS).expect_err("does not end"));
    assert!(told.contains("it redirects more than 10 times"), "{told}");
}

#[test]
fn files_in_xet_storage_come_over_plain_http() {
    let setting = setting();
    setting.server.fault("*", WEIGHTS, 9, Fault::With("X-Xet-Hash", "abc"));
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    assert_eq!(fs::read(place).expect("is there"), content());
}

#[test]
fn offline_the_cache_is_all_there_is() {
    let setting = setting();
    let place = fetch(&setting.hub(), WEIGHTS).expect("is fetched");
    let asked = setting.server.requests().len();
    let offline = hub(Environment { offline: true, ..setting.environment() });
    assert_eq!(fetch(&offline, WEIGHTS).expect("is here"), place);
    let told = report(fetch(&offline, "config.json").expect_err("is not here"));
    assert_eq!(
        told,
        "`config.json` of `owner/name` is not in the cache, and `HF_HUB_OFFLINE` forbids to fetch it |  | unset `HF_HUB_OFFLINE` to download it"
    );
    assert_eq!(setting.server.requests().len(), asked, "nobody is asked");
}

#[test]
fn cancelling_stops_at_once_and_keeps_what_has_arrived() {
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 1, Fault::Slow(Duration::from_millis(20)));
    let cancel = Cancel::new();
    let on = |progress: Progress| {
        if progress.done >= 64 << 10 {
            cancel.cancel();
        }
    };
    let error = setting.hub().fetch(&wanted(WEIGHTS), &cancel, &on).expect_err("is cancelled");
    assert!(matches!(error, Error::Cancelled(_)), "{error:?}");
    let kept = fs::metadata(setting.partial()).expect("is kept").len();
    assert!((64 << 10..SIZE).contains(&kept), "{kept}");
    let before = setting.server.requests().len();
    fetch(&setting.hub(), WEIGHTS).expect("goes on");
    let ranges: Vec<_> = setting.server.requests().into_iter().skip(before).filter_map(|seen| seen.range).collect();
    assert_eq!(ranges, [format!("bytes={kept}-")]);
}

#[test]
fn progress_is_told_for_the_file_and_for_all() {
    let setting = setting();
    let files = [wanted("config.json"), wanted(WEIGHTS), wanted("sub/cfg.json")];
    let told = RefCell::new(Vec::new());
    let on = |progress: Progress| told.borrow_mut().push(progress);
    let places = setting.hub().fetch_all(&files, &Cancel::new(), &on).expect("are fetched");
    assert_eq!(places.len(), 3);
    let told = told.into_inner();
    let total = 8 + SIZE + 2;
    assert!(told.iter().all(|progress| progress.whole.is_some_and(|whole| whole.total == total && whole.parts == 3)));
    let done: Vec<u64> = told.iter().filter_map(|progress| progress.whole).map(|whole| whole.done).collect();
    assert!(done.is_sorted() && done.last() == Some(&total), "{done:?}");
    let last = told.iter().rfind(|progress| progress.what == WEIGHTS).expect("was told of");
    assert_eq!((last.done, last.total), (SIZE, Some(SIZE)));
}

#[test]
fn a_file_larger_than_the_disk_is_refused_before_it_is_begun() {
    let setting = setting();
    setting.server.fault("HEAD", WEIGHTS, 9, Fault::Announce(1 << 60));
    let error = fetch(&setting.hub(), WEIGHTS).expect_err("has no room");
    let Error::NoRoom { needed, free, .. } = &error else { panic!("{error:?}") };
    assert!(*needed == 1 << 60 && *free < 1 << 60);
    assert_eq!(setting.gets(WEIGHTS), 0);
    assert!(report(error).contains("1153 PB are needed and"));
}

#[test]
fn names_that_lead_out_of_the_cache_are_refused_before_anyone_is_asked() {
    let setting = setting();
    for (id, revision, file) in [
        ("owner/name", "main", "../../x"),
        ("owner/name", "main", "/etc/passwd"),
        ("owner/name", "main", "a\\..\\b"),
        ("owner/name", "main", "a\0b"),
        ("owner/name", "../../x", WEIGHTS),
        ("../name", "main", WEIGHTS),
        ("a/b/c", "main", WEIGHTS),
    ] {
        let repo = Repo { id: id.into(), revision: revision.into() };
        let wanted = RepoFile { repo: repo.clone(), file: file.into() };
        let error = setting.hub().fetch(&wanted, &Cancel::new(), &|_| {}).expect_err("is refused");
        assert!(matches!(error, Error::Name(_)), "{error:?}");
        assert_eq!(setting.hub().find(&repo, file), None);
    }
    assert!(setting.server.requests().is_empty());
    assert!(!setting.cache.exists(), "no path is made");
}

#[test]
fn a_server_whose_answers_lead_out_of_the_cache_is_refused() {
    let setting = setting();
    setting.server.fault("HEAD", WEIGHTS, 1, Fault::Etag("../../x".into()));
    assert!(matches!(fetch(&setting.hub(), WEIGHTS), Err(Error::Name(_))));
    let commit = vec![("X-Repo-Commit", "../x".to_owned()), ("ETag", "\"abc\"".to_owned())];
    setting.server.fault("HEAD", WEIGHTS, 1, Fault::Status(200, commit));
    assert!(matches!(fetch(&setting.hub(), WEIGHTS), Err(Error::Name(_))));
    assert!(!setting.cache.exists(), "no path is made");
}

#[test]
fn a_server_that_is_no_hub_is_called_that() {
    for missing in ["X-Repo-Commit", "ETag"] {
        let setting = setting();
        setting.server.fault("HEAD", "config.json", 9, Fault::Without(missing));
        let told = report(fetch(&setting.hub(), "config.json").expect_err("is no hub"));
        assert!(told.contains("does not answer as a hub does"), "{told}");
    }
}

#[test]
fn two_programs_at_once_fetch_a_file_once() {
    let setting = setting();
    setting.server.fault("GET", WEIGHTS, 9, Fault::Slow(Duration::from_millis(5)));
    let waited = Cell::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| fetch(&setting.hub(), WEIGHTS).expect("is fetched"));
        while setting.gets(WEIGHTS) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        let on = |progress: Progress| waited.set(waited.get() || progress.what.contains("another program"));
        let place = setting.hub().fetch(&wanted(WEIGHTS), &Cancel::new(), &on).expect("waits for the other");
        assert_eq!(place, other.join().expect("ends"));
        assert_eq!(fs::read(place).expect("is there"), content());
    });
    assert!(waited.get());
    assert_eq!(setting.gets(WEIGHTS), 1);
}

#[test]
fn a_folder_is_listed_with_sizes() {
    let setting = setting();
    let listed = setting.hub().list(&Repo::new("owner/name"), None, &Cancel::new()).expect("is listed");
    assert_eq!(listed, [("config.json".to_owned(), 8), (WEIGHTS.to_owned(), SIZE)]);
    let listed = setting.hub().list(&Repo::new("owner/name"), Some("sub"), &Cancel::new()).expect("is listed");
    assert_eq!(listed, [("sub/cfg.json".to_owned(), 2)]);
    let none = setting.hub().list(&Repo::new("owner/none"), None, &Cancel::new());
    assert!(matches!(none, Err(Error::NoRepository { .. })), "{none:?}");
}

#[test]
fn many_files_are_asked_about_at_once_and_answered_one_by_one() {
    let setting = setting();
    let files = [wanted(WEIGHTS), wanted("none.json"), wanted("config.json")];
    let answers = setting.hub().info(&files, &Cancel::new()).expect("are asked");
    assert_eq!(answers[0].as_ref().ok().and_then(|info| info.size), Some(SIZE));
    assert!(matches!(answers[1], Err(Error::NoFile { .. })));
    assert_eq!(answers[2].as_ref().ok().and_then(|info| info.size), Some(8));
}
