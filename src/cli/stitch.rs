//! `saescope stitch`: classes, groups, insertion scores and the curve of two SAEs.
//! Not here: computing them (`session`).

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use crate::analysis::{Class, Counts, CurvePoint, CurveView, Order, PairView};
use crate::cli::args;
use crate::cli::context::{Context, open};
use crate::cli::output::{Output, say};
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::{Kind, Report};
use crate::session::{CurveLossQuery, CurveQuery, LoadScope, OpenRequest, PairQuery, Query, Session};
use crate::task::Cancel;
use crate::text::{Charset, prose};

/// Points of the curve where it is needed and nobody said how many.
const POINTS: usize = 25;
/// Rows of the table of disagreements.
const ROWS: usize = 10;

/// The JSON of `saescope stitch`.
#[derive(Serialize)]
struct Answer {
    suite: String,
    small: String,
    large: String,
    threshold: f32,
    novel: usize,
    reconstruction: usize,
    groups: usize,
    /// Latents of the larger SAE whose decoder rows are zero: they are of neither class.
    zero: usize,
    unmatched_small: usize,
    components: Vec<Component>,
    /// The text that was measured on.
    text: String,
    tokens: usize,
    auc: Option<f64>,
    /// Latents that fire and of which the cosine rule and c* say different things.
    disagreements: usize,
    /// Whether latents compete (TopK), so that points of the curve were encoded again.
    reencoded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    latents: Option<Vec<Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// Tokens of the curve: as many of the text's as are kept at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    curve_tokens: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ce_predictions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<Vec<CurvePoint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exported: Option<Exported>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Component {
    small: usize,
    large: usize,
    count: usize,
}

#[derive(Serialize)]
struct Row {
    latent: u32,
    max_cosine: f32,
    nearest: u32,
    class: Option<Class>,
    zero: bool,
    group: Option<u32>,
    insertion_score: Option<f64>,
    delta_mse: Option<f64>,
    fired: u64,
}

#[derive(Serialize)]
struct Exported {
    folder: PathBuf,
    step: usize,
}

/// A session on two SAEs.
struct Bench<'a> {
    session: Session,
    options: &'a args::Stitch,
    threshold: f32,
    cancel: Cancel,
    line: Line,
}

pub fn stitch(context: &Context, options: &args::Stitch, output: &Output) -> Result<u8, Report> {
    let mut session = context.session();
    let cancel = cancel_on_interrupt();
    let suite = session.suite(&context.settings.suite)?;
    let saes = [options.small.clone(), options.large.clone()];
    suite.sae(&saes[0])?;
    suite.sae(&saes[1])?;
    let threshold = options.threshold.unwrap_or(suite.threshold);
    let line = Line::new();
    // Without cross-entropies the text is run up to the site.
    let reach = if options.ce { context.reach } else { context.reach.min(LoadScope::Site) };
    let with_words = reach != LoadScope::WeightsOnly;
    open(&mut session, OpenRequest { suite, saes: &saes, reach, words: with_words }, &cancel)?;
    session.measure_at_most(options.max_tokens);
    let mut bench = Bench { session, options, threshold, cancel, line };
    let answer = bench.answer();
    bench.line.end();
    let (view, mut answer) = answer?;
    answer.suite.clone_from(&context.settings.suite);
    if output.is_json() {
        return Output::object(&answer).map(|()| 0);
    }
    answer.notes.iter().for_each(|note| say(note));
    Output::text(&words(&view, &answer)).map(|()| 0)
}

