//! A checkup in lines of text, the same for terminal and explorer.
//! Not here: colours, and where the lines stand.

use crate::analysis::SaeTypes;
use crate::text::{self, Charset};

use super::{Checkup, Expected, Figures, Finding, Norms, SaeCheckup, Verdict, share, short};

/// Trials that are shown of an SAE.
const TRIALS: usize = 8;
/// Cells of an SAE's id at least, however narrow the screen is.
const LEAST_ID: usize = 8;

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tone {
    /// What it is about.
    Head,
    /// Ordinary.
    Plain,
    /// Beside the point.
    Quiet,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
}

/// A line and how it is meant.
pub type ReportLine = (Tone, String);

/// The whole checkup in lines of at most `width` cells where that is possible.
#[must_use]
pub fn lines(checkup: &Checkup, width: usize, charset: Charset) -> Vec<ReportLine> {
    let mut out = Vec::new();
    conclusion(checkup, width, charset, &mut out);
    out.push((Tone::Plain, String::new()));
    let tokens = checkup.saes.first().map_or(0, |sae| sae.measured.tokens);
    let on = format!(
        "{} sentences of {}: {tokens} tokens without position 0",
        checkup.sentences,
        text::prose(&checkup.text, charset)
    );
    wrapped(Tone::Quiet, &on, width, &mut out);
    table(checkup, width, charset, &mut out);
    types(checkup, width, charset, &mut out);
    notes(checkup, width, charset, &mut out);
    norms(checkup, width, &mut out);
    first_position(checkup, width, charset, &mut out);
    for sae in &checkup.saes {
        trials(sae, width, charset, &mut out);
    }
    confirmed(checkup, width, &mut out);
    unverified(&checkup.unverified, width, charset, &mut out);
    // Names and words that were quoted above, and what ASCII has no sign for.
    out.into_iter().map(|(tone, line)| (tone, text::line(&line, charset).into_owned())).collect()
}

/// One SAE's figures on one line: `L0 35.9 (36.0), EV 0.61 (0.61)`.
#[must_use]
pub fn figures(sae: &SaeCheckup) -> String {
    let l0 = beside(sae.measured.l0, sae.expected.l0, short);
    let variance = beside(sae.measured.explained_variance, sae.expected.explained_variance, share);
    format!("L0 {l0}, EV {variance}")
}

fn conclusion(checkup: &Checkup, width: usize, charset: Charset, out: &mut Vec<ReportLine>) {
    let (tone, word) = match checkup.verdict {
        Verdict::Fine => (Tone::Good, "fine"),
        Verdict::Plausible => (Tone::Good, "plausible"),
        Verdict::Off => (Tone::Bad, "off"),
    };
    wrapped(tone, &format!("wiring {word}: {}", checkup.said), width, out);
    let all = checkup.saes.iter().flat_map(|sae| sae.contradictions.iter().map(|said| (sae.id.as_str(), said.clone())));
    said_of_each(all, (width, charset), out);
    if checkup.verdict == Verdict::Off {
        out.push((Tone::Quiet, "Nothing was changed.".to_owned()));
    }
}

