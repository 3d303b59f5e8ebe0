//! What names of tensors say beside which tensor it is: in what it was wrapped, and what belongs to it.
//! Not here: which names a model or an SAE has.

use std::borrow::Cow;

/// What names are called whatever training had wrapped the module in: `torch.compile` puts `_orig_mod` in front of its
/// parameters' names, data parallelism `module`, sharding and recomputation theirs.
pub fn unwrapped(name: &str) -> Cow<'_, str> {
    /// Anywhere in a name: single blocks are wrapped too.
    const WRAPPERS: [&str; 3] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];
    /// At the beginning alone, since a module may call one of its own so.
    const PARALLEL: &str = "module";
    let is_wrapper = |part: &&str| WRAPPERS.contains(part);
    if !name.split('.').any(|part| is_wrapper(&part) || part == PARALLEL) {
        return Cow::Borrowed(name);
    }
    let parts: Vec<&str> = name.split('.').filter(|part| !is_wrapper(part)).collect();
    let first = parts.iter().take_while(|part| **part == PARALLEL).count();
    // A name of nothing but wrappers is one.
    parts.get(first..).filter(|rest| !rest.is_empty()).map_or(Cow::Borrowed(name), |rest| Cow::Owned(rest.join(".")))
}

/// Under which names the factors of a quantised tensor stand beside it.
pub(super) fn scales(tensor: &str) -> impl Iterator<Item = String> {
    let (module, part) = tensor.rfind('.').map_or(("", tensor), |dot| tensor.split_at(dot + 1));
    let behind = ["_scale", "_scale_inv", "_scales", ".scale", ".scales"].map(|end| format!("{tensor}{end}"));
    let beside = ["scale", "scales", "scale_inv"].map(|name| format!("{module}{name}"));
    behind.into_iter().chain(beside).chain([format!("{module}scale_{part}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_training_wraps_modules_in_is_taken_out_of_names() {
        for (wrapped, plain) in [
            ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
            ("_orig_mod.model.norm.weight", "model.norm.weight"),
            ("module.transformer.wte.weight", "transformer.wte.weight"),
            ("module._orig_mod.module.W_dec", "W_dec"),
            ("_fsdp_wrapped_module.model.layers.3._checkpoint_wrapped_module.mlp.b", "model.layers.3.mlp.b"),
            ("model.layers.3._orig_mod.self_attn.q_proj.weight", "model.layers.3.self_attn.q_proj.weight"),
            ("a.module.weight", "a.module.weight"),
            ("modules.weight", "modules.weight"),
            ("module", "module"),
            ("_orig_mod", "_orig_mod"),
            ("", ""),
        ] {
            assert_eq!(unwrapped(wrapped), plain);
        }
    }
}
