//! What the model would say at every block of the chosen token, and what the chosen latent promotes, by the logit lens and by
//! a Jacobian lens where one is here; in the card's place. Not here: reading it.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::lens::JacobianView;
use crate::analysis::{LensView, NextToken, TokenValue};
use crate::session::{LensOffer, LensOfferQuery};
use crate::text;
use crate::tui::app::App;
use crate::tui::ask::Turn;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::keys::{Action, Binding, KeyContext, KeyContexts, row};
use crate::tui::location::{Focus, Notice};
use crate::tui::msg::Effect;
use crate::tui::overlay::{Confirmation, Overlay, Question as Confirm};
use crate::tui::pane::{Pane, leap_of, step_of};
use crate::tui::question::{Question, Wait, question};
use crate::tui::update::select;
use crate::tui::view::figures::contribution;
use crate::tui::view::trouble;
use crokey::key;

/// Cells of a token, and of a token with its probability.
const TOKEN: usize = 11;
const CELL: usize = TOKEN + 6;
/// Rows of what the latent promotes, with its head.
const LATENT: u16 = 5;

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Lens);
    let theme = pen.theme;
    let inner = pen.pane(area, &title(app, pen), app.focus == Focus::Lens);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let asks = [app.lens.token.failure(), app.lens.latent.failure(), app.lens.offer.failure(), app.lens.pull.failure()];
    let failure = asks.into_iter().flatten().next();
    let failure = trouble::first_lines(failure, inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let Some((view, current)) = app.token_lens() else {
        if failure.is_empty() {
            let said = if app.run.value().is_none() { "the prompt has not been run" } else { "reading every block" };
            pen.text(inner, 0, said, theme.quiet());
        }
        return;
    };
    let below = if inner.height > LATENT + 6 { LATENT } else { 0 };
    let table = Rect { height: inner.height - below, ..inner };
    let across = (usize::from(inner.width).saturating_sub(4) / CELL).max(1);
    let lines = lines(view, across, pen);
    let room = usize::from(table.height).saturating_sub(1);
    pen.hits.note_rows(Focus::Lens, room);
    let jacobian = match &view.jacobian {
        Some(JacobianView { prompts: Some(prompts), .. }) => format!("J: Jacobian lens of {prompts} prompts"),
        Some(_) => "J: Jacobian lens".to_owned(),
        None => "+ looks for a Jacobian lens".to_owned(),
    };
    let head = format!("block: logit lens; {jacobian}");
    pen.text(table, 0, &text::truncate(&head, usize::from(table.width), theme.charset), theme.quiet());
    // The last block is what the model says: it is on screen until the person goes up.
    let top = lines.len().saturating_sub(room).saturating_sub(app.lens.top);
    for (row, line) in lines.iter().skip(top).take(room).enumerate() {
        pen.line(table, row as u16 + 1, line);
    }
    draw_latent(app, Rect { y: table.bottom(), height: below, ..inner }, pen);
    if !current && app.waits() {
        pen.tint(inner, theme.stale());
    }
}

fn lines<'a>(view: &LensView, across: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for layer in &view.layers {
        lines.push(block_line(&layer.layer.to_string(), &layer.next, across, pen));
        lines.extend(layer.jacobian.as_ref().map(|next| block_line("J", next, across, pen)));
    }
    lines
}

fn block_line<'a>(name: &str, next: &[NextToken], across: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let mut line = vec![Span::styled(format!("{name:>3} "), theme.quiet())];
    for (at, next) in next.iter().take(across).enumerate() {
        let probability = f64::from(next.logprob).exp();
        let shown = text::fit(&text::token(&next.text, theme.charset), TOKEN, theme.charset);
        let style = if at == 0 { theme.heat(probability as f32) } else { Style::new() };
        line.push(Span::styled(shown, style));
        line.push(Span::styled(format!("{:>5} ", format::percent(probability)), theme.quiet()));
    }
    Line::from(line)
}

