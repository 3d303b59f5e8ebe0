//! The formats that SAEs are published in: what each is called in suite files, and what its files are called.
//! Not here: what is in the files (`sae::formats`), and where they come from.

use crate::blob::Blob;

/// How the files of an SAE are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// SAELens: `cfg.json` and `sae_weights.safetensors`.
    SaeLens,
    /// Gemma Scope 1 (`params.npz`) and 2 (`params.safetensors`).
    GemmaScope,
    /// Llama Scope: `hyperparams.json` and `checkpoints/final.safetensors`; where another file is named, `config.json`.
    LlamaScope,
    /// OpenAI's autoencoders for GPT-2: one `.pt`.
    OpenAi,
    /// EleutherAI's sparsify, formerly `sae`: `cfg.json` and `sae.safetensors`.
    Sparsify,
    /// `dictionary_learning` and SAEBench: `config.json` and `ae.pt`.
    DictionaryLearning,
    /// Kissane et al.'s SAEs on the heads' concatenated z: a `.pt` and a `_cfg.json` beside it.
    HookZ,
    /// Two linear layers in a `.pt` that stands alone: Goodfire, qresearch.
    Linear,
    /// BatchTopK (meta-SAEs): `Config.json` and `SAE.pt`.
    BatchTopK,
}

/// What a format is called, and its files.
struct Layout {
    name: &'static str,
    /// The configuration that it cannot be read without.
    config: Config,
    /// The tensors; none where they have no usual name.
    weights: Option<&'static str>,
    /// How often each latent fired in training, where that was kept.
    sparsity: Option<&'static str>,
}

/// Where a format's configuration is.
enum Config {
    /// There is none.
    None,
    /// Under this name.
    Named(&'static str),
    /// Under this name, and under the second where the tensors are not in the file of the usual name.
    OfUsual(&'static str, &'static str),
    /// Under this name where it is at all, beside tensors whose file ends so.
    Welcome(&'static str, &'static str),
    /// Under the name of the tensors with another ending in place of theirs.
    Beside(&'static str, &'static str),
}

/// The names of an SAE's files within its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNames {
    /// The configuration that the format cannot be read without.
    pub config: Option<String>,
    /// The tensors.
    pub weights: String,
    /// How often each latent fired in training.
    pub sparsity: Option<&'static str>,
    /// A configuration that is used where it is.
    pub extra: Option<&'static str>,
}

/// The files of one SAE.
#[derive(Clone, Debug)]
pub struct Files {
    /// How they are laid out.
    pub format: Format,
    /// The configuration, in formats that have one.
    pub config: Option<Blob>,
    /// The tensors.
    pub weights: Blob,
    /// How often each latent fired in training, where that was kept.
    pub sparsity: Option<Blob>,
}

impl Format {
    /// Those that a `[[sae]]` can have.
    pub const SAE: [Self; 8] = [
        Self::SaeLens,
        Self::GemmaScope,
        Self::LlamaScope,
        Self::OpenAi,
        Self::Sparsify,
        Self::DictionaryLearning,
        Self::HookZ,
        Self::Linear,
    ];

    /// Those that a `[[meta]]` can have.
    pub const META: [Self; 2] = [Self::BatchTopK, Self::SaeLens];

    /// Everything that is said of a format before its files are opened.
    fn layout(self) -> Layout {
        let of = |name, config, weights| Layout { name, config, weights, sparsity: None };
        match self {
            Self::SaeLens => Layout {
                sparsity: Some("sparsity.safetensors"),
                ..of("sae-lens", Config::Named("cfg.json"), Some("sae_weights.safetensors"))
            },
            // Only the second release has a configuration, and not everywhere.
            Self::GemmaScope => of("gemma-scope", Config::Welcome("config.json", ".safetensors"), Some("params.npz")),
            // What the authors save since: `config.json` beside `sae_weights.safetensors`.
            Self::LlamaScope => of(
                "llama-scope",
                Config::OfUsual("hyperparams.json", "config.json"),
                Some("checkpoints/final.safetensors"),
            ),
            Self::OpenAi => of("openai", Config::None, None),
            Self::Sparsify => of("sparsify", Config::Named("cfg.json"), Some("sae.safetensors")),
            Self::DictionaryLearning => of("dictionary-learning", Config::Named("config.json"), Some("ae.pt")),
            Self::HookZ => of("hook-z", Config::Beside(".pt", "_cfg.json"), None),
            Self::Linear => of("linear", Config::None, None),
            Self::BatchTopK => of("batch-topk", Config::Named("Config.json"), Some("SAE.pt")),
        }
    }

    /// Its name in suite files.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.layout().name
    }

    /// Whether its tensors are in a file of a usual name; in other formats the file must be named.
    #[must_use]
    pub fn has_usual_file(self) -> bool {
        self.layout().weights.is_some()
    }

    /// The names of its files, the tensors in `file` where it is given; `None` where they have no usual name.
    #[must_use]
    pub fn files(self, file: Option<&str>) -> Option<FileNames> {
        let Layout { config, weights: usual, sparsity, .. } = self.layout();
        let weights = file.or(usual)?.to_owned();
        let (config, extra) = match config {
            Config::None => (None, None),
            Config::Named(name) => (Some(name.to_owned()), None),
            Config::OfUsual(name, other) => {
                let name = if usual == Some(weights.as_str()) { name } else { other };
                (Some(name.to_owned()), None)
            }
            Config::Welcome(name, ending) => (None, weights.ends_with(ending).then_some(name)),
            Config::Beside(ending, other) => {
                (Some(format!("{}{other}", weights.strip_suffix(ending).unwrap_or(&weights))), None)
            }
        };
        Some(FileNames { config, weights, sparsity, extra })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_name_of_its_own() {
        let mut names: Vec<&str> = Format::SAE.into_iter().chain(Format::META).map(Format::name).collect();
        names.sort_unstable();
        names.dedup();
        // SAELens' layout is that of meta-SAEs too.
        assert_eq!(names.len(), Format::SAE.len() + Format::META.len() - 1);
    }

    #[test]
    fn files_have_the_names_that_their_releases_give_them() {
        let names = |format: Format, file: Option<&str>| {
            let FileNames { config, weights, extra, .. } = format.files(file)?;
            Some((config.or(extra.map(str::to_owned)).unwrap_or_default(), weights))
        };
        let some = |config: &str, weights: &str| Some((config.to_owned(), weights.to_owned()));
        assert_eq!(names(Format::SaeLens, None), some("cfg.json", "sae_weights.safetensors"));
        assert_eq!(names(Format::GemmaScope, None), some("", "params.npz"));
        assert_eq!(names(Format::GemmaScope, Some("params.safetensors")), some("config.json", "params.safetensors"));
        assert_eq!(names(Format::LlamaScope, None), some("hyperparams.json", "checkpoints/final.safetensors"));
        assert_eq!(
            names(Format::LlamaScope, Some("sae_weights.safetensors")),
            some("config.json", "sae_weights.safetensors")
        );
        assert_eq!(names(Format::HookZ, Some("a_v9.pt")), some("a_v9_cfg.json", "a_v9.pt"));
        for format in [Format::OpenAi, Format::HookZ, Format::Linear] {
            assert!(names(format, None).is_none() && !format.has_usual_file(), "{format:?}");
        }
    }
}
