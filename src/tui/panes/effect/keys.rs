//! The keys of effects. Not here: what they do.

use crokey::key;

use crate::tui::keys::{Action, Binding, KeyContext, KeyContexts, row};
use crate::tui::location::Focus;

const HERE: KeyContexts = KeyContexts::pane(Focus::Effect);
/// Where a token and its latents are looked at.
const AROUND: KeyContexts = KeyContexts::of(&[
    KeyContext::Pane(Focus::Tokens),
    KeyContext::Pane(Focus::Latents),
    KeyContext::Pane(Focus::Card),
]);

/// In the pane, and the one that leads to it.
pub(super) const KEYS: &[Binding] = &[
    row(132, Action::Up, "effect.previous", &[key!(up), key!(k)], HERE, "", "The latent above"),
    row(134, Action::Down, "effect.next", &[key!(down), key!(j)], HERE, "latent", "The latent below"),
    row(
        685,
        Action::Focus(Focus::Effect),
        "pane.effect",
        &[key!(c)],
        AROUND,
        "effect",
        "What each latent here causes: taken out, the model run on",
    ),
    row(
        159,
        Action::Own("page"),
        "effect.page",
        &[key!(space)],
        HERE,
        "page",
        "Latents here; all positions; every SAE; its meta-latents",
    ),
    row(
        160,
        Action::Own("read"),
        "effect.read",
        &[key!('@')],
        HERE,
        "read here",
        "Read the next token here; again: where latents are taken out",
    ),
    row(
        161,
        Action::Own("follows"),
        "effect.follows",
        &[key!('*')],
        HERE,
        "",
        "For the likeliest next token, or for the one in the text",
    ),
    row(162, Action::Accept, "effect.go", &[key!(enter)], HERE, "", "Among the SAEs: go to the latent, in its own SAE"),
    row(662, Action::Order, "effect.order", &[key!(o)], HERE, "order", "By effect, or by activation"),
    row(
        665,
        Action::Close,
        "effect.leave",
        &[key!(esc), key!(c)],
        HERE,
        "back",
        "Put the card back and go where you came from",
    ),
];
