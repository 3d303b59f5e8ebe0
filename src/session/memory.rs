//! How much memory there is, so that what does not fit is refused before it is loaded.
//! Not here: how much something needs.

use std::path::{Path, PathBuf};

/// The bytes that can be used without swapping, where the system reports it: of the machine's, and of what this process's
/// group may have, as in a container.
#[must_use]
pub fn available() -> Option<u64> {
    let free = parse(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    Some(allowed(&groups, &read).map_or(free, |allowed| allowed.min(free)))
}

/// `MemAvailable` of Linux' `/proc/meminfo`, which counts in KiB.
fn parse(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// What is left of the smallest limit that the groups of `/proc/self/cgroup` or those above them set, in either version
/// of Linux' control groups. Copies of files do not count as used: they are given up when memory is needed.
fn allowed(groups: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let left = |folder: &Path, [limit, used, files]: [&str; 3]| {
        let number = |file| read(&folder.join(file))?.trim().parse::<u64>().ok();
        let stat = read(&folder.join("memory.stat")).unwrap_or_default();
        let cached = stat.lines().find_map(|line| line.strip_prefix(files)?.trim().parse::<u64>().ok());
        Some(number(limit)?.saturating_sub(number(used)?.saturating_sub(cached.unwrap_or(0))))
    };
    let of_group = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let (root, names) = match controllers {
            "" => ("/sys/fs/cgroup", ["memory.max", "memory.current", "file "]),
            some if some.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache "])
            }
            _ => return None,
        };
        let folder = PathBuf::from(root).join(path);
        folder.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(|folder| left(folder, names)).min()
    };
    groups.lines().filter_map(of_group).min()
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

    #[test]
    fn the_smallest_limit_of_a_group_and_of_those_above_it_counts_without_copies_of_files() {
        let files = [
            ("memory.max", "max\n"),
            ("memory.current", "7\n"),
            ("a/memory.max", "5000\n"),
            ("a/memory.current", "3000\n"),
            ("a/memory.stat", "anon 900\nfile 2000\nfile_mapped 700\n"),
            ("a/b/memory.max", "max\n"),
            ("memory/x/memory.limit_in_bytes", "800\n"),
            ("memory/x/memory.usage_in_bytes", "900\n"),
            ("memory/x/memory.stat", "cache 1\ntotal_cache 400\n"),
        ];
        let read = |path: &Path| {
            let (_, text) = files.iter().find(|(file, _)| Path::new("/sys/fs/cgroup").join(file) == path)?;
            Some((*text).to_owned())
        };
        assert_eq!(allowed("0::/a/b\n", &read), Some(4000), "the group above has the limit");
        assert_eq!(allowed("0::/\n", &read), None);
        assert_eq!(allowed("4:memory:/x\n3:cpu,cpuacct:/\n0::/a\n", &read), Some(300));
        assert_eq!(allowed("4:memory:/y\nnonsense\n", &read), None);
    }
}
