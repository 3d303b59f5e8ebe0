//! The state of the explorer, and small questions to it.
//! Not here: how it changes (`update`), how it looks (`view`).

mod attribution;
mod effect;
mod examples;
mod index;
mod lens;
mod meta;
mod pair;
mod search;
mod steer;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use ratatui_textarea::TextArea;

use crate::analysis::{Firing, LatentCard, LatentFrequency, PositionRun, SaeRun, TokenView};
use crate::session::{
    CardQuery, CatalogueQuery, CheckupQuery, LoadScope, OpenQuery, PackQuery, PreviewQuery, PullQuery, RunQuery,
    SaeInfo, SearchQuery,
};
use crate::task::Tickets;
use crate::text::Charset;
use crate::tui::ask::Ask;
use crate::tui::attribution::Attributions;
use crate::tui::effect::Effects;
use crate::tui::examples::Examples;
use crate::tui::frequencies::FrequencyStore;
use crate::tui::history::History;
use crate::tui::hits::HitMap;
use crate::tui::index::Index;
use crate::tui::keys::KeyContext;
use crate::tui::labels::LabelStore;
use crate::tui::lens::Lenses;
pub use crate::tui::location::{Focus, LatentRef, Notice, Page, Visit, activation};
use crate::tui::meta::Meta;
use crate::tui::names::NameStore;
use crate::tui::next::NextStore;
use crate::tui::overlay::Overlay;
use crate::tui::pair::TwoPrompts;
use crate::tui::sides::TwoSides;
use crate::tui::speed::Speed;
use crate::tui::steer::Steer;
use crate::tui::stitch::{PairIds, Stitch};

pub use attribution::HeadRow;
pub use effect::{WidthPart, WidthRow};
pub use pair::PairRow;

/// What the explorer starts with.
#[derive(Clone, Debug)]
pub struct TuiOptions {
    /// The suite to open: an id or a path.
    pub suite: String,
    /// The prompt to start with; none for the suite's own.
    pub prompt: Option<String>,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Which characters the terminal shows.
    pub charset: Charset,
    /// The person's home directory, for paths that begin with `~`.
    pub home: Option<PathBuf>,
    /// The SAEs of the suite to load; those that it says where it is empty.
    pub saes: Vec<String>,
    /// How much of models is opened where nothing else is asked for.
    pub reach: LoadScope,
}

