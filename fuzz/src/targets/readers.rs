//! What is done with the files of an input, and what must hold of the outcome.
//! Not here: how they were damaged.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use saescope::blob::Blob;
use saescope::model::{self, Stated, Tokenizer, TokenizerFiles};
use saescope::suite::{self, Base};
use saescope::toml_file;
use saescope::weights::pickle::Value;
use saescope::weights::{self, TensorFiles};

use crate::input::Input;

/// What every blob is called, and what every error must name.
const FILE: &str = "the-file";
/// Values of a tensor are asked for where they take no more than this.
const VALUES: u64 = 64 << 20;
/// Most characters of a message; the file's own words stand in it.
const MESSAGE: usize = 4 << 20;

/// What came of an input.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The error, or what was read.
    pub said: String,
    /// Whether it was read.
    pub is_read: bool,
    /// What must not be.
    pub wrong: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, is_read, wrong } = self;
        write!(f, "{}: {said}", if *is_read { "read" } else { "refused" })?;
        wrong.as_ref().map_or(Ok(()), |wrong| write!(f, "; wrong: {wrong}"))
    }
}

impl Outcome {
    pub fn read(said: String) -> Self {
        Self { said, is_read: true, wrong: None }
    }

    /// An error, which must name the file and not be endless.
    pub fn refused(error: &impl std::error::Error) -> Self {
        let said = error.to_string();
        let wrong = if !said.contains(FILE) {
            Some(format!("the error does not name the file: {said}"))
        } else if said.len() > MESSAGE {
            Some(format!("the error has {} bytes", said.len()))
        } else {
            None
        };
        Self { said, is_read: false, wrong }
    }
}

/// A file of an input.
pub fn blob(folder: &Path, name: &str) -> Blob {
    Blob::path(folder.join(name)).named(FILE)
}

/// Asks for every tensor that an opened file has.
pub fn tensors(opened: Result<TensorFiles, weights::Error>) -> Outcome {
    let files = match opened {
        Ok(files) => files,
        Err(error) => return Outcome::refused(&error),
    };
    let names: Vec<String> = files.names().into_iter().map(ToOwned::to_owned).collect();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = (files.size() > files.size_as_f32().saturating_mul(8)).then(|| "sizes do not add up".to_owned());
    for name in &names {
        let Ok(shape) = files.shape(name).map(<[usize]>::to_vec) else { continue };
        if files.bytes(name).is_ok_and(|bytes| bytes > VALUES) {
            continue;
        }
        let kind = match files.get(name) {
            Ok(array) => {
                // Goes over all of them.
                let finite = array.first_not_finite().is_none();
                if shape.len() == 2 {
                    let values = array.view().rows() * array.view().cols();
                    if values != shape.iter().product::<usize>() {
                        wrong = Some(format!("{values} values of shape {shape:?}"));
                    }
                }
                format!("{} dimensions {finite}", shape.len())
            }
            Err(error) => kind_of(&error, &mut wrong),
        };
        *kinds.entry(kind).or_default() += 1;
        if let [rows, cols] = shape[..] {
            let kind = match files.matrix(name, rows, cols) {
                Ok(matrix) => format!("matrix {}", matrix.first_not_finite().is_none()),
                Err(error) => kind_of(&error, &mut wrong),
            };
            *kinds.entry(kind).or_default() += 1;
        }
    }
    Outcome { wrong, ..Outcome::read(kinds.into_keys().collect::<Vec<_>>().join(", ")) }
}

fn kind_of(error: &weights::Error, wrong: &mut Option<String>) -> String {
    let outcome = Outcome::refused(error);
    if outcome.wrong.is_some() {
        *wrong = outcome.wrong;
    }
    outcome.said
}

