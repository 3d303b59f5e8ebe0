//! A listing in the pages in which a hub gives it.
//! Not here: requests, and what the files are.

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};
use serde::Deserialize;

use super::name;

/// Entries of a listing taken: more files than any model or SAE has.
const MAX_ENTRIES: usize = 50_000;
/// Pages of a listing asked for; the hub puts 1000 entries on one.
const MAX_PAGES: usize = 500;
/// Most bytes of a page: some 300 an entry.
pub const MAX_PAGE: usize = 16 << 20;

/// An entry of a listing.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Entry {
    /// A file: its path in the repository, its bytes.
    File { path: String, size: u64 },
    /// A folder, or what a later hub may list.
    #[serde(other)]
    Other,
}

/// What the pages so far hold.
#[derive(Default)]
pub struct Pages {
    files: Vec<(String, u64)>,
    entries: usize,
    seen: Vec<Url>,
}

impl Pages {
    /// Takes a page, which came from an address, and gives the address of the next one.
    ///
    /// # Errors
    /// In words, when it is not a page of a listing, or the pages do not end.
    pub fn take(&mut self, from: &Url, headers: &HeaderMap, body: &[u8]) -> Result<Option<Url>, String> {
        let entries: Vec<Entry> =
            serde_json::from_slice(body).map_err(|error| format!("its list of files cannot be read: {error}"))?;
        self.entries += entries.len();
        self.seen.push(from.clone());
        self.files.extend(entries.into_iter().filter_map(|entry| match entry {
            // A name that no path can have is the name of nothing that is wanted.
            Entry::File { path, size } => name::file(&path).is_ok().then_some((path, size)),
            Entry::Other => None,
        }));
        let Some(next) = next(headers) else { return Ok(None) };
        let next =
            from.join(&next).map_err(|error| format!("the next page of its list of files cannot be read: {error}"))?;
        if self.seen.contains(&next) {
            return Err("the pages of its list of files go in a circle".to_owned());
        }
        if self.entries > MAX_ENTRIES || self.seen.len() >= MAX_PAGES {
            return Err(format!("its list of files does not end after {} entries", self.entries));
        }
        Ok(Some(next))
    }

    /// Names and sizes of the files.
    pub fn files(self) -> Vec<(String, u64)> {
        self.files
    }
}

/// The address of the next page (RFC 8288): `<https://…>; rel="next"`.
fn next(headers: &HeaderMap) -> Option<String> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        let mut rest = value;
        while let Some((address, after)) = rest.split_once('<').and_then(|(_, inner)| inner.split_once('>')) {
            // Commas end a link, except in quotes and in addresses.
            let mut quoted = false;
            let end = after.find(|c| {
                quoted ^= c == '"';
                c == ',' && !quoted
            });
            let (parameters, others) = after.split_at(end.unwrap_or(after.len()));
            if parameters.split(';').any(is_next) {
                return Some(address.to_owned());
            }
            rest = others;
        }
        None
    })
}

/// Whether a parameter of a link is `rel` and has `next` among its values.
fn is_next(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, values)| {
        let mut values = values.trim().trim_matches('"').split_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && values.any(|value| value.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(links: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for link in links {
            headers.append(LINK, HeaderValue::from_str(link).expect("is a header"));
        }
        headers
    }

    #[test]
    fn the_next_page_is_found_in_every_form_a_link_has() {
        for (links, found) in [
            (&[r#"<https://h/a?p=1>; rel="next""#][..], Some("https://h/a?p=1")),
            (&["<https://h/a>; rel=next"], Some("https://h/a")),
            (&[r#"</api?cursor=a,b>;title="x, y"; REL="Prev Next""#], Some("/api?cursor=a,b")),
            (&[r#"<https://h/0>; rel="prev", <https://h/2>; rel="next""#], Some("https://h/2")),
            (&[r#"<https://h/0>; rel="first""#, r#"<https://h/2>; rel="next""#], Some("https://h/2")),
            (&[r#"<https://h/0>; rel="prev""#, r#"<https://h/0>; rel="nextish""#], None),
            (&["", "<", "<>", "; rel=next"], None),
            (&[], None),
        ] {
            assert_eq!(next(&headers(links)).as_deref(), found, "{links:?}");
        }
    }

    #[test]
    fn pages_that_do_not_end_are_given_up() {
        let page = |url: &str| Url::parse(url).expect("is an address");
        let mut pages = Pages::default();
        let entry =
            br#"[{"type":"file","oid":"0","size":1,"path":"a"},{"type":"file","oid":"0","size":1,"path":"../b"}]"#;
        let second = pages.take(&page("http://h/1"), &headers(&["</2>; rel=next"]), entry).expect("is a page");
        assert_eq!(second, Some(page("http://h/2")));
        let circle = pages.take(&page("http://h/2"), &headers(&["<1>; rel=next"]), b"[]");
        assert_eq!(circle, Err("the pages of its list of files go in a circle".to_owned()));
        assert_eq!(pages.files(), [("a".to_owned(), 1)], "what leads out of its folder is left out");
        let mut pages = Pages::default();
        let endless = (0..).find_map(|number| {
            let link = format!("<http://h/{}>; rel=next", number + 1);
            pages.take(&page(&format!("http://h/{number}")), &headers(&[&link]), b"[]").err()
        });
        assert_eq!(endless, Some("its list of files does not end after 0 entries".to_owned()));
        assert!(Pages::default().take(&page("http://h/1"), &headers(&[]), b"<html>").is_err());
    }
}
