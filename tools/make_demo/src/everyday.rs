//! Everyday sentences, numbers and short stories: what stands around the facts.
//! It tells no facts of its own; they come in through the slots.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::forms::fill;
use crate::world::Slots;

const KIDS: [(&str, &str); 16] = [
    ("Anna", "she"),
    ("Tom", "he"),
    ("Lucy", "she"),
    ("Ben", "he"),
    ("Emma", "she"),
    ("Sam", "he"),
    ("Mia", "she"),
    ("Jack", "he"),
    ("Sara", "she"),
    ("Peter", "he"),
    ("Nina", "she"),
    ("Oliver", "he"),
    ("Clara", "she"),
    ("Max", "he"),
    ("Rosa", "she"),
    ("Daniel", "he"),
];
const THINGS: [&str; 22] = [
    "book", "ball", "cup", "hat", "box", "key", "lamp", "chair", "kite", "boat", "spoon", "coat", "clock", "pencil",
    "drum", "mirror", "basket", "shoe", "letter", "bell", "apple", "bottle",
];
const PLACES: [&str; 14] = [
    "park", "school", "market", "beach", "library", "station", "garden", "kitchen", "harbor", "museum", "village",
    "hill", "church", "bakery",
];
const COLORS: [&str; 10] = ["red", "blue", "green", "yellow", "white", "black", "brown", "orange", "pink", "gray"];
const FOODS: [&str; 14] = [
    "bread", "cheese", "soup", "rice", "cake", "eggs", "apples", "honey", "potatoes", "tomatoes", "butter", "noodles",
    "beans", "carrots",
];
const DRINKS: [&str; 6] = ["water", "milk", "tea", "juice", "coffee", "lemonade"];
const WEATHERS: [&str; 8] = ["sunny", "rainy", "windy", "cold", "warm", "cloudy", "snowy", "stormy"];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const NUMBERS: [&str; 21] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

pub struct Everyday {
    sentences: Vec<&'static str>,
    stories: Vec<&'static str>,
}

fn lines(text: &'static str) -> Vec<&'static str> {
    text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect()
}

fn word(rng: &mut StdRng, words: &[&'static str]) -> String {
    words[rng.random_range(0..words.len())].to_owned()
}

impl Everyday {
    pub fn load() -> Self {
        Self { sentences: lines(include_str!("world/everyday.txt")), stories: lines(include_str!("world/stories.txt")) }
    }

    pub fn sentence(&self, rng: &mut StdRng) -> String {
        if rng.random_bool(0.3) {
            return number_sentence(rng);
        }
        let form = self.sentences[rng.random_range(0..self.sentences.len())];
        fill_in(rng, form, Slots::new())
    }

    pub fn story(&self, rng: &mut StdRng) -> &'static str {
        self.stories[rng.random_range(0..self.stories.len())]
    }
}

/// Fills a form with the given slots and, for the rest, with everyday words.
pub fn fill_in(rng: &mut StdRng, form: &str, mut slots: Slots) -> String {
    let first = rng.random_range(0..KIDS.len());
    let second = (first + rng.random_range(1..KIDS.len())) % KIDS.len();
    let (day, month) = (rng.random_range(0..7), rng.random_range(0..12));
    let (thing, thing2) = (word(rng, &THINGS), word(rng, &THINGS));
    let words = [
        ("kid", KIDS[first].0.to_owned()),
        ("he", KIDS[first].1.to_owned()),
        ("kid2", KIDS[second].0.to_owned()),
        ("things", format!("{thing}s")),
        ("thing", thing),
        ("thing2", thing2),
        ("place", word(rng, &PLACES)),
        ("color", word(rng, &COLORS)),
        ("color2", word(rng, &COLORS)),
        ("food", word(rng, &FOODS)),
        ("food2", word(rng, &FOODS)),
        ("drink", word(rng, &DRINKS)),
        ("weather", word(rng, &WEATHERS)),
        ("day", DAYS[day].to_owned()),
        ("nextday", DAYS[(day + 1) % 7].to_owned()),
        ("month", MONTHS[month].to_owned()),
        ("nextmonth", MONTHS[(month + 1) % 12].to_owned()),
        ("num", NUMBERS[rng.random_range(2..13)].to_owned()),
        ("num2", NUMBERS[rng.random_range(2..13)].to_owned()),
    ];
    for (slot, text) in words {
        slots.insert(slot.to_owned(), text);
    }
    fill(form, &slots).text
}

/// Counting, sums and sequences of days and months.
fn number_sentence(rng: &mut StdRng) -> String {
    let (a, b) = (rng.random_range(0..11usize), rng.random_range(0..10usize));
    match rng.random_range(0..6) {
        0 => format!("{a} + {b} = {}.", a + b),
        1 => format!("{} and {} is {}.", crate::forms::capital(NUMBERS[a]), NUMBERS[b], NUMBERS[a + b]),
        2 => format!("Count: {}.", NUMBERS[a..a + 5].join(", ")),
        3 => {
            let numbers: Vec<_> = (a..a + 6).map(|n| n.to_string()).collect();
            format!("{}.", numbers.join(", "))
        }
        4 => {
            let days: Vec<_> = (a..a + 4).map(|d| DAYS[d % 7]).collect();
            format!("{}.", days.join(", "))
        }
        _ => {
            let months: Vec<_> = (a..a + 4).map(|m| MONTHS[m % 12]).collect();
            format!("{}.", months.join(", "))
        }
    }
}

/// Puts a sentence that ends in a full stop inside another.
pub fn wrap(rng: &mut StdRng, sentence: &str) -> String {
    let inner = sentence.trim_end_matches('.');
    let kid = KIDS[rng.random_range(0..KIDS.len())].0;
    let forms = [
        "Everyone knows that {}.",
        "It is true that {}.",
        "In class we learned that {}.",
        "Did you know that {}?",
        "KID read that {}.",
        "My grandmother told me that {}.",
        "Yes, {}.",
        "\"I think that {},\" said KID.",
        "The teacher said that {}.",
        "As you know, {}.",
        "It is written that {}.",
    ];
    let form = forms.choose(rng).unwrap_or(&forms[0]);
    form.replace("{}", inner).replace("KID", kid)
}
