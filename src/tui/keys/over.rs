//! The rows of the key table for what lies over the panes, for text, and for everywhere, in the order in which footer and
//! help show them. Not here: the keys of panes (`panes`), and looking keys up.

use crokey::key;

use super::row;
use super::{Action, Binding, Edit, Place, Places};

const PROMPT: Places = Places::of(&[Place::Prompt]);
const SEARCH: Places = Places::of(&[Place::Search]);
const PALETTE: Places = Places::of(&[Place::Palette]);
const SUITES: Places = Places::of(&[Place::Suites]);
const CONFIRM: Places = Places::of(&[Place::Confirm]);
const READING: Places = Places::of(&[Place::Reading]);
const SCROLLED: Places = Places::of(&[Place::Suites, Place::Reading]);
const PICK: Places = Places::of(&[Place::Pick]);
const NAMED: Places = Places::of(&[Place::Named]);
const FILTER: Places = Places::of(&[Place::Filter]);
const PATH: Places = Places::of(&[Place::Path]);

/// Keys over the panes, within a text, and everywhere.
pub const OVER: &[Binding] = &[
    // Lists over the panes.
    row(Action::Up, "list.up", &[key!(up), key!(k)], SCROLLED, "", "Up"),
    row(Action::Down, "list.down", &[key!(down), key!(j)], SCROLLED, "move", "Down"),
    row(Action::Up, "field.up", &[key!(up), key!(ctrl - k)], Places::FIELDS, "", "Up the list"),
    row(Action::Down, "field.down", &[key!(down), key!(ctrl - j)], Places::FIELDS, "choose", "Down the list"),
    row(Action::PageUp, "field.page-up", &[key!(pageup)], Places::FIELDS, "", "One page up the list"),
    row(Action::PageDown, "field.page-down", &[key!(pagedown)], Places::FIELDS, "", "One page down the list"),
    row(Action::Accept, "search.jump", &[key!(enter)], SEARCH, "go to it", "Go to the latent"),
    row(Action::Accept, "pick.take", &[key!(enter)], PICK, "take it", "Take the meta-latent"),
    row(Action::Accept, "named.take", &[key!(enter)], NAMED, "do it", "Compare these tokens"),
    row(Action::Close, "named.close", &[key!(esc)], NAMED, "close", "Close without changing anything"),
    row(Action::Accept, "palette.do", &[key!(enter)], PALETTE, "do it", "Do the chosen command"),
    row(
        Action::Accept,
        "suites.choose",
        &[key!(enter), key!(space)],
        SUITES,
        "open or download",
        "Open the suite, or ask to download it",
    ),
    row(Action::Accept, "question.yes", &[key!(enter), key!(y)], CONFIRM, "yes", "Yes"),
    row(Action::Close, "question.no", &[key!(esc), key!(n), key!(q)], CONFIRM, "no", "No"),
    row(
        Action::Close,
        "reading.close",
        &[key!(esc), key!(q), key!(enter), key!('?'), key!(f1)],
        READING,
        "close",
        "Close",
    ),
    row(Action::Close, "suites.close", &[key!(esc), key!(q)], SUITES, "close", "Close the list; a download goes on"),
    row(
        Action::Accept,
        "filter.keep",
        &[key!(enter), key!(down)],
        FILTER,
        "keep",
        "Keep the filter and go to the queue",
    ),
    row(Action::Close, "filter.drop", &[key!(esc)], FILTER, "no filter", "Drop the filter"),
    row(Action::Accept, "path.take", &[key!(enter)], PATH, "do it", "Take this path"),
    row(Action::Close, "path.close", &[key!(esc)], PATH, "close", "Close without doing anything"),
    row(Action::Close, "field.close", &[key!(esc)], Places::FIELDS, "close", "Close without choosing"),
    // Within a text.
    row(Action::Edit(Edit::Left), "text.left", &[key!(left)], Places::TEXTS, "", "One character left"),
    row(Action::Edit(Edit::Right), "text.right", &[key!(right)], Places::TEXTS, "", "One character right"),
    row(Action::Edit(Edit::Up), "prompt.up", &[key!(up)], PROMPT, "", "One line up"),
    row(
        Action::Edit(Edit::Down),
        "prompt.down",
        &[key!(down)],
        PROMPT,
        "",
        "One line down; from the last line to the tokens",
    ),
    row(
        Action::Edit(Edit::WordLeft),
        "text.word-left",
        &[key!(ctrl - left), key!(alt - b)],
        Places::TEXTS,
        "",
        "One word left",
    ),
    row(
        Action::Edit(Edit::WordRight),
        "text.word-right",
        &[key!(ctrl - right), key!(alt - f)],
        Places::TEXTS,
        "",
        "One word right",
    ),
    row(
        Action::Edit(Edit::Home),
        "text.home",
        &[key!(home), key!(ctrl - a)],
        Places::TEXTS,
        "",
        "To the start of the line",
    ),
    row(Action::Edit(Edit::End), "text.end", &[key!(end), key!(ctrl - e)], Places::TEXTS, "", "To the end of the line"),
    row(
        Action::Edit(Edit::Top),
        "prompt.top",
        &[key!(ctrl - home), key!(pageup)],
        PROMPT,
        "",
        "To the start of the prompt",
    ),
    row(
        Action::Edit(Edit::Bottom),
        "prompt.bottom",
        &[key!(ctrl - end), key!(pagedown)],
        PROMPT,
        "",
        "To the end of the prompt",
    ),
    row(
        Action::Edit(Edit::Backspace),
        "text.backspace",
        &[key!(backspace), key!(ctrl - h)],
        Places::TEXTS,
        "",
        "Delete the character before",
    ),
    row(
        Action::Edit(Edit::Delete),
        "text.delete",
        &[key!(delete), key!(ctrl - d)],
        Places::TEXTS,
        "",
        "Delete the character after",
    ),
    row(
        Action::Edit(Edit::DeleteWord),
        "text.delete-word",
        &[key!(ctrl - w), key!(alt - backspace)],
        Places::TEXTS,
        "",
        "Delete the word before",
    ),
    row(
        Action::Edit(Edit::DeleteToEnd),
        "prompt.delete-to-end",
        &[key!(ctrl - k)],
        PROMPT,
        "",
        "Delete to the end of the line",
    ),
    // Always.
    row(Action::SaveSvg, "screen.save", &[key!(f2)], Places::ALL, "", "Save what is on the screen as a picture (SVG)"),
    row(Action::Palette, "palette.open", &[key!(ctrl - p)], Places::MAIN, "commands", "Every command, with its key"),
    row(
        Action::Help,
        "help",
        &[key!('?'), key!(f1)],
        Places::PANES.and(Places::of(&[Place::Suites, Place::Confirm])),
        "help",
        "Help for what is focused",
    ),
    row(Action::Help, "help.in-text", &[key!(f1)], Places::TEXTS, "help", "Help for what is focused"),
    row(Action::Quit, "quit", &[key!(q)], Places::PANES, "quit", "Quit"),
    row(
        Action::Interrupt,
        "interrupt",
        &[key!(ctrl - c)],
        Places::ALL,
        "",
        "Cancel what is running; quit when nothing is",
    ),
    row(Action::Suspend, "suspend", &[key!(ctrl - z)], Places::ALL, "", "To the shell; `fg` comes back"),
    row(Action::Repaint, "repaint", &[key!(ctrl - l)], Places::ALL, "", "Draw everything anew"),
];
