//! What lies in the layouts of SAEs and is none: transcoders and crosscoders, which read one activation and write
//! another. What distinguishes them, and their refusal. Not here: reading them.

use super::{Config, Error};

/// What could be read instead.
pub const SUPPORTED: &str = "SAEs whose input and output are the same activation can be read";

/// A dictionary that reads one activation and writes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// From one place of a layer to another.
    Transcoder,
    /// From one layer to it and all later ones.
    CrossLayer,
    /// Over several layers or models at once.
    Crosscoder,
}

impl Other {
    /// By a word of a name or of a configuration, such as `transcoders` or `clt`.
    pub fn of_word(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        Some(match word.strip_suffix('s').unwrap_or(&word) {
            "transcoder" | "transcode" => Self::Transcoder,
            "clt" => Self::CrossLayer,
            "crosscoder" => Self::Crosscoder,
            _ => return None,
        })
    }

    /// The refusal; `why` names the key, the tensor or the part of a name that tells it.
    pub fn refused(self, file: &str, why: &str) -> Error {
        let name = match self {
            Self::Transcoder => "a transcoder",
            Self::CrossLayer => "a cross-layer transcoder",
            Self::Crosscoder => "a crosscoder",
        };
        let what = format!("{name} ({why})");
        Error::Unsupported { file: file.to_owned(), what, supported: SUPPORTED.to_owned() }
    }
}

/// Refuses what does not write as many values as it reads.
pub fn check_sizes(file: &str, reads: usize, writes: usize) -> Result<(), Error> {
    if reads == writes {
        return Ok(());
    }
    Err(Other::Transcoder.refused(file, &format!("it writes {writes} values and reads {reads}")))
}

/// Refuses what a configuration says to read at one place and to write at another; whether it says that both are one.
pub fn check_hooks(config: &Config, [from, to]: [&str; 2]) -> Result<bool, Error> {
    match (config.text(from)?, config.text(to)?) {
        (Some(from), Some(to)) if from != to => {
            let why = format!("it reads `{}` and writes `{}`", from.escape_debug(), to.escape_debug());
            Err(Other::Transcoder.refused(&config.file, &why))
        }
        both => Ok(matches!(both, (Some(_), Some(_)))),
    }
}

/// Refuses what a configuration calls something else than an SAE; whether it calls it an SAE.
pub fn check_type(config: &Config, key: &str) -> Result<bool, Error> {
    match config.text(key)? {
        None => Ok(false),
        Some("sae") => Ok(true),
        Some(said) => {
            let what = format!("`{key}` `{}`", said.escape_debug());
            Err(Other::of_word(said).map_or_else(
                || config.unsupported(what.clone(), SUPPORTED),
                |other| other.refused(&config.file, &format!("its {what} says so")),
            ))
        }
    }
}

/// Refuses what a file's name, folder or repository says to be something else than an SAE. For files whose tensors are
/// named and shaped like those of an SAE and that no configuration distinguishes: SAELens' readers go by the name too.
pub fn check_name(file: &str) -> Result<(), Error> {
    // What is nearest to the file counts: `transcoders/gemma-scope-2b-pt-res/…` holds SAEs.
    for part in file.rsplit(['/', '\\', ':', ' ', '@']) {
        let words = || part.split(|c: char| !c.is_ascii_alphanumeric());
        if let Some(other) = words().find_map(Other::of_word) {
            let why = format!("`{}` is its name, and nothing in it says otherwise", part.escape_debug());
            return Err(other.refused(file, &why));
        }
        let of_saes = ["sae", "saes", "res", "resid", "mlp", "att", "attn"];
        if words().any(|word| of_saes.contains(&word.to_ascii_lowercase().as_str())) {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_transcoders_from_saes() {
        let refused = |file: &str| check_name(file).err().map(|error| error.to_string());
        for (file, kind, part) in [
            (
                "google/gemma-scope-2b-pt-transcoders: layer_5/width_16k/average_l0_84/params.npz",
                "a transcoder",
                "gemma-scope-2b-pt-transcoders",
            ),
            (
                "google/gemma-scope-2-1b-pt: transcoder_all/layer_7_width_16k_l0_small/params.safetensors",
                "a transcoder",
                "transcoder_all",
            ),
            ("google/gemma-scope-2-270m-pt: clt/width_262k_l0_big/params_layer_1.safetensors", "a cross-layer", "clt"),
            (
                "google/gemma-scope-2-1b-it: crosscoder/layer_7_13_17_22_width_65k_l0_big/params_layer_0.safetensors",
                "a crosscoder",
                "crosscoder",
            ),
            (
                "/data/hub/models--google--gemma-scope-2b-pt-transcoders/snapshots/0a1b/layer_5/params.npz",
                "a transcoder",
                "models--google--gemma-scope-2b-pt-transcoders",
            ),
            (r"C:\saes\transcoder\layer_7_width_16k_l0_small\params.safetensors", "a transcoder", "transcoder"),
        ] {
            let error = refused(file).unwrap_or_else(|| panic!("{file} is taken for an SAE"));
            assert!(error.contains(kind) && error.contains(&format!("`{part}` is its name")), "{error}");
        }
        for file in [
            "google/gemma-scope-2b-pt-res: layer_12/width_16k/average_l0_82/params.npz",
            "google/gemma-scope-2-1b-pt: mlp_out_all/layer_7_width_16k_l0_small/params.safetensors",
            "/home/me/transcoders/gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82/params.npz",
            "/home/me/transcoder-paper/attn_out/layer_1/params.safetensors",
            "params.npz",
            "",
        ] {
            assert_eq!(refused(file), None, "{file}");
        }
    }
}
