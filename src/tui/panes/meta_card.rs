//! A meta-latent's card: where it is strong in text, what it promotes, how strongly it is in its members, its nearest
//! latents along the ladder, what of it fires in the prompt, and its members. Not here: other meta-latents.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{Member, MetaCard, MetaCorpus};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::{HitTarget, Part};
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef, Page};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::panes::examples;
use crate::tui::theme::glyphs;
use crate::tui::update::meta;
use crate::tui::view::example;
use crate::tui::view::figures::{cosine, name_text, not_run, token_lines};
use crate::tui::view::flow;
use crate::tui::view::trouble;
use crate::tui::view::waiting::waiting;
use crokey::key;

/// Cells of the names at the left of the lines.
const NAMES: usize = 11;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hits.drawn.add(Part::MetaCard);
    pen.hit_pane(area, Focus::MetaCard);
    let theme = pen.theme;
    let of = app.meta_ref();
    let card = app.meta.card.value().filter(|c| of.as_ref().is_some_and(|of| of.meta == c.meta && of.sae == c.sae));
    let mut title = Title { name: "Meta-latent", ..Title::default() };
    if let Some(meta_latent) = app.meta.meta_latent {
        title.about.push(Span::styled(meta_latent.to_string(), theme.accent()));
    }
    title.right = match card {
        _ if app.meta.card.is_pending() && app.waits() => format!("asking {}", theme.glyphs().more),
        Some(card) => match (card.found_again, card.stable) {
            (Some(again), Some(true)) => format!("stable {}", cosine(again)),
            (Some(again), _) => format!("one seed only {}", cosine(again)),
            (None, _) => String::new(),
        },
        None => String::new(),
    };
    let inner = pen.pane(area, &title, app.focus == Focus::MetaCard);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure =
        trouble::first_lines(app.meta.card.failure(), Rect { height: inner.height.min(4), ..inner }, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let Some(card) = card else {
        if failure.is_empty() && app.meta.meta_latent.is_some() {
            waiting(app, None, app.meta.card.progressed(), "looking for its members", inner, pen);
        }
        return;
    };
    content(app, card, inner, pen);
    if app.meta.meta_latent != Some(card.meta_latent) && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

fn content(app: &App, card: &MetaCard, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let lists = if height >= 30 { 3 } else { 1 };
    let mut all = in_text(app, width, height, pen);
    all.extend(token_lines("promotes", &card.promoted, theme.promoted(), width, lists, pen));
    if height >= 9 {
        all.extend(token_lines("suppresses", &card.suppressed, theme.suppressed(), width, lists, pen));
    }
    all.push(histogram(card, pen));
    all.extend(ladder(app, card, width, if height >= 30 { 8 } else { 1 }, pen));
    all.extend(firing(app, card, width, if height >= 30 { 5 } else { 1 }, pen));
    let used = (all.len() as u16).min(area.height);
    for (row, line) in all.iter().enumerate() {
        pen.line(area, row as u16, line);
    }
    list(app, card, Rect { y: area.y + used, height: area.height - used, ..area }, pen);
}

/// Where it is strong in text: how often, how strongly, and the strongest examples.
fn in_text<'a>(app: &App, width: usize, height: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let rows = match height {
        30.. => 10,
        15.. => 6,
        9.. => 3,
        _ => 0,
    };
    match app.meta_corpus().filter(|_| rows > 0) {
        None => Vec::new(),
        Some(MetaCorpus::Index(corpus)) => {
            let mut lines = examples::lines_of(app, corpus, width, rows, pen);
            if height >= 30 && corpus.count > 0 {
                lines.insert(1, examples::histogram_line(corpus, width, pen));
            }
            lines
        }
        Some(MetaCorpus::Members(corpus)) => {
            let said = format!("not counted; in its members' examples, max {}", format::activation(corpus.max));
            let said = text::truncate(&said, width.saturating_sub(NAMES), pen.theme.charset);
            let mut lines = vec![Line::from(vec![head("in text", pen), Span::styled(said, pen.theme.quiet())])];
            let shown = corpus.examples.iter().take(rows - 1);
            lines.extend(shown.map(|of| example::line(of, corpus.max, examples::has_bos(app), width, pen)));
            lines
        }
    }
}

