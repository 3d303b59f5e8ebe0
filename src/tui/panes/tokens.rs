//! The tokens as a heat map of the chosen latent, with a bar for it and for every pinned latent under each token.
//! Not here: choosing a token.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use crate::session::LoadScope;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::{Focus, LatentRef, Page};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::theme::{Depth, glyphs};
use crate::tui::update::{meta, select, stitch};
use crate::tui::view::figures::{contribution, label_text, name_of, progress_text};
use crate::tui::view::flow;
use crate::tui::view::trouble;
use crate::tui::view::waiting::lacking;
use crokey::key;

/// A latent whose strength is drawn over the tokens.
struct Heat {
    values: Vec<f32>,
    most: f32,
    /// Its place among the pins; none for the chosen latent.
    pin: Option<usize>,
}

impl Heat {
    /// The share of the strongest at a position.
    fn share(&self, position: usize) -> f32 {
        self.values.get(position).map_or(0.0, |v| if self.most > 0.0 { v / self.most } else { 0.0 })
    }
}

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Tokens);
    if let Some(errors) = error_changes(app) {
        draw_errors(app, &errors, area, pen);
        return;
    }
    if app.shows_sources() && !app.tokens().is_empty() && app.run.last_failure().is_none() {
        draw_sources(app, area, pen);
        return;
    }
    let chosen = app.chosen();
    let by_meta = app.meta.meta_latent.filter(|_| app.meta.by_meta && app.meta_ref().is_some());
    let heat = match by_meta {
        Some(meta_latent) => Some(heat_from(app, app.meta_heat(meta_latent), None)),
        None => chosen.as_ref().map(|c| heat_of(app, c, None)),
    };
    let title = match (by_meta, &heat) {
        (Some(meta_latent), Some(heat)) => meta_title(app, meta_latent, heat, pen),
        _ => title(app, chosen.as_ref(), heat.as_ref(), pen),
    };
    let inner = pen.pane(area, &title, app.focus == Focus::Tokens);
    let inner = Rect { width: inner.width.saturating_sub(1), ..inner };
    if app.tokens().is_empty() {
        draw_empty(app, inner, pen);
        return;
    }
    let failure = app.run.last_failure().filter(|_| inner.height <= 2);
    let one = Rect { height: inner.height.min(1), ..inner };
    let inner = trouble::draw_lines(&trouble::first_lines(failure, one, pen.theme.charset), inner, pen);
    let mut heats: Vec<Heat> = heat.into_iter().collect();
    heats.extend(app.pins.iter().enumerate().map(|(n, pin)| heat_of(app, pin, Some(n))));
    draw_tokens(app, &Marks::Heats(&heats), inner, pen);
}

/// Where the workbench is shown and changed anything: by what share of the narrower SAE's error each token's error
/// changed.
fn error_changes(app: &App) -> Option<Vec<f64>> {
    if app.page != Page::Stitch || app.stitch.shown != Focus::Bench {
        return None;
    }
    let pair = app.pair()?;
    let bench = app.stitch.bench.value().filter(|b| b.small == pair.small && b.large == pair.large)?;
    if bench.changes.is_empty() || bench.errors.len() != app.tokens().len() {
        return None;
    }
    let share = |(small, now, _): &(f64, f64, f64)| if *small > 0.0 { (now - small) / small } else { 0.0 };
    Some(bench.errors.iter().map(share).collect())
}

/// The tokens by what the workbench did to their error: a sign and a bar below each, green for less and red for more.
fn draw_errors(app: &App, errors: &[f64], area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let small = app.pair().map(|pair| text::prose(&pair.small, theme.charset)).unwrap_or_default();
    let [better, worse] = theme.glyphs().change;
    let title = Title {
        name: "2 Tokens",
        about: vec![
            Span::raw(format!("error against {small}  ")),
            Span::styled(format!("{better} fell"), theme.good()),
            Span::raw("  "),
            Span::styled(format!("{worse} rose"), theme.bad()),
        ],
        right: errors.get(app.token).map_or(String::new(), |e| format!("{:+.2}% here", e * 100.0)),
    };
    let inner = pen.pane(area, &title, app.focus == Focus::Tokens);
    let inner = Rect { width: inner.width.saturating_sub(1), ..inner };
    let most = errors.iter().fold(0.0_f64, |most, e| most.max(e.abs()));
    draw_tokens(app, &Marks::Errors(errors, most), inner, pen);
}

