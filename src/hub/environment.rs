//! What the environment says about the hub, as Python's `huggingface_hub` reads it.
//! Not here: any request.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::Error;

/// Where the hub is when nothing says otherwise.
const HUGGING_FACE: &str = "https://huggingface.co";

/// Where the hub is, where its files are kept and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Environment {
    /// The hub's address, without a slash at its end.
    pub endpoint: String,
    /// The directory of the shared cache.
    pub cache: PathBuf,
    /// What proves who asks. Sent to the endpoint alone.
    pub token: Option<String>,
    /// Whether nothing may be asked of the network.
    pub offline: bool,
}

// Neither the token nor a password gets into a log.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("endpoint", &self.shown_endpoint())
            .field("cache", &self.cache)
            .field("token", &self.token.is_some())
            .field("offline", &self.offline)
            .finish()
    }
}

impl Environment {
    /// Reads `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_TOKEN_PATH` and `HF_HUB_OFFLINE` (and the older
    /// or rarer names that Python still knows) through `env`.
    ///
    /// # Errors
    /// [`Error::Endpoint`] when the endpoint is not an address of a web server, [`Error::NoHome`] when there is no place
    /// for the cache.
    pub fn read(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let text = |name: &str| env(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty());
        let path = |name: &str| env(name).filter(|value| !value.is_empty()).map(|value| expand(&value, env));
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| HUGGING_FACE.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        check_endpoint(&endpoint)?;
        let home = match path("HF_HOME") {
            Some(home) => home,
            None => path("XDG_CACHE_HOME")
                .or_else(|| home_directory(env).map(|home| home.join(".cache")))
                .ok_or(Error::NoHome)?
                .join("huggingface"),
        };
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| home.join("hub"));
        let token = if truth(text("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
            None
        } else {
            let given = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter().find_map(|name| clean(text(name)));
            let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
            given.or_else(|| clean(fs::read_to_string(file).ok()))
        };
        let offline = truth(text("HF_HUB_OFFLINE").or_else(|| text("TRANSFORMERS_OFFLINE")));
        Ok(Self { endpoint, cache, token, offline })
    }
}

impl Environment {
    /// The hub's address for people and logs: without the name and password that may stand in it.
    #[must_use]
    pub fn shown_endpoint(&self) -> String {
        without_userinfo(&self.endpoint)
    }
}

/// Text without the names and passwords of the addresses in it: what stands between `://` and the last `@` of a word.
pub(super) fn without_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "`'\"<>()".contains(c)).unwrap_or(after.len());
        let (address, behind) = after.split_at(end);
        out.push_str(address.rsplit_once('@').map_or(address, |(_, host)| host));
        rest = behind;
    }
    out + rest
}

/// Whether `HF_HUB_DISABLE_SYMLINKS` asks for files in place of links in the cache.
pub fn symlinks_disabled(env: &dyn Fn(&str) -> Option<OsString>) -> bool {
    truth(env("HF_HUB_DISABLE_SYMLINKS").and_then(|value| value.into_string().ok()))
}

/// A token without the line breaks that files and copying add; none when nothing is left or it cannot be sent.
fn clean(token: Option<String>) -> Option<String> {
    let token = token?.trim().to_owned();
    (!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())).then_some(token)
}

fn truth(value: Option<String>) -> bool {
    value.is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str()))
}

/// What may be no address at all, without what may be a password: all before its last `@` but the scheme.
fn nameless(endpoint: &str) -> String {
    let Some((before, host)) = endpoint.rsplit_once('@') else { return endpoint.to_owned() };
    let scheme = before.split_once("://").map_or_else(String::new, |(scheme, _)| format!("{scheme}://"));
    scheme + host
}

fn check_endpoint(endpoint: &str) -> Result<(), Error> {
    let wrong = |why: &str| {
        Err(Error::Endpoint { endpoint: nameless(endpoint).chars().take(200).collect(), why: why.to_owned() })
    };
    match reqwest::Url::parse(endpoint) {
        Err(error) => wrong(&error.to_string()),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => wrong("it begins with neither http:// nor https://"),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => wrong("it names no host"),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => wrong("it has a `?` or a `#`"),
        Ok(_) => Ok(()),
    }
}

