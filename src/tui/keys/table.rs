//! The rows of the key table, in the order in which footer and help show them.
//! Not here: looking them up.

use crokey::{KeyCombination, key};

use super::{Action, Binding, Edit, Place, Places};

const fn row(
    action: Action,
    id: &'static str,
    keys: &'static [KeyCombination],
    places: Places,
    short: &'static str,
    about: &'static str,
) -> Binding {
    Binding { action, id, keys, places, short, about }
}

const PROMPT: Places = Places::of(&[Place::Prompt]);
const TOKENS: Places = Places::of(&[Place::Tokens]);
const LATENTS: Places = Places::of(&[Place::Latents]);
const CARD: Places = Places::of(&[Place::Card]);
const WALK: Places = Places::of(&[Place::Tokens, Place::Latents]);
const SEARCH: Places = Places::of(&[Place::Search]);
const PALETTE: Places = Places::of(&[Place::Palette]);
const SUITES: Places = Places::of(&[Place::Suites]);
const CONFIRM: Places = Places::of(&[Place::Confirm]);
const READING: Places = Places::of(&[Place::Reading]);
const SCROLLED: Places = Places::of(&[Place::Suites, Place::Reading]);
const LISTS: Places = Places::of(&[Place::Latents, Place::Card, Place::Suites, Place::Reading]);

