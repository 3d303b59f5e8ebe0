//! What a SAELens `cfg.json` says, in the spellings of all its versions.
//! Not here: tensors.

use serde_json::{Map, Value};

use super::super::{Error, Metadata, Normalisation};

/// How an SAE decides what fires, as far as the configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    Standard,
    JumpRelu,
    TopK {
        k: usize,
    },
    Gated,
    /// A training checkpoint of BatchTopK or Matryoshka BatchTopK: JumpReLU with one threshold for all latents.
    BatchTopK,
}

/// A configuration in one spelling.
#[derive(Debug)]
pub struct Config {
    pub file: String,
    pub architecture: Architecture,
    pub apply_b_dec_to_input: bool,
    pub rescale_acts_by_decoder_norm: bool,
    pub normalisation: Normalisation,
    pub metadata: Metadata,
}

const SUPPORTED: &str = "supported are `standard`, `jumprelu`, `topk`, `gated`, `batchtopk` and `matryoshka_batchtopk`";

/// What SAELens saves too and the one form has no place for.
const OTHERS: [(&str, &str); 8] = [
    ("transcoder", "it reads one activation and writes another"),
    ("skip_transcoder", "it reads one activation and writes another"),
    ("jumprelu_transcoder", "it reads one activation and writes another"),
    ("jumprelu_skip_transcoder", "it reads one activation and writes another"),
    ("clt", "it reads one activation and writes many"),
    ("abstopk", "its latents also fire below zero, and say one thing above it and another below"),
    ("temporal", "its latents depend on earlier tokens"),
    ("matching_pursuit", "it has no encoder: it looks for latents one after the other"),
];

impl Config {
    /// Reads a configuration. Unknown keys are passed over; known ones must have the right type.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let bad = |why: String| Error::Config { file: file.to_owned(), why };
        let top: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| bad(format!("not a JSON object: {error}")))?;
        let empty = Map::new();
        let meta = match top.get("metadata") {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(map)) => map,
            Some(_) => return Err(bad("`metadata` must be an object".to_owned())),
        };
        let keys = Keys { file, top: &top, meta };
        let old = keys.is_old()?;
        let (architecture, spelled) = keys.architecture(old)?;
        let mut notes = Vec::new();
        let normalisation = keys.normalisation(&mut notes)?;
        // Only the TopK family knows this key; SAELens passes it over elsewhere.
        let ranks = matches!(architecture, Architecture::TopK { .. } | Architecture::BatchTopK);
        Ok(Self {
            file: file.to_owned(),
            architecture,
            // Absent means true in every version.
            apply_b_dec_to_input: keys.boolean(&["apply_b_dec_to_input"])?.unwrap_or(true),
            rescale_acts_by_decoder_norm: keys.boolean(&["rescale_acts_by_decoder_norm"])?.unwrap_or(false) && ranks,
            normalisation,
            metadata: Metadata {
                architecture: spelled,
                model_name: keys.text(&["model_name"])?,
                hook_name: keys.text(&["hook_name", "hook_point"])?,
                hook_layer: keys.integer(&["hook_layer", "hook_point_layer"])?,
                hook_head_index: keys.integer(&["hook_head_index", "hook_point_head_index"])?,
                // Before version 6 every SAE was trained with one unless it said otherwise.
                prepend_bos: keys.boolean(&["prepend_bos"])?.or(old.then_some(true)),
                neuronpedia_id: keys.text(&["neuronpedia_id"])?,
                context_size: keys.integer(&["context_size"])?,
                sae_lens_version: keys.text(&["sae_lens_version"])?,
                notes,
            },
        })
    }
}

/// The keys of a configuration, in `metadata` (version 6) or beside it (before).
struct Keys<'a> {
    file: &'a str,
    top: &'a Map<String, Value>,
    meta: &'a Map<String, Value>,
}

