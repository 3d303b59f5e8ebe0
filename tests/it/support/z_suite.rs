//! A suite on the demo's attention z: the demo's model with SAEs of random weights in SAELens' files.
//! Not here: tests.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

/// The size of z of the demo's model, 4 heads of 32.
pub const D: usize = 128;
/// Latents of each SAE.
pub const WIDTH: usize = 48;

/// What is special about an SAE: keys of its `cfg.json`, beside what every file has.
pub const KINDS: [(&str, &str, &str); 6] = [
    ("standard", "none", "true"),
    ("jumprelu", "none", "false"),
    ("topk", "none", "true"),
    ("gated", "none", "false"),
    ("standard", "layer_norm", "true"),
    ("jumprelu", "constant_norm_rescale", "true"),
];

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn write_sae(folder: &Path, seed: u64, (architecture, normalise, apply): (&str, &str, &str)) {
    fs::create_dir_all(folder).expect("is made");
    let mut tensors: Vec<(&str, Vec<usize>, Vec<f32>)> = vec![
        ("W_enc", vec![D, WIDTH], values(D * WIDTH, seed)),
        ("W_dec", vec![WIDTH, D], values(D * WIDTH, seed + 1)),
        ("b_dec", vec![D], values(D, seed + 2).into_iter().map(|b| b * 0.1).collect()),
    ];
    let small = |seed| values(WIDTH, seed).into_iter().map(|b| b * 0.3).collect::<Vec<f32>>();
    match architecture {
        "gated" => tensors.extend([
            ("b_gate", vec![WIDTH], small(seed + 3)),
            ("b_mag", vec![WIDTH], small(seed + 4)),
            ("r_mag", vec![WIDTH], small(seed + 5)),
        ]),
        _ => tensors.push(("b_enc", vec![WIDTH], small(seed + 3))),
    }
    if architecture == "jumprelu" {
        tensors.push(("threshold", vec![WIDTH], vec![0.2; WIDTH]));
    }
    let views: HashMap<&str, TensorView<'_>> = tensors
        .iter()
        .map(|(name, shape, values)| {
            let bytes = bytemuck::cast_slice(values);
            (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("fits"))
        })
        .collect();
    let bytes = safetensors::serialize(views, None).expect("is written");
    fs::write(folder.join("sae_weights.safetensors"), bytes).expect("is written");
    let mut config = json!({
        "architecture": architecture, "d_in": D, "d_sae": WIDTH, "dtype": "float32",
        "apply_b_dec_to_input": apply == "true", "normalize_activations": normalise, "reshape_activations": "hook_z",
        "metadata": {"model_name": "saescope-demo", "hook_name": "blocks.2.attn.hook_z", "prepend_bos": true,
                     "sae_lens_version": "6.54.0"},
    });
    if architecture == "topk" {
        config["k"] = json!(7);
    }
    fs::write(folder.join("cfg.json"), config.to_string()).expect("is written");
}

/// Writes the suite into a folder and gives its file; the SAEs' ids are their places in [`KINDS`], the first `saes` of
/// them. `site` are more lines of `[site]`.
pub fn write(folder: &Path, site: &str, saes: usize) -> PathBuf {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/model");
    let mut text = format!(
        "id = \"z\"\n[model]\npath = '{}'\nprepend_bos = true\n[site]\nlayer = 2\nkind = \"attn_z\"\n{site}\n",
        model.display()
    );
    for (id, kind) in KINDS.into_iter().enumerate().take(saes) {
        write_sae(&folder.join(id.to_string()), 100 * id as u64 + 7, kind);
        writeln!(text, "[[sae]]\nid = \"{id}\"\nformat = \"sae-lens\"\npath = \"{id}\"\ndefault = true")
            .expect("a string takes it");
    }
    let file = folder.join("z.toml");
    fs::write(&file, text).expect("is written");
    file
}
