//! The heat ramp: from the terminal's ground to glowing, for every depth of colour.
//! Not here: what is hot.

use ratatui::style::{Color, Modifier, Style};

use super::{Depth, Ground};

type Rgb = (u8, u8, u8);

/// Dark embers to bright yellow: even steps of lightness, readable with either text colour, safe for colour-blind eyes.
const ON_DARK: [Rgb; 6] = [(44, 27, 46), (96, 32, 72), (158, 42, 76), (214, 78, 50), (247, 148, 40), (253, 224, 110)];
/// Pale yellow to deep red.
const ON_LIGHT: [Rgb; 6] =
    [(255, 246, 214), (254, 226, 150), (252, 186, 92), (240, 128, 58), (208, 64, 48), (140, 20, 52)];

/// Below this share nothing is tinted.
const FLOOR: f32 = 0.004;

/// Steps of the ramp: more cannot be distinguished, and fewer styles are fewer bytes.
const STEPS: f32 = 12.0;

pub(super) fn heat(depth: Depth, ground: Ground, share: f32) -> Style {
    // A number that is none is drawn as nothing; it was reported where it arose.
    if share.is_nan() || share < FLOOR {
        return Style::new();
    }
    let share = (share.min(1.0) * STEPS).ceil() / STEPS;
    match depth {
        Depth::Mono => mono(share),
        Depth::Ansi16 => sixteen(share),
        Depth::Ansi256 => {
            let rgb = blend(ground, share);
            Style::new().bg(Color::Indexed(cube(rgb))).fg(Color::Indexed(if is_light(rgb) { 16 } else { 231 }))
        }
        Depth::True => {
            let rgb = blend(ground, share);
            let text = if is_light(rgb) { Color::Rgb(0, 0, 0) } else { Color::Rgb(255, 255, 255) };
            Style::new().bg(Color::Rgb(rgb.0, rgb.1, rgb.2)).fg(text)
        }
    }
}

fn mono(share: f32) -> Style {
    if share < 0.34 {
        Style::new().add_modifier(Modifier::UNDERLINED)
    } else {
        Style::new().add_modifier(Modifier::UNDERLINED | Modifier::BOLD)
    }
}

fn sixteen(share: f32) -> Style {
    if share < 0.2 {
        Style::new().fg(Color::Yellow)
    } else if share < 0.6 {
        Style::new().fg(Color::Black).bg(Color::Yellow)
    } else {
        Style::new().fg(Color::Black).bg(Color::LightYellow).add_modifier(Modifier::BOLD)
    }
}

fn blend(ground: Ground, share: f32) -> Rgb {
    let ramp = if ground == Ground::Dark { &ON_DARK } else { &ON_LIGHT };
    let at = share * (ramp.len() - 1) as f32;
    let low = (at.floor() as usize).min(ramp.len() - 2);
    let part = at - low as f32;
    let mix = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * part).round() as u8;
    let ((r0, g0, b0), (r1, g1, b1)) = (ramp[low], ramp[low + 1]);
    (mix(r0, r1), mix(g0, g1), mix(b0, b1))
}

/// Whether dark text reads better on it (relative luminance of sRGB, roughly).
fn is_light((r, g, b): Rgb) -> bool {
    f32::from(r) * 0.299 + f32::from(g) * 0.587 + f32::from(b) * 0.114 > 128.0
}

/// The nearest colour of the 6×6×6 cube.
fn cube((r, g, b): Rgb) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |v: u8| (0..6_u8).min_by_key(|i| LEVELS[usize::from(*i)].abs_diff(v)).unwrap_or(0);
    16 + 36 * nearest(r) + 6 * nearest(g) + nearest(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_rises_everywhere() {
        for depth in [Depth::Ansi256, Depth::True, Depth::Ansi16, Depth::Mono] {
            assert_eq!(heat(depth, Ground::Dark, 0.0), Style::new());
            assert_eq!(heat(depth, Ground::Dark, f32::NAN), Style::new());
            assert_ne!(heat(depth, Ground::Dark, 0.1), heat(depth, Ground::Dark, 1.0), "{depth:?}");
            assert_eq!(heat(depth, Ground::Dark, 7.0), heat(depth, Ground::Dark, 1.0));
        }
    }

    #[test]
    fn colours_of_the_cube_are_exact_where_they_can_be() {
        assert_eq!(cube((0, 0, 0)), 16);
        assert_eq!(cube((255, 255, 255)), 231);
        assert_eq!(cube((255, 0, 0)), 196);
    }
}