/// The tokens by what each brought to the chosen latent at the chosen token: bars, those that held it back with a sign.
fn draw_sources(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let values = app.attribution().map_or_else(Vec::new, |(of, _)| of.through(app.attribution.head));
    let strongest = values.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    let right = strongest.map_or_else(String::new, |value| format!("most {}", contribution(value)));
    // Beside what it is about: the pane's name, the right end, and what stands around each.
    let room = usize::from(area.width).saturating_sub("2 Tokens".len() + text::width(&right) + 9);
    let title = Title { name: "2 Tokens", about: sources_of(app, room, pen), right };
    let inner = pen.pane(area, &title, app.focus == Focus::Tokens);
    let inner = Rect { width: inner.width.saturating_sub(1), ..inner };
    let size = |values: &[f32]| values.iter().map(|value| value.abs()).fold(0.0, f32::max);
    // The beginning-of-sequence token, at which heads look when they look at nothing, would dim all others.
    let own = size(values.get(app.apart()..).unwrap_or_default());
    let most = if own > 0.0 { own } else { size(&values) };
    draw_tokens(app, &Marks::Sources(&values, most), inner, pen);
    if app.attribution().is_some_and(|(_, current)| !current) && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

/// Which latent's sources, at which token, through which head: in the longest form that fits into `room` cells.
fn sources_of<'a>(app: &App, room: usize, pen: &Canvas<'_>) -> Vec<Span<'a>> {
    let theme = pen.theme;
    let (Some(chosen), Some(token)) = (app.chosen(), app.tokens().get(app.token)) else { return Vec::new() };
    let name = format!("{}/{}", text::prose(&chosen.sae, theme.charset), chosen.latent);
    let token = text::token(&token.text, theme.charset);
    let (long, short) = match app.attribution.head {
        Some(head) => (format!("  by head {head}"), format!("  h{head}")),
        None => ("  by all heads".to_owned(), String::new()),
    };
    let forms = [("sources of ", &long, 16), ("sources of ", &short, 16), ("", &short, 16), ("", &short, 6)];
    let spans = forms.map(|(of, through, longest)| {
        vec![
            Span::raw(of),
            Span::styled(name.clone(), theme.accent()),
            Span::raw(" at "),
            Span::styled(text::truncate(&token, longest, theme.charset), theme.strong()),
            Span::raw(through.clone()),
        ]
    });
    let cells = |spans: &[Span<'_>]| spans.iter().map(|span| text::width(&span.content)).sum::<usize>();
    let [.., shortest] = &spans;
    let shortest = shortest.clone();
    spans.into_iter().find(|spans| cells(spans) <= room).unwrap_or(shortest)
}

