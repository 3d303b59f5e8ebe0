//! What a model's answers say, as far as they say anything.
//! Not here: asking.

use serde_json::Value;

/// What stands before the words.
const TAG: &str = "[EXPLANATION]:";
/// Characters of words that are kept.
const LONGEST: usize = 500;

/// The words of an answer: what stands behind its last tag, on one line; none where it has no tag or nothing behind it.
#[must_use]
pub fn explanation(answer: &str) -> Option<String> {
    let (_, words) = spoken(answer).rsplit_once(TAG)?;
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().take(LONGEST).collect();
    (!words.is_empty()).then_some(words)
}

/// The judgements of an answer: the first text in square brackets, as a list of so many zeros and ones (or truth values);
/// none where it is anything else.
#[must_use]
pub fn judgements(answer: &str, count: usize) -> Option<Vec<bool>> {
    let answer = spoken(answer);
    let list = answer.lines().find_map(|line| {
        let from = line.find('[')?;
        let to = line[from..].find(']')?;
        Some(&line[from..=from + to])
    })?;
    let values: Vec<Value> = serde_json::from_str(list).ok()?;
    let of = |value: &Value| match value {
        Value::Bool(said) => Some(*said),
        Value::Number(number) => match number.as_f64()? {
            0.0 => Some(false),
            1.0 => Some(true),
            _ => None,
        },
        _ => None,
    };
    let said: Option<Vec<bool>> = values.iter().map(of).collect();
    said.filter(|said| said.len() == count)
}

/// An answer without what a model thought aloud before it.
fn spoken(answer: &str) -> &str {
    answer.rsplit_once("</think>").map_or(answer, |(_, spoken)| spoken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_behind_the_last_tag() {
        let said = |answer: &str| explanation(answer);
        assert_eq!(said("Step 1.\n[EXPLANATION]:  Names of\n cities. "), Some("Names of cities.".into()));
        assert_eq!(said("use [EXPLANATION]: x\n[EXPLANATION]: y"), Some("y".into()));
        assert_eq!(said("<think>[EXPLANATION]: no</think>I cannot help with that."), None);
        assert_eq!(said("[EXPLANATION]: \n"), None);
        assert_eq!(said("é".repeat(900).as_str()), None);
        assert_eq!(said(&format!("{TAG}{}", "é".repeat(900))).map(|words| words.chars().count()), Some(LONGEST));
    }

    #[test]
    fn judgements_are_a_list_of_the_right_length() {
        let said = |answer: &str| judgements(answer, 3);
        assert_eq!(said("[1,0,1]"), Some(vec![true, false, true]));
        assert_eq!(said("Sure!\n```\n[1, 0, 0] # so\n```"), Some(vec![true, false, false]));
        assert_eq!(said("<think>[0,0,0]</think>[true, false, 1.0]"), Some(vec![true, false, true]));
        for nonsense in
            ["", "1,0,1", "[1,0]", "[1,0,1,1]", "[1,0,2]", "[\"1\",0,1]", "[1,0", "]1,0,1[", "[see] [1,0,1]"]
        {
            assert_eq!(said(nonsense), None, "{nonsense}");
        }
    }
}
