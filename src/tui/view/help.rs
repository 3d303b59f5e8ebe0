//! The lines of the help page: the keys of a place from the key table, and how to read the screen.
//! Not here: the frame around them (`popup`).

use ratatui::text::{Line, Span};

use crate::text::Charset;
use crate::tui::canvas::plain;
use crate::tui::keymap;
use crate::tui::keys::{Binding, KeyContext, KeyContexts, key_name};
use crate::tui::panes;
use crate::tui::theme::Theme;

/// How to read the screen, for each place.
fn about(place: KeyContext) -> &'static [&'static str] {
    match place {
        KeyContext::Pane(focus) => panes::of(focus).help(),
        KeyContext::Pick => &["A number finds that meta-latent; text finds those that promote the token."],
        KeyContext::Label => {
            &["What the latent stands for, in your words; behind a bar | a note. An empty text takes it away."]
        }
        KeyContext::Named => &["Words or tokens, with commas between; each is taken as what comes next."],
        KeyContext::Filter => &["The queue shows the latents that promote this token, or the latent of this number."],
        KeyContext::Path => &["A path; ~ is your home directory."],
        KeyContext::Search => &["A number finds that latent; text finds the latents that promote the token most."],
        KeyContext::Palette => &["A few letters of what you want are enough."],
        KeyContext::Suites => &[
            "A suite is a model, a site and its SAEs. What is on this machine opens at once; the rest is asked about first.",
            "Weights only needs no model: neighbours, classes, meta-SAEs and promoted tokens, and no prompt.",
        ],
        KeyContext::Confirm | KeyContext::Reading => &[],
    }
}

/// Words that the screen uses.
const WORDS: &[(&str, &str)] = &[
    ("latent", "one unit of an SAE: an encoder direction, a bias, a decoder direction"),
    ("ladder", "the SAEs of one suite and site, from narrow to wide"),
    ("L0", "how many latents fire on a token, on average"),
    ("expl.var, EV", "explained variance: 1 is a perfect reconstruction, 0 no better than the mean"),
    ("MSE", "mean squared error of the reconstruction, per dimension"),
    ("novel", "no latent of the narrower SAE has a cosine of θ or more with it"),
    ("recon", "reconstruction: some latent of the narrower SAE does"),
    ("c*", "Σ a·(r·d) / Σ a²·|d|²: above ½ when putting the latent in lowers the error"),
    ("meta-latent", "a latent of a meta-SAE: a direction that several latents have in common"),
    ("next token", "what the model itself expects after the chosen token"),
];

/// The lines of the help for a place.
pub(crate) fn lines(place: KeyContext, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let ascii = theme.charset == Charset::Ascii;
    let mut out: Vec<Line<'static>> = Vec::new();
    let said = about(place).join(" ");
    if !said.is_empty() {
        out.extend(crate::text::wrap(&plain(&said, ascii), width).into_iter().map(Line::from));
        out.push(Line::default());
    }
    let own = |places: KeyContexts| KeyContext::all().filter(|p| places.has(*p)).count() < 3;
    section(&mut out, place.name(), keymap::rows(place).filter(|r| own(r.places)), ascii, theme);
    section(&mut out, "Also", keymap::rows(place).filter(|r| !own(r.places)), ascii, theme);
    out.push(Line::from(Span::styled("Words", theme.strong())));
    for (word, meaning) in WORDS {
        out.push(Line::from(vec![
            Span::styled(format!("  {word:<18} "), theme.key()),
            Span::raw(plain(meaning, ascii)),
        ]));
    }
    out
}

fn section(
    out: &mut Vec<Line<'static>>,
    name: &'static str,
    rows: impl Iterator<Item = &'static Binding>,
    ascii: bool,
    theme: Theme,
) {
    let rows: Vec<_> = rows.filter(|r| !r.keys.is_empty()).collect();
    if rows.is_empty() {
        return;
    }
    out.push(Line::from(Span::styled(name, theme.strong())));
    for row in rows {
        let names: Vec<String> = row.keys.iter().map(|k| key_name(*k, ascii)).collect();
        out.push(Line::from(vec![
            Span::styled(format!("  {} ", crate::text::fit(&names.join(" "), 18, theme.charset)), theme.key()),
            Span::raw(plain(row.about, ascii)),
        ]));
    }
    out.push(Line::default());
}
