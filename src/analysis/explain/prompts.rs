//! What a model is asked: for words, and to judge windows by words. The form is delphi's, the wording is this program's.
//! Not here: which windows.

use serde::Serialize;

use crate::analysis::explain::windows::{Evidence, Snippet};
use crate::analysis::index::mix;

/// Tokens that fire with more than this share of a window's maximum are marked.
const MARKED: f32 = 0.3;
/// Tokens of which the strength is told, of each window.
const TOLD: usize = 10;

const EXPLAIN: &str = "You study one unit of a language model: when it responds to text. You are given excerpts. Tokens to \
which it responds stand between << and >>; behind each excerpt their strengths are listed, from 1 to 10. Find what these \
tokens, or what leads up to them, have in common.\n\
- Answer with one short, specific description of when the unit responds. No list of alternatives.\n\
- Do not speak of the marks, nor of excerpts that say nothing.\n\
- The last line of your answer is the description behind [EXPLANATION]:";

const EXPLAIN_SHOT: (&str, &str) = (
    "Excerpt 1: the queen was crowned in<< Paris>>, and\nStrengths: (\" Paris\", 9)\n\
     Excerpt 2: a train from<< Lyon>> to<< Nice>> was late\nStrengths: (\" Lyon\", 6), (\" Nice\", 7)",
    "[EXPLANATION]: Names of French cities.",
);

const DETECT: &str = "You are given a description of what a unit of a language model responds to, and numbered excerpts of \
text. Decide of each whether it contains what the description says. Answer with nothing but a list, one number for each \
excerpt in turn: 1 where it does, 0 where it does not.";

const DETECT_SHOTS: [(&str, &str); 2] = [
    (
        "Description: Names of French cities.\n\nExcerpts:\n\nExcerpt 0: the queen was crowned in Paris, and\n\
         Excerpt 1: the dog ran after its own tail\nExcerpt 2: a train from Lyon to Nice was late\n\
         Excerpt 3: in Boston it had snowed\nExcerpt 4: he wrote it in Grenoble in",
        "[1,0,1,0,1]",
    ),
    (
        "Description: The word \"of\" before a name.\n\nExcerpts:\n\nExcerpt 0: ten of them came back\n\
         Excerpt 1: sunlight on the floor\nExcerpt 2: more of the same, he said\n\
         Excerpt 3: was told to nobody at all\nExcerpt 4: for want of a nail",
        "[0,0,0,0,0]",
    ),
];

const FUZZ: &str = "You are given a description of what a unit of a language model responds to, and numbered excerpts of \
text in which tokens stand between << and >>. Decide of each whether every marked token is one that the description \
fits. Excerpts may all be marked rightly, or none of them. Answer with nothing but a list, one number for each excerpt in \
turn: 1 where the marks are right, 0 where they are not.";

const FUZZ_SHOTS: [(&str, &str); 2] = [
    (
        "Description: Names of French cities.\n\nExcerpts:\n\nExcerpt 0: the queen was crowned in<< Paris>>, and\n\
         Excerpt 1: the queen was<< crowned>> in Paris, and\nExcerpt 2: a train from<< Lyon>> to<< Nice>> was late\n\
         Excerpt 3: in<< Boston>> it had snowed\nExcerpt 4: he wrote it in<< Grenoble>> in",
        "[1,0,1,0,1]",
    ),
    (
        "Description: The word \"of\" before a name.\n\nExcerpts:\n\nExcerpt 0: ten<< of>> them came back\n\
         Excerpt 1: the Duke of<< York>> had\nExcerpt 2: more<< of>> the same, he said\n\
         Excerpt 3: was told to<< nobody>> at all\nExcerpt 4: for<< want>> of a nail",
        "[0,0,0,0,0]",
    ),
];

/// A part of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    /// What is said.
    pub content: String,
}

/// Which windows are told from which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Those in which the latent fires from others.
    Detection,
    /// Those in which the tokens that are marked fire from those in which others are marked.
    Fuzzing,
}

