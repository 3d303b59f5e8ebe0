//! Which latents stand for one subject of the world, and whether meta-latents stand for what is true of subjects.
//! It trains nothing; `meta.rs` does.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use saescope::sae::Sae;
use saescope::sae::meta::{self, BreakdownTable};
use saescope::task::Cancel;
use tokenizers::Tokenizer;

use crate::measure::Sample;
use crate::tokens;
use crate::world::{Kind, Subject, World};

/// Share of a latent's activation that must lie on one subject's name.
pub const SHARE: f64 = 0.5;
/// Tokens of the name on which it must fire.
pub const LEAST: usize = 5;
/// Members of other subjects without which a meta-latent stands for nothing.
pub const WITNESSES: usize = 2;
/// Draws of the control.
pub const DRAWS: u64 = 20;
/// Kind, name and slot of each attribute.
pub const ATTRIBUTES: [(Kind, &str, &str); 9] = [
    (Kind::Person, "profession", "prof"),
    (Kind::Person, "country", "country"),
    (Kind::Person, "century", "century"),
    (Kind::City, "city: country", "country"),
    (Kind::City, "city: continent", "continent"),
    (Kind::City, "city: language", "language"),
    (Kind::Animal, "animal: class", "class"),
    (Kind::Animal, "animal: habitat", "habitat"),
    (Kind::Animal, "animal: food", "food"),
];

/// One of [`ATTRIBUTES`].
pub type Attribute = (Kind, &'static str, &'static str);

/// What is known of the latents of an SAE.
pub struct Truth<'w> {
    subjects: Vec<&'w Subject>,
    /// Latents that stand for one subject: latent, subject, share of its activation.
    pub stand: Vec<(usize, usize, f64)>,
    /// For each subject the latent with the largest share of its activation on the name, whether that suffices or not.
    nearest: BTreeMap<usize, (usize, f64)>,
    /// Tokens that were looked at.
    pub tokens: usize,
    /// For each subject the mean activation on the last token of its names, where it was named.
    means: BTreeMap<usize, Vec<f32>>,
}

/// A vector of a subject, with the subject's value of an attribute.
type Valued<'a> = (usize, &'a str, Vec<f32>);

/// How often breakdowns hold what is true.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Latents that stand for a subject with this attribute.
    pub latents: usize,
    /// Different values that their breakdowns hold, in all.
    pub held: usize,
    /// Those of them that are the subject's.
    pub right: usize,
    /// Latents whose breakdown holds the subject's value.
    pub found: usize,
}

impl<'w> Truth<'w> {
    /// Looks at what fires on names in the sample.
    pub fn of(sae: &Sae, sample: &Sample, tokenizer: &Tokenizer, world: &'w World) -> Result<Self> {
        let subjects: Vec<&Subject> = world.people.iter().chain(&world.cities).chain(&world.animals).collect();
        let names = names(&subjects);
        let (mut mass, mut total) = (BTreeMap::<(usize, usize), (f64, usize)>::new(), vec![0.0f64; sae.width()]);
        let mut named = BTreeMap::<usize, (Vec<f32>, usize)>::new();
        for (at, ids) in sample.ids.chunks_exact(sample.length).enumerate() {
            let own = named_by(ids, tokenizer, &names)?;
            let of = with_next(&own);
            let start = at * sample.length * sample.d;
            let codes = sae.encode(&sample.x[start..start + sample.length * sample.d], &Cancel::new())?;
            // Position 0 counts for nothing, as everywhere.
            for position in 1..own.len() {
                let Some(subject) = own[position].filter(|_| own.get(position + 1) != Some(&own[position])) else {
                    continue;
                };
                let (sum, count) = named.entry(subject).or_insert_with(|| (vec![0.0; sample.d], 0));
                let x = &sample.x[start + position * sample.d..start + (position + 1) * sample.d];
                sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
                *count += 1;
            }
            for (position, subject) in of.iter().enumerate().skip(1) {
                let (latents, values) = codes.row(position);
                for (&latent, &value) in latents.iter().zip(values) {
                    total[latent as usize] += f64::from(value);
                    if let Some(subject) = subject {
                        let entry = mass.entry((latent as usize, *subject)).or_default();
                        *entry = (entry.0 + f64::from(value), entry.1 + 1);
                    }
                }
            }
        }
        let share = |latent: usize, mass: f64| mass / total[latent].max(f64::MIN_POSITIVE);
        let mut nearest = BTreeMap::<usize, (usize, f64)>::new();
        for ((latent, subject), (of, _)) in mass.iter().filter(|(_, (_, tokens))| *tokens >= LEAST) {
            let share = share(*latent, *of);
            let entry = nearest.entry(*subject).or_insert((*latent, share));
            if share > entry.1 {
                *entry = (*latent, share);
            }
        }
        let stand = mass
            .iter()
            .filter(|((latent, _), (mass, tokens))| *tokens >= LEAST && share(*latent, *mass) >= SHARE)
            .map(|((latent, subject), (mass, _))| (*latent, *subject, share(*latent, *mass)));
        let stand = stand.collect();
        let mean = |(subject, (sum, count)): (usize, (Vec<f32>, usize))| {
            (subject, sum.into_iter().map(|sum| sum / count as f32).collect())
        };
        let means = named.into_iter().map(mean).collect();
        Ok(Self { subjects, stand, nearest, tokens: sample.ids.len(), means })
    }

