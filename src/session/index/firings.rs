//! A text read once for one SAE, window by window, with what fires in each; and all positions on which each latent fires.
//! Not here: rules made of it (`analysis::rules`), what a model is asked about it (`analysis::explain`).

use crate::analysis::index::mix;
use crate::analysis::rules::{Firings, Position as Place};
use crate::analysis::tokens;
use crate::report::Report;
use crate::sae::Codes;
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

/// A window that was run and encoded.
pub struct ReadWindow<'a> {
    /// Its document, its number in it, and its tokens.
    pub place: (u64, u32),
    pub ids: &'a [u32],
    /// For each position whether it counts: it is neither skipped nor a sink.
    pub counted: &'a [bool],
    codes: &'a Codes,
    row: usize,
}

impl ReadWindow<'_> {
    /// The latents that fire at a position, with their activations.
    pub fn fires(&self, at: usize) -> impl Iterator<Item = (u32, f32)> {
        let row = self.row + at;
        let range = self.codes.starts[row]..self.codes.starts[row + 1];
        range.map(|pair| (self.codes.latents[pair], self.codes.values[pair]))
    }
}

/// Which half of a text is held out: half of the documents, by the hash of their numbers; of few documents half of the
/// windows.
#[derive(Clone, Copy, Debug)]
pub struct Halves {
    by_window: bool,
}

impl Halves {
    /// Whether a window of a document is held out.
    pub fn is_held_out(self, (document, window): (u64, u32)) -> bool {
        let of = if self.by_window { document << 32 | u64::from(window) } else { document };
        mix(of) & 1 == 1
    }
}

/// Reads a text in windows, tokens and positions of an index of the same recipe, and gives each window.
///
/// # Errors
/// What is wrong with the text, the model or the SAE; that it was cancelled.
pub fn read_windows(
    suite: &LoadedSuite,
    corpus: &Corpus,
    recipe: &IndexRecipe,
    (sae, cancel, on): (&str, &Cancel, OnProgress<'_>),
    take: &mut dyn FnMut(&ReadWindow<'_>),
) -> Result<Halves, Report> {
    let plan = suite.index_plan(recipe, Vec::new(), corpus, cancel, on)?;
    let mut windows = plan.windows(Meter::default(), &Position::default());
    let (mut waiting, mut documents, mut done) = (Vec::new(), 0, 0);
    loop {
        cancel.check()?;
        let next = windows.next(&suite.model.tokenizer)?;
        let over = next.is_none();
        waiting.extend(next);
        let rows: usize = waiting.iter().map(|window: &Window| window.ids.len()).sum();
        if over || rows >= ROWS {
            done += encode(suite, sae, &waiting, cancel, take)?;
            documents = waiting.last().map_or(documents, |window| window.document + 1);
            waiting.clear();
            on(Progress { what: "reading the text".to_owned(), done, total: recipe.tokens, ..Progress::default() });
        }
        if over {
            break;
        }
    }
    Ok(Halves { by_window: documents < DOCUMENTS })
}

/// Runs and encodes some windows, gives each, and how many positions of them count.
fn encode(
    suite: &LoadedSuite,
    sae: &str,
    windows: &[Window],
    cancel: &Cancel,
    take: &mut dyn FnMut(&ReadWindow<'_>),
) -> Result<u64, Report> {
    let (taker, loaded) = (suite.taker(), &suite.saes[suite.place(sae)?]);
    let (mut x, mut all) = (Vec::new(), Vec::with_capacity(windows.len()));
    for window in windows {
        let (rows, counted, _) = run_window(&taker, &window.ids, cancel)?;
        x.extend(rows);
        all.push(counted);
    }
    let codes = loaded.sae.encode(&x, cancel).map_err(|error| cannot_encode(sae, &error))?;
    let (mut row, mut done) = (0, 0);
    for (window, counted) in windows.iter().zip(&all) {
        let Window { document, number, ids } = window;
        take(&ReadWindow { place: (*document, *number), ids, counted, codes: &codes, row });
        row += ids.len();
        done += counted.iter().filter(|counted| **counted).count() as u64;
    }
    Ok(done)
}

/// All positions on which each latent fires, and what these look like.
///
/// # Errors
/// As [`read_windows`].
pub fn read_firings(
    suite: &LoadedSuite,
    corpus: &Corpus,
    recipe: &IndexRecipe,
    (sae, cancel, on): (&str, &Cancel, OnProgress<'_>),
) -> Result<Firings, Report> {
    let loaded = &suite.saes[suite.place(sae)?];
    let text = |id: u32| tokens::shown(id, &suite.model.tokenizer);
    let mut read = Firings { fires: vec![Vec::new(); loaded.sae.width()], ..Firings::default() };
    let mut of_window = Vec::new();
    let mut take = |window: &ReadWindow<'_>| {
        for at in (0..window.ids.len()).filter(|at| window.counted[*at]) {
            for (latent, _) in window.fires(at) {
                read.fires[latent as usize].push(of_window.len() as u32);
            }
            read.features.add(Place { ids: window.ids, at }, &text);
            of_window.push(window.place);
        }
    };
    let halves = read_windows(suite, corpus, recipe, (sae, cancel, on), &mut take)?;
    read.held_out = of_window.iter().map(|place| halves.is_held_out(*place)).collect();
    Ok(read)
}