/// A window to be judged, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The text.
    pub text: String,
    /// Whether the latent fires in it, and so the marks are right.
    pub fires: bool,
}

/// Asks for words for what is shown; `text` gives a token's.
#[must_use]
pub fn explain(shown: &[Snippet], text: &dyn Fn(u32) -> String) -> Vec<Message> {
    let strongest = shown.iter().map(Snippet::max).fold(f32::MIN_POSITIVE, f32::max);
    let excerpt = |(at, snippet): (usize, &Snippet)| {
        let least = snippet.max() * MARKED;
        let marked = marked(snippet, text, |at| snippet.activations[at] > least);
        let told = snippet.ids.iter().zip(&snippet.activations).filter(|(_, value)| **value > least).take(TOLD);
        let strength = |(id, value): (&u32, &f32)| {
            format!("({:?}, {})", text(*id), (10.0 * value / strongest).ceil().clamp(1.0, 10.0))
        };
        let told: Vec<String> = told.map(strength).collect();
        format!("Excerpt {}:{marked}\nStrengths: {}", at + 1, told.join(", "))
    };
    let excerpts: Vec<String> = shown.iter().enumerate().map(excerpt).collect();
    conversation(EXPLAIN, &[EXPLAIN_SHOT], excerpts.join("\n"))
}

/// Asks to judge some windows by words.
#[must_use]
pub fn judge(task: Task, words: &str, cases: &[Case]) -> Vec<Message> {
    let excerpts: Vec<String> =
        cases.iter().enumerate().map(|(at, case)| format!("Excerpt {at}:{}", case.text)).collect();
    let asked = format!("Description: {words}\n\nExcerpts:\n\n{}", excerpts.join("\n"));
    match task {
        Task::Detection => conversation(DETECT, &DETECT_SHOTS, asked),
        Task::Fuzzing => conversation(FUZZ, &FUZZ_SHOTS, asked),
    }
}

fn conversation(system: &str, shots: &[(&str, &str)], asked: String) -> Vec<Message> {
    let message = |role, content: &str| Message { role, content: content.to_owned() };
    let shots = shots.iter().flat_map(|(asked, said)| [message("user", asked), message("assistant", said)]);
    let asked = Message { role: "user", content: asked };
    [message("system", system)].into_iter().chain(shots).chain([asked]).collect()
}

impl Evidence {
    /// The windows to be judged, in an order of their own; `text` gives a token's.
    #[must_use]
    pub fn cases(&self, task: Task, text: &dyn Fn(u32) -> String) -> Vec<Case> {
        // As many marks as tokens fire in a window that does, in the mean.
        let fires: usize = self.fires.iter().map(Snippet::count).sum();
        let marks = fires.div_ceil(self.fires.len().max(1));
        let right = |snippet: &Snippet| match task {
            Task::Detection => marked(snippet, text, |_| false),
            Task::Fuzzing => {
                let least = snippet.max() * MARKED;
                marked(snippet, text, |at| snippet.activations[at] >= least && snippet.activations[at] > 0.0)
            }
        };
        let wrong = |snippet: &Snippet| {
            let places = if task == Task::Fuzzing { wrong_marks(snippet, marks) } else { Vec::new() };
            marked(snippet, text, |at| places.contains(&at))
        };
        let of = |snippets: &[Snippet], fires: bool| {
            let case = |snippet: &Snippet| {
                let text = if fires { right(snippet) } else { wrong(snippet) };
                (mix(snippet.number as u64 ^ 0x5eed), Case { text, fires })
            };
            snippets.iter().map(case).collect::<Vec<_>>()
        };
        let mut cases = of(&self.fires, true);
        cases.extend(of(&self.silent, false));
        cases.sort_by_key(|(drawn, _)| *drawn);
        cases.into_iter().map(|(_, case)| case).collect()
    }
}

