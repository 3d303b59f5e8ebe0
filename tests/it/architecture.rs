//! The modules use each other in one direction only: as the table in ARCHITECTURE.md says, against which every path in
//! `src/` is held; inside the large modules no files use each other in a circle; the files that the recipes name exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../ARCHITECTURE.md");

/// What each module may use of the others: the first and the last column of the table.
fn may_use() -> BTreeMap<&'static str, Vec<&'static str>> {
    let section = PAGE.split("## Modules and who may use whom").nth(1).expect("the page has the table");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut table = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [modules, .., used] = &cells[..] else { panic!("a row without columns: {row}") };
        let used: Vec<&str> = named(used.split('—').next().unwrap_or_default()).collect();
        for module in named(modules) {
            assert!(table.insert(module, used.clone()).is_none(), "`{module}` stands in the table twice");
        }
    }
    assert!(table.len() > 15, "the table was read: {table:?}");
    table
}

/// The names between backticks, of a path its first part.
fn named(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).map(|name| name.split("::").next().unwrap_or(name))
}

/// What a module must never name, whatever it uses.
const NEVER: &[(&str, &[&str])] = &[
    ("hub", &["candle_core", "ratatui", "crossterm"]),
    ("model", &["hf_hub", "reqwest", "ratatui", "crossterm"]),
    ("sae", &["hf_hub", "reqwest", "ratatui", "crossterm"]),
    ("suite", &["candle_core", "safetensors::", "ratatui", "crossterm"]),
    ("analysis", &["std::fs", "std::thread", "std::time", "ratatui", "crossterm"]),
    ("session", &["std::thread", "ratatui", "crossterm"]),
    ("worker", &["ratatui", "crossterm"]),
    ("tui", &["candle_core", "safetensors::", "hf_hub", "reqwest"]),
    ("cli", &["ratatui", "candle_core"]),
];

