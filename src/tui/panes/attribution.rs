//! Which heads and tokens the chosen latent's activation comes from: two lists of bars in the card's place, and the
//! card's lines. Not here: the same on the tokens (`tokens`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::Attribution;
use crate::text;
use crate::tui::app::App;
use crate::tui::app::HeadRow;
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
use crate::tui::view::figures::contribution;
use crate::tui::view::flow;
use crate::tui::view::trouble;
use crokey::key;

/// Lines above the lists: the sum, and what the columns are.
const HEAD: u16 = 2;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Attribution);
    let theme = pen.theme;
    let inner = pen.pane(area, &title(app, usize::from(area.width), pen), app.focus == Focus::Attribution);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure = trouble::first_lines(app.attribution.asked.failure(), inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let Some((of, current)) = app.attribution() else {
        let said = match (app.run.value(), app.chosen()) {
            (None, _) => "the prompt has not been run",
            (_, None) => "no latent chosen",
            _ => "tracing the latent to its tokens",
        };
        if failure.is_empty() {
            pen.text(inner, 0, said, theme.quiet());
        }
        return;
    };
    pen.line(inner, 0, &sum_line(of, usize::from(inner.width), pen));
    let lists = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    // Half for the heads and half for the sources, the odd cell between them.
    let left = Rect { width: lists.width.saturating_sub(2) / 2, ..lists };
    let right = Rect { x: left.right() + 2, width: lists.width.saturating_sub(left.width + 2), ..lists };
    draw_heads(app, left, pen);
    draw_sources(app, of, right, pen);
    if !current && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

/// Which latent, and how strongly it fires: in fewer words where the latent's name would be cut.
fn title<'a>(app: &App, width: usize, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut title = Title { name: "o Attribution", ..Title::default() };
    let mut name = 0;
    if let Some(chosen) = app.chosen() {
        let said = format!("{}/{}", text::prose(&chosen.sae, theme.charset), chosen.latent);
        name = text::width(&said);
        title.about.push(Span::styled(said, theme.accent()));
    }
    let more = theme.glyphs().more;
    let forms = match app.attribution() {
        _ if app.attribution.asked.is_pending() && app.waits() => [format!("tracing {more}"), more.to_owned()],
        Some((of, _)) if of.activation > 0.0 => {
            let value = format::activation(of.activation);
            [format!("fires {value}"), value]
        }
        Some(_) => ["does not fire".to_owned(), "silent".to_owned()],
        None => Default::default(),
    };
    let [long, short] = forms;
    // Beside both of them: the pane's name, and what stands around each.
    let room = width.saturating_sub(title.name.len() + name + 8);
    title.right = if text::width(&long) <= room { long } else { short };
    title
}

/// What the pre-activation is a sum of, in the longest words that fit: half a number is a wrong number.
fn sum_line<'a>(of: &Attribution, width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let attention = contribution(of.sources.iter().map(|source| source.value).sum());
    let (pre, bias) = (format::activation(of.pre_activation), contribution(of.bias));
    let forms = [("pre-activation ", " = heads ", ", bias "), ("pre ", " = heads ", ", bias "), ("", " = ", " ")];
    let numbers = pre.len() + attention.len() + bias.len();
    let fits = |(a, b, c): &&(&str, &str, &str)| a.len() + b.len() + c.len() + numbers <= width;
    let (a, b, c) = forms.iter().find(fits).copied().unwrap_or(forms[2]);
    Line::from(vec![
        Span::styled(a, theme.quiet()),
        Span::styled(pre, theme.strong()),
        Span::styled(b, theme.quiet()),
        Span::raw(attention),
        Span::styled(c, theme.quiet()),
        Span::raw(bias),
    ])
}

