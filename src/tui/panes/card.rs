//! The chosen latent's card: what it promotes, when it fires, and its nearest latents along the ladder.
//! Not here: other latents (`latents`), other SAEs' metrics (`ladder`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{Class, LatentCard};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::hits::HitTarget;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::ladder::{Kin, LadderRow};
use crate::tui::location::{Focus, LatentRef};
use crate::tui::msg::Effect;
use crate::tui::pane::{Pane, step_of};
use crate::tui::panes::{attribution, examples, parts};
use crate::tui::update::select;
use crate::tui::view::figures::{NAMES, cosine, longest, name_text, not_run, token_lines};
use crate::tui::view::flow;
use crate::tui::view::label;
use crate::tui::view::trouble;
use crate::tui::view::verdict;
use crokey::key;

/// Lines of examples at most, with the one over them.
const MAX_EXAMPLES: usize = 21;
/// Lines of a card from which five examples are shown whatever else there is.
const ROOMY: usize = 15;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Card);
    let theme = pen.theme;
    let chosen = app.chosen();
    let card = app.card.value();
    let current = card.is_some_and(|c| chosen.as_ref().is_some_and(|r| c.sae == r.sae && c.latent == r.latent));
    let stale = card.is_some() && ((!current && app.waits()) || app.card.last_failure().is_some());
    let title = title(app, chosen.as_ref(), card.map(|c| &**c), pen);
    let inner = pen.pane(area, &title, app.focus == Focus::Card);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    pen.hits.card_rows = usize::from(inner.height);
    let failure = trouble::first_lines(app.card.last_failure(), inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    match card {
        Some(card) => draw_card(app, card, inner, pen),
        None if chosen.is_none() && app.run.value().is_some() => pen.text(inner, 0, "no latent chosen", theme.quiet()),
        None => {}
    }
    if stale {
        pen.tint(inner, theme.stale());
    }
}

fn title<'a>(app: &App, chosen: Option<&LatentRef>, card: Option<&LatentCard>, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut title = Title { name: "4 Card", ..Title::default() };
    if let Some(chosen) = chosen {
        let name = format!("{}/{}", text::said(&chosen.sae, theme.charset), chosen.latent);
        title.about.push(Span::styled(name, theme.accent()));
    }
    title.right = match card {
        _ if app.card.is_pending() && app.waits() => format!("asking {}", theme.glyphs().more),
        Some(card) => format!("{}norm {}", noted(&card.notes), format::short(card.decoder_norm.into())),
        None => String::new(),
    };
    title
}