fn table(checkup: &Checkup, width: usize, charset: Charset, out: &mut Vec<ReportLine>) {
    let named = |name: &str, wanted: fn(&Expected) -> Option<f64>| {
        let any = checkup.saes.iter().any(|sae| wanted(&sae.expected).is_some());
        if any { format!("{name} (exp.)") } else { name.to_owned() }
    };
    let mut rows = vec![[
        "SAE".to_owned(),
        named("L0", |wanted| wanted.l0),
        named("EV", |wanted| wanted.explained_variance),
        named("MSE", |wanted| wanted.mse),
        named("CE rec.", |wanted| wanted.loss_recovered),
        "silent".to_owned(),
        "dense".to_owned(),
        String::new(),
    ]];
    for sae in &checkup.saes {
        let (found, wanted) = (&sae.measured, &sae.expected);
        let verdict = match sae.verdict {
            Verdict::Fine => "fine",
            Verdict::Plausible => "plausible",
            Verdict::Off => "OFF",
        };
        rows.push([
            text::prose(&sae.id, charset),
            beside(found.l0, wanted.l0, short),
            beside(found.explained_variance, wanted.explained_variance, share),
            beside(found.mse, wanted.mse, short),
            beside(found.loss_recovered, wanted.loss_recovered, share),
            found.silent.to_string(),
            found.dense.to_string(),
            verdict.to_owned(),
        ]);
    }
    if !checkup.losses && checkup.saes.iter().all(|sae| sae.expected.loss_recovered.is_none()) {
        for row in &mut rows {
            row[4].clear();
        }
    }
    // What is too wide for the screen even with short names stands in two tables, verdicts in the first.
    let ids = column_widths(&rows)[0];
    if row_width(&rows) - ids + ids.min(LEAST_ID) <= width {
        out.extend(tones(checkup).zip(aligned(&rows, width, charset)));
    } else {
        out.extend(tones(checkup).zip(aligned(&columns(&rows, [0, 1, 2, 7]), width, charset)));
        out.extend(tones(checkup).zip(aligned(&columns(&rows, [0, 3, 4, 5, 6]), width, charset)));
    }
}

/// In which element types SAEs are stored where they are computed in another one.
fn types(checkup: &Checkup, width: usize, charset: Charset, out: &mut Vec<ReportLine>) {
    let said = |sae: &SaeCheckup| {
        let SaeTypes { stored, stated, computed } = &sae.dtype;
        sae.dtype.other()?;
        let stated = stated.as_ref().filter(|stated| *stated != stored);
        let stated = stated.map(|stated| format!(", its configuration says {stated}")).unwrap_or_default();
        Some(format!("stored in {stored}{stated}; computed in {computed}"))
    };
    let all = checkup.saes.iter().filter_map(|sae| Some((sae.id.as_str(), said(sae)?)));
    said_of_each(all, (width, charset), out);
}

/// What is to be known of SAEs, from how their files were read.
fn notes(checkup: &Checkup, width: usize, charset: Charset, out: &mut Vec<ReportLine>) {
    let all = checkup.saes.iter().flat_map(|sae| sae.notes.iter().map(|note| (sae.id.as_str(), note.clone())));
    said_of_each(all, (width, charset), out);
}

/// What is said of several SAEs is said once.
fn said_of_each<'a>(
    all: impl Iterator<Item = (&'a str, String)>,
    (width, charset): (usize, Charset),
    out: &mut Vec<ReportLine>,
) {
    let mut once: Vec<(String, Vec<&str>)> = Vec::new();
    for (id, said) in all {
        match once.iter_mut().find(|(known, _)| *known == said) {
            Some((_, ids)) => ids.push(id),
            None => once.push((said, vec![id])),
        }
    }
    for (said, ids) in once {
        let said = text::prose(&format!("SAE {}: {said}", ids.join(", ")), charset);
        wrapped(Tone::Plain, &said, width, out);
    }
}

/// Some columns of a table.
fn columns<const M: usize, const N: usize>(rows: &[[String; M]], wanted: [usize; N]) -> Vec<[String; N]> {
    rows.iter().map(|row| wanted.map(|column| row[column].clone())).collect()
}

fn tones(checkup: &Checkup) -> impl Iterator<Item = Tone> {
    std::iter::once(Tone::Head).chain(checkup.saes.iter().map(|sae| match sae.verdict {
        Verdict::Off => Tone::Bad,
        _ => Tone::Plain,
    }))
}

fn norms(checkup: &Checkup, width: usize, out: &mut Vec<ReportLine>) {
    if checkup.saes.iter().all(|sae| sae.decoder_norms.is_unit()) {
        out.push((Tone::Quiet, "decoder rows: all of length 1".to_owned()));
        return;
    }
    for sae in &checkup.saes {
        let Norms { rows, min, median, max, zero } = &sae.decoder_norms;
        let lengths = [min, median, max].map(|length| short(*length));
        let [min, median, max] = lengths;
        let zero = if *zero > 0 { format!("; {zero} are zero") } else { String::new() };
        let some = if *rows < sae.width { format!("; of {rows} rows") } else { String::new() };
        let said = format!("decoder rows of SAE {}: {min} to {max} long, median {median}{zero}{some}", sae.id);
        wrapped(Tone::Quiet, &said, width, out);
    }
}