fn draw_heads(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let rows = app.head_rows();
    let wide = area.width >= 28;
    let named = if wide {
        format!("  {:<5}{:>7}{:>8}", "head", "contrib", "W_dec")
    } else {
        format!("  {:<5}{:>7}", "head", "contrib")
    };
    pen.text(area, 0, &named, theme.quiet());
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(HEAD - 1), ..area };
    pen.hits.note_rows(Focus::Attribution, usize::from(below.height));
    let most = rows.iter().map(|row| row.value.abs()).fold(0.0, f32::max);
    let chosen = app.head_row();
    let top = flow::top(chosen, usize::from(below.height).max(1), rows.len());
    for (y, (index, row)) in rows.iter().enumerate().skip(top).take(usize::from(below.height)).enumerate() {
        let at = Rect { y: below.y + y as u16, height: 1, ..below };
        pen.line(at, 0, &head_line(app, row, index == chosen, (wide, most), usize::from(at.width), pen));
        pen.hits.add(at, HitTarget::Item(Focus::Attribution, index));
    }
}

fn head_line<'a>(
    app: &App,
    row: &HeadRow,
    chosen: bool,
    (wide, most): (bool, f32),
    width: usize,
    pen: &Canvas<'_>,
) -> Line<'a> {
    let theme = pen.theme;
    let name = row.head.map_or_else(|| "all".to_owned(), |head| format!("h{head}"));
    let style = if chosen { theme.chosen(app.focus == Focus::Attribution) } else { Style::new() };
    let share = row.share.map_or(String::new(), |share| format::percent(share.into()));
    let share = if wide { format!("{share:>8}") } else { String::new() };
    let room = width.saturating_sub(15 + share.len());
    Line::from(vec![
        Span::styled(if chosen { theme.glyphs().chosen } else { " " }, theme.accent()),
        Span::raw(" "),
        Span::styled(format!("{name:<5}"), style),
        Span::raw(format!("{:>7}", contribution(row.value))),
        Span::styled(share, theme.quiet()),
        Span::raw(" "),
        bar(row.value, most, room, pen),
    ])
}

/// The sources of the chosen head, the one that brought most first.
fn draw_sources(app: &App, of: &Attribution, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let through = of.through(app.attribution.head);
    let whose = app.attribution.head.map_or_else(|| "all heads".to_owned(), |head| format!("h{head}"));
    let named = format!("token, by {whose}");
    let named = if named.len() <= usize::from(area.width) { named } else { format!("by {whose}") };
    pen.text(area, 0, &named, theme.quiet());
    let most = through.iter().map(|value| value.abs()).fold(0.0, f32::max);
    let rows = usize::from(area.height).saturating_sub(1);
    let mut order: Vec<usize> = (0..through.len()).collect();
    order.sort_by(|a, b| through[*b].abs().total_cmp(&through[*a].abs()));
    let digits = through.len().saturating_sub(1).max(1).to_string().len();
    let width = usize::from(area.width);
    // A third for the bars, but no name needs more than 20 cells.
    let name = (width.saturating_sub(digits + 9) * 2 / 3).clamp(4, 20);
    for (y, source) in order.into_iter().take(rows).enumerate() {
        let token = of.sources.get(source).map(|s| text::token(&s.text, theme.charset)).unwrap_or_default();
        let room = width.saturating_sub(digits + name + 10);
        let here = if source == of.position { theme.strong() } else { Style::new() };
        let line = Line::from(vec![
            Span::styled(format!("{source:>digits$} "), theme.quiet()),
            Span::styled(text::fit(&token, name, theme.charset), here),
            Span::raw(format!("{:>7} ", contribution(through[source]))),
            bar(through[source], most, room, pen),
        ]);
        pen.line(area, y as u16 + 1, &line);
    }
}

/// A bar of what was brought; the colour tells the sign again, beside the number.
fn bar<'a>(value: f32, most: f32, cells: usize, pen: &Canvas<'_>) -> Span<'a> {
    let theme = pen.theme;
    let share = if most > 0.0 { value.abs() / most } else { 0.0 };
    let style = if value < 0.0 { theme.suppressed() } else { theme.bar() };
    Span::styled(glyphs::bar(theme.glyphs(), share, cells), style)
}