fn draw_card(app: &App, card: &LatentCard, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let ladder = app.ladder_rows();
    let height = usize::from(area.height);
    let with_examples = app.shown_corpus().is_some();
    // The ladder is what one moves in: the lists above it give way on a small screen. Where there are examples they lead,
    // and a long ladder is scrolled through.
    let kept = if with_examples { ladder.len().min((height / 5).max(3)) + 1 } else { ladder.len() + 3 };
    let room = height.saturating_sub(kept);
    let traced = if app.reads_heads() { 1 + usize::from(room > 4) } else { 0 };
    let width = usize::from(area.width);
    // Four lines say what it promotes, where it fires here, and what is new about it; the rest is the examples'.
    let mut all = label::lines(app, &LatentRef { sae: card.sae.clone(), latent: card.latent }, width, pen);
    // Five examples where there is room for a few lines of everything else, two on a small screen.
    let least = if height >= ROOMY { 6 } else { 3.min(height / 2) };
    let rows = room.saturating_sub(4 + traced + all.len()).clamp(least, MAX_EXAMPLES);
    all.extend(examples::card_lines(app, width, rows, pen));
    let (above, room) = (all.len(), room.saturating_sub(all.len() + traced));
    let lines = if with_examples { room.saturating_sub(2) / 2 } else { room / 2 }.clamp(1, 3);
    let second = if room > 1 { lines.min(room - 1) } else { 0 };
    if card.zero {
        let said = longest(&["nothing: its decoder row is zero", "nothing: zero row"], width);
        all.push(Line::from(vec![
            Span::styled(format!("{:<NAMES$}", "promotes"), theme.quiet()),
            Span::styled(said, theme.notice()),
        ]));
    } else if !(app.reads_heads() && card.promoted.is_empty()) {
        all.extend(token_lines("promotes", &card.promoted, theme.promoted(), width, lines, pen));
        all.extend(token_lines("suppresses", &card.suppressed, theme.suppressed(), width, second, pen));
    }
    all.push(fires(app, card, width, pen));
    all.extend(attribution::card_lines(app, width, traced, pen));
    // The narrowest has nothing to be compared with, and without a model nothing is measured; the others keep the line while
    // the answer is awaited.
    let narrowest = app.saes().iter().find(|s| s.loaded);
    if narrowest.is_some_and(|narrowest| narrowest.id != card.sae) && !app.weights_only() {
        let mut spans = vec![Span::styled(format!("{:<NAMES$}", "verdict"), theme.quiet())];
        if let Some(report) = app.stitch.verdict.failure() {
            let said = format!("{} {}", theme.glyphs().bad, text::said(&report.what, theme.charset));
            spans.push(Span::styled(text::truncate(&said, width.saturating_sub(NAMES), theme.charset), theme.bad()));
        } else if let Some(line) = verdict::line(app, card, width.saturating_sub(NAMES), pen) {
            spans.extend(line.spans);
        }
        all.push(Line::from(spans));
    }
    // Of what is left beside the ladder and its head; it goes before what a latent is made of.
    all.extend(notes(&card.notes, width, (above + room + 2).saturating_sub(all.len()), pen));
    let spare = (above + room).saturating_sub(all.len() + 3);
    all.extend(parts::made_of(app, card, width, spare.min(8), pen));
    if above + room > all.len() + 2 {
        all.push(Line::from(Span::styled(
            format!("{:<NAMES$}bias {}", "encoder", format::short(card.encoder_bias.into())),
            theme.quiet(),
        )));
        all.push(Line::default());
    }
    let columns = Columns::of(app, width);
    all.push(columns.head(pen));
    for (row, line) in all.iter().enumerate() {
        pen.line(area, row as u16, line);
    }
    let used = (all.len() as u16).min(area.height);
    let below = Rect { y: area.y + used, height: area.height - used, ..area };
    draw_ladder(app, &ladder, &columns, below, pen);
}

/// For a title, how much there is to be known of the SAE; the card has it below where there is room, and `W`.
fn noted(notes: &[String]) -> String {
    match notes.len() {
        0 => String::new(),
        1 => "1 note, ".to_owned(),
        more => format!("{more} notes, "),
    }
}

/// What is to be known of the SAE, in at most `rows` lines.
fn notes<'a>(notes: &[String], width: usize, rows: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let (theme, room) = (pen.theme, width.saturating_sub(NAMES));
    let named = |(at, line): (usize, String)| {
        let name = if at == 0 { "note" } else { "" };
        Line::from(vec![Span::styled(format!("{name:<NAMES$}"), theme.quiet()), Span::styled(line, theme.notice())])
    };
    if notes.is_empty() || rows == 0 {
        return Vec::new();
    }
    let all = text::said(&notes.join("; "), theme.charset);
    text::wrap_within(&all, room, rows.min(3), theme.charset).into_iter().enumerate().map(named).collect()
}

fn fires<'a>(app: &App, card: &LatentCard, width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    if app.weights_only() {
        return not_run(width, pen);
    }
    let heat = app.heat(&LatentRef { sae: card.sae.clone(), latent: card.latent });
    let here = heat.get(app.token).copied().unwrap_or(0.0);
    let count = heat.iter().filter(|v| **v > 0.0).count();
    let strongest = heat.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).filter(|(_, v)| **v > 0.0);
    let mut parts = vec![format!("{count} of {}", heat.len())];
    if card.seen.tokens > 0 {
        let share = format::percent(card.seen.fired as f64 / card.seen.tokens as f64);
        let of = LatentRef { sae: card.sae.clone(), latent: card.latent };
        let dense = if app.is_dense(&of) { "dense: " } else { "" };
        parts.push(format!("{dense}seen {share} of {}", format::count(card.seen.tokens)));
    }
    if let Some((position, value)) = strongest
        && here < *value
    {
        let token = app.tokens().get(position).map(|t| text::token(&t.text, theme.charset)).unwrap_or_default();
        parts.push(format!("most on {} {}", text::truncate(&token, 12, theme.charset), format::activation(*value)));
    }
    // Whole parts only: half a number is a wrong number.
    let mut said = String::new();
    for part in parts {
        let next = if said.is_empty() { part } else { format!("{said}, {part}") };
        if text::width(&next) + NAMES > width && !said.is_empty() {
            break;
        }
        said = next;
    }
    Line::from(vec![Span::styled(format!("{:<NAMES$}", "fires"), theme.quiet()), Span::raw(said)])
}

