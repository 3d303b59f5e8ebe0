//! `saescope meta`: train meta-SAEs, take latents apart, edit them.
//! Not here: doing it (`session`).

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use crate::analysis::{
    Arm, BreakdownView, Continuation, Member, MetaCard, MetaCorpus, MetaEntry, MetaInfo, Sampling, SurgeryEdit,
    SurgeryView, TokenValue,
};
use crate::cli::args::{self, Meta, MetaChoice};
use crate::cli::context::{Context, open};
use crate::cli::latent::{corpus_words, example_words};
use crate::cli::output::{Output, say};
use crate::cli::progress::{Line, cancel_on_interrupt};
use crate::report::{Kind, Report};
use crate::session::{
    BreakdownQuery, ContinueQuery, CorpusQuery, LoadScope, MetaCardQuery, MetaCorpusQuery, MetaQuery, MetaRecipe,
    MetasQuery, OpenRequest, Query, Session, SurgeryQuery,
};
use crate::suite::Error;
use crate::task::Cancel;
use crate::text::{Charset, prose, token};

pub fn meta(context: &Context, options: &Meta, output: &Output) -> Result<u8, Report> {
    let asked = MetaCommand { context, output, cancel: cancel_on_interrupt() };
    match options {
        Meta::Train(options) => asked.train(options),
        Meta::Show(options) => asked.show(options),
        Meta::Eval(options) => asked.eval(options),
        Meta::Edit(options) => asked.edit(options),
    }
}

/// What a command needs of the model.
#[derive(Clone, Copy)]
enum Needs {
    Model,
    Site,
    Words,
    Nothing,
}

/// What every command of `meta` stands on.
struct MetaCommand<'a> {
    context: &'a Context,
    output: &'a Output,
    cancel: Cancel,
}