/// The state of the explorer.
pub struct App {
    /// Columns and rows.
    pub size: (u16, u16),
    /// The focused pane; changed by [`App::look_at`], so that it is on the page shown.
    pub focus: Focus,
    /// The page shown.
    pub page: Page,
    /// What lies over the panes, the topmost last.
    pub overlay: Vec<Overlay>,
    /// The prompt.
    pub editor: TextArea<'static>,
    /// The suite that was asked for last.
    pub suite: String,
    /// The suite of the start and the SAEs of it that are to be loaded.
    pub only: (String, Vec<String>),
    /// How much of a model is opened where nothing else is asked for.
    pub usual: LoadScope,
    /// How much of the suite's model was asked for last.
    pub reach: LoadScope,
    /// Where the tickets of all askings come from.
    pub tickets: Tickets,
    /// The suite that is loaded.
    pub opened: Ask<OpenQuery>,
    /// What the prompt yielded.
    pub run: Ask<RunQuery>,
    /// How many runs of the prompt have arrived: what was measured on an older one is old.
    pub runs: u64,
    /// What comes next after its tokens.
    pub next: NextStore,
    /// The prompt that the run shown belongs to.
    pub shown_prompt: String,
    /// The chosen latent's card, by runs of the prompt.
    pub card: Ask<CardQuery, u64>,
    /// Names of latents.
    pub names: NameStore,
    /// Labels of latents.
    pub labels: LabelStore,
    /// How often latents fire in the index.
    pub frequencies: FrequencyStore,
    /// Whether latents stand in the order of how unusual their activations are.
    pub by_quantile: bool,
    /// Two SAEs compared and stitched.
    pub stitch: Stitch,
    /// Latents taken apart.
    pub meta: Meta,
    /// Whether the suite is wired as its SAEs need it.
    pub checkup: Ask<CheckupQuery>,
    /// Weights packed, so that what is typed is answered sooner.
    pub pack: Ask<PackQuery>,
    /// The pane that stands beside the latents.
    pub beside: Focus,
    /// Where the person came from to what is beside the latents.
    pub before_beside: Option<Focus>,
    /// Where the chosen latent's activation comes from.
    pub attribution: Attributions,
    /// Where the chosen latent fires in text.
    pub examples: Examples,
    /// What the latents of the chosen token do to what the model says.
    pub effect: Effects,
    /// Latents changed while the model writes.
    pub steer: Steer,
    /// Two prompts beside each other.
    pub pair: TwoPrompts,
    /// What every block says.
    pub lens: Lenses,
    /// Two latents side by side.
    pub sides: TwoSides,
    /// The index of a corpus.
    pub index: Index,
    /// The known suites.
    pub catalogue: Ask<CatalogueQuery>,
    /// The download: the suite's id.
    pub pull: Ask<PullQuery>,
    /// How fast the download is.
    pub speed: Speed,
    /// What the search found.
    pub found: Ask<SearchQuery>,
    /// What the index says of the chosen latent of those, by states of the index.
    pub preview: Ask<PreviewQuery, u64>,
    /// The suite's own prompt, when the editor was filled with it.
    pub prepared: Option<String>,
    /// The chosen SAE's place in the suite.
    pub sae: usize,
    /// The chosen token's position.
    pub token: usize,
    /// The chosen latent of the chosen SAE.
    pub latent: Option<u32>,
    /// Whether the latent was chosen by the person; otherwise the strongest of the token is followed.
    pub held: bool,
    /// The card whose latent is being followed through the ladder.
    pub anchor: Option<Arc<LatentCard>>,
    /// First row of the latents list on screen.
    pub latents_top: usize,
    /// The chosen row of the card's ladder.
    pub ladder_row: usize,
    /// Latents that are compared on the tokens.
    pub pins: Vec<LatentRef>,
    /// Latents visited.
    pub history: History<Visit>,
    /// A line for the person.
    pub notice: Option<Notice>,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Which characters the terminal shows.
    pub charset: Charset,
    /// The person's home directory.
    pub home: Option<PathBuf>,
    /// Ticks since something became pending; nothing is shown as stale before the first.
    pub ticks: u32,
    /// Where things were on the last frame.
    pub hits: HitMap,
}

/// Most latents that can be pinned: as many as there are marks for.
pub const MOST_PINS: usize = 4;

impl App {
    /// The explorer before anything is loaded.
    #[must_use]
    pub fn new(start: &TuiOptions, size: (u16, u16)) -> Self {
        let prompt = start.prompt.clone().unwrap_or_default();
        Self {
            size,
            focus: Focus::Tokens,
            page: Page::Explore,
            overlay: Vec::new(),
            editor: editor_of(&prompt),
            suite: start.suite.clone(),
            only: (start.suite.clone(), start.saes.clone()),
            usual: start.reach,
            reach: start.reach,
            tickets: Tickets::default(),
            opened: Ask::default(),
            run: Ask::default(),
            runs: 0,
            next: NextStore::default(),
            shown_prompt: String::new(),
            card: Ask::default(),
            names: NameStore::default(),
            labels: LabelStore::default(),
            frequencies: FrequencyStore::default(),
            by_quantile: false,
            stitch: Stitch::default(),
            meta: Meta::default(),
            checkup: Ask::default(),
            pack: Ask::default(),
            beside: Focus::Card,
            before_beside: None,
            attribution: Attributions::default(),
            examples: Examples::default(),
            effect: Effects::default(),
            steer: Steer::default(),
            pair: TwoPrompts::default(),
            lens: Lenses::default(),
            sides: TwoSides::default(),
            index: Index::default(),
            catalogue: Ask::default(),
            pull: Ask::default(),
            speed: Speed::default(),
            found: Ask::default(),
            preview: Ask::default(),
            prepared: None,
            sae: 0,
            token: 0,
            latent: None,
            held: false,
            anchor: None,
            latents_top: 0,
            ladder_row: 0,
            pins: Vec::new(),
            history: History::default(),
            notice: None,
            mouse: start.mouse,
            charset: start.charset,
            home: start.home.clone(),
            ticks: 0,
            hits: HitMap::default(),
        }
    }

