//! What a session can be asked for, and what it answers.
//! Not here: doing it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::analysis::{
    Arm, Attribution, Bench, BenchLoss, BreakdownView, Change, Continuation, CurveLoss, CurveView, Family, GroupView,
    LatentCard, MetaCard, MetaInfo, MetaRun, Operation, Order, PairView, Run, Sampling, Side, SurgeryView, TextInfo,
    Verdict,
};
use crate::session::{
    Checked, Found, Labels, MetaLabels, MetaRecipe, MetaState, MetaTrained, Opened, Predictions, Reach, SuiteEntry,
};

/// Something to be computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Load a suite: its model and the SAEs that are to be loaded at the start. The answer is [`Outcome::Opened`].
    Open {
        /// An id of the catalogue or the path of a suite file.
        suite: String,
        /// The SAEs to load; those that the suite says where it is empty.
        saes: Vec<String>,
        /// How much of the model.
        reach: Reach,
    },
    /// A prompt through the model and all loaded SAEs. The answer is [`Outcome::Run`].
    Run {
        /// What was typed.
        prompt: String,
        /// Likeliest next tokens wanted for each position; with 0 the model runs no further than the site.
        next: usize,
    },
    /// What comes next at some positions of a prompt: goes on where [`Job::Run`] stopped. The answer is
    /// [`Outcome::Next`].
    Next {
        /// What was typed.
        prompt: String,
        /// Positions from 0; those beyond the prompt are left out.
        positions: Vec<usize>,
        /// Likeliest next tokens wanted for each.
        count: usize,
    },
    /// A latent's card. The answer is [`Outcome::Card`].
    Card {
        /// The SAE's id.
        sae: String,
        /// The latent.
        latent: u32,
        /// Tokens and neighbours wanted in each list.
        top: usize,
    },
    /// Which heads and tokens of the prompt that was run last made a latent of an attention-z SAE fire. The answer is
    /// [`Outcome::Attribution`].
    Attribution {
        /// The SAE's id.
        sae: String,
        /// The latent.
        latent: u32,
        /// The position it is looked at.
        position: usize,
    },
    /// Short names of latents: the tokens they promote. The answer is [`Outcome::Labels`].
    Labels {
        /// The SAE's id.
        sae: String,
        /// The latents.
        latents: Vec<u32>,
    },
    /// Latents by number or by a token they promote. The answer is [`Outcome::Found`].
    Search {
        /// The SAE's id.
        sae: String,
        /// A number, or text of a token.
        query: String,
    },
    /// A latent's relatives in every loaded SAE, at once: what a table is needed for that is not there yet is left out.
    /// The answer is [`Outcome::Family`].
    Family {
        /// The SAE's id.
        sae: String,
        /// The latent.
        latent: u32,
        /// θ.
        threshold: f32,
    },
    /// Compare all loaded SAEs with each other, so that tables are there before they are asked for. The answer is
    /// [`Outcome::Tables`]; after it a [`Family`] is complete.
    Tables,
    /// The work queue of two SAEs. The answer is [`Outcome::Pair`].
    Pair {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// A threshold that it must have groups for.
        threshold: f32,
    },
    /// Whether a latent is new, and what putting it in does on the prompt. The answer is [`Outcome::Verdict`].
    Verdict {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// The latent of the wider SAE.
        latent: u32,
        /// θ.
        threshold: f32,
    },
    /// The same with cross-entropies. The answer is [`Outcome::VerdictLoss`].
    VerdictLoss {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// The latent of the wider SAE.
        latent: u32,
        /// θ.
        threshold: f32,
    },
    /// The stitched SAE after these changes. The answer is [`Outcome::Bench`]: on the prompt always, on the text once
    /// the pair was measured there ([`Job::Pair`]).
    Bench {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// All changes from the narrower SAE on.
        changes: Vec<Change>,
    },
    /// Its cross-entropies. The answer is [`Outcome::BenchLoss`].
    BenchLoss {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// All changes from the narrower SAE on.
        changes: Vec<Change>,
    },
    /// The way from the narrower to the wider SAE. The answer is [`Outcome::Curve`].
    Curve {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// θ.
        threshold: f32,
        /// In which order steps are taken within a phase.
        order: Order,
        /// About how many points are wanted.
        points: usize,
    },
    /// Cross-entropies at steps of the way. The answer is [`Outcome::CurveLoss`].
    CurveLoss {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// θ.
        threshold: f32,
        /// In which order steps are taken within a phase.
        order: Order,
        /// The steps.
        at: Vec<usize>,
    },
    /// The latents that hang together with one. The answer is [`Outcome::Group`]; none for a latent that is novel or
    /// unmatched.
    Group {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// Which SAE's latent.
        side: Side,
        /// The latent.
        latent: u32,
        /// θ.
        threshold: f32,
    },
    /// Write the stitched SAE after these changes as SAELens has it. The answer is [`Outcome::Exported`].
    Export {
        /// The narrower SAE.
        small: String,
        /// The wider SAE.
        large: String,
        /// All changes from the narrower SAE on.
        changes: Vec<Change>,
        /// The folder; nothing in it is overwritten.
        folder: PathBuf,
    },
    /// Choose the text to measure on; without a file that of the settings, else the suite's own, else the program's.
    /// The answer is [`Outcome::Text`]; what was measured on another text must be asked for again.
    Text {
        /// A file in UTF-8.
        file: Option<PathBuf>,
    },
    /// The meta-SAEs of the loaded SAEs: those of the suite and those that this program trained. What their tables say
    /// is there once they were made. The answer is [`Outcome::Metas`].
    Metas,
    /// Put all decoder rows of an SAE through a meta-SAE, so that members are known. The answer is [`Outcome::Meta`].
    Meta {
        /// The SAE's id.
        sae: String,
        /// The meta-SAE's id, or a folder.
        meta: String,
    },
    /// What a latent is made of. The answer is [`Outcome::Breakdown`].
    Breakdown {
        /// The SAE's id.
        sae: String,
        /// The latent.
        latent: u32,
        /// The meta-SAE's id, or a folder; all that the SAE has otherwise.
        meta: Option<String>,
    },
    /// A meta-latent's card. The answer is [`Outcome::MetaCard`].
    MetaCard {
        /// The SAE's id.
        sae: String,
        /// The meta-SAE's id, or a folder.
        meta: String,
        /// The meta-latent.
        meta_latent: u32,
        /// Members, tokens and neighbours wanted in each list.
        top: usize,
    },
    /// The prompt that was run last, by meta-latents. The answer is [`Outcome::MetaRun`].
    MetaRun {
        /// The SAE's id.
        sae: String,
        /// The meta-SAE's id, or a folder.
        meta: String,
    },
    /// Short names of meta-latents. The answer is [`Outcome::MetaLabels`].
    MetaLabels {
        /// The SAE's id.
        sae: String,
        /// The meta-SAE's id, or a folder.
        meta: String,
        /// The meta-latents.
        meta_latents: Vec<u32>,
    },
    /// What comes next with a latent's decoder row edited, beside the untouched model and a random edit. The answer is
    /// [`Outcome::Surgery`].
    Surgery {
        /// The edit.
        operation: Operation,
        /// The prompt.
        prompt: String,
        /// Likeliest next tokens wanted of each model.
        next: usize,
        /// Texts whose log-probability is wanted.
        named: Vec<String>,
    },
    /// How one of the three models goes on; progress carries the text so far. The answer is [`Outcome::Continued`].
    Continue {
        /// The edit.
        operation: Operation,
        /// The prompt.
        prompt: String,
        /// Which model.
        arm: Arm,
        /// Tokens wanted.
        tokens: usize,
        /// How each is chosen.
        sampling: Sampling,
    },
    /// Train a meta-SAE on an SAE's decoder rows; what was begun and not finished goes on. The answer is
    /// [`Outcome::Trained`].
    TrainMeta(MetaRecipe),
    /// Copy the weights that were read so far into the order in which products read them, where there is memory to
    /// spare: what is computed later is the same bits, sooner. The answer is [`Outcome::Packed`].
    Pack,
    /// Whether the suite is wired as its SAEs need it. The answer is [`Outcome::Checked`].
    Checkup {
        /// Whether cross-entropies are measured too: the model then runs as a whole.
        losses: bool,
        /// Whether it is measured again where the outcome is remembered.
        again: bool,
    },
    /// The known suites and what of them is on this machine. The answer is [`Outcome::Catalogue`].
    Catalogue {
        /// A suite that is to be in the list also where nothing but its file's path finds it; it comes first then.
        beside: Option<String>,
        /// How much of each model counts.
        reach: Reach,
    },
    /// Download what is missing of a suite. The answer is [`Outcome::Pulled`].
    Pull {
        /// An id of the catalogue or the path of a suite file.
        suite: String,
        /// How much of the model.
        reach: Reach,
    },
}

