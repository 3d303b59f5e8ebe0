//! The report's part on surgery: latents of people and cities get the meta-latents of another, and the model says where
//! they are from. Not here: editing rows (the library), and which latents stand for whom (`truth.rs`).

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};
use saescope::analysis::surgery::{SurgeryEdit, SurgeryView};
use saescope::sae::Sae;
use saescope::sae::meta::{self, Edit};
use saescope::session::{Session, SurgeryQuery};
use saescope::task::Cancel;

use crate::stitching;
use crate::truth::Truth;
use crate::world::{Kind, Subject};

/// Pairs of each kind that are shown; the means are over all.
const SHOWN: usize = 6;

/// What an exchange did to the log-probabilities of two countries, by the edit and by a random one of its size.
struct Exchange {
    words: String,
    size: f32,
    own: [f32; 2],
    other: [f32; 2],
}

/// Exchanges the meta-latents of `meta` in the rows of SAE `of`, subject by subject, and measures.
pub fn write(
    text: &mut String,
    out: &Path,
    (of, sae): (&str, &Sae),
    (id, meta): (&str, &Sae),
    truth: &Truth<'_>,
) -> Result<()> {
    let mut session = stitching::session()?;
    stitching::ladder(&mut session, out)?;
    text.push_str(
        "\n### Surgery: somebody else's meta-latents\n\nEach latent that stands for a person (or a city) most loses its \
         meta-latents and gets those of the next one's latent who is from another country, with their activations; the row \
         keeps its length. The model is asked before and after where the first is from, and after a random edit of the same \
         size. Changes of log-probability, in nats, of the country that is true of the first and of that of the second. Only \
         prompts on which the latent fires count.\n\n\
         | exchange | size | true country | random | other country | random |\n|---|---|---|---|---|---|\n",
    );
    let mut means = String::new();
    for kind in [Kind::Person, Kind::City] {
        let mut done = Vec::new();
        let stand = truth.strongest(kind);
        for (at, (latent, subject)) in stand.iter().enumerate() {
            let other = stand
                .iter()
                .cycle()
                .skip(at + 1)
                .take(stand.len())
                .find(|(_, other)| other.get("country") != subject.get("country"));
            let Some((partner, other)) = other else { continue };
            let edits = edits(meta, sae, *latent, *partner)?;
            let operation =
                SurgeryEdit { sae: of.to_owned(), meta: id.to_owned(), latent: *latent as u32, edits, seed: 0 };
            done.extend(one(&mut session, operation, subject, other)?);
        }
        for one in done.iter().take(SHOWN) {
            writeln!(
                text,
                "| {} | {:.2} | {:+.3} | {:+.3} | {:+.3} | {:+.3} |",
                one.words, one.size, one.own[0], one.own[1], one.other[0], one.other[1]
            )?;
        }
        let mean = |of: &dyn Fn(&Exchange) -> f32| done.iter().map(of).sum::<f32>() / done.len().max(1) as f32;
        let more = done.iter().filter(|one| one.other[0] - one.own[0] > one.other[1] - one.own[1]).count();
        writeln!(
            means,
            "- {}: {} exchanges; true country {:+.3} (random {:+.3}), other country {:+.3} (random {:+.3}); in {more} the \
             edit moves the model further from the true to the other country than the random one.",
            if kind == Kind::Person { "people" } else { "cities" },
            done.len(),
            mean(&|one| one.own[0]),
            mean(&|one| one.own[1]),
            mean(&|one| one.other[0]),
            mean(&|one| one.other[1])
        )?;
    }
    write!(text, "\nIn the mean:\n\n{means}")?;
    Ok(())
}

/// Takes out what one latent is made of and puts in what the other is made of.
fn edits(meta: &Sae, sae: &Sae, latent: usize, partner: usize) -> Result<Vec<Edit>> {
    let parts = |latent| meta::breakdown(meta, sae, latent, &Cancel::new());
    let (own, others) = (parts(latent)?, parts(partner)?);
    let out = own.components.iter().map(|part| Edit::Remove(part.meta_latent));
    Ok(out.chain(others.components.iter().map(|part| Edit::Add(part.meta_latent, part.activation))).collect())
}

/// One exchange; none where the latent does not fire.
fn one(session: &mut Session, operation: SurgeryEdit, subject: &Subject, other: &Subject) -> Result<Option<Exchange>> {
    let person = subject.kind == Kind::Person;
    let name = |subject: &Subject| subject.get(if person { "short" } else { "city" }).to_owned();
    let prompt = format!("{} {}", name(subject), if person { "came from" } else { "is a city in" });
    let named = [subject, other].map(|subject| format!(" {}", subject.get("country"))).to_vec();
    let job = SurgeryQuery { operation, prompt, next: 1, named };
    let SurgeryView { fires, named, size, .. } = session.ask(&job, &Cancel::new(), &|_| ())?;
    let [own, wanted] = &named[..] else { bail!("two countries were named") };
    if fires.is_empty() {
        return Ok(None);
    }
    let change = |[plain, edited, random]: [f32; 3]| [edited - plain, random - plain];
    Ok(Some(Exchange {
        words: format!(
            "{} ({}) gets {} ({})",
            name(subject),
            subject.get("country"),
            name(other),
            other.get("country")
        ),
        size,
        own: change(own.logprobs),
        other: change(wanted.logprobs),
    }))
}