impl Bench<'_> {
    fn answer(&mut self) -> Result<(PairView, Answer), Report> {
        let (small, large) = self.ids();
        let view = self.ask(&PairQuery { small, large, threshold: self.threshold })?;
        let classes = view.classes(self.threshold);
        let classes = classes.map_err(|error| Report::caused("the SAEs cannot be classed", &error))?;
        let curve = self.curve()?;
        let exported = self.export(curve.as_ref())?;
        let mut answer = plain(&view, Counts::of(&classes), self.threshold);
        answer.latents = self.options.latents.then(|| latents(&view, &classes.large_group, self.threshold));
        if let Some((curve, predictions)) = curve {
            answer.order = Some(self.options.order.name());
            answer.seed = (self.options.order == args::StitchOrder::Random).then_some(self.options.seed);
            answer.curve_tokens = Some(curve.text.tokens);
            answer.ce_predictions = predictions;
            answer.curve = Some(curve.points);
        }
        answer.exported = exported;
        Ok((view, answer))
    }

    /// The curve, where it or something of it is wanted, with the predictions its cross-entropies were taken over.
    fn curve(&mut self) -> Result<Option<(CurveView, Option<usize>)>, Report> {
        let wanted = self.options.curve.map(|points| points as usize);
        if wanted.is_none() && !self.options.ce && self.options.export.is_none() {
            return Ok(None);
        }
        let (order, points) = (self.order(), wanted.unwrap_or(POINTS));
        let ((small, large), threshold) = (self.ids(), self.threshold);
        let mut curve = self.ask(&CurveQuery { small, large, threshold, order, points })?;
        if !self.options.ce {
            return Ok(Some((curve, None)));
        }
        let at: Vec<usize> = curve.points.iter().map(|point| point.step).collect();
        let (small, large) = self.ids();
        let loss = self.ask(&CurveLossQuery { small, large, threshold, order, at })?;
        for (point, (_, ce)) in curve.points.iter_mut().zip(&loss.ce) {
            point.ce = *ce;
        }
        Ok(Some((curve, Some(loss.predictions))))
    }

    fn export(&mut self, curve: Option<&(CurveView, Option<usize>)>) -> Result<Option<Exported>, Report> {
        let (Some(folder), Some((curve, _))) = (&self.options.export, curve) else { return Ok(None) };
        // Without a step: the smaller SAE with all that is new to it.
        let step = self.options.at.unwrap_or(curve.phases[0]);
        if step > curve.phases[2] {
            return Err(Report::new(format!("there is no step {step}"))
                .hint(format!("steps are 0 to {}", curve.phases[2]))
                .kind(Kind::Usage));
        }
        let (small, large) = (&self.options.small, &self.options.large);
        let progress = |so_far: crate::task::Progress| self.line.show(&so_far);
        let way = (self.threshold, self.order(), step);
        let folder = self.session.export_step((small, large), way, folder, &self.cancel, &progress)?;
        Ok(Some(Exported { folder, step }))
    }

    fn ask<Q: Query>(&mut self, query: &Q) -> Result<Q::Answer, Report> {
        self.session.ask(query, &self.cancel, &|so_far| self.line.show(&so_far))
    }

    fn ids(&self) -> (String, String) {
        (self.options.small.clone(), self.options.large.clone())
    }

    const fn order(&self) -> Order {
        match self.options.order {
            args::StitchOrder::Effect => Order::Effect,
            args::StitchOrder::Cosine => Order::Cosine,
            args::StitchOrder::Random => Order::Random(self.options.seed),
        }
    }
}

fn plain(view: &PairView, counts: Counts, threshold: f32) -> Answer {
    let Counts { novel, reconstruction, groups, zero, unmatched, census } = counts;
    Answer {
        suite: String::new(),
        small: view.small.clone(),
        large: view.large.clone(),
        threshold,
        novel,
        reconstruction,
        groups,
        zero,
        unmatched_small: unmatched,
        components: census.into_iter().map(|(small, large, count)| Component { small, large, count }).collect(),
        text: view.text.name.clone(),
        tokens: view.text.tokens,
        auc: view.auc,
        disagreements: view.rows.iter().filter(|row| row.disagrees(threshold) == Some(true)).count(),
        reencoded: view.competes,
        latents: None,
        order: None,
        seed: None,
        curve_tokens: None,
        ce_predictions: None,
        curve: None,
        exported: None,
        notes: view.notes.clone(),
    }
}

