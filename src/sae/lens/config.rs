//! What a SAELens `cfg.json` says, in the spellings of all its versions.
//! Not here: tensors.

use crate::blob::Blob;
use crate::json_file::{self, JsonFile, Value, described};

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
    /// `d_in` and `d_sae`, where they are stated.
    sizes: [Option<usize>; 2],
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
    /// Reads a configuration. Unknown keys are passed over; those that change numbers are read where SAELens 6 reads them
    /// and must have the right type.
    pub fn open(blob: &Blob) -> Result<Self, Error> {
        let json = JsonFile::open(blob)?;
        let meta = json.section("metadata")?;
        let mut keys = Keys { old: is_old(&json, meta.as_ref())?, json: &json, meta: meta.as_ref(), notes: Vec::new() };
        let (architecture, spelled) = keys.architecture()?;
        let normalisation = keys.normalisation()?;
        // Only the TopK family knows this key; SAELens passes it over elsewhere.
        let ranks = matches!(architecture, Architecture::TopK { .. } | Architecture::BatchTopK);
        Ok(Self {
            file: json.file().to_owned(),
            architecture,
            apply_b_dec_to_input: keys.apply_b_dec_to_input()?,
            rescale_acts_by_decoder_norm: ranks && json.boolean("rescale_acts_by_decoder_norm")?.unwrap_or(false),
            normalisation,
            sizes: [json.size("d_in")?, json.size("d_sae")?],
            metadata: keys.metadata(spelled),
        })
    }

    /// Fails when a size that the configuration states is not that of a tensor.
    pub fn must_be(&self, d_in: usize, width: usize, tensor: &str, weights: &str) -> Result<(), Error> {
        for (key, stated, size) in [("d_in", self.sizes[0], d_in), ("d_sae", self.sizes[1], width)] {
            if let Some(stated) = stated.filter(|stated| *stated != size) {
                let file = self.file.clone();
                let (key, tensor, weights) = (key.to_owned(), tensor.to_owned(), weights.to_owned());
                return Err(json_file::Error::Size { file, key, stated, size, tensor, weights }.into());
            }
        }
        Ok(())
    }
}

/// Whether this was written before SAELens 6, as SAELens decides it.
fn is_old(json: &JsonFile, meta: Option<&JsonFile>) -> Result<bool, Error> {
    let stated = |json: &JsonFile| -> Result<Option<String>, Error> {
        Ok(json.text("sae_lens_version")?.filter(|version| !version.is_empty()).map(ToOwned::to_owned))
    };
    let version = match (stated(json)?, meta) {
        (None, Some(meta)) => stated(meta)?,
        (version, _) => version,
    };
    let major = version.as_deref().and_then(|version| version.split('.').next()?.parse::<u64>().ok());
    Ok(major.is_none_or(|major| major < 6))
}

/// The keys of a configuration: those that change numbers stand beside `metadata`; what describes the SAE stands in it
/// from version 6 on, and before beside it.
struct Keys<'a> {
    old: bool,
    json: &'a JsonFile,
    meta: Option<&'a JsonFile>,
    notes: Vec<String>,
}

