//! Figures and names as every pane writes them.
//! Not here: where they stand.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::analysis::{Label, LabelSource, Member, TokenValue, TopToken};
use crate::task::{Progress, Unit};
use crate::text;
use crate::tui::app::App;
use crate::tui::canvas::{self, Canvas};
use crate::tui::format;
use crate::tui::location::LatentRef;
use crate::tui::theme::Theme;

/// Cells of the names at the left of a card's lines.
pub(crate) const NAMES: usize = 11;

/// A latent's short name, for one line: the tokens it fires on most in the index, and those it promotes; without an index
/// these alone. One that fires on much of the text is called dense first.
pub(crate) fn name_text(app: &App, theme: Theme, of: &LatentRef, most: usize) -> Option<String> {
    // Only a decoder row of zeros promotes nothing at all.
    if app.names.get(of).is_some_and(<[TokenValue]>::is_empty) {
        return Some("(zero)".to_owned());
    }
    if let Some(label) = app.labels.get(of).first() {
        let dense = if app.is_dense(of) { "(dense) " } else { "" };
        return Some(format!("{dense}{} ({})", text::prose(&label.text, theme.charset), label_source(label)));
    }
    let tokens = app.names.get(of)?;
    let dense = if app.is_dense(of) { "(dense) " } else { "" };
    let fires = app.frequencies.get(of).filter(|frequency| !frequency.top_tokens.is_empty());
    let Some(fires) = fires else {
        let shown: Vec<String> = tokens.iter().take(most).map(|t| text::token(&t.text, theme.charset)).collect();
        return Some(format!("{dense}{}", shown.join(" ")));
    };
    let on = if most < 6 { most.div_ceil(2) } else { 3 };
    // What it fires on a fifth as often as on the first says little.
    let often = |top: &&TopToken| top.count * 5 >= fires.top_tokens[0].count;
    let shown: Vec<String> =
        fires.top_tokens.iter().take_while(often).take(on).map(|top| bare(&top.text, theme)).collect();
    let promoted: Vec<String> = tokens.iter().take(most - on.min(most)).map(|t| bare(&t.text, theme)).collect();
    let arrow = if promoted.is_empty() { String::new() } else { format!(" {} ", theme.glyphs().arrow) };
    Some(format!("{dense}on {}{arrow}{}", shown.join(", "), promoted.join(", ")))
}

/// Where a label is from, and how often it is right: its F1, or a model's detection and fuzzing.
pub(crate) fn label_source(label: &Label) -> String {
    let scores = label.scores.unwrap_or_default();
    let of = |name: &str, score: Option<f64>| {
        score.map_or_else(String::new, |score| format!(" {name} {}", cosine(score as f32)))
    };
    let scores = format!("{}{}{}", of("F1", scores.f1), of("det", scores.detection), of("fuzz", scores.fuzzing));
    match label.source {
        LabelSource::File if label.by.is_empty() => format!("yours{scores}"),
        source => format!("{}{scores}", source.name()),
    }
}

/// A token's text without the space before it.
fn bare(token: &str, theme: Theme) -> String {
    let word = token.strip_prefix(' ').filter(|word| !word.trim().is_empty()).unwrap_or(token);
    text::token(word, theme.charset)
}

/// Tokens with their values, in at most `lines` lines.
pub(crate) fn token_lines<'a>(
    name: &'a str,
    tokens: &[TokenValue],
    style: Style,
    width: usize,
    lines: usize,
    pen: &Canvas<'_>,
) -> Vec<Line<'a>> {
    let theme = pen.theme;
    let mut out: Vec<Line<'a>> = Vec::new();
    let mut line = vec![Span::styled(format!("{name:<NAMES$}"), theme.quiet())];
    let mut used = NAMES;
    for token in tokens {
        let shown = text::truncate(&text::token(&token.text, theme.charset), 24, theme.charset);
        let value = format!("{:+.1}", token.value);
        let cells = text::width(&shown) + 1 + value.len();
        if used + cells > width && used > NAMES {
            if out.len() + 1 >= lines {
                break;
            }
            out.push(Line::from(std::mem::replace(&mut line, vec![Span::raw(" ".repeat(NAMES))])));
            used = NAMES;
        }
        line.push(Span::styled(shown, style));
        line.push(Span::styled(format!(" {value}  "), theme.quiet()));
        used += cells + 2;
    }
    out.push(Line::from(line));
    out.truncate(lines);
    out
}

/// That nothing was run, which is not the same as firing on nothing.
pub(crate) fn not_run<'a>(width: usize, pen: &Canvas<'_>) -> Line<'a> {
    let said = longest(&["no prompt is run: M loads the model", "no model: M loads it", "M loads the model"], width);
    Line::from(Span::styled(format!("{:<NAMES$}{said}", "fires"), pen.theme.quiet()))
}

/// The longest of some words, by falling length, that fits behind a line's name.
pub(crate) fn longest<'a>(forms: &[&'a str], width: usize) -> &'a str {
    let fits = |said: &&&str| NAMES + said.len() <= width;
    forms.iter().find(fits).or(forms.last()).copied().unwrap_or_default()
}

/// A cosine without the zero that all share: `.672`, `-.031`, `1.00`.
pub(crate) fn cosine(value: f32) -> String {
    let text = format!("{value:.3}");
    match text.strip_prefix("0.") {
        Some(rest) => format!(".{rest}"),
        None => text.strip_prefix("-0.").map_or_else(|| format!("{value:.2}"), |rest| format!("-.{rest}")),
    }
}

