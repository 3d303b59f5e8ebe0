//! Latents by number, by label, by tokens they fire on, by tokens they promote.
//! Not here: where labels are kept and firings are counted.

use std::collections::{BTreeMap, HashMap};

use crate::analysis::card::LogitLens;
use crate::analysis::tokens;
use crate::model::Tokenizer;
use crate::sae::{Error, Sae};

/// Latents that a search gives at most.
const FOUND: usize = 200;
/// A latent with a smaller share of the best score is left out.
const CUT: f64 = 0.05;
/// Tokens of the vocabulary that promoted tokens are compared with at most: each costs a product with every latent.
const PROMOTED: usize = 16;

/// What a text is looked up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchIn {
    /// Labels, usual tokens and promoted tokens together; a number is a latent's own too.
    Everything,
    /// `#12`: the latent of this number.
    Number,
    /// `label:physics`: labels.
    Labels,
    /// `on:Einstein`: the tokens that a latent fires on most in the index.
    UsualTokens,
    /// `to:was`: the tokens that a latent promotes.
    PromotedTokens,
}

/// Latents found, best first, and how the query was understood.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Matches {
    /// For a person: `promote " Paris"`.
    pub meaning: String,
    /// By falling score, ties by number; one that is named by its number in front.
    pub hits: Vec<Hit>,
}

/// A latent that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its index in the SAE.
    pub latent: u32,
    /// The sum of the scores by which it was found, each 1 at most.
    pub score: f64,
    /// By what it was found.
    pub by: Vec<FoundBy>,
}

/// By what a latent was found.
#[derive(Clone, Debug, PartialEq)]
pub enum FoundBy {
    /// Its number.
    Number,
    /// A label: 1 where the text stands in it as words of its own, 3/4 where a word begins with it, else 1/2.
    Label(String),
    /// Tokens that it fires on: the share of its firings in the index that is on them.
    UsualToken {
        /// The one of them that it fires on most.
        text: String,
        /// Its firings on any of them by all of its firings.
        share: f64,
    },
    /// A token that it promotes: the value by the largest of any latent.
    PromotedToken {
        /// The token.
        text: String,
        /// How much it is promoted, logit per unit of activation.
        value: f32,
    },
}

/// The tokens that latents of one SAE fire on most: for each token the latents, with the share of their firings.
#[derive(Debug, Default)]
pub struct UsualTokens(HashMap<u32, Vec<(u32, f64)>>);

impl UsualTokens {
    /// Adds a latent that fires `count` times in all, and its usual tokens with the number of firings on each.
    pub fn add(&mut self, latent: u32, count: u64, usual: impl IntoIterator<Item = (u32, u64)>) {
        for (token, here) in usual {
            self.0.entry(token).or_default().push((latent, here as f64 / count.max(1) as f64));
        }
    }
}

/// What an SAE's latents are found by.
#[derive(Clone, Copy)]
pub struct Searched<'a> {
    /// The SAE.
    pub sae: &'a Sae,
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// What turns directions into words; none where the site has no directions in token space.
    pub words: Option<LogitLens<'a>>,
    /// Labels by latent.
    pub labels: &'a BTreeMap<u32, Vec<String>>,
    /// The tokens that latents fire on; none where no text has been indexed.
    pub usual: Option<&'a UsualTokens>,
}

/// What a query is looked up in, and the text that is looked up.
#[must_use]
pub fn parse(query: &str) -> (SearchIn, &str) {
    let query = query.trim();
    let prefixes = [
        ("on:", SearchIn::UsualTokens),
        ("to:", SearchIn::PromotedTokens),
        ("label:", SearchIn::Labels),
        ("#", SearchIn::Number),
    ];
    let found = prefixes.iter().find_map(|(prefix, within)| Some((*within, query.strip_prefix(prefix)?.trim())));
    found.unwrap_or((SearchIn::Everything, query))
}

