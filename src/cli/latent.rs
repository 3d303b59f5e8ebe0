//! `saescope latent`: a latent's card.
//! Not here: making it (`analysis`).

use std::fmt::Write as _;

use crate::analysis::{Class, LatentCard, TokenValue};
use crate::cli::args;
use crate::cli::context::Context;
use crate::cli::output::Output;
use crate::cli::progress::cancel_on_interrupt;
use crate::report::Report;
use crate::suite::Error;
use crate::text::{Charset, prose, token};

pub fn latent(context: &Context, options: &args::Latent, output: &Output) -> Result<u8, Report> {
    let mut session = context.session();
    let suite = session.suite(&context.settings.suite)?;
    suite.sae(&options.sae)?;
    // The SAE that is asked about must be here; of the others, those that are.
    let here = |sae: &&crate::suite::SaeEntry| {
        sae.id == options.sae || !matches!(suite.sae_files(sae, &context.setup.hub), Err(Error::Missing { .. }))
    };
    let saes: Vec<String> = suite.saes.iter().filter(here).map(|sae| sae.id.clone()).collect();
    session.open(suite, &saes, &cancel_on_interrupt(), &|_| {})?;
    let card = session.card(&options.sae, options.latent, options.threshold, options.top as usize)?;
    if output.is_json() {
        return Output::object(&card).map(|()| 0);
    }
    Output::text(&words(&card)).map(|()| 0)
}

fn words(card: &LatentCard) -> String {
    let list = |values: &[TokenValue]| {
        let shown: Vec<String> = values
            .iter()
            .map(|value| format!("{} {:+.2}", token(&value.text, Charset::Unicode), value.value))
            .collect();
        shown.join(", ")
    };
    let mut text = format!(
        "SAE {} · latent {} · decoder norm {:.4}\npromotes   {}\nsuppresses {}\n",
        prose(&card.sae, Charset::Unicode),
        card.latent,
        card.decoder_norm,
        list(&card.promoted),
        list(&card.suppressed)
    );
    for entry in &card.ladder {
        let nearest: Vec<String> =
            entry.nearest.iter().take(5).map(|near| format!("{} {:.3}", near.latent, near.cosine)).collect();
        let class = match entry.class {
            Some(Class::Novel) => format!("  novel (θ {})", entry.threshold),
            Some(Class::Reconstruction) => format!("  reconstruction (θ {})", entry.threshold),
            None => String::new(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "in {:<8} {}{class}", prose(&entry.sae, Charset::Unicode), nearest.join(", "));
    }
    for entry in &card.meta {
        let parts: Vec<String> =
            entry.components.iter().map(|part| format!("{} {:.3}", part.meta_latent, part.activation)).collect();
        let (meta, share) = (prose(&entry.meta, Charset::Unicode), entry.explained * 100.0);
        let _ = writeln!(text, "made of    {} by meta-SAE {meta}, {share:.1} % explained", parts.join(", "));
    }
    text
}
