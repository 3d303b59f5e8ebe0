//! Indexes that were written: found by what they are of, and what they say of a latent.
//! Not here: making one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::analysis::index::{Corpus, LatentRow, RowExample, Spot, Tally};
use crate::analysis::search::UsualTokens;
use crate::analysis::{CorpusToken, Example, ExampleSource, LatentCorpus, LatentFrequency, TopToken, tokens};
use crate::model::Tokenizer;
use crate::report::{Kind, Report};
use crate::session::index::folder::Folder;
use crate::session::index::frequencies::Frequencies;
use crate::session::index::note::{Note, Origin};
use crate::session::index::stored::Stored;
use crate::session::index::tables_in::{Figures, Tables};
use crate::session::index::tables_out::GROUP;
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::task::Cancel;

/// An index with what stands at the end of its files.
pub struct Kept {
    pub stored: Stored,
    pub note: Note,
    tables: Tables,
}

/// Its name, and how much is in it: it grows with what is read.
#[derive(Clone, PartialEq, Eq, Hash)]
struct KeptKey(String, u64, u64);

impl MemoKey for KeptKey {
    type Value = Arc<Kept>;
}

impl Kept {
    /// Opens one, and keeps it open for the suite's next question.
    ///
    /// # Errors
    /// That it is broken.
    pub fn open(suite: &LoadedSuite, stored: &Stored, note: &Note, cancel: &Cancel) -> Result<Arc<Self>, Report> {
        let bytes = note.files.values().sum();
        let key = KeptKey(stored.name(), note.windows, bytes);
        suite.memo.retain(|of: &KeptKey| of.0 != key.0 || *of == key);
        suite.memo.get_or(&key, cancel, &|_| (), |_| {
            let tables = Tables::open(stored)?;
            Ok(Arc::new(Self { stored: stored.clone(), note: note.clone(), tables }))
        })
    }

    /// What it says of a latent.
    ///
    /// # Errors
    /// That it has no such SAE, or is broken.
    pub fn latent(
        &self,
        (sae, meta): (&str, Option<&str>),
        latent: u32,
        tokenizer: &Tokenizer,
    ) -> Result<LatentCorpus, Report> {
        let mut first = 0;
        for of in &self.note.saes {
            if of.id == sae && of.meta.as_deref() == meta && (latent as usize) < of.width {
                let figures = self.tables.figures(sae, first, &[latent])?.pop().unwrap_or_default();
                let group = of.example_groups.get(latent as usize / GROUP).copied().flatten();
                let kept =
                    group.map_or_else(|| Ok(Vec::new()), |group| self.tables.examples(group as usize, latent))?;
                let rows: Vec<u64> = kept.iter().map(|example| example.token_row).collect();
                let ids = self.tables.ids(&rows)?;
                let examples = kept.iter().map(|example| {
                    let fires: Vec<(u16, f32)> = example.fires.iter().map(|(at, value)| (*at as u16, *value)).collect();
                    let at = (example.document as u32, example.window, example.position as u16);
                    let spot = Spot::new(example.activation, at, &fires);
                    RowExample { best: example.best, quantile_bin: example.quantile_bin, spot }
                });
                let row = LatentRow {
                    count: figures.count,
                    sum: figures.sum,
                    max: figures.max,
                    histogram: figures.histogram,
                    top_tokens: figures.top_tokens,
                    examples: examples.collect(),
                };
                return Ok(said(&row, self.note.tokens, &ids, tokenizer));
            }
            first += of.width.div_ceil(GROUP);
        }
        Err(Report::new(format!("the index `{}` has no latent {latent} of SAE `{sae}`", self.stored.name())))
    }
}

impl Kept {
    /// How often and how strongly these latents fire, which rise.
    ///
    /// # Errors
    /// That it has no such SAE, or is broken.
    pub fn frequencies(&self, sae: &str, latents: &[u32], tokenizer: &Tokenizer) -> Result<Frequencies, Report> {
        let mut first = 0;
        for of in &self.note.saes {
            if of.id == sae && of.meta.is_none() {
                let known: Vec<u32> = latents.iter().copied().filter(|latent| (*latent as usize) < of.width).collect();
                let figures = self.tables.figures(sae, first, &known)?;
                let each = known.into_iter().zip(figures);
                let tokens = self.note.tokens;
                let frequency = |of: Figures| LatentFrequency {
                    count: of.count,
                    density: of.count as f64 / tokens.max(1) as f64,
                    max: of.max,
                    histogram: of.histogram,
                    top_tokens: named(&of.top_tokens, tokenizer),
                };
                let latents = each.map(|(latent, figures)| (latent, frequency(figures))).collect();
                return Ok(Frequencies { sae: sae.to_owned(), tokens, latents });
            }
            first += of.width.div_ceil(GROUP);
        }
        Err(Report::new(format!("the index `{}` has no SAE `{sae}`", self.stored.name())))
    }
}

