//! Interchanges of many pairs of prompts that a template with a slot makes, and how many of them flip the answer.
//! Not here: one interchange (`swap.rs`).

use std::path::Path;

use serde::Serialize;

use super::{CANNOT, SwapQuery};
use crate::analysis::swap::{Exchanged, SwapOrder, SwapPlan, steps};
use crate::kernel;
use crate::report::{Kind, Report};
use crate::session::query::{Cx, Query};
use crate::task::Progress;
use crate::toml_file::{self, Document};

/// Random orders that stand beside the curve of each pair.
const ORDERS: u64 = 4;
/// The quantile of the normal distribution that leaves 2.5 % above it.
const QUANTILE: f64 = 1.959_963_984_540_054;

/// A prompt with a slot, and what may stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapTemplate {
    /// The prompt, with the slot as `{name}`.
    pub prompt: String,
    /// What may stand in it.
    pub rows: Vec<SwapRow>,
}

/// What may stand in a slot, and what the model is to say then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapRow {
    /// The text in the slot.
    pub slot: String,
    /// The answer.
    pub token: String,
    /// The answer of the sources that this row is paired with as the base; none pairs it with every row of another answer.
    pub other: Option<String>,
}

/// Interchanges of all pairs of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapTemplateQuery {
    /// The template.
    pub template: SwapTemplate,
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE whose meta-latents are exchanged; latents otherwise.
    pub meta: Option<String>,
    /// Positions in base and source, as in [`SwapQuery`]; the last otherwise.
    pub positions: Option<(isize, isize)>,
    /// In which order.
    pub order: SwapOrder,
    /// Seed of the random orders.
    pub seed: u64,
}

/// How many pairs flip (the JSON of `saescope swap --template`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SwapTemplateView {
    /// The SAE's id.
    pub sae: String,
    /// The meta-SAE, where its meta-latents were exchanged.
    pub meta: Option<String>,
    /// The prompt with its slot.
    pub prompt: String,
    /// In which order.
    pub order: SwapOrder,
    /// Pairs of a base and a source whose own answers the model prefers in each.
    pub pairs: usize,
    /// Pairs left out, since it does not.
    pub left_out: usize,
    /// Interchange accuracy by k.
    pub accuracy: Vec<SwapAccuracy>,
    /// The share of pairs that flip with the whole activation exchanged.
    pub whole: f64,
    /// Random orders of each pair.
    pub orders: u64,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Interchange accuracy after k latents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SwapAccuracy {
    /// How many latents are exchanged; all where a pair differs in fewer.
    pub k: usize,
    /// The share of pairs whose answer flips.
    pub share: f64,
    /// The lower end of its 95 % interval by Wilson's score (1927), as if pairs were independent.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The share with k random latents.
    pub random: f64,
}

impl SwapTemplate {
    /// Reads a template: `prompt`, and `[[row]]` tables with `slot`, `token` and perhaps `other`.
    ///
    /// # Errors
    /// What is wrong in the file, and in which line.
    pub fn read(path: &Path) -> Result<Self, Report> {
        let name = path.display().to_string();
        let what = || format!("cannot read the template `{}`", name.escape_debug());
        let size = std::fs::metadata(path).map_err(|error| Report::caused(what(), &error))?.len();
        if size > toml_file::MAX_BYTES {
            return Err(Report::new(what()).because(format!("it has {size} bytes; a template has a few thousand")));
        }
        let bytes = std::fs::read(path).map_err(|error| Report::caused(what(), &error))?;
        let parsed = toml_file::utf8(&name, &bytes).and_then(|text| Self::parse(&name, text));
        parsed.map_err(|error| error.report(what()).kind(Kind::Usage))
    }

    fn parse(file: &str, text: &str) -> Result<Self, toml_file::Error> {
        let document = Document::parse(file, text)?;
        let root = document.root();
        root.only(&["prompt", "row"])?;
        let prompt = root.required("prompt", root.string("prompt")?)?;
        if slot_of(prompt).is_none() {
            return Err(root.wrong("prompt", "the prompt has no slot").with_hint("write one as {name}"));
        }
        let mut rows = Vec::new();
        for table in root.tables("row")? {
            table.only(&["slot", "token", "other"])?;
            let text =
                |key| -> Result<String, toml_file::Error> { Ok(table.required(key, table.string(key)?)?.to_owned()) };
            rows.push(SwapRow {
                slot: text("slot")?,
                token: text("token")?,
                other: table.string("other")?.map(str::to_owned),
            });
        }
        Ok(Self { prompt: prompt.to_owned(), rows })
    }

    /// Pairs of a base and a source.
    fn pairs(&self) -> Vec<(&SwapRow, &SwapRow)> {
        let fits = |base: &SwapRow, source: &SwapRow| match &base.other {
            Some(other) => source.token == *other,
            None => source.token != base.token,
        };
        let of = |base| self.rows.iter().filter(move |source| fits(base, source)).map(move |source| (base, source));
        self.rows.iter().flat_map(of).collect()
    }

    fn filled(&self, row: &SwapRow) -> String {
        match slot_of(&self.prompt) {
            Some(slot) => self.prompt.replace(slot, &row.slot),
            None => self.prompt.clone(),
        }
    }
}

/// The first slot of a prompt, with its braces.
fn slot_of(prompt: &str) -> Option<&str> {
    let start = prompt.find('{')?;
    let length = prompt[start..].find('}')?;
    (length > 1).then(|| &prompt[start..=start + length])
}

