//! Rules that say when a latent fires: chosen on one half of a text's documents, measured on the other.
//! Not here: running the text, and what a token looks like (`features`).
//!
//! A rule names values of a feature of a position (its token, the token before it …), or of two features at once. Of one
//! feature those are taken that have the highest F1 on the choosing half. A pair begins with one of the best single rules
//! and chooses the values of another feature among the positions that it names. What is said of a rule is
//! counted over all positions of the other half, at the rate at which they stand in the text.

mod features;

use std::collections::HashMap;

use rayon::prelude::*;

pub use features::{Feature, Features, Position};

use crate::analysis::label::{Label, LabelScores, LabelSource, RulePart};
use crate::task::{Cancel, Cancelled};

/// Below this F1 on the held-out half a rule is no label.
pub const LEAST_F1: f64 = 0.5;
/// How much more F1 than one that names every position a rule has on the held-out half, to be a label: of a latent that fires
/// almost everywhere that one says nothing.
pub const LEAST_GAIN: f64 = 0.03;
/// Positions on which a latent fires in each half at least, for a rule to be chosen and measured.
pub const LEAST_FIRES: u64 = 3;
/// Values of a feature that a rule names at most: a longer list says nothing to a person.
const MOST_VALUES: usize = 8;
/// Positions of a value on which a latent fires at least, for a rule to name it.
const LEAST_OF_VALUE: u64 = 2;
/// How much more F1 a rule of two features has on the choosing half, to be preferred to one of one.
const PAIR_GAIN: f64 = 0.03;
/// Single rules that pairs are made from.
const BASES: usize = 3;
/// A single rule that names so many times more positions than the latent has is no base of a pair.
const WIDEST_BASE: u64 = 64;

/// A rule: a position is named when the value of each feature is one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Each feature with its values, the ones that matter most in front; one feature or two.
    pub parts: Vec<(Feature, Vec<u32>)>,
}

/// What a rule counts to, over some positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All positions.
    pub positions: u64,
    /// Positions on which the latent fires.
    pub fires: u64,
    /// Positions that the rule names.
    pub named: u64,
    /// Positions that it names and on which the latent fires.
    pub both: u64,
}

impl Counts {
    /// 2·both / (named + fires); 0 where nothing is named.
    #[must_use]
    pub fn f1(&self) -> f64 {
        if self.both == 0 { 0.0 } else { 2.0 * self.both as f64 / (self.named + self.fires) as f64 }
    }

    /// Precision, recall, F1 and balanced precision.
    #[must_use]
    pub fn scores(&self) -> LabelScores {
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        let recall = share(self.both, self.fires);
        let silent = share(self.named - self.both, self.positions - self.fires);
        let balanced = recall.zip(silent).filter(|(recall, silent)| recall + silent > 0.0);
        LabelScores {
            precision: share(self.both, self.named),
            recall,
            f1: Some(self.f1()),
            precision_balanced: balanced.map(|(recall, silent)| recall / (recall + silent)),
            held_out: self.fires,
            ..LabelScores::default()
        }
    }
}

/// A rule with what it counts to on the half that it was not chosen on.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The rule.
    pub rule: Rule,
    /// Over the held-out positions.
    pub held_out: Counts,
}

/// A text's positions that count, with their features, and on which of them each latent fires.
#[derive(Debug, Default)]
pub struct Firings {
    /// What each position looks like.
    pub features: Features,
    /// For each position whether it is held out.
    pub held_out: Vec<bool>,
    /// For each latent the positions on which it fires, rising.
    pub fires: Vec<Vec<u32>>,
}

/// How often each value of each feature stands in one half.
struct Totals {
    /// By feature and value.
    choosing: Vec<Vec<u64>>,
    held_out: Vec<Vec<u64>>,
    /// By feature and value: positions of the choosing half, rising.
    places: Vec<Vec<Vec<u32>>>,
    positions: [u64; 2],
}