/// What is drawn on the tokens.
enum Marks<'a> {
    /// How strongly latents fire.
    Heats(&'a [Heat]),
    /// By what share errors changed, and the largest of them.
    Errors(&'a [f64], f64),
    /// What sources brought, and the size that is a full bar.
    Sources(&'a [f32], f32),
}

/// The strengths of a latent; the strongest is that of the prompt's own tokens, since what stands in front of it fires on nothing but
/// standing first and would dim all others.
fn heat_of(app: &App, of: &LatentRef, pin: Option<usize>) -> Heat {
    heat_from(app, app.heat(of), pin)
}

fn heat_from(app: &App, values: Vec<f32>, pin: Option<usize>) -> Heat {
    let own = values.get(app.apart()..).unwrap_or_default();
    let most = own.iter().copied().fold(0.0, f32::max);
    let most = if most > 0.0 { most } else { values.iter().copied().fold(0.0, f32::max) };
    Heat { values, most, pin }
}

fn title<'a>(app: &App, chosen: Option<&LatentRef>, heat: Option<&Heat>, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut about = Vec::new();
    let mut right = String::new();
    if let (Some(chosen), Some(heat), false) = (chosen, heat, app.weights_only()) {
        about.push(Span::raw("heat of "));
        about.push(Span::styled(
            format!("{}/{}", text::prose(&chosen.sae, theme.charset), chosen.latent),
            theme.accent(),
        ));
        if let Some(label) = label_text(app, theme, chosen, 2) {
            about.push(Span::raw(format!(" {label}")));
        }
        about.push(Span::styled(if app.held { " held" } else { " strongest here" }, theme.quiet()));
        for (n, pin) in app.pins.iter().enumerate() {
            let name =
                format!("  {} {}/{}", theme.glyphs().pins[n % 4], text::prose(&pin.sae, theme.charset), pin.latent);
            about.push(Span::styled(name, theme.pin(n)));
        }
        let here = heat.values.get(app.token).copied().unwrap_or(0.0);
        right = format!("{} here, max {}", format::activation(here), format::activation(heat.most));
    }
    if app.run.is_pending() && app.waits() {
        right = format!("{} {right}", theme.glyphs().more);
    }
    Title { name: "2 Tokens", about, right }
}

/// What the heat shows where the prompt is seen by meta-latents.
fn meta_title<'a>(app: &App, meta_latent: u32, heat: &Heat, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut about = vec![Span::raw("heat of "), Span::styled(format!("meta-latent {meta_latent}"), theme.accent())];
    if let Some(name) = name_of(app, meta_latent, 2, theme) {
        about.push(Span::raw(format!(" {name}")));
    }
    about.push(Span::styled("  by meta-latents: v turns back", theme.quiet()));
    let here = heat.values.get(app.token).copied().unwrap_or(0.0);
    let right = format!("{} here, max {}", format::activation(here), format::activation(heat.most));
    Title { name: "2 Tokens", about, right }
}

fn draw_empty(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    if let Some(report) = app.opened.last_failure().or(app.run.last_failure()) {
        let lines = trouble::first_lines(Some(report), area, pen.theme.charset);
        trouble::draw_lines(&lines, area, pen);
        return;
    }
    if let Some(why) = lacking(app, LoadScope::Site) {
        pen.wrapped(area, &format!("{why}. / finds latents by number or by a token they promote."));
        return;
    }
    let text = if app.opened.is_pending() {
        let step = app.opened.progressed().map(|p| format!(": {}", progress_text(p))).unwrap_or_default();
        text::prose(&format!("loading {}{step} {}", app.suite, pen.theme.glyphs().more), pen.theme.charset)
    } else if app.run.is_pending() {
        format!("running the prompt {}", pen.theme.glyphs().more)
    } else {
        "no tokens: type a prompt".to_owned()
    };
    pen.text(area, 0, &text, pen.theme.quiet());
}

fn draw_tokens(app: &App, marks: &Marks<'_>, area: Rect, pen: &mut Canvas<'_>) {
    let charset = pen.theme.charset;
    let most = usize::from(area.width).saturating_sub(1);
    let texts: Vec<String> =
        app.tokens().iter().map(|t| text::truncate(&text::token(&t.text, charset), most, charset)).collect();
    let widths: Vec<usize> = texts.iter().map(|t| text::width(t).max(1)).collect();
    let breaks: Vec<bool> = app.tokens().iter().map(|t| t.text.contains('\n')).collect();
    let placed = flow::flow(&widths, &breaks, usize::from(area.width));
    pen.hits.token_lines = flow::line_starts(&placed);
    let lines = placed.last().map_or(0, |p| p.line + 1);
    let rows = match marks {
        Marks::Heats(heats) => rows_per_line(lines, heats.len(), area.height, pen.theme.depth),
        // The sign is what tells without colours.
        Marks::Errors(..) | Marks::Sources(..) => rows_per_line(lines, 1, area.height, Depth::Mono),
    };
    let shown = (usize::from(area.height) / rows).max(1);
    let cursor = placed.get(app.token).map_or(0, |p| p.line);
    let top = flow::top(cursor, shown, lines);
    let stale = app.run.is_stale() && (app.waits() || app.run.last_failure().is_some());
    for (position, place) in placed.iter().enumerate().filter(|(_, p)| (top..top + shown).contains(&p.line)) {
        let y = area.y + ((place.line - top) * rows) as u16;
        let at = Rect { x: area.x + place.x as u16, y, width: place.cells as u16, height: 1 };
        draw_token(app, position, &texts[position], marks, (at, rows), pen);
        if stale {
            pen.tint(Rect { height: rows as u16, ..at }.intersection(area), pen.theme.stale());
        }
        pen.hits.add(Rect { height: rows as u16, ..at }.intersection(area), HitTarget::Item(Focus::Tokens, position));
    }
    draw_more(top, shown, lines, area, pen);
}

