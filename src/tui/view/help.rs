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
            "(in this prompt; in all that was run), the verdict against a narrower SAE, and its family: ↑ a parent, a latent",
            "of a narrower SAE with cosine ≥ θ; ↓ a child, a latent of a wider SAE whose nearest here is this one; ≈ the nearest",
            "there without being either. novel: no latent of the narrower SAE comes near it; recon: the narrower SAE has it in",
            "some form. here: how strongly that latent fires on the chosen token; in: on how many tokens of the prompt.",
        ],
        Place::Origins => &[
            "Which heads and tokens the latent's activation comes from (SAEs on attn_z): what a head mixes is a weighted sum of",
            "values at the tokens it looks at, so what each head brought from each token and the bias add up to the pre-activation.",
            "A chosen head narrows the tokens to what came through it. W_dec: the head's share of the latent's decoder row.",
        ],
        Place::Queue => &[
            "Every latent of the chosen SAE compared with a narrower one. m: its largest cosine there; novel when m < θ.",
            "c*: above ½ exactly when putting it alone into the narrower SAE lowers the squared error on the text; ΔMSE: by how",
            "much. ! marks latents on which the two rules disagree: novel but no help, or a reconstruction that does help.",
            "fires: on what share of the text; here: how strongly on the chosen token. + is in the workbench.",
        ],
        Place::Bench => &[
            "A stitched SAE, built by hand on the narrower one: each latent keeps its own encoder, decoded parts are added, the",
            "decoder bias is mixed by how many latents of each SAE are in. MSE, explained variance (EV), L0 and cross-entropy",
            "(CE, by splicing into the model) stand between those of its parents. The tokens show where the error fell and rose.",
        ],
        Place::Curve => &[
            "The way from the narrower to the wider SAE: novel latents are put in, then groups swapped, then what nothing of the",
            "wider SAE matches taken out. ◆ is the workbench, ▲ the chosen point, the lines part the phases. The ROC-AUC says",
            "how well a small cosine tells that putting a latent in lowers the error: 1 always, 0.5 no better than chance.",
            "Taking latents out leads back to the left: the way ends at the number of the wider SAE.",
        ],
        Place::Group => &[
            "Latents of both SAEs that hang together by cosines ≥ θ: narrower at the left, wider at the right. A swap takes the",
            "left side out and puts the right side in. The chosen latent's lines are bright and its cosines stand before the others.",
        ],
        Place::Parts => &[
            "What the latent is made of: a meta-SAE, trained on the SAE's decoder rows, writes its row as a sum of meta-latents.",
            "act: how strongly each is in the row, scaled to length 1; then the share of the row that it explains. rest: what no",
            "meta-latent explains. ✓ is stable: a run of another seed found it too; ? is not. Enter shows the latents it is in.",
        ],
        Place::MetaCard => &[
            "One meta-latent: what its direction promotes, how strongly it is in its members (a histogram), the nearest latent of",
            "every SAE, and which members fire in this prompt on which tokens. Enter on a member shows what that is made of.",
        ],
        Place::Map => &[
            "The latent in the middle, its meta-latents with their share beside it, and the latents that these are in most outside.",
            "Arrows walk; Enter on a member makes it the middle, on a meta-latent shows its card. b goes back.",
        ],
        Place::Surgery => &[
            "The latent's decoder row is edited and put back to its length; wherever the latent fires, the model gets the edited row",
            "instead. Beside it stand the untouched model and one whose row moves as far in a random direction: what the edit does",
            "beyond that is its meaning. Named tokens show the change of their log-probability in nats.",
        ],
        Place::Pick => &["A number finds that meta-latent; text finds those that promote the token."],
        Place::Named => &["Words or tokens, with commas between; each is taken as what comes next."],
        Place::Filter => &["The queue shows the latents that promote this token, or the latent of this number."],
        Place::Path => &["A path; ~ is your home directory."],
        Place::Search => &["A number finds that latent; text finds the latents that promote the token most."],
        Place::Palette => &["A few letters of what you want are enough."],
        Place::Suites => &[
            "A suite is a model, a site and its SAEs. What is on this machine opens at once; the rest is asked about first.",
            "Weights only needs no model: neighbours, classes, meta-SAEs and promoted tokens, and no prompt.",
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
    ("novel", "no latent of the narrower SAE has a cosine of θ or more with it"),
    ("recon", "reconstruction: some latent of the narrower SAE does"),
    ("c*", "Σ a·(r·d) / Σ a²·|d|²: above ½ when putting the latent in lowers the error"),
    ("meta-latent", "a latent of a meta-SAE: a direction that several latents have in common"),
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
            Span::raw(plain(row.about, ascii)),
        ]));
    }
    out.push(Line::default());
}

/// Text of the program itself as the terminal can show it.
pub(super) fn plain(text: &str, ascii: bool) -> String {
    const SIGNS: [(&str, &str); 16] = [
        ("✓", "v"),
        ("·", "_"),
        ("⏎", "\\n"),
        ("⟨", "<"),
        ("⟩", ">"),
        ("≥", ">="),
        ("θ", "theta"),
        ("Δ", "d"),
        ("½", "1/2"),
        ("Σ", "sum "),
        ("²", "^2"),
        ("↑", "^"),
        ("↓", "v"),
        ("≈", "~"),
        ("◆", "*"),
        ("▲", "^"),
    ];
    if !ascii {
        return text.to_owned();
    }
    let plain = SIGNS.iter().fold(text.to_owned(), |text, (sign, plain)| text.replace(sign, plain));
    plain.replace('…', "...").replace('−', "-")
}
