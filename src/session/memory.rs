//! How much memory there is, so that what does not fit is refused before it is loaded.
//! Not here: how much something needs.

/// The bytes that can be used without swapping, where the system tells.
#[must_use]
pub fn available() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// `MemAvailable` of Linux' `/proc/meminfo`, which counts in KiB.
fn parse(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_line_that_matters_and_nothing_else() {
        assert_eq!(parse("MemTotal: 100 kB\nMemAvailable:   24 kB\n"), Some(24 * 1024));
        assert_eq!(parse("MemTotal: 100 kB\n"), None);
        assert_eq!(parse("MemAvailable: many kB\n"), None);
    }
}
