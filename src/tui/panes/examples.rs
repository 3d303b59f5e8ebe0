//! Where the chosen latent fires in the corpus: a list of examples in the card's place, and the card's lines.
//! Not here: one example in a line (`view::example`).

use crokey::key;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::analysis::LatentCorpus;
use crate::text;
use crate::tui::app::{App, editor_of};
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, Page};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, leap_of, step_of};
use crate::tui::question::{Question, question};
use crate::tui::theme::glyphs;
use crate::tui::update::select;
use crate::tui::view::example;
use crate::tui::view::figures::NAMES;
use crate::tui::view::flow;
use crate::tui::view::trouble;

/// Bars of a histogram.
const BARS: usize = 30;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Examples);
    let theme = pen.theme;
    let inner = pen.pane(area, &title(app, pen), app.focus == Focus::Examples);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure = trouble::first_lines(app.examples.asked.failure(), inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let width = usize::from(inner.width);
    let Some((corpus, current)) = app.shown_corpus() else {
        if failure.is_empty() {
            pen.wrapped(inner, missing(app));
        }
        return;
    };
    let mut head = vec![figures_line(app, corpus, width, pen)];
    head.push(histogram_line(corpus, width, pen));
    head.push(Line::from(Span::styled(bins_line(app, width), theme.quiet())));
    for (row, line) in head.iter().enumerate() {
        pen.line(inner, row as u16, line);
    }
    let used = (head.len() as u16).min(inner.height);
    let below = Rect { y: inner.y + used, height: inner.height - used, ..inner };
    pen.hits.note_rows(Focus::Examples, usize::from(below.height));
    let listed = app.listed_examples();
    let (shown, chosen) = (usize::from(below.height), app.examples.row.min(listed.len().saturating_sub(1)));
    let top = flow::top(chosen, shown.max(1), listed.len());
    for (y, (index, of)) in listed.iter().enumerate().skip(top).take(shown).enumerate() {
        let at = Rect { y: below.y + y as u16, height: 1, ..below };
        let mark = if index == chosen { theme.glyphs().chosen } else { " " };
        let mut line = Line::from(Span::styled(mark, theme.accent()));
        line.extend(example::line(of, corpus.max, has_bos(app), width.saturating_sub(1), pen));
        pen.line(at, 0, &line);
        pen.hits.add(at, HitTarget::Item(Focus::Examples, index));
    }
    if !current && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

fn title<'a>(app: &App, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut title = Title { name: "E Examples", ..Title::default() };
    if let Some(chosen) = app.chosen() {
        let name = format!("{}/{}", text::prose(&chosen.sae, theme.charset), chosen.latent);
        title.about.push(Span::styled(name, theme.accent()));
    }
    title.right = match app.shown_corpus() {
        None if app.examples.asked.is_pending() && app.waits() => format!("reading {}", theme.glyphs().more),
        Some((corpus, _)) => format!("{} tokens read", format::count(corpus.tokens)),
        None => String::new(),
    };
    title
}

/// Why there is nothing to show.
fn missing(app: &App) -> &'static str {
    if app.chosen().is_none() {
        "no latent chosen"
    } else if app.weights_only() {
        "An index of the text needs the model: M opens it."
    } else if app.examples.asked.is_pending() {
        "reading the index"
    } else {
        "No text has been indexed for this SAE yet: I shows the index."
    }
}

/// Whether every window begins with a beginning-of-sequence token, which is not part of the text.
pub(crate) fn has_bos(app: &App) -> bool {
    app.opened.value().is_some_and(|opened| opened.bos)
}