/// The sources that brought most, and the heads where there is room, for the card.
pub(crate) fn card_lines<'a>(app: &App, width: usize, room: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    const NAMES: usize = 11;
    let theme = pen.theme;
    let line = |name: &str, parts: Vec<(String, f32)>| {
        let mut spans = vec![Span::styled(format!("{name:<NAMES$}"), theme.quiet())];
        let mut used = NAMES;
        for (name, value) in parts {
            let said = format!(" {}  ", contribution(value));
            used += text::width(&name) + said.len();
            // Whole parts only: half a number is a wrong number.
            if used > width + 2 {
                break;
            }
            let style = if value < 0.0 { theme.suppressed() } else { theme.promoted() };
            spans.extend([Span::styled(name, style), Span::styled(said, theme.quiet())]);
        }
        Line::from(spans)
    };
    let Some((of, true)) = app.attribution() else {
        // The lines keep their place while the answer is awaited.
        return ["from", "heads"].into_iter().take(room).map(|name| line(name, Vec::new())).collect();
    };
    let mut sources: Vec<usize> = (0..of.sources.len()).collect();
    sources.sort_by(|a, b| of.sources[*b].value.abs().total_cmp(&of.sources[*a].value.abs()));
    let token =
        |source: usize| text::truncate(&text::token(&of.sources[source].text, theme.charset), 16, theme.charset);
    let heads = app.head_rows().into_iter().filter_map(|row| Some((format!("h{}", row.head?), row.value)));
    let from = sources.into_iter().map(|source| (token(source), of.sources[source].value));
    [line("from", from.collect()), line("heads", heads.collect())].into_iter().take(room).collect()
}

/// Shows the origins in the card's place.
fn enter(app: &mut App) {
    if !app.reads_heads() {
        let site = app.opened.value().map_or_else(String::new, |o| format!("; this suite reads {}", o.site));
        app.say(format!("heads and sources can be separated at attn_z only{site}"));
        return;
    }
    select::enter_beside(app, Focus::Attribution);
}

/// Moves along the heads.
fn move_head(app: &mut App, by: isize) {
    let last = app.head_rows().len().saturating_sub(1);
    choose_row(app, app.head_row().saturating_add_signed(by).min(last));
}

/// Looks through the head of a row.
fn choose_row(app: &mut App, row: usize) {
    if let Some(row) = app.head_rows().get(row) {
        app.attribution.head = row.head;
    }
}

/// The pane.
pub(crate) struct OriginsPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Attribution);

impl Pane for OriginsPane {
    fn focus(&self) -> Focus {
        Focus::Attribution
    }

    fn name(&self) -> &'static str {
        "Attribution"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(
                    120,
                    Action::Up,
                    "attribution.previous",
                    &[key!(up), key!(k)],
                    HERE,
                    "",
                    "The head above, which contributes more",
                ),
                row(
                    130,
                    Action::Down,
                    "attribution.next",
                    &[key!(down), key!(j)],
                    HERE,
                    "head",
                    "The head below, which contributes less",
                ),
                row(
                    660,
                    Action::Close,
                    "attribution.leave",
                    &[key!(esc), key!(o)],
                    HERE,
                    "back",
                    "Put the card back and go where you came from",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "Which heads and tokens the latent's activation comes from (SAEs on attn_z): what a head mixes is a weighted sum of",
            "values at the tokens it looks at, so what each head contributes from each token and the bias add up to the pre-activation.",
            "A chosen head narrows the tokens to what came through it. W_dec: the head's share of the latent's decoder row.",
        ]
    }

    fn is_there(&self, app: &App) -> bool {
        app.reads_heads()
    }

    fn enter(&self, app: &mut App) {
        enter(app);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        match action {
            Action::Up | Action::Down => move_head(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => {
                move_head(app, leap_of(action, app.hits.rows(Focus::Attribution)));
            }
            Action::Close => select::leave_beside(app),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        app.look_at(Focus::Attribution);
        choose_row(app, row);
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        move_head(app, by);
        true
    }

    fn questions(&self) -> &'static [Question] {
        const { &[question!(attribution.asked)] }
    }

    /// The card's lines need it too, so it is asked for wherever latents are looked at.
    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        if app.page != Page::Explore || !app.has_run() || !app.reads_heads() {
            return;
        }
        let Some((query, run)) = app.origins_key() else { return };
        effects.extend(app.attribution.asked.want(query, run, &mut app.tickets));
    }

    fn command(&self, app: &App) -> Option<String> {
        let prompt = app.shown_prompt.replace('\'', r"'\''");
        Some(format!("--prompt '{prompt}' --position {}", app.token))
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