/// Position 0 is reported of where it is unlike the others: nothing there should be trusted.
fn first_position(checkup: &Checkup, width: usize, charset: Charset, out: &mut Vec<ReportLine>) {
    let unlike = |sae: &&SaeCheckup| match (sae.measured.first_l0, sae.measured.l0) {
        (Some(first), Some(others)) => first > 3.0 * others,
        _ => false,
    };
    if let Some(sae) = checkup.saes.iter().find(unlike) {
        let first = short(sae.measured.first_l0.unwrap_or_default());
        let id = text::prose(&sae.id, charset);
        let said = format!("position 0 is off-distribution: {first} latents of SAE {id} fire there");
        wrapped(Tone::Quiet, &said, width, out);
    }
}

fn trials(sae: &SaeCheckup, width: usize, charset: Charset, out: &mut Vec<ReportLine>) {
    if sae.verdict != Verdict::Off || sae.trials.len() < 2 {
        return;
    }
    out.push((Tone::Plain, String::new()));
    let mut rows =
        vec![[format!("tried on SAE {}", text::prose(&sae.id, charset)), "L0".into(), "EV".into(), String::new()]];
    let row = |what: &str, found: &Figures, fits: &str| {
        let (l0, variance) = (found.l0.map_or_else(dash, short), found.explained_variance.map_or_else(dash, share));
        [text::prose(what, charset), l0, variance, fits.to_owned()]
    };
    rows.push(row("as the suite has it", &sae.measured, ""));
    let shown = sae.trials.iter().take(TRIALS);
    rows.extend(shown.clone().map(|trial| row(&trial.said, &trial.measured, if trial.fits { "fits" } else { "" })));
    let tones = [Tone::Head, Tone::Plain]
        .into_iter()
        .chain(shown.map(|trial| if trial.fits { Tone::Good } else { Tone::Plain }));
    out.extend(tones.zip(aligned(&rows, width, charset)));
    let more = sae.trials.len().saturating_sub(TRIALS);
    if more > 0 {
        out.push((Tone::Quiet, format!("and {more} more, none better")));
    }
}

/// The SAEs on which only what fitted another was tried, and fitted too.
fn confirmed(checkup: &Checkup, width: usize, out: &mut Vec<ReportLine>) {
    let same = checkup.saes.iter().filter(|sae| sae.fits.is_some() && sae.trials.len() == 1);
    let ids: Vec<&str> = same.map(|sae| sae.id.as_str()).collect();
    if !ids.is_empty() {
        wrapped(Tone::Plain, &format!("the same fits SAE {}", ids.join(", ")), width, out);
    }
}

fn unverified(findings: &[Finding], width: usize, charset: Charset, out: &mut Vec<ReportLine>) {
    if findings.is_empty() {
        return;
    }
    out.push((Tone::Plain, String::new()));
    out.push((Tone::Head, "marked as unverified in the suite".to_owned()));
    for Finding { of, key, holds, said } in findings {
        let (tone, word) = match holds {
            Some(true) => (Tone::Plain, "holds"),
            Some(false) => (Tone::Bad, "does not hold"),
            None => (Tone::Quiet, "open"),
        };
        wrapped(tone, &text::prose(&format!("{of}, {key}: {word}; {said}"), charset), width, out);
    }
}

/// A value with the one that is expected behind it.
fn beside(found: Option<f64>, wanted: Option<f64>, say: fn(f64) -> String) -> String {
    let wanted = wanted.map(|wanted| format!(" ({})", say(wanted))).unwrap_or_default();
    format!("{}{wanted}", found.map_or_else(dash, say))
}

fn dash() -> String {
    "-".to_owned()
}