fn head<'a>(name: &'static str, pen: &Canvas<'_>) -> Span<'a> {
    Span::styled(format!("{name:<NAMES$}"), pen.theme.quiet())
}

/// How many members have which activation.
fn histogram<'a>(card: &MetaCard, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let counts = &card.histogram.counts;
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f32;
    let bars: String = counts.iter().map(|c| glyphs::level(theme.glyphs(), *c as f32 / most)).collect();
    Line::from(vec![
        head("in", pen),
        Span::raw(format!("{} latents  ", format::count(card.member_count as u64))),
        Span::styled(format!("{:.2} ", card.histogram.low), theme.quiet()),
        Span::styled(bars, theme.bar()),
        Span::styled(format!(" {:.2}", card.histogram.high), theme.quiet()),
    ])
}

/// The nearest latent in every SAE: often a narrow SAE's latent says what the meta-latent is.
fn ladder<'a>(app: &App, card: &MetaCard, width: usize, lines: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let theme = pen.theme;
    let near = |entry: &crate::analysis::LadderEntry| {
        let nearest = entry.nearest.first()?;
        let of = LatentRef { sae: entry.sae.clone(), latent: nearest.latent };
        let label = name_text(app, theme, &of, if lines > 1 { 4 } else { 1 }).unwrap_or_default();
        Some(format!(
            "{}/{} {} {label}",
            text::prose(&entry.sae, theme.charset),
            nearest.latent,
            cosine(nearest.cosine)
        ))
    };
    let all: Vec<String> = card.ladder.iter().filter_map(near).collect();
    if lines > 1 {
        let name = |row: usize| head(if row == 0 { "nearest" } else { "" }, pen);
        return all.into_iter().take(lines).enumerate().map(|(i, s)| Line::from(vec![name(i), Span::raw(s)])).collect();
    }
    let mut said = String::new();
    for part in all {
        let next = if said.is_empty() { part } else { format!("{said}  {part}") };
        if text::width(&next) + NAMES > width && !said.is_empty() {
            break;
        }
        said = next;
    }
    vec![Line::from(vec![
        head("nearest", pen),
        Span::raw(text::truncate(&said, width.saturating_sub(NAMES), theme.charset)),
    ])]
}

/// Which members fire in the prompt, and on which tokens.
fn firing<'a>(app: &App, card: &MetaCard, width: usize, lines: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let theme = pen.theme;
    if app.weights_only() {
        return vec![not_run(width, pen)];
    }
    if card.firing.is_empty() {
        return vec![Line::from(vec![
            head("fires", pen),
            Span::styled("no member fires in this prompt", theme.quiet()),
        ])];
    }
    let token =
        |position: usize| app.tokens().get(position).map(|t| text::token(&t.text, theme.charset)).unwrap_or_default();
    let count = card.firing.len();
    let shown = if count > lines { lines.saturating_sub(1).max(1) } else { count };
    let mut out: Vec<Line<'a>> = Vec::new();
    for (row, member) in card.firing.iter().take(shown).enumerate() {
        let on: Vec<String> = member.tokens.iter().take(6).map(|t| token(t.position)).collect();
        let more = if member.tokens.len() > 6 { theme.glyphs().more } else { "" };
        let others = if lines == 1 && count > 1 { format!("  and {} more", count - 1) } else { String::new() };
        let said = format!("{} on {}{more}{others}", member.latent, on.join(" "));
        out.push(Line::from(vec![
            head(if row == 0 { "fires" } else { "" }, pen),
            Span::raw(text::truncate(&said, width.saturating_sub(NAMES), theme.charset)),
        ]));
    }
    if count > shown && lines > 1 {
        out.push(Line::from(vec![head("", pen), Span::styled(format!("and {} more", count - shown), theme.quiet())]));
    }
    out
}

