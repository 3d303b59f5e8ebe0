//! Whether the suite is wired as its SAEs need it: a few words for the status line, and all of it over the panes.
//! Not here: measuring, and how a checkup is said (`analysis::doctor::render`).

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::doctor::Verdict;
use crate::analysis::doctor::render::{self, Tone};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::view::figures::progress_text;
use crate::tui::view::frame::{centred, framed, scrolled};
use crate::tui::view::trouble;

/// Columns that the whole takes at most.
const WIDTH: u16 = 92;

/// What the status line says: in full, and in two words where there is no room for more.
pub(crate) struct Said {
    pub full: String,
    pub short: &'static str,
    pub bad: bool,
}

/// What the status line says of the chosen SAE; nothing before it was measured.
pub(crate) fn said(app: &App) -> Option<Said> {
    let checkup = &app.checkup.value()?.checkup;
    let sae = checkup.of_sae(&app.sae()?.id)?;
    let off = checkup.saes.iter().filter(|sae| sae.verdict == Verdict::Off).count();
    let full = match sae.verdict {
        Verdict::Fine if off > 0 => {
            format!("wiring fine here, off at {off} of {} SAEs; W shows why", checkup.saes.len())
        }
        Verdict::Fine => format!("wiring fine: {}", render::figures(sae)),
        Verdict::Plausible => format!("wiring plausible: {}", render::figures(sae)),
        Verdict::Off => format!("wiring off: {}; W shows why", render::figures(sae)),
    };
    let short = match sae.verdict {
        Verdict::Fine if off > 0 => "wiring off elsewhere",
        Verdict::Fine => "wiring fine",
        Verdict::Plausible => "wiring plausible",
        Verdict::Off => "wiring off",
    };
    Some(Said { full, short, bad: off > 0 })
}

/// All that was found out, scrolled.
pub(crate) fn draw(app: &App, top: usize, screen: Rect, pen: &mut Canvas<'_>) {
    let width = WIDTH.min(screen.width.saturating_sub(4));
    let lines = lines(app, usize::from(width).saturating_sub(4), pen);
    let height = (lines.len() as u16 + 2).min(screen.height.saturating_sub(2));
    let inner = framed(centred(screen, width, height), "Wiring", pen);
    scrolled(&lines, top, inner, pen);
}

/// What was measured, and what is worth saying of the suite and of the prompt that was run.
fn lines(app: &App, width: usize, pen: &Canvas<'_>) -> Vec<Line<'static>> {
    let mut lines = measured(app, width, pen);
    let suite = app.opened.value().map_or(&[][..], |opened| &opened.notes);
    let run = app.run.value().map_or(&[][..], |run| &run.notes);
    for note in suite.iter().chain(run.iter().filter(|note| !suite.contains(note))) {
        let wrapped = text::wrap(&text::prose(note, pen.theme.charset), width);
        lines.extend(wrapped.into_iter().map(|line| Line::from(Span::styled(line, pen.theme.quiet()))));
    }
    lines
}

fn measured(app: &App, width: usize, pen: &Canvas<'_>) -> Vec<Line<'static>> {
    let theme = pen.theme;
    let styled = |text: String, style: Style| Line::from(Span::styled(text, style));
    if let Some(checked) = app.checkup.value() {
        let tone = |tone: Tone| match tone {
            Tone::Head => theme.strong(),
            Tone::Plain => Style::new(),
            Tone::Quiet => theme.quiet(),
            Tone::Good => theme.good(),
            Tone::Bad => theme.bad(),
        };
        let render = render::lines(&checked.checkup, width, theme.charset);
        return render.into_iter().map(|(how, line)| styled(line, tone(how))).collect();
    }
    if let Some(report) = app.checkup.last_failure() {
        let lines = trouble::lines(report, width, theme.charset);
        let owned = |line| {
            let (text, style) = trouble::styled(line, pen);
            styled(text.to_owned(), style)
        };
        return lines.iter().map(owned).collect();
    }
    let so_far = app.checkup.progressed().map(|progress| format!(": {}", progress_text(progress)));
    let waits = match so_far {
        Some(so_far) if app.checkup.is_pending() => format!("being measured{so_far}"),
        _ if app.checkup.is_pending() => "being measured".to_owned(),
        _ => "not measured: it is when a prompt has been run; r asks again".to_owned(),
    };
    vec![styled(waits, theme.notice())]
}