    /// Where keys go.
    #[must_use]
    pub fn place(&self) -> KeyContext {
        self.overlay.last().map_or(KeyContext::Pane(self.focus), Overlay::place)
    }

    /// The prompt as it stands in the editor.
    #[must_use]
    pub fn prompt(&self) -> String {
        self.editor.lines().join("\n")
    }

    /// The SAEs of the suite.
    #[must_use]
    pub fn saes(&self) -> &[SaeInfo] {
        self.opened.value().map_or(&[], |opened| &opened.saes)
    }

    /// The chosen SAE.
    #[must_use]
    pub fn sae(&self) -> Option<&SaeInfo> {
        self.saes().get(self.sae)
    }

    /// What the chosen SAE made of the prompt.
    #[must_use]
    pub fn sae_run(&self) -> Option<&SaeRun> {
        self.run_of(&self.sae()?.id)
    }

    /// What an SAE made of the prompt.
    #[must_use]
    pub fn run_of(&self, sae: &str) -> Option<&SaeRun> {
        self.run.value()?.saes.iter().find(|s| s.id == sae)
    }

    /// The tokens of the run shown.
    #[must_use]
    pub fn tokens(&self) -> &[TokenView] {
        self.run.value().map_or(&[], |run| &run.tokens)
    }

    /// What fires at the chosen token.
    #[must_use]
    pub fn position(&self) -> Option<&PositionRun> {
        self.sae_run()?.positions.get(self.token)
    }

    /// Whether no model is there that could be run.
    #[must_use]
    pub fn weights_only(&self) -> bool {
        self.opened.value().is_some_and(|opened| opened.reach == LoadScope::WeightsOnly)
    }