impl MetaCommand<'_> {
    /// A session with the SAE, and with the others that are here where `all` are wanted.
    fn session(&self, sae: &str, all: bool, needs: Needs) -> Result<Session, Report> {
        let mut session = self.context.session();
        let suite = session.suite(&self.context.settings.suite)?;
        suite.sae(sae)?;
        let here = |entry: &&crate::suite::SaeEntry| {
            let missing = || matches!(suite.sae_files(entry, &self.context.setup.hub), Err(Error::Missing { .. }));
            entry.id == sae || (all && !missing())
        };
        let saes: Vec<String> = suite.saes.iter().filter(here).map(|entry| entry.id.clone()).collect();
        let (reach, words) = match needs {
            Needs::Model => (self.context.reach, true),
            Needs::Site => (self.context.reach.min(LoadScope::Site), self.context.reach != LoadScope::WeightsOnly),
            Needs::Words => (self.context.reach.without_prompt(&suite), self.context.reach != LoadScope::WeightsOnly),
            Needs::Nothing => (LoadScope::WeightsOnly, false),
        };
        open(&mut session, OpenRequest { suite, saes: &saes, reach, words }, &self.cancel)?;
        Ok(session)
    }

    fn ask<Q: Query>(&self, session: &mut Session, query: &Q) -> Result<Q::Answer, Report> {
        session.ask(query, &self.cancel, &|_| {})
    }

    /// The meta-SAE that was chosen; else, as in the explorer, the first that can be used: those of the suite file in its
    /// order, then those that were trained here.
    fn choose(&self, session: &mut Session, choice: &MetaChoice) -> Result<String, Report> {
        if let Some(meta) = &choice.meta {
            return Ok(meta.clone());
        }
        let metas = self.ask(session, &MetasQuery)?;
        let of = || metas.iter().filter(|meta| meta.sae == choice.sae);
        let Some(first) = of().find(|meta| meta.failure.is_none()).or_else(|| of().next()) else {
            // Asking for any name says that there is none, and what to do.
            return Ok(String::new());
        };
        // A damaged one is passed over, not in silence; one that was never downloaded is not news.
        for failure in of().take_while(|meta| meta.meta != first.meta).filter_map(|meta| meta.failure.as_ref()) {
            if failure.kind != Kind::Missing {
                say(&failure.to_string());
            }
        }
        Ok(first.meta.clone())
    }

    fn train(&self, options: &args::MetaTrain) -> Result<u8, Report> {
        let mut session = self.session(&options.sae, false, Needs::Nothing)?;
        let recipe = MetaRecipe {
            sae: options.sae.clone(),
            width: options.width,
            k: options.k,
            steps: options.steps,
            batch: options.batch,
            rate: options.lr,
            seed: options.seed,
            out: options.out.clone(),
        };
        let line = Line::new();
        let trained = session.ask(&recipe, &self.cancel, &|progress| line.show(&progress));
        line.end();
        let trained = trained?;
        if self.output.is_json() {
            return Output::object(&trained).map(|()| 0);
        }
        say(&format!("{} s; it is in {}", trained.seconds.round(), trained.folder.display()));
        Output::text(&quality(&trained.info)).map(|()| 0)
    }

    fn eval(&self, options: &args::MetaEval) -> Result<u8, Report> {
        let started = std::time::Instant::now();
        let mut session = self.session(&options.choice.sae, false, Needs::Nothing)?;
        let (sae, meta) = (options.choice.sae.clone(), self.choose(&mut session, &options.choice)?);
        let info = self.ask(&mut session, &MetaQuery { sae, meta })?;
        if self.output.is_json() {
            let mut answer = serde_json::to_value(&info).unwrap_or(Value::Null);
            answer["seconds"] = json!(started.elapsed().as_secs_f64());
            return Output::object(&answer).map(|()| 0);
        }
        Output::text(&quality(&info)).map(|()| 0)
    }

    fn show(&self, options: &args::MetaShow) -> Result<u8, Report> {
        let mut session = self.session(&options.choice.sae, true, Needs::Words)?;
        let (sae, meta) = (options.choice.sae.clone(), self.choose(&mut session, &options.choice)?);
        let top = options.top as usize;
        if let Some(latent) = options.latent {
            let view = self.ask(&mut session, &BreakdownQuery { sae, latent, meta: Some(meta) })?;
            if self.output.is_json() {
                return Output::object(&parts_json(&view)).map(|()| 0);
            }
            return Output::text(&parts(&view)).map(|()| 0);
        }
        let meta_latent = options.meta_latent.unwrap_or(0);
        let query = MetaCardQuery { sae: sae.clone(), meta: meta.clone(), meta_latent, top };
        let card = self.ask(&mut session, &query)?;
        let query = MetaCorpusQuery { sae, meta, meta_latent, index: options.index.clone() };
        let corpus = self.corpus(&mut session, &query)?;
        if self.output.is_json() {
            return Output::object(&MetaAnswer { card: &card, corpus: corpus.as_ref() }).map(|()| 0);
        }
        Output::text(&(card_words(&card) + &in_text(corpus.as_ref()))).map(|()| 0)
    }

    /// What an index says of a meta-latent. Where there is one in which it was not counted, the model is opened as far as
    /// the site: the examples of its members are run again.
    fn corpus(&self, session: &mut Session, query: &MetaCorpusQuery) -> Result<Option<MetaCorpus>, Report> {
        let found = self.ask(session, query)?;
        let any = CorpusQuery { sae: query.sae.clone(), latent: 0, index: query.index.clone() };
        let weights_only = self.context.reach == LoadScope::WeightsOnly;
        if found.is_some() || weights_only || self.ask(session, &any)?.is_none_or(|corpus| corpus.tokens == 0) {
            return Ok(found);
        }
        match self.session(&query.sae, false, Needs::Site) {
            Ok(mut session) => self.ask(&mut session, query),
            // All else is said without the model.
            Err(report) if report.kind == Kind::Missing => {
                say(&format!("examples of this meta-latent are left out: {report}"));
                Ok(None)
            }
            Err(report) => Err(report),
        }
    }

    fn edit(&self, options: &args::MetaEdit) -> Result<u8, Report> {
        use crate::analysis::Edit;
        let mut session = self.session(&options.choice.sae, false, Needs::Model)?;
        let meta = self.choose(&mut session, &options.choice)?;
        let removed = options.remove.iter().map(|out| Edit::Remove(*out));
        let added = options.add.iter().map(|(new, by)| Edit::Add(*new, *by));
        let exchanged = options.exchange.iter().map(|(out, new)| Edit::Exchange(*out, *new));
        let operation = SurgeryEdit {
            sae: options.choice.sae.clone(),
            meta,
            latent: options.latent,
            edits: removed.chain(added).chain(exchanged).collect(),
            seed: options.seed,
        };
        let mut answers = Vec::new();
        for prompt in &options.prompt {
            let view = self.surgery(&mut session, &operation, prompt, options)?;
            let continuations = self.continuations(&mut session, &operation, prompt, options)?;
            answers.push((prompt.clone(), view, continuations));
        }
        if self.output.is_json() {
            let prompts: Vec<Value> = answers
                .iter()
                .map(|(prompt, view, continuations)| {
                    json!({ "prompt": prompt, "fires": view.fires, "arms": view.arms, "named": view.named,
                            "continuations": continuations, "notes": view.notes })
                })
                .collect();
            let size = answers.first().map_or(0.0, |(_, view, _)| view.size);
            let answer = json!({ "sae": operation.sae, "meta": operation.meta, "latent": operation.latent,
                                 "size": size, "prompts": prompts });
            return Output::object(&answer).map(|()| 0);
        }
        let text: String = answers.iter().map(|(prompt, view, on)| surgery_words(prompt, view, on)).collect();
        Output::text(&text).map(|()| 0)
    }

    fn surgery(
        &self,
        session: &mut Session,
        operation: &SurgeryEdit,
        prompt: &str,
        options: &args::MetaEdit,
    ) -> Result<SurgeryView, Report> {
        let query = SurgeryQuery {
            operation: operation.clone(),
            prompt: prompt.to_owned(),
            next: options.logits as usize,
            named: options.word.clone(),
        };
        self.ask(session, &query)
    }

    fn continuations(
        &self,
        session: &mut Session,
        operation: &SurgeryEdit,
        prompt: &str,
        options: &args::MetaEdit,
    ) -> Result<Vec<Continuation>, Report> {
        let sampling = options.temperature.map_or(Sampling::Greedy, |temperature| Sampling::Random {
            temperature,
            top_p: 1.0,
            seed: options.seed,
        });
        let mut all = Vec::new();
        for arm in Arm::ALL.into_iter().filter(|_| options.tokens > 0) {
            let (operation, prompt) = (operation.clone(), prompt.to_owned());
            let tokens = options.tokens as usize;
            all.push(self.ask(session, &ContinueQuery { operation, prompt, arm, tokens, sampling })?);
        }
        Ok(all)
    }
}

