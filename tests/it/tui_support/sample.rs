//! Hand-made data for the screens: a small world with tokens that are hard to show.
//! Not here: anything computed.
#![allow(dead_code, reason = "each test file uses a part of it")]

#[path = "corpora.rs"]
pub mod corpora;
#[path = "metas.rs"]
pub mod metas;
#[path = "pairs.rs"]
pub mod pairs;
#[path = "stitching.rs"]
pub mod stitching;

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use saescope::analysis::doctor::Checkup;
use saescope::analysis::effect::{
    ControlEffect, EffectView, ErrorEffect, LatentEffect, PartEffect, RandomEffect, SaeEffect,
};
use saescope::analysis::{
    Attribution, CellEffect, Class, Firing, FoundBy, GridView, HeadValue, Hit, IndexSae, IndexView, Label, LabelScores,
    LabelSource, LadderEntry, LatentCard, LatentFrequency, MetaEffectView, MetaLatentEffect, Metrics, Neighbour,
    NextToken, PositionEffect, PositionRun, Quality, Relation, RelativeEffect, Run, SaeGrid, SaeRun, SaeTypes, Seen,
    SourceValue, SteerArm, SteerToken, SteerView, Strength, SweepPoint, Timings, TokenValue, TokenView, TopToken,
};
use saescope::session::{
    AttributionQuery, CardQuery, CatalogueQuery, Checked, CheckupQuery, EffectQuery, FilterQuery, Found, Frequencies,
    FrequenciesQuery, GridQuery, IndexQuery, LabelCount, Labels, LabelsQuery, LatentNames, LoadScope, MakeLabelsQuery,
    Memory, MetaEffectQuery, NamesQuery, NextQuery, OpenQuery, OpenedSuite, PackQuery, Predictions, PullQuery, Query,
    RunQuery, SaeInfo, SearchQuery, SteerEdit, SteerQuery, SuiteEntry, WriteLabelQuery,
};
use saescope::site::{Site, SiteKind};
use saescope::task::{Cancelled, Ticket};
use saescope::text::Charset;
use saescope::tui::app::{App, TuiOptions};
use saescope::tui::msg::{Effect, Msg, Update};
use saescope::tui::theme::Theme;
use saescope::tui::update::{start, update};
use saescope::worker::{Answer, Event, Job, JobEvent};

pub const SITE: Site = Site { layer: 2, kind: SiteKind::ResidPre };
/// A suite of this name reads attention z.
pub const HEADS: &str = "heads";
pub const WIDTHS: [usize; 5] = [128, 256, 512, 1024, 2048];
pub const PROMPT: &str = "Albert Einstein was a physicist who was born in";
/// Chinese, an emoji with joiners, Hebrew, a control character and a bidirectional one, a combining mark, a newline.
pub const HARD_PROMPT: &str = "東京 is 👩\u{200d}🔬 שלום \u{1b}[2J\u{202e}e\u{301}\nnext";

pub fn opened_suite(suite: &str) -> OpenedSuite {
    let kind = if suite == HEADS { SiteKind::AttnZ } else { SITE.kind };
    OpenedSuite { site: Site { kind, ..SITE }, ..opened() }
}

pub fn opened() -> OpenedSuite {
    let saes = WIDTHS.iter().map(|w| SaeInfo { id: w.to_string(), width: Some(*w), loaded: true, neuronpedia: None });
    OpenedSuite {
        suite: "demo".into(),
        title: "A small world of facts".into(),
        model: "demo/model".into(),
        site: SITE,
        threshold: 0.7,
        device: "cpu, 2 threads".into(),
        saes: saes.collect(),
        context: 256,
        bos: true,
        prompt: PROMPT.into(),
        reach: LoadScope::Whole,
        words: true,
        memory: Memory { needed: 40_000_000, free: None, on_device: None },
        notes: Vec::new(),
    }
}

