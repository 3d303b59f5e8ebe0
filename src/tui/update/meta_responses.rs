//! What is asked where latents are taken apart, and what else its answers change.
//! Not here: asking (`meta_requests.rs`).

use crate::tui::app::{App, Notice};
use crate::tui::ask::{AnyAsk as _, Turn};
use crate::tui::meta::MetaNames;
use crate::tui::msg::Effect;
use crate::tui::question::{Question, Wait, question};
use crate::tui::update::say;

/// What is asked where latents are taken apart.
pub(crate) const QUESTIONS: &[Question] = &[
    question!(meta.parts),
    question!(meta.card).then(card),
    question!(meta.corpus).wait(Wait::Long),
    question!(meta.run).then(|app, turn, _| {
        if turn == Turn::Answered {
            follow_strongest(app);
        }
    }),
    question!(meta.surgery),
    question!(meta.continuations[0]),
    question!(meta.continuations[1]),
    question!(meta.continuations[2]),
    question!(meta.train)
        .wait(Wait::Long)
        .ended("training stopped; what was learnt is kept, and t continues from there")
        .then(trained),
    question!(meta.states),
    question!(meta.names.ask).then(|app, turn, _| app.meta.names.turn(turn)),
];

fn card(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    if turn == Turn::Answered {
        let last = app.meta.card.value().map_or(0, |card| card.members.len().saturating_sub(1));
        app.meta.member = app.meta.member.min(last);
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

/// A meta-SAE is there, or why not.
fn trained(app: &mut App, turn: Turn, _: &mut Vec<Effect>) {
    if let (Turn::Failed, Some(report)) = (turn, app.meta.train.failure()) {
        app.notice = Some(Notice { text: format!("{}; ! shows all", report.what), bad: true });
        return;
    }
    let Some(done) = app.meta.train.value().filter(|_| turn == Turn::Answered).cloned() else { return };
    app.meta.changed += 1;
    app.meta.chosen.insert(done.info.sae.clone(), done.info.meta.clone());
    // Which meta-latents another seed found too is known anew.
    app.meta.parts.clear();
    app.meta.card.clear();
    app.meta.names = MetaNames::default();
    say(app, format!("meta-SAE {} of SAE {} is trained; 9 shows parts", done.info.meta, done.info.sae));
}