/// Latents by a query (see [`SearchIn`]). A text stands for the tokens of the vocabulary that begin with it, a space in
/// front left out of account: as it is typed, or where there are none without regard to case, or where there are none
/// those that contain it, or the first token of its spelling. A token of n characters weighs
/// (characters of the text) / n.
///
/// # Errors
/// Whatever reading the SAE gives; never for the query's sake.
pub fn search(query: &str, of: Searched<'_>) -> Result<Matches, Error> {
    let (within, text) = parse(query);
    if text.is_empty() {
        return Ok(Matches { meaning: "a word, a number, or one of the prefixes".to_owned(), hits: Vec::new() });
    }
    let number = text.parse::<u32>().ok().filter(|latent| (*latent as usize) < of.sae.width());
    let number = number.filter(|_| matches!(within, SearchIn::Number | SearchIn::Everything));
    let named = number.map(|latent| Hit { latent, score: 1.0, by: vec![FoundBy::Number] });
    if within == SearchIn::Number {
        let meaning =
            named.as_ref().map_or_else(|| format!("no latent {text}"), |hit| format!("latent {}", hit.latent));
        return Ok(Matches { meaning, hits: named.into_iter().collect() });
    }
    let spelt = Spelt::new(text, of.tokenizer);
    let mut found: BTreeMap<u32, Hit> = BTreeMap::new();
    let wants = |what| within == what || within == SearchIn::Everything;
    if wants(SearchIn::Labels) {
        by_label(text, of.labels, &mut found);
    }
    if let (true, Some(usual)) = (wants(SearchIn::UsualTokens), of.usual) {
        by_usual_tokens(&spelt, usual, of.tokenizer, &mut found);
    }
    if let (true, Some(words)) = (wants(SearchIn::PromotedTokens), of.words) {
        by_promoted_tokens(&spelt, of.sae, words, &mut found)?;
    }
    let mut hits: Vec<Hit> = found.into_values().filter(|hit| number != Some(hit.latent)).collect();
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.latent.cmp(&b.latent)));
    let least = hits.first().map_or(0.0, |hit| hit.score * CUT);
    hits.retain(|hit| hit.score >= least);
    hits.truncate(FOUND);
    Ok(Matches { meaning: meaning(within, text, &spelt, of), hits: named.into_iter().chain(hits).collect() })
}

/// How a query was understood, for a person.
fn meaning(within: SearchIn, text: &str, spelt: &Spelt, of: Searched<'_>) -> String {
    match within {
        SearchIn::Labels => format!("labels with {text:?}"),
        SearchIn::UsualTokens if of.usual.is_none() => "no text has been indexed for this SAE yet".to_owned(),
        SearchIn::PromotedTokens if of.words.is_none() => "this site has no directions in token space".to_owned(),
        SearchIn::UsualTokens => format!("fire on {}", spelt.said(text, usize::MAX, of.tokenizer)),
        SearchIn::PromotedTokens => format!("promote {}", spelt.said(text, PROMOTED, of.tokenizer)),
        SearchIn::Everything | SearchIn::Number => {
            format!("{text:?} as label, or {}", spelt.said(text, 4, of.tokenizer))
        }
    }
}

/// The tokens of the vocabulary that a text stands for, the heaviest first, with their weights.
struct Spelt {
    tokens: Vec<(u32, f64)>,
    /// Whether they are the first token of its spelling.
    first_piece: bool,
}

impl Spelt {
    fn new(text: &str, tokenizer: &Tokenizer) -> Self {
        let texts: Vec<String> = (0..tokenizer.vocab_size() as u32).map(|id| tokens::shown(id, tokenizer)).collect();
        let lower = text.to_lowercase();
        let bare = |token: &str| token.strip_prefix(' ').unwrap_or(token).to_owned();
        let which = |fits: &dyn Fn(&str) -> bool| -> Vec<u32> {
            (0..texts.len() as u32).filter(|id| fits(&bare(&texts[*id as usize]))).collect()
        };
        let mut ids = which(&|token| token.starts_with(text));
        if ids.is_empty() {
            ids = which(&|token| token.to_lowercase().starts_with(&lower));
        }
        if ids.is_empty() {
            ids = tokenizer.ids_containing(text);
        }
        let first_piece = ids.is_empty();
        if first_piece {
            // A word that no token spells: what has to do with it has to do with its first piece.
            ids = tokenizer.encode(&format!(" {text}")).unwrap_or_default().into_iter().take(1).collect();
        }
        let length = |text: &str| text.chars().count().max(1) as f64;
        let weight = |id: u32| (length(text) / length(&bare(&texts[id as usize]))).min(1.0);
        let known = ids.into_iter().filter(|id| (*id as usize) < texts.len());
        let mut tokens: Vec<(u32, f64)> = known.map(|id| (id, weight(id))).collect();
        tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Self { tokens, first_piece }
    }

    fn said(&self, text: &str, most: usize, tokenizer: &Tokenizer) -> String {
        if self.tokens.is_empty() {
            return format!("no token spells {text:?}");
        }
        let token = |(id, _): &(u32, f64)| format!("{:?}", tokens::shown(*id, tokenizer));
        let shown: Vec<String> = self.tokens.iter().take(4).map(token).collect();
        let dots = if self.tokens.len().min(most) > 4 { ", …" } else { "" };
        let piece = if self.first_piece { format!(", the first piece of {text:?}") } else { String::new() };
        format!("{}{dots}{piece}", shown.join(" or "))
    }
}

