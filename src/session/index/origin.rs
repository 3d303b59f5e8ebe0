//! What the open suite's counts depend on, by content: model, tokenizer, SAEs, and how they are put together.
//! Not here: the text.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::device::DeviceName;
use crate::report::Report;
use crate::session::content::{hash_of, hex};
use crate::session::index::note::Origin;
use crate::session::load_scope::LoadScope;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::suite::TokenizerParts;
use crate::task::{Cancel, OnProgress};

/// What the open suite is, with all of its SAEs.
#[derive(Clone, PartialEq, Eq, Hash)]
struct OriginKey;

impl MemoKey for OriginKey {
    type Value = Arc<Origin>;
}

/// What the open suite is, with all of its SAEs and without a text.
///
/// # Errors
/// That a file cannot be read.
pub fn origin(suite: &LoadedSuite, cancel: &Cancel, progress: OnProgress<'_>) -> Result<Arc<Origin>, Report> {
    suite.memo.get_or(&OriginKey, cancel, progress, |_| compute(suite, cancel).map(Arc::new))
}

fn compute(suite: &LoadedSuite, cancel: &Cancel) -> Result<Origin, Report> {
    let (of, hub) = (&suite.suite, &suite.setup.hub);
    let mut site = of.site.to_string();
    for (is, said) in [(of.center, ", centred"), (of.fold_value_bias, ", without the values' bias")] {
        site.push_str(if is { said } else { "" });
    }
    if suite.setup.compute_device.name() != DeviceName::Cpu {
        // A card's figures differ in the last digits.
        site = format!("{site}, computed by {}", suite.setup.compute_device.name());
    }
    let bos = suite.model.tokenizer.bos().filter(|_| of.model.prepend_bos);
    let (mut model, mut tokenizer) = (Sha256::new(), Sha256::new());
    // Of a model in shards those up to the site, whatever is open: no others are run.
    if let Ok(parts) = of.model_files_with(hub, &LoadScope::Site.pick(of.site)) {
        for blob in [&parts.config].into_iter().chain(&parts.weights) {
            model.update(hash_of(blob, cancel)?);
        }
        let own = match &parts.tokenizer {
            TokenizerParts::Json(json) => vec![json],
            TokenizerParts::Bpe { vocab, merges } => vec![vocab, merges],
        };
        tokenizer.update(format!("{:?}", of.model.tokenizer));
        for blob in own.into_iter().chain(parts.said.all()) {
            tokenizer.update(hash_of(blob, cancel)?);
        }
    }
    let mut saes = BTreeMap::new();
    for loaded in &suite.saes {
        let entry = &loaded.entry;
        let mut sae = Sha256::new();
        sae.update(format!("{:?} {:?} {:?}", entry.format, entry.norm_scaling_factor, entry.normalize_activations));
        let files = of.sae_files(entry, hub)?;
        for blob in files.config.iter().chain([&files.weights]) {
            sae.update(hash_of(blob, cancel)?);
        }
        saes.insert(entry.id.clone(), hex(&sae.finalize()));
    }
    let (model, tokenizer) = (hex(&model.finalize()), hex(&tokenizer.finalize()));
    Ok(Origin { site, bos, model, tokenizer, saes, metas: BTreeMap::new(), texts: Vec::new() })
}
