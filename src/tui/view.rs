//! Draws the state: cells out, and where things are on them.
//! Not here: changing anything.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::session::Reach;
use crate::text;
use crate::tui::app::{App, Focus, Page};
use crate::tui::hits::{Hits, Target};
use crate::tui::over::Over;
use crate::tui::theme::Theme;

mod areas;
mod card;
mod flow;
mod footer;
mod header;
mod help;
mod ladder;
mod latents;
mod lists;
mod meta;
mod next;
mod origins;
mod popup;
mod prompt;
mod status;
mod stitch;
mod suites;
mod tokens;
mod trouble;
mod wiring;

use areas::Areas;

/// The smallest screen on which everything is usable.
pub const LEAST: (u16, u16) = (60, 15);

/// Draws one frame.
pub fn view(app: &App, theme: &Theme, frame: &mut Frame<'_>) -> Hits {
    let area = frame.area();
    let mut hits = Hits::default();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(area, frame.buffer_mut());
        return hits;
    }
    let mut pen = Pen { buf: frame.buffer_mut(), theme: *theme, hits: &mut hits };
    let areas = Areas::of(area, app.page);
    header::draw(app, areas.header, &mut pen);
    prompt::draw(app, areas.prompt, &mut pen);
    tokens::draw(app, areas.tokens, &mut pen);
    match app.page {
        Page::Explore => explore(app, &areas, &mut pen),
        Page::Stitch => stitch::draw(app, areas.main, &mut pen),
        Page::Meta => meta::draw(app, areas.main, &mut pen),
    }
    status::draw(app, areas.status, &mut pen);
    footer::draw(app, areas.footer, &mut pen);
    for over in &app.over {
        // A caret below what lies over it is none.
        pen.hits.caret = pen.hits.caret.filter(|_| matches!(over, Over::Filter(_)));
        popup::draw(app, over, area, &mut pen);
    }
    if let Some(caret) = hits.caret {
        frame.set_cursor_position(caret);
    }
    hits
}

fn explore(app: &App, areas: &Areas, pen: &mut Pen<'_>) {
    latents::draw(app, areas.latents, pen);
    if app.origins.shown {
        origins::draw(app, areas.card, pen);
    } else {
        card::draw(app, areas.card, pen);
    }
    next::draw(app, areas.next, pen);
    if let Some(area) = areas.ladder {
        ladder::draw(app, area, pen);
    }
    stitch::beside(app, areas.verdict, areas.group, pen);
    for area in areas.columns.into_iter().flatten() {
        pen.column(area);
    }
}

fn too_small(area: Rect, buf: &mut Buffer) {
    let lines =
        ["terminal too small".to_owned(), format!("have {}x{}, need {}x{}", area.width, area.height, LEAST.0, LEAST.1)];
    let top = area.height.saturating_sub(2) / 2;
    for (i, line) in lines.iter().enumerate() {
        let y = top + i as u16;
        if y < area.height {
            let x = area.width.saturating_sub(line.len() as u16) / 2;
            buf.set_stringn(area.x + x, area.y + y, line, usize::from(area.width), Style::new());
        }
    }
}

/// What a pane draws with.
pub(crate) struct Pen<'a> {
    /// The cells.
    pub buf: &'a mut Buffer,
    /// The styles.
    pub theme: Theme,
    /// Where things are.
    pub hits: &'a mut Hits,
}

/// Why something that needs this much of the model is not there, and what to do; none where it is.
fn lacking(app: &App, needed: Reach) -> Option<&'static str> {
    let reach = app.opened.value()?.reach;
    (reach < needed).then_some(match reach {
        Reach::WeightsOnly => "Weights only: no prompt is run. M loads the model",
        Reach::Site | Reach::Whole => "No predictions: the model is run up to the site alone",
    })
}

