//! What keys do to texts and lists that lie over the panes, and to the prompt's text.
//! Not here: drawing them.

use ratatui_textarea::{CursorMove, TextArea};
use tui_input::InputRequest;

use crate::analysis::LabelSource;
use crate::session::{LensPullQuery, WriteLabelQuery};
use crate::tui::app::{App, Focus, LatentRef};
use crate::tui::keys::{Action, Edit};
use crate::tui::msg::Effect;
use crate::tui::overlay::{Confirmation, Field, Overlay};
use crate::tui::palette::commands;
use crate::tui::update::{act as act_anywhere, always, meta, select, stitch, suites};

/// Does an action in what lies topmost.
pub(super) fn act(app: &mut App, action: Action, effects: &mut Vec<Effect>) -> bool {
    if let Some(done) = always(app, action, effects) {
        return done;
    }
    match action {
        Action::Close => close(app),
        Action::Help => app.overlay.push(Overlay::Help { about: app.place(), top: 0 }),
        Action::Accept => accept(app, effects),
        Action::Up => step(app, -1),
        Action::Down => step(app, 1),
        Action::PageUp => step(app, -page(app)),
        Action::PageDown => step(app, page(app)),
        Action::First => step(app, isize::MIN / 2),
        Action::Last => step(app, isize::MAX / 2),
        Action::Edit(edit) => edit_field(app, edit),
        Action::WeightsOnly => suites::open_weights(app, effects),
        _ => return false,
    }
    true
}

fn close(app: &mut App) {
    if matches!(app.overlay.pop(), Some(Overlay::Filter(_))) {
        app.stitch.queue.text.clear();
    }
}

fn page(app: &App) -> isize {
    isize::try_from(app.hits.over_rows.max(2) - 1).unwrap_or(1)
}

/// Rows of the topmost list.
fn list_len(app: &App) -> usize {
    match app.overlay.last() {
        Some(Overlay::Palette(field)) => commands(app.focus, field.input.value()).len(),
        Some(Overlay::Search(field)) if !field.input.value().is_empty() => {
            app.found.value().map_or(0, |found| found.hits.len())
        }
        Some(Overlay::Suites { .. }) => app.catalogue.value().map_or(0, |all| all.len()),
        Some(Overlay::Pick(field, _)) => meta::matching(app, field.input.value()).len(),
        _ => 0,
    }
}

fn step(app: &mut App, by: isize) {
    let last = list_len(app).saturating_sub(1);
    let lines = app.hits.over_lines.saturating_sub(app.hits.over_rows);
    match app.overlay.last_mut() {
        Some(Overlay::Help { top, .. } | Overlay::Error { top, .. } | Overlay::Wiring { top }) => {
            *top = top.saturating_add_signed(by).min(lines);
        }
        Some(Overlay::Palette(field) | Overlay::Search(field) | Overlay::Pick(field, _)) => {
            field.row = field.row.saturating_add_signed(by).min(last);
        }
        Some(Overlay::Suites { row }) => *row = row.saturating_add_signed(by).min(last),
        Some(Overlay::Filter(_) | Overlay::Path(..) | Overlay::Named(_) | Overlay::Label(..) | Overlay::Confirm(_))
        | None => {}
    }
}

/// Chooses a row of the topmost list; gives whether it was chosen already.
pub(super) fn choose_row(app: &mut App, to: usize) -> bool {
    let row = match app.overlay.last_mut() {
        Some(Overlay::Palette(field) | Overlay::Search(field) | Overlay::Pick(field, _)) => &mut field.row,
        Some(Overlay::Suites { row }) => row,
        _ => return false,
    };
    let same = *row == to;
    *row = to;
    same
}

/// Turns the wheel over the topmost list or text.
pub(super) fn wheel(app: &mut App, by: isize) {
    step(app, by);
}

pub(super) fn accept(app: &mut App, effects: &mut Vec<Effect>) {
    match app.overlay.last().cloned() {
        Some(Overlay::Palette(field)) => {
            app.overlay.pop();
            if let Some(command) = commands(app.focus, field.input.value()).get(field.row) {
                // Commands of the panes do nothing in the prompt, where letters are text.
                if app.focus == Focus::Prompt && command.action != Action::Focus(Focus::Prompt) {
                    app.look_at(Focus::Tokens);
                }
                act_anywhere(app, command.action, effects);
            }
        }
        Some(Overlay::Search(_)) => {
            if let Some(found) = app.found_latent() {
                app.overlay.pop();
                select::visit(app, &found);
                go_where_it_fires(app);
                app.look_at(Focus::Latents);
            }
        }
        Some(Overlay::Suites { row }) => {
            if let Some(entry) = app.catalogue.value().and_then(|all| all.get(row)).cloned() {
                suites::choose(app, &entry, effects);
            }
        }
        Some(Overlay::Confirm(question)) => {
            app.overlay.pop();
            match question.what {
                Confirmation::Pull(suite) => suites::pull(app, suite, effects),
                Confirmation::PullLens(offer) => {
                    effects.push(app.lens.pull.ask(LensPullQuery { offer }, (), &mut app.tickets));
                }
                Confirmation::Train(recipe) => meta::train(app, recipe, effects),
            }
        }
        Some(Overlay::Filter(_)) => {
            app.overlay.pop();
            app.look_at(Focus::Queue);
        }
        Some(Overlay::Path(field, what)) => {
            app.overlay.pop();
            stitch::take_path(app, field.input.value(), what, effects);
        }
        Some(Overlay::Pick(field, what)) => {
            if let Some(meta_latent) = meta::matching(app, field.input.value()).get(field.row).copied() {
                app.overlay.pop();
                meta::picked(app, meta_latent, what);
            }
        }
        Some(Overlay::Named(field)) => {
            app.overlay.pop();
            meta::take_names(app, field.input.value());
        }
        Some(Overlay::Label(field, of)) => {
            app.overlay.pop();
            write_label(app, of, field.input.value(), effects);
        }
        Some(Overlay::Help { .. } | Overlay::Error { .. } | Overlay::Wiring { .. }) => drop(app.overlay.pop()),
        None => {}
    }
}