fn shown(text: &str) -> String {
    prose(text, Charset::Unicode)
}

fn words(values: &[TokenValue]) -> String {
    let words: Vec<String> = values.iter().map(|value| token(&value.text, Charset::Unicode)).collect();
    words.join(" ")
}

fn members(members: &[Member]) -> String {
    let members: Vec<String> =
        members.iter().map(|member| format!("{} {:.2}", member.latent, member.activation)).collect();
    members.join(", ")
}

fn quality(info: &MetaInfo) -> String {
    let explained = info.variance_explained.map_or_else(|| "-".to_owned(), |v| format!("{:.2} %", v * 100.0));
    let stable = info.stable.map_or_else(String::new, |stable| format!(" · {stable} stable over seeds"));
    let mut text = format!(
        "meta-SAE {} of SAE {} · {} meta-latents\nvariance explained {explained} · {:.2} active in a row · {} dead · \
         τ {:.4}{stable}\n",
        shown(&info.meta),
        shown(&info.sae),
        info.width,
        info.mean_active,
        info.dead,
        info.threshold
    );
    for note in &info.notes {
        // Writing to a string does not fail.
        let _ = writeln!(text, "note: {note}");
    }
    text
}

/// One object for the one meta-SAE that was asked for.
fn parts_json(view: &BreakdownView) -> Value {
    let mut answer = json!({ "sae": view.sae, "latent": view.latent });
    if let (Some(entry), Some(object)) = (view.metas.first(), answer.as_object_mut())
        && let Ok(Value::Object(fields)) = serde_json::to_value(entry)
    {
        object.extend(fields);
    }
    answer
}