impl Kept {
    /// The tokens that all latents of an SAE fire on most.
    ///
    /// # Errors
    /// That it has no such SAE, or is broken; that it was cancelled.
    pub fn usual_tokens(&self, sae: &str, cancel: &Cancel) -> Result<UsualTokens, Report> {
        let mut usual = UsualTokens::default();
        let mut first = 0;
        for of in &self.note.saes {
            for from in (0..of.width).step_by(GROUP).take_while(|_| of.id == sae && of.meta.is_none()) {
                cancel.check()?;
                let latents: Vec<u32> = (from..of.width.min(from + GROUP)).map(|latent| latent as u32).collect();
                let figures = self.tables.figures(sae, first, &latents)?;
                for (latent, figures) in latents.into_iter().zip(figures) {
                    let tokens = figures.top_tokens.iter().map(|(token, count, _)| (*token, *count));
                    usual.add(latent, figures.count, tokens);
                }
            }
            first += of.width.div_ceil(GROUP);
        }
        Ok(usual)
    }
}

/// The tokens that all latents of an SAE fire on most in an index that is being made.
///
/// # Errors
/// That it was cancelled.
pub fn live_usual_tokens(corpus: &Corpus, sae: &str, cancel: &Cancel) -> Result<UsualTokens, Report> {
    let mut usual = UsualTokens::default();
    if let Some(of) = corpus.tally(sae, None) {
        for (latent, tally) in of.latents.iter().enumerate() {
            cancel.check()?;
            let mut tally = tally.clone();
            tally.close(None, 0);
            let row = LatentRow::of(&tally, 0);
            usual.add(latent as u32, row.count, row.top_tokens.iter().map(|(token, count, _)| (*token, *count)));
        }
    }
    Ok(usual)
}

/// What an index that is being made says of how often and how strongly these latents fire.
pub fn live_frequencies(corpus: &Corpus, sae: &str, latents: &[u32], tokenizer: &Tokenizer) -> Option<Frequencies> {
    let of = corpus.tally(sae, None)?;
    let frequency = |tally: &Tally| {
        let mut tally = tally.clone();
        tally.close(None, 0);
        let row = LatentRow::of(&tally, 0);
        LatentFrequency {
            count: row.count,
            density: row.count as f64 / corpus.tokens.max(1) as f64,
            max: row.max,
            top_tokens: named(&row.top_tokens, tokenizer),
            histogram: row.histogram,
        }
    };
    let each = latents.iter().filter_map(|latent| Some((*latent, frequency(of.latents.get(*latent as usize)?))));
    Some(Frequencies { sae: sae.to_owned(), tokens: corpus.tokens, latents: each.collect() })
}

fn named(top_tokens: &[(u32, u64, f64)], tokenizer: &Tokenizer) -> Vec<TopToken> {
    let each = top_tokens.iter();
    each.map(|(id, count, mean)| TopToken { id: *id, text: tokens::shown(*id, tokenizer), count: *count, mean: *mean })
        .collect()
}

/// What an index that is being made says of a latent.
pub fn live(
    corpus: &Corpus,
    (sae, meta): (&str, Option<&str>),
    latent: u32,
    tokenizer: &Tokenizer,
) -> Option<LatentCorpus> {
    let of = corpus.tally(sae, meta)?;
    let mut tally = of.latents.get(latent as usize)?.clone();
    tally.close(None, corpus.rule.top);
    let row = LatentRow::of(&tally, corpus.rule.top);
    let ids = |example: &RowExample| {
        let place = corpus.place(example.spot.document, example.spot.window);
        place.map_or_else(Vec::new, |place| corpus.ids(place).to_vec())
    };
    let ids: Vec<Vec<u32>> = row.examples.iter().map(ids).collect();
    Some(said(&row, corpus.tokens, &ids, tokenizer))
}

