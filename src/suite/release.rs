//! A release of the catalogue: one file that stands for the suites of many layers, with what changes from layer to layer
//! as data. Not here: what a suite means (`parse`).
//!
//! A file has models by name (`[model.NAME]`), keys that all its suites share, and `[[release]]` tables. Such a table is
//! a suite file with `layers` beside it. `{layer}` in a string is the layer's number, and a list where a suite has one
//! value holds a value for each layer, in their order; `""` and `nan` there stand for no value.

use toml::{Table, Value};

/// Keys that are lists in a suite file too.
const LISTS: [&str; 2] = ["mirrors", "unverified"];

/// Keys that a release may leave to its file.
const SHARED: [&str; 4] = ["id", "title", "threshold", "prompt"];

/// The suites of one file, not yet written out.
pub(super) struct File {
    root: Table,
}

/// One suite of a file: which release, and which of its layers.
#[derive(Clone, Copy)]
pub(super) struct Member<'f> {
    file: &'f File,
    release: &'f Table,
    index: usize,
    layer: i64,
}

impl File {
    /// Reads a file's text.
    ///
    /// # Errors
    /// That it is not TOML.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        Ok(Self { root: text.parse()? })
    }

    /// Its suites, in the order of the file and of their layers.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        let releases = self.root.get("release").and_then(Value::as_array).into_iter().flatten();
        releases.filter_map(Value::as_table).flat_map(move |release| {
            let layers = layers(release).into_iter().enumerate();
            layers.map(move |(index, layer)| Member { file: self, release, index, layer })
        })
    }
}

impl Member<'_> {
    /// The suite's id; empty when the release has none.
    pub fn id(&self) -> String {
        let id = self.release.get("id").and_then(Value::as_str).unwrap_or_default();
        id.replace("{layer}", &self.layer.to_string())
    }

    /// The suite file that this member stands for.
    pub fn text(&self) -> String {
        let root = &self.file.root;
        let mut suite = Table::new();
        for key in SHARED {
            let value = self.release.get(key).or_else(|| root.get(key));
            suite.extend(value.and_then(|value| self.fill(key, value)).map(|value| (key.to_owned(), value)));
        }
        let name = self.release.get("model").and_then(Value::as_str).unwrap_or_default();
        let model = root.get("model").and_then(|models| models.get(name)).cloned();
        suite.extend(model.map(|model| ("model".to_owned(), model)));
        if let Some(Value::Table(mut site)) = self.release.get("site").and_then(|site| self.fill("site", site)) {
            site.insert("layer".to_owned(), Value::Integer(self.layer));
            suite.insert("site".to_owned(), Value::Table(site));
        }
        for key in ["sae", "meta"] {
            let tables = self.release.get(key).and_then(|value| self.fill(key, value));
            suite.extend(tables.map(|tables| (key.to_owned(), tables)));
        }
        suite.to_string()
    }

    /// The value for this layer; none where there is none.
    fn fill(&self, key: &str, value: &Value) -> Option<Value> {
        match value {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(Value::String(text.replace("{layer}", &self.layer.to_string()))),
            Value::Float(number) if number.is_nan() => None,
            Value::Array(items) if items.iter().any(Value::is_table) => {
                Some(Value::Array(items.iter().filter_map(|item| self.fill(key, item)).collect()))
            }
            Value::Array(_) if LISTS.contains(&key) => Some(value.clone()),
            Value::Array(items) => self.fill(key, items.get(self.index)?),
            Value::Table(table) => {
                let filled = table.iter().filter_map(|(key, value)| Some((key.clone(), self.fill(key, value)?)));
                Some(Value::Table(filled.collect()))
            }
            other => Some(other.clone()),
        }
    }
}

/// The layers of a release: a list of numbers, or `"first..=last"`.
fn layers(release: &Table) -> Vec<i64> {
    match release.get("layers") {
        Some(Value::Array(layers)) => layers.iter().filter_map(Value::as_integer).collect(),
        Some(Value::String(range)) => {
            let ends =
                range.split_once("..=").and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
            ends.map_or_else(Vec::new, |(first, last): (i64, i64)| (first..=last).collect())
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        prompt = "Hello"
        [model.small]
        repo = "a/small"
        mirrors = ["b/small"]
        [[release]]
        id = "small-{layer}"
        layers = "3..=4"
        title = "Layer {layer}"
        model = "small"
        site = { kind = "resid_pre" }
        [[release.sae]]
        id = "8"
        folder = "layer_{layer}"
        neuronpedia = ["", "small/{layer}"]
        unverified = ["bytes"]
        expect.l0 = [3.5, nan]
    "#;

    #[test]
    fn a_release_is_a_suite_file_for_each_layer() {
        let file = File::parse(FILE).expect("is TOML");
        let suites: Vec<(String, Table)> =
            file.members().map(|member| (member.id(), member.text().parse().expect("is TOML"))).collect();
        let ids: Vec<&str> = suites.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["small-3", "small-4"]);
        let expected = |layer: i64, rest: &str| -> Table {
            let head = format!("id = 'small-{layer}'\ntitle = 'Layer {layer}'\nprompt = 'Hello'\n");
            let model = "[model]\nrepo = 'a/small'\nmirrors = ['b/small']\n";
            let site = format!("[site]\nkind = 'resid_pre'\nlayer = {layer}\n");
            let sae = format!("[[sae]]\nid = '8'\nfolder = 'layer_{layer}'\nunverified = ['bytes']\n");
            format!("{head}{model}{site}{sae}{rest}").parse().expect("is TOML")
        };
        assert_eq!(suites[0].1, expected(3, "expect = { l0 = 3.5 }"));
        assert_eq!(suites[1].1, expected(4, "neuronpedia = 'small/4'\nexpect = {}"));
    }
}
