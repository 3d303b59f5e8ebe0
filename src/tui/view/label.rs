//! What is said of a latent in words, as a card shows it.
//! Not here: its short name in lists (`figures`).

use ratatui::text::{Line, Span};

use crate::analysis::{Label, LabelSource};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::Canvas;
use crate::tui::location::LatentRef;
use crate::tui::view::figures::{NAMES, label_source};

/// What is said of the latent, by whom, and how often it is right: the two labels that are shown first.
pub(crate) fn lines<'a>(app: &App, of: &LatentRef, width: usize, pen: &Canvas<'_>) -> Vec<Line<'a>> {
    let theme = pen.theme;
    let lines = |(at, label): (usize, &Label)| {
        let name = Span::styled(format!("{:<NAMES$}", if at == 0 { "label" } else { "" }), theme.quiet());
        let note = if label.note.is_empty() { String::new() } else { format!("; {}", label.note) };
        let held_out = label.scores.map_or_else(String::new, |scores| format!(" of {} held out", scores.held_out));
        let made = maker(label);
        let from = text::prose(&format!(" {}{made}{held_out}{note}", label_source(label)), theme.charset);
        let (said, room) = (text::prose(&label.text, theme.charset), width.saturating_sub(NAMES));
        // Who wrote words that are from elsewhere is never cut off for the sake of the words.
        let below = !made.is_empty() && text::width(&said) + text::width(&from) > room;
        let beside = text::truncate(if below { "" } else { &from }, room / 2, theme.charset);
        let said = text::truncate(&said, room - text::width(&beside), theme.charset);
        let from = text::truncate(from.trim_start(), room, theme.charset);
        let second = Line::from(Span::styled(format!("{:NAMES$}{from}", ""), theme.quiet()));
        let first = [name, Span::styled(said, theme.strong()), Span::styled(beside, theme.quiet())];
        [Line::from(Vec::from(first))].into_iter().chain(below.then_some(second))
    };
    app.labels.get(of).iter().take(2).enumerate().flat_map(lines).collect()
}

/// Who made a label that is from elsewhere, and how.
fn maker(label: &Label) -> String {
    match label.source {
        LabelSource::Neuronpedia | LabelSource::Llm => {
            let both = [&label.by, &label.kind].into_iter().filter(|said| !said.is_empty());
            both.flat_map(|said| [" ", said]).collect()
        }
        LabelSource::File | LabelSource::Rule => String::new(),
    }
}