/// A row with its tokens' texts; `ids` are the windows of its examples.
fn said(row: &LatentRow, tokens: u64, ids: &[Vec<u32>], tokenizer: &Tokenizer) -> LatentCorpus {
    let text = |id: u32| tokens::shown(id, tokenizer);
    let example = |(example, ids): (&RowExample, &Vec<u32>)| {
        let mut activations = vec![0.0; ids.len()];
        for (position, activation) in example.spot.fires() {
            if let Some(at) = activations.get_mut(usize::from(position)) {
                *at = activation;
            }
        }
        let each = ids.iter().zip(activations);
        Example {
            document: example.spot.document.into(),
            window: example.spot.window,
            position: example.spot.position.into(),
            activation: example.spot.activation,
            quantile_bin: example.quantile_bin,
            best: example.best,
            source: ExampleSource::Index,
            tokens: each.map(|(id, activation)| CorpusToken { id: *id, text: text(*id), activation }).collect(),
        }
    };
    LatentCorpus {
        tokens,
        count: row.count,
        density: row.count as f64 / tokens.max(1) as f64,
        max: row.max,
        mean_when_active: row.mean(),
        histogram: row.shown(),
        quantiles: row.quantiles(),
        top_tokens: named(&row.top_tokens, tokenizer),
        examples: row.examples.iter().zip(ids).map(example).collect(),
    }
}

/// The index of an SAE of the open suite with the most tokens, of the one that the suite comes with and of those that are
/// kept in `indexes` and are whole.
pub fn find(shipped: Option<(Stored, Note)>, indexes: Option<&Path>, of: &Origin, sae: &str) -> Option<(Stored, Note)> {
    let entries = indexes.and_then(|indexes| fs::read_dir(indexes).ok());
    let mut names: Vec<PathBuf> = entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    names.sort();
    let usable = |note: &Note| note.shard.is_none() && fits(note, of, sae).is_ok();
    let mut best = shipped.filter(|(_, note)| usable(note));
    for path in names {
        let stored = Stored::Folder(Folder(path));
        // What cannot be used is named to who asks for it, not to who looks for any.
        let Ok(Some(note)) = stored.note() else { continue };
        if best.as_ref().is_none_or(|(_, best)| note.tokens > best.tokens) && usable(&note) {
            best = Some((stored, note));
        }
    }
    best
}

/// Sees that an index is of an SAE of the open suite.
///
/// # Errors
/// What is another than it was.
pub fn fits(note: &Note, of: &Origin, sae: &str) -> Result<(), String> {
    let Some(was) = note.of.saes.get(sae) else { return Err(format!("it has no SAE `{sae}`")) };
    let now = of.saes.get(sae).cloned().unwrap_or_default();
    let alone = |hash: &String| [(sae.to_owned(), hash.clone())].into_iter().collect();
    let (now, was) = (Origin { saes: alone(&now), ..of.clone() }, Origin { saes: alone(was), ..note.of.clone() });
    // Of the meta-SAEs those that are asked for.
    let metas = of.metas.get(sae).into_iter().flatten();
    for (meta, hash) in metas {
        match was.metas.get(sae).and_then(|metas| metas.get(meta)) {
            None => return Err(format!("it has no meta-SAE `{meta}` of SAE `{sae}`")),
            Some(of) if of != hash => return Err(format!("meta-SAE `{meta}` is another than it was made of")),
            Some(_) => {}
        }
    }
    // Of which text it is does not matter to who reads it.
    let now = Origin { texts: was.texts.clone(), metas: was.metas.clone(), ..now };
    now.differs(&was).map_or(Ok(()), Err)
}

/// An index that a person named.
///
/// # Errors
/// That there is none, or that it is of something else.
pub fn of_path(path: &Path, of: &Origin, sae: &str) -> Result<(Stored, Note), Report> {
    let stored = Stored::Folder(Folder(path.to_owned()));
    let what = format!("cannot use the index `{}`", path.display());
    let Some(note) = stored.note()? else {
        return Err(Report::new(what).because("there is no `index.json` in it").kind(Kind::Missing));
    };
    match fits(&note, of, sae) {
        Ok(()) => Ok((stored, note)),
        Err(why) => Err(Report::new(what).because(why).hint("build another one: `saescope index build`")),
    }
}
