//! The state of the explorer, and small questions to it.
//! Not here: how it changes (`update`), how it looks (`view`).

use std::sync::Arc;

use ratatui_textarea::TextArea;

use crate::analysis::{LatentCard, PositionRun, Run, SaeRun, TokenView};
use crate::report::Report;
use crate::session::{Found, Opened, SaeInfo, SuiteEntry};
use crate::task::Remote;
use crate::text::Charset;
use crate::tui::history::History;
use crate::tui::hits::Hits;
use crate::tui::keys::Place;
use crate::tui::labels::LabelStore;
use crate::tui::over::Over;
use crate::tui::speed::Speed;

/// A pane that can have the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Focus {
    /// The prompt editor.
    Prompt,
    /// The tokens.
    Tokens,
    /// The latents of the token.
    Latents,
    /// The chosen latent's card.
    Card,
}

impl Focus {
    /// The panes in the order of the Tab key.
    pub const ORDER: [Self; 4] = [Self::Prompt, Self::Tokens, Self::Latents, Self::Card];

    /// Where keys go while it is focused.
    #[must_use]
    pub const fn place(self) -> Place {
        match self {
            Self::Prompt => Place::Prompt,
            Self::Tokens => Place::Tokens,
            Self::Latents => Place::Latents,
            Self::Card => Place::Card,
        }
    }
}

/// One latent of one SAE of the suite.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LatentRef {
    /// The SAE's id.
    pub sae: String,
    /// Its index.
    pub latent: u32,
}

/// A line for the person that goes with the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What is said.
    pub text: String,
    /// Whether something went wrong.
    pub bad: bool,
}

/// What the explorer starts with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The suite to open: an id or a path.
    pub suite: String,
    /// The prompt to start with; none for the suite's own.
    pub prompt: Option<String>,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Which characters the terminal shows.
    pub charset: Charset,
}

/// The state of the explorer.
pub struct App {
    /// Columns and rows.
    pub size: (u16, u16),
    /// The focused pane.
    pub focus: Focus,
    /// What lies over the panes, the topmost last.
    pub over: Vec<Over>,
    /// The prompt.
    pub editor: TextArea<'static>,
    /// The suite that was asked for last.
    pub suite: String,
    /// The suite that is loaded.
    pub opened: Remote<Arc<Opened>, Report>,
    /// What the prompt yielded.
    pub run: Remote<Arc<Run>, Report>,
    /// The prompt that was asked for last.
    pub asked_prompt: Option<String>,
    /// The prompt that the run shown belongs to.
    pub shown_prompt: String,
    /// The chosen latent's card.
    pub card: Remote<Arc<LatentCard>, Report>,
    /// The latent whose card was asked for last.
    pub asked_card: Option<LatentRef>,
    /// Names of latents.
    pub labels: LabelStore,
    /// The known suites.
    pub catalogue: Remote<Vec<SuiteEntry>, Report>,
    /// The download: the suite's id.
    pub pull: Remote<String, Report>,
    /// Which suite is being downloaded, or was last.
    pub pulled: Option<String>,
    /// How fast the download is.
    pub speed: Speed,
    /// What the search found.
    pub found: Remote<Found, Report>,
    /// The SAE and text that were searched last.
    pub searched: Option<(String, String)>,
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
    pub history: History,
    /// A line for the person.
    pub notice: Option<Notice>,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Which characters the terminal shows.
    pub charset: Charset,
    /// Ticks since something became pending; nothing is shown as stale before the first.
    pub ticks: u32,
    /// Where things were on the last frame.
    pub hits: Hits,
}

/// Most latents that can be pinned: as many as there are marks for.
pub const MOST_PINS: usize = 4;

impl App {
    /// The explorer before anything is loaded.
    #[must_use]
    pub fn new(start: &Start, size: (u16, u16)) -> Self {
        let prompt = start.prompt.clone().unwrap_or_default();
        Self {
            size,
            focus: Focus::Tokens,
            over: Vec::new(),
            editor: editor_of(&prompt),
            suite: start.suite.clone(),
            opened: Remote::default(),
            run: Remote::default(),
            asked_prompt: None,
            shown_prompt: String::new(),
            card: Remote::default(),
            asked_card: None,
            labels: LabelStore::default(),
            catalogue: Remote::default(),
            pull: Remote::default(),
            pulled: None,
            speed: Speed::default(),
            found: Remote::default(),
            searched: None,
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
            ticks: 0,
            hits: Hits::default(),
        }
    }

    /// Where keys go.
    #[must_use]
    pub fn place(&self) -> Place {
        self.over.last().map_or(self.focus.place(), Over::place)
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

    /// The chosen latent's place in the list of what fires at the chosen token.
    #[must_use]
    pub fn rank(&self) -> Option<usize> {
        let latent = self.latent?;
        self.position()?.latents.iter().position(|f| f.latent == latent)
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

    /// Whether the token at position 0 is none of the prompt's: a beginning-of-sequence token.
    #[must_use]
    pub fn has_bos(&self) -> bool {
        self.tokens().first().is_some_and(|t| {
            !self.shown_prompt.starts_with(t.text.as_str()) && crate::text::byte_len(&t.text) == t.text.len()
        })
    }

    /// Whether anything was asked for and has not been answered.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.is_computing() || self.pull.is_pending()
    }

    /// Whether anything but a download is awaited.
    #[must_use]
    pub fn is_computing(&self) -> bool {
        self.opened.is_pending()
            || self.run.is_pending()
            || self.card.is_pending()
            || self.catalogue.is_pending()
            || self.found.is_pending()
            || self.labels.is_pending()
    }

    /// Whether an asking has lasted long enough to be shown: quick answers never flicker.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.ticks > 0
    }

    /// The rows of the card's ladder, from the narrowest SAE to the widest.
    #[must_use]
    pub fn ladder_rows(&self) -> Vec<LadderRow> {
        let Some(card) = self.card.value() else { return Vec::new() };
        // Where there is room, more than the nearest.
        let each = if self.hits.card_rows >= 3 * self.saes().len() + 10 { 3 } else { 1 };
        let mut rows = Vec::new();
        for (place, sae) in self.saes().iter().enumerate() {
            if sae.id == card.sae {
                rows.push(LadderRow { place, rank: 0, latent: card.latent, cosine: None, class: None });
            } else if let Some(entry) = card.ladder.iter().find(|e| e.sae == sae.id) {
                let near = entry.nearest.iter().take(each).enumerate();
                rows.extend(near.map(|(rank, near)| LadderRow {
                    place,
                    rank,
                    latent: near.latent,
                    cosine: Some(near.cosine),
                    class: entry.class.filter(|_| rank == 0),
                }));
            }
        }
        rows
    }
}

/// One row of the card's ladder: the nearest latent of one SAE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LadderRow {
    /// The SAE's place in the suite.
    pub place: usize,
    /// Which of that SAE's nearest latents this is, from 0.
    pub rank: usize,
    /// The latent.
    pub latent: u32,
    /// Cosine of the decoder rows; none for the card's own latent.
    pub cosine: Option<f32>,
    /// The class of the card's latent with respect to that SAE.
    pub class: Option<crate::analysis::Class>,
}

/// How strongly a latent fires at a position.
#[must_use]
pub fn activation(position: &PositionRun, latent: u32) -> f32 {
    position.latents.iter().find(|f| f.latent == latent).map_or(0.0, |f| f.activation)
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