    /// How many latents stand for subjects of each kind, in words.
    pub fn kinds(&self) -> String {
        let count = |kind| {
            let of: Vec<usize> =
                self.stand.iter().map(|(_, subject, _)| *subject).filter(|s| self.subjects[*s].kind == kind).collect();
            (of.len(), of.iter().collect::<BTreeSet<_>>().len())
        };
        let (people, cities, animals) = (count(Kind::Person), count(Kind::City), count(Kind::Animal));
        format!(
            "{} for {} people, {} for {} cities, {} for {} animals",
            people.0, people.1, cities.0, cities.1, animals.0, animals.1
        )
    }

    /// The latent that comes nearest to standing for a person, with the share of its activation that lies on the name.
    pub fn latent_of(&self, full: &str) -> Option<(usize, f64)> {
        let subject = self.subjects.iter().position(|subject| subject.get("full") == full)?;
        self.nearest.get(&subject).copied()
    }

    /// The latent that stands most for each subject of a kind that one stands for, in the world's order.
    pub fn strongest(&self, kind: Kind) -> Vec<(usize, &'w Subject)> {
        let mut best = BTreeMap::<usize, (usize, f64)>::new();
        for (latent, subject, share) in self.stand.iter().filter(|(_, of, _)| self.subjects[*of].kind == kind) {
            let entry = best.entry(*subject).or_insert((*latent, *share));
            if *share > entry.1 {
                *entry = (*latent, *share);
            }
        }
        best.into_iter().map(|(subject, (latent, _))| (latent, self.subjects[subject])).collect()
    }

    /// Whom a latent stands for.
    pub fn name(&self, latent: usize) -> Option<&str> {
        self.stand.iter().find(|(known, ..)| *known == latent).map(|(_, subject, _)| name(self.subjects[*subject]))
    }

    /// The value of an attribute that a meta-latent stands for, where the subject called `full` is not asked.
    pub fn value(
        &self,
        table: &BreakdownTable,
        meta_latent: usize,
        attribute: &Attribute,
        full: &str,
    ) -> Option<String> {
        let asked = self.asked(attribute, None);
        let except = self.subjects.iter().position(|subject| subject.get("full") == full)?;
        let votes = votes(table, &asked, meta_latent, except);
        stands_for(&votes, &asked).map(ToOwned::to_owned)
    }

    /// How often breakdowns hold what is true of their subjects; with a seed, of other subjects drawn at random.
    pub fn score(&self, table: &BreakdownTable, attribute: &Attribute, shuffled: Option<u64>) -> Score {
        let asked = self.asked(attribute, shuffled);
        let mut score = Score::default();
        for (&latent, &(subject, value)) in &asked.latents {
            let (metas, _) = table.breakdowns.row(latent);
            let held: BTreeSet<&str> = metas
                .iter()
                .filter_map(|meta| stands_for(&votes(table, &asked, *meta as usize, subject), &asked))
                .collect();
            score.latents += 1;
            score.held += held.len();
            score.right += usize::from(held.contains(value));
            score.found += usize::from(held.contains(value));
        }
        score
    }

    /// The score of the control: sums over all draws.
    pub fn control(&self, table: &BreakdownTable, attribute: &Attribute) -> Score {
        (0..DRAWS).map(|seed| self.score(table, attribute, Some(seed))).fold(Score::default(), |a, b| Score {
            latents: a.latents + b.latents,
            held: a.held + b.held,
            right: a.right + b.right,
            found: a.found + b.found,
        })
    }