/// Rows with their columns below each other: the first to the left, the last too, the others to the right. What the
/// whole is too wide by is taken from the first column. A column in which nothing stands takes no room.
fn aligned<const N: usize>(rows: &[[String; N]], width: usize, charset: Charset) -> Vec<String> {
    let mut widths = column_widths(rows);
    let all = row_width(rows);
    let over = all.saturating_sub(width);
    widths[0] = widths[0].saturating_sub(over).max(LEAST_ID.min(widths[0]));
    let line = |row: &[String; N]| {
        let mut line = text::fit(&row[0], widths[0], charset);
        for (at, (cell, width)) in row.iter().zip(widths).enumerate().skip(1).filter(|(_, (_, width))| *width > 0) {
            let pad = if at + 1 == N { 0 } else { width.saturating_sub(text::width(cell)) };
            line.push_str("  ");
            line.push_str(&" ".repeat(pad));
            line.push_str(cell);
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn column_widths<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    std::array::from_fn(|at| rows.iter().map(|row| text::width(&row[at])).max().unwrap_or_default())
}

/// How wide the widest row would be with nothing taken away.
fn row_width<const N: usize>(rows: &[[String; N]]) -> usize {
    let widths: Vec<usize> = column_widths(rows).into_iter().filter(|width| *width > 0).collect();
    widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
}

fn wrapped(tone: Tone, said: &str, width: usize, out: &mut Vec<ReportLine>) {
    let lines = text::wrap(said, width.saturating_sub(2).max(20));
    out.extend(lines.into_iter().enumerate().map(|(at, line)| {
        let indent = if at == 0 { "" } else { "  " };
        (tone, format!("{indent}{line}"))
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_screen_shows_every_figure_and_verdict() {
        let measured = Figures {
            tokens: 1547,
            l0: Some(12.2),
            mse: Some(0.0512),
            explained_variance: Some(0.92),
            dense: 7,
            ..Figures::default()
        };
        let expected = Expected {
            l0: Some(11.8),
            explained_variance: Some(0.92),
            mse: Some(0.0495),
            loss_recovered: Some(0.98),
            ..Expected::default()
        };
        let sae = |id: &str, verdict| SaeCheckup {
            id: id.to_owned(),
            width: 256,
            dtype: SaeTypes {
                stored: "bfloat16".to_owned(),
                stated: Some("float16".to_owned()),
                computed: "float32".to_owned(),
            },
            notes: vec!["trained on tokens other than BOS".to_owned()],
            measured: measured.clone(),
            expected: expected.clone(),
            decoder_norms: Norms::default(),
            verdict,
            why: Vec::new(),
            contradictions: vec!["its own files say otherwise".to_owned()],
            fits: None,
            trials: Vec::new(),
        };
        let saes = vec![sae("256", Verdict::Fine), sae("512", Verdict::Off)];
        let checkup = Checkup::of("stories".to_owned(), 30, saes, Vec::new(), true);
        for width in [72, 100] {
            let told: Vec<String> =
                lines(&checkup, width, Charset::Unicode).into_iter().map(|(_, line)| line).collect();
            assert!(told.iter().all(|line| text::width(line) <= width), "{told:#?}");
            for wanted in [
                "fine",
                "OFF",
                "dense",
                "0.0512 (0.0495)",
                "SAE 256, 512: its own files say otherwise",
                "SAE 256, 512: stored in bfloat16, its configuration says float16;",
                "SAE 256, 512: trained on tokens other than BOS",
            ] {
                assert!(told.iter().any(|line| line.contains(wanted)), "{wanted}: {told:#?}");
            }
        }
    }

    #[test]
    fn columns_stand_below_each_other_and_empty_ones_take_no_room() {
        let rows = [["a", "", "1.0", "x"], ["bcd", "", "12.25", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows, 80, Charset::Unicode), ["a      1.0  x", "bcd  12.25"]);
        assert_eq!(columns(&rows, [2, 0]), [["1.0", "a"], ["12.25", "bcd"]]);
        let long = [["a-very-long-name-of-an-sae", "1", "2", "3"]].map(|row| row.map(str::to_owned));
        assert_eq!(text::width(&aligned(&long, 20, Charset::Unicode)[0]), 20);
    }
}