impl Keys<'_> {
    fn bad(&self, why: String) -> Error {
        Error::Config { file: self.json.file().to_owned(), why }
    }

    fn unsupported(&self, what: String, supported: &str) -> Error {
        Error::Unsupported { file: self.json.file().to_owned(), what, supported: supported.to_owned() }
    }

    fn architecture(&mut self) -> Result<(Architecture, String), Error> {
        let stated = self.json.text("architecture")?;
        if stated.is_none() && !self.old {
            // SAELens 6 ends with a KeyError here.
            return Err(self.json.missing("architecture").into());
        }
        let spelled = stated.unwrap_or("standard").to_owned();
        if self.old && self.old_activation(&spelled)? {
            return Ok((Architecture::TopK { k: self.k()? }, spelled));
        }
        if stated.is_none() && self.json.get("k").is_some() {
            self.notes.push(
                "`k` is passed over: no `architecture` is given, which SAELens reads as `standard`, an SAE with ReLU"
                    .to_owned(),
            );
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
        match self.json.text(self.old_spelling(&["activation_fn", "activation_fn_str"]))? {
            None | Some("relu") => Ok(false),
            Some("topk") if architecture == "topk" => Ok(true),
            Some("topk") if architecture == "standard" => {
                if self.old_k()?.is_none() {
                    return Err(self.bad(
                        "the activation is `topk`, and `activation_fn_kwargs.k` is missing: SAELens reads that as ReLU; \
                         set `k` there, or `architecture` to `topk`"
                            .to_owned(),
                    ));
                }
                Ok(true)
            }
            Some(other) => Err(self.unsupported(
                format!("activation `{}` in architecture `{}`", other.escape_debug(), architecture.escape_debug()),
                "supported are `relu`, and `topk` in architectures `standard` and `topk`",
            )),
        }
    }

    /// Of two spellings of a key SAELens takes the one that stands last in the file, before version 6.
    fn old_spelling<'n>(&self, names: &[&'n str]) -> &'n str {
        let last = self.json.keys().keys().rev().find_map(|key| names.iter().find(|name| *name == key));
        last.or(names.first()).copied().unwrap_or_default()
    }

    fn old_k(&self) -> Result<Option<usize>, Error> {
        Ok(self.json.section("activation_fn_kwargs")?.map(|kwargs| kwargs.size("k")).transpose()?.flatten())
    }

    /// k: that of the activation before version 6, its own key from then on.
    fn k(&mut self) -> Result<usize, Error> {
        let own = self.json.size("k")?;
        let k = match (self.old, own) {
            (true, own) => self.old_k()?.or(own),
            (false, Some(own)) => {
                if let Some(left) = self.old_k().ok().flatten().filter(|left| *left != own) {
                    self.notes.push(format!(
                        "`k` is {own}, and `activation_fn_kwargs.k` is {left}: SAELens 6 takes the first, and so does this"
                    ));
                }
                Some(own)
            }
            (false, None) => None,
        };
        k.ok_or_else(|| self.bad("a TopK SAE needs `k`, which is missing".to_owned()))
    }

    /// Absent means true in every version; null is nothing that SAELens can multiply with.
    fn apply_b_dec_to_input(&self) -> Result<bool, Error> {
        const KEY: &str = "apply_b_dec_to_input";
        if self.json.is_null(KEY) {
            return Err(self.json.wrong(KEY, "true or false").into());
        }
        Ok(self.json.boolean(KEY)?.unwrap_or(true))
    }

    fn normalisation(&mut self) -> Result<Normalisation, Error> {
        const KEY: &str = "normalize_activations";
        let spelled = match self.json.get(KEY) {
            None => "none",
            Some(Value::Bool(false)) if self.old => "none",
            Some(Value::Bool(true)) if self.old => "expected_average_only_in",
            Some(Value::String(text)) => text,
            Some(_) if self.old => return Err(self.json.wrong(KEY, "a string, true, false or null").into()),
            Some(_) => return Err(self.json.wrong(KEY, "a string").into()),
        };
        match spelled {
            "none" => Ok(Normalisation::None),
            "constant_norm_rescale" => Ok(Normalisation::ConstantNorm),
            "layer_norm" => Ok(Normalisation::LayerNorm),
            "expected_average_only_in" => self.factor(),
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

    /// The factor of `expected_average_only_in`. SAELens takes it from its registry alone.
    fn factor(&mut self) -> Result<Normalisation, Error> {
        let factor = self.json.typed("norm_scaling_factor", "a number above zero", |value| {
            value.as_f64().map(|factor| factor as f32).filter(|factor| factor.is_normal() && *factor > 0.0)
        })?;
        self.notes.push(match factor {
            None => "`normalize_activations` is `expected_average_only_in` and the folder gives no factor; \
                     the weights are used as they are, as SAELens does"
                .to_owned(),
            Some(factor) => format!(
                "activations are multiplied by the `norm_scaling_factor` of `{}`, {factor}; SAELens reads no factor \
                 there and would use the weights as they are",
                self.json.file()
            ),
        });
        Ok(factor.map_or(Normalisation::None, Normalisation::Scale))
    }

    /// What changes no number: where it is of another type it is left out, and a note says so.
    fn metadata(mut self, architecture: String) -> Metadata {
        let (meta, json) = (self.meta, self.json);
        // Where SAELens reads it comes first.
        let places = if self.old { [Some(json), meta] } else { [meta, Some(json)] };
        let place = |names: &[&'static str]| {
            let found = |json: &&JsonFile| names.iter().any(|name| json.get(name).is_some());
            let json = places.into_iter().flatten().find(found).unwrap_or(json);
            (json, json.spelled(names))
        };
        let notes = &mut self.notes;
        let mut text = |names: &[&'static str]| {
            let (json, key) = place(names);
            described(json.text(key), notes).map(ToOwned::to_owned)
        };
        let model_name = text(&["model_name"]);
        let hook_name = text(&["hook_name", "hook_point"]);
        let neuronpedia_id = text(&["neuronpedia_id"]);
        let sae_lens_version = text(&["sae_lens_version"]);
        let dtype = text(&["dtype"]);
        let mut size = |names: &[&'static str]| {
            let (json, key) = place(names);
            described(json.size(key), notes)
        };
        let hook_layer = size(&["hook_layer", "hook_point_layer"]);
        let hook_head_index = size(&["hook_head_index", "hook_point_head_index"]);
        let context_size = size(&["context_size"]);
        let (at, key) = place(&["prepend_bos"]);
        // Before version 6 every SAE was trained with one unless it said otherwise.
        let unless_said = (self.old && at.get(key).is_none()).then_some(true);
        let prepend_bos = described(at.boolean(key), notes).or(unless_said);
        Metadata {
            architecture,
            model_name,
            hook_name,
            hook_layer,
            hook_head_index,
            prepend_bos,
            neuronpedia_id,
            context_size,
            sae_lens_version,
            dtype: dtype.map(|dtype| dtype.trim_start_matches("torch.").to_owned()),
            notes: self.notes,
        }
    }
}