/// The columns of the ladder, as wide as what stands in them.
struct Columns {
    sae: usize,
    latent: usize,
    class: usize,
    /// Whether there is a prompt that latents could fire in.
    runs: bool,
}

impl Columns {
    fn of(app: &App, width: usize) -> Self {
        let ids = app.saes().iter().map(|s| text::width(&s.id)).max().unwrap_or(0);
        let widest = app.saes().iter().filter_map(|s| s.width).max().unwrap_or(1);
        let class = if width >= 60 { "reconstruction".len() } else { "recon".len() };
        Self { sae: ids.clamp(3, 12), latent: widest.max(2).to_string().len().max(6), class, runs: !app.weights_only() }
    }

    fn head<'a>(&self, pen: &Canvas<'_>) -> Line<'a> {
        let (sae, latent, class) = (self.sae, self.latent, self.class);
        let here = if self.runs { " here  in" } else { "" };
        let head = format!("  {:<sae$} {:>latent$} {:>5} {:<class$} {here}", "SAE", "latent", "cos", "class");
        Line::from(Span::styled(head, pen.theme.quiet()))
    }
}

fn draw_ladder(app: &App, rows: &[LadderRow], columns: &Columns, area: Rect, pen: &mut Canvas<'_>) {
    let focused = app.focus == Focus::Card;
    let height = usize::from(area.height);
    let own = rows.iter().position(|r| r.cosine.is_none()).unwrap_or(0);
    let cursor = if focused { app.ladder_row } else { own };
    let top = flow::top(cursor.min(rows.len().saturating_sub(1)), height, rows.len());
    for (y, (index, row)) in rows.iter().enumerate().skip(top).take(height).enumerate() {
        let at = Rect { y: area.y + y as u16, height: 1, ..area };
        pen.line(at, 0, &ladder_line(app, row, focused && index == app.ladder_row, columns, pen));
        pen.hits.add(at, HitTarget::Item(Focus::Card, index));
    }
    if top + height < rows.len() && height > 0 {
        let note = format!(" {} more ", rows.len() - top - height);
        let x = area.right().saturating_sub(note.len() as u16);
        pen.text(Rect { x, width: area.right() - x, y: area.bottom() - 1, height: 1 }, 0, &note, pen.theme.notice());
    }
}

fn ladder_line<'a>(app: &App, row: &LadderRow, cursor: bool, columns: &Columns, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let glyphs = theme.glyphs();
    let sae = app.saes().get(row.place).map(|s| s.id.clone()).unwrap_or_default();
    let of = LatentRef { sae, latent: row.latent };
    let heat = app.heat(&of);
    let here = heat.get(app.token).copied().unwrap_or(0.0);
    let count = heat.iter().filter(|v| **v > 0.0).count();
    let own = row.cosine.is_none();
    let class = class_name(row, columns.class < "reconstruction".len());
    let sae_name = if row.rank == 0 { text::said(&of.sae, theme.charset) } else { String::new() };
    let name = format!("{} {:>2$}", text::fit(&sae_name, columns.sae, theme.charset), row.latent, columns.latent);
    let name_style = if cursor {
        theme.chosen(true)
    } else if own {
        theme.accent()
    } else {
        Style::new()
    };
    let [parent, child, near] = glyphs.kin;
    let kin = match row.kin {
        Kin::Own => " ",
        Kin::Parent => parent,
        Kin::Child => child,
        Kin::Near => near,
    };
    let class_style = if row.class == Some(Class::Novel) { theme.notice() } else { theme.quiet() };
    let value = if here > 0.0 { format::activation(here) } else { glyphs.dot.to_owned() };
    let times = if count > 0 { count.to_string() } else { String::new() };
    let more = match row.more {
        Some(0) => String::new(),
        Some(more) => format!("+{more} more  "),
        // Who is linked to this latent is still looked for.
        None if app.waits() => format!("{} ", glyphs.more),
        None => String::new(),
    };
    let mut spans = vec![
        Span::styled(if cursor { glyphs.chosen } else { " " }, theme.accent()),
        Span::styled(kin, theme.quiet()),
        Span::styled(name, name_style),
        Span::raw(format!(" {:>5} ", row.cosine.map_or_else(|| "this".to_owned(), cosine))),
        Span::styled(format!("{class:<0$} ", columns.class), class_style),
    ];
    if columns.runs {
        spans.push(Span::styled(format!("{value:>5} "), if here > 0.0 { theme.bar() } else { theme.quiet() }));
        spans.push(Span::styled(format!("{times:>3}  "), theme.quiet()));
    }
    spans.push(Span::styled(more, theme.notice()));
    spans.push(Span::raw(name_text(app, theme, &of, 4).unwrap_or_default()));
    Line::from(spans)
}

