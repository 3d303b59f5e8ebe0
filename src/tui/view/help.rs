//! The lines of the help page: the keys of a place from the key table, and how to read the screen.
//! Not here: the frame around them (`popup`).

use ratatui::text::{Line, Span};

use crate::text::Charset;
use crate::tui::keys::{self, Place, Places, key_name};
use crate::tui::theme::Theme;

/// How to read the screen, for each pane.
fn about(place: Place) -> &'static [&'static str] {
    match place {
        Place::Prompt => {
            &["What you type runs through the model at once; the latents follow the token under the caret."]
        }
        Place::Tokens => &[
            "The tokens the model sees: · is a space, ⏎ a newline, ⟨e2 96⟩ bytes that are no whole character.",
            "The heat and the bars show how strongly one latent fires on each token: the strongest of the chosen token,",
            "or the one you hold. Pinned latents have bars of their own below.",
        ],
        Place::Latents => &[
            "The latents of the chosen SAE that fire on the chosen token, strongest first: index, bar, activation,",
            "and the tokens its direction promotes, which is the best short name it has. On a wide screen the small bars",
            "show on which tokens around the chosen one it fires; the chosen one is underlined.",
        ],
        Place::Card => &[
            "One latent: the tokens its decoder row promotes and suppresses (logit per unit of activation), where it fires,",
            "(in this prompt; in all that was run), and its nearest latent by cosine in every other SAE. novel: no latent of the narrower SAE comes near it;",
            "reconstr.: the narrower SAE has it in some form. here: how strongly that latent fires on the chosen token.",
        ],
        Place::Search => &["A number finds that latent; text finds the latents that promote the token most."],
        Place::Palette => &["A few letters of what you want are enough."],
        Place::Suites => &[
            "A suite is a model, a site and its SAEs. What is on this machine opens at once; the rest is asked about first.",
        ],
        Place::Confirm | Place::Reading => &[],
    }
}

/// Words that the screen uses.
const WORDS: &[(&str, &str)] = &[
    ("latent", "one unit of an SAE: an encoder direction, a bias, a decoder direction"),
    ("ladder", "the SAEs of one suite and site, from narrow to wide"),
    ("L0", "how many latents fire on a token, on average"),
    ("expl.var, EV", "explained variance: 1 is a perfect reconstruction, 0 no better than the mean"),
    ("MSE", "mean squared error of the reconstruction, per dimension"),
    ("next token", "what the model itself expects after the chosen token"),
];

/// The lines of the help for a place.
pub(super) fn lines(place: Place, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let ascii = theme.charset == Charset::Ascii;
    let mut out: Vec<Line<'static>> = Vec::new();
    let said = about(place).join(" ");
    if !said.is_empty() {
        out.extend(crate::text::wrap(&plain(&said, ascii), width).into_iter().map(Line::from));
        out.push(Line::default());
    }
    let own = |places: Places| Place::ALL.iter().filter(|p| places.has(**p)).count() < 3;
    section(&mut out, place.name(), keys::rows(place).filter(|r| own(r.places)), ascii, theme);
    section(&mut out, "Also", keys::rows(place).filter(|r| !own(r.places)), ascii, theme);
    out.push(Line::from(Span::styled("Words", theme.strong())));
    for (word, meaning) in WORDS {
        out.push(Line::from(vec![Span::styled(format!("  {word:<18} "), theme.key()), Span::raw(*meaning)]));
    }
    out
}

fn section(
    out: &mut Vec<Line<'static>>,
    name: &'static str,
    rows: impl Iterator<Item = &'static keys::Binding>,
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
            Span::raw(row.about),
        ]));
    }
    out.push(Line::default());
}

/// Marks of the text as the terminal can show them.
fn plain(text: &str, ascii: bool) -> String {
    if ascii { text.replace('·', "_").replace('⏎', "\\n").replace(['⟨', '⟩'], "") } else { text.to_owned() }
}
