//! Values of arguments: what is a cosine, a shard, a size, and what is said of text that is none.
//! Not here: which argument takes which.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::analysis::intervention::{LatentAbove, LatentId, Where};
use crate::home;
use crate::session::{MOST_STRENGTHS, Sweep};

/// A path; a shell leaves the `~` of `--text=~/stories.txt` as it is.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(home::expand)
}

/// A cosine.
pub(super) fn cosine(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (-1.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a cosine lies between -1 and 1".to_owned()),
    }
}

/// A temperature.
pub(super) fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("a temperature is a number from 0, where the likeliest token is taken".to_owned()),
    }
}

/// A meta-latent and its activation, `228:0.3`.
pub(super) fn addition(text: &str) -> Result<(u32, f32), String> {
    let wrong = || "an addition is a meta-latent and its activation, such as 228:0.3".to_owned();
    let (meta_latent, activation) = text.split_once(':').ok_or_else(wrong)?;
    match (meta_latent.parse(), activation.parse::<f32>()) {
        (Ok(meta_latent), Ok(activation)) if activation.is_finite() => Ok((meta_latent, activation)),
        _ => Err(wrong()),
    }
}

/// Two meta-latents, `281:1512`.
pub(super) fn exchange(text: &str) -> Result<(u32, u32), String> {
    let wrong = || "an exchange is two meta-latents, such as 281:1512".to_owned();
    let (out, new) = text.split_once(':').ok_or_else(wrong)?;
    out.parse().ok().zip(new.parse().ok()).ok_or_else(wrong)
}

/// A shard and how many there are, `1/3`.
pub(super) fn shard(text: &str) -> Result<(u32, u32), String> {
    let wrong = || "a shard is its number and how many there are, such as 1/3".to_owned();
    let (shard, of) = text.split_once('/').ok_or_else(wrong)?;
    match (shard.parse::<u32>(), of.parse::<u32>()) {
        (Ok(shard), Ok(of)) if shard >= 1 && shard <= of => Ok((shard, of)),
        _ => Err(wrong()),
    }
}

/// A strength.
pub(super) fn number(text: &str) -> Result<f32, String> {
    let wrong = || "a strength is a finite number".to_owned();
    text.parse::<f32>().ok().filter(|value| value.is_finite()).ok_or_else(wrong)
}

/// At which positions: `all`, `fires`, `3,4`.
pub(super) fn places(text: &str) -> Result<Where, String> {
    match text {
        "all" => return Ok(Where::All),
        "fires" => return Ok(Where::Fires),
        _ => {}
    }
    let positions: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
    positions.map(Where::Positions).map_err(|_| "say all, fires, or positions from 0, such as 3,4".to_owned())
}

/// That a latent fires above a value, `512:182>4.5`.
pub(super) fn condition(text: &str) -> Result<LatentAbove, String> {
    let wrong = || "a condition is SAE:LATENT>V, such as '512:182>4.5'".to_owned();
    let (latent, above) = text.rsplit_once('>').ok_or_else(wrong)?;
    match (latent_of(latent), above.trim().parse::<f32>()) {
        (Ok(latent), Ok(above)) if above.is_finite() => Ok(LatentAbove { latent, above }),
        _ => Err(wrong()),
    }
}

/// A latent, `512:182`.
pub(super) fn latent_of(text: &str) -> Result<LatentId, String> {
    let wrong = || "a latent is SAE:LATENT, such as 512:182".to_owned();
    // An SAE's id may have colons of its own.
    let (sae, latent) = text.rsplit_once(':').ok_or_else(wrong)?;
    match latent.trim().parse() {
        Ok(latent) if !sae.is_empty() => Ok(LatentId { sae: sae.to_owned(), latent }),
        _ => Err(wrong()),
    }
}

/// Strengths, `0:40:9`.
pub(super) fn sweep(text: &str) -> Result<Sweep, String> {
    let wrong = || format!("a sweep is A:B:N, such as 0:40:9, with 1 to {MOST_STRENGTHS} strengths");
    let parts: Vec<&str> = text.split(':').collect();
    let &[from, to, count] = &parts[..] else { return Err(wrong()) };
    match (number(from), number(to), count.parse()) {
        (Ok(from), Ok(to), Ok(count @ 1..=MOST_STRENGTHS)) => Ok(Sweep { from, to, count }),
        _ => Err(wrong()),
    }
}

/// How many tokens, at least 2.
pub(super) fn tokens(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|tokens| *tokens >= 2).ok_or_else(|| "at least 2 tokens are needed".to_owned())
}

/// Columns and rows, `120x40`.
pub(super) fn size(text: &str) -> Result<(u16, u16), String> {
    let wrong = || "a size is columns x rows, such as 120x40; 10x5 to 500x200".to_owned();
    let (columns, rows) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
    match (columns.parse(), rows.parse()) {
        (Ok(columns @ 10..=500), Ok(rows @ 5..=200)) => Ok((columns, rows)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_cosines_outside_their_bounds_are_refused() {
        assert_eq!(size("80x24"), Ok((80, 24)));
        for wrong in ["80", "80x", "0x0", "x24", "99999x24", "-1x4"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!((addition("3:0.5"), exchange("3:4")), (Ok((3, 0.5)), Ok((3, 4))));
        for wrong in ["3", "3:", ":1", "3:NaN", "a:b"] {
            assert!(addition(wrong).is_err() && exchange(wrong).is_err(), "{wrong}");
        }
        assert_eq!((temperature("0"), temperature("0.7")), (Ok(0.0), Ok(0.7)));
        for wrong in ["nan", "NaN", "inf", "-inf", "-0.1", "infinity", "1e999", "warm", ""] {
            assert!(temperature(wrong).is_err(), "{wrong}");
        }
        assert_eq!((shard("1/1"), shard("2/3")), (Ok((1, 1)), Ok((2, 3))));
        for wrong in ["", "1", "0/3", "4/3", "a/b", "-1/2", "1/2/3"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
        let latent = LatentId { sae: "a:b".to_owned(), latent: 7 };
        assert_eq!(condition("a:b:7>-0.5"), Ok(LatentAbove { latent, above: -0.5 }));
        for wrong in ["", "7>1", ":7>1", "a:7", "a:7>", "a:7>NaN", "a:x>1", "a:-1>1"] {
            assert!(condition(wrong).is_err(), "{wrong}");
        }
        assert_eq!((places("all"), places("fires")), (Ok(Where::All), Ok(Where::Fires)));
        assert_eq!(places("3,0"), Ok(Where::Positions(vec![3, 0])));
        assert_eq!(sweep("-1:2.5:8"), Ok(Sweep { from: -1.0, to: 2.5, count: 8 }));
        for wrong in ["", "1:2", "1:2:0", "1:2:65", "1:2:3:4", "NaN:1:2", "a:b:c"] {
            assert!(sweep(wrong).is_err() && places(wrong).is_err(), "{wrong}");
        }
        assert_eq!(cosine("-0.5"), Ok(-0.5));
        for wrong in ["1.5", "NaN", "seven"] {
            assert!(cosine(wrong).is_err(), "{wrong}");
        }
    }
}
