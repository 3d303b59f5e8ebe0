//! Keys written down, for pictures and tests: `hello<esc><right><3*down>`.
//! Not here: pressing them.
//!
//! Every character is typed as it stands. Between `<` and `>` stands a key by name (`esc`, `enter`, `left`, `tab`,
//! `ctrl-p`, `shift-s`, `f1`, …), `N*key` for a key pressed N times, `lt` and `gt` for the brackets themselves, or
//! `wait`, which waits for downloads and for what is measured in the background too.

use crokey::KeyCombination;
use crossterm::event::{KeyCode, KeyModifiers};

use crate::report::{Kind, Report};

/// One step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptStep {
    /// A key.
    Press(KeyCombination),
    /// Wait until nothing is pending, downloads and what is measured in the background included.
    Wait,
}

/// Most presses of one `N*key`.
const MAX_REPEATS: usize = 1000;

/// The steps of a script.
///
/// # Errors
/// When a bracket is not closed, or what is in it is not a key.
pub fn parse(script: &str) -> Result<Vec<ScriptStep>, Report> {
    let mut steps = Vec::new();
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if c != '<' {
            steps.push(ScriptStep::Press(typed(c)));
            rest = after;
            continue;
        }
        let Some((name, after)) = after.split_once('>') else {
            return Err(wrong(rest, "`<` without `>`; to type a bracket write `<lt>`"));
        };
        steps.extend(named(name)?);
        rest = after;
    }
    Ok(steps)
}

fn named(name: &str) -> Result<Vec<ScriptStep>, Report> {
    let (times, key) = match name.split_once('*') {
        Some((times, key)) => match times.trim().parse::<usize>() {
            Ok(times) if times <= MAX_REPEATS => (times, key.trim()),
            _ => return Err(wrong(name, "`*` must follow a repeat count from 1 to 1000")),
        },
        None => (1, name),
    };
    let step = match key {
        "wait" => ScriptStep::Wait,
        "lt" => ScriptStep::Press(typed('<')),
        "gt" => ScriptStep::Press(typed('>')),
        key => match key.parse::<KeyCombination>() {
            Ok(key) => ScriptStep::Press(key.normalized()),
            Err(error) => return Err(wrong(name, &error.to_string())),
        },
    };
    Ok(vec![step; times])
}

/// The key that types a character.
fn typed(c: char) -> KeyCombination {
    match c {
        '\n' => KeyCombination::one_key(KeyCode::Char('j'), KeyModifiers::CONTROL),
        c => KeyCombination::one_key(KeyCode::Char(c), KeyModifiers::NONE).normalized(),
    }
}

fn wrong(part: &str, why: &str) -> Report {
    Report::new(format!("cannot read `{part}` as keys"))
        .because(why)
        .hint("write keys as in `hello<esc><right><3*down><ctrl-p>`")
        .kind(Kind::Usage)
}

#[cfg(test)]
mod tests {
    use crokey::key;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_text_and_named_keys() {
        let steps = parse("aS<esc><2*down><ctrl-p><lt>").expect("a script");
        let keys = [key!(a), key!(shift - s), key!(esc), key!(down), key!(down), key!(ctrl - p)];
        let mut expected: Vec<ScriptStep> = keys.into_iter().map(ScriptStep::Press).collect();
        expected.push(ScriptStep::Press(typed('<')));
        assert_eq!(steps, expected);
        assert_eq!(parse("<wait>").expect("a script"), [ScriptStep::Wait]);
    }

    #[test]
    fn says_what_is_no_key() {
        for bad in ["<esc", "<nokey>", "<9999*down>", "<x*down>", "<>"] {
            assert_eq!(parse(bad).expect_err(bad).kind, Kind::Usage, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(script in any::<String>()) {
            let _ = parse(&script);
        }
    }
}