/// Every key of the explorer.
pub const TABLE: &[Binding] = &[
    // What one does most, first: this is the order of the footer.
    row(Action::Close, "prompt.leave", &[key!(esc), key!(enter)], PROMPT, "to the tokens", "Leave the prompt for its tokens"),
    row(Action::Edit(Edit::NewLine), "prompt.new-line", &[key!(ctrl - j), key!(alt - enter)], PROMPT, "new line", "Begin a new line"),
    row(Action::Edit(Edit::DeleteToStart), "text.delete-to-start", &[key!(ctrl - u)], Places::TEXTS, "clear", "Delete to the start of the line"),
    row(Action::Edit(Edit::Undo), "prompt.undo", &[key!(ctrl - 7)], PROMPT, "undo", "Take the last change back"),
    row(Action::Edit(Edit::Redo), "prompt.redo", &[key!(ctrl - r)], PROMPT, "", "Make the change again"),
    row(Action::Left, "token.previous", &[key!(left), key!(h)], Places::PANES, "", "The token before"),
    row(Action::Right, "token.next", &[key!(right), key!(l)], Places::PANES, "token", "The token after"),
    row(Action::Up, "latent.previous", &[key!(up), key!(k)], WALK, "", "The stronger latent"),
    row(Action::Down, "latent.next", &[key!(down), key!(j)], WALK, "latent", "The weaker latent"),
    row(Action::Up, "ladder.previous", &[key!(up), key!(k)], CARD, "", "The narrower SAE's nearest latent"),
    row(Action::Down, "ladder.next", &[key!(down), key!(j)], CARD, "ladder", "The wider SAE's nearest latent"),
    row(Action::Accept, "tokens.open", &[key!(enter)], TOKENS, "", "Go to the latents of the token"),
    row(Action::Accept, "latents.open", &[key!(enter)], LATENTS, "card", "Hold the latent and go to its card"),
    row(Action::Accept, "card.jump", &[key!(enter)], CARD, "jump there", "Jump to the chosen latent of the ladder"),
    row(Action::Narrower, "sae.narrower", &[key!('[')], Places::PANES, "", "The narrower SAE; the latent follows to its nearest"),
    row(Action::Wider, "sae.wider", &[key!(']')], Places::PANES, "width", "The wider SAE; the latent follows to its nearest"),
    row(Action::FocusPrompt, "pane.prompt", &[key!(e), key!(i), key!(1)], Places::PANES, "edit prompt", "Edit the prompt"),
    row(Action::Search, "latents.search", &[key!('/')], Places::PANES, "search", "Search latents by number or promoted token"),
    row(Action::Pin, "latents.pin", &[key!(p)], Places::PANES, "pin", "Pin or unpin the latent, to compare it on the tokens"),
    row(Action::Suites, "suites.open", &[key!(s)], Places::PANES, "suites", "Other models and SAEs: open, download"),
    row(Action::Close, "latent.release", &[key!(esc)], TOKENS, "", "Let go of the held latent: follow the strongest again"),
    row(Action::Close, "latents.leave", &[key!(esc)], LATENTS, "", "Back to the tokens"),
    row(Action::Close, "card.leave", &[key!(esc)], CARD, "back", "Back to the latents"),
    row(Action::Back, "history.back", &[key!(b), key!(backspace), key!(ctrl - o)], Places::PANES, "", "Back to the latent visited before"),
    row(Action::Forward, "history.forward", &[key!(f)], Places::PANES, "", "Forward to the latent visited after"),
    row(Action::UnpinAll, "latents.unpin-all", &[key!(shift - p)], Places::PANES, "", "Unpin all"),
    row(Action::First, "tokens.first", &[key!(home), key!(g), key!('0')], TOKENS, "", "The first token"),
    row(Action::Last, "tokens.last", &[key!(end), key!(shift - g), key!('$')], TOKENS, "", "The last token"),
    row(Action::PageUp, "tokens.page-up", &[key!(pageup), key!(ctrl - u)], TOKENS, "", "The line of tokens above"),
    row(Action::PageDown, "tokens.page-down", &[key!(pagedown), key!(ctrl - d)], TOKENS, "", "The line of tokens below"),
    row(Action::First, "list.first", &[key!(home), key!(g)], LISTS, "", "To the top"),
    row(Action::Last, "list.last", &[key!(end), key!(shift - g)], LISTS, "", "To the end"),
    row(Action::PageUp, "list.page-up", &[key!(pageup), key!(ctrl - u)], LISTS, "", "One page up"),
    row(Action::PageDown, "list.page-down", &[key!(pagedown), key!(ctrl - d)], LISTS, "", "One page down"),
    row(Action::CopyReference, "copy.reference", &[key!(y)], Places::PANES, "", "Copy the latent's reference: suite/sae/latent"),
    row(Action::CopyCommand, "copy.command", &[key!(shift - y)], Places::PANES, "", "Copy the command that prints the latent's card"),
    row(Action::SaveSvg, "screen.save-svg", &[key!(shift - s)], Places::PANES, "", "Save this screen as a picture (SVG)"),
    row(Action::SaveText, "screen.save-text", &[], Places::PANES, "", "Save this screen as plain text"),
    row(Action::SaveAnsi, "screen.save-ansi", &[], Places::PANES, "", "Save this screen as text with colours"),
    row(Action::Retry, "run.again", &[key!(r)], Places::PANES, "", "Run the prompt again, or load again what failed"),
    row(Action::ShowError, "error.show", &[key!('!')], Places::PANES, "", "Show the last error in full"),
    row(Action::Mouse, "mouse.toggle", &[key!(m)], Places::PANES, "", "Mouse on or off (off lets the terminal select text)"),
    row(Action::FocusTokens, "pane.tokens", &[key!(2)], Places::PANES, "", "Go to the tokens"),
    row(Action::FocusLatents, "pane.latents", &[key!(3)], Places::PANES, "", "Go to the latents"),
    row(Action::FocusCard, "pane.card", &[key!(4)], Places::PANES, "", "Go to the card"),
    row(Action::NextPane, "pane.next", &[key!(tab)], Places::MAIN, "", "The next pane"),
    row(Action::PreviousPane, "pane.previous", &[key!(backtab)], Places::MAIN, "", "The pane before"),
    // Lists over the panes.
    row(Action::Up, "list.up", &[key!(up), key!(k)], SCROLLED, "", "Up"),
    row(Action::Down, "list.down", &[key!(down), key!(j)], SCROLLED, "move", "Down"),
    row(Action::Up, "field.up", &[key!(up), key!(ctrl - k)], Places::FIELDS, "", "Up the list"),
    row(Action::Down, "field.down", &[key!(down), key!(ctrl - j)], Places::FIELDS, "choose", "Down the list"),
    row(Action::PageUp, "field.page-up", &[key!(pageup)], Places::FIELDS, "", "One page up the list"),
    row(Action::PageDown, "field.page-down", &[key!(pagedown)], Places::FIELDS, "", "One page down the list"),
    row(Action::Accept, "search.jump", &[key!(enter)], SEARCH, "go to it", "Go to the latent"),
    row(Action::Accept, "palette.do", &[key!(enter)], PALETTE, "do it", "Do the chosen command"),
    row(Action::Accept, "suites.choose", &[key!(enter), key!(space)], SUITES, "open or download", "Open the suite, or ask to download it"),
    row(Action::Accept, "question.yes", &[key!(enter), key!(y)], CONFIRM, "yes", "Yes"),
    row(Action::Close, "question.no", &[key!(esc), key!(n), key!(q)], CONFIRM, "no", "No"),
    row(Action::Close, "reading.close", &[key!(esc), key!(q), key!(enter)], READING, "close", "Close"),
    row(Action::Close, "suites.close", &[key!(esc), key!(q)], SUITES, "close", "Close the list; a download goes on"),
    row(Action::Close, "field.close", &[key!(esc)], Places::FIELDS, "close", "Close without choosing"),
    // Within a text.
    row(Action::Edit(Edit::Left), "text.left", &[key!(left)], Places::TEXTS, "", "One character left"),
    row(Action::Edit(Edit::Right), "text.right", &[key!(right)], Places::TEXTS, "", "One character right"),
    row(Action::Edit(Edit::Up), "prompt.up", &[key!(up)], PROMPT, "", "One line up"),
    row(Action::Edit(Edit::Down), "prompt.down", &[key!(down)], PROMPT, "", "One line down; from the last line to the tokens"),
    row(Action::Edit(Edit::WordLeft), "text.word-left", &[key!(ctrl - left), key!(alt - b)], Places::TEXTS, "", "One word left"),
    row(Action::Edit(Edit::WordRight), "text.word-right", &[key!(ctrl - right), key!(alt - f)], Places::TEXTS, "", "One word right"),
    row(Action::Edit(Edit::Home), "text.home", &[key!(home), key!(ctrl - a)], Places::TEXTS, "", "To the start of the line"),
    row(Action::Edit(Edit::End), "text.end", &[key!(end), key!(ctrl - e)], Places::TEXTS, "", "To the end of the line"),
    row(Action::Edit(Edit::Top), "prompt.top", &[key!(ctrl - home), key!(pageup)], PROMPT, "", "To the start of the prompt"),
    row(Action::Edit(Edit::Bottom), "prompt.bottom", &[key!(ctrl - end), key!(pagedown)], PROMPT, "", "To the end of the prompt"),
    row(Action::Edit(Edit::Backspace), "text.backspace", &[key!(backspace), key!(ctrl - h)], Places::TEXTS, "", "Delete the character before"),
    row(Action::Edit(Edit::Delete), "text.delete", &[key!(delete), key!(ctrl - d)], Places::TEXTS, "", "Delete the character after"),
    row(Action::Edit(Edit::DeleteWord), "text.delete-word", &[key!(ctrl - w), key!(alt - backspace)], Places::TEXTS, "", "Delete the word before"),
    row(Action::Edit(Edit::DeleteToEnd), "prompt.delete-to-end", &[key!(ctrl - k)], PROMPT, "", "Delete to the end of the line"),
    // Always.
    row(Action::Palette, "palette.open", &[key!(ctrl - p)], Places::MAIN, "commands", "Every command, with its key"),
    row(Action::Help, "help", &[key!('?'), key!(f1)], Places::of(&[Place::Tokens, Place::Latents, Place::Card, Place::Suites, Place::Confirm]), "help", "Help for what is focused"),
    row(Action::Help, "help.in-text", &[key!(f1)], Places::TEXTS, "help", "Help for what is focused"),
    row(Action::Quit, "quit", &[key!(q)], Places::PANES, "quit", "Quit"),
    row(Action::Interrupt, "interrupt", &[key!(ctrl - c)], Places::ALL, "", "Cancel what is running; quit when nothing is"),
    row(Action::Suspend, "suspend", &[key!(ctrl - z)], Places::ALL, "", "To the shell; `fg` comes back"),
    row(Action::Repaint, "repaint", &[key!(ctrl - l)], Places::ALL, "", "Draw everything anew"),
];