/// Asks for every tensor within a value.
pub fn pickled(value: &Value) -> Outcome {
    let (mut kinds, mut wrong, mut open) = (BTreeMap::new(), None, vec![value]);
    while let Some(next) = open.pop() {
        match next {
            Value::List(parts) => open.extend(parts),
            Value::Dict(pairs) => open.extend(pairs.iter().map(|(_, part)| part)),
            Value::Tensor(tensor) if tensor.bytes() <= VALUES => {
                let _ = (tensor.integer(), tensor.is_transposed(), tensor.is_expanded());
                for result in
                    [tensor.array("x").map(|_| ()), tensor.matrix("x").map(|_| ()), tensor.transposed("x").map(|_| ())]
                {
                    let kind = result.map_or_else(|error| kind_of(&error, &mut wrong), |()| "tensor".to_owned());
                    *kinds.entry(kind).or_insert(0) += 1;
                }
            }
            other => *kinds.entry(other.kind().to_owned()).or_default() += 1,
        }
    }
    Outcome { wrong, ..Outcome::read(kinds.into_keys().collect::<Vec<_>>().join(", ")) }
}

pub fn suite(bytes: &[u8]) -> Outcome {
    let bases = [Base::Nowhere, Base::Embedded, Base::Directory(Path::new("somewhere"))];
    let parse = |base| toml_file::utf8(FILE, bytes).and_then(|text| suite::parse(FILE, text, base));
    let parsed = bases.map(parse);
    match &parsed[0] {
        Err(error) => Outcome::refused(error),
        Ok(suite) => {
            let defaults = suite.default_saes();
            let unknown = defaults.iter().find(|id| suite.sae(id).is_err());
            let wrong = unknown.map(|id| format!("there is no SAE {id}"));
            let said = format!(
                "{} at {}, {} SAEs, {} metas",
                suite.model.source,
                suite.site,
                defaults.len(),
                suite.metas.len()
            );
            Outcome { wrong, ..Outcome::read(said) }
        }
    }
}

pub fn tokenizer(input: &Input, folder: &Path) -> Outcome {
    let there = |name: &str| input.get(name).map(|_| blob(folder, name));
    let files = match (there("tokenizer.json"), there("vocab.json"), there("merges.txt")) {
        (Some(json), ..) => TokenizerFiles::Json(json),
        (None, Some(vocab), Some(merges)) => TokenizerFiles::Bpe { vocab, merges },
        _ => return Outcome { said: "no tokenizer".to_owned(), ..Outcome::default() },
    };
    let config: serde_json::Value =
        input.get("config.json").and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let (config_file, specials, added) =
        (there("tokenizer_config.json"), there("special_tokens_map.json"), there("added_tokens.json"));
    let stated = Stated {
        config: config_file.as_ref(),
        specials: specials.as_ref(),
        added: added.as_ref(),
        model_type: config["model_type"].as_str(),
        class: config["tokenizer_class"].as_str(),
        bos: config["bos_token_id"].as_u64().and_then(|id| id.try_into().ok()),
        rows: input.size().is_multiple_of(5).then_some(200),
        own_word: input.size().is_multiple_of(3),
    };
    let tokenizer = match Tokenizer::load_as(&files, stated) {
        Ok(tokenizer) => tokenizer,
        Err(error) => return Outcome::refused(&error),
    };
    let (mut kinds, mut wrong) = (BTreeMap::new(), None);
    for text in SPELLED {
        let kind = match tokenizer.encode(text) {
            Ok(ids) => {
                let size = tokenizer.vocab_size();
                let beyond = ids.iter().find(|id| **id as usize >= size);
                wrong = wrong.or(beyond.map(|id| format!("token {id} of {size}")));
                format!("{} tokens, the same {}", ids.len(), tokenizer.decode(&ids) == text)
            }
            Err(model::Error::NoRow { .. }) => "no row".to_owned(),
            Err(error) => {
                let outcome = Outcome::refused(&error);
                wrong = wrong.or(outcome.wrong);
                outcome.said
            }
        };
        *kinds.entry(kind).or_insert(0) += 1;
    }
    let _ = (tokenizer.id_of("the"), tokenizer.ids_containing("th"), tokenizer.bytes_of(u32::MAX));
    let said = format!("{:?} {} {:?}", tokenizer.note().is_some(), tokenizer.opening().len(), kinds);
    Outcome { wrong, ..Outcome::read(said) }
}

/// Texts that are spelled.
const SPELLED: [&str; 7] = [
    "the cat sat on the mat",
    "  <|endoftext|> a",
    "naïve 日本 🙂 e\u{301}",
    "1234 don't\n\n",
    "\0\u{202e}",
    "<s></s><pad>",
    "",
];
