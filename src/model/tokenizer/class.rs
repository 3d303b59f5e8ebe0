//! Which of `transformers`' tokenizer classes reads a model's tokenizer, and what those that build it anew put around
//! the vocabulary. Not here: special and added tokens (`named`). What is said here was seen in transformers 5.24.0
//! (docs/tokenizers.md).

use serde_json::{Value, json};
use tokenizers::{ModelWrapper, PreTokenizerWrapper};

use super::named::Named;

/// A class of `transformers`. All but the first take vocabulary and merges out of the files and leave normalizer,
/// pre-tokenizer, decoder and added tokens of `tokenizer.json` behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `TokenizersBackend`: as the file has it.
    Backend,
    /// `LlamaTokenizer`.
    Llama,
    /// `GPT2Tokenizer`.
    Gpt2,
    /// `GPTNeoXTokenizer`.
    NeoX,
    /// `GemmaTokenizer`.
    Gemma,
    /// `Qwen2Tokenizer`.
    Qwen2,
    /// `Qwen3_5Tokenizer`.
    Qwen35,
}

/// By which a model of a family is read where its files do not say, by `model_type`. Of `transformers`' list those that
/// build anew, and those for which it lets no other class stand.
const REGISTERED: [(&str, Class); 28] = [
    ("gpt2", Class::Gpt2),
    ("gpt_neo", Class::Gpt2),
    ("gptj", Class::Gpt2),
    ("opt", Class::Gpt2),
    ("phi", Class::Gpt2),
    ("starcoder2", Class::Gpt2),
    ("gpt_neox", Class::NeoX),
    ("olmo", Class::NeoX),
    ("olmoe", Class::NeoX),
    ("gemma", Class::Gemma),
    ("gemma2", Class::Gemma),
    ("gemma3", Class::Gemma),
    ("gemma3_text", Class::Gemma),
    ("gemma3n", Class::Gemma),
    ("gemma3n_text", Class::Gemma),
    ("qwen2", Class::Qwen2),
    ("qwen2_moe", Class::Qwen2),
    ("qwen3", Class::Qwen2),
    ("qwen3_moe", Class::Qwen2),
    ("qwen3_next", Class::Qwen2),
    ("qwen3_5", Class::Qwen35),
    ("qwen3_5_text", Class::Qwen35),
    ("mistral", Class::Backend),
    ("mixtral", Class::Backend),
    ("granite", Class::Backend),
    ("olmo2", Class::Backend),
    ("olmo3", Class::Backend),
    ("stablelm", Class::Backend),
];

/// Families whose files name a class that is wrong: the registered one stands.
const MISNAMED: [&str; 5] = ["qwen2", "qwen3_5", "phi3", "phimoe", "nemotron"];

