//! What an SAE's own files say of where it belongs, where the suite says otherwise: model, hook, layer.
//! Not here: what the figures say.

use crate::sae::Metadata;
use crate::site::{Site, SiteKind};

/// Other names of models, as TransformerLens and SAELens have them, with the last part of the repository's name.
const ALIASES: [(&str, &str); 8] = [
    ("gpt2-small", "gpt2"),
    ("gpt2-base", "gpt2"),
    ("distillgpt2", "distilgpt2"),
    ("gpt-neo-small", "gpt-neo-125m"),
    ("pythia", "pythia-6-9b"),
    ("pythia-19m", "pythia-14m"),
    ("llama-3-1-8b-it", "llama-3-1-8b-instruct"),
    ("llama-3-1-8b-base", "llama-3-1-8b"),
];

/// What of the files' own words contradicts the suite, whose model has these `names` and whose activations are taken at
/// `site`. Without a name nothing is known of the model.
pub fn contradicted(metadata: &Metadata, names: &[String], site: Site) -> Vec<String> {
    let mut said = Vec::new();
    if let (Some(own), [first, ..]) = (&metadata.model_name, names)
        && !own.is_empty()
        && !names.iter().any(|name| is_same_model(own, name))
    {
        said.push(format!("its own files say `model_name` {own}; the suite's model is {first}"));
    }
    let hook = metadata.hook_name.as_deref();
    match hook.and_then(Site::of_hook) {
        Some(own) if !own.is_same_place(site) => {
            said.push(format!("its own files say `{}`; the suite takes {site}", hook.unwrap_or_default()));
        }
        Some(_) => {}
        // Where the hook has another name, its layer can still be compared.
        None => {
            let layer = metadata.hook_layer.or_else(|| layer_in(hook?));
            if let Some(layer) = layer.filter(|layer| !is_layer_of(*layer, site)) {
                said.push(format!("its own files say layer {layer}; the suite takes {site}"));
            }
        }
    }
    said
}

/// The layer in a hook's name that is not TransformerLens': `model.layers.13.output`, `resid_post_layer_8`.
fn layer_in(hook: &str) -> Option<usize> {
    let after = |mark: &str| hook.split_once(mark).map(|(_, rest)| rest);
    let rest = after("layers.").or_else(|| after("layer_"))?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether a layer can be the site's: what leaves a block enters the next.
fn is_layer_of(layer: usize, site: Site) -> bool {
    match site.kind {
        SiteKind::ResidPre => [site.layer, site.layer.saturating_sub(1)].contains(&layer),
        SiteKind::ResidPost => [site.layer, site.layer.saturating_add(1)].contains(&layer),
        _ => layer == site.layer,
    }
}

/// Whether two names are of one model, whoever keeps its files.
fn is_same_model(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}

/// A model's name without its owner, in one spelling.
fn plain(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let spelled: String =
        last.to_lowercase().chars().map(|c| if matches!(c, '.' | '_' | ' ') { '-' } else { c }).collect();
    // Gemma Scope 2 writes `gemma-v3-270m-pt` of what the hub calls `gemma-3-270m`.
    let spelled = spelled.replace("gemma-v3-", "gemma-3-");
    let bare = ["-hf", "-pt"].into_iter().find_map(|end| spelled.strip_suffix(end)).unwrap_or(&spelled);
    let bare = bare.strip_prefix("meta-").unwrap_or(bare);
    ALIASES.iter().find(|(alias, _)| *alias == bare).map_or_else(|| bare.to_owned(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(metadata: &Metadata, names: &[&str], site: Site) -> Vec<String> {
        contradicted(metadata, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), site)
    }

    const PRE_8: Site = Site { layer: 8, kind: SiteKind::ResidPre };

    #[test]
    fn a_model_has_many_names() {
        let of = |name: &str| Metadata { model_name: Some(name.to_owned()), ..Metadata::default() };
        for (own, repo) in [
            ("gpt2-small", "openai-community/gpt2"),
            ("gpt2", "gpt2"),
            ("openai-community/gpt2", "gpt2"),
            ("gemma-2-2b", "google/gemma-2-2b"),
            ("gemma-v3-270m-pt", "google/gemma-3-270m"),
            ("google/gemma-2-2b", "unsloth/gemma-2-2b"),
            ("meta-llama/Llama-3.1-8B", "unsloth/Meta-Llama-3.1-8B"),
            ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
            ("EleutherAI/pythia-70m-deduped", "EleutherAI/pythia-70m-deduped"),
            ("pythia-70m-deduped", "EleutherAI/pythia-70m-deduped"),
        ] {
            assert_eq!(said(&of(own), &[repo], PRE_8), Vec::<String>::new(), "{own} {repo}");
        }
        for (own, repo) in [
            ("gpt2-medium", "openai-community/gpt2"),
            ("gemma-2-2b", "google/gemma-2-2b-it"),
            ("pythia-70m", "EleutherAI/pythia-70m-deduped"),
            ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct"),
        ] {
            let expected = format!("its own files say `model_name` {own}; the suite's model is {repo}");
            assert_eq!(said(&of(own), &[repo], PRE_8), [expected]);
        }
        // A copy is as good as the repository it is of, and a directory has no name.
        assert!(said(&of("gemma-2-2b"), &["someone/copy", "google/gemma-2-2b"], PRE_8).is_empty());
        assert!(said(&of("gemma-2-2b"), &[], PRE_8).is_empty() && said(&of(""), &["gpt2"], PRE_8).is_empty());
    }

    #[test]
    fn a_hook_is_compared_by_its_place_and_else_by_its_layer() {
        let of = |hook: Option<&str>, layer| Metadata {
            hook_name: hook.map(ToOwned::to_owned),
            hook_layer: layer,
            ..Metadata::default()
        };
        for (hook, layer) in [
            (Some("blocks.8.hook_resid_pre"), Some(8)),
            (Some("blocks.7.hook_resid_post"), Some(7)),
            (Some("resid_post_layer_7"), Some(7)),
            (Some("model.layers.7.output"), None),
            (Some("somewhere"), None),
            (None, Some(8)),
            (None, None),
        ] {
            assert_eq!(said(&of(hook, layer), &["gpt2"], PRE_8), Vec::<String>::new(), "{hook:?} {layer:?}");
        }
        assert_eq!(
            said(&of(Some("blocks.8.hook_mlp_out"), Some(8)), &[], PRE_8),
            ["its own files say `blocks.8.hook_mlp_out`; the suite takes layer 8 resid_pre"]
        );
        assert_eq!(
            said(&of(Some("resid_post_layer_3"), Some(3)), &[], PRE_8),
            ["its own files say layer 3; the suite takes layer 8 resid_pre"]
        );
        assert_eq!(
            said(&of(Some("model.layers.13.output"), None), &[], PRE_8),
            ["its own files say layer 13; the suite takes layer 8 resid_pre"]
        );
        let out = Site { layer: 8, kind: SiteKind::MlpOut };
        assert_eq!(said(&of(None, Some(7)), &[], out), ["its own files say layer 7; the suite takes layer 8 mlp_out"]);
    }
}
