//! The modules use each other in one direction only: the table below is the one in ARCHITECTURE.md, and every `crate::`
//! path in `src/` is held against it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use of the others.
const MAY_USE: &[(&str, &[&str])] = &[
    ("task", &[]),
    ("text", &[]),
    ("site", &[]),
    ("blob", &[]),
    ("kernel", &[]),
    ("device", &[]),
    ("home", &[]),
    ("format", &["blob"]),
    ("report", &["task"]),
    ("toml_file", &["report"]),
    ("json_file", &["blob"]),
    ("settings", &["toml_file", "report", "device", "home"]),
    ("weights", &["blob", "kernel"]),
    ("hub", &["task", "report"]),
    ("model", &["task", "site", "blob", "kernel", "weights", "device", "json_file"]),
    ("sae", &["task", "blob", "format", "kernel", "weights", "json_file"]),
    ("suite", &["task", "hub", "report", "site", "blob", "toml_file", "json_file", "home", "format"]),
    ("analysis", &["model", "sae", "task", "text", "site", "kernel", "weights"]),
    (
        "session",
        &[
            "analysis", "suite", "sae", "model", "hub", "report", "task", "text", "site", "weights", "blob", "format",
            "kernel", "device",
        ],
    ),
    ("worker", &["session", "task", "report"]),
    ("tui", &["session", "analysis", "worker", "task", "text", "settings", "report", "site", "home"]),
    (
        "cli",
        &[
            "session", "analysis", "settings", "report", "task", "text", "tui", "worker", "suite", "hub", "device",
            "home",
        ],
    ),
];

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
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, module, code) in sources() {
        let Some(may) = allowed.get(module.as_str()) else {
            wrong.push(format!("{}: the table has no module `{module}`", file.display()));
            continue;
        };
        let used: BTreeSet<String> = paths(&code).filter(|used| *used != module).collect();
        let forbidden = used.iter().filter(|used| !may.contains(&used.as_str()));
        wrong.extend(forbidden.map(|used| format!("{}: `{module}` may not use `{used}`", file.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    for (module, _) in MAY_USE {
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![*module];
        while let Some(next) = open.pop() {
            for used in allowed[next] {
                assert_ne!(used, module, "`{module}` reaches itself through `{next}`");
                if reached.insert(used) {
                    open.push(used);
                }
            }
        }
    }
}

/// Modules whose files use each other in one direction only; what stands in the module's own file is for all of them.
const WITHOUT_CIRCLES: &[&str] = &["model"];

#[test]
fn files_of_a_module_use_each_other_in_one_direction_only() {
    for module in WITHOUT_CIRCLES {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, ..) in sources().into_iter().filter(|(_, of, _)| of == module) {
            let (Some(part), Some(depth)) = (part_of(&file, module), depth_in(&file, module)) else { continue };
            let text = fs::read_to_string(&file).expect("is readable");
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let upwards = "super::".repeat(depth);
            let named = [format!("crate::{module}::"), upwards].into_iter().flat_map(|from| named_after(code, &from));
            uses.entry(part.clone()).or_default().extend(named.filter(|name| *name != part));
        }
        let parts: BTreeSet<String> = uses.keys().cloned().collect();
        assert!(parts.len() > 5, "the files of `{module}` were found");
        let edges: usize = uses.values().map(|used| used.intersection(&parts).count()).sum();
        assert!(edges > parts.len(), "what the files of `{module}` use was found: {edges}");
        // What uses nothing that is left is taken away, until nothing is left or all of it is a circle.
        let mut left = parts;
        loop {
            let free: Vec<String> = left.iter().filter(|part| uses[*part].is_disjoint(&left)).cloned().collect();
            if free.is_empty() {
                break;
            }
            for part in &free {
                left.remove(part);
            }
        }
        let circle: Vec<String> = left
            .iter()
            .map(|part| format!("{part} uses {:?}", uses[part].intersection(&left).collect::<Vec<_>>()))
            .collect();
        assert!(circle.is_empty(), "files of `{module}` use each other in a circle:\n{}", circle.join("\n"));
    }
}

/// The file's part of its module: itself, or the folder in which it stands.
fn part_of(file: &Path, module: &str) -> Option<String> {
    let below = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module)).ok()?;
    Some(below.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs").to_owned())
}

/// How many `super::` lead from the file to its module.
fn depth_in(file: &Path, module: &str) -> Option<usize> {
    let below = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module)).ok()?;
    Some(below.components().count())
}

/// The names after a prefix such as `super::`, with those of a group, where nothing else stands before it.
fn named_after(code: &str, prefix: &str) -> Vec<String> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|line| [line.trim(), " "]).collect();
    let name = |text: &str| -> String {
        text.trim().chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect()
    };
    let mut names = Vec::new();
    for (at, found) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == ':' || c == '_') {
            continue;
        }
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            None => names.push(name(rest)),
            Some(group) => names.extend(group.split('}').next().unwrap_or(group).split(',').map(name)),
        }
    }
    names
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
fn every_file_that_a_recipe_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("is readable");
    let recipes: Vec<&str> = page.split("\n## ").filter(|section| section.starts_with("Add ")).collect();
    let code = recipes.iter().flat_map(|recipe| recipe.split('`').skip(1).step_by(2));
    let files: Vec<&str> = code.filter(|code| code.ends_with(".rs") || code.ends_with(".py")).collect();
    assert!(!recipes.is_empty() && files.len() > 4, "the recipes were found: {files:?}");
    let missing: Vec<_> =
        files.into_iter().filter(|file| !root.join(file).is_file() && !root.join("src").join(file).is_file()).collect();
    assert!(missing.is_empty(), "recipes in ARCHITECTURE.md name files that are not there: {missing:?}");
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

/// The modules named after `crate::`, with those of `use crate::{a, b::c}`; not those in comments.
fn paths(code: &str) -> impl Iterator<Item = String> + '_ {
    code.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| {
        line.match_indices("crate::").flat_map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let group = rest.strip_prefix('{').map(|group| group.split('}').next().unwrap_or(group));
            let names: Vec<&str> = group.map_or_else(|| vec![rest], |group| group.split(',').collect());
            names
                .into_iter()
                .map(|name| name.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>())
                .filter(|name| !name.is_empty())
                .collect::<Vec<_>>()
        })
    })
}