/// Words with the space before them, as byte-level BPE cuts English; other text by character.
pub fn cut(prompt: &str) -> Vec<String> {
    let mut tokens = vec!["<|endoftext|>".to_owned()];
    let mut word = String::new();
    for c in prompt.chars() {
        let starts = c == ' ' || !c.is_ascii_alphanumeric();
        if starts && !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

/// An index of a text that is read to its end.
pub fn index_view() -> IndexView {
    let sae = |width: &usize| IndexSae {
        id: width.to_string(),
        width: *width,
        silent: width / 40,
        dense: 3,
        l0: 14.0 + *width as f64 / 200.0,
    };
    IndexView {
        index: Some("/home/ada/.local/share/saescope/index/demo-1f".into()),
        suite: "demo".into(),
        tokens: 123_456,
        documents: 812,
        windows: 1_000,
        context: 128,
        saes: WIDTHS.iter().map(sae).collect(),
        seconds: 60.0,
        complete: true,
        texts: vec!["the text of suite demo".into()],
        ..IndexView::default()
    }
}

fn hash(a: usize, b: usize, c: usize) -> usize {
    let mut h = (a * 31 + b) * 131 + c * 7919 + 17;
    h ^= h >> 7;
    h = h.wrapping_mul(2_654_435_761) % 1_000_003;
    h
}

pub fn run_of(prompt: &str) -> Run {
    let tokens = cut(prompt);
    let saes = WIDTHS.iter().map(|width| sae_run(*width, &tokens)).collect();
    let view = |(position, text): (usize, &String)| TokenView { position, id: position as u32, text: text.clone() };
    Run {
        suite: "demo".into(),
        model: "demo/model".into(),
        site: SITE,
        tokens: tokens.iter().enumerate().map(view).collect(),
        left_out: 1,
        next: vec![Vec::new(); tokens.len()],
        saes,
        notes: Vec::new(),
        timings_ms: Timings { load: 0.0, forward: 8.4, predictions: 0.0, encode: 3.1 },
    }
}

/// What comes next at each of so many positions.
pub fn next_of(tokens: usize) -> Vec<Vec<NextToken>> {
    let words = [" Germany", " Ulm", " the", " 1879", " a", "\n", " Berlin", "東", "⟨e2 96⟩", " Switzerland"];
    (0..tokens)
        .map(|p| {
            let of = |i: usize| NextToken {
                id: i as u32,
                text: words[(i + p) % words.len()].into(),
                logprob: -(0.5 + i as f32 * 0.8),
            };
            (0..10).map(of).collect()
        })
        .collect()
}

fn sae_run(width: usize, tokens: &[String]) -> SaeRun {
    let position = |(position, token): (usize, &String)| {
        let count = 6 + hash(width, position, 1) % 18;
        let seed = token.bytes().map(usize::from).sum::<usize>();
        let mut latents: Vec<Firing> = (0..count)
            .map(|i| Firing {
                latent: (hash(seed, i, width) % width) as u32,
                activation: 14.0 / (1.0 + i as f32 * 0.6) + (seed % 10) as f32 * 0.1,
                quantile: None,
            })
            .collect();
        latents.dedup_by_key(|f| f.latent);
        let mut seen = std::collections::HashSet::new();
        latents.retain(|f| seen.insert(f.latent));
        PositionRun { position, l0: latents.len(), latents }
    };
    SaeRun {
        id: width.to_string(),
        width,
        dtype: SaeTypes::default(),
        notes: Vec::new(),
        metrics: Metrics {
            quality: Quality {
                tokens: tokens.len() - 1,
                l0: Some(14.0 + width as f64 / 200.0),
                mse: Some(2.4 / (width as f64).sqrt()),
                explained_variance: Some(1.0 - 3.0 / (width as f64).sqrt()),
            },
            cross_entropy: None,
        },
        positions: tokens.iter().enumerate().map(position).collect(),
    }
}

pub fn promoted(width: usize, latent: u32) -> Vec<TokenValue> {
    let words = [
        " physicist",
        " scientist",
        " relativity",
        " born",
        " Germany",
        " theory",
        " the",
        "東",
        " was",
        " river",
        " painter",
        "\n",
        " capital",
        "👩",
        "⟨e2 96⟩",
        " 1879",
        " composer",
        "s",
        " music",
    ];
    (0..10)
        .map(|i| TokenValue {
            id: i as u32,
            text: words[hash(width, latent as usize, i) % words.len()].into(),
            value: 3.2 - i as f32 * 0.27,
        })
        .collect()
}

pub fn card(sae: &str, latent: u32) -> LatentCard {
    let width: usize = sae.parse().unwrap_or(512);
    let ladder = WIDTHS.iter().filter(|w| **w != width).map(|other| {
        let near = |i: usize| Neighbour {
            latent: (hash(width, latent as usize, other + i) % other) as u32,
            cosine: 0.93 - i as f32 * 0.11 - (other.abs_diff(width) as f32).log2() * 0.03,
        };
        LadderEntry {
            sae: other.to_string(),
            width: *other,
            nearest: (0..3).map(near).collect(),
            class: (*other < width).then(|| if near(0).cosine < 0.7 { Class::Novel } else { Class::Reconstruction }),
            threshold: 0.7,
        }
    });
    let suppressed = promoted(width + 1, latent).into_iter().map(|t| TokenValue { value: -t.value, ..t });
    LatentCard {
        sae: sae.into(),
        latent,
        decoder_norm: 1.0,
        zero: false,
        encoder_bias: -0.123,
        promoted: promoted(width, latent),
        suppressed: suppressed.collect(),
        ladder: ladder.collect(),
        meta: Vec::new(),
        seen: Seen { fired: 17, tokens: 243 },
        notes: Vec::new(),
    }
}

/// Twelve heads, of which most look at one token each, and whose parts add up.
pub fn attribution(latent: u32, position: usize) -> Attribution {
    const HEADS: usize = 12;
    let tokens = cut(PROMPT);
    let part = |source: usize, head: usize| {
        let seed = hash(latent as usize, source + 31 * position, head);
        let looks = hash(latent as usize, head, 3) % (position + 1) == source;
        (seed % 200) as f32 / 1000.0 - 0.1 + if looks { (seed % 17) as f32 / 6.0 - 0.8 } else { 0.0 }
    };
    let parts: Vec<Vec<f32>> =
        (0..=position).map(|source| (0..HEADS).map(|head| part(source, head)).collect()).collect();
    let head = |head: usize| HeadValue {
        head,
        value: parts.iter().map(|heads| heads[head]).sum(),
        decoder_share: (head + 1) as f32 / 78.0,
    };
    let source = |source: usize| SourceValue {
        position: source,
        id: source as u32,
        text: tokens.get(source).cloned().unwrap_or_default(),
        value: parts[source].iter().sum(),
    };
    let (sources, bias): (Vec<SourceValue>, f32) = ((0..=position).map(source).collect(), -0.75);
    let pre_activation = sources.iter().map(|source| source.value).sum::<f32>() + bias;
    Attribution {
        position,
        activation: pre_activation.max(0.0),
        pre_activation,
        bias,
        heads: (0..HEADS).map(head).collect(),
        sources,
        parts,
    }
}

/// What could stand in the place of a token: the last of them is a part of a character.
fn candidate(at: usize, which: usize) -> NextToken {
    let text = if which == 7 { "⟨e2 96⟩".to_owned() } else { format!(" other{at}.{which}") };
    NextToken { id: (1000 + which) as u32, text, logprob: -1.0 - which as f32 }
}

/// What arms write: the steered one leaves the untouched text in the middle.
pub fn steer(query: &SteerQuery) -> SteerView {
    let arm = |arm: &'static str, from: usize| {
        let token = |at: usize| SteerToken {
            id: if at < from { at as u32 } else { (100 + at) as u32 },
            text: if at < from { format!(" word{at}") } else { format!(" {arm}{at}") },
            logprob: -0.5,
            edited: arm != "untouched",
            candidates: (0..query.candidates).map(|which| candidate(at, which)).collect(),
        };
        let tokens: Vec<SteerToken> = (0..query.tokens).map(token).collect();
        SteerArm {
            arm,
            text: tokens.iter().map(|token| token.text.as_str()).collect(),
            tokens,
            perplexity_untouched: Some(4.25),
            latent_mean: Some(3.0),
            ..SteerArm::default()
        }
    };
    let strength = |edit: &SteerEdit| {
        let raw = edit.change.strength().map(f64::from);
        Strength { raw, max: raw.map(|raw| raw / 10.0), norm: raw.map(|raw| raw / 50.0) }
    };
    let point = |strength: f32| SweepPoint {
        strength: f64::from(strength),
        text: format!(" at strength {strength}"),
        perplexity_untouched: Some(5.5),
        latent_mean: Some(2.0),
    };
    SteerView {
        strengths: query.edits.iter().map(strength).collect(),
        arms: vec![arm("untouched", usize::MAX), arm("steered", 3), arm("random", 6)],
        sweep: query.sweep.map(|sweep| sweep.strengths().into_iter().map(point).collect()).unwrap_or_default(),
        ..SteerView::default()
    }
}

/// What latents do: one speaks for the token, most say little, one speaks against it.
pub fn effect(query: &EffectQuery) -> EffectView {
    let position = query.position.unwrap_or(0);
    let saes = if query.saes.is_empty() { WIDTHS.map(|width| width.to_string()).to_vec() } else { query.saes.clone() };
    let saes: Vec<SaeEffect> = saes.into_iter().map(|sae| effects_of(&query.prompt, sae, position)).collect();
    let relatives = query.relatives_of.as_ref().map(|of| {
        let width = |id: &str| id.parse::<usize>().unwrap_or(0);
        let others = saes.iter().filter(|sae| sae.id != of.sae && !sae.latents.is_empty());
        let relation =
            |sae: &SaeEffect| if width(&sae.id) < width(&of.sae) { Relation::Parent } else { Relation::Child };
        let of = |sae: &SaeEffect| RelativeEffect {
            sae: sae.id.clone(),
            relation: relation(sae),
            cosine: 0.83,
            effect: sae.latents[sae.latents.len() - 1],
        };
        others.map(of).collect()
    });
    EffectView {
        position,
        read: query.read.unwrap_or(position),
        token: NextToken { id: 1, text: query.token.clone().unwrap_or(" Germany".into()), logprob: -0.5 },
        sign: "clean - ablated",
        saes,
        relatives,
        notes: Vec::new(),
    }
}

fn effects_of(prompt: &str, sae: String, position: usize) -> SaeEffect {
    let run = run_of(prompt);
    let of_sae = run.saes.iter().find(|run| run.id == sae).expect("an SAE of the sample");
    let mut latents: Vec<LatentEffect> = of_sae.positions[position]
        .latents
        .iter()
        .enumerate()
        .map(|(at, firing)| {
            let seed = hash(firing.latent as usize, position, 5) as f64 % 100.0 / 100.0;
            let delta = if at % 3 == 1 { -seed * 0.4 } else { seed * 1.2 };
            LatentEffect {
                latent: firing.latent,
                activation: firing.activation,
                delta_logprob: delta,
                delta_logit: delta * 1.1,
                kl: delta * delta * 0.3,
                direct: Some(delta * 0.6),
            }
        })
        .collect();
    latents.sort_by(|a, b| b.delta_logprob.abs().total_cmp(&a.delta_logprob.abs()).then(a.latent.cmp(&b.latent)));
    let control = ControlEffect { delta_logprob: 0.01, kl: 0.002, kl_max: 0.004 };
    SaeEffect {
        id: sae,
        latents,
        all_latents: PartEffect { delta_logprob: 2.5, kl: 1.4 },
        error: ErrorEffect { delta_logprob: -0.31, kl: 0.07, norm: 4.2, random: control },
        random: RandomEffect { norm: 9.0, delta_logprob: -0.02, kl: 0.004, kl_max: 0.01, directions: 16 },
    }
}

/// What the meta-latents of one latent do.
pub fn meta_effect(query: &MetaEffectQuery) -> MetaEffectView {
    let of = |meta_latent: u32| MetaLatentEffect {
        meta_latent,
        activation: 3.0,
        latents: 1,
        delta_logprob: 0.9 - f64::from(meta_latent) * 0.4,
        delta_logit: 0.8 - f64::from(meta_latent) * 0.4,
        kl: 0.2,
    };
    let position = query.position.unwrap_or(0);
    MetaEffectView {
        position,
        read: query.read.unwrap_or(position),
        token: NextToken { id: 1, text: " Germany".into(), logprob: -0.5 },
        sign: "clean - ablated",
        sae: query.sae.clone(),
        meta: query.meta.clone(),
        latents: query.latents.clone(),
        meta_latents: (0..4).map(of).collect(),
        all_latents: PartEffect { delta_logprob: 1.1, kl: 0.5 },
        random: RandomEffect { norm: 9.0, delta_logprob: -0.02, kl: 0.004, kl_max: 0.01, directions: 16 },
        notes: Vec::new(),
    }
}

/// What every position does: later ones more, and latents as in [`effect`].
pub fn grid(query: &GridQuery) -> GridView {
    let (sae, read) = (query.saes[0].clone(), query.read.unwrap_or(0));
    let run = run_of(&query.prompt);
    let of_sae = run.saes.iter().find(|run| run.id == sae).expect("an SAE of the sample");
    let sizes = |at: usize| (hash(at, read, 3) % 90) as f64 / 30.0 - 1.0;
    let mut positions: Vec<PositionEffect> = (1..=read)
        .map(|position| PositionEffect {
            position,
            latents: of_sae.positions[position].latents.len(),
            all_latents: PartEffect { delta_logprob: sizes(position), kl: sizes(position).powi(2) * 0.4 },
            error: PartEffect { delta_logprob: 0.02, kl: 0.001 },
            measured: true,
        })
        .collect();
    positions.sort_by(|a, b| b.all_latents.delta_logprob.abs().total_cmp(&a.all_latents.delta_logprob.abs()));
    let mut cells = Vec::new();
    for of in &positions {
        let at = EffectQuery {
            prompt: query.prompt.clone(),
            saes: query.saes.clone(),
            position: Some(of.position),
            read: Some(read),
            token: None,
            relatives_of: None,
            seed: 0,
        };
        cells.extend(effect(&at).saes[0].latents.iter().map(|latent| CellEffect {
            position: of.position,
            latent: latent.latent,
            activation: latent.activation,
            delta_logprob: latent.delta_logprob,
            delta_logit: latent.delta_logit,
            kl: latent.kl,
        }));
    }
    cells.sort_by(|a, b| b.delta_logprob.abs().total_cmp(&a.delta_logprob.abs()));
    GridView {
        read,
        token: NextToken { id: 1, text: " Germany".into(), logprob: -0.5 },
        sign: "clean - ablated",
        saes: vec![SaeGrid { id: sae, positions, cells }],
        notes: Vec::new(),
    }
}

pub fn catalogue() -> Vec<SuiteEntry> {
    let entry = |id: &str, title: &str, bytes: u64, cached: u64, gated: Option<&str>| SuiteEntry {
        id: id.into(),
        name: id.into(),
        title: title.into(),
        model: format!("hub/{id}"),
        site: Some(SITE),
        saes: vec!["768".into(), "1536".into()],
        download_bytes: Some(bytes),
        cached_bytes: cached,
        ready: cached >= bytes,
        licence: Some("MIT".into()),
        gated: gated.map(str::to_owned),
    };
    vec![
        entry("demo", "A small world of facts", 0, 0, None),
        entry(
            "gpt2-small-feature-splitting",
            "GPT-2 small, layer 8, 768 to 98,304 latents",
            2_400_000_000,
            548_000_000,
            None,
        ),
        entry("gpt2-small-res-jb", "GPT-2 small, every layer, 24,576 latents", 7_800_000_000, 0, None),
        entry(
            "gemma-2-2b",
            "Gemma 2 2B, layer 12",
            5_200_000_000,
            0,
            Some("accept the licence at huggingface.co/google/gemma-2-2b, then set HF_TOKEN"),
        ),
    ]
}

/// What would answer a question.
pub fn answer(job: &Job) -> Answer {
    let own = answer_to(job, |query: &OpenQuery| opened_suite(&query.suite))
        .or_else(|| answer_to(job, |query: &AttributionQuery| attribution(query.latent, query.position)))
        .or_else(|| answer_to(job, effect))
        .or_else(|| answer_to(job, grid))
        .or_else(|| answer_to(job, meta_effect))
        .or_else(|| answer_to(job, steer))
        .or_else(|| pairs::answer(job))
        .or_else(|| answer_to(job, |_: &IndexQuery| index_view()))
        .or_else(|| answer_to(job, frequencies))
        .or_else(|| answer_to(job, labels))
        .or_else(|| answer_to(job, written))
        .or_else(|| {
            answer_to(job, |query: &MakeLabelsQuery| LabelCount { sae: query.sae.clone(), ..LabelCount::default() })
        })
        .or_else(|| answer_to(job, |query: &RunQuery| run_of(&query.prompt)))
        .or_else(|| {
            answer_to(job, |query: &NextQuery| {
                let next = next_of(cut(&query.prompt).len());
                let next = query.positions.iter().filter_map(|at| Some((*at, next.get(*at)?.clone()))).collect();
                Predictions { next, ms: 4.2 }
            })
        })
        .or_else(|| answer_to(job, |query: &CardQuery| card(&query.sae, query.latent)))
        .or_else(|| {
            answer_to(job, |NamesQuery { sae, latents }| {
                let width = sae.parse().unwrap_or(512);
                let names = latents.iter().map(|l| (*l, promoted(width, *l))).collect();
                LatentNames { sae: sae.clone(), names }
            })
        })
        .or_else(|| answer_to(job, found))
        .or_else(|| answer_to(job, |FilterQuery(query)| found(query)))
        .or_else(|| answer_to(job, |_: &CatalogueQuery| catalogue()))
        .or_else(|| answer_to(job, |query: &PullQuery| query.suite.clone()))
        .or_else(|| answer_to(job, |_: &PackQuery| 0));
    own.or_else(|| corpora::answer(job))
        .or_else(|| stitching::answer(job))
        .or_else(|| metas::answer(job))
        .unwrap_or_else(|| panic!("the screens do not ask for {job:?}"))
}

/// The same, with an empty answer about the wiring, which has screens of its own.
pub fn answer_or(job: &Job) -> Answer {
    let checkup = answer_to(job, |_: &CheckupQuery| Checked {
        checkup: std::sync::Arc::new(Checkup::of("the program".into(), 0, Vec::new(), Vec::new(), false)),
        new: false,
    });
    checkup.unwrap_or_else(|| answer(job))
}

/// The answer to a question, if it is of this kind.
pub fn answer_to<Q: Query>(job: &Job, of: impl Fn(&Q) -> Q::Answer) -> Option<Answer> {
    job.get().map(|query| Answer::new(of(query)))
}

fn found(SearchQuery { sae, query }: &SearchQuery) -> Found {
    Found {
        sae: sae.clone(),
        query: query.clone(),
        meaning: format!("promote \"{query}\""),
        hits: (0..30).map(hit).collect(),
    }
}

/// A latent that was found in one way, in two or in all.
fn hit(at: u32) -> Hit {
    let all = [
        FoundBy::Label("on words like physicist".into()),
        FoundBy::UsualToken { text: " Einstein".into(), share: 0.61 - f64::from(at) / 100.0 },
        FoundBy::PromotedToken { text: " relativity".into(), value: 4.0 - at as f32 * 0.1 },
    ];
    let by = all[at as usize % 3..].to_vec();
    Hit { latent: at * 3, score: 3.0 - f64::from(at) / 10.0, by }
}

/// What came of an asking, at the start of the program.
pub fn told(ticket: Ticket, event: Event) -> Msg {
    Msg::Job { event: JobEvent { ticket, event }, at: Duration::ZERO }
}

/// Sends a message and answers every job that comes of it, and of the answers.
pub fn settle(app: &mut App, first: Update) -> Vec<Effect> {
    let mut other = Vec::new();
    let mut waiting = first.effects;
    while let Some(effect) = waiting.pop() {
        match effect {
            Effect::Ask { ticket, job } => {
                // What the wiring is like has screens of its own; the others are without.
                let cancelled = job.get::<CheckupQuery>().is_some();
                let answer = if cancelled { Err(Cancelled.into()) } else { Ok(answer(&job)) };
                waiting.extend(update(app, told(ticket, Event::Done(answer))).effects);
            }
            effect => other.push(effect),
        }
    }
    other
}

/// Sends a message and answers everything.
pub fn send(app: &mut App, msg: Msg) -> Vec<Effect> {
    let first = update(app, msg);
    settle(app, first)
}

/// Presses a key, by its name.
pub fn press(app: &mut App, key: &str) -> Vec<Effect> {
    let key: crokey::KeyCombination = key.parse().expect("a key");
    send(app, Msg::Key(key.normalized()))
}

pub fn new(prompt: Option<&str>, charset: Charset) -> App {
    new_on("demo", prompt, charset)
}

pub fn new_on(suite: &str, prompt: Option<&str>, charset: Charset) -> App {
    let start = TuiOptions {
        suite: suite.into(),
        prompt: prompt.map(str::to_owned),
        mouse: true,
        charset,
        home: None,
        saes: Vec::new(),
        reach: LoadScope::Whole,
    };
    App::new(&start, (80, 24))
}

/// An explorer with the sample suite open without its model.
pub fn weights_only() -> App {
    let mut app = new(Some(PROMPT), Charset::Unicode);
    app.usual = LoadScope::WeightsOnly;
    for effect in start(&mut app).effects {
        let Effect::Ask { ticket, .. } = effect else { continue };
        let opened = OpenedSuite { reach: LoadScope::WeightsOnly, ..opened() };
        let first = update(&mut app, told(ticket, Event::Done(Ok(Answer::new(opened)))));
        settle(&mut app, first);
    }
    app
}

/// An explorer with the sample suite open and its prompt run.
pub fn ready(prompt: &str) -> App {
    ready_on("demo", prompt)
}

/// The same with another suite: [`HEADS`].
pub fn ready_on(suite: &str, prompt: &str) -> App {
    let mut app = new_on(suite, Some(prompt), Charset::Unicode);
    let first = start(&mut app);
    settle(&mut app, first);
    app
}

/// Labels of latents: every third has one by a rule.
pub fn labels(query: &LabelsQuery) -> Labels {
    let rule = |latent: u32| Label {
        text: format!("on words like {}", promoted(4096, latent)[0].text.trim()),
        source: LabelSource::Rule,
        by: "saescope".into(),
        kind: "token".into(),
        scores: Some(LabelScores {
            precision: Some(0.9),
            recall: Some(0.8),
            f1: Some(0.847),
            precision_balanced: Some(0.99),
            held_out: 48,
            ..LabelScores::default()
        }),
        ..Label::default()
    };
    let of = |latent: &u32| (*latent, if latent.is_multiple_of(3) { vec![rule(*latent)] } else { Vec::new() });
    Labels { sae: query.sae.clone(), labels: query.latents.iter().map(of).collect(), notes: Vec::new() }
}

/// What is there when a person wrote a label.
pub fn written(query: &WriteLabelQuery) -> Labels {
    let own = Label { text: query.text.clone(), note: query.note.clone(), ..Label::default() };
    let labels = if own.text.is_empty() { Vec::new() } else { vec![own] };
    Labels { sae: query.sae.clone(), labels: vec![(query.latent, labels)], notes: Vec::new() }
}

/// How often latents fire in the index: each on one token of its own most, none densely.
#[expect(clippy::unnecessary_wraps, reason = "it is a question's answer")]
pub fn frequencies(query: &FrequenciesQuery) -> Option<Frequencies> {
    let frequency = |latent: u32| {
        let count = 40 + u64::from(latent % 400);
        let promoted = promoted(4096, latent + 1).into_iter().take(2);
        let top = |token: TokenValue| TopToken { id: token.id, text: token.text, count: count / 3, mean: 2.0 };
        LatentFrequency {
            count,
            density: count as f64 / 10_000.0,
            max: 16.0,
            histogram: vec![(0, count / 2), (64, count / 4), (128, count - count / 2 - count / 4)],
            top_tokens: promoted.map(top).collect(),
        }
    };
    let latents = query.latents.iter().map(|latent| (*latent, frequency(*latent))).collect();
    Some(Frequencies { sae: query.sae.clone(), tokens: 10_000, latents })
}

/// The screen at a size, drawn and settled twice.
pub fn screen(app: &mut App, width: u16, height: u16) -> String {
    send(app, Msg::Resize { width, height });
    let mut text = String::new();
    for _ in 0..2 {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
        let mut hits = None;
        let theme = Theme::default();
        terminal.draw(|frame| hits = Some(saescope::tui::view::view(app, &theme, frame))).expect("drawn");
        send(app, Msg::Drawn(hits.expect("hits")));
        text = terminal.backend().to_string();
    }
    text
}