/// What a [`Job`] gave.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A suite is loaded.
    Opened(Arc<Opened>),
    /// A prompt was run; every firing latent is in it.
    Run(Arc<Run>),
    /// What comes next at some positions.
    Next(Predictions),
    /// A latent's card.
    Card(Arc<LatentCard>),
    /// Where a latent's pre-activation comes from.
    Attribution(Arc<Attribution>),
    /// Names of latents.
    Labels(Labels),
    /// Latents found.
    Found(Found),
    /// A latent's relatives.
    Family(Arc<Family>),
    /// All SAEs are compared; things worth saying.
    Tables(Vec<String>),
    /// The work queue of two SAEs.
    Pair(Arc<PairView>),
    /// A verdict without cross-entropies.
    Verdict(Arc<Verdict>),
    /// A verdict with cross-entropies.
    VerdictLoss(Arc<Verdict>),
    /// The stitched SAE.
    Bench(Arc<Bench>),
    /// Its cross-entropies.
    BenchLoss(Arc<BenchLoss>),
    /// The way from a narrower to a wider SAE.
    Curve(Arc<CurveView>),
    /// Cross-entropies along the way.
    CurveLoss(Arc<CurveLoss>),
    /// The latents that hang together with one.
    Group(Option<Arc<GroupView>>),
    /// The stitched SAE is written; the folder.
    Exported(PathBuf),
    /// The text that is measured on.
    Text(TextInfo),
    /// The meta-SAEs of the loaded SAEs.
    Metas(Arc<Vec<MetaState>>),
    /// What is known of a meta-SAE.
    Meta(Arc<MetaInfo>),
    /// What a latent is made of.
    Breakdown(Arc<BreakdownView>),
    /// A meta-latent's card.
    MetaCard(Arc<MetaCard>),
    /// The prompt by meta-latents.
    MetaRun(Arc<MetaRun>),
    /// Names of meta-latents.
    MetaLabels(MetaLabels),
    /// What comes next with an edit.
    Surgery(Arc<SurgeryView>),
    /// How a model goes on.
    Continued(Arc<Continuation>),
    /// A meta-SAE is trained, kept and loaded.
    Trained(Arc<MetaTrained>),
    /// Weights are packed; the bytes that this took.
    Packed(u64),
    /// What the doctor found out.
    Checked(Checked),
    /// The known suites.
    Catalogue(Vec<SuiteEntry>),
    /// A download is complete; the suite's id.
    Pulled(String),
}