/// Rows that a line of tokens takes: its text, and a bar for each latent as far as there is room. Where all lines fit
/// only without bars, and colours tell the heat, bars are left out.
fn rows_per_line(lines: usize, heats: usize, height: u16, depth: Depth) -> usize {
    let height = usize::from(height).max(1);
    let full = (1 + heats).min(height);
    let crowded = lines * full > height && lines > 1;
    if crowded && heats <= 1 && depth >= Depth::Ansi256 { 1 } else { full }
}

fn draw_token(app: &App, position: usize, shown: &str, marks: &Marks<'_>, at: (Rect, usize), pen: &mut Canvas<'_>) {
    let (at, rows) = at;
    let theme = pen.theme;
    let body = Rect { x: at.x + 1, width: at.width.saturating_sub(1), ..at };
    let mut style = match marks {
        Marks::Heats(heats) => {
            heats.iter().find(|h| h.pin.is_none()).map_or_else(Default::default, |h| theme.heat(h.share(position)))
        }
        Marks::Errors(errors, _) => error_style(errors.get(position).copied().unwrap_or(0.0), pen),
        Marks::Sources(values, most) => {
            let share = share_of(values, *most, position);
            if share < -LEAST_SHARE { theme.suppressed() } else { theme.heat(share) }
        }
    };
    if position == app.token {
        let [before, after] = theme.glyphs().around;
        pen.text(at, 0, before, theme.accent());
        pen.buf.set_stringn(at.right(), at.y, after, 1, theme.accent());
        // Where heat is shown by the background, reversing would hide how hot the chosen token is.
        let mark = if style.bg.is_some() { Modifier::UNDERLINED } else { Modifier::REVERSED };
        style = style.add_modifier(mark | Modifier::BOLD);
    }
    pen.text(body, 0, shown, style);
    let room = usize::from(body.width);
    match marks {
        Marks::Heats(heats) => {
            for (row, heat) in heats.iter().enumerate().take(rows.saturating_sub(1)) {
                let bar = glyphs::level(theme.glyphs(), heat.share(position)).repeat(room);
                let style = heat.pin.map_or(theme.bar(), |n| theme.pin(n));
                pen.buf.set_stringn(body.x, body.y + 1 + row as u16, &bar, room, style);
            }
        }
        Marks::Errors(errors, most) if rows > 1 => {
            let change = errors.get(position).copied().unwrap_or(0.0);
            let [better, worse] = theme.glyphs().change;
            if change.abs() >= LEAST_CHANGE {
                let sign = if change < 0.0 { better } else { worse };
                let level = glyphs::level(theme.glyphs(), (change.abs() / most) as f32);
                let bar = format!("{sign}{}", level.repeat(room.saturating_sub(1)));
                pen.buf.set_stringn(body.x, body.y + 1, &bar, room, error_style(change, pen));
            }
        }
        Marks::Sources(values, most) if rows > 1 => {
            let share = share_of(values, *most, position);
            let level = glyphs::level(theme.glyphs(), share.abs());
            let (bar, style) = if share < -LEAST_SHARE {
                (format!("-{}", level.repeat(room.saturating_sub(1))), theme.suppressed())
            } else if share > LEAST_SHARE {
                (level.repeat(room), theme.bar())
            } else {
                return;
            };
            pen.buf.set_stringn(body.x, body.y + 1, &bar, room, style);
        }
        Marks::Errors(..) | Marks::Sources(..) => {}
    }
}