#[test]
fn modules_use_each_other_in_one_direction_only() {
    let allowed = may_use();
    let mut wrong = Vec::new();
    for (file, module, code) in sources() {
        let Some(may) = allowed.get(module.as_str()) else {
            wrong.push(format!("{}: the table has no module `{module}`", file.display()));
            continue;
        };
        let used: BTreeSet<String> =
            paths(&code).into_iter().filter_map(|path| path.first().cloned()).filter(|used| *used != module).collect();
        let forbidden = used.iter().filter(|used| !may.contains(&used.as_str()));
        wrong.extend(forbidden.map(|used| format!("{}: `{module}` may not use `{used}`", file.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    let allowed = may_use();
    for module in allowed.keys() {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![*module];
        while let Some(next) = open.pop() {
            for used in &allowed[next] {
                assert_ne!(used, module, "`{module}` reaches itself through `{next}`");
                if reached.insert(used) {
                    open.push(used);
                }
            }
        }
    }
}

#[test]
fn no_module_names_what_it_must_not_know() {
    let mut wrong = Vec::new();
    for (file, module, code) in sources() {
        let never = NEVER.iter().find(|(name, _)| *name == module).map_or(&[] as &[&str], |(_, never)| never);
        let named = never.iter().filter(|name| code.contains(*name));
        wrong.extend(named.map(|name| format!("{}: `{module}` names `{name}`", file.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is() {
    let silent: Vec<_> = sources().into_iter().filter(|(_, _, code)| !code.starts_with("//!")).collect();
    let names: Vec<String> = silent.iter().map(|(file, ..)| file.display().to_string()).collect();
    assert!(names.is_empty(), "no `//!` line at the top of: {}", names.join(", "));
}

/// Every file of `src/` but the two roots: its path, its module, and its code without what only tests see.
fn sources() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let sources = files.into_iter().filter_map(|file| {
        let below = file.strip_prefix(&root).expect("lies below");
        let first = below.components().next().expect("has a name").as_os_str().to_str().expect("is UTF-8");
        let module = first.trim_end_matches(".rs").to_owned();
        let is_test = file.file_name().is_some_and(|name| name == "tests.rs");
        if matches!(module.as_str(), "lib" | "main") || is_test {
            return None;
        }
        let text = fs::read_to_string(&file).expect("is readable");
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        Some((file, module, code))
    });
    let sources: Vec<_> = sources.collect();
    assert!(sources.len() > 50, "the sources were found");
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("is a folder") {
        let path = entry.expect("is an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The paths after `crate::`, each part by part, with all those of `crate::{a, b::{c, d}}`; not those in comments.
fn paths(code: &str) -> Vec<Vec<String>> {
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut all = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        branches(&code[at + found.len()..], &mut Vec::new(), &mut all);
    }
    all
}

/// Follows a path, and gives how much of the text it took.
fn branches(text: &str, before: &mut Vec<String>, all: &mut Vec<Vec<String>>) -> usize {
    let depth = before.len();
    let mut at = 0;
    loop {
        let name: String = text[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !name.is_empty() {
            at += name.len();
            before.push(name);
        } else if text[at..].starts_with('{') {
            let spaces = |from: usize| text[from..].len() - text[from..].trim_start().len();
            at += 1;
            at += spaces(at);
            while !text[at..].starts_with('}') {
                let took = branches(&text[at..], before, all);
                // What is between two paths: a comma, spaces, `as x`.
                let rest = text[at + took..].find([',', '}']).map_or(text.len() - at - took, |end| end);
                at += took + rest;
                at += text[at..]
                    .chars()
                    .take_while(|c| *c == ',' || c.is_whitespace())
                    .map(char::len_utf8)
                    .sum::<usize>();
                if at >= text.len() {
                    break;
                }
            }
            before.truncate(depth);
            return (at + 1).min(text.len());
        }
        if !text[at..].starts_with("::") {
            break;
        }
        at += 2;
    }
    all.push(before.clone());
    before.truncate(depth);
    at
}

#[test]
fn paths_are_read_whole() {
    let read = |code: &str| paths(code).into_iter().map(|path| path.join("::")).collect::<Vec<_>>();
    assert_eq!(
        read("use crate::a::{b::{C, d}, e as f};\nx(crate::g::h(1), 2)"),
        ["a::b::C", "a::b::d", "a::e", "g::h"]
    );
    assert_eq!(read("// crate::no\nuse crate::{\n    a,\n    b::c,\n};"), ["a", "b::c"]);
}

/// The large modules in which no files use each other in a circle, and down to which depth of folders they are looked
/// at. A file may use the one that its folder belongs to, which says what they have in common.
const UNTANGLED: &[(&str, usize)] = &[("model", 2), ("session", 2), ("tui", 3)];

#[test]
fn no_files_of_a_large_module_use_each_other_in_a_circle() {
    for (module, depth) in UNTANGLED {
        let mut files: BTreeMap<Vec<String>, String> = BTreeMap::new();
        for (file, _, code) in sources().into_iter().filter(|(_, of, _)| of == module) {
            let mut path = module_path(&file);
            // From where the file stands, before what lies deeper is put to its folder.
            let relative: Vec<String> =
                relative(&code, &path).iter().map(|path| format!("crate::{}", path.join("::"))).collect();
            path.truncate(*depth);
            files.entry(path).or_default().extend([&code, "\n", &relative.join("\n"), "\n"]);
        }
        let mut uses: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = BTreeMap::new();
        for (file, code) in &files {
            for path in paths(code) {
                // The longest beginning that is a file.
                let found = (1..=path.len()).rev().find_map(|length| files.get_key_value(&path[..length]));
                let Some((used, _)) = found.filter(|(used, _)| *used != file) else { continue };
                if !file.starts_with(used) {
                    uses.entry(file).or_default().insert(used);
                }
            }
            // Who uses a folder's file reaches the folder.
            let children = files.keys().filter(|child| child.len() == file.len() + 1 && child.starts_with(file));
            // The root of all has everything below it; nothing but the other modules uses it.
            if file.len() > 1 {
                uses.entry(file).or_default().extend(children);
            }
        }
        for start in files.keys() {
            let mut came: BTreeMap<&Vec<String>, &Vec<String>> = BTreeMap::new();
            let mut open = vec![start];
            while let Some(next) = open.pop() {
                for used in uses.get(next).into_iter().flatten() {
                    if !came.contains_key(used) {
                        came.insert(used, next);
                        open.push(used);
                    }
                }
            }
            if let Some(mut at) = came.get(start).copied() {
                let mut circle = vec![start.join("::")];
                while at != start {
                    circle.push(at.join("::"));
                    at = came[at];
                }
                panic!("a circle: {}", circle.join(" is used by "));
            }
        }
    }
}

/// Paths after `super::`, from the root of the module.
fn relative(code: &str, file: &[String]) -> Vec<Vec<String>> {
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut all = Vec::new();
    for (at, _) in code.match_indices("super::") {
        let before = code[..at].ends_with("super::");
        if before {
            continue;
        }
        let ups = 1 + code[at + 7..].split("super::").take_while(|part| part.is_empty()).count();
        let mut above = file[..file.len().saturating_sub(ups)].to_vec();
        branches(&code[at + 7 * ups..], &mut above, &mut all);
    }
    all
}

/// `src/tui/panes/card.rs` as `tui`, `panes`, `card`.
fn module_path(file: &Path) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let below = file.strip_prefix(&root).expect("lies below").with_extension("");
    below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_files_that_the_page_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    let mut seen = 0;
    for name in PAGE.split('`').skip(1).step_by(2).filter(|name| is_a_file(name)) {
        seen += 1;
        let there = ["", "src", "src/tui"].iter().any(|folder| root.join(folder).join(name).exists());
        // What a recipe lets one write is named by X.
        if !there && !name.ends_with("/X.rs") && !name.ends_with("/NAME.rs") {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md names what is not there: {missing:?}");
    assert!(seen > 40 && PAGE.contains("## Recipes"));
}

fn is_a_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "rs" || end == "py") && !name.contains(['*', ' ', '{'])
}