fn home_directory(env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    env("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(|| etcetera::home_dir().ok())
}

/// A path with `~` and `$NAME` as Python's `expanduser` and `expandvars` read them.
fn expand(value: &OsString, env: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    let Some(text) = value.to_str() else { return PathBuf::from(value) };
    let text = variables(text, env);
    let home = || home_directory(env);
    match text.strip_prefix('~') {
        Some("") => home().unwrap_or_else(|| PathBuf::from(&text)),
        Some(rest) if rest.starts_with('/') => {
            home().map_or_else(|| PathBuf::from(&text), |home| home.join(Path::new(rest.trim_start_matches('/'))))
        }
        _ => PathBuf::from(text),
    }
}

/// `$NAME` and `${NAME}` replaced by their values; names without a value stay as they are.
fn variables(text: &str, env: &dyn Fn(&str) -> Option<OsString>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let (name, whole, tail) = if let Some((name, tail)) = braced {
            (name, format!("${{{name}}}"), tail)
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            (name, format!("${name}"), tail)
        };
        let value = (!name.is_empty()).then(|| env(name)).flatten().and_then(|value| value.into_string().ok());
        out.push_str(&value.unwrap_or(whole));
        rest = tail;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: &[(&str, &str)]) -> Environment {
        let env = |name: &str| given.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        Environment::read(&env).expect("is an environment")
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        let cases: [(&[(&str, &str)], &str); 7] = [
            (&[("HOME", "/h")], "/h/.cache/huggingface/hub"),
            (&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HOME", "/h"), ("HF_HOME", "~/hf")], "/h/hf/hub"),
            (&[("HOME", "/h"), ("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")], "/c"),
            (&[("HOME", "/h"), ("S", "/s"), ("HF_HUB_CACHE", "$S/${S}/$NONE/c")], "/s//s/$NONE/c"),
            (&[("HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old"),
            (&[("HOME", "/h"), ("HF_HUB_CACHE", "")], "/h/.cache/huggingface/hub"),
        ];
        for (given, cache) in cases {
            assert_eq!(read(given).cache, PathBuf::from(cache), "{given:?}");
        }
    }

    #[test]
    fn the_token_is_found_as_python_finds_it_and_is_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().display().to_string();
        fs::write(folder.path().join("token"), "hf_file\n").expect("is written");
        fs::write(folder.path().join("other"), "hf_other\n").expect("is written");
        let other = folder.path().join("other").display().to_string();
        let token = |given: &[(&str, &str)]| {
            let given: Vec<_> = given.iter().copied().chain([("HF_HOME", home.as_str())]).collect();
            read(&given).token
        };
        assert_eq!(token(&[]).as_deref(), Some("hf_file"));
        assert_eq!(token(&[("HF_TOKEN_PATH", &other)]).as_deref(), Some("hf_other"));
        assert_eq!(token(&[("HF_TOKEN", " hf_env\n")]).as_deref(), Some("hf_env"));
        assert_eq!(token(&[("HF_TOKEN", "hf_env"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
        assert!(!format!("{:?}", read(&[("HF_HOME", &home)])).contains("hf_file"));
    }

    #[test]
    fn an_endpoint_is_the_address_of_a_web_server() {
        assert_eq!(read(&[("HOME", "/h")]).endpoint, "https://huggingface.co");
        assert_eq!(
            read(&[("HOME", "/h"), ("HF_ENDPOINT", "http://127.0.0.1:8000/a/")]).endpoint,
            "http://127.0.0.1:8000/a"
        );
        for endpoint in ["huggingface.co", "file:///etc", "http://", "ftp://x", "http://x/?y"] {
            let env = |name: &str| (name == "HF_ENDPOINT").then(|| OsString::from(endpoint));
            assert!(matches!(Environment::read(&env), Err(Error::Endpoint { .. })), "{endpoint}");
        }
    }

    #[test]
    fn offline_is_said_in_python_s_words() {
        for (value, offline) in [("1", true), ("on", true), ("TRUE", true), ("yes", true), ("0", false), ("", false)] {
            assert_eq!(read(&[("HOME", "/h"), ("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_never_shown() {
        let environment = read(&[("HOME", "/h"), ("HF_ENDPOINT", "https://ada:pass%20word@hub.example:8443/a")]);
        assert!(environment.endpoint.contains("pass%20word"), "it is sent");
        assert_eq!(environment.shown_endpoint(), "https://hub.example:8443/a");
        assert!(!format!("{environment:?}").contains("pass"));
        for wrong in ["ada:password@hub.example", "ftp://ada:password@hub.example", "https://ada:pass/word@hub.example"]
        {
            let env = |name: &str| (name == "HF_ENDPOINT").then(|| OsString::from(wrong));
            let error = Environment::read(&env).expect_err("is refused").to_string();
            assert!(error.contains("hub.example") && !error.contains("word"), "{error}");
        }
        let said = "GET https://a:b@c/d failed (http://e:f@g), then https://h/i.";
        assert_eq!(without_userinfo(said), "GET https://c/d failed (http://g), then https://h/i.");
    }
}
