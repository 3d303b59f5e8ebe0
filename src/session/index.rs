//! The questions about an index of a corpus: to begin one or continue with it, and what it says of a latent.
//! Not here: counting (`analysis::index`).

mod begun;
mod columns;
mod documents;
mod firings;
mod folder;
mod frequencies;
mod kept;
mod live;
mod members;
mod merge;
mod metas;
mod note;
mod origin;
mod stored;
mod table;
mod tables_in;
mod tables_out;
mod texts;
mod usual;
mod windows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::analysis::index::Rule;
use crate::analysis::{IndexView, LatentCorpus};
use crate::report::{Kind, Report};
use crate::session::current::Corpus;
use crate::session::load_scope::{LoadScope, needs_model};
use crate::session::loaded_suite::LoadedSuite;
use crate::session::memo::MemoKey;
use crate::session::query::{Cx, Lane, Query};
use crate::task::{Cancel, OnProgress};

use begun::Begun;
pub(in crate::session) use firings::{ReadWindow, read_firings, read_windows};
use folder::{Folder, short};
pub use frequencies::{Frequencies, FrequenciesQuery};
use kept::Kept;
use live::{Live, Plan, Until};
use metas::IndexedMeta;
pub use metas::MetaCorpusQuery;
use note::Origin;
use origin::origin;
use stored::Stored;
use texts::Texts;

/// Best examples kept of each latent where nothing else is said.
pub const INDEX_TOP: usize = 20;
/// Tokens of a window where the SAEs do not say on how long texts they were trained.
const CONTEXT: usize = 128;

/// Begin an index of the open suite, continue with it, or say what there is.
///
/// What is under way tells its progress: positions counted so far (`done`), of how many (`total`, where that is known),
/// with the figures `tokens/s` and `seconds left`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexQuery {
    /// How far to read; none to say what there is.
    pub read: Option<ReadOn>,
    /// Of what, and where it is kept; by default the suite's text in the program's own folder.
    pub recipe: IndexRecipe,
}

/// How far a text is read on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReadOn {
    /// For so many seconds of one core, counted over all askings since the suite was opened. One that is cancelled is
    /// continued at once when it is asked again.
    CoreSeconds(f64),
    /// To its end. What was counted is written when it is cancelled.
    All,
}

/// What an index is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexRecipe {
    /// Files, folders, or `-`; the text that is measured on otherwise.
    pub texts: Vec<PathBuf>,
    /// The ids of SAEs; all that are loaded otherwise.
    pub saes: Vec<String>,
    /// The ids of meta-SAEs of these, or folders; those of the suite that are here otherwise.
    pub metas: Vec<String>,
    /// Tokens that are read at most, over all shards; the window in which the last one is is read whole.
    pub tokens: Option<u64>,
    /// Tokens of a window.
    pub context: Option<usize>,
    /// Best examples kept of each latent; [`INDEX_TOP`] otherwise.
    pub top: Option<usize>,
    /// Which shard, from 1, and of how many.
    pub shard: Option<(u32, u32)>,
    /// The folder; the program's own otherwise, where it is found again.
    pub out: Option<PathBuf>,
}

/// What is begun of the open suite.
#[derive(Clone, PartialEq, Eq, Hash)]
struct BegunKey;

impl MemoKey for BegunKey {
    type Value = Arc<Begun>;
}

impl Query for IndexQuery {
    /// What there is then.
    type Answer = IndexView;
    const NAME: &'static str = "index";
    const LANE: Lane = Lane::Long;
    const PRIORITY: u8 = 90;

    fn run(&self, cx: &mut Cx<'_>) -> Result<IndexView, Report> {
        let (suite, corpus, cancel, progress) = (cx.suite()?, cx.corpus()?, cx.cancel, cx.progress);
        let Some(read) = self.read else { return suite.known_index(cancel, progress) };
        if suite.open.reach == LoadScope::WeightsOnly {
            return Err(needs_model("cannot read a text".to_owned()));
        }
        let plan =
            suite.index_plan(&self.recipe, suite.counted_metas(&self.recipe, cancel)?, &corpus, cancel, progress)?;
        let until = match read {
            ReadOn::All => Until { core_seconds: f64::INFINITY, keep: true },
            ReadOn::CoreSeconds(core_seconds) => Until { core_seconds, keep: false },
        };
        let live = suite.begun(cancel)?.of(plan)?;
        live.go_on(suite, until, cancel, progress)?;
        let view = live.view();
        if view.tokens == 0 && view.complete && view.shard.is_none() {
            return Err(Report::new(format!("cannot make an index of {}", named(&view.texts)))
                .because("there is no token in it that counts")
                .hint("give another text with --text PATH"));
        }
        Ok(view)
    }
}