fn latents(view: &PairView, groups: &[Option<u32>], threshold: f32) -> Vec<Row> {
    let rows = view.rows.iter().zip(groups);
    rows.map(|(row, group)| Row {
        latent: row.latent,
        max_cosine: row.max_cosine,
        nearest: row.nearest,
        class: row.class(threshold),
        zero: row.zero,
        group: *group,
        insertion_score: row.c_star,
        delta_mse: row.delta_mse,
        fired: row.fired,
    })
    .collect()
}

fn words(view: &PairView, answer: &Answer) -> String {
    let name = |id: &str| prose(id, Charset::Unicode);
    let (small, large) = (name(&answer.small), name(&answer.large));
    let measured = match answer.tokens {
        0 => "weights only, no text".to_owned(),
        tokens => format!("on {tokens} tokens of {}", name(&answer.text)),
    };
    let mut text = format!(
        "{large} against {small} · θ {} · {measured}\n\n\
         {:>8} novel              latents of {large} that nothing in {small} comes near\n\
         {:>8} reconstruction     latents of {large} that {small} has in some form\n\
         {:>8} groups             of latents that belong together\n\
         {:>8} unmatched          latents of {small} that nothing in {large} comes near\n",
        answer.threshold, answer.novel, answer.reconstruction, answer.groups, answer.unmatched_small,
    );
    if answer.zero > 0 {
        let _ = writeln!(text, "{:>8} zero               latents of {large} whose decoder rows are zero", answer.zero);
    }
    if answer.tokens > 0 {
        // Writing to a string does not fail, here and below.
        let _ = writeln!(
            text,
            "{:>8} disagreements      between the cosine and what putting the latent in does",
            answer.disagreements
        );
    }
    if let Some(auc) = answer.auc {
        let _ = writeln!(text, "{auc:>8.3} ROC-AUC            of the cosine rule");
    }
    if answer.reencoded {
        text.push_str("\nTheir latents compete: stitched SAEs were encoded again.\n");
    }
    disagreements(&mut text, view, answer.threshold);
    if let Some(points) = &answer.curve {
        let _ = writeln!(text, "\n    step phase  inserted removed      L0          MSE  expl. var.       CE");
        for point in points {
            let figure = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
            let phase = format!("{:?}", point.phase).to_lowercase();
            let _ = writeln!(
                text,
                "{:>8} {phase:<6} {:>8} {:>7} {:>7.2} {:>12.6} {:>11} {:>8}",
                point.step,
                point.inserted,
                point.removed,
                point.l0,
                point.mse,
                figure(point.explained_variance),
                figure(point.ce)
            );
        }
    }
    if let Some(exported) = &answer.exported {
        let _ = writeln!(text, "\nstep {} is in {}", exported.step, exported.folder.display());
    }
    text
}

/// The latents of which the rules say different things, those with the largest effect first.
fn disagreements(text: &mut String, view: &PairView, threshold: f32) {
    let mut rows: Vec<_> = view.rows.iter().filter(|row| row.disagrees(threshold) == Some(true)).collect();
    rows.sort_by(|a, b| {
        let effect = |row: &crate::analysis::QueueRow| row.delta_mse.unwrap_or_default().abs();
        effect(b).total_cmp(&effect(a)).then(a.latent.cmp(&b.latent))
    });
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n  latent class          nearest  cosine      c*         ΔMSE   fires");
    for row in rows.into_iter().take(ROWS) {
        let class = match row.class(threshold) {
            Some(Class::Novel) => "novel",
            Some(Class::Reconstruction) => "reconstruction",
            None => "zero",
        };
        let (c, delta) = (row.c_star.unwrap_or_default(), row.delta_mse.unwrap_or_default());
        let _ = writeln!(
            text,
            "{:>8} {class:<14} {:>7} {:>7.3} {c:>7.3} {delta:>12.3e} {:>7}",
            row.latent, row.nearest, row.max_cosine, row.fired
        );
    }
}
