//! What stands where something is not there yet, or cannot be.
//! Not here: who waits.

use ratatui::layout::Rect;

use crate::report::Report;
use crate::session::LoadScope;
use crate::task::Progress;
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::format;
use crate::tui::theme::glyphs;
use crate::tui::view::figures::whole_share;
use crate::tui::view::trouble;

/// Why something that needs this much of the model is not there, and what to do; none where it is.
pub(crate) fn lacking(app: &App, needed: LoadScope) -> Option<&'static str> {
    let reach = app.opened.value()?.reach;
    (reach < needed).then_some(match reach {
        LoadScope::WeightsOnly => "Weights only: no prompt is run. M loads the model",
        LoadScope::Site | LoadScope::Whole => "No predictions: the model is run up to the site alone",
    })
}

/// What is pending, with a bar when it says how far it is.
pub(crate) fn pending(app: &App, progress: Option<&Progress>, what: &str, pen: &Canvas<'_>) -> String {
    let glyphs = pen.theme.glyphs();
    let spinner = glyphs.spinner[app.ticks as usize % 4];
    let Some(progress) = progress else { return format!("{spinner} {}", text::prose(what, pen.theme.charset)) };
    let share = whole_share(progress);
    let bar = share.map_or(String::new(), |share| {
        let bar = text::fit(&glyphs::bar(glyphs, share as f32, 10), 10, pen.theme.charset);
        format!(" {bar} {}", format::percent(share))
    });
    format!("{spinner} {}{bar}", text::prose(&progress.what, pen.theme.charset))
}

/// What stands in a pane that has nothing to show yet: why it failed, or what is awaited.
pub(crate) fn waiting(
    app: &App,
    failure: Option<&Report>,
    progress: Option<&Progress>,
    what: &str,
    area: Rect,
    pen: &mut Canvas<'_>,
) {
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    // What is asked for at all will come.
    let lacking = lacking(app, LoadScope::Site).filter(|_| !app.is_computing());
    match failure {
        Some(_) => {
            let lines = trouble::first_lines(failure, area, pen.theme.charset);
            trouble::draw_lines(&lines, area, pen);
        }
        None if lacking.is_some() => pen.wrapped(area, lacking.unwrap_or_default()),
        // What is quick never flickers.
        None if app.waits() => {
            let said = pending(app, progress, what, pen);
            pen.text(area, 0, &said, pen.theme.notice());
        }
        None => {}
    }
}
