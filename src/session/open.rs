//! Opening a suite: finding its files, seeing that it fits into memory, loading model and SAEs, and checking that they
//! belong together. Not here: downloading.

use crate::format::Files;
use crate::hub::bytes;
use crate::model::{self, Backend, ModelFiles, Needs, TokenizerFiles, TokenizerSaid};
use crate::report::Report;
use crate::sae::formats;
use crate::sae::{Normalisation, Sae};
use crate::session::fit::{Demand, Memory, OnDevice, refused_on};
use crate::session::load_scope::{LoadScope, OpenRequest};
use crate::session::loaded_suite::{LoadedSae, LoadedSuite, OpenFacts};
use crate::session::{SessionConfig, failure};
use crate::site::SiteKind;
use crate::suite::{self, Error, NormalizeActivations, Part, SaeEntry, Suite, TokenizerParts, TokenizerWord, argument};
use crate::task::{Cancel, OnProgress, Progress};

/// A suite whose files are all here and fit into memory.
pub struct OpenPlan {
    suite: Suite,
    reach: LoadScope,
    /// Whether it is an error when the words of the model are not there.
    words: bool,
    /// None where nothing of it is here and nothing of it is needed.
    model: Option<ModelFiles>,
    saes: Vec<(SaeEntry, Files)>,
    notes: Vec<String>,
    memory: Memory,
    /// What computes the model.
    place: Backend,
}