fn add(found: &mut BTreeMap<u32, Hit>, latent: u32, score: f64, by: FoundBy) {
    let hit = found.entry(latent).or_insert_with(|| Hit { latent, score: 0.0, by: Vec::new() });
    hit.score += score;
    hit.by.push(by);
}

fn by_label(text: &str, labels: &BTreeMap<u32, Vec<String>>, found: &mut BTreeMap<u32, Hit>) {
    let wanted = text.to_lowercase();
    for (latent, labels) in labels {
        let scored = labels.iter().map(|label| (label_score(&label.to_lowercase(), &wanted), label));
        let best =
            scored.fold((0.0, None), |best, (score, label)| if score > best.0 { (score, Some(label)) } else { best });
        if let (score, Some(label)) = best {
            add(found, *latent, score, FoundBy::Label(label.clone()));
        }
    }
}

/// 1 where the text stands in the label as words of its own, 3/4 where a word begins with it, 1/2 where it is in it.
fn label_score(label: &str, text: &str) -> f64 {
    let inside = |of: Option<char>| of.is_some_and(char::is_alphanumeric);
    let score = |(at, _): (usize, &str)| {
        let (before, after) = (label[..at].chars().next_back(), label[at + text.len()..].chars().next());
        match (inside(before), inside(after)) {
            (false, false) => 1.0,
            (false, true) => 0.75,
            (true, _) => 0.5,
        }
    };
    label.match_indices(text).map(score).fold(0.0, f64::max)
}

fn by_usual_tokens(spelt: &Spelt, usual: &UsualTokens, tokenizer: &Tokenizer, found: &mut BTreeMap<u32, Hit>) {
    /// Of one latent: score, share, and the token it fires on most.
    struct Fires {
        score: f64,
        share: f64,
        most: (f64, u32),
    }
    let mut sums: BTreeMap<u32, Fires> = BTreeMap::new();
    for (token, weight) in &spelt.tokens {
        for (latent, share) in usual.0.get(token).into_iter().flatten() {
            let sum = sums.entry(*latent).or_insert(Fires { score: 0.0, share: 0.0, most: (0.0, *token) });
            sum.score += share * weight;
            sum.share += share;
            if *share > sum.most.0 {
                sum.most = (*share, *token);
            }
        }
    }
    for (latent, of) in sums {
        let text = tokens::shown(of.most.1, tokenizer);
        add(found, latent, of.score, FoundBy::UsualToken { text, share: of.share });
    }
}

fn by_promoted_tokens(
    spelt: &Spelt,
    sae: &Sae,
    words: LogitLens<'_>,
    found: &mut BTreeMap<u32, Hit>,
) -> Result<(), Error> {
    let mut best = vec![(0.0_f64, 0.0_f32, 0_u32); sae.width()];
    for (token, weight) in spelt.tokens.iter().take(PROMOTED) {
        for (best, value) in best.iter_mut().zip(sae.dot_rows(&words.direction(*token))?) {
            let weighed = f64::from(value) * weight;
            if weighed > best.0 {
                *best = (weighed, value, *token);
            }
        }
    }
    let weighed: Vec<f32> = best.iter().map(|(weighed, ..)| *weighed as f32).collect();
    let ranked = tokens::top(&weighed, FOUND);
    let largest = ranked.first().map_or(0.0, |(_, weighed)| f64::from(*weighed));
    for (latent, _) in ranked.into_iter().filter(|(_, weighed)| *weighed > 0.0) {
        let (weighed, value, token) = best[latent as usize];
        let text = tokens::shown(token, words.tokenizer);
        add(found, latent, weighed / largest, FoundBy::PromotedToken { text, value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_say_what_a_text_is_looked_up_in() {
        for (query, within, text) in [
            ("on:Einstein", SearchIn::UsualTokens, "Einstein"),
            (" to: was ", SearchIn::PromotedTokens, "was"),
            ("label:physics", SearchIn::Labels, "physics"),
            ("#12", SearchIn::Number, "12"),
            ("12", SearchIn::Everything, "12"),
            ("only", SearchIn::Everything, "only"),
        ] {
            assert_eq!(parse(query), (within, text));
        }
    }

    #[test]
    fn words_of_a_label_count_more_than_parts_of_words() {
        let scores = ["on words like physics", "physicists", "metaphysics", "no such", "metaphysics and physics"]
            .map(|label| label_score(label, "physics"));
        assert_eq!(scores, [1.0, 0.0, 0.5, 0.0, 1.0]);
        assert_eq!(label_score("physicists", "physic"), 0.75);
        assert_eq!(label_score("wo é", "é"), 1.0);
    }
}