impl Keys<'_> {
    /// The first of these spellings that is there and not null.
    fn find<'k>(&self, keys: &[&'k str]) -> Option<(&'k str, &Value)> {
        keys.iter()
            .flat_map(|&key| [self.top.get(key), self.meta.get(key)].map(|value| value.map(|value| (key, value))))
            .flatten()
            .find(|(_, value)| !value.is_null())
    }

    fn typed<T>(&self, keys: &[&str], kind: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, Error> {
        let Some((key, value)) = self.find(keys) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.bad(key, kind, value))
    }

    fn text(&self, keys: &[&str]) -> Result<Option<String>, Error> {
        self.typed(keys, "a string", |value| value.as_str().map(str::to_owned))
    }

    fn boolean(&self, keys: &[&str]) -> Result<Option<bool>, Error> {
        self.typed(keys, "true or false", Value::as_bool)
    }

    fn integer(&self, keys: &[&str]) -> Result<Option<usize>, Error> {
        self.typed(keys, "a whole number that is not negative", whole)
    }

    fn bad(&self, key: &str, kind: &str, value: &Value) -> Error {
        let mut found = value.to_string();
        if let Some((at, _)) = found.char_indices().nth(60) {
            found.truncate(at);
            found.push('…');
        }
        Error::Config { file: self.file.to_owned(), why: format!("`{key}` must be {kind}, found {found}") }
    }

    fn unsupported(&self, what: String, supported: &str) -> Error {
        Error::Unsupported { file: self.file.to_owned(), what, supported: supported.to_owned() }
    }

    /// Whether this was written before SAELens 6, as SAELens decides it.
    fn is_old(&self) -> Result<bool, Error> {
        let version = self.text(&["sae_lens_version"])?;
        let major = version.as_deref().and_then(|version| version.split('.').next()?.parse::<u64>().ok());
        Ok(major.is_none_or(|major| major < 6))
    }

    fn architecture(&self, old: bool) -> Result<(Architecture, String), Error> {
        let spelled = self.text(&["architecture"])?.unwrap_or_else(|| "standard".to_owned());
        if old && self.old_activation(&spelled)? {
            return Ok((Architecture::TopK { k: self.k()? }, spelled));
        }
        let architecture = match spelled.as_str() {
            "standard" => Architecture::Standard,
            "jumprelu" => Architecture::JumpRelu,
            "topk" => Architecture::TopK { k: self.k()? },
            "gated" => Architecture::Gated,
            "batchtopk" | "matryoshka_batchtopk" => Architecture::BatchTopK,
            other => {
                let why = OTHERS
                    .iter()
                    .find(|(name, _)| *name == other)
                    .map_or_else(String::new, |(_, why)| format!(" ({why})"));
                return Err(self.unsupported(format!("architecture `{}`{why}", other.escape_debug()), SUPPORTED));
            }
        };
        Ok((architecture, spelled))
    }

    /// Before version 6 the activation had a key of its own: whether it makes the SAE a TopK one.
    fn old_activation(&self, architecture: &str) -> Result<bool, Error> {
        match self.text(&["activation_fn", "activation_fn_str"])?.as_deref() {
            None | Some("relu") => Ok(false),
            Some("topk") if matches!(architecture, "standard" | "topk") => Ok(true),
            Some(other) => Err(self.unsupported(
                format!("activation `{other}` in architecture `{architecture}`"),
                "supported are `relu`, and `topk` in architectures `standard` and `topk`",
            )),
        }
    }

    fn k(&self) -> Result<usize, Error> {
        let kwargs = match self.find(&["activation_fn_kwargs"]) {
            None => None,
            Some((_, Value::Object(map))) => map.get("k").filter(|value| !value.is_null()),
            Some((key, value)) => return Err(self.bad(key, "an object", value)),
        };
        match (kwargs, self.integer(&["k"])?) {
            (Some(value), _) => whole(value)
                .ok_or_else(|| self.bad("activation_fn_kwargs.k", "a whole number that is not negative", value)),
            (None, Some(k)) => Ok(k),
            (None, None) => {
                Err(Error::Config { file: self.file.to_owned(), why: "a TopK SAE needs `k`, which is missing".into() })
            }
        }
    }

    fn normalisation(&self, notes: &mut Vec<String>) -> Result<Normalisation, Error> {
        let spelled = match self.find(&["normalize_activations"]) {
            None | Some((_, Value::Bool(false))) => "none",
            Some((_, Value::Bool(true))) => "expected_average_only_in",
            Some((_, Value::String(text))) => text,
            Some((key, value)) => return Err(self.bad(key, "a string, true, false or null", value)),
        };
        match spelled {
            "none" => Ok(Normalisation::None),
            "constant_norm_rescale" => Ok(Normalisation::ConstantNorm),
            "layer_norm" => Ok(Normalisation::LayerNorm),
            "expected_average_only_in" => {
                let factor = self.typed(&["norm_scaling_factor"], "a number above zero", |value| {
                    value.as_f64().map(|factor| factor as f32).filter(|factor| factor.is_normal() && *factor > 0.0)
                })?;
                if factor.is_none() {
                    notes.push(
                        "`normalize_activations` is `expected_average_only_in` and the folder gives no factor; \
                         the weights are used as they are, as SAELens does"
                            .to_owned(),
                    );
                }
                Ok(factor.map_or(Normalisation::None, Normalisation::Scale))
            }
            // SAELens folds it into the weights when training ends, and says `none` then.
            "covariance_whitening" => Err(self.unsupported(
                "`normalize_activations` `covariance_whitening` (a checkpoint of a training that has not ended: its \
                 whitening is not in the weights)"
                    .to_owned(),
                "the SAE that the training ends with can be read",
            )),
            other => Err(self.unsupported(
                format!("`normalize_activations` `{}`", other.escape_debug()),
                "supported are `none`, `expected_average_only_in`, `constant_norm_rescale` and `layer_norm`",
            )),
        }
    }
}

/// A whole number, also where it is written as 32.0.
fn whole(value: &Value) -> Option<usize> {
    let whole = |number: f64| number.fract() == 0.0 && (0.0..=1e15).contains(&number);
    value.as_u64().or_else(|| value.as_f64().filter(|&n| whole(n)).map(|n| n as u64)).and_then(|n| n.try_into().ok())
}
