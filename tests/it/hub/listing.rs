//! Lists of files that have moved, come in pages or are not given at all.
//! Not here: files.

use std::fs;

use saescope::hub::{Error, Repo};
use saescope::task::Cancel;

use super::{SIZE, Setting, WEIGHTS, report, setting};
use crate::support::hub_server::Fault;

const TREE: &str = "/api/models/owner/name/tree/main";

fn list(setting: &Setting, id: &str) -> Result<Vec<(String, u64)>, Error> {
    setting.with_token("secret").list(&Repo::new(id), None, &Cancel::new())
}

fn files() -> Vec<(String, u64)> {
    vec![("config.json".to_owned(), 8), (WEIGHTS.to_owned(), SIZE)]
}

#[test]
fn a_list_that_has_moved_is_followed_as_files_are() {
    for status in [301, 302, 307, 308] {
        let setting = setting();
        let to = |path: String| Fault::Status(status, vec![("Location", path)]);
        setting.server.fault("GET", "/owner/older/", 9, to("/api/models/owner/old/tree/main".to_owned()));
        setting.server.fault("GET", "/owner/old/", 9, to(format!("{}{TREE}", setting.server.endpoint())));
        assert_eq!(list(&setting, "owner/older").expect("is followed"), files(), "{status}");
        let requests = setting.server.requests();
        assert_eq!(requests.len(), 3);
        assert!(requests.iter().all(|seen| seen.token.as_deref() == Some("secret")), "it is the same hub");
    }
}

#[test]
fn the_token_goes_to_no_other_origin_that_a_list_leads_to() {
    let (setting, elsewhere) = (setting(), setting());
    let away = vec![("Location", format!("{}{TREE}", elsewhere.server.endpoint()))];
    setting.server.fault("GET", "/owner/old/", 9, Fault::Status(307, away));
    assert_eq!(list(&setting, "owner/old").expect("is followed"), files());
    // Also not back to the hub, once another had its say.
    let back = vec![("Location", format!("{}{TREE}", setting.server.endpoint()))];
    elsewhere.server.fault("GET", "/api/", 1, Fault::Status(302, back));
    let before = setting.server.requests().len();
    assert_eq!(list(&setting, "owner/old").expect("is followed"), files());
    let tokens =
        |seen: &[crate::support::hub_server::Request]| seen.iter().map(|seen| seen.token.is_some()).collect::<Vec<_>>();
    assert_eq!(tokens(&setting.server.requests()[before..]), [true, false]);
    assert_eq!(tokens(&elsewhere.server.requests()), [false, false]);
}

#[test]
fn lists_that_lead_in_a_circle_are_given_up() {
    let setting = setting();
    setting.server.fault("GET", "/api/", 99, Fault::Status(308, vec![("Location", TREE.to_owned())]));
    let told = report(list(&setting, "owner/name").expect_err("does not end"));
    assert!(told.contains("it redirects more than 10 times"), "{told}");
    assert_eq!(setting.server.requests().len(), 11);
}

#[test]
fn every_page_of_a_list_is_taken() {
    let (setting, elsewhere) = (setting(), setting());
    setting.server.page(1, &setting.server.endpoint());
    assert_eq!(list(&setting, "owner/name").expect("is listed"), files());
    let requests = setting.server.requests();
    assert!(requests.len() > 2 && requests.iter().all(|seen| seen.token.is_some()), "{requests:?}");
    // Without an origin the page is on the same one.
    setting.server.page(1, "");
    assert_eq!(list(&setting, "owner/name").expect("is listed"), files());
    // A page elsewhere is asked for without the token.
    setting.server.page(1, &elsewhere.server.endpoint());
    elsewhere.server.page(1, &elsewhere.server.endpoint());
    assert_eq!(list(&setting, "owner/name").expect("is listed"), files());
    let there = elsewhere.server.requests();
    assert!(there.len() > 1 && there.iter().all(|seen| seen.authorization.is_empty()), "{there:?}");
}

#[test]
fn a_list_that_the_hub_itself_does_not_refuse_is_one_that_is_not_there() {
    let setting = setting();
    for status in [400, 401, 403, 404, 405, 410, 501] {
        setting.server.fault("GET", "/api/", 1, Fault::Status(status, vec![]));
        let answer = list(&setting, "owner/name");
        assert!(matches!(answer, Err(Error::Unlisted { status: found, .. }) if found == status), "{answer:?}");
    }
    let says = |status, code: &str| Fault::Status(status, vec![("X-Error-Code", code.to_owned())]);
    setting.server.fault("GET", "/api/", 1, says(404, "RepoNotFound"));
    assert!(matches!(list(&setting, "owner/name"), Err(Error::NoRepository { .. })));
    setting.server.fault("GET", "/api/", 1, says(404, "RevisionNotFound"));
    assert!(matches!(list(&setting, "owner/name"), Err(Error::NoRevision { .. })));
    setting.server.fault("GET", "/api/", 1, says(403, "GatedRepo"));
    assert!(matches!(list(&setting, "owner/name"), Err(Error::Gated { token: true, .. })));
}

#[test]
fn a_busy_hub_is_asked_for_the_list_again() {
    let setting = setting();
    setting.server.fault("GET", "/api/", 2, Fault::Status(503, vec![]));
    assert_eq!(list(&setting, "owner/name").expect("is listed"), files());
    assert_eq!(setting.server.requests().len(), 3);
    // As the hub says it where it counts requests.
    let limit = |seconds| Fault::Status(429, vec![("RateLimit", format!("\"api\";r=0;t={seconds}"))]);
    setting.server.fault("GET", "/api/", 1, limit(1));
    assert_eq!(list(&setting, "owner/name").expect("is listed"), files());
    setting.server.fault("GET", "/api/", 1, limit(300));
    let told = report(list(&setting, "owner/name").expect_err("is to wait"));
    assert!(told.contains("the hub asks to wait 300 seconds"), "{told}");
}

#[test]
fn a_name_that_no_path_can_have_hides_no_other_file() {
    let setting = setting();
    fs::write(setting.files.join("owner/name/a:b.txt"), "x").expect("is written");
    assert_eq!(list(&setting, "owner/name").expect("is listed"), files());
}