    /// Of the latents whose value others share, how many have a decoder row nearest to the mean row of the others with that
    /// value, how many there are, and how many have the commonest value: what the rows themselves say, without a meta-SAE.
    pub fn in_rows(&self, sae: &Sae, attribute: &Attribute) -> Result<(usize, usize, usize)> {
        let asked = self.asked(attribute, None);
        let rows = asked
            .latents
            .iter()
            .map(|(latent, (subject, value))| Ok((*subject, *value, meta::unit_row(sae, *latent)?.0)));
        Ok(nearest_mean(rows.collect::<Result<_>>()?))
    }

    /// The same for the mean activations on the last tokens of the subjects' names: what the model itself says there.
    pub fn in_activations(&self, attribute: &Attribute) -> (usize, usize, usize) {
        let values = self.values(attribute, None);
        let of = |(subject, mean): (&usize, &Vec<f32>)| Some((*subject, *values.get(subject)?, mean.clone()));
        nearest_mean(self.means.iter().filter_map(of).collect())
    }

    /// Mean cosine of the rows of latents that stand for a subject of a kind with what sets its mean activation apart from
    /// that of all subjects of the kind.
    pub fn agreement(&self, sae: &Sae, kind: Kind) -> Result<f64> {
        let of: Vec<usize> = self.means.keys().copied().filter(|of| self.subjects[*of].kind == kind).collect();
        let apart: BTreeMap<usize, Vec<f32>> =
            of.iter().copied().zip(centred(of.iter().map(|of| self.means[of].clone()).collect())).collect();
        let mut cosines = Vec::new();
        for (latent, subject, _) in &self.stand {
            if let Some(apart) = apart.get(subject) {
                cosines.push(f64::from(meta::cosine(&meta::unit_row(sae, *latent)?.0, apart)));
            }
        }
        Ok(cosines.iter().sum::<f64>() / cosines.len().max(1) as f64)
    }

    /// The latents that stand for a subject with this attribute, each with subject and value.
    fn asked(&self, attribute: &Attribute, shuffled: Option<u64>) -> Asked<'_> {
        let value = self.values(attribute, shuffled);
        let mut latents = BTreeMap::new();
        let mut seen: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (latent, subject, _) in &self.stand {
            if let Some(value) = value.get(subject) {
                latents.insert(*latent, (*subject, *value));
                seen.entry(value).or_default().insert(*subject);
            }
        }
        let all: usize = seen.values().map(BTreeSet::len).sum();
        let base = seen.into_iter().map(|(value, of)| (value, of.len() as f64 / all.max(1) as f64)).collect();
        Asked { latents, base }
    }

    /// The value of each subject that has this attribute; with a seed, that of another.
    fn values(&self, (kind, _, slot): &Attribute, shuffled: Option<u64>) -> BTreeMap<usize, &str> {
        let of: Vec<usize> = (0..self.subjects.len())
            .filter(|subject| self.subjects[*subject].kind == *kind && !self.subjects[*subject].get(slot).is_empty())
            .collect();
        let mut values: Vec<&str> = of.iter().map(|subject| self.subjects[*subject].get(slot)).collect();
        if let Some(seed) = shuffled {
            values.shuffle(&mut StdRng::seed_from_u64(seed));
        }
        of.into_iter().zip(values).collect()
    }
}

/// Vectors less their mean.
fn centred(mut all: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let Some(size) = all.first().map(Vec::len) else { return all };
    let mut mean = vec![0.0f32; size];
    for one in &all {
        mean.iter_mut().zip(one).for_each(|(mean, value)| *mean += value / all.len() as f32);
    }
    for one in &mut all {
        one.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
    }
    all
}

/// Of the vectors, less their mean, whose value at least [`WITNESSES`] vectors of other subjects share: how many are
/// nearest, by cosine, to the mean of those; how many there are; how many have the commonest value.
fn nearest_mean(all: Vec<Valued<'_>>) -> (usize, usize, usize) {
    let (about, vectors): (Vec<_>, Vec<_>) = all.into_iter().map(|(subject, value, of)| ((subject, value), of)).unzip();
    let vectors = centred(vectors);
    let (mut right, mut asked, mut counts) = (0, 0, BTreeMap::<&str, usize>::new());
    for ((subject, value), vector) in about.iter().zip(&vectors) {
        let mut means: BTreeMap<&str, (Vec<f32>, usize)> = BTreeMap::new();
        for ((_, value), other) in about.iter().zip(&vectors).filter(|((of, _), _)| of != subject) {
            let (sum, count) = means.entry(value).or_insert_with(|| (vec![0.0; vector.len()], 0));
            sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
            *count += 1;
        }
        means.retain(|_, (_, count)| *count >= WITNESSES);
        if !means.contains_key(value) {
            continue;
        }
        let cosine = |mean: &Vec<f32>| meta::cosine(vector, mean);
        let nearest = means.iter().max_by(|a, b| cosine(&a.1.0).total_cmp(&cosine(&b.1.0)));
        right += usize::from(nearest.is_some_and(|(nearest, _)| nearest == value));
        asked += 1;
        *counts.entry(value).or_default() += 1;
    }
    (right, asked, counts.into_values().max().unwrap_or(0))
}

