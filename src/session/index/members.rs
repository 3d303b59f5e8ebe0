//! A meta-latent in the stored examples of its members, where it was not counted itself: each window is run again.
//! Not here: meta-latents that were counted (`metas.rs`).

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::{CorpusToken, Example, ExampleSource, MembersCorpus, tokens};
use crate::report::Report;
use crate::session::index::live::run_window;
use crate::session::index::metas::IndexedMeta;
use crate::session::index::{Counted, INDEX_TOP, kept};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::sample::cannot_encode;
use crate::task::Cancel;

/// Members that are looked at, the strongest first, and windows that are run at most.
const MEMBERS: usize = 32;
const WINDOWS: usize = 64;

/// By document and window: the tokens.
type Windows = BTreeMap<(u64, u32), Vec<u32>>;

/// Where a meta-latent peaks in its members' examples; one example a window, one a document where there are enough.
///
/// # Errors
/// What is wrong with the index or the model; that it was cancelled.
pub fn corpus(
    suite: &LoadedSuite,
    meta: &IndexedMeta,
    meta_latent: u32,
    counted: &Counted,
    cancel: &Cancel,
) -> Result<MembersCorpus, Report> {
    let members = meta.table.members_of(meta_latent as usize).unwrap_or_default();
    let looked_at: Vec<u32> = members.iter().take(MEMBERS).map(|(latent, _)| *latent).collect();
    let windows = windows_of(suite, &meta.sae, &looked_at, counted, cancel)?;
    let tokens = match counted {
        Counted::Live(live) => live.corpus().tokens,
        Counted::Kept(kept) => kept.note.tokens,
        Counted::Nothing => 0,
    };
    let mut peaks = Vec::new();
    for (at, ids) in &windows {
        cancel.check()?;
        peaks.extend(peak(suite, meta, meta_latent, *at, ids, cancel)?);
    }
    let place = |of: &Example| (of.document, of.window, of.position);
    peaks.sort_by(|a, b| b.activation.total_cmp(&a.activation).then_with(|| place(a).cmp(&place(b))));
    let max = peaks.first().map_or(0.0, |peak| peak.activation);
    let mut seen = BTreeSet::new();
    let (mut examples, others): (Vec<Example>, Vec<Example>) =
        peaks.into_iter().partition(|of| seen.insert(of.document));
    examples.truncate(INDEX_TOP);
    let room = INDEX_TOP - examples.len();
    examples.extend(others.into_iter().take(room));
    examples.sort_by(|a, b| b.activation.total_cmp(&a.activation).then_with(|| place(a).cmp(&place(b))));
    Ok(MembersCorpus { tokens, windows: windows.len(), members: looked_at.len(), max, examples })
}

/// The windows of the members' best examples, in turn from each.
fn windows_of(
    suite: &LoadedSuite,
    sae: &str,
    members: &[u32],
    counted: &Counted,
    cancel: &Cancel,
) -> Result<Windows, Report> {
    let tokenizer = &suite.model.tokenizer;
    let mut of_members = Vec::new();
    for latent in members {
        cancel.check()?;
        let said = match counted {
            Counted::Live(live) => kept::live(&live.corpus(), (sae, None), *latent, tokenizer),
            Counted::Kept(kept) => Some(kept.latent((sae, None), *latent, tokenizer)?),
            Counted::Nothing => None,
        };
        let Some(said) = said else { continue };
        of_members.push(said.examples.into_iter().filter(|example| example.best).collect::<Vec<_>>());
    }
    let mut windows = Windows::new();
    let longest = of_members.iter().map(Vec::len).max().unwrap_or(0);
    for example in (0..longest).flat_map(|rank| of_members.iter().filter_map(move |of| of.get(rank))) {
        if windows.len() < WINDOWS {
            let ids = example.tokens.iter().map(|token| token.id).collect();
            windows.entry((example.document, example.window)).or_insert(ids);
        }
    }
    Ok(windows)
}

/// Where a meta-latent is strongest in a window, of the positions that count; none where it is nowhere.
fn peak(
    suite: &LoadedSuite,
    meta: &IndexedMeta,
    meta_latent: u32,
    (document, window): (u64, u32),
    ids: &[u32],
    cancel: &Cancel,
) -> Result<Option<Example>, Report> {
    let (rows, counts, _) = run_window(&suite.taker(), ids, cancel)?;
    let sae = &suite.saes[suite.place(&meta.sae)?].sae;
    let codes = sae.encode(&rows, cancel).map_err(|error| cannot_encode(&meta.sae, &error))?;
    let activity = meta.table.activity(&codes);
    let at = |row: usize| {
        let (metas, values) = activity.row(row);
        metas.binary_search(&meta_latent).map_or(0.0, |place| values[place])
    };
    let values: Vec<f32> = counts.iter().enumerate().map(|(row, counts)| if *counts { at(row) } else { 0.0 }).collect();
    let largest = values.iter().copied().fold(0.0, f32::max);
    let Some(position) = values.iter().position(|value| *value == largest).filter(|_| largest > 0.0) else {
        return Ok(None);
    };
    let text = |id: u32| tokens::shown(id, &suite.model.tokenizer);
    let each = ids.iter().zip(values).map(|(id, activation)| CorpusToken { id: *id, text: text(*id), activation });
    Ok(Some(Example {
        document,
        window,
        position,
        activation: largest,
        quantile_bin: 0,
        best: true,
        source: ExampleSource::Members,
        tokens: each.collect(),
    }))
}