fn class_name(row: &LadderRow, short: bool) -> &'static str {
    match row.class {
        Some(Class::Novel) => "novel",
        Some(Class::Reconstruction) if short => "recon",
        Some(Class::Reconstruction) => "reconstruction",
        None => "",
    }
}

/// The pane.
pub(crate) struct CardPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Card);

impl Pane for CardPane {
    fn focus(&self) -> Focus {
        Focus::Card
    }

    fn name(&self) -> &'static str {
        "Card"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(
                    100,
                    Action::Up,
                    "ladder.previous",
                    &[key!(up), key!(k)],
                    HERE,
                    "",
                    "The narrower SAE's nearest latent",
                ),
                row(
                    110,
                    Action::Down,
                    "ladder.next",
                    &[key!(down), key!(j)],
                    HERE,
                    "ladder",
                    "The wider SAE's nearest latent",
                ),
                row(
                    610,
                    Action::Accept,
                    "card.jump",
                    &[key!(enter)],
                    HERE,
                    "jump there",
                    "Jump to the chosen latent of the ladder",
                ),
                row(880, Action::Close, "card.leave", &[key!(esc)], HERE, "back", "Back to the latents"),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "One latent: the tokens its decoder row promotes and suppresses (logit per unit of activation), where it fires,",
            "(in this prompt; in all that was run), the verdict against a narrower SAE, and its family: ↑ a parent, a latent",
            "of a narrower SAE with cosine ≥ θ; ↓ a child, a latent of a wider SAE whose nearest here is this one; ≈ the nearest",
            "there without being either. novel: no latent of the narrower SAE comes near it; recon: the narrower SAE has it in",
            "some form. here: how strongly that latent fires on the chosen token; in: on how many tokens of the prompt.",
        ]
    }

    fn enter(&self, app: &mut App) {
        select::enter_card(app);
    }

    fn act(&self, app: &mut App, action: Action, _: &mut Vec<Effect>) -> bool {
        let far = isize::try_from(app.ladder_rows().len()).unwrap_or(isize::MAX);
        match action {
            Action::Up | Action::Down => select::move_ladder(app, step_of(action)),
            Action::First | Action::PageUp => select::move_ladder(app, -far),
            Action::Last | Action::PageDown => select::move_ladder(app, far),
            Action::Accept => select::jump_ladder(app),
            Action::Close => app.look_at(Focus::Latents),
            _ => return false,
        }
        true
    }

    fn click(&self, app: &mut App, row: usize, _: &mut Vec<Effect>) {
        let same = app.focus == Focus::Card && app.ladder_row == row;
        app.look_at(Focus::Card);
        app.ladder_row = row;
        if same {
            select::jump_ladder(app);
        }
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        select::move_ladder(app, by);
        true
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_are_short() {
        assert_eq!([0.672, -0.0314, 1.0, 0.9999, -1.0].map(cosine), [".672", "-.031", "1.00", "1.00", "-1.00"]);
    }
}