/// Finds the files of a suite's model and of these SAEs, and sees that they fit; `before` is what was free on the device
/// before anything was opened there that will be let go.
///
/// # Errors
/// What is missing, unreadable or too large.
pub fn plan(setup: &SessionConfig, opening: OpenRequest<'_>, before: Option<u64>) -> Result<OpenPlan, Report> {
    let OpenRequest { suite, saes, reach, words } = opening;
    setup.compute_device.check()?;
    let (mut found, mut notes, mut missing) = (Vec::new(), Vec::new(), None);
    for id in saes {
        let entry = suite.sae(id)?.clone();
        match suite.sae_files(&entry, &setup.hub) {
            Ok(parts) => found.push((entry, parts)),
            Err(error @ Error::Missing { .. }) => {
                notes.push(format!("SAE `{id}` is not downloaded"));
                missing = missing.or(Some(error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let model = match model_files(setup, &suite, reach) {
        Ok(files) => Some(files),
        Err(Error::Missing { .. } | Error::Absent { .. }) if reach == LoadScope::WeightsOnly && !words => {
            notes.insert(0, "weights only, and the model's words are not here: latents have numbers alone".to_owned());
            None
        }
        Err(error) => return Err(without_model(setup, &suite, reach, error, !found.is_empty())),
    };
    let mut model = model;
    if let (Some(files), LoadScope::WeightsOnly, false) = (&model, reach, words)
        && let Err(error @ (model::Error::Architecture { .. } | model::Error::Config { .. })) =
            model::wanted(&files.config, reach.extent(suite.site), &[])
    {
        notes.insert(0, format!("weights only, and the model cannot be read, so latents have numbers alone: {error}"));
        model = None;
    }
    if let Some(error) = missing.filter(|_| found.is_empty()) {
        return Err(error.into());
    }
    let place =
        if reach == LoadScope::WeightsOnly { Backend::default() } else { setup.compute_device.place()?.clone() };
    let memory = Memory { needed: 0, free: (setup.memory)(), on_device: None };
    let mut plan = OpenPlan { suite, reach, words, model, saes: found, notes, memory, place };
    plan.check_memory(before)?;
    Ok(plan)
}

fn model_files(setup: &SessionConfig, suite: &Suite, reach: LoadScope) -> Result<ModelFiles, Error> {
    let parts = suite.model_files_with(&setup.hub, &reach.pick(suite.site))?;
    let tokenizer = match parts.tokenizer {
        TokenizerParts::Json(json) => TokenizerFiles::Json(json),
        TokenizerParts::Bpe { vocab, merges } => TokenizerFiles::Bpe { vocab, merges },
    };
    let suite::TokenizerSaid { config, specials, added } = parts.said;
    let said = TokenizerSaid { config, specials, added, own_word: suite.model.tokenizer == TokenizerWord::File };
    Ok(ModelFiles { config: parts.config, weights: parts.weights, tokenizer, said })
}

/// That the model's files are not here, or not all; what can be had without them where SAEs are.
fn without_model(setup: &SessionConfig, suite: &Suite, reach: LoadScope, error: Error, saes: bool) -> Report {
    let mut ways = Vec::new();
    if let (Error::Missing { part: Part::Model, .. }, Some(flag)) = (&error, reach.flag()) {
        ways.push(format!("`saescope pull {} {flag}` downloads what that takes of it", argument(&suite.name)));
    }
    let report = Report::from(error);
    if ways.is_empty() {
        ways.extend(report.hint.clone());
    }
    if saes && reach == LoadScope::Whole && model_files(setup, suite, LoadScope::Site).is_ok() {
        ways.push("what is here is enough for which latents fire: --no-predictions".to_owned());
    }
    if saes {
        ways.push("its SAEs can be looked at without a prompt: --weights-only, or M in the explorer".to_owned());
    }
    if ways.is_empty() { report } else { report.hint(ways.join("; ")) }
}

impl OpenPlan {
    /// Counts what is needed, and refuses what does not fit.
    fn check_memory(&mut self, before: Option<u64>) -> Result<(), Report> {
        let mut demand = self.model_demand(before)?;
        let mut saes = Vec::new();
        for (entry, files) in &self.saes {
            let memory = formats::memory(files)
                .map_err(|error| failure::of_sae_files(format!("cannot open SAE `{}`", entry.id), &error, files))?;
            saes.push((entry.id.clone(), memory));
        }
        saes.sort_by_key(|(_, memory)| memory.held.saturating_add(memory.mapped));
        demand.saes.clone_from(&saes);
        self.memory.needed = demand.whole(self.reach);
        let Some(free) = self.memory.free else { return Ok(()) };
        if self.memory.needed > free {
            return Err(demand.refused(&self.suite.id, self.reach, free));
        }
        // What stays in its file can be read from there again and again, only slowly.
        let mut left = free - self.memory.needed;
        for (id, memory) in saes {
            if let Some(rest) = left.checked_sub(memory.mapped) {
                left = rest;
                continue;
            }
            self.notes.push(format!(
                "SAE `{id}` is read from disk as needed: {}, with {} of memory left",
                bytes(memory.mapped),
                bytes(left)
            ));
            for (_, files) in self.saes.iter_mut().filter(|(entry, _)| entry.id == id) {
                files.weights = files.weights.clone().wider_than_memory();
            }
        }
        Ok(())
    }

    /// Sees that the device holds the model, and gives what is left of it for this machine's memory: the words, which
    /// are read from their file.
    fn placed_demand(&mut self, needs: &Needs, before: Option<u64>) -> Result<Demand, Report> {
        let all = [LoadScope::Whole, LoadScope::Site, LoadScope::WeightsOnly];
        let of = |reach| match reach {
            LoadScope::Whole => needs.placed(None, true),
            LoadScope::Site => needs.placed(Some(self.suite.site.blocks()), false),
            LoadScope::WeightsOnly => 0,
        };
        let ways: Vec<(LoadScope, u64)> =
            all.into_iter().filter(|reach| *reach <= self.reach).map(|reach| (reach, of(reach))).collect();
        let on_device =
            OnDevice { needed: of(self.reach), free: self.place.free().map(|free| free.max(before.unwrap_or(0))) };
        self.memory.on_device = Some(on_device);
        match on_device.free {
            Some(free) if on_device.needed > free => {
                Err(refused_on(self.place.name(), &self.suite.id, (self.reach, free), &ways))
            }
            _ => Ok(Demand { model: all.map(|reach| (reach, needs.words())).to_vec(), ..Demand::default() }),
        }
    }

    /// What the model takes, by how much of it is opened.
    fn model_demand(&mut self, before: Option<u64>) -> Result<Demand, Report> {
        let all = [LoadScope::Whole, LoadScope::Site, LoadScope::WeightsOnly];
        let Some(files) = &self.model else {
            return Ok(Demand { model: all.map(|reach| (reach, 0)).to_vec(), ..Demand::default() });
        };
        let needs = match model::needs_of(files, self.reach.extent(self.suite.site)) {
            Ok(needs) => needs,
            Err(error) => {
                self.without(&error)?;
                return self.model_demand(before);
            }
        };
        let blocks = self.suite.site.blocks();
        if self.place.holds_weights() {
            return self.placed_demand(&needs, before);
        }
        let of = |needs: &Needs, reach| match reach {
            LoadScope::Whole => needs.through(None),
            LoadScope::Site => needs.through(Some(blocks)),
            LoadScope::WeightsOnly => needs.words(),
        };
        let each = |needs: &Needs| {
            let wanted = all.into_iter().filter(|reach| *reach <= self.reach);
            wanted.map(|reach| (reach, of(needs, reach))).collect()
        };
        let halved = needs.halved.as_deref().map(each).unwrap_or_default();
        Ok(Demand { model: each(&needs), halved, saes: Vec::new() })
    }

    /// Goes on without a model whose files cannot be used, where only weights are asked for and nothing needs its words.
    ///
    /// # Errors
    /// What is wrong with them otherwise, and what can be had without them.
    fn without(&mut self, error: &model::Error) -> Result<(), Report> {
        let Some(files) = &self.model else { return Ok(()) };
        if self.reach == LoadScope::WeightsOnly && !self.words {
            self.notes.insert(0, format!("weights only, and latents have numbers alone: {}", one_line(error)));
            self.model = None;
            return Ok(());
        }
        Err(failure::of_model_files(self.cannot_open(), error, files, &self.ways(files)))
    }

    /// What of this suite can be had although its model cannot be opened as it was asked for.
    fn ways(&self, files: &ModelFiles) -> Vec<&'static str> {
        let mut ways = Vec::new();
        // On the CPU opening reads headers alone; elsewhere it copies the model there.
        let opens = |reach: LoadScope| Backend::default().load(files, reach.extent(self.suite.site)).is_ok();
        if self.reach == LoadScope::Whole && opens(LoadScope::Site) {
            ways.push("which latents fire can be seen with --no-predictions");
        }
        if self.reach > LoadScope::WeightsOnly && !self.saes.is_empty() {
            ways.push("its SAEs can be looked at without a prompt: --weights-only, or M in the explorer");
        }
        ways
    }

    fn cannot_open(&self) -> String {
        format!("cannot open the suite `{}`", self.suite.id)
    }

    /// The memory needed and there, for a person.
    fn memory_words(&self) -> String {
        let Memory { needed, free, on_device } = self.memory;
        let here = match free {
            Some(free) => format!("{} of memory needed, {} free", bytes(needed), bytes(free)),
            None => format!("{} of memory needed", bytes(needed)),
        };
        let Some(OnDevice { needed, free }) = on_device else { return format!("{here}: ") };
        let name = self.place.name();
        match free {
            Some(free) => format!("{} needed on {name}, {} free; {here}: ", bytes(needed), bytes(free)),
            None => format!("{} needed on {name}, how much is free there is not known; {here}: ", bytes(needed)),
        }
    }
}

/// Loads what was planned.
///
/// # Errors
/// What is broken or does not belong together.
pub fn load(
    mut plan: OpenPlan,
    setup: &SessionConfig,
    cancel: &Cancel,
    progress: OnProgress<'_>,
) -> Result<LoadedSuite, Report> {
    let (cannot, memory) = (plan.cannot_open(), plan.memory_words());
    let steps = plan.saes.len() as u64 + 1;
    progress(Progress::steps(format!("{memory}model"), 0, steps));
    let site = plan.suite.site;
    let model = match &plan.model {
        None => model::Loaded::nothing(),
        Some(files) => match plan.place.load(files, plan.reach.extent(site)) {
            Ok(loaded) => loaded,
            Err(error) => {
                plan.without(&error)?;
                model::Loaded::nothing()
            }
        },
    };
    if plan.model.is_some() && model.model.unembedding().is_none() {
        plan.notes.push(match model.model.check_logits() {
            Err(error @ model::Error::NoHead { .. }) => format!("no predictions, and latents have no words: {error}"),
            _ => "latents have no words: the model's files that are open hold no head".to_owned(),
        });
    }
    plan.notes.extend(model.tokenizer.note().map(ToOwned::to_owned));
    let size_at = |site| {
        let size = plan.model.is_some().then(|| model.model.site_size(site)).transpose();
        size.map_err(|error| failure::of_model(&cannot, &error))
    };
    let sizes = [size_at(site)?, size_at(plan.suite.target)?];
    let value_bias = match (plan.suite.fold_value_bias, plan.reach) {
        (false, _) => None,
        (true, LoadScope::WeightsOnly) => {
            plan.notes.push("encoder biases are shown as they are stored: the values' bias is in the model".to_owned());
            None
        }
        (true, _) => model.model.value_bias(site.layer).map_err(|error| failure::of_model(&cannot, &error))?,
    };
    if plan.reach == LoadScope::WeightsOnly && site.kind == SiteKind::AttnZ {
        plan.notes
            .push("weights only: what heads write is in the model, so latents of their z have no words".to_owned());
    }
    let mut saes = Vec::new();
    for (done, (entry, files)) in plan.saes.into_iter().enumerate() {
        cancel.check()?;
        progress(Progress::steps(format!("{memory}SAE {}", entry.id), done as u64 + 1, steps));
        let mut sae = open_sae(&entry, &files)?;
        check_sizes(&entry, &sae, &plan.suite, sizes)?;
        if let Some(bias) = &value_bias {
            let what = format!("SAE `{}` cannot be moved by the values' bias", entry.id);
            sae = sae.shifted(bias).map_err(|error| failure::of_sae(what, &error))?;
        }
        saes.push(LoadedSae { entry, sae });
    }
    saes.sort_by_key(|loaded| loaded.sae.width());
    let opened = OpenFacts { reach: plan.reach, memory: plan.memory, notes: plan.notes };
    LoadedSuite::new(plan.suite, model, saes, opened, setup)
}

/// Fails where an SAE does not read what the model has at the site, or does not write what it has at the target.
fn check_sizes(entry: &SaeEntry, sae: &Sae, suite: &Suite, [reads, writes]: [Option<usize>; 2]) -> Result<(), Report> {
    let ways = [("reads", sae.d_in(), suite.site, reads), ("writes", sae.d_out(), suite.target, writes)];
    for (does, values, site, size) in ways {
        if let Some(size) = size.filter(|size| *size != values) {
            return Err(Report::new(format!("SAE `{}` does not fit the model", entry.id))
                .because(format!("it {does} activations of {values} values; {site} has {size}"))
                .hint("correct `[model]`, `[site]` or the SAE's place in the suite file"));
        }
    }
    Ok(())
}

/// An error and the errors behind it in one sentence.
fn one_line(error: &model::Error) -> String {
    let report = Report::caused("", error);
    report.why.join(": ")
}

fn open_sae(entry: &SaeEntry, files: &Files) -> Result<Sae, Report> {
    let what = format!("cannot open SAE `{}`", entry.id);
    let sae = formats::open(files).map_err(|error| failure::of_sae_files(&what, &error, files))?;
    normalised(sae, entry).map_err(|why| Report::new(what).because(why))
}

/// The SAE with what the suite says of its input in place of its own files.
fn normalised(sae: Sae, entry: &SaeEntry) -> Result<Sae, String> {
    let stated = match (entry.norm_scaling_factor, entry.normalize_activations) {
        (None, None) => return Ok(sae),
        (Some(factor), _) => Normalisation::Scale(factor),
        (None, Some(NormalizeActivations::None)) => Normalisation::None,
        (None, Some(NormalizeActivations::ConstantNormRescale)) => Normalisation::ConstantNorm,
        (None, Some(NormalizeActivations::LayerNorm)) => Normalisation::LayerNorm,
    };
    let replaces = entry.normalize_activations.is_some();
    match (sae.parts().normalisation, stated) {
        (Normalisation::ConstantNorm | Normalisation::LayerNorm, Normalisation::Scale(_)) if !replaces => Err(
            "the suite gives `norm_scaling_factor`, one factor for all activations, but the SAE's own files scale each \
             by itself; remove the factor, or set `normalize_activations = \"none\"` beside it"
                .to_owned(),
        ),
        _ => Ok(sae.with_normalisation(stated)),
    }
}
