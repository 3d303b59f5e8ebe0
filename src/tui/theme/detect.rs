//! What the terminal can show, from its environment and its answers: colours, characters, ground.
//! Not here: asking the terminal itself.

use super::{Depth, Ground};
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

/// Whether the terminal can be asked for its ground: screen passes the question on and the answer goes astray.
#[must_use]
pub fn tells_ground(env: Env<'_>) -> bool {
    env("TERM")
        .is_some_and(|term| !matches!(term.as_str(), "dumb" | "screen" | "Eterm") && !term.starts_with("screen."))
}

/// The ground that a terminal names in its answer to `OSC 11 ?`, as X11 writes colours: `11;rgb:1e1e/1e1e/2e2e`, `11;#fff`.
#[must_use]
pub fn ground(answer: &[u8]) -> Option<Ground> {
    let color = std::str::from_utf8(answer).ok()?.strip_prefix("11;")?;
    let parts: Vec<&str> = if let Some(digits) = color.strip_prefix('#') {
        let size = digits.len() / 3;
        (0..3).map(|i| digits.get(i * size..(i + 1) * size)).collect::<Option<_>>()?
    } else {
        color.strip_prefix("rgb:").or_else(|| color.strip_prefix("rgba:"))?.split('/').collect()
    };
    let mut light = parts.iter().map(|digits| channel(digits));
    let (red, green, blue) = (light.next()??, light.next()??, light.next()??);
    // The luminance of sRGB (IEC 61966-2-1); that of the middle grey, CIE L* 50, is 0.184.
    let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    Some(if luminance > 0.184 { Ground::Light } else { Ground::Dark })
}

/// The light of one channel in one to four hexadecimal digits, from 0 to 1.
fn channel(digits: &str) -> Option<f64> {
    if !(1..=4).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let value = u16::from_str_radix(digits, 16).ok()?;
    let value = f64::from(value) / f64::from((1_u32 << (4 * digits.len())) - 1);
    Some(if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) })
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
    fn the_ground_is_read_as_terminals_write_it() {
        let cases: [(&str, Option<Ground>); 14] = [
            ("11;rgb:1e1e/1e1e/2e2e", Some(Ground::Dark)),
            ("11;rgb:ffff/ffff/ffff", Some(Ground::Light)),
            ("11;rgb:fd/f6/e3", Some(Ground::Light)),
            ("11;rgb:0/0/0", Some(Ground::Dark)),
            ("11;rgba:0000/2b2b/3636/ffff", Some(Ground::Dark)),
            // A pure blue is dark, a pure green is not.
            ("11;rgb:0000/0000/ffff", Some(Ground::Dark)),
            ("11;#00ff00", Some(Ground::Light)),
            ("11;#fff", Some(Ground::Light)),
            // The middle grey lies between these two.
            ("11;rgb:7676/7676/7676", Some(Ground::Dark)),
            ("11;rgb:7878/7878/7878", Some(Ground::Light)),
            ("10;rgb:ffff/ffff/ffff", None),
            ("11;?", None),
            ("11;rgb:+f/é/00", None),
            ("11;#é", None),
        ];
        for (answer, expected) in cases {
            assert_eq!(ground(answer.as_bytes()), expected, "{answer}");
        }
        for (term, expected) in [("screen", false), ("screen.xterm", false), ("screen-256color", true), ("dumb", false)]
        {
            assert_eq!(tells_ground(&env(&[("TERM", term)])), expected, "{term}");
        }
    }

    #[test]
    fn characters_follow_the_locale() {
        assert_eq!(charset(&env(&[("LANG", "en_US.UTF-8")])), Charset::Unicode);
        assert_eq!(charset(&env(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")])), Charset::Ascii);
        assert_eq!(charset(&env(&[("LC_ALL", ""), ("LANG", "C.utf8")])), Charset::Unicode);
        assert_eq!(charset(&env(&[])), Charset::Unicode);
    }
}