/// The members, strongest first.
fn list(app: &App, card: &MetaCard, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    if area.height < 2 {
        return;
    }
    let more = card.member_count.saturating_sub(card.members.len());
    let more = if more > 0 { format!("  {more} weaker ones are not listed") } else { String::new() };
    let names = format!("  {:>6}  {:<12} {:>5}  promotes{more}", "member", "activation", "here");
    pen.text(area, 0, &text::truncate(&names, usize::from(area.width), theme.charset), theme.quiet());
    let area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let focused = app.focus == Focus::MetaCard;
    let rows = usize::from(area.height);
    if focused {
        pen.hits.meta_rows = rows;
    }
    let top = if focused { flow::top(app.meta.member, rows, card.members.len()) } else { 0 };
    let most = card.members.first().map_or(1.0, |m| m.activation);
    for (y, (index, member)) in card.members.iter().enumerate().skip(top).take(rows).enumerate() {
        let at = Rect { y: area.y + y as u16, height: 1, ..area };
        pen.line(at, 0, &member_line(app, card, *member, most, focused && index == app.meta.member, pen));
        pen.hits.add(at, HitTarget::Item(Focus::MetaCard, index));
    }
}

fn member_line<'a>(app: &App, card: &MetaCard, member: Member, most: f32, chosen: bool, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let of = LatentRef { sae: card.sae.clone(), latent: member.latent };
    let here = app.run_of(&of.sae).and_then(|run| run.positions.get(app.token));
    let here = here.map_or(0.0, |position| crate::tui::app::activation(position, member.latent));
    let own = app.latent == Some(member.latent);
    let style = match (chosen, own) {
        (true, _) => theme.chosen(true),
        (false, true) => theme.accent(),
        _ => Style::new(),
    };
    let bar = text::fit(&glyphs::bar(glyphs, member.activation / most, 6), 6, theme.charset);
    let fires = if here > 0.0 { format::activation(here) } else { glyphs.dot.to_owned() };
    Line::from(vec![
        Span::styled(if chosen { glyphs.chosen } else { " " }, theme.accent()),
        Span::raw(" "),
        Span::styled(format!("{:>6}", member.latent), style),
        Span::raw(format!("  {:>4.2} ", member.activation)),
        Span::styled(bar, theme.bar()),
        Span::styled(format!("  {fires:>5}  "), if here > 0.0 { theme.bar() } else { theme.quiet() }),
        Span::raw(name_text(app, theme, &of, 6).unwrap_or_default()),
        Span::styled(if own { "  (this latent)" } else { "" }, theme.quiet()),
    ])
}

/// The pane.
pub(crate) struct MetaCardPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::MetaCard);

impl Pane for MetaCardPane {
    fn focus(&self) -> Focus {
        Focus::MetaCard
    }

    fn name(&self) -> &'static str {
        "Meta-latent"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(240, Action::Up, "members.previous", &[key!(up), key!(k)], HERE, "", "The stronger member"),
                row(250, Action::Down, "members.next", &[key!(down), key!(j)], HERE, "member", "The weaker member"),
                row(
                    330,
                    Action::Accept,
                    "members.open",
                    &[key!(enter)],
                    HERE,
                    "go to it",
                    "Go to the member: what it is made of",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "One meta-latent: where it is strong in text (the sum of its members' activations, each by how much of it is in the",
            "member; \"not counted\" where its meta-SAE is not in the index), what its direction promotes, how strongly it is in",
            "its members (a histogram), the nearest latent of every SAE, and which members fire in this prompt on which tokens.",
            "Enter on a member shows what that is made of.",
        ]
    }

    fn enter(&self, app: &mut App) {
        meta::enter(app, Focus::MetaCard);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Up | Action::Down => meta::step(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => meta::leap(app, action),
            Action::Accept => meta::accept(app),
            Action::Close => meta::leave(app),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        let same = app.focus == Focus::MetaCard && app.meta.member == row;
        app.look_at(Focus::MetaCard);
        app.meta.member = row;
        if same {
            meta::accept(app);
        }
    }

    fn wheel(&self, app: &mut App, row: Option<usize>, by: isize) -> bool {
        let here = app.page == Page::Meta && row.is_some();
        if here {
            meta::step(app, by);
        }
        here
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
