//! `saescope run`: one prompt through the model and the ladder.
//! Not here: running it (`session`).

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use safetensors::{Dtype, tensor::TensorView};

use crate::analysis::{Run, SaeRun};
use crate::cli::args;
use crate::cli::context::{Context, open};
use crate::cli::output::{self, Output};
use crate::cli::progress::cancel_on_interrupt;
use crate::hub::Locator;
use crate::report::{Kind, Report};
use crate::session::{FrequenciesQuery, LoadScope, OpenRequest, RawRun, RunOptions, Session, of_file};
use crate::suite::{Error, Suite};
use crate::task::Cancel;
use crate::text::{Charset, prose, token};

/// Longest prompt that is read, in bytes: far above every model's context.
const LARGEST: u64 = 16 << 20;

pub fn run(context: &Context, options: &args::Run, output: &Output) -> Result<u8, Report> {
    let prompt = prompt(options)?;
    let cancel = cancel_on_interrupt();
    let mut session = context.session();
    let started = Instant::now();
    let suite = session.suite(&context.settings.suite)?;
    let saes = if options.sae.is_empty() { present(&suite, &context.setup.hub) } else { options.sae.clone() };
    let predicts = options.logits > 0 || options.metrics || options.activations.is_some();
    // The rest of the model is not opened where nothing asks for it.
    let reach = if predicts { context.reach } else { context.reach.min(LoadScope::Site) };
    open(&mut session, OpenRequest { suite, saes: &saes, reach, words: true }, &cancel)?;
    let load = started.elapsed().as_secs_f64() * 1e3;
    let next = if context.reach == LoadScope::Whole { options.logits as usize } else { 0 };
    let wanted = RunOptions { next, metrics: options.metrics };
    let mut run = session.run(&prompt, &wanted, &cancel)?;
    run.timings_ms.load = load;
    if let Some(path) = &options.activations {
        save(path, &session.raw(&cancel)?)?;
    }
    if !options.all_latents {
        let positions = run.saes.iter_mut().flat_map(|sae| &mut sae.positions);
        positions.for_each(|position| position.latents.truncate(context.settings.top));
    }
    if output.is_json() {
        quantiles(&mut run, &mut session, options.index.as_deref(), &cancel)?;
        return Output::object(&run).map(|()| 0);
    }
    Output::text(&words(&run)).map(|()| 0)
}

/// Says of each latent which share of its own activations in the index is smaller.
fn quantiles(run: &mut Run, session: &mut Session, index: Option<&Path>, cancel: &Cancel) -> Result<(), Report> {
    for sae in &mut run.saes {
        let latents = sae.positions.iter().flat_map(|position| &position.latents).map(|firing| firing.latent);
        let latents: BTreeSet<u32> = latents.collect();
        let query = FrequenciesQuery {
            sae: sae.id.clone(),
            latents: latents.into_iter().collect(),
            index: index.map(Path::to_owned),
        };
        let Some(found) = session.ask(&query, cancel, &|_| ())? else { continue };
        for firing in sae.positions.iter_mut().flat_map(|position| &mut position.latents) {
            let at = found.latents.binary_search_by_key(&firing.latent, |(latent, _)| *latent);
            let frequency = at.ok().and_then(|at| found.latents.get(at));
            firing.quantile = frequency.and_then(|(_, of)| of.quantile(firing.activation)).map(|share| share as f32);
        }
    }
    Ok(())
}

/// The SAEs of a suite that are on this machine; the default ones where none is, so that what is missing is named.
fn present(suite: &Suite, hub: &dyn Locator) -> Vec<String> {
    let here = suite.saes.iter().filter(|sae| !matches!(suite.sae_files(sae, hub), Err(Error::Missing { .. })));
    let here: Vec<String> = here.map(|sae| sae.id.clone()).collect();
    if here.is_empty() { suite.saes.iter().filter(|sae| sae.default).map(|sae| sae.id.clone()).collect() } else { here }
}

