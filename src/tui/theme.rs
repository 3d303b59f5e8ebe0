//! How meaning looks: styles by role, for as many colours as the terminal has.
//! Not here: what is drawn where.
//!
//! The terminal's own sixteen colours and default ground, so that it is right on light and dark alike; RGB and the
//! 256-colour cube for the heat ramp alone. No role is shown by colour alone: each also has an attribute or a glyph.

use ratatui::style::{Color, Modifier, Style};

use crate::text::Charset;

pub mod detect;
pub mod glyphs;
mod ramp;

use glyphs::Glyphs;

/// How many colours there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None: `NO_COLOR`, or by choice.
    Mono,
    /// The terminal's sixteen.
    #[default]
    Ansi16,
    /// The 256-colour cube.
    Ansi256,
    /// 24 bits.
    True,
}

/// What the terminal's ground is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ground {
    /// Light text on dark.
    #[default]
    Dark,
    /// Dark text on light.
    Light,
}

/// Styles by role.
#[derive(Clone, Copy, Debug, Default)]
pub struct Theme {
    /// How many colours there are.
    pub depth: Depth,
    /// What the ground is.
    pub ground: Ground,
    /// Which characters there are.
    pub charset: Charset,
}

impl Theme {
    /// The glyphs of the character set.
    #[must_use]
    pub const fn glyphs(&self) -> &'static Glyphs {
        glyphs::of(self.charset)
    }

    fn colour(self, style: Style, colour: Color) -> Style {
        if self.depth == Depth::Mono { style } else { style.fg(colour) }
    }

    /// Secondary text.
    #[must_use]
    pub fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What stands for an older question.
    #[must_use]
    pub fn stale(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What matters.
    #[must_use]
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The name of the program and of the latent in question.
    #[must_use]
    pub fn accent(self) -> Style {
        self.colour(self.strong(), Color::Cyan)
    }

    /// The line over a pane.
    #[must_use]
    pub fn rule(self, focused: bool) -> Style {
        if focused { self.colour(Style::new(), Color::Cyan) } else { self.quiet() }
    }

    /// The name of a pane.
    #[must_use]
    pub fn title(self, focused: bool) -> Style {
        let style = self.strong();
        if focused { self.colour(style.add_modifier(Modifier::REVERSED), Color::Cyan) } else { style }
    }

    /// The chosen entry of a list.
    #[must_use]
    pub fn chosen(self, focused: bool) -> Style {
        if focused { self.strong().add_modifier(Modifier::REVERSED) } else { self.strong() }
    }

    /// A key in footer and help.
    #[must_use]
    pub fn key(self) -> Style {
        self.colour(self.strong(), Color::Cyan)
    }

    /// Something went wrong.
    #[must_use]
    pub fn bad(self) -> Style {
        self.colour(self.strong(), Color::Red)
    }

    /// Something is well.
    #[must_use]
    pub fn good(self) -> Style {
        self.colour(Style::new(), Color::Green)
    }

    /// Something wants attention: pending, missing.
    #[must_use]
    pub fn notice(self) -> Style {
        self.colour(Style::new(), Color::Yellow)
    }

    /// A bar of a value.
    #[must_use]
    pub fn bar(self) -> Style {
        self.colour(Style::new(), Color::Yellow)
    }

    /// The bars and mark of the n-th pinned latent.
    #[must_use]
    pub fn pin(self, n: usize) -> Style {
        const COLOURS: [Color; 4] = [Color::Magenta, Color::Green, Color::Blue, Color::Cyan];
        self.colour(Style::new(), COLOURS[n % COLOURS.len()])
    }

    /// What a direction promotes.
    #[must_use]
    pub fn promoted(self) -> Style {
        self.colour(Style::new(), Color::Green)
    }

    /// What it suppresses.
    #[must_use]
    pub fn suppressed(self) -> Style {
        self.colour(Style::new(), Color::Red)
    }

    /// The heat of a share between 0 and 1.
    #[must_use]
    pub fn heat(self, share: f32) -> Style {
        ramp::heat(self.depth, self.ground, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_nothing_is_coloured() {
        let theme = Theme { depth: Depth::Mono, ..Theme::default() };
        let styles = [
            theme.accent(),
            theme.rule(true),
            theme.title(true),
            theme.chosen(true),
            theme.bad(),
            theme.bar(),
            theme.pin(1),
            theme.heat(0.7),
        ];
        assert!(styles.iter().all(|s| s.fg.is_none() && s.bg.is_none()), "{styles:?}");
    }

    #[test]
    fn what_is_focused_and_chosen_shows_without_colours() {
        let theme = Theme { depth: Depth::Mono, ..Theme::default() };
        assert_ne!(theme.title(true), theme.title(false));
        assert_ne!(theme.chosen(true), theme.chosen(false));
        assert_ne!(theme.chosen(false), Style::new());
        assert_ne!(theme.heat(0.9), theme.heat(0.0));
    }
}