/// Smaller shares of a source are drawn as none.
const LEAST_SHARE: f32 = 0.01;

/// What a source brought as a share of a full bar, with its sign; none beyond the token that is looked at.
fn share_of(values: &[f32], most: f32, position: usize) -> f32 {
    values.get(position).map_or(0.0, |value| if most > 0.0 { (value / most).clamp(-1.0, 1.0) } else { 0.0 })
}

/// Smaller changes of an error are drawn as none.
const LEAST_CHANGE: f64 = 5e-4;

fn error_style(change: f64, pen: &Canvas<'_>) -> Style {
    if change <= -LEAST_CHANGE {
        pen.theme.good()
    } else if change >= LEAST_CHANGE {
        pen.theme.bad()
    } else {
        Style::new()
    }
}

/// Marks that there are lines above or below, in the last column.
fn draw_more(top: usize, shown: usize, lines: usize, area: Rect, pen: &mut Canvas<'_>) {
    let column = Rect { x: area.right(), width: 1, ..area };
    let (up, down) = if pen.theme.charset == text::Charset::Ascii { ("^", "v") } else { ("↑", "↓") };
    if top > 0 {
        pen.text(column, 0, up, pen.theme.quiet());
    }
    if top + shown < lines {
        pen.text(column, area.height.saturating_sub(1), down, pen.theme.quiet());
    }
}

/// The pane.
pub(crate) struct TokensPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Tokens);

impl Pane for TokensPane {
    fn focus(&self) -> Focus {
        Focus::Tokens
    }

    fn name(&self) -> &'static str {
        "Tokens"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(590, Action::Accept, "tokens.open", &[key!(enter)], HERE, "", "Go to the latents of the token"),
                row(
                    620,
                    Action::Close,
                    "latent.release",
                    &[key!(esc)],
                    HERE,
                    "let go",
                    "Let go of the held latent: follow the strongest again",
                ),
                row(920, Action::First, "tokens.first", &[key!(home), key!(g), key!('0')], HERE, "", "The first token"),
                row(
                    930,
                    Action::Last,
                    "tokens.last",
                    &[key!(end), key!(shift - g), key!('$')],
                    HERE,
                    "",
                    "The last token",
                ),
                row(
                    940,
                    Action::PageUp,
                    "tokens.page-up",
                    &[key!(pageup), key!(ctrl - u)],
                    HERE,
                    "",
                    "The line of tokens above",
                ),
                row(
                    950,
                    Action::PageDown,
                    "tokens.page-down",
                    &[key!(pagedown), key!(ctrl - d)],
                    HERE,
                    "",
                    "The line of tokens below",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "The tokens the model sees: · is a space, ⏎ a newline, ⟨e2 96⟩ bytes that are not a whole character.",
            "The heat and the bars show how strongly one latent fires on each token: the strongest of the chosen token,",
            "or the one you hold. Pinned latents have bars of their own below.",
        ]
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        let shown = match app.page {
            Page::Explore => None,
            Page::Stitch => Some(app.stitch.shown),
            Page::Meta => Some(app.meta.shown),
        };
        match (action, shown) {
            (Action::First | Action::Last | Action::PageUp | Action::PageDown, _) => select::leap_token(app, action),
            (Action::Accept | Action::Close, Some(shown)) => app.look_at(shown),
            (Action::Accept, None) => app.look_at(Focus::Latents),
            (Action::Close, None) => select::release(app),
            // The list of latents is on another page; what is shown there moves.
            (Action::Up | Action::Down, Some(_)) if app.page == Page::Stitch => stitch::step(app, step_of(action)),
            (Action::Up | Action::Down, Some(_)) => meta::step(app, step_of(action)),
            (Action::Up | Action::Down, None) => meta::step_latents(app, step_of(action)),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        app.look_at(Focus::Tokens);
        select::choose_token(app, row);
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        select::move_token(app, by);
        true
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
