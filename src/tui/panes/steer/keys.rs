//! The keys of steering. Not here: what they do.

use crokey::key;

use crate::tui::keys::{Action, Binding, KeyContext, KeyContexts, row};
use crate::tui::location::Focus;

const HERE: KeyContexts = KeyContexts::pane(Focus::Steer);
/// Where the chosen latent is changed at once.
const LISTED: KeyContexts =
    KeyContexts::of(&[KeyContext::Pane(Focus::Latents), KeyContext::Pane(Focus::Card)]).and(HERE);
/// Where a latent is looked at.
const AROUND: KeyContexts = KeyContexts::of(&[
    KeyContext::Pane(Focus::Tokens),
    KeyContext::Pane(Focus::Latents),
    KeyContext::Pane(Focus::Card),
    KeyContext::Pane(Focus::Examples),
    KeyContext::Pane(Focus::Effect),
]);

/// In the pane, and those that lead to it.
pub(super) const KEYS: &[Binding] = &[
    row(143, Action::Up, "steer.previous", &[key!(up), key!(k)], HERE, "", "The change above"),
    row(144, Action::Down, "steer.next", &[key!(down), key!(j)], HERE, "change", "The change below"),
    row(
        686,
        Action::Focus(Focus::Steer),
        "pane.steer",
        &[key!(shift - a)],
        AROUND,
        "steer",
        "Alter the latent and see what the model writes",
    ),
    row(687, Action::SteerOff, "steer.off", &[key!('0')], LISTED, "off", "The latent off while the model writes"),
    row(
        688,
        Action::SteerBy(1),
        "steer.stronger",
        &[key!('+'), key!('=')],
        LISTED,
        "strength",
        "The latent stronger while the model writes",
    ),
    row(689, Action::SteerBy(-1), "steer.weaker", &[key!('-')], LISTED, "", "The latent weaker while the model writes"),
    row(145, Action::Order, "steer.kind", &[key!(o)], HERE, "kind", "Off, set, scaled, added, or projected out"),
    row(
        146,
        Action::Own("steer.place"),
        "steer.place",
        &[key!('@')],
        HERE,
        "where",
        "At all positions, where it fires, or at the chosen token",
    ),
    row(
        147,
        Action::Toggle,
        "steer.toggle",
        &[key!(space)],
        HERE,
        "add",
        "Add the chosen latent, or take it out of the list",
    ),
    row(
        151,
        Action::Own("steer.remove"),
        "steer.remove",
        &[key!(x), key!(delete)],
        HERE,
        "",
        "Take this change out of the list",
    ),
    row(
        148,
        Action::Own("steer.sweep"),
        "steer.sweep",
        &[key!(shift - x)],
        HERE,
        "sweep",
        "A table of strengths, or the texts again",
    ),
    row(
        152,
        Action::Own("steer.tokens"),
        "steer.tokens",
        &[key!(shift - t)],
        HERE,
        "",
        "Write 32, 64, 128 or 16 tokens",
    ),
    row(
        153,
        Action::Own("steer.chance"),
        "steer.chance",
        &[key!('*')],
        HERE,
        "",
        "The likeliest tokens, or by chance: temperature 0.7, 1",
    ),
    row(
        154,
        Action::Own("steer.seed"),
        "steer.seed",
        &[key!(shift - o)],
        HERE,
        "",
        "Another random direction and another chance",
    ),
    row(
        164,
        Action::Own("steer.back"),
        "steer.back",
        &[key!(',')],
        HERE,
        "",
        "The token before in the steered text, from its end",
    ),
    row(165, Action::Own("steer.on"), "steer.on", &[key!('.')], HERE, "", "The token after in the steered text"),
    row(
        166,
        Action::Own("steer.instead"),
        "steer.instead",
        &[key!(';')],
        HERE,
        "instead",
        "Another token in its place; Enter goes on from there",
    ),
    row(
        149,
        Action::Accept,
        "steer.accept",
        &[key!(enter)],
        HERE,
        "take the text",
        "Take the steered text, up to the chosen token, into the prompt",
    ),
    row(
        669,
        Action::Close,
        "steer.leave",
        &[key!(esc), key!(shift - a)],
        HERE,
        "back",
        "Put the card back and go where you came from",
    ),
];