/// Density, the largest activation, and the tokens it fires on most, as many as fit.
pub(crate) fn figures_line<'a>(app: &App, corpus: &LatentCorpus, width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let of = format::count(corpus.tokens);
    let mut said = if corpus.tokens == 0 {
        "no text was indexed; NP: published by Neuronpedia".to_owned()
    } else if corpus.count == 0 {
        format!("on none of {of} tokens")
    } else {
        let dense = if app.is_dense_in_corpus(corpus) { "dense: " } else { "" };
        format!("{dense}{} of {of} tokens, max {}", format::percent(corpus.density), format::activation(corpus.max))
    };
    for (at, token) in corpus.top_tokens.iter().enumerate() {
        let name = text::token(&token.text, theme.charset);
        let next = format!("{}{} {}", if at == 0 { "; on " } else { ", " }, name, format::count(token.count));
        if text::width(&said) + text::width(&next) + NAMES > width {
            break;
        }
        said.push_str(&next);
    }
    let said = text::truncate(&said, width.saturating_sub(NAMES), theme.charset);
    Line::from(vec![Span::styled(format!("{:<NAMES$}", "in text"), theme.quiet()), Span::raw(said)])
}

/// How often it fires how strongly, on a linear axis from zero to the maximum.
pub(crate) fn histogram_line<'a>(corpus: &LatentCorpus, width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let name = Span::styled(format!("{:<NAMES$}", "strength"), theme.quiet());
    let histogram = &corpus.histogram;
    let (Some(least), Some(most)) = (histogram.edges.first(), histogram.edges.last()) else {
        return Line::from(name);
    };
    let (from, to) = (format::short(*least), format::short(*most));
    let cells = width.saturating_sub(NAMES + from.len() + to.len() + 2).min(BARS);
    if cells < histogram.counts.len() {
        return Line::from(vec![name, Span::styled(format!("{from} to {to}"), theme.quiet())]);
    }
    let tallest = histogram.counts.iter().copied().max().unwrap_or(1).max(1) as f32;
    let bars: String =
        histogram.counts.iter().map(|count| glyphs::level(theme.glyphs(), *count as f32 / tallest)).collect();
    Line::from(vec![
        name,
        Span::styled(format!("{from} "), theme.quiet()),
        Span::styled(bars, theme.bar()),
        Span::styled(format!(" {to}"), theme.quiet()),
    ])
}

/// What the list below holds.
fn bins_line(app: &App, width: usize) -> String {
    let said = match app.examples.bin {
        None => "strongest, one a document; , . other strengths".to_owned(),
        Some(bin) => format!("tenth {bin} of 10 by strength, drawn at random; , . others"),
    };
    if said.len() <= width { said } else { said.chars().take_while(|c| *c != ';').collect() }
}

/// The card's lines: how often it fires in the text, and its strongest examples, in `rows` lines at most.
pub(crate) fn card_lines<'a>(app: &App, width: usize, rows: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    app.shown_corpus().map_or_else(Vec::new, |(corpus, _)| lines_of(app, corpus, width, rows, pen))
}

/// How often a latent fires in the text, and its strongest examples, in `rows` lines at most.
pub(crate) fn lines_of<'a>(
    app: &App,
    corpus: &LatentCorpus,
    width: usize,
    rows: usize,
    pen: &Canvas<'_>,
) -> Vec<Line<'a>> {
    if rows == 0 {
        return Vec::new();
    }
    let mut lines = vec![figures_line(app, corpus, width, pen)];
    let best = corpus.examples.iter().filter(|example| example.best).take(rows - 1);
    lines.extend(best.map(|of| example::line(of, corpus.max, has_bos(app), width, pen)));
    lines
}

/// Goes to the strength before or after: the strongest examples, then the tenths that have examples of their own.
fn move_bin(app: &mut App, by: isize) {
    let mut all: Vec<Option<u8>> = vec![None];
    all.extend(app.example_bins().into_iter().map(Some));
    let now = all.iter().position(|bin| *bin == app.examples.bin).unwrap_or(0);
    app.examples.bin = all[now.saturating_add_signed(by).min(all.len() - 1)];
    app.examples.row = 0;
}

/// Makes the chosen example the prompt, and its peak the chosen token; the latent stays.
fn open(app: &mut App) {
    let listed = app.listed_examples();
    let Some(example) = listed.get(app.examples.row).filter(|_| app.corpus().is_some()) else { return };
    let first = usize::from(has_bos(app));
    let prompt: String = example.tokens.iter().skip(first).map(|token| token.text.as_str()).collect();
    let position = example.position;
    app.editor = editor_of(&prompt);
    app.token = position;
    app.held = true;
    app.look_at(Focus::Tokens);
}