impl Query for SwapTemplateQuery {
    type Answer = SwapTemplateView;
    const NAME: &'static str = "swap template";
    const PRIORITY: u8 = 97;

    fn run(&self, cx: &mut Cx<'_>) -> Result<SwapTemplateView, Report> {
        let (cancel, progress) = (cx.cancel, cx.progress);
        kernel::awake(|| {
            let session = cx.session()?;
            let pairs = self.template.pairs();
            let (mut done, mut left_out, mut notes) = (Vec::new(), 0, Vec::new());
            for (at, (base, source)) in pairs.iter().enumerate() {
                progress(Progress::steps("pairs", at as u64, pairs.len() as u64));
                let asked = self.pair(base, source);
                let ends = session.prompt_mut()?.ends(&asked, cancel)?;
                notes.extend(ends.notes.iter().filter(|note| !notes.contains(*note)).cloned().collect::<Vec<_>>());
                if ends.told != (true, true) {
                    left_out += 1;
                    continue;
                }
                let units = match &self.meta {
                    None => session.prompt()?.latents(&ends)?,
                    Some(meta) => session.scope(&self.sae, meta, cancel)?.meta_latents(&ends.differences, cancel)?,
                };
                let plan = SwapPlan { order: self.order, random: (ORDERS, self.seed) };
                done.push(session.prompt_mut()?.exchange(&ends, &units, plan, cancel, &|_| {})?);
            }
            if done.is_empty() {
                let why = if pairs.is_empty() {
                    "no two rows have different answers"
                } else {
                    "the model gives none of the answers"
                };
                return Err(Report::new(CANNOT)
                    .because(why)
                    .hint("see what it says with `saescope run`")
                    .kind(Kind::Usage));
            }
            Ok(SwapTemplateView {
                sae: self.sae.clone(),
                meta: self.meta.clone(),
                prompt: self.template.prompt.clone(),
                order: self.order,
                pairs: done.len(),
                left_out,
                accuracy: accuracy(&done),
                whole: share(&done, |pair| pair.whole.flips),
                orders: ORDERS,
                notes,
            })
        })
    }
}

impl SwapTemplateQuery {
    fn pair(&self, base: &SwapRow, source: &SwapRow) -> SwapQuery {
        SwapQuery {
            base: self.template.filled(base),
            source: self.template.filled(source),
            sae: self.sae.clone(),
            meta: self.meta.clone(),
            position: self.positions.map(|positions| positions.0),
            source_position: self.positions.map(|positions| positions.1),
            token: Some(base.token.clone()),
            other: Some(source.token.clone()),
            order: self.order,
            seed: self.seed,
        }
    }
}

fn share(pairs: &[Exchanged], of: impl Fn(&Exchanged) -> bool) -> f64 {
    pairs.iter().filter(|pair| of(pair)).count() as f64 / pairs.len().max(1) as f64
}

fn accuracy(pairs: &[Exchanged]) -> Vec<SwapAccuracy> {
    let most = pairs.iter().map(|pair| pair.latents.len()).max().unwrap_or(0);
    let one = |k: usize| {
        let flips = |pair: &Exchanged| {
            let point = pair.curve.get(k).or(pair.curve.last());
            point.is_some_and(|point| point.logprob_other > point.logprob_token)
        };
        let random = |pair: &Exchanged| {
            pair.random.iter().find(|random| random.k == k).or(pair.random.last()).map_or(0.0, |random| random.flips)
        };
        let found = share(pairs, flips);
        let (low, high) = wilson(found, pairs.len() as f64);
        let random = pairs.iter().map(random).sum::<f64>() / pairs.len().max(1) as f64;
        SwapAccuracy { k, share: found, low, high, random }
    };
    steps(most).into_iter().map(one).collect()
}

/// The 95 % interval of a share of so many.
fn wilson(share: f64, count: f64) -> (f64, f64) {
    let z2 = QUANTILE * QUANTILE;
    let middle = (share + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let half = QUANTILE / (1.0 + z2 / count) * (share * (1.0 - share) / count + z2 / (4.0 * count * count)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "prompt = \"{name} came from\"\n[[row]]\nslot = \"A\"\ntoken = \" x\"\n[[row]]\nslot = \"B\"\ntoken = \" y\"\n[[row]]\nslot = \"C\"\ntoken = \" y\"\nother = \" x\"\n";

    #[test]
    fn pairs_have_different_answers_or_the_named_one() {
        let template = SwapTemplate::parse("t.toml", TEXT).unwrap();
        let named: Vec<(String, &str)> =
            template.pairs().iter().map(|(base, source)| (template.filled(base), source.slot.as_str())).collect();
        let of = |base: &str, source| (format!("{base} came from"), source);
        assert_eq!(named, [of("A", "B"), of("A", "C"), of("B", "A"), of("C", "A")]);
    }

    #[test]
    fn what_is_wrong_in_a_template_is_named_with_its_line() {
        for (text, line, said) in [
            ("prompt = \"no slot\"\n", 1, "no slot"),
            ("prompt = \"{a}\"\n[[row]]\nslot = \"A\"\n", 2, "token"),
            ("prompt = \"{a}\"\nrows = 3\n", 2, "rows"),
        ] {
            let error = SwapTemplate::parse("t.toml", text).unwrap_err();
            assert!(error.line == line && error.what.contains(said), "{error}");
        }
    }

    #[test]
    fn the_interval_is_that_of_wilsons_score() {
        // Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
        let (low, high) = wilson(81.0 / 263.0, 263.0);
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
        assert_eq!(wilson(1.0, 5.0).1, 1.0);
    }
}