fn prompt(options: &args::Run) -> Result<String, Report> {
    if let Some(prompt) = &options.prompt {
        return Ok(prompt.clone());
    }
    let (name, bytes) = match (&options.prompt_file, &options.stdin) {
        (Some(path), _) => (path.display().to_string(), std::fs::File::open(path).and_then(read)),
        (None, Some(_)) => ("standard input".to_owned(), read(io::stdin().lock())),
        (None, None) => {
            return Err(Report::new("there is no prompt")
                .hint("give it with --prompt TEXT or --prompt-file FILE, or `-` to read standard input")
                .kind(Kind::Usage));
        }
    };
    let bytes = bytes.map_err(|error| Report::caused(format!("cannot read {name}"), &error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Report::new(format!("the prompt in {name} is longer than {LARGEST} bytes")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        Report::new(format!("the prompt in {name} is not UTF-8"))
            .because(format!("the byte at {} begins no character", error.valid_up_to()))
            .hint("convert it, for example with iconv")
    })?;
    Ok(of_file(text).to_owned())
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes the tensors behind a run.
fn save(path: &Path, raw: &RawRun) -> Result<(), Report> {
    let failed =
        |error: &(dyn std::error::Error + 'static)| Report::caused(format!("cannot write `{}`", path.display()), error);
    let view = |values, shape| TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(values));
    let residual = view(&raw.residual, vec![raw.positions, raw.size]).map_err(|error| failed(&error))?;
    let mut tensors = HashMap::from([("residual", residual)]);
    if !raw.logits.is_empty() {
        let logits = view(&raw.logits, vec![raw.positions, raw.vocab]).map_err(|error| failed(&error))?;
        tensors.insert("logits", logits);
    }
    let bytes = safetensors::serialize(tensors, None).map_err(|error| failed(&error))?;
    output::save(path, &bytes)
}

fn words(run: &Run) -> String {
    let mut text =
        format!("{} · {} · {}\n", prose(&run.suite, Charset::Unicode), prose(&run.model, Charset::Unicode), run.site);
    // Writing to a string does not fail, here and below.
    for sae in &run.saes {
        let _ = writeln!(text, "\nSAE {} · {}", prose(&sae.id, Charset::Unicode), quality(sae));
        for note in &sae.notes {
            let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
        }
        for (position, at) in sae.positions.iter().zip(&run.tokens) {
            let latents: Vec<String> =
                position.latents.iter().map(|firing| format!("{}:{:.2}", firing.latent, firing.activation)).collect();
            let shown = token(&at.text, Charset::Unicode);
            let _ = writeln!(text, "{:>4} {shown:<16} {:>4}  {}", position.position, position.l0, latents.join(" "));
        }
    }
    if let Some(next) = run.next.last().filter(|next| !next.is_empty()) {
        let next: Vec<String> = next
            .iter()
            .map(|next| {
                format!("{} {:.1}%", token(&next.text, Charset::Unicode), f64::from(next.logprob).exp() * 100.0)
            })
            .collect();
        let _ = writeln!(text, "\nnext: {}", next.join(", "));
    }
    for note in &run.notes {
        let _ = writeln!(text, "note: {}", prose(note, Charset::Unicode));
    }
    text
}

fn quality(sae: &SaeRun) -> String {
    let (quality, cross_entropy) = (&sae.metrics.quality, &sae.metrics.cross_entropy);
    let figure = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {value:.4}"));
    let mut parts: Vec<String> = [
        figure("L0", quality.l0),
        figure("MSE", quality.mse),
        figure("explained variance", quality.explained_variance),
        figure("loss recovered", cross_entropy.as_ref().and_then(|ce| ce.loss_recovered)),
    ]
    .into_iter()
    .flatten()
    .collect();
    parts.push(format!("on {} tokens", quality.tokens));
    parts.join(" · ")
}