/// Characters between which Qwen's tokenizers cut: letters, marks beside them from 3.5 on.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Class {
    /// The class that `AutoTokenizer` takes. `own` is what the files name; `byte_level` whether `tokenizer.json` spells
    /// bytes as GPT-2 does.
    pub fn of(model_type: Option<&str>, own: Option<&str>, byte_level: bool) -> Self {
        let model_type = model_type.unwrap_or_default();
        let misnamed = MISNAMED.contains(&model_type);
        let registered = REGISTERED.iter().find(|(known, _)| *known == model_type).map(|(_, class)| *class);
        // What no class is registered for, and is misnamed, is read as its file has it.
        let registered = registered.or_else(|| misnamed.then_some(Self::Backend));
        let Some(own) = own.map(Self::named) else { return registered.unwrap_or(Self::Backend) };
        if own == Self::Llama && byte_level && !misnamed {
            return Self::Backend;
        }
        match registered {
            Some(Self::Backend) => Self::Backend,
            Some(registered) if misnamed => registered,
            _ => own,
        }
    }

    fn named(name: &str) -> Self {
        match name.strip_suffix("Fast").unwrap_or(name) {
            "LlamaTokenizer" => Self::Llama,
            // Phi's builds the same.
            "GPT2Tokenizer" | "CodeGenTokenizer" => Self::Gpt2,
            "GPTNeoXTokenizer" => Self::NeoX,
            "GemmaTokenizer" => Self::Gemma,
            "Qwen2Tokenizer" => Self::Qwen2,
            "Qwen3_5Tokenizer" => Self::Qwen35,
            _ => Self::Backend,
        }
    }

    /// Its name in `transformers`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backend => "TokenizersBackend",
            Self::Llama => "LlamaTokenizer",
            Self::Gpt2 => "GPT2Tokenizer",
            Self::NeoX => "GPTNeoXTokenizer",
            Self::Gemma => "GemmaTokenizer",
            Self::Qwen2 => "Qwen2Tokenizer",
            Self::Qwen35 => "Qwen3_5Tokenizer",
        }
    }

    /// The token it takes for a role where no file names one.
    pub fn role(self, role: &str) -> Option<&'static str> {
        match (self, role) {
            (Self::Llama | Self::Gemma, "unk_token") => Some("<unk>"),
            (Self::Llama, "bos_token") => Some("<s>"),
            (Self::Llama, "eos_token") => Some("</s>"),
            (Self::Gpt2 | Self::NeoX, "unk_token" | "bos_token" | "eos_token")
            | (Self::Qwen2 | Self::Qwen35, "unk_token" | "eos_token" | "pad_token") => Some("<|endoftext|>"),
            (Self::NeoX, "pad_token") => Some("<|padding|>"),
            (Self::Gemma, "bos_token") => Some("<bos>"),
            (Self::Gemma, "eos_token") => Some("<eos>"),
            (Self::Gemma, "pad_token") => Some("<pad>"),
            (Self::Gemma, "mask_token") => Some("<mask>"),
            _ => None,
        }
    }

    /// The tokenizer as the class builds it, without its added tokens; none where the class takes the file's, or the
    /// file has another model than byte pairs.
    pub fn built(self, file: &tokenizers::Tokenizer, named: &Named) -> Result<Option<tokenizers::Tokenizer>, String> {
        let (normalizer, pre_tokenizer, decoder) = match self {
            Self::Backend => return Ok(None),
            Self::Llama => (Value::Null, metaspace(named), sentence_piece(named.prefix.unwrap_or(true))),
            Self::Gemma => {
                let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
                (spaces, split(&json!({"String": " "}), "MergedWithPrevious"), sentence_piece(false))
            }
            Self::Gpt2 => (Value::Null, byte_level(named, true), byte_level(named, true)),
            Self::NeoX => (json!({"type": "NFC"}), byte_level(named, true), byte_level(named, true)),
            Self::Qwen2 | Self::Qwen35 => {
                let pattern = json!({"Regex": if self == Self::Qwen2 { QWEN2 } else { QWEN35 }});
                let both = [split(&pattern, "Isolated"), byte_level(named, false)];
                (json!({"type": "NFC"}), json!({"type": "Sequence", "pretokenizers": both}), byte_level(named, true))
            }
        };
        let ModelWrapper::BPE(model) = file.get_model() else { return Ok(None) };
        let mut model = model.clone();
        let pieces = matches!(self, Self::Llama | Self::Gemma);
        (model.dropout, model.ignore_merges) = (None, false);
        (model.fuse_unk, model.byte_fallback) = (pieces, pieces);
        model.unk_token = (self == Self::Gemma).then(|| named.role("unk_token")).flatten();
        (model.continuing_subword_prefix, model.end_of_word_suffix) = (None, None);
        let mut built = tokenizers::Tokenizer::new(model);
        if !normalizer.is_null() {
            let normalizer: tokenizers::NormalizerWrapper = part(normalizer)?;
            built.with_normalizer(Some(normalizer)).map_err(|error| error.to_string())?;
        }
        built.with_pre_tokenizer(Some(part::<PreTokenizerWrapper>(pre_tokenizer)?));
        built.with_decoder(Some(part::<tokenizers::DecoderWrapper>(decoder)?));
        // GPT-NeoX' makes its own template, in which nothing stands in front.
        if self != Self::NeoX {
            built.with_post_processor(file.get_post_processor().cloned());
        }
        Ok(Some(built))
    }
}

/// Whether a tokenizer spells bytes as GPT-2 does, in its pre-tokenizer or its decoder.
pub(super) fn is_byte_level(tokenizer: &tokenizers::Tokenizer) -> bool {
    let in_json = |value: Option<Value>| value.is_some_and(|value| value.to_string().contains("\"ByteLevel\""));
    in_json(tokenizer.get_pre_tokenizer().and_then(|part| serde_json::to_value(part).ok()))
        || in_json(tokenizer.get_decoder().and_then(|part| serde_json::to_value(part).ok()))
}

fn part<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Llama's prefix rule: a space in front of the text where it has none; with `legacy` behind every special token too.
fn metaspace(named: &Named) -> Value {
    let scheme = match (named.prefix.unwrap_or(true), named.legacy.unwrap_or(false)) {
        (false, _) => "never",
        (true, true) => "always",
        (true, false) => "first",
    };
    json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false})
}

fn byte_level(named: &Named, use_regex: bool) -> Value {
    let prefix = named.prefix.unwrap_or(false);
    json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": use_regex})
}

fn split(pattern: &Value, behavior: &str) -> Value {
    json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": false})
}

fn sentence_piece(strip: bool) -> Value {
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if strip {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({"type": "Sequence", "decoders": decoders})
}