fn parts(view: &BreakdownView) -> String {
    let mut text = String::new();
    for entry in &view.metas {
        let _ = writeln!(
            text,
            "SAE {} · latent {} · by meta-SAE {}: {:.1} % explained",
            shown(&view.sae),
            view.latent,
            shown(&entry.meta),
            entry.explained * 100.0
        );
        text += &components(entry);
    }
    text
}

fn components(entry: &MetaEntry) -> String {
    let mut text = String::new();
    for part in &entry.components {
        let stable = match part.stable {
            Some(true) => " stable",
            Some(false) => " not stable",
            None => "",
        };
        let _ = writeln!(
            text,
            "{:>6}  {:.3}  {:>5.1} %{stable}  promotes {}  in {}",
            part.meta_latent,
            part.activation,
            part.share * 100.0,
            words(&part.promoted),
            members(&part.members)
        );
    }
    let _ =
        writeln!(text, "  bias         {:>5.1} %\n  rest         {:>5.1} %", entry.bias * 100.0, entry.rest * 100.0);
    text
}

/// A meta-latent's card, and what an index says of it.
#[derive(Serialize)]
struct MetaAnswer<'a> {
    #[serde(flatten)]
    card: &'a MetaCard,
    #[serde(skip_serializing_if = "Option::is_none")]
    corpus: Option<&'a MetaCorpus>,
}

fn in_text(corpus: Option<&MetaCorpus>) -> String {
    match corpus {
        None => String::new(),
        Some(MetaCorpus::Index(corpus)) => corpus_words(corpus),
        Some(MetaCorpus::Members(corpus)) => format!(
            "in text    not counted; largest {:.3} in {} windows of {} members' examples\n{}",
            corpus.max,
            corpus.windows,
            corpus.members,
            example_words(&corpus.examples)
        ),
    }
}

fn card_words(card: &MetaCard) -> String {
    let mut text = format!(
        "meta-SAE {} of SAE {} · meta-latent {} · {} members\npromotes   {}\nsuppresses {}\nmembers    {}\n",
        shown(&card.meta),
        shown(&card.sae),
        card.meta_latent,
        card.member_count,
        words(&card.promoted),
        words(&card.suppressed),
        members(&card.members)
    );
    if let Some(cosine) = card.found_again {
        let _ = writeln!(text, "again      {cosine:.3} in the run of another seed");
    }
    for entry in &card.ladder {
        let nearest: Vec<String> =
            entry.nearest.iter().take(5).map(|near| format!("{} {:.3}", near.latent, near.cosine)).collect();
        let _ = writeln!(text, "in {:<8} {}", shown(&entry.sae), nearest.join(", "));
    }
    text
}

fn surgery_words(prompt: &str, view: &SurgeryView, continuations: &[Continuation]) -> String {
    let mut text = format!(
        "{}\nlatent {} of SAE {} · edit of {:.2} of its length · it fires on {} tokens\n",
        shown(prompt),
        view.latent,
        shown(&view.sae),
        view.size,
        view.fires.len()
    );
    for (at, arm) in view.arms.iter().enumerate() {
        let next: Vec<String> = arm
            .next
            .iter()
            .map(|next| {
                format!("{} {:.1}%", token(&next.text, Charset::Unicode), f64::from(next.logprob).exp() * 100.0)
            })
            .collect();
        let _ = writeln!(text, "{:<10} {}", arm.arm.name(), next.join(", "));
        if let Some(on) = continuations.get(at) {
            let _ = writeln!(text, "           … {}", shown(&on.text));
        }
    }
    for named in &view.named {
        let [plain, edited, random] = named.logprobs;
        let _ = writeln!(
            text,
            "{:<10} {plain:.3}, edited {edited:.3} ({:+.3}), random {random:.3} ({:+.3})",
            shown(&named.text),
            edited - plain,
            random - plain
        );
    }
    for note in &view.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text + "\n"
}
