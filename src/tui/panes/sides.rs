//! A latent beside its parent, its child or one of its parts: how often each fires, on what, and its strongest examples,
//! heated by itself. Not here: one example in a line (`view::example`).

use std::collections::BTreeSet;

use crokey::key;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{Example, ExampleSource, LatentCorpus, MembersCorpus, MetaCorpus};
use crate::session::{CorpusQuery, MetaCorpusQuery, OtherSide, Sides, SidesQuery};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef, Page};
use crate::tui::meta::MetaRef;
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, leap_of, step_of};
use crate::tui::panes::examples;
use crate::tui::question::{Question, Wait, question};
use crate::tui::update::select;
use crate::tui::view::areas::split;
use crate::tui::view::example;
use crate::tui::view::figures::{name_text, promoted};
use crate::tui::view::trouble;

/// Cells from which both stand beside each other; otherwise one over the other.
const BESIDE: u16 = 100;
/// Lines over the examples of one: its name, how often it fires, how strongly.
const HEAD: usize = 3;

/// What an index says of one of the two.
#[derive(Clone, Copy)]
enum Said<'a> {
    Counted(&'a LatentCorpus),
    Members(&'a MembersCorpus),
    Nothing,
}

impl<'a> Said<'a> {
    fn examples(self) -> &'a [Example] {
        match self {
            Self::Counted(of) => &of.examples,
            Self::Members(of) => &of.examples,
            Self::Nothing => &[],
        }
    }

    fn best(self) -> impl Iterator<Item = &'a Example> {
        self.examples().iter().filter(|example| example.best)
    }

    const fn max(self) -> f32 {
        match self {
            Self::Counted(of) => of.max,
            Self::Members(of) => of.max,
            Self::Nothing => 0.0,
        }
    }
}

fn both(sides: &Sides) -> [Said<'_>; 2] {
    let other = match &sides.other {
        Some(MetaCorpus::Index(of)) => Said::Counted(of),
        Some(MetaCorpus::Members(of)) => Said::Members(of),
        None => Said::Nothing,
    };
    [sides.one.as_ref().map_or(Said::Nothing, Said::Counted), other]
}

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Sides);
    let theme = pen.theme;
    let answer = app.sides.query.as_ref().and_then(|query| app.sides.asked.of(query, &app.index.version()));
    let mut title = Title { name: "Side by side", ..Title::default() };
    title.right = match &answer {
        None if app.sides.asked.is_pending() && app.waits() => format!("reading {}", theme.glyphs().more),
        Some(sides) => shared(both(sides)),
        None => String::new(),
    };
    let inner = pen.pane(area, &title, app.focus == Focus::Sides);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure = trouble::first_lines(app.sides.asked.failure(), inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let (Some(query), true) = (&app.sides.query, failure.is_empty()) else { return };
    let said = answer.as_ref().map_or([Said::Nothing; 2], |sides| both(sides));
    let places = parted(inner, pen);
    pen.hits.note_rows(Focus::Sides, usize::from(places[0].height).saturating_sub(HEAD));
    for ((place, said), name) in places.into_iter().zip(said).zip(names(app, query, pen)) {
        draw_side(app, &name, said, answer.is_some(), place, pen);
    }
}

/// In how many places both are strongest, of those listed.
fn shared(said: [Said<'_>; 2]) -> String {
    let ours = |of: &&Example| of.source != ExampleSource::Neuronpedia;
    let place = |of: &Example| (of.document, of.window, of.position);
    let places = said.map(|of| of.best().filter(ours).map(place).collect::<BTreeSet<_>>());
    let least = places[0].len().min(places[1].len());
    if least == 0 {
        String::new()
    } else {
        format!("{} of {least} peaks shared", places[0].intersection(&places[1]).count())
    }
}

fn parted(area: Rect, pen: &mut Canvas<'_>) -> [Rect; 2] {
    if area.width >= BESIDE {
        let (left, column, right) = split(area, 50);
        pen.column(column);
        return [left, Rect { x: right.x + 1, width: right.width - 1, ..right }];
    }
    let height = area.height / 2;
    let below = Rect { y: area.y + height, height: area.height - height, ..area };
    [Rect { height, ..area }, below]
}

/// The names of both: SAE and number, then the short name.
fn names(app: &App, query: &SidesQuery, pen: &Canvas<'_>) -> [(String, String); 2] {
    let theme = pen.theme;
    let latent = |query: &CorpusQuery| {
        let of = LatentRef { sae: query.sae.clone(), latent: query.latent };
        let name = name_text(app, theme, &of, 6).unwrap_or_default();
        (format!("{}/{}", text::said(&of.sae, theme.charset), of.latent), name)
    };
    let other = match &query.other {
        OtherSide::Latent(query) => latent(query),
        OtherSide::Part(MetaCorpusQuery { sae, meta, meta_latent, .. }) => {
            let of = MetaRef { sae: sae.clone(), meta: meta.clone() };
            let name = app.meta.names.get(&of, *meta_latent).map(|name| promoted(&name.promoted, 4, theme));
            (format!("part {meta_latent}"), name.unwrap_or_default())
        }
    };
    [latent(&query.one), other]
}

fn draw_side(
    app: &App,
    (number, name): &(String, String),
    said: Said<'_>,
    answered: bool,
    area: Rect,
    pen: &mut Canvas<'_>,
) {
    let (theme, width, height) = (pen.theme, usize::from(area.width), usize::from(area.height));
    let name = text::truncate(name, width.saturating_sub(text::width(number) + 2), theme.charset);
    let mut lines = vec![Line::from(vec![Span::styled(format!("{number}  "), theme.accent()), Span::raw(name)])];
    match said {
        Said::Counted(corpus) => {
            lines.push(examples::figures_line(app, corpus, width, pen));
            if height > 2 * HEAD && corpus.count > 0 {
                lines.push(examples::histogram_line(corpus, width, pen));
            }
        }
        Said::Members(corpus) => {
            let max = format::activation(corpus.max);
            lines.push(quiet(&format!("not counted; in its members' examples, max {max}"), width, pen));
        }
        Said::Nothing if answered => lines.push(quiet("not in the index of the text: I shows it", width, pen)),
        Said::Nothing => lines.push(quiet("reading the index", width, pen)),
    }
    let room = height.saturating_sub(lines.len());
    let count = said.best().count();
    let top = app.sides.top.min(count.saturating_sub(room.max(1)));
    let bos = examples::has_bos(app);
    lines.extend(said.best().skip(top).take(room).map(|of| example::line(of, said.max(), bos, width, pen)));
    lines.iter().take(height).enumerate().for_each(|(row, line)| pen.line(area, row as u16, line));
}

fn quiet<'a>(said: &str, width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let style: Style = pen.theme.quiet();
    Line::from(Span::styled(text::truncate(said, width, pen.theme.charset), style))
}

