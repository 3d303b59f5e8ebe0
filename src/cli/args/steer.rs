//! The arguments of `steer`; what is changed and how repeat together, so their order counts.
//! Not here: what the command does (`cli/steer.rs`).

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches, error::ErrorKind};

use super::values::{condition, number, path, places, sweep, temperature};
use crate::analysis::intervention::{LatentAbove, LatentId, Where};
use crate::session::{SteerChange, SteerEdit, SteerTarget, StrengthUnit, Sweep};

/// Options of `steer`.
#[derive(Debug, clap::Args)]
pub struct Steer {
    /// What is changed, and how.
    #[command(flatten)]
    pub edits: SteerEdits,
    /// What V of --set and --add counts in: the number itself, the latent's maximum in the index, or the mean norm of the
    /// prompt's activations.
    #[arg(long, value_enum, default_value_t = UnitName::Raw)]
    pub unit: UnitName,
    /// Where: all, fires (where the latent itself does), or positions of the prompt, from 0, such as 3,4.
    #[arg(long, value_name = "all|fires|P,…", value_parser = places, default_value = "all")]
    pub at: Where,
    /// Only at positions where this latent fires above a value.
    #[arg(long = "while", value_name = "SAE:LATENT>V", value_parser = condition)]
    pub only: Option<LatentAbove>,
    /// No more from the first position on where this latent fires above a value.
    #[arg(long = "stop", value_name = "SAE:LATENT>V", value_parser = condition)]
    pub until: Option<LatentAbove>,
    /// Write with N strengths from A to B too.
    #[arg(long, value_name = "A:B:N", value_parser = sweep, allow_hyphen_values = true)]
    pub sweep: Option<Sweep>,
    /// The prompt.
    #[arg(long, value_name = "TEXT")]
    pub prompt: String,
    /// Tokens that are written.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub tokens: u32,
    /// For each new token the N likeliest in its place, in JSON.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub candidates: u32,
    /// Sample with this temperature instead of taking the likeliest token.
    #[arg(long, value_name = "T", value_parser = temperature, default_value_t = 0.0, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Seed of the random direction and of sampling.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// The index that says how strongly a latent fires at most; the suite's own otherwise, where there is one.
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub index: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What strengths count in, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum UnitName {
    /// The number itself.
    Raw,
    /// The latent's maximum in the index.
    Max,
    /// The mean norm of the prompt's activations.
    Norm,
}

impl UnitName {
    /// The unit.
    #[must_use]
    pub const fn unit(self) -> StrengthUnit {
        match self {
            Self::Raw => StrengthUnit::Raw,
            Self::Max => StrengthUnit::Max,
            Self::Norm => StrengthUnit::Norm,
        }
    }
}

/// Targets and changes in their order: the first target with the first change, and so on; one change is that of all targets.
#[derive(Clone, Debug, PartialEq)]
pub struct SteerEdits(pub Vec<SteerEdit>);

/// A flag, what it calls its value, its help, and the change that it makes.
type ChangeFlag = (&'static str, &'static str, &'static str, fn(f32) -> SteerChange);

/// Changes by their flags.
const CHANGES: [ChangeFlag; 4] = [
    ("set", "V", "Make it fire so strongly: x + (V - f)·d", SteerChange::Set),
    ("scale", "C", "Multiply what it contributes: x + (C - 1)·f·d", SteerChange::Scale),
    ("add", "V", "Add so much of it: x + V·d", SteerChange::Add),
    (
        "project",
        "C",
        "Multiply x's part along it, 0 projects it out: x + (C - 1)(x·u)·u, u being d at length 1",
        SteerChange::Project,
    ),
];

impl clap::Args for SteerEdits {
    fn augment_args(command: Command) -> Command {
        let text = |name: &'static str, value: &'static str, help: &'static str| {
            Arg::new(name).long(name).value_name(value).help(help).action(ArgAction::Append)
        };
        let whole = clap::value_parser!(u32);
        let mut command = command
            .arg(text("sae", "ID", "The SAE of the latents that follow (repeatable)"))
            .arg(text("latent", "N", "The latent that is changed (repeatable)").value_parser(whole))
            .arg(text("meta", "ID|DIR", "The meta-SAE of the meta-latents that follow (repeatable)"))
            .arg(text("meta-latent", "M", "The meta-latent that is changed (repeatable)").value_parser(whole))
            .arg(
                text(
                    "direction",
                    "FILE.safetensors",
                    "The direction that is changed: the file's only tensor, or `direction`",
                )
                .value_parser(path()),
            )
            .arg(
                Arg::new("ablate")
                    .long("ablate")
                    .help("Take what it contributes out: x - f·d")
                    .num_args(0)
                    .default_missing_value("off")
                    .action(ArgAction::Append),
            );
        for (name, value, help, _) in CHANGES {
            command = command.arg(text(name, value, help).value_parser(number).allow_hyphen_values(true));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// What stands at a place of the command line.
enum Word {
    Sae(String),
    Meta(String),
    Latent(u32),
    MetaLatent(u32),
    Direction(PathBuf),
    Change(SteerChange),
}

impl FromArgMatches for SteerEdits {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut words: Vec<(usize, Word)> = Vec::new();
        each(matches, "sae", &mut words, Word::Sae);
        each(matches, "meta", &mut words, Word::Meta);
        each(matches, "latent", &mut words, Word::Latent);
        each(matches, "meta-latent", &mut words, Word::MetaLatent);
        each(matches, "direction", &mut words, Word::Direction);
        each(matches, "ablate", &mut words, |_: String| Word::Change(SteerChange::Ablate));
        for (name, _, _, change) in CHANGES {
            each(matches, name, &mut words, |by: f32| Word::Change(change(by)));
        }
        words.sort_by_key(|(at, _)| *at);
        edits(words.into_iter().map(|(_, word)| word))
            .map(Self)
            .map_err(|why| Error::raw(ErrorKind::ValueValidation, why))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Each value of an argument with its place.
fn each<T: Clone + Send + Sync + 'static>(
    matches: &ArgMatches,
    name: &str,
    words: &mut Vec<(usize, Word)>,
    word: impl Fn(T) -> Word,
) {
    let places = matches.indices_of(name).into_iter().flatten();
    let values = matches.get_many::<T>(name).into_iter().flatten();
    words.extend(places.zip(values).map(|(at, value)| (at, word(value.clone()))));
}

fn edits(words: impl Iterator<Item = Word>) -> Result<Vec<SteerEdit>, String> {
    let (mut sae, mut meta) = (None, None);
    let (mut targets, mut changes) = (Vec::new(), Vec::new());
    for word in words {
        match word {
            Word::Sae(id) => sae = Some(id),
            Word::Meta(id) => meta = Some(id),
            Word::Latent(latent) => {
                let sae =
                    sae.clone().ok_or_else(|| format!("say which SAE latent {latent} is of: --sae ID before it\n"))?;
                targets.push(SteerTarget::Latent(LatentId { sae, latent }));
            }
            Word::MetaLatent(meta_latent) => {
                let before = || format!("say which meta-SAE meta-latent {meta_latent} is of: --meta ID before it\n");
                let meta = meta.clone().ok_or_else(before)?;
                targets.push(SteerTarget::MetaLatent { sae: sae.clone(), meta, meta_latent });
            }
            Word::Direction(file) => targets.push(SteerTarget::Direction(file)),
            Word::Change(change) => changes.push(change),
        }
    }
    if targets.is_empty() {
        return Err(
            "say what is changed: --sae ID --latent N, --meta ID --meta-latent M or --direction FILE\n".to_owned()
        );
    }
    let changes = match &changes[..] {
        [] => return Err("say how it is changed: --ablate, --set V, --scale C, --add V or --project C\n".to_owned()),
        [one] => vec![*one; targets.len()],
        several if several.len() == targets.len() => changes,
        several => {
            let counts = format!("there are {} changes for {} targets", several.len(), targets.len());
            return Err(format!("{counts}: give each target its own, or one for all\n"));
        }
    };
    Ok(targets.into_iter().zip(changes).map(|(target, change)| SteerEdit { target, change }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Only {
        #[command(flatten)]
        steer: Steer,
    }

    fn parsed(line: &[&str]) -> Result<Vec<SteerEdit>, String> {
        let all = ["steer", "--prompt", "p"].iter().chain(line);
        Only::try_parse_from(all).map(|only| only.steer.edits.0).map_err(|error| error.to_string())
    }

    fn latent(sae: &str, latent: u32) -> SteerTarget {
        SteerTarget::Latent(LatentId { sae: sae.to_owned(), latent })
    }

    #[test]
    fn targets_and_changes_go_together_in_their_order() {
        let edits = parsed(&[
            "--sae", "a", "--latent", "3", "--set", "-2", "--latent", "4", "--ablate", "--sae", "b", "--latent", "5",
            "--add=-1",
        ]);
        let edit = |target, change| SteerEdit { target, change };
        let expected = vec![
            edit(latent("a", 3), SteerChange::Set(-2.0)),
            edit(latent("a", 4), SteerChange::Ablate),
            edit(latent("b", 5), SteerChange::Add(-1.0)),
        ];
        assert_eq!(edits, Ok(expected));
        let all = parsed(&["--sae", "a", "--latent", "3", "--latent", "4", "--scale", "0.5"]).expect("one for all");
        assert!(all.len() == 2 && all.iter().all(|edit| edit.change == SteerChange::Scale(0.5)));
        let meta = parsed(&["--meta", "m", "--meta-latent", "7", "--project", "0"]).expect("a meta-latent");
        let target = SteerTarget::MetaLatent { sae: None, meta: "m".to_owned(), meta_latent: 7 };
        assert_eq!(meta, vec![edit(target, SteerChange::Project(0.0))]);
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        for (line, said) in [
            (&["--ablate"][..], "say what is changed"),
            (&["--sae", "a", "--latent", "3"], "say how it is changed"),
            (&["--latent", "3", "--ablate"], "--sae ID before it"),
            (&["--meta-latent", "3", "--ablate"], "--meta ID before it"),
            (&["--sae", "a", "--latent", "3", "--ablate", "--set", "1"], "2 changes for 1 targets"),
            (&["--sae", "a", "--latent", "3", "--set", "NaN"], "number"),
            (&["--sae", "a", "--latent", "3", "--ablate", "--at", "x"], "position"),
            (&["--sae", "a", "--latent", "3", "--ablate", "--while", "512"], "SAE:LATENT>V"),
            (&["--sae", "a", "--latent", "3", "--set", "1", "--sweep", "1:2"], "A:B:N"),
        ] {
            let error = parsed(line).expect_err("is refused");
            assert!(error.contains(said), "{line:?}: {error}");
        }
    }
}