impl Firings {
    /// The best rule of each of these latents, measured on the held-out half; none where the latent fires too rarely in
    /// one of the halves, or no rule names any position on which it does.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn rules(&self, latents: &[u32], cancel: &Cancel) -> Result<Vec<Option<Measured>>, Cancelled> {
        let totals = self.totals();
        let of = |latent: &u32| {
            cancel.check()?;
            Ok(self.fires.get(*latent as usize).and_then(|fires| self.best(fires, &totals)))
        };
        latents.par_iter().map(of).collect()
    }

    /// What rules that are kept count to on the held-out half; none of a rule that names a feature that is not known.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn counted(&self, rules: &[(u32, &[RulePart])], cancel: &Cancel) -> Result<Vec<Option<Counts>>, Cancelled> {
        let totals = self.totals();
        let of = |(latent, parts): &(u32, &[RulePart])| {
            cancel.check()?;
            let rule = self.features.found(parts).map(|parts| Rule { parts });
            let fires = self.fires.get(*latent as usize).map_or(&[][..], Vec::as_slice);
            let held_out: Vec<u32> =
                fires.iter().copied().filter(|position| self.held_out[*position as usize]).collect();
            Ok(rule.map(|rule| self.counts(&rule, &held_out, &totals)))
        };
        rules.par_iter().map(of).collect()
    }

    fn totals(&self) -> Totals {
        let (mut choosing, mut held_out, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for feature in Feature::ALL {
            let values = self.features.of(feature);
            let most = values.iter().max().map_or(0, |most| *most as usize + 1);
            let (mut here, mut there, mut at) = (vec![0; most], vec![0; most], vec![Vec::new(); most]);
            for (position, value) in values.iter().enumerate() {
                if self.held_out[position] {
                    there[*value as usize] += 1;
                } else {
                    here[*value as usize] += 1;
                    at[*value as usize].push(position as u32);
                }
            }
            choosing.push(here);
            held_out.push(there);
            places.push(at);
        }
        let away = self.held_out.iter().filter(|held_out| **held_out).count() as u64;
        Totals { choosing, held_out, places, positions: [self.held_out.len() as u64 - away, away] }
    }

    fn best(&self, fires: &[u32], totals: &Totals) -> Option<Measured> {
        let (held_out, choosing): (Vec<u32>, Vec<u32>) =
            fires.iter().partition(|position| self.held_out[**position as usize]);
        if (choosing.len() as u64) < LEAST_FIRES || (held_out.len() as u64) < LEAST_FIRES {
            return None;
        }
        let single = |feature: &Feature| self.single(*feature, &choosing, &totals.choosing[*feature as usize]);
        let mut singles: Vec<(Rule, Counts)> = Feature::ALL.iter().filter_map(single).collect();
        // Ties go to the feature that stands first.
        singles.sort_by(|a, b| b.1.f1().total_cmp(&a.1.f1()));
        let mut best = singles.first().cloned()?;
        let least = best.1.f1() + PAIR_GAIN;
        for (base, counts) in singles.iter().take(BASES) {
            if counts.named > counts.fires * WIDEST_BASE {
                continue;
            }
            for pair in self.pairs(base, &choosing, totals) {
                let better = if best.0.parts.len() == 2 { best.1.f1() } else { least };
                if pair.1.f1() > better {
                    best = pair;
                }
            }
        }
        let held_out = self.counts(&best.0, &held_out, totals);
        Some(Measured { rule: best.0, held_out })
    }

    /// The values of a feature with the highest F1; `totals` says how often each stands among the positions in question.
    fn single(&self, feature: Feature, fires: &[u32], totals: &[u64]) -> Option<(Rule, Counts)> {
        let (values, counts) = chosen(self.features.of(feature), fires, |value| totals[value as usize], feature)?;
        Some((Rule { parts: vec![(feature, values)] }, counts))
    }

    fn pairs(&self, base: &Rule, fires: &[u32], totals: &Totals) -> Vec<(Rule, Counts)> {
        let (first, values) = &base.parts[0];
        let of_base = self.features.of(*first);
        let both: Vec<u32> =
            fires.iter().copied().filter(|position| values.contains(&of_base[*position as usize])).collect();
        let places = &totals.places[*first as usize];
        let mut pairs = Vec::new();
        for feature in Feature::ALL.into_iter().filter(|feature| feature.goes_with(*first)) {
            let of = self.features.of(feature);
            let mut among = HashMap::<u32, u64>::new();
            for position in values.iter().flat_map(|value| &places[*value as usize]) {
                *among.entry(of[*position as usize]).or_default() += 1;
            }
            let total = |value: u32| among.get(&value).copied().unwrap_or_default();
            let Some((chosen, counts)) = chosen(of, &both, total, feature) else { continue };
            let counts = Counts { fires: fires.len() as u64, ..counts };
            pairs.push((Rule { parts: vec![(*first, values.clone()), (feature, chosen)] }, counts));
        }
        pairs
    }

    /// What a rule counts to on the held-out half.
    fn counts(&self, rule: &Rule, fires: &[u32], totals: &Totals) -> Counts {
        let names = |position: usize| {
            rule.parts.iter().all(|(feature, values)| values.contains(&self.features.of(*feature)[position]))
        };
        let named = match &rule.parts[..] {
            [(feature, values)] => {
                let of = &totals.held_out[*feature as usize];
                values.iter().filter_map(|value| of.get(*value as usize)).sum()
            }
            _ => (0..self.held_out.len()).filter(|at| self.held_out[*at] && names(*at)).count() as u64,
        };
        let both = fires.iter().filter(|position| names(**position as usize)).count() as u64;
        Counts { positions: totals.positions[1], fires: fires.len() as u64, named, both }
    }

    /// A rule as a label.
    #[must_use]
    pub fn label(&self, measured: &Measured, text: &dyn Fn(u32) -> String) -> Option<Label> {
        let counts = measured.held_out;
        let everywhere = Counts { named: counts.positions, both: counts.fires, ..counts }.f1();
        let scores = counts.scores();
        (counts.f1() >= LEAST_F1.max(everywhere + LEAST_GAIN)).then(|| Label {
            text: self.features.words(&measured.rule.parts, text),
            source: LabelSource::Rule,
            by: "saescope".to_owned(),
            kind: measured.rule.parts.iter().map(|(feature, _)| feature.name()).collect::<Vec<_>>().join(" and "),
            note: String::new(),
            scores: Some(scores),
            rule: self.features.kept(&measured.rule.parts),
        })
    }
}