/// The pane.
pub(crate) struct ExamplesPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Examples);
const FROM: KeyContexts = KeyContexts::pane(Focus::Tokens)
    .and(KeyContexts::pane(Focus::Latents))
    .and(KeyContexts::pane(Focus::Card))
    .and(KeyContexts::pane(Focus::Attribution));

impl Pane for ExamplesPane {
    fn focus(&self) -> Focus {
        Focus::Examples
    }

    fn name(&self) -> &'static str {
        "Examples"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(135, Action::Up, "examples.previous", &[key!(up), key!(k)], HERE, "", "The example above"),
                row(136, Action::Down, "examples.next", &[key!(down), key!(j)], HERE, "example", "The example below"),
                row(
                    137,
                    Action::Own("stronger"),
                    "examples.stronger",
                    &[key!(',')],
                    HERE,
                    "",
                    "Examples in which it fires more strongly",
                ),
                row(
                    138,
                    Action::Own("weaker"),
                    "examples.weaker",
                    &[key!('.')],
                    HERE,
                    "weaker",
                    "Examples in which it fires less strongly",
                ),
                row(
                    615,
                    Action::Accept,
                    "examples.open",
                    &[key!(enter)],
                    HERE,
                    "as prompt",
                    "Make the example the prompt, at its peak",
                ),
                row(
                    652,
                    Action::Focus(Focus::Examples),
                    "pane.examples",
                    &[key!(shift - e)],
                    FROM,
                    "examples",
                    "Go to its examples: where it fires in text",
                ),
                row(
                    664,
                    Action::Close,
                    "examples.leave",
                    &[key!(esc), key!(shift - e)],
                    HERE,
                    "back",
                    "Put the card back and go where you came from",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "Where the latent fires in the text that was indexed: activation at the peak, the text around it with heat on its",
            "tokens, the peak in a column of its own. First the strongest, one a document; then examples drawn at random from",
            "each tenth of its activations, 10 the strongest: a latent that means one thing means it in all tenths. NP stands",
            "before examples that Neuronpedia publishes, where they were taken in and the text has fewer than five.",
        ]
    }

    fn enter(&self, app: &mut App) {
        select::enter_beside(app, Focus::Examples);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        let by = match action {
            Action::Up | Action::Down => step_of(action),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => {
                leap_of(action, app.hits.rows(Focus::Examples))
            }
            Action::Own("stronger") => {
                move_bin(app, -1);
                return true;
            }
            Action::Own("weaker") => {
                move_bin(app, 1);
                return true;
            }
            Action::Accept => {
                open(app);
                return true;
            }
            Action::Close => {
                select::leave_beside(app);
                return true;
            }
            _ => return false,
        };
        let last = app.listed_examples().len().saturating_sub(1);
        app.examples.row = app.examples.row.min(last).saturating_add_signed(by).min(last);
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        let same = app.focus == Focus::Examples && app.examples.row == row;
        app.look_at(Focus::Examples);
        app.examples.row = row;
        if same {
            open(app);
        }
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        let last = app.listed_examples().len().saturating_sub(1);
        app.examples.row = app.examples.row.saturating_add_signed(by).min(last);
        true
    }

    fn settle(&self, app: &mut App) {
        // Another latent has other tenths, and another list.
        let gone = app.examples.bin.is_some_and(|bin| !app.example_bins().contains(&bin));
        if app.corpus().is_some() && gone {
            app.examples.bin = None;
        }
        let last = app.listed_examples().len().saturating_sub(1);
        if app.corpus().is_some() {
            app.examples.row = app.examples.row.min(last);
        }
    }

    fn questions(&self) -> &'static [Question] {
        const { &[question!(examples.asked)] }
    }

    /// The card leads with examples, so they are asked for wherever latents are looked at.
    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        if app.page != Page::Explore {
            return;
        }
        let Some(query) = app.corpus_query() else { return };
        effects.extend(app.examples.asked.want(query, app.index.version(), &mut app.tickets));
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