/// What stands behind a bar is a note; an empty text takes the label away.
fn write_label(app: &mut App, LatentRef { sae, latent }: LatentRef, typed: &str, effects: &mut Vec<Effect>) {
    let (text, note) = typed.rsplit_once('|').unwrap_or((typed, ""));
    let query = WriteLabelQuery { sae, latent, text: text.trim().to_owned(), note: note.trim().to_owned() };
    effects.push(app.labels.write.ask(query, (), &mut app.tickets));
}

/// The field in which the chosen latent's label is written, with what is there.
pub(super) fn ask_label(app: &mut App) {
    let Some(chosen) = app.chosen() else { return };
    let own = app.labels.get(&chosen).iter().find(|label| label.source == LabelSource::File);
    let typed = own.map_or_else(String::new, |label| {
        // A bar within the text would begin the note.
        let bare = label.note.is_empty() && !label.text.contains('|');
        let note = if bare { String::new() } else { format!(" | {}", label.note) };
        format!("{}{note}", label.text)
    });
    app.overlay.push(Overlay::Label(Field { input: typed.into(), row: 0 }, chosen));
}

/// A latent that was searched is wanted where it fires: at the token itself, or where it is strongest.
fn go_where_it_fires(app: &mut App) {
    let Some(chosen) = app.chosen() else { return };
    let heat = app.heat(&chosen);
    if heat.get(app.token).is_some_and(|v| *v > 0.0) {
        return;
    }
    let strongest = heat.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    if let Some((position, value)) = strongest
        && *value > 0.0
    {
        select::choose_token(app, position);
    }
}

/// Text from the clipboard: text, wherever it lands, never commands.
pub(super) fn paste(app: &mut App, text: &str) -> bool {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if !app.overlay.is_empty() {
        let Some(field) = app.overlay.last_mut().and_then(Overlay::field_mut) else { return false };
        field.insert(text.lines().next().unwrap_or_default());
        take_filter(app);
        return true;
    }
    app.look_at(Focus::Prompt);
    app.editor.insert_str(&text);
    true
}

/// What was typed: characters without a line break.
pub(super) fn insert(app: &mut App, text: &str) {
    if app.overlay.is_empty() {
        app.editor.insert_str(text);
    } else if let Some(field) = app.overlay.last_mut().and_then(Overlay::field_mut) {
        field.insert(text);
        take_filter(app);
    }
}

/// The queue follows its filter while it is typed.
fn take_filter(app: &mut App) {
    if let Some(Overlay::Filter(field)) = app.overlay.last() {
        field.input.value().clone_into(&mut app.stitch.queue.text);
    }
}

fn edit_field(app: &mut App, edit: Edit) {
    let Some(field) = app.overlay.last_mut().and_then(Overlay::field_mut) else { return };
    let request = match edit {
        Edit::Left => InputRequest::GoToPrevChar,
        Edit::Right => InputRequest::GoToNextChar,
        Edit::WordLeft => InputRequest::GoToPrevWord,
        Edit::WordRight => InputRequest::GoToNextWord,
        Edit::Home => InputRequest::GoToStart,
        Edit::End => InputRequest::GoToEnd,
        Edit::Backspace => InputRequest::DeletePrevChar,
        Edit::Delete => InputRequest::DeleteNextChar,
        Edit::DeleteWord => InputRequest::DeletePrevWord,
        Edit::DeleteToStart => InputRequest::DeleteFromStart,
        Edit::DeleteToEnd => InputRequest::DeleteTillEnd,
        _ => return,
    };
    if field.input.handle(request).is_some_and(|changed| changed.value) {
        field.row = 0;
    }
    take_filter(app);
}

/// A change or move in the prompt.
pub(super) fn edit_area(editor: &mut TextArea<'static>, edit: Edit) {
    match edit {
        Edit::Left => editor.move_cursor(CursorMove::Back),
        Edit::Right => editor.move_cursor(CursorMove::Forward),
        Edit::Up => editor.move_cursor(CursorMove::Up),
        Edit::Down => editor.move_cursor(CursorMove::Down),
        Edit::WordLeft => editor.move_cursor(CursorMove::WordBack),
        Edit::WordRight => editor.move_cursor(CursorMove::WordForward),
        Edit::Home => editor.move_cursor(CursorMove::Head),
        Edit::End => editor.move_cursor(CursorMove::End),
        Edit::Top => {
            editor.move_cursor(CursorMove::Top);
            editor.move_cursor(CursorMove::Head);
        }
        Edit::Bottom => {
            editor.move_cursor(CursorMove::Bottom);
            editor.move_cursor(CursorMove::End);
        }
        Edit::Backspace => drop(editor.delete_char()),
        Edit::Delete => drop(editor.delete_next_char()),
        Edit::DeleteWord => drop(editor.delete_word()),
        Edit::DeleteToStart => drop(editor.delete_line_by_head()),
        Edit::DeleteToEnd => drop(editor.delete_line_by_end()),
        Edit::NewLine => editor.insert_newline(),
        Edit::Undo => drop(editor.undo()),
        Edit::Redo => drop(editor.redo()),
    }
}
