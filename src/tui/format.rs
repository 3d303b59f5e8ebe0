//! Numbers as a person reads them in few cells.
//! Not here: text of tokens (`text`).

use std::time::Duration;

/// Bytes with a decimal unit: `1.2 GB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 99.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A whole number with commas: `98,304`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time span as a clock shows it: `0:07`, `12:30`, `1:02:03`.
#[must_use]
pub fn clock(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Milliseconds: `8.3 ms`, `120 ms`, `2.4 s`.
#[must_use]
pub fn millis(ms: f64) -> String {
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1000.0)
    }
}

/// A number with three significant digits, in at most seven cells: `0.0123`, `12.3`, `1234`, `1.2e-5`.
#[must_use]
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".into()
    } else if !value.is_finite() {
        format!("{value}")
    } else if !(0.00095..99_999.5).contains(&size) {
        format!("{value:.1e}")
    } else {
        let digits = |size: f64| usize::try_from(2 - size.log10().floor() as i32).unwrap_or(0);
        // 0.9999 rounds to 1.00, not to 1.000: the digits are those of the rounded number.
        let rounded = format!("{size:.*}", digits(size)).parse().unwrap_or(size);
        format!("{value:.*}", digits(rounded))
    }
}

/// An activation: two digits behind the point, fewer when large.
#[must_use]
pub fn activation(value: f32) -> String {
    let size = value.abs();
    match size {
        s if s < 99.995 => format!("{value:.2}"),
        s if s < 9999.5 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A share as percent: `41.2%`; what is there at all never reads as nothing.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.05 {
        return "<0.1%".into();
    }
    if percent >= 99.95 || percent == 0.0 { format!("{percent:.0}%") } else { format!("{percent:.1}%") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases =
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (548_105_171, "548 MB"), (12_345_678_901, "12.3 GB")];
        for (n, text) in cases {
            assert_eq!(bytes(n), text);
        }
        assert_eq!(count(98_304), "98,304");
        assert_eq!(count(768), "768");
        assert_eq!(clock(Duration::from_secs(67)), "1:07");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
        for (value, text) in [
            (0.0, "0"),
            (12.34, "12.3"),
            (0.012_34, "0.0123"),
            (1234.0, "1234"),
            (0.000_012, "1.2e-5"),
            (1.0, "1.00"),
            (0.99996, "1.00"),
            (-12.3, "-12.3"),
        ] {
            assert_eq!(short(value), text);
        }
        for (share, text) in [(0.0, "0%"), (0.000_01, "<0.1%"), (0.0005, "0.1%"), (0.412, "41.2%"), (1.0, "100%")] {
            assert_eq!(percent(share), text);
        }
        assert_eq!(millis(8.31), "8.3 ms");
        assert_eq!(millis(2400.0), "2.4 s");
        assert_eq!(activation(123.46), "123.5");
    }
}
