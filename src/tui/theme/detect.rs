//! What the terminal can show, from its environment: colours, characters, ground.
//! Not here: asking the terminal itself.

use super::Depth;
use crate::settings::Color;
use crate::text::Charset;

/// What an environment variable holds.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How many colours there are: `NO_COLOR`, then `COLORTERM`, then `TERM`, else sixteen.
#[must_use]
pub fn depth(env: Env<'_>) -> Depth {
    let var = |name: &str| env(name).unwrap_or_default();
    let term = var("TERM");
    if !var("NO_COLOR").is_empty() {
        Depth::Mono
    } else if matches!(var("COLORTERM").as_str(), "truecolor" | "24bit") || term.ends_with("-direct") {
        Depth::True
    } else if term.contains("256color") {
        Depth::Ansi256
    } else if term.starts_with("vt") {
        Depth::Mono
    } else {
        Depth::Ansi16
    }
}

/// How many colours are drawn with: as many as the person chose, else as the environment says.
#[must_use]
pub fn depth_for(color: Color, env: Env<'_>) -> Depth {
    let without_no_color = |name: &str| if name == "NO_COLOR" { None } else { env(name) };
    match color {
        Color::Auto => depth(env),
        Color::Always => depth(&without_no_color).max(Depth::Ansi16),
        Color::Never => Depth::Mono,
        Color::Sixteen => Depth::Ansi16,
        Color::Cube => Depth::Ansi256,
        Color::True => Depth::True,
    }
}

/// Which characters there are: those of the first locale variable that is set; ASCII unless it says UTF-8.
#[must_use]
pub fn charset(env: Env<'_>) -> Charset {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env(name).filter(|v| !v.is_empty()));
    // Containers often set no locale at all while their terminal is UTF-8; only a locale that says otherwise counts.
    let Some(locale) = locale else { return Charset::Unicode };
    let lower = locale.to_ascii_lowercase();
    if lower.contains("utf-8") || lower.contains("utf8") { Charset::Unicode } else { Charset::Ascii }
}

/// Whether the terminal is at the other end of a network.
#[must_use]
pub fn is_remote(env: Env<'_>) -> bool {
    ["SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"].iter().any(|name| env(name).is_some_and(|v| !v.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(vars: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    #[test]
    fn the_first_that_speaks_wins() {
        let cases: [(&[(&str, &str)], Depth); 8] = [
            (&[], Depth::Ansi16),
            (&[("TERM", "xterm-256color")], Depth::Ansi256),
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Depth::True),
            (&[("TERM", "xterm-direct")], Depth::True),
            (&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")], Depth::Mono),
            (&[("NO_COLOR", ""), ("COLORTERM", "24bit")], Depth::True),
            (&[("TERM", "vt100")], Depth::Mono),
            (&[("TERM", "screen")], Depth::Ansi16),
        ];
        for (vars, expected) in cases {
            assert_eq!(depth(&env(vars)), expected, "{vars:?}");
        }
    }

    #[test]
    fn what_the_person_chose_beats_the_environment() {
        let vars = [("NO_COLOR", "1"), ("TERM", "xterm-256color")];
        let cases = [
            (Color::Auto, Depth::Mono),
            (Color::Always, Depth::Ansi256),
            (Color::Never, Depth::Mono),
            (Color::Sixteen, Depth::Ansi16),
            (Color::Cube, Depth::Ansi256),
            (Color::True, Depth::True),
        ];
        for (color, expected) in cases {
            assert_eq!(depth_for(color, &env(&vars)), expected, "{color:?}");
        }
        assert_eq!(depth_for(Color::Always, &env(&[("TERM", "vt100")])), Depth::Ansi16);
    }

    #[test]
    fn characters_follow_the_locale() {
        assert_eq!(charset(&env(&[("LANG", "en_US.UTF-8")])), Charset::Unicode);
        assert_eq!(charset(&env(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")])), Charset::Ascii);
        assert_eq!(charset(&env(&[("LC_ALL", ""), ("LANG", "C.utf8")])), Charset::Unicode);
        assert_eq!(charset(&env(&[])), Charset::Unicode);
    }
}