impl Pen<'_> {
    /// Writes a line of spans at a row of an area; what does not fit is cut.
    pub fn line(&mut self, area: Rect, row: u16, line: &Line<'_>) {
        if row < area.height {
            self.buf.set_line(area.x, area.y + row, line, area.width);
        }
    }

    /// Writes text at a row of an area.
    pub fn text(&mut self, area: Rect, row: u16, content: &str, style: Style) {
        if row < area.height {
            self.buf.set_stringn(area.x, area.y + row, content, usize::from(area.width), style);
        }
    }

    /// Writes a sentence about the program itself, in as many lines as there are.
    pub fn wrapped(&mut self, area: Rect, said: &str) {
        let said = help::plain(said, self.theme.charset == text::Charset::Ascii);
        for (row, line) in text::wrap(&said, usize::from(area.width)).iter().take(usize::from(area.height)).enumerate()
        {
            self.text(area, row as u16, line, self.theme.notice());
        }
    }

    /// The line over a pane with its title, and text at its right end; gives what is left below.
    pub fn pane(&mut self, area: Rect, title: &Title<'_>, focused: bool) -> Rect {
        let glyphs = self.theme.glyphs();
        let rule = glyphs.rule[usize::from(focused)];
        let style = self.theme.rule(focused);
        let across = rule.repeat(usize::from(area.width));
        self.buf.set_stringn(area.x, area.y, &across, usize::from(area.width), style);
        let charset = self.theme.charset;
        let room = usize::from(area.width).saturating_sub(2);
        let right = text::truncate(&title.right, room / 2, charset);
        let right_cells = if right.is_empty() { 0 } else { text::width(&right) + 3 };
        let mut spans =
            vec![Span::styled(rule, style), Span::styled(format!(" {} ", title.name), self.theme.title(focused))];
        let used: usize = 3 + text::width(title.name);
        let about_room = room.saturating_sub(used + right_cells);
        if !title.about.is_empty() && about_room > 4 {
            let about: String = title.about.iter().map(|s| s.content.as_ref()).collect();
            if text::width(&about) < about_room {
                spans.push(Span::raw(" "));
                // The rule's own style must not shine through.
                spans
                    .extend(title.about.iter().map(|s| Span::styled(s.content.clone(), Style::reset().patch(s.style))));
                spans.push(Span::raw(" "));
            } else {
                spans.push(Span::styled(
                    format!(" {} ", text::truncate(&about, about_room - 2, charset)),
                    Style::reset(),
                ));
            }
        }
        self.line(area, 0, &Line::from(spans));
        if right_cells > 0 {
            let x = area.right().saturating_sub(right_cells as u16);
            self.buf.set_stringn(
                x,
                area.y,
                format!(" {right} "),
                right_cells - 1,
                Style::reset().patch(self.theme.quiet()),
            );
        }
        Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
    }

    /// The line between two columns.
    pub fn column(&mut self, area: Rect) {
        let glyph = self.theme.glyphs().column;
        for row in 0..area.height {
            self.text(area, row, glyph, self.theme.quiet());
        }
    }

    /// Patches the style of an area.
    pub fn tint(&mut self, area: Rect, style: Style) {
        self.buf.set_style(area, style);
    }

    /// Notes a pane as something to click.
    pub fn hit_pane(&mut self, area: Rect, focus: Focus) {
        self.hits.add(area, Target::Pane(focus));
    }
}

/// What stands in the line over a pane.
#[derive(Default)]
pub(crate) struct Title<'a> {
    /// The pane's name.
    pub name: &'a str,
    /// What it is about now.
    pub about: Vec<Span<'a>>,
    /// At the right end.
    pub right: String,
}

/// The tokens that name a latent, for one line; one that fires on more than half of all tokens is called dense first.
pub(crate) fn label_text(app: &App, theme: Theme, of: &crate::tui::app::LatentRef, most: usize) -> Option<String> {
    let tokens = app.labels.get(of)?;
    // Only a decoder row of zeros promotes nothing at all.
    if tokens.is_empty() {
        return Some("(zero)".to_owned());
    }
    let shown: Vec<String> = tokens.iter().take(most).map(|t| text::token(&t.text, theme.charset)).collect();
    let dense = if app.labels.is_dense(of) { "(dense) " } else { "" };
    Some(format!("{dense}{}", shown.join(" ")))
}