/// Puts the chosen latent and the row of the ladder, or the part, on which the person is, side by side.
fn enter(app: &mut App) {
    let Some(LatentRef { sae, latent }) = app.chosen() else { return };
    let one = CorpusQuery { sae, latent, index: None };
    let other = if app.focus == Focus::Parts {
        app.meta_corpus_query().map(OtherSide::Part)
    } else {
        let row = app.ladder_rows().get(app.ladder_row).filter(|row| row.cosine.is_some()).copied();
        let of = row.and_then(|row| Some((app.saes().get(row.place)?.id.clone(), row.latent)));
        of.map(|(sae, latent)| OtherSide::Latent(CorpusQuery { sae, latent, index: None }))
    };
    let Some(other) = other else {
        app.say("choose another latent in the ladder of the card, or a part, first");
        return;
    };
    app.sides.query = Some(SidesQuery { one, other });
    app.sides.top = 0;
    select::enter_beside(app, Focus::Sides);
}

/// Goes back to the ladder or to the parts.
fn leave(app: &mut App) {
    let left = app.stitch.left;
    if app.before_beside == Some(Focus::Parts) {
        app.before_beside = None;
        app.beside = Focus::Card;
        app.look_at(Focus::Parts);
        app.stitch.left = left;
    } else {
        select::leave_beside(app);
    }
}

fn scroll(app: &mut App, by: isize) {
    let answer = app.sides.query.as_ref().and_then(|query| app.sides.asked.of(query, &app.index.version()));
    let longest = answer.map_or(0, |sides| both(sides).map(|said| said.best().count()).into_iter().max().unwrap_or(0));
    let most = longest.saturating_sub(app.hits.rows(Focus::Sides).max(1));
    app.sides.top = app.sides.top.min(most).saturating_add_signed(by).min(most);
}

/// The pane.
pub(crate) struct SidesPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Sides);
const FROM: KeyContexts = KeyContexts::pane(Focus::Card).and(KeyContexts::pane(Focus::Parts));

impl Pane for SidesPane {
    fn focus(&self) -> Focus {
        Focus::Sides
    }

    fn name(&self) -> &'static str {
        "Side by side"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(167, Action::Up, "sides.up", &[key!(up), key!(k)], HERE, "", "Stronger examples of both"),
                row(
                    168,
                    Action::Down,
                    "sides.down",
                    &[key!(down), key!(j)],
                    HERE,
                    "examples",
                    "Weaker examples of both",
                ),
                row(
                    704,
                    Action::Focus(Focus::Sides),
                    "pane.sides",
                    &[key!('|')],
                    FROM,
                    "",
                    "The latent beside the one on this row: what splits",
                ),
                row(
                    705,
                    Action::Close,
                    "sides.leave",
                    &[key!(esc), key!('|')],
                    HERE,
                    "back",
                    "Put the card back and go where you came from",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "A latent and its parent, its child or one of its parts (| on a row of the ladder or of the parts): how often each",
            "fires in the text, on which tokens, how strongly, and its strongest examples with heat of its own. Peaks shared:",
            "how many of the strongest places are the same. What one fires on and the other does not is what was split off.",
        ]
    }

    fn is_there(&self, app: &App) -> bool {
        app.chosen().is_some()
    }

    fn enter(&self, app: &mut App) {
        enter(app);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Up | Action::Down => scroll(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => {
                scroll(app, leap_of(action, app.hits.rows(Focus::Sides)));
            }
            Action::Close => leave(app),
            _ => return false,
        }
        true
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        scroll(app, by);
        true
    }

    fn questions(&self) -> &'static [Question] {
        const { &[question!(sides.asked).wait(Wait::Long)] }
    }

    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        if app.beside != Focus::Sides || app.page != Page::Explore {
            return;
        }
        if let Some(query) = app.sides.query.clone() {
            effects.extend(app.sides.asked.want(query, app.index.version(), &mut app.tickets));
        }
    }

    fn names(&self, app: &App) -> Vec<LatentRef> {
        let Some(query) = app.sides.query.as_ref().filter(|_| app.beside == Focus::Sides) else { return Vec::new() };
        let other = match &query.other {
            OtherSide::Latent(other) => Some(other),
            OtherSide::Part(_) => None,
        };
        let of = |query: &CorpusQuery| LatentRef { sae: query.sae.clone(), latent: query.latent };
        [Some(&query.one), other].into_iter().flatten().map(of).collect()
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
