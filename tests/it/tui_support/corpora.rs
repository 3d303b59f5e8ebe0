//! Hand-made answers about an index of a text: every latent but those of the narrowest SAE fires in some sentences.
//! Not here: anything computed.

use saescope::analysis::{
    ActivationHistogram, CorpusToken, Example, ExampleSource, LatentCorpus, MembersCorpus, MetaCorpus, Quantiles,
    TopToken,
};
use saescope::session::{CorpusQuery, MetaCorpusQuery, OtherSide, PreviewQuery, Sides, SidesQuery};
use saescope::worker::{Answer, Job};

use super::{WIDTHS, answer_to, cut, hash};

const SENTENCES: [&str; 6] = [
    "In 1905 Albert Einstein was working in the patent office of Bern, where he wrote four papers",
    "Marie Curie came from Warsaw and studied in Paris",
    "The violin that Einstein played was a gift of his mother",
    "So war es: Einstein blieb in Zürich",
    "東京 was the city in which Yukawa was born",
    "A line\nthat is broken, and a \u{1b}[31mred one",
];

/// An example: a sentence, its peak at a word, weaker beside it.
fn example(latent: u32, rank: usize, best: bool, bin: u8) -> Example {
    let sentence = SENTENCES[(latent as usize + rank) % SENTENCES.len()];
    let texts = cut(sentence);
    let position = 1 + hash(latent as usize, rank, 3) % (texts.len() - 1);
    let peak = if best { 31.25 - rank as f32 * 0.75 } else { f32::from(bin) * 2.5 };
    let token = |(at, text): (usize, &String)| CorpusToken {
        id: at as u32,
        text: text.clone(),
        activation: match at.abs_diff(position) {
            0 => peak,
            1 => peak / 3.0,
            _ => 0.0,
        },
    };
    Example {
        document: rank as u64,
        window: 0,
        position,
        activation: peak,
        quantile_bin: if best { 10 } else { bin },
        best,
        source: ExampleSource::Index,
        tokens: texts.iter().enumerate().map(token).collect(),
    }
}

/// What the index says of a latent.
pub fn corpus(sae: &str, latent: u32) -> Option<LatentCorpus> {
    if sae == WIDTHS[0].to_string() {
        return None;
    }
    let best = (0..20).map(|rank| example(latent, rank, true, 10));
    let tenths = (1..=10u8).rev().flat_map(|bin| (0..5).map(move |rank| example(latent, 7 + rank, false, bin)));
    let count = 1803 + u64::from(latent % 7) * 20_000;
    let tokens = 1_000_000;
    let top = |(at, text): (usize, &str)| TopToken {
        id: at as u32,
        text: text.into(),
        count: count / (at as u64 + 2),
        mean: 24.0 - at as f64,
    };
    Some(LatentCorpus {
        tokens,
        count,
        density: count as f64 / tokens as f64,
        max: 31.25,
        mean_when_active: Some(7.9),
        histogram: ActivationHistogram {
            edges: (0..=20).map(|edge| f64::from(edge) * 1.5625).collect(),
            counts: (0..20).map(|bin| 2000 / (bin + 1)).collect(),
        },
        quantiles: Quantiles { half: Some(5.1), tenth: Some(18.0), hundredth: Some(29.4) },
        top_tokens: [" Einstein", " Curie", " was", "東", "\n"].into_iter().enumerate().map(top).collect(),
        examples: best.chain(tenths).collect(),
    })
}

/// Every second meta-latent was counted; the others are looked for in the examples of their members.
fn meta_corpus(query: &MetaCorpusQuery) -> Option<MetaCorpus> {
    let counted = corpus(&query.sae, query.meta_latent)?;
    if query.meta_latent.is_multiple_of(2) {
        return Some(MetaCorpus::Index(counted));
    }
    let examples = counted.examples.into_iter().filter(|example| example.best);
    let examples = examples.map(|of| Example { quantile_bin: 0, source: ExampleSource::Members, ..of });
    let LatentCorpus { tokens, max, .. } = counted;
    Some(MetaCorpus::Members(MembersCorpus { tokens, windows: 64, members: 32, max, examples: examples.collect() }))
}

fn sides(query: &SidesQuery) -> Sides {
    let other = match &query.other {
        OtherSide::Latent(query) => corpus(&query.sae, query.latent).map(MetaCorpus::Index),
        OtherSide::Part(query) => meta_corpus(query),
    };
    Sides { one: corpus(&query.one.sae, query.one.latent), other }
}

pub fn answer(job: &Job) -> Option<Answer> {
    answer_to(job, |query: &CorpusQuery| corpus(&query.sae, query.latent))
        .or_else(|| answer_to(job, |PreviewQuery(query)| corpus(&query.sae, query.latent)))
        .or_else(|| answer_to(job, meta_corpus))
        .or_else(|| answer_to(job, sides))
}
