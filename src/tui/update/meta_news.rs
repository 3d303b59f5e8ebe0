//! What answers and progress change where latents are taken apart.
//! Not here: asking (`meta_wants`).

use crate::report::Report;
use crate::session::Outcome;
use crate::task::{Progress, Slot, Ticket};
use crate::tui::app::{App, Notice};
use crate::tui::meta::MetaRef;
use crate::tui::update::news::{mixed_up, settle};
use crate::tui::update::say;

/// Takes news of a job under way; gives whether it is current.
pub(super) fn progressed(app: &mut App, slot: Slot, ticket: Ticket, progress: Progress) -> bool {
    let meta = &mut app.meta;
    let [untouched, edited, random] = &mut meta.goes_on;
    match slot {
        Slot::Metas => meta.states.progress(ticket, progress),
        Slot::Breakdown => meta.parts.progress(ticket, progress),
        Slot::MetaCard => meta.card.progress(ticket, progress),
        Slot::MetaRun => meta.run.progress(ticket, progress),
        Slot::Surgery => meta.surgery.progress(ticket, progress),
        Slot::Untouched => untouched.progress(ticket, progress),
        Slot::Edited => edited.progress(ticket, progress),
        Slot::Random => random.progress(ticket, progress),
        Slot::MetaTrain => meta.train.progress(ticket, progress),
        _ => false,
    }
}

/// The answer if it is of this kind.
macro_rules! only {
    ($answer:expr, $kind:ident) => {
        $answer.and_then(|outcome| if let Outcome::$kind(value) = outcome { Ok(value) } else { Err(mixed_up()) })
    };
}

/// Takes an answer; gives whether it is current.
pub(super) fn answered(app: &mut App, slot: Slot, ticket: Ticket, answer: Result<Outcome, Report>) -> bool {
    let meta = &mut app.meta;
    let [untouched, edited, random] = &mut meta.goes_on;
    match slot {
        Slot::Metas => meta.states.answer(ticket, only!(answer, Metas)),
        Slot::Breakdown => meta.parts.answer(ticket, only!(answer, Breakdown)),
        Slot::MetaCard => {
            let taken = meta.card.answer(ticket, only!(answer, MetaCard));
            let last = meta.card.value().map_or(0, |card| card.members.len().saturating_sub(1));
            meta.member = meta.member.min(last);
            taken
        }
        Slot::MetaRun => {
            let taken = meta.run.answer(ticket, only!(answer, MetaRun));
            if taken {
                follow_strongest(app);
            }
            taken
        }
        Slot::MetaLabels => labels(app, ticket, answer),
        Slot::Surgery => meta.surgery.answer(ticket, only!(answer, Surgery)),
        Slot::Untouched => untouched.answer(ticket, only!(answer, Continued)),
        Slot::Edited => edited.answer(ticket, only!(answer, Continued)),
        Slot::Random => random.answer(ticket, only!(answer, Continued)),
        Slot::MetaTrain => {
            let fine = answer.is_ok();
            let taken = settle(&mut meta.train, ticket, only!(answer, Trained));
            if taken {
                trained(app, fine);
            }
            taken
        }
        _ => false,
    }
}

/// Where the prompt is seen by meta-latents and none of those that fire is chosen, the strongest is.
fn follow_strongest(app: &mut App) {
    let Some(position) = app.meta_position().filter(|_| app.meta.by_meta) else { return };
    let here = position.latents.iter().any(|f| Some(f.latent) == app.meta.meta_latent);
    if let (false, Some(first)) = (here, position.latents.first().map(|f| f.latent)) {
        app.meta.meta_latent = Some(first);
        app.meta.held = true;
    }
}

fn labels(app: &mut App, ticket: Ticket, answer: Result<Outcome, Report>) -> bool {
    let store = &mut app.meta.labels;
    let (answer, labels) = match only!(answer, MetaLabels) {
        Ok(labels) => (Ok(()), Some(labels)),
        Err(report) => (Err(report), None),
    };
    if !store.remote.answer(ticket, answer) {
        return false;
    }
    if let Some(labels) = labels {
        let of = MetaRef { sae: labels.sae, meta: labels.meta };
        for label in labels.labels {
            store.known.insert((of.clone(), label.meta_latent), label);
        }
    }
    for key in std::mem::take(&mut store.asked) {
        if !store.known.contains_key(&key) {
            store.refused.insert(key);
        }
    }
    true
}

/// A meta-SAE is there, or why not.
fn trained(app: &mut App, fine: bool) {
    if let (false, Some(report)) = (fine, app.meta.train.failure()) {
        app.notice = Some(Notice { text: format!("{}; ! shows all", report.what), bad: true });
        return;
    }
    let Some(done) = app.meta.train.value().filter(|_| fine).cloned() else { return };
    app.meta.changed += 1;
    app.meta.chosen.insert(done.info.sae.clone(), done.info.meta.clone());
    // Which meta-latents another seed found too is known anew.
    app.meta.parts = crate::tui::stitch::Asked::default();
    app.meta.card = crate::tui::stitch::Asked::default();
    app.meta.labels = crate::tui::meta::MetaLabels::default();
    say(app, format!("meta-SAE {} of SAE {} is trained; 9 shows parts", done.info.meta, done.info.sae));
}
