//! The index of a corpus in the card's place: what was read, how fast, where it is kept, and what to do about it.
//! Not here: what it says of a latent.

use crokey::key;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::analysis::IndexView;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{Canvas, Title};
use crate::tui::format;
use crate::tui::keys::{Action, Binding, KeyContexts, row};
use crate::tui::location::Focus;
use crate::tui::msg::Effect;
use crate::tui::pane::Pane;
use crate::tui::question::{Question, Wait, question};
use crate::tui::update::select;
use crate::tui::view::trouble;

/// Cells of the names in front of the lines.
const NAMES: usize = 11;
/// What its own keys do.
const READ: &str = "read";

fn draw(app: &App, area: Rect, pen: &mut Canvas<'_>) {
    pen.hit_pane(area, Focus::Index);
    let theme = pen.theme;
    let title = Title { name: "I Index", about: Vec::new(), right: state(app).to_owned() };
    let inner = pen.pane(area, &title, app.focus == Focus::Index);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    let failure = trouble::first_lines(app.index.asked.failure(), inner, theme.charset);
    let inner = trouble::draw_lines(&failure, inner, pen);
    let Some(view) = app.index.view() else {
        if failure.is_empty() {
            pen.text(inner, 0, "looking for an index of this suite", theme.quiet());
        }
        return;
    };
    let lines = lines(app, view, usize::from(inner.width), pen);
    for (row, line) in lines.iter().enumerate() {
        pen.line(inner, row as u16, line);
    }
}

/// What is going on, in one word or two.
fn state(app: &App) -> &'static str {
    match (app.index.view(), app.index.wanted) {
        (_, Some(_)) if app.index.asked.is_pending() => "reading",
        (_, Some(_)) => "waits",
        (Some(view), None) if view.tokens == 0 => "empty",
        (Some(view), None) if view.complete => "complete",
        (Some(_), None) => "in part",
        (None, None) => "",
    }
}

fn lines<'a>(app: &App, view: &IndexView, width: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let theme = pen.theme;
    let fact = |name: &str, said: String| {
        let said = text::truncate(&said, width.saturating_sub(NAMES), theme.charset);
        Line::from(vec![Span::styled(format!("{name:<NAMES$}"), theme.quiet()), Span::raw(said)])
    };
    let so_far = app.index.so_far.as_ref().filter(|_| app.index.wanted.is_some());
    let tokens = so_far.map_or(view.tokens, |so_far| so_far.done);
    let mut lines = vec![fact("tokens", tokens_words(view, tokens))];
    let figure = |name: &str| so_far?.figures.iter().find(|(of, _)| of == name).map(|(_, value)| *value);
    if let Some(speed) = figure("tokens/s") {
        let left = figure("seconds left").map_or_else(String::new, |left| {
            format!(", {} left", format::clock(std::time::Duration::from_secs_f64(left.clamp(0.0, 1e9))))
        });
        lines.push(fact("speed", format!("{} tokens/s{left}", format::count(speed as u64))));
    }
    for name in &view.texts {
        lines.push(fact("text", text::prose(name, theme.charset)));
    }
    if let Some(folder) = &view.index {
        lines.push(fact("folder", text::prose(&folder.display().to_string(), theme.charset)));
    }
    if !view.saes.is_empty() {
        let head = format!("{:<NAMES$}{:>9}{:>9}{:>8}{:>8}", "SAE", "latents", "silent", "dense", "L0");
        lines.push(Line::default());
        lines.push(Line::from(Span::styled(text::truncate(&head, width, theme.charset), theme.quiet())));
    }
    for sae in &view.saes {
        let (latents, silent) = (format::count(sae.width as u64), format::count(sae.silent as u64));
        let id = text::fit(&text::prose(&sae.id, theme.charset), NAMES, theme.charset);
        let said = format!("{id}{latents:>9}{silent:>9}{:>8}{:>8.1}", sae.dense, sae.l0);
        lines.push(Line::from(text::truncate(&said, width, theme.charset)));
    }
    lines.push(Line::default());
    lines.push(Line::from(Span::styled(text::truncate(advice(app, view), width, theme.charset), theme.quiet())));
    lines
}

fn tokens_words(view: &IndexView, tokens: u64) -> String {
    let count = format::count(tokens);
    if view.documents == 0 {
        return count;
    }
    let (documents, windows) = (format::count(view.documents), format::count(view.windows));
    format!("{count} in {documents} documents, {windows} windows of up to {}", view.context)
}

fn advice(app: &App, view: &IndexView) -> &'static str {
    match app.index.wanted {
        Some(_) => "Enter stops; it gives way to everything else",
        None if app.weights_only() => "the model is not open, so no text can be read",
        None if view.tokens > 0 && view.complete => {
            "all of the text is read; `saescope index build --text` reads another"
        }
        None => "Enter reads the text to its end",
    }
}

/// The pane.
pub(crate) struct IndexPane;

const HERE: KeyContexts = KeyContexts::pane(Focus::Index);

impl Pane for IndexPane {
    fn focus(&self) -> Focus {
        Focus::Index
    }

    fn name(&self) -> &'static str {
        "Index"
    }

    fn keys(&self) -> &'static [Binding] {
        const {
            &[
                row(
                    657,
                    Action::Focus(Focus::Index),
                    "pane.index",
                    &[key!(shift - i)],
                    KeyContexts::EXPLORE,
                    "",
                    "Go to the index: what was read, and how often latents fire",
                ),
                row(
                    142,
                    Action::Own(READ),
                    "index.read",
                    &[key!(enter), key!(space)],
                    HERE,
                    "read, stop",
                    "Read the text to its end, or stop",
                ),
                row(
                    667,
                    Action::Close,
                    "index.leave",
                    &[key!(esc)],
                    HERE,
                    "back",
                    "Put the card back and go where you came from",
                ),
            ]
        }
    }

    fn help(&self) -> &'static [&'static str] {
        &[
            "A text is read once through the model, and for each latent is kept how often it fires, how strongly, on which",
            "tokens, and where most strongly. A suite without an index is read for a minute in the background, which gives way",
            "to everything else. silent: never fires. dense: fires on more than a tenth of the tokens. L0: latents a token.",
        ]
    }

    fn enter(&self, app: &mut App) {
        select::enter_beside(app, Focus::Index);
    }

    fn act(&self, app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
        match action {
            Action::Own(READ) if app.index.wanted.is_some() => {
                app.index.stop(effects);
                app.say("what was read is kept; Enter reads on");
            }
            Action::Own(READ) if app.weights_only() => app.say("the model is not open: no text can be read"),
            Action::Own(READ) => app.index.read_on(),
            Action::Close => select::leave_beside(app),
            _ => return false,
        }
        true
    }

    fn questions(&self) -> &'static [Question] {
        const {
            &[question!(index.asked)
                .wait(Wait::Unseen)
                .ended("the index is read no further; Enter in its pane (I) reads on")
                .then(|app, turn, _| app.index.turned(turn))]
        }
    }

    fn ask(&self, app: &mut App, effects: &mut Vec<Effect>) {
        app.ask_for_index(effects);
    }

    fn command(&self, app: &App) -> Option<String> {
        let folder = app.index.view()?.index.as_ref()?;
        Some(format!("--index '{}'", folder.display().to_string().replace('\'', r"'\''")))
    }

    fn draw(&self, app: &App, area: Rect, pen: &mut Canvas<'_>) {
        draw(app, area, pen);
    }
}