/// What the chosen latent promotes, by either lens.
fn draw_latent(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    let theme = pen.theme;
    let Some(chosen) = app.chosen().filter(|_| area.height > 0) else { return };
    let head = format!("latent {} promotes, by the logit lens", chosen.latent);
    pen.text(area, 0, &head, theme.strong());
    let Some(view) = app.latent_lens() else { return };
    let width = usize::from(area.width);
    pen.line(area, 1, &value_line("", &view.logit, width, pen));
    let Some(jacobian) = &view.jacobian else {
        for (row, note) in view.notes.iter().take(2).enumerate() {
            let said = text::truncate(&text::prose(note, theme.charset), width, theme.charset);
            pen.text(area, row as u16 + 2, &said, theme.quiet());
        }
        return;
    };
    let on = jacobian.prompts.map_or_else(String::new, |prompts| format!(" of {prompts} prompts"));
    let block = jacobian.layer.map_or_else(String::new, |block| format!(", block {block}"));
    pen.text(area, 2, &format!("disposes to say, by the Jacobian lens{on}{block}"), theme.strong());
    pen.line(area, 3, &value_line("", &jacobian.tokens, width, pen));
}

fn value_line<'a>(name: &str, values: &[TokenValue], width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let theme = pen.theme;
    let (mut line, mut used) = (vec![Span::raw(format!("{name} "))], 1);
    for value in values {
        let shown = text::truncate(&text::token(&value.text, theme.charset), TOKEN, theme.charset);
        let number = format!(" {}  ", contribution(value.value));
        used += text::width(&shown) + text::width(&number);
        if used > width {
            break;
        }
        line.push(Span::styled(shown, theme.promoted()));
        line.push(Span::styled(number, theme.quiet()));
    }
    Line::from(line)
}

fn title<'a>(app: &App, pen: &Canvas<'_>) -> Title<'a> {
    let theme = pen.theme;
    let mut title = Title { name: "J Lenses", ..Title::default() };
    if let Some(token) = app.tokens().get(app.token) {
        title.about.push(Span::raw("at "));
        let shown = text::truncate(&text::token(&token.text, theme.charset), 16, theme.charset);
        title.about.push(Span::styled(shown, theme.strong()));
    }
    let more = theme.glyphs().more;
    if app.lens.pull.is_pending() {
        let progress = app.lens.pull.progressed();
        let bytes = progress.map_or(0, |progress| progress.whole.map_or(progress.done, |whole| whole.done));
        title.right = format!("downloading {}{more}", format::bytes(bytes));
    } else if app.lens.offer.is_pending() {
        title.right = format!("asking the hub {more}");
    } else if app.lens.token.is_pending() && app.waits() {
        title.right = format!("reading {more}");
    }
    title
}

fn enter(app: &mut App) {
    if !app.can_measure_effects() {
        app.say("what every block says needs the whole model: M loads it");
        return;
    }
    app.lens.top = 0;
    select::enter_beside(app, Focus::Lens);
}

fn scroll(app: &mut App, by: isize) {
    let lines = app
        .token_lens()
        .map_or(0, |(view, _)| view.layers.len() + view.layers.iter().filter(|layer| layer.jacobian.is_some()).count());
    let most = lines.saturating_sub(app.hits.rows(Focus::Lens));
    app.lens.top = app.lens.top.min(most).saturating_add_signed(by.saturating_neg()).min(most);
}

/// Asks whether a Jacobian lens is published.
fn look(app: &mut App, effects: &mut Vec<Effect>) {
    if app.lens.pull.is_pending() || app.lens.offer.is_pending() {
        app.say("it is under way; ^C cancels it");
    } else {
        effects.push(app.lens.offer.ask(LensOfferQuery, (), &mut app.tickets));
    }
}

