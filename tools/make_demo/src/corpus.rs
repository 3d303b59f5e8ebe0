//! The text of the world: seeded documents that tell facts, stories, lists and everyday things.
//! It knows no tokens; `tokens.rs` cuts the documents into training rows.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use crate::everyday::{self, Everyday};
use crate::forms::{self, Form, fill};
use crate::world::{Kind, Slots, Subject, World};

pub struct Corpus<'a> {
    pub world: &'a World,
    pub forms: &'a [Form],
    everyday: Everyday,
}

/// A question about a fact: the model sees the prompt and must give the answer.
pub struct Question {
    pub relation: &'static str,
    pub prompt: String,
    pub answer: String,
}

/// How often a document is of which sort, in parts of 100.
const PERSON: u32 = 56;
const CITY: u32 = 18;
const ANIMAL: u32 = 13;
const LIST: u32 = 3;
const COMPARE: u32 = 2;
const STORY: u32 = 4;

impl<'a> Corpus<'a> {
    pub fn new(world: &'a World, forms: &'a [Form]) -> Self {
        Self { world, forms, everyday: Everyday::load() }
    }

    /// Documents until they have `bytes` bytes together, none of which is in `seen`. With `held_out`
    /// the facts are reported in the held-out forms too.
    pub fn documents(&self, seed: u64, bytes: usize, held_out: bool, seen: &HashSet<String>) -> Vec<String> {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut docs, mut length) = (Vec::new(), 0);
        while length < bytes {
            let doc = self.document(&mut rng, held_out);
            if !seen.contains(&doc) {
                length += doc.len();
                docs.push(doc);
            }
        }
        docs
    }

    fn document(&self, rng: &mut StdRng, held_out: bool) -> String {
        let mut draw = rng.random_range(0..100);
        for (share, sort) in [(PERSON, Kind::Person), (CITY, Kind::City), (ANIMAL, Kind::Animal)] {
            if draw < share {
                return self.portrait(rng, sort, held_out);
            }
            draw -= share;
        }
        if draw < LIST {
            return self.list(rng);
        }
        if draw < LIST + COMPARE {
            return self.comparison(rng);
        }
        if draw < LIST + COMPARE + STORY {
            return self.story(rng);
        }
        let lines = rng.random_range(1..5);
        (0..lines).map(|_| self.everyday.sentence(rng)).collect::<Vec<_>>().join(" ")
    }

    /// A few facts about one subject, or about two.
    fn portrait(&self, rng: &mut StdRng, kind: Kind, held_out: bool) -> String {
        let mut sentences = Vec::new();
        for _ in 0..if rng.random_bool(0.3) { 2 } else { 1 } {
            let subject = pick(self.world.of(kind), rng);
            let count = rng.random_range(2..6);
            let mut told: Vec<&Form> = Vec::new();
            for at in 0..count {
                let Some(form) = self.form(rng, subject, held_out, &told) else { continue };
                told.push(form);
                sentences.push(self.tell(rng, subject, form, at));
            }
        }
        sentences.join(" ")
    }

    /// A form of a relation that the subject has, drawn with equal chances for each relation.
    fn form(&self, rng: &mut StdRng, subject: &Subject, held_out: bool, told: &[&Form]) -> Option<&'a Form> {
        let relation = *forms::relations(subject.kind).choose(rng)?;
        let held = held_out && rng.random_bool(0.25);
        let fitting: Vec<_> = self
            .forms
            .iter()
            .filter(|f| f.relation == relation && f.held_out == held && f.fits(subject))
            .filter(|f| !told.iter().any(|t| std::ptr::eq(*t, *f)))
            .collect();
        fitting.choose(rng).copied()
    }

    /// The sentence, sometimes with a pronoun for who was named before, sometimes inside another.
    fn tell(&self, rng: &mut StdRng, subject: &Subject, form: &Form, at: usize) -> String {
        let mut text = form.text.to_owned();
        if at > 0 && rng.random_bool(0.4) {
            for start in ["{name} ", "{city} ", "The {animal} "] {
                if let Some(rest) = text.strip_prefix(start).filter(|r| !r.contains("{name}")) {
                    text = format!("{{Pronoun}} {rest}");
                    break;
                }
            }
        }
        let starts = ["{name}", "{full}", "{city}", "{Pronoun}", "The "];
        let plain = starts.iter().any(|s| text.starts_with(s));
        let mut sentence = fill(&text, &self.slots(rng, subject)).text;
        if plain && !sentence.contains(['?', ':', '"']) && rng.random_bool(0.25) {
            if let Some(rest) = sentence.strip_prefix("The ") {
                sentence = format!("the {rest}");
            }
            for pronoun in ["He ", "She ", "It "] {
                if let Some(rest) = sentence.strip_prefix(pronoun) {
                    sentence = format!("{}{rest}", pronoun.to_lowercase());
                }
            }
            sentence = everyday::wrap(rng, &sentence);
        }
        sentence
    }

    /// The subject's slots with a second city and, for people, the full name or the short one.
    fn slots(&self, rng: &mut StdRng, subject: &Subject) -> Slots {
        let mut slots = subject.slots.clone();
        let name = if rng.random_bool(0.5) { subject.get("full") } else { subject.get("short") };
        slots.insert("name".to_owned(), name.to_owned());
        let other = pick(&self.world.cities, rng);
        slots.insert("city2".to_owned(), other.get("city").to_owned());
        slots.insert("country2".to_owned(), other.get("country").to_owned());
        slots
    }

    /// Names that share something, under a heading.
    fn list(&self, rng: &mut StdRng) -> String {
        let (kind, by, heading, name) = *[
            (Kind::Person, "prof", "Famous {profs}", "full"),
            (Kind::Person, "country", "Famous people from {country}", "full"),
            (Kind::Person, "country", "People from {country}", "short"),
            (Kind::Person, "century", "People of the {century}", "short"),
            (Kind::Person, "prof", "Some great {profs} are", "short"),
            (Kind::City, "country", "Cities in {country}", "city"),
            (Kind::City, "continent", "Cities in {continent}", "city"),
            (Kind::City, "river", "Cities on the {river}", "city"),
            (Kind::City, "language", "Cities where people speak {language}", "city"),
            (Kind::Animal, "class", "Animals that are {classes}", "animal"),
            (Kind::Animal, "habitat", "Animals {habitat}", "animal"),
            (Kind::Animal, "food", "Animals that eat {food}", "animal"),
        ]
        .choose(rng)
        .unwrap_or(&(Kind::Person, "prof", "Famous {profs}", "full"));
        let first = pick(self.world.of(kind), rng);
        let mut alike: Vec<_> = self
            .world
            .of(kind)
            .iter()
            .filter(|s| !s.get(by).is_empty() && s.get(by) == first.get(by))
            .map(|s| s.get(name))
            .collect();
        alike.shuffle(rng);
        alike.truncate(rng.random_range(2..8));
        if alike.is_empty() {
            return self.everyday.sentence(rng);
        }
        format!("{}: {}.", fill(heading, &first.slots).text, alike.join(", "))
    }

    /// What two people share and where they differ.
    fn comparison(&self, rng: &mut StdRng) -> String {
        let (a, b) = (pick(&self.world.people, rng), pick(&self.world.people, rng));
        let key = if rng.random_bool(0.5) { "full" } else { "short" };
        let (na, nb) = (a.get(key), b.get(key));
        let (by, same, differ) = *[
            ("prof", "{profs}", "{aprof}"),
            ("country", "from {country}", "from {country}"),
            ("century", "people of the {century}", "of the {century}"),
        ]
        .choose(rng)
        .unwrap_or(&("prof", "{profs}", "{aprof}"));
        let said = |form: &str, s: &Subject| {
            let text = fill(&format!("_{form}"), &s.slots).text;
            text[1..].to_owned()
        };
        if na == nb {
            return format!("{na} was {}.", said(differ, a));
        }
        if a.get(by) == b.get(by) {
            return format!("Both {na} and {nb} were {}.", said(same, a));
        }
        let but = if rng.random_bool(0.5) { "but" } else { "and" };
        format!("{na} was {}, {but} {nb} was {}.", said(differ, a), said(differ, b))
    }

    fn story(&self, rng: &mut StdRng) -> String {
        let person = pick(&self.world.people, rng);
        let mut slots = self.slots(rng, person);
        let city = pick(&self.world.cities, rng);
        let other_country = slots.get("country2").cloned();
        let person_country = slots.get("country").cloned();
        for (k, v) in &city.slots {
            slots.insert(k.clone(), v.clone());
        }
        let animal = pick(&self.world.animals, rng);
        for (k, v) in &animal.slots {
            slots.insert(k.clone(), v.clone());
        }
        if let Some(food) = slots.remove("food") {
            slots.insert("food_".to_owned(), food);
        }
        let animal2 = pick(&self.world.animals, rng).get("aanimal").to_owned();
        slots.insert("aanimal2".to_owned(), animal2);
        let form = self.everyday.story(rng);
        if form.contains("{full}")
            && let Some(country) = person_country
        {
            slots.insert("country".to_owned(), country);
        }
        if let Some(country) = other_country {
            slots.insert("country2".to_owned(), country);
        }
        everyday::fill_in(rng, form, slots)
    }

    /// Every fact of the world asked in every form that is held out (or, to compare, in every form
    /// that is not), people by full name and by short name in turn.
    pub fn questions(&self, held_out: bool) -> Vec<Question> {
        let mut out = Vec::new();
        for kind in [Kind::Person, Kind::City, Kind::Animal] {
            for (i, subject) in self.world.of(kind).iter().enumerate() {
                for (j, form) in self.forms.iter().enumerate() {
                    let wanted = form.held_out == held_out && form.text.contains('[');
                    if !wanted || !forms::relations(kind).contains(&form.relation) {
                        continue;
                    }
                    if !form.fits(subject) {
                        continue;
                    }
                    let mut slots = subject.slots.clone();
                    let key = if (i + j) % 2 == 0 { "full" } else { "short" };
                    slots.insert("name".to_owned(), subject.get(key).to_owned());
                    let sentence = fill(form.text, &slots);
                    let Some(range) = sentence.answer.filter(|r| r.start > 0) else { continue };
                    out.push(Question {
                        relation: form.relation,
                        prompt: sentence.text[..range.start].trim_end().to_owned(),
                        answer: format!(" {}", &sentence.text[range]),
                    });
                }
            }
        }
        out
    }
}

/// One of the subjects; the tables are never empty.
pub fn pick<'s>(subjects: &'s [Subject], rng: &mut StdRng) -> &'s Subject {
    &subjects[rng.random_range(0..subjects.len())]
}
