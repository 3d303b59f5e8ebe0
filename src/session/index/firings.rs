//! A text read once for one SAE, with all positions on which each latent fires and what these look like.
//! Not here: rules made of it (`analysis::rules`).

use crate::analysis::index::mix;
use crate::analysis::rules::{Firings, Position as Place};
use crate::analysis::tokens;
use crate::report::Report;
use crate::session::current::Corpus;
use crate::session::index::IndexRecipe;
use crate::session::index::live::run_window;
use crate::session::index::texts::Meter;
use crate::session::index::windows::{Position, Window};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::sample::cannot_encode;
use crate::task::{Cancel, OnProgress, Progress};

/// Positions that are run and encoded together.
const ROWS: usize = 2048;
/// Documents from which on whole documents are held out, and not single windows.
const DOCUMENTS: u64 = 8;

/// Windows, tokens and positions are those of an index of the same recipe. Half of the documents is held out, by the hash
/// of their numbers; of fewer than eight documents half of the windows.
///
/// # Errors
/// What is wrong with the text, the model or the SAE; that it was cancelled.
pub fn read_firings(
    suite: &LoadedSuite,
    corpus: &Corpus,
    recipe: &IndexRecipe,
    (sae, cancel, on): (&str, &Cancel, OnProgress<'_>),
) -> Result<Firings, Report> {
    let plan = suite.index_plan(recipe, corpus, cancel, on)?;
    let loaded = &suite.saes[suite.place(sae)?];
    let mut windows = plan.windows(Meter::default(), &Position::default());
    let mut read = Firings { fires: vec![Vec::new(); loaded.sae.width()], ..Firings::default() };
    let (mut of_window, mut waiting) = (Vec::new(), Vec::new());
    loop {
        cancel.check()?;
        let next = windows.next(&suite.model.tokenizer)?;
        let over = next.is_none();
        waiting.extend(next);
        let rows: usize = waiting.iter().map(|window: &Window| window.ids.len()).sum();
        if over || rows >= ROWS {
            add(suite, sae, &waiting, (&mut read, &mut of_window), cancel)?;
            waiting.clear();
            let done = of_window.len() as u64;
            on(Progress { what: "reading the text".to_owned(), done, total: recipe.tokens, ..Progress::default() });
        }
        if over {
            break;
        }
    }
    let documents = of_window.last().map_or(0, |(document, _)| document + 1);
    let held_out = |(document, window): &(u64, u32)| {
        let of = if documents < DOCUMENTS { document << 32 | u64::from(*window) } else { *document };
        mix(of) & 1 == 1
    };
    read.held_out = of_window.iter().map(held_out).collect();
    Ok(read)
}

/// Runs and encodes some windows; notes of each position that counts which document and window it is in.
fn add(
    suite: &LoadedSuite,
    sae: &str,
    windows: &[Window],
    (read, of_window): (&mut Firings, &mut Vec<(u64, u32)>),
    cancel: &Cancel,
) -> Result<(), Report> {
    let (taker, loaded) = (suite.taker(), &suite.saes[suite.place(sae)?]);
    let text = |id: u32| tokens::shown(id, &suite.model.tokenizer);
    let (mut x, mut counts) = (Vec::new(), Vec::new());
    for window in windows {
        let (rows, counted, _) = run_window(&taker, &window.ids, cancel)?;
        for (at, counted) in counted.into_iter().enumerate() {
            counts.push(counted.then_some(of_window.len() as u32));
            if counted {
                read.features.add(Place { ids: &window.ids, at }, &text);
                of_window.push((window.document, window.number));
            }
        }
        x.extend(rows);
    }
    let codes = loaded.sae.encode(&x, cancel).map_err(|error| cannot_encode(sae, &error))?;
    for (row, position) in counts.iter().enumerate() {
        let Some(position) = position else { continue };
        for latent in &codes.latents[codes.starts[row]..codes.starts[row + 1]] {
            read.fires[*latent as usize].push(*position);
        }
    }
    Ok(())
}