    /// How much of the model is open, where that is not all.
    #[must_use]
    pub fn reach_name(&self) -> Option<&'static str> {
        self.opened.value().and_then(|opened| opened.reach.name())
    }

    /// How many latents the list has: those that fire at the chosen token; all by number where nothing can fire.
    #[must_use]
    pub fn listed(&self) -> usize {
        if self.weights_only() {
            return self.sae().and_then(|sae| sae.width).unwrap_or(0);
        }
        self.position().map_or(0, |position| position.latents.len())
    }

    /// The latent at a place of the list.
    #[must_use]
    pub fn listed_at(&self, rank: usize) -> Option<u32> {
        if self.weights_only() {
            return u32::try_from(rank).ok().filter(|_| rank < self.listed());
        }
        self.listed_latents().get(rank).map(|firing| firing.latent)
    }

    /// What fires at the chosen token in the order of the list: by activation, or by quantile among a latent's own
    /// activations in the index; dense latents below the others.
    #[must_use]
    pub fn listed_latents(&self) -> Cow<'_, [Firing]> {
        let (Some(position), Some(sae)) = (self.position(), self.sae()) else { return Cow::Borrowed(&[]) };
        let of = |firing: &Firing| self.frequencies.in_sae(&sae.id, firing.latent);
        let is_dense = |firing: &Firing| of(firing).is_some_and(LatentFrequency::is_dense);
        if !self.by_quantile && !position.latents.iter().any(is_dense) {
            return Cow::Borrowed(&position.latents);
        }
        let mut latents = position.latents.clone();
        for firing in &mut latents {
            firing.quantile = of(firing).and_then(|of| of.quantile(firing.activation)).map(|share| share as f32);
        }
        let by_quantile = |firing: &Firing| firing.quantile.filter(|_| self.by_quantile).map_or(0.0, |share| -share);
        latents.sort_by(|a, b| is_dense(a).cmp(&is_dense(b)).then_with(|| by_quantile(a).total_cmp(&by_quantile(b))));
        Cow::Owned(latents)
    }

    /// Whether a latent fires on more than a tenth of the text of the index; without an index, on more than half of the
    /// tokens seen.
    #[must_use]
    pub fn is_dense(&self, of: &LatentRef) -> bool {
        self.frequencies.get(of).map_or_else(|| self.names.is_dense(of), LatentFrequency::is_dense)
    }

    /// The chosen latent's place in the list.
    #[must_use]
    pub fn rank(&self) -> Option<usize> {
        let latent = self.latent?;
        if self.weights_only() {
            return Some(latent as usize).filter(|rank| *rank < self.listed());
        }
        self.listed_latents().iter().position(|f| f.latent == latent)
    }

    /// The chosen latent.
    #[must_use]
    pub fn chosen(&self) -> Option<LatentRef> {
        Some(LatentRef { sae: self.sae()?.id.clone(), latent: self.latent? })
    }

    /// How strongly a latent fires at every position, 0 where it does not.
    #[must_use]
    pub fn heat(&self, of: &LatentRef) -> Vec<f32> {
        let Some(run) = self.run_of(&of.sae) else { return vec![0.0; self.tokens().len()] };
        run.positions.iter().map(|p| activation(p, of.latent)).collect()
    }

    /// How many positions in front hold beginning-of-sequence tokens: what fires there says nothing of the prompt.
    #[must_use]
    pub fn apart(&self) -> usize {
        self.run.value().map_or(0, |run| run.left_out)
    }

    /// Whether the token at position 0 is none of the prompt's: a beginning-of-sequence token that was put there.
    #[must_use]
    pub fn has_bos(&self) -> bool {
        let first = self.tokens().first().filter(|_| self.apart() > 0);
        first.is_some_and(|token| !self.shown_prompt.starts_with(token.text.as_str()))
    }

    /// Whether the prompt's run has come: what fires is known then.
    #[must_use]
    pub fn has_run(&self) -> bool {
        self.run.value().is_some() && !self.run.is_stale()
    }

    /// Which suite is being downloaded, or was last.
    #[must_use]
    pub fn pulled(&self) -> Option<&str> {
        self.pull.question().map(|(query, ())| query.suite.as_str())
    }

    /// Whether an asking has lasted long enough to be shown: quick answers never flicker.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.ticks > 0
    }

    /// Shows the person something in the status line.
    pub fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), bad: false });
    }

    /// Focuses a pane and shows the page that it stands on.
    pub fn look_at(&mut self, pane: Focus) {
        if pane.page().is_some_and(|page| page != Page::Explore) && self.page == Page::Explore {
            self.stitch.left = self.focus;
        }
        match (pane, pane.page()) {
            (Focus::MetaCard, _) => self.meta.shown = Focus::Parts,
            (pane, _) if pane.is_beside() => self.beside = pane,
            (_, Some(Page::Stitch)) => self.stitch.shown = pane,
            (_, Some(Page::Meta)) => self.meta.shown = pane,
            _ => {}
        }
        self.page = pane.page().unwrap_or(self.page);
        self.focus = pane;
    }

    /// The chosen SAE and the narrower one that it is compared with: the one the person chose, else the next one down.
    /// None for the narrowest.
    #[must_use]
    pub fn pair(&self) -> Option<PairIds> {
        let narrower = self.narrower();
        let chosen = self.stitch.against.as_ref().and_then(|id| narrower.iter().find(|s| s.id == *id));
        let small = chosen.or(narrower.last())?;
        Some(PairIds { small: small.id.clone(), large: self.sae()?.id.clone() })
    }

    /// The loaded SAEs narrower than the chosen one, from the narrowest.
    #[must_use]
    pub fn narrower(&self) -> Vec<&SaeInfo> {
        self.saes().get(..self.sae).unwrap_or_default().iter().filter(|s| s.loaded).collect()
    }

    /// Where the person is.
    #[must_use]
    pub fn visit_now(&self) -> Option<Visit> {
        let meta_latent = self.meta.meta_latent.filter(|_| self.focus == Focus::MetaCard);
        Some(Visit { latent: self.chosen()?, meta_latent })
    }

    /// On how many of the prompt's positions a latent fires, and how strongly at most.
    #[must_use]
    pub fn in_prompt(&self, of: &LatentRef) -> (usize, f32) {
        let heat = self.heat(of);
        (heat.iter().filter(|v| **v > 0.0).count(), heat.iter().copied().fold(0.0, f32::max))
    }
}

/// An editor that holds a text, with the caret at its end.
#[must_use]
pub fn editor_of(text: &str) -> TextArea<'static> {
    let mut editor = TextArea::new(text.split('\n').map(str::to_owned).collect());
    editor.set_max_histories(200);
    editor.move_cursor(ratatui_textarea::CursorMove::Bottom);
    editor.move_cursor(ratatui_textarea::CursorMove::End);
    editor
}
