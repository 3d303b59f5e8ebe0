//! The demo's files, laid out as a repository of the hub: model, SAEs, suite, a text to measure on.
//! It measures nothing; `report.rs` writes what was measured.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::DType;
use saescope::sae::train::{Dtype, Origin, Trained};
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::lm::{Model, Shape};
use crate::measure::Figures;
use crate::plan::LAYER;
use crate::tokens;

/// The name of the model in every file that names one.
const NAME: &str = "saescope-demo";

fn write_json(file: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}

/// `model/`: configuration, weights in f16, tokenizer.
pub fn model(out: &Path, model: &Model, tokenizer: &Tokenizer) -> Result<()> {
    let folder = out.join("model");
    fs::create_dir_all(&folder)?;
    write_json(&folder.join("config.json"), &config(model.shape))?;
    let about = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": false,
        "bos_token": tokens::END,
        "eos_token": tokens::END,
        "unk_token": tokens::END,
        "model_max_length": model.shape.context,
    });
    write_json(&folder.join("tokenizer_config.json"), &about)?;
    tokens::save(tokenizer, &folder.join("tokenizer.json"))?;
    model.save(&folder.join("model.safetensors"), DType::F16)
}

fn config(shape: Shape) -> Value {
    json!({
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-5,
        "n_ctx": shape.context,
        "n_embd": shape.width,
        "n_head": shape.heads,
        "n_layer": shape.layers,
        "n_positions": shape.context,
        "tie_word_embeddings": true,
        "torch_dtype": "float16",
        "vocab_size": shape.vocab,
    })
}

/// `saes/WIDTH/`, as SAELens writes a JumpReLU SAE.
pub fn sae(out: &Path, sae: &Trained, context: usize) -> Result<()> {
    let origin = Origin {
        model_name: NAME.to_owned(),
        hook_name: format!("blocks.{LAYER}.hook_resid_pre"),
        prepend_bos: true,
        context_size: context,
    };
    let folder = out.join("saes").join(sae.width.to_string());
    Ok(sae.save(&folder, Dtype::F16, &origin)?)
}

/// `suite.toml`, with the measured figures as what to expect.
pub fn suite(out: &Path, figures: &[Figures]) -> Result<()> {
    let widest = figures.iter().map(|f| f.width).max().unwrap_or(0);
    let narrowest = figures.iter().map(|f| f.width).min().unwrap_or(0);
    let mut text = format!(
        "# Written by `cargo run --release -p make_demo`; the figures are measured on unseen text.\n\
         id = \"demo\"\n\
         title = \"A small world of facts, {narrowest} to {widest} latents\"\n\
         threshold = 0.7\n\
         prompt = \"Albert Einstein was a German physicist known for\"\n\
         text = \"text.txt\"\n\
         index = \"index\"\n\n\
         [model]\npath = \"model\"\nprepend_bos = true\n\n\
         [site]\nlayer = {LAYER}\nkind = \"resid_pre\"\ncenter = false\n"
    );
    for f in figures {
        write!(
            text,
            "\n[[sae]]\nid = \"{0}\"\nformat = \"sae-lens\"\npath = \"saes\"\nfolder = \"{0}\"\ndefault = true\n\
             expect = {{ l0 = {1:.2}, explained_variance = {2:.3} }}\n",
            f.width, f.l0, f.explained
        )?;
    }
    Ok(fs::write(out.join("suite.toml"), text)?)
}

/// `text.txt`: unseen documents, each begun by the end token as in training.
pub fn text(out: &Path, docs: &[String]) -> Result<()> {
    Ok(fs::write(out.join("text.txt"), docs.join(tokens::END) + "\n")?)
}

/// Bytes of all files below a folder.
pub fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(sum)
}
