//! The glyphs that carry meaning, in Unicode and in ASCII.
//! Not here: colours.

use crate::text::Charset;

/// Glyphs by role.
#[derive(Debug)]
pub struct Glyphs {
    /// Before what is chosen.
    pub chosen: &'static str,
    /// Before and after the chosen token.
    pub around: [&'static str; 2],
    /// Before what is pinned, one for each pin.
    pub pins: [&'static str; 4],
    /// The line over a pane, plain and focused.
    pub rule: [&'static str; 2],
    /// Between columns.
    pub column: &'static str,
    /// Heights of a bar that stands, from the lowest.
    pub standing: [&'static str; 8],
    /// Lengths of the last cell of a bar that lies, from the shortest; the last is a full cell.
    pub lying: &'static [&'static str],
    /// Steps of the spinner.
    pub spinner: [&'static str; 4],
    /// Between parts of a line.
    pub dot: &'static str,
    /// After what is not up to date.
    pub more: &'static str,
    /// Before an error.
    pub bad: &'static str,
    /// Here, complete.
    pub good: &'static str,
    /// Between cause and effect.
    pub arrow: &'static str,
    /// Before what an error fell and rose on.
    pub change: [&'static str; 2],
    /// One for another.
    pub swap: &'static str,
    /// The threshold of classes.
    pub theta: &'static str,
    /// What a latent of the ladder is to the card's: narrower and as near as θ, wider and nearest to it, the nearest there.
    pub kin: [&'static str; 3],
    /// The corners and sides of a box: top left, top right, bottom left, bottom right, across, down.
    pub frame: [&'static str; 6],
}

const UNICODE: Glyphs = Glyphs {
    chosen: "▸",
    around: ["▸", "◂"],
    pins: ["◆", "●", "■", "▲"],
    rule: ["─", "━"],
    column: "│",
    standing: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    lying: &["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    spinner: ["◐", "◓", "◑", "◒"],
    dot: "·",
    more: "…",
    bad: "✗",
    good: "✓",
    arrow: "→",
    change: ["↓", "↑"],
    swap: "⇄",
    theta: "θ",
    kin: ["↑", "↓", "≈"],
    frame: ["╭", "╮", "╰", "╯", "─", "│"],
};

const ASCII: Glyphs = Glyphs {
    chosen: ">",
    around: [">", "<"],
    pins: ["*", "o", "+", "^"],
    rule: ["-", "="],
    column: "|",
    standing: [".", ":", "-", "=", "+", "*", "#", "@"],
    lying: &["#"],
    spinner: ["|", "/", "-", "\\"],
    dot: "|",
    more: "...",
    bad: "x",
    good: "v",
    arrow: "->",
    change: ["v", "^"],
    swap: "x",
    theta: "theta",
    kin: ["^", "v", "~"],
    frame: ["+", "+", "+", "+", "-", "|"],
};

/// The glyphs of a character set.
#[must_use]
pub const fn of(charset: Charset) -> &'static Glyphs {
    match charset {
        Charset::Unicode => &UNICODE,
        Charset::Ascii => &ASCII,
    }
}

/// A bar that lies: `share` of `cells` cells, in eighths; what fires at all shows at least a sliver.
#[must_use]
pub fn bar(glyphs: &Glyphs, share: f32, cells: usize) -> String {
    let steps = glyphs.lying.len();
    let all = cells * steps;
    if share.is_nan() || share <= 0.0 || all == 0 {
        return String::new();
    }
    let filled = ((share.min(1.0) * all as f32).round() as usize).clamp(1, all);
    let full = glyphs.lying[steps - 1].repeat(filled / steps);
    match filled % steps {
        0 => full,
        part => full + glyphs.lying[part - 1],
    }
}

/// The glyph of a bar that stands in one cell; a space for nothing.
#[must_use]
pub fn level(glyphs: &Glyphs, share: f32) -> &'static str {
    if share.is_nan() || share <= 0.0 {
        return " ";
    }
    let top = glyphs.standing.len();
    glyphs.standing[((share.min(1.0) * top as f32).ceil() as usize).clamp(1, top) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_their_cells_and_no_more() {
        let glyphs = of(Charset::Unicode);
        assert_eq!(bar(glyphs, 1.0, 3), "███");
        assert_eq!(bar(glyphs, 0.5, 3), "█▌");
        assert_eq!(bar(glyphs, 1e-9, 3), "▏");
        assert_eq!(bar(glyphs, 0.0, 3), "");
        assert_eq!(bar(glyphs, f32::NAN, 3), "");
        assert_eq!(bar(of(Charset::Ascii), 0.5, 4), "##");
        assert_eq!(level(glyphs, 1.0), "█");
        assert_eq!(level(glyphs, 0.01), "▁");
        assert_eq!(level(glyphs, 0.0), " ");
    }

    #[test]
    fn ascii_glyphs_are_ascii() {
        let g = of(Charset::Ascii);
        let all = [
            g.pins.concat(),
            g.rule.concat(),
            g.standing.concat(),
            g.lying.concat(),
            g.spinner.concat(),
            g.frame.concat(),
            g.change.concat(),
            g.kin.concat(),
        ];
        assert!(all.concat().is_ascii());
        assert!([g.chosen, g.column, g.dot, g.more, g.bad, g.good, g.arrow, g.swap, g.theta].concat().is_ascii());
    }
}