/// The set of at most [`MOST_VALUES`] values with the highest F1, the one it fires on most in front.
///
/// F1 is a ratio of two sums over the values, so the best set for a guess of it is that of the values with the largest
/// 2·both − guess·total, and the guess rises to the F1 of that set until it stays (Dinkelbach 1967).
fn chosen(of: &[u32], fires: &[u32], total: impl Fn(u32) -> u64, feature: Feature) -> Option<(Vec<u32>, Counts)> {
    let mut each = HashMap::<u32, u64>::new();
    for position in fires {
        *each.entry(of[*position as usize]).or_default() += 1;
    }
    // What fires once there is chance as often as not.
    each.retain(|value, both| feature.can_name(*value) && *both >= LEAST_OF_VALUE);
    let mut each: Vec<(u32, u64, u64)> = each.into_iter().map(|(value, both)| (value, both, total(value))).collect();
    each.sort_unstable_by_key(|(value, ..)| *value);
    let mut best: Option<(Vec<(u32, u64)>, Counts)> = None;
    loop {
        let guess = best.as_ref().map_or(0.0, |(_, counts)| counts.f1());
        let gain = |(_, both, total): &(u32, u64, u64)| 2.0 * *both as f64 - guess * *total as f64;
        let mut taken: Vec<&(u32, u64, u64)> = each.iter().filter(|value| gain(value) > 0.0).collect();
        taken.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
        taken.truncate(MOST_VALUES);
        let counts = Counts {
            fires: fires.len() as u64,
            named: taken.iter().map(|(.., total)| total).sum(),
            both: taken.iter().map(|(_, both, _)| both).sum(),
            ..Counts::default()
        };
        if counts.f1() <= guess {
            break;
        }
        best = Some((taken.iter().map(|(value, both, _)| (*value, *both)).collect(), counts));
    }
    let (mut values, counts) = best?;
    values.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    Some((values.into_iter().map(|(value, _)| value).collect(), counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of one-letter tokens: a window a line.
    fn firings(lines: &[&str], fires: impl Fn(usize, &[u8], usize) -> bool) -> Firings {
        let mut this = Firings { fires: vec![Vec::new()], ..Firings::default() };
        for (line, text) in lines.iter().enumerate() {
            let ids: Vec<u32> = text.bytes().map(u32::from).collect();
            for at in 0..ids.len() {
                let position = this.held_out.len() as u32;
                this.features.add(Position { ids: &ids, at }, &|id| (id as u8 as char).to_string());
                this.held_out.push(line % 2 == 1);
                if fires(line, text.as_bytes(), at) {
                    this.fires[0].push(position);
                }
            }
        }
        this
    }

    fn best(firings: &Firings) -> Measured {
        firings.rules(&[0], &Cancel::new()).expect("not cancelled").remove(0).expect("a rule")
    }

    const LINES: [&str; 6] = ["abcxabcy", "cabxaacx", "xxabcbay", "abcabcxy", "bcabcaxx", "yabcxcab"];

    #[test]
    fn a_token_set_is_found_and_counted_on_the_other_half() {
        let firings = firings(&LINES, |_, text, at| matches!(text[at], b'x' | b'y'));
        let Measured { rule, held_out } = best(&firings);
        assert_eq!(rule.parts, [(Feature::Token, vec![u32::from(b'x'), u32::from(b'y')])]);
        let count = LINES.iter().skip(1).step_by(2).map(|line| line.matches(['x', 'y']).count() as u64).sum::<u64>();
        assert_eq!(held_out, Counts { positions: 24, fires: count, named: count, both: count });
        let label = firings.label(&best(&firings), &|id| (id as u8 as char).to_string()).expect("a label");
        assert_eq!((&*label.text, label.scores.and_then(|scores| scores.f1)), ("on x, y", Some(1.0)));
    }

    #[test]
    fn the_token_before_and_the_token_behind_are_told_apart() {
        let behind = firings(&LINES, |_, text, at| at > 0 && text[at - 1] == b'a');
        assert_eq!(best(&behind).rule.parts, [(Feature::Before, vec![u32::from(b'a') + 1])]);
        let before = firings(&LINES, |_, text, at| text.get(at + 1) == Some(&b'c'));
        assert_eq!(best(&before).rule.parts, [(Feature::Behind, vec![u32::from(b'c') + 1])]);
    }

    #[test]
    fn two_features_are_taken_where_one_does_not_say_it() {
        // Six lines of sixty letters by a fixed rule without a pattern.
        let (mut state, mut lines) = (7_u32, Vec::new());
        for _ in 0..6 {
            let mut letter = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b"abcxy"[(state >> 16) as usize % 5])
            };
            lines.push((0..60).map(|_| letter()).collect::<String>());
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let firings = firings(&lines, |_, text, at| text[at] == b'b' && at > 0 && text[at - 1] == b'a');
        let Measured { rule, held_out } = best(&firings);
        let letter = |letter: u8, more: u32| vec![u32::from(letter) + more];
        assert_eq!(rule.parts, [(Feature::Token, letter(b'b', 0)), (Feature::Before, letter(b'a', 1))]);
        assert_eq!((held_out.f1(), held_out.named), (1.0, held_out.fires));
    }

    #[test]
    fn noise_is_measured_as_noise() {
        // Fires on half of the choosing half's x and on none of the other half's.
        let firings = firings(&LINES, |line, text, at| if line % 2 == 0 { text[at] == b'x' } else { text[at] == b'b' });
        let measured = best(&firings);
        assert_eq!(measured.held_out.both, 0);
        assert!(firings.label(&measured, &|_| String::new()).is_none());
        assert_eq!(measured.held_out.scores().precision, Some(0.0));
    }

    #[test]
    fn scores_are_those_of_their_definitions() {
        let scores = Counts { positions: 1000, fires: 50, named: 60, both: 40 }.scores();
        let close = |a: Option<f64>, b: f64| a.is_some_and(|a| (a - b).abs() < 1e-12);
        assert!(close(scores.precision, 40.0 / 60.0) && close(scores.recall, 0.8) && close(scores.f1, 80.0 / 110.0));
        assert!(close(scores.precision_balanced, 0.8 / (0.8 + 20.0 / 950.0)), "{scores:?}");
    }
}