/// A lens that is published is offered with its size.
fn offered(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    let Some(offer) = app.lens.offer.value().filter(|_| turn == Turn::Answered).map(|offer| LensOffer::clone(offer))
    else {
        return;
    };
    let on = offer.prompts.map_or_else(String::new, |prompts| format!(", fitted on {prompts} prompts"));
    let ask = format!("Download {} for a Jacobian lens of this model{on}?", format::bytes(offer.bytes));
    let mut know = vec![format!("{} in neuronpedia/jacobian-lens", text::prose(&offer.file, app.charset))];
    let here = app.token_lens().and_then(|(view, _)| view.jacobian.as_ref());
    know.extend(here.map(|lens| format!("{} is here already", text::prose(&lens.source, app.charset))));
    app.overlay.push(Overlay::Confirm(Confirm { what: Confirmation::PullLens(offer), ask, know }));
}

/// What was downloaded is read at once.
fn pulled(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    match turn {
        Turn::Answered => {
            app.lens.token.forget();
            app.lens.latent.forget();
            app.say("the Jacobian lens is downloaded");
        }
        Turn::Failed => {
            let failed = app.lens.pull.failure().map(|report| format!("{}; ! shows all", report.what));
            app.notice = failed.map(|text| Notice { text, bad: true });
        }
        _ => {}
    }
}

/// The pane.
pub(crate) struct LensPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Lens);
/// Where a token and its latents are looked at.
const AROUND: KeyContexts = KeyContexts::of(&[
    KeyContext::Pane(Focus::Tokens),
    KeyContext::Pane(Focus::Latents),
    KeyContext::Pane(Focus::Card),
]);

impl Pane for LensPane {
    fn focus(&self) -> Focus {
        Focus::Lens
    }

    fn name(&self) -> &'static str {
        "Lenses"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(157, Action::Up, "lens.up", &[key!(up), key!(k)], HERE, "", "Blocks further in front"),
                row(158, Action::Down, "lens.down", &[key!(down), key!(j)], HERE, "", "Blocks further behind"),
                row(
                    701,
                    Action::Focus(Focus::Lens),
                    "pane.lens",
                    &[key!(shift - j)],
                    AROUND,
                    "",
                    "What every block would say next, and the latent promotes",
                ),
                row(
                    703,
                    Action::Own("look"),
                    "lens.pull",
                    &[key!('+'), key!('=')],
                    HERE,
                    "Jacobian lens",
                    "Look for a published Jacobian lens; asks before it downloads",
                ),
                row(
                    702,
                    Action::Close,
                    "lens.leave",
                    &[key!(esc), key!(shift - j)],
                    HERE,
                    "back",
                    "Put the card back and go where you came from",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "What leaves every block at the chosen token, read through the final norm and the unembedding (logit lens): what the",
            "model would say if it ended there; the last block is what it says. J: read through the Jacobian lens J·h, what it",
            "disposes the model to say. Below the chosen latent's decoder row, by either. + looks for a published lens and",
            "downloads it if you wish; `saescope lens fit` fits one.",
        ]
    }

    fn is_there(&self, app: &App) -> bool {
        app.can_measure_effects()
    }

    fn enter(&self, app: &mut App) {
        enter(app);
    }

    fn act(&self, app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
        match action {
            Action::Own("look") => look(app, effects),
            Action::Up | Action::Down => scroll(app, step_of(action)),
            Action::First | Action::Last | Action::PageUp | Action::PageDown => {
                scroll(app, leap_of(action, app.hits.rows(Focus::Lens)));
            }
            Action::Close => select::leave_beside(app),
            _ => return false,
        }
        true
    }

    fn wheel(&self, app: &mut App, _: Option<usize>, by: isize) -> bool {
        scroll(app, by);
        true
    }

    fn questions(&self) -> &'static [Question] {
        const {
            &[
                question!(lens.token),
                question!(lens.latent),
                question!(lens.offer).then(offered).ended("the hub is not asked any more"),
                question!(lens.pull).wait(Wait::Long).ended("the download is stopped; + goes on").then(pulled),
            ]
        }
    }

    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        if !app.shows_lens() || !app.has_run() || !app.can_measure_effects() {
            return;
        }
        if let Some((query, run)) = app.lens_key() {
            effects.extend(app.lens.token.want(query, run, &mut app.tickets));
        }
        if let Some(query) = app.latent_lens_key() {
            effects.extend(app.lens.latent.want(query, (), &mut app.tickets));
        }
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