/// Tokens that are marked in a window without the latent: the one at three quarters of it, where delphi's windows have
/// their peak, and others at random.
fn wrong_marks(snippet: &Snippet, marks: usize) -> Vec<usize> {
    let length = snippet.ids.len();
    let peak = length - length / 4;
    let mut places: Vec<usize> = (0..length).collect();
    places.sort_by_key(|at| (*at != peak, mix(mix(snippet.number as u64) ^ *at as u64)));
    places.truncate(marks.max(1));
    places
}

/// A window's text, with what is marked between `<<` and `>>`; neighbours stand between the same.
fn marked(snippet: &Snippet, text: &dyn Fn(u32) -> String, is_marked: impl Fn(usize) -> bool) -> String {
    let mut out = String::new();
    let mut open = false;
    for (at, id) in snippet.ids.iter().enumerate() {
        if is_marked(at) != open {
            out.push_str(if open { ">>" } else { "<<" });
            open = !open;
        }
        // A line break would begin what looks like another excerpt.
        out.push_str(&text(*id).replace(['\n', '\r'], "⏎"));
    }
    if open {
        out.push_str(">>");
    }
    if out.starts_with(' ') { out } else { format!(" {out}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(values: &[f32], number: usize) -> Snippet {
        Snippet { ids: (0..values.len() as u32).collect(), activations: values.to_vec(), number }
    }

    fn letter(id: u32) -> String {
        format!(" {}", char::from(b'a' + id as u8))
    }

    #[test]
    fn what_fires_strongly_is_marked_and_told() {
        let one = snippet(&[0.0, 5.0, 10.0, 0.0, 2.9, 4.0], 0);
        let two = snippet(&[0.0, 0.0, 0.0, 1.0], 1);
        let asked = explain(&[one, two], &letter).pop().expect("is asked").content;
        let expected = "Excerpt 1: a<< b c>> d e<< f>>\nStrengths: (\" b\", 5), (\" c\", 10), (\" f\", 4)\n\
                        Excerpt 2: a b c<< d>>\nStrengths: (\" d\", 1)";
        assert_eq!(asked, expected);
    }

    #[test]
    fn wrong_marks_are_as_many_as_right_ones_and_stand_where_nothing_fires() {
        let fires = vec![snippet(&[0.0, 4.0, 1.0, 3.0], 0), snippet(&[2.0, 0.0, 0.0, 0.0], 2)];
        let silent = vec![snippet(&[0.0; 8], 1), snippet(&[0.0; 3], 3)];
        let evidence = Evidence { shown: Vec::new(), fires, silent };
        let cases = evidence.cases(Task::Fuzzing, &letter);
        let of = |fires: bool| {
            let mut texts: Vec<&str> = cases.iter().filter(|c| c.fires == fires).map(|case| &*case.text).collect();
            texts.sort_unstable();
            texts
        };
        assert_eq!(of(true), [" << a>> b c d", " a<< b>> c<< d>>"]);
        for text in of(false) {
            let inside: usize =
                text.split("<<").skip(1).map(|part| part.split(">>").next().unwrap_or("").len() / 2).sum();
            assert_eq!(inside, 2, "three and one fire: two in the mean; {text}");
        }
        assert!(of(false).iter().any(|text| text.contains(" g>>") || text.contains("<< g")), "at three quarters");
        let plain = evidence.cases(Task::Detection, &letter);
        assert!(plain.len() == 4 && plain.iter().all(|case| !case.text.contains("<<")));
        assert_eq!(
            plain.iter().map(|case| case.fires).collect::<Vec<_>>(),
            cases.iter().map(|case| case.fires).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_line_break_begins_no_excerpt() {
        let cases = [Case { text: " x".into(), fires: true }];
        let asked = judge(Task::Detection, "words", &cases);
        assert_eq!(asked.last().expect("is asked").content, "Description: words\n\nExcerpts:\n\nExcerpt 0: x");
        assert_eq!(marked(&snippet(&[0.0], 0), &|_| "\nExcerpt 9:".into(), |_| false), " ⏎Excerpt 9:");
    }
}