/// What the index of the open suite says of a latent; one that is being made answers with what was read so far. Where it
/// has few examples those that Neuronpedia publishes stand behind them, if they were taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusQuery {
    /// The SAE's id.
    pub sae: String,
    /// The latent.
    pub latent: u32,
    /// Another index than the suite's own.
    pub index: Option<PathBuf>,
}

impl Query for CorpusQuery {
    /// None where there is no index of the suite, and no published example.
    type Answer = Option<LatentCorpus>;
    const NAME: &'static str = "corpus";
    const LANE: Lane = Lane::Interactive;
    const PRIORITY: u8 = 5;

    fn run(&self, cx: &mut Cx<'_>) -> Result<Option<LatentCorpus>, Report> {
        let (suite, index) = (cx.suite()?, self.index.as_deref());
        let own = suite.latent_corpus(&self.sae, self.latent, index, cx.cancel, cx.progress)?;
        suite.with_published(&self.sae, self.latent, own, cx.cancel)
    }
}

/// Puts the shards of an index together into a new folder: the same bytes as one run over all of the text.
///
/// # Errors
/// That they are not all shards of one index, read to the same place; that one is broken, or the disk is full.
pub fn merge_indexes(
    parts: &[PathBuf],
    out: PathBuf,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<IndexView, Report> {
    merge::merge(parts, out, cancel, progress)
}

/// What an index is of, and what is in it.
///
/// # Errors
/// That there is none, or that it is broken.
pub fn index_info(path: &Path) -> Result<IndexView, Report> {
    let folder = Folder(path.to_owned());
    let Some(note) = folder.note()? else {
        return Err(Report::new(format!("there is no index in `{}`", path.display()))
            .hint("`saescope index build --out DIR` makes one")
            .kind(Kind::Missing));
    };
    Ok(IndexView { index: Some(folder.0.clone()), ..note.view(folder.seconds()) })
}

impl LoadedSuite {
    /// Where indexes are kept that are found again: in the data directory, beside the meta-SAEs.
    fn indexes(&self) -> Option<PathBuf> {
        self.setup.metas.as_ref().and_then(|metas| metas.parent()).map(|data| data.join("index"))
    }

    fn begun(&self, cancel: &Cancel) -> Result<Arc<Begun>, Report> {
        self.memo.get_or(&BegunKey, cancel, &|_| (), |_| Ok(Arc::default()))
    }

    /// What there is: an index that is being made, else the one with the most tokens that was kept.
    fn known_index(&self, cancel: &Cancel, progress: OnProgress<'_>) -> Result<IndexView, Report> {
        let begun = self.begun(cancel)?.all();
        if let Some(view) = begun.iter().map(|live| live.view()).max_by_key(|view| view.tokens) {
            return Ok(view);
        }
        let nothing = || IndexView { suite: self.suite.id.clone(), ..IndexView::default() };
        let (indexes, shipped) = (self.indexes(), Stored::shipped(&self.suite));
        if indexes.is_none() && shipped.is_none() {
            return Ok(IndexView { complete: true, ..nothing() });
        }
        let origin = origin(self, cancel, progress)?;
        let of = |sae| kept::find(shipped.clone(), indexes.as_deref(), &origin, sae);
        let found = self.saes.iter().filter_map(|loaded| of(&loaded.entry.id));
        let Some((stored, note)) = found.max_by_key(|(_, note)| note.tokens) else { return Ok(nothing()) };
        Ok(IndexView { index: stored.folder(), ..note.view(stored.seconds()) })
    }

    /// What is to be made of a recipe, with these meta-SAEs.
    fn index_plan(
        &self,
        recipe: &IndexRecipe,
        metas: Vec<Arc<IndexedMeta>>,
        corpus: &Corpus,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Plan, Report> {
        let top = recipe.top.unwrap_or(INDEX_TOP);
        if top == 0 {
            return Err(Report::new("cannot make an index that keeps no examples")
                .hint("`--top K` is at least 1")
                .kind(Kind::Usage));
        }
        let all = origin(self, cancel, progress)?;
        let mut origin = Origin::clone(&all);
        if !recipe.saes.is_empty() {
            recipe.saes.iter().try_for_each(|id| self.place(id).map(drop))?;
            origin.saes.retain(|id, _| recipe.saes.contains(id));
        }
        origin.metas = metas::hashes(&metas);
        let texts = self.index_texts(recipe, corpus)?;
        origin.texts.clone_from(&texts.names);
        let trained = self.saes.iter().filter_map(|loaded| loaded.sae.metadata.context_size).min();
        let most = self.model.model.shape().context;
        let context = recipe.context.unwrap_or_else(|| trained.unwrap_or(CONTEXT).min(most));
        if context < 2 || context > most.min(usize::from(u16::MAX)) {
            return Err(Report::new(format!("cannot read the text in windows of {context} tokens"))
                .because(format!("the model takes 2 to {most}"))
                .kind(Kind::Usage));
        }
        let rule = Rule { context, top };
        let shard = recipe.shard.map(|(shard, of)| (u64::from(shard), u64::from(of)));
        let named = || {
            let told = format!("{origin:?} {rule:?} {shard:?}");
            let id: String = self.suite.id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            Some(self.indexes()?.join(format!("{id}-{}", short(&told))))
        };
        let folder = recipe.out.clone().or_else(named).map(Folder);
        Ok(Plan { suite: self.suite.id.clone(), origin, rule, metas, shard, most: recipe.tokens, texts, folder })
    }

    fn index_texts(&self, recipe: &IndexRecipe, corpus: &Corpus) -> Result<Texts, Report> {
        if !recipe.texts.is_empty() {
            return Texts::of(&recipe.texts);
        }
        if let Some(file) = corpus.file.as_ref().or(self.setup.text.as_ref()) {
            return Texts::of(std::slice::from_ref(file));
        }
        let text = self.text(corpus)?;
        Ok(Texts::here(text.name.clone(), text.beginning(u64::MAX)?))
    }

    /// What an index says of a latent.
    pub(super) fn latent_corpus(
        &self,
        sae: &str,
        latent: u32,
        index: Option<&Path>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Option<LatentCorpus>, Report> {
        let place = self.place(sae)?;
        let width = self.saes[place].sae.width();
        if latent as usize >= width {
            return Err(Report::new(format!("SAE `{sae}` has no latent {latent}"))
                .hint(format!("its latents are 0 to {}", width.saturating_sub(1)))
                .kind(Kind::Usage));
        }
        let tokenizer = &self.model.tokenizer;
        match self.counted(sae, None, index, cancel, progress)? {
            Counted::Live(live) => Ok(kept::live(&live.corpus(), (sae, None), latent, tokenizer)),
            Counted::Kept(kept) => kept.latent((sae, None), latent, tokenizer).map(Some),
            Counted::Nothing => Ok(None),
        }
    }

    /// The index that says most of an SAE, or of a meta-SAE of it: one that is being made, or one that was kept.
    fn counted(
        &self,
        sae: &str,
        meta: Option<&Arc<IndexedMeta>>,
        index: Option<&Path>,
        cancel: &Cancel,
        progress: OnProgress<'_>,
    ) -> Result<Counted, Report> {
        let wanted = metas::hashes(meta.map(std::slice::from_ref).unwrap_or_default());
        let hash =
            |of: &Origin| meta.is_none_or(|meta| of.metas.get(sae).and_then(|of| of.get(&meta.id)) == Some(&meta.hash));
        let id = meta.map(|meta| &*meta.id);
        let has = |live: &Arc<Live>| {
            live.plan.shard.is_none() && live.corpus().tally(sae, id).is_some() && hash(&live.plan.origin)
        };
        let begun = self.begun(cancel)?.all().into_iter().filter(|_| index.is_none()).filter(has);
        let live = begun.max_by_key(|live| live.corpus().tokens);
        let of = || Ok::<_, Report>(Origin { metas: wanted, ..Origin::clone(&*origin(self, cancel, progress)?) });
        let found = if let Some(path) = index {
            Some(kept::of_path(path, &of()?, sae)?)
        } else {
            let indexes = self.indexes().filter(|indexes| indexes.is_dir());
            let shipped = Stored::shipped(&self.suite);
            // What is open is not hashed where nothing was kept.
            let any = indexes.is_some() || shipped.is_some();
            if any { kept::find(shipped, indexes.as_deref(), &of()?, sae) } else { None }
        };
        match (live, found) {
            (Some(live), found) if found.as_ref().is_none_or(|(_, note)| note.tokens <= live.corpus().tokens) => {
                Ok(Counted::Live(live))
            }
            (_, Some((stored, note))) => Ok(Counted::Kept(Kept::open(self, &stored, &note, cancel)?)),
            (_, None) => Ok(Counted::Nothing),
        }
    }
}

/// Where it is counted how an SAE's latents fire.
enum Counted {
    /// An index that is being made.
    Live(Arc<Live>),
    /// One that was kept.
    Kept(Arc<Kept>),
    /// Nowhere.
    Nothing,
}

fn named(texts: &[String]) -> String {
    texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
}