/// What is asked of an attribute.
struct Asked<'a> {
    /// Subject and value of each latent.
    latents: BTreeMap<usize, (usize, &'a str)>,
    /// Share of each value among the subjects.
    base: BTreeMap<&'a str, f64>,
}

/// What the members of a meta-latent say that stand for others than `except`: activation by value, and how many
/// subjects say it.
fn votes<'a>(
    table: &BreakdownTable,
    asked: &Asked<'a>,
    meta_latent: usize,
    except: usize,
) -> BTreeMap<&'a str, (f64, BTreeSet<usize>)> {
    let mut votes: BTreeMap<&str, (f64, BTreeSet<usize>)> = BTreeMap::new();
    let (members, values) = table.members.row(meta_latent);
    for (member, activation) in members.iter().zip(values) {
        if let Some((subject, value)) = asked.latents.get(&(*member as usize))
            && *subject != except
        {
            let entry = votes.entry(value).or_default();
            entry.0 += f64::from(*activation);
            entry.1.insert(*subject);
        }
    }
    votes
}

/// The value that has half of the activation, twice its share among all subjects, and enough witnesses in all.
fn stands_for<'a>(votes: &BTreeMap<&'a str, (f64, BTreeSet<usize>)>, asked: &Asked<'a>) -> Option<&'a str> {
    let all: f64 = votes.values().map(|(activation, _)| activation).sum();
    let (value, (activation, witnesses)) = votes.iter().max_by(|a, b| a.1.0.total_cmp(&b.1.0))?;
    let share = activation / all;
    let enough = witnesses.len() >= WITNESSES && share >= 0.5 && share >= 2.0 * asked.base.get(value)?;
    enough.then_some(*value)
}

fn name(subject: &Subject) -> &str {
    match subject.kind {
        Kind::Person => subject.get("full"),
        Kind::City => subject.get("city"),
        Kind::Animal => subject.get("animal"),
    }
}

/// Every way to name each subject, longest first, so that the polar bear is not a bear.
fn names(subjects: &[&Subject]) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    for (at, subject) in subjects.iter().enumerate() {
        for slot in ["full", "short", "city", "animal"] {
            let name = subject.get(slot);
            if !name.is_empty() {
                names.push((name.to_owned(), at));
            }
        }
    }
    names.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.0.cmp(&b.0)));
    names.dedup_by(|a, b| a.0 == b.0);
    names
}

/// For each token the subject whose name it belongs to.
fn named_by(ids: &[u32], tokenizer: &Tokenizer, names: &[(String, usize)]) -> Result<Vec<Option<usize>>> {
    let (mut text, mut ends) = (String::new(), Vec::with_capacity(ids.len()));
    for id in ids {
        text += &tokens::decode(tokenizer, &[*id])?;
        ends.push(text.len());
    }
    let mut taken: Vec<Option<usize>> = vec![None; text.len()];
    let letter = |at: Option<u8>| at.is_some_and(|byte| byte.is_ascii_alphanumeric());
    for (name, subject) in names {
        for (at, _) in text.match_indices(name.as_str()) {
            let end = at + name.len();
            let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at).copied());
            if !letter(before)
                && !letter(text.as_bytes().get(end).copied())
                && taken[at..end].iter().all(Option::is_none)
            {
                taken[at..end].fill(Some(*subject));
            }
        }
    }
    let mut of: Vec<Option<usize>> = Vec::with_capacity(ids.len());
    let mut start = 0;
    for end in ends {
        of.push(taken.get(start..end).and_then(|span| span.iter().rev().find_map(|subject| *subject)));
        start = end;
    }
    Ok(of)
}

/// For each token the subject whose name it belongs to or directly follows.
fn with_next(own: &[Option<usize>]) -> Vec<Option<usize>> {
    (0..own.len()).map(|at| own[at].or_else(|| own[at.checked_sub(1)?])).collect()
}