pub(crate) fn count(number: usize) -> String {
    format::count(number as u64)
}

/// A number with its sign.
pub(crate) fn signed(value: f64) -> String {
    let text = format::short(value);
    if value > 0.0 { format!("+{text}") } else { text }
}

/// A c* in few cells.
pub(crate) fn c_star(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |c| if c.abs() < 99.95 { format!("{c:.2}") } else { format::short(c) })
}

/// Text of the program itself as the terminal can show it.
pub(crate) fn plain(said: &str, pen: &Canvas<'_>) -> String {
    canvas::plain(said, pen.theme.charset == text::Charset::Ascii)
}

/// A number with its sign: `+1.23`, `-0.40`.
pub(crate) fn contribution(value: f32) -> String {
    // Nothing has no sign.
    let shown = format::activation(value);
    if shown == "-0.00" || shown == "0.00" {
        return "0.00".to_owned();
    }
    if value < 0.0 { shown } else { format!("+{shown}") }
}

/// The tokens that name a meta-latent.
pub(crate) fn promoted(tokens: &[TokenValue], most: usize, theme: Theme) -> String {
    let shown: Vec<String> = tokens.iter().take(most).map(|t| text::token(&t.text, theme.charset)).collect();
    shown.join(" ")
}

/// A few members by number and name.
pub(crate) fn members(app: &App, sae: &str, members: &[Member], most: usize, theme: Theme) -> String {
    let name = |m: &Member| {
        let of = LatentRef { sae: sae.to_owned(), latent: m.latent };
        let label = name_text(app, theme, &of, 1).unwrap_or_default();
        format!("{}{}{label}", m.latent, if label.is_empty() { "" } else { " " })
    };
    let own = app.latent;
    let shown: Vec<String> = members.iter().filter(|m| Some(m.latent) != own).take(most).map(name).collect();
    shown.join(", ")
}

/// Whether another seed found it too, in a cell: a sign that does not need colour.
pub(crate) fn stable(stable: Option<bool>, pen: &Canvas<'_>) -> Span<'static> {
    match stable {
        Some(true) => Span::styled(pen.theme.glyphs().good, pen.theme.good()),
        Some(false) => Span::styled("?", pen.theme.quiet()),
        None => Span::raw(" "),
    }
}

/// A meta-latent's name where it is known.
pub(crate) fn name_of(app: &App, meta_latent: u32, most: usize, theme: Theme) -> Option<String> {
    let of = app.meta_ref()?;
    app.meta.names.get(&of, meta_latent).map(|label| promoted(&label.promoted, most, theme))
}

/// What a list of meta-latents says of one: whether it is stable, what it promotes, which latents it is in.
pub(crate) fn row_of<'a>(app: &App, meta_latent: u32, pen: &Canvas<'_>) -> Vec<Span<'a>> {
    let theme = pen.theme;
    let Some(of) = app.meta_ref() else { return Vec::new() };
    let Some(label) = app.meta.names.get(&of, meta_latent) else {
        return vec![Span::styled(theme.glyphs().more, theme.quiet())];
    };
    let inside = members(app, &of.sae, &label.members, 2, theme);
    vec![
        stable(label.stable, pen),
        Span::raw(format!(" {}  ", promoted(&label.promoted, 4, theme))),
        Span::styled(if inside.is_empty() { inside } else { format!("in {inside}") }, theme.quiet()),
    ]
}

/// How far training is: share, loss, variance explained, mean active, time left.
pub(crate) fn training(app: &App, pen: &Canvas<'_>) -> String {
    let sae = app.meta.train.question().map(|(recipe, ())| recipe.sae.clone()).unwrap_or_default();
    let what = format!("training for SAE {}", text::said(&sae, pen.theme.charset));
    let progress = app.meta.train.progressed();
    let mut said = what;
    if let Some(share) = progress.and_then(whole_share) {
        said = format!("{said} {}", format::percent(share));
    }
    for (name, value) in progress.map_or(&[][..], |p| p.figures.as_slice()) {
        let value = match name.as_str() {
            "seconds left" => {
                let left = std::time::Duration::from_secs_f64(value.clamp(0.0, 1e9));
                said = format!("{said}, {} left", format::clock(left));
                continue;
            }
            name if name.contains("variance") => format::percent(*value),
            _ => format::short(*value),
        };
        said = format!("{said}, {name} {value}");
    }
    said
}

/// The share of the whole that is done.
pub(crate) fn whole_share(progress: &Progress) -> Option<f64> {
    let (done, total) = progress.whole.map_or((progress.done, progress.total?), |w| (w.done, w.total));
    (total > 0).then(|| done as f64 / total as f64)
}

/// Progress in a few words.
pub(crate) fn progress_text(progress: &Progress) -> String {
    let amount = match (progress.unit, progress.total) {
        (Unit::Bytes, Some(total)) => format!("{} of {}", format::bytes(progress.done), format::bytes(total)),
        (Unit::Bytes, None) => format::bytes(progress.done),
        (Unit::Steps, Some(total)) => format!("{} of {total}", progress.done),
        (Unit::Steps, None) => progress.done.to_string(),
    };
    format!("{} {amount}", progress.what)
}

#[cfg(test)]
mod tests {
    use super::contribution;

    #[test]
    fn a_sign_stands_before_what_has_one() {
        assert_eq!([1.234, -0.4, 0.001, -0.001, 0.0].map(contribution), ["+1.23", "-0.40", "0.00", "0.00", "0.00"]);
    }
}
