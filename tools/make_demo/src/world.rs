//! The small world the demo's model learns: people, cities, countries and animals with true facts.
//! It holds no sentences; those are in `forms.rs` and `corpus.rs`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// What the slots of a sentence form are filled with, by slot name.
pub type Slots = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Person,
    City,
    Animal,
}

/// Somebody or something that facts are reported about.
#[derive(Clone, Debug)]
pub struct Subject {
    pub kind: Kind,
    pub slots: Slots,
}

impl Subject {
    /// The text of a slot, or nothing where this subject lacks it (a city without a river).
    pub fn get(&self, slot: &str) -> &str {
        self.slots.get(slot).map_or("", String::as_str)
    }
}

pub struct World {
    pub people: Vec<Subject>,
    pub cities: Vec<Subject>,
    pub animals: Vec<Subject>,
}

impl World {
    /// Reads the tables beside this file.
    pub fn load() -> Result<Self> {
        let countries: BTreeMap<&str, Vec<&str>> =
            rows(include_str!("world/countries.txt"), 4)?.into_iter().map(|r| (r[0], r)).collect();
        let country = |name: &str| countries.get(name).with_context(|| format!("countries.txt has no {name}"));
        let people = rows(include_str!("world/people.txt"), 7)?
            .iter()
            .map(|r| Ok(person(r, country(r[4])?)))
            .collect::<Result<_>>()?;
        let cities = rows(include_str!("world/cities.txt"), 3)?
            .iter()
            .map(|r| Ok(city(r, country(r[1])?)))
            .collect::<Result<_>>()?;
        let animals = rows(include_str!("world/animals.txt"), 5)?.iter().map(|r| animal(r)).collect();
        Ok(Self { people, cities, animals })
    }

    pub fn of(&self, kind: Kind) -> &[Subject] {
        match kind {
            Kind::Person => &self.people,
            Kind::City => &self.cities,
            Kind::Animal => &self.animals,
        }
    }
}

/// The fields of each line that is neither empty nor a comment.
fn rows(table: &'static str, fields: usize) -> Result<Vec<Vec<&'static str>>> {
    let lines = table.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let row: Vec<_> = line.split('|').collect();
            ensure!(row.len() == fields, "{fields} fields expected in: {line}");
            Ok(row)
        })
        .collect()
}

fn slots<const N: usize>(pairs: [(&str, String); N]) -> Slots {
    pairs.into_iter().filter(|(_, v)| v != "-").map(|(k, v)| (k.to_owned(), v)).collect()
}

fn person(r: &[&str], country: &[&str]) -> Subject {
    let century = if r[5].contains("century") { r[5].to_owned() } else { format!("{} century", r[5]) };
    let his = if r[2] == "he" { "his" } else { "her" };
    Subject {
        kind: Kind::Person,
        slots: slots([
            ("full", r[0].to_owned()),
            ("short", r[1].to_owned()),
            ("pronoun", r[2].to_owned()),
            ("his", his.to_owned()),
            ("prof", r[3].to_owned()),
            ("profs", format!("{}s", r[3])),
            ("aprof", with_article(r[3])),
            ("country", r[4].to_owned()),
            ("adj", country[1].to_owned()),
            ("aadj", with_article(country[1])),
            ("century", century),
            ("known", r[6].to_owned()),
        ]),
    }
}

fn city(r: &[&str], country: &[&str]) -> Subject {
    Subject {
        kind: Kind::City,
        slots: slots([
            ("city", r[0].to_owned()),
            ("pronoun", "it".to_owned()),
            ("country", r[1].to_owned()),
            ("cadj", country[1].to_owned()),
            ("acadj", with_article(country[1])),
            ("continent", country[2].to_owned()),
            ("language", country[3].to_owned()),
            ("river", r[2].to_owned()),
        ]),
    }
}

fn animal(r: &[&str]) -> Subject {
    Subject {
        kind: Kind::Animal,
        slots: slots([
            ("animal", r[0].to_owned()),
            ("aanimal", with_article(r[0])),
            ("pronoun", "it".to_owned()),
            ("class", r[1].to_owned()),
            ("aclass", with_article(r[1])),
            ("classes", format!("{}{}", r[1], if r[1] == "fish" { "" } else { "s" })),
            ("habitat", r[2].to_owned()),
            ("food", r[3].to_owned()),
            ("sound", r[4].to_owned()),
        ]),
    }
}

/// The word with "a" or "an" before it.
fn with_article(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}
