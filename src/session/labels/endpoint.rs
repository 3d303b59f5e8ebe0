//! An endpoint that speaks OpenAI's chat completions: an Ollama or llama.cpp on this machine, or a service.
//! Not here: what is asked.
//!
//! Requests are written here on `web`, which is compiled for Neuronpedia already. A client crate would bring more than one
//! call of one endpoint needs, and reads answers of any length into memory (async-openai 0.43: `response.bytes()`).

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::analysis::explain::Message;
use crate::report::{Kind, Report};
use crate::task::Cancel;
use crate::web::{Post, Reply, Web, is_here};

/// A model on this machine may think for so long before it says anything.
const SILENCE: Duration = Duration::from_mins(10);
/// Bytes of an answer.
const LARGEST: usize = 4 << 20;
/// Tokens of an answer.
const TOKENS: u32 = 2_000;

/// A model that is asked, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address, with or without `/chat/completions` at its end.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// What proves who asks. Sent to this address alone.
    pub key: Option<Key>,
    /// Requests under way at a time.
    pub at_once: usize,
}

/// A secret: shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// What was said, and what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// The text; none where the model refused or said nothing.
    pub text: Option<String>,
    pub prompt_tokens: u64,
    pub answer_tokens: u64,
}

/// What the endpoint takes: newer models of some services know neither of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Manner {
    tokens: &'static str,
    temperature: bool,
}

/// A connection to an endpoint.
pub struct Speaker<'a> {
    to: &'a Endpoint,
    web: Web,
    manner: Cell<Manner>,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl<'a> Speaker<'a> {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// That the address is none, or a key would be sent without encryption.
    pub fn new(to: &'a Endpoint) -> Result<Self, Report> {
        let usage = |report: Report| report.kind(Kind::Usage);
        let web = Web::new(&to.url, SILENCE).map_err(|error| usage(error.report("cannot ask a model")))?;
        let url = web.address("", &[]);
        if !url.username().is_empty() || url.password().is_some() {
            return Err(usage(
                Report::new("cannot ask a model at an address with a name or password in it")
                    .hint("leave them out, and name the variable that has the key: --key-env VAR"),
            ));
        }
        if to.key.is_some() && url.scheme() != "https" && !is_here(url.host_str()) {
            return Err(usage(
                Report::new("cannot send the key")
                    .because(format!("{url} is not encrypted and not on this machine"))
                    .hint("give an address that begins with https://"),
            ));
        }
        Ok(Self { to, web, manner: Cell::new(Manner { tokens: "max_tokens", temperature: true }) })
    }

    /// The answers to these conversations, in their order; `on` is told how many are there.
    ///
    /// # Errors
    /// What the endpoint has against it, other than a refusal to speak of something.
    pub fn ask(
        &self,
        conversations: &[Vec<Message>],
        cancel: &Cancel,
        on: &dyn Fn(usize),
    ) -> Result<Vec<Spoken>, Report> {
        let ends = self.to.url.trim_end_matches('/').ends_with("/chat/completions");
        let url = self.web.address(if ends { "" } else { "chat/completions" }, &[]);
        let key = self.to.key.as_ref().map(|key| &*key.0);
        let post = Post { url: &url, key, most: LARGEST, at_once: self.to.at_once };
        loop {
            let bodies: Vec<String> = conversations.iter().map(|messages| self.body(messages)).collect();
            let replies = self.web.post(&post, &bodies, cancel, on);
            let replies = replies.map_err(|error| error.report(format!("cannot ask the model `{}`", self.to.model)))?;
            let other = replies.iter().find_map(|reply| self.other_manner(reply));
            if let Some(manner) = other {
                self.manner.set(manner);
                continue;
            }
            return replies.iter().map(|reply| self.spoken(url.as_str(), reply)).collect();
        }
    }

    fn body(&self, messages: &[Message]) -> String {
        let Manner { tokens, temperature } = self.manner.get();
        let mut body = json!({ "model": self.to.model, "messages": messages, "stream": false });
        body[tokens] = json!(TOKENS);
        if temperature {
            body["temperature"] = json!(0);
        }
        body.to_string()
    }

    /// How to ask in place of this, where the endpoint says that it does not know something of it.
    fn other_manner(&self, reply: &Reply) -> Option<Manner> {
        let (now, said) = (self.manner.get(), String::from_utf8_lossy(&reply.body));
        if !matches!(reply.status, 400 | 422) {
            return None;
        }
        if now.tokens == "max_tokens" && said.contains("max_completion_tokens") {
            return Some(Manner { tokens: "max_completion_tokens", ..now });
        }
        (now.temperature && said.contains("temperature")).then_some(Manner { temperature: false, ..now })
    }

    fn spoken(&self, url: &str, reply: &Reply) -> Result<Spoken, Report> {
        let model = &self.to.model;
        let cannot = || Report::new(format!("cannot ask the model `{model}`"));
        let said = said_of(&reply.body);
        if reply.status == 200 {
            let read: Completion = serde_json::from_slice(&reply.body).map_err(|error| {
                cannot()
                    .because(format!("{url} does not answer as a chat completion: {error}; it begins with `{said}`"))
                    .hint("an Ollama's address is http://127.0.0.1:11434/v1, a llama-server's http://127.0.0.1:8080/v1")
            })?;
            let usage = read.usage.unwrap_or_default();
            let said = read.choices.into_iter().next().map(|choice| choice.message);
            let text = said.filter(|said| said.refusal.as_ref().is_none_or(Value::is_null));
            let text = text.and_then(|said| said.content).filter(|text| !text.trim().is_empty());
            let (prompt_tokens, answer_tokens) = (usage.prompt_tokens, usage.completion_tokens);
            return Ok(Spoken { text, prompt_tokens, answer_tokens });
        }
        // A filter that does not let a text through refuses as a model does.
        if reply.status == 400 && said.contains("content_filter") {
            return Ok(Spoken::default());
        }
        let report = cannot().because(format!("{url} answers with status {}: {said}", reply.status));
        Err(match reply.status {
            401 | 403 => report.hint("name the variable that has the key: --key-env VAR"),
            404 => report.hint("see that --llm ends with /v1 where the server has it, and that it has the model"),
            _ => report.hint("what is done is kept: the same command continues"),
        })
    }
}

/// The beginning of what a server says, or its own message.
fn said_of(body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let error = parsed.as_ref().and_then(|value| value.get("error"));
    let message = error.and_then(|error| {
        let code = error.get("code").and_then(Value::as_str).map(|code| format!(" ({code})")).unwrap_or_default();
        let message = error.get("message").unwrap_or(error).as_str()?;
        Some(format!("{message}{code}"))
    });
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
