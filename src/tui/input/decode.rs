//! Which key, click or paste a piece of the terminal's bytes is.
//! Not here: cutting the bytes (`cut`), what keys do (`keys`).
//!
//! Keys are those of xterm and its kin, the Linux console, rxvt and the kitty protocol, as the crossterm library reads
//! them. What is none of these is an answer to somebody's question, and nothing.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::cut::Piece;

/// What a piece is; none where it is an answer of the terminal.
#[must_use]
pub fn event(piece: Piece) -> Option<Event> {
    match piece {
        Piece::Char { c, alt } => {
            let (code, modifiers) = typed(c);
            let alt = if alt { KeyModifiers::ALT } else { KeyModifiers::NONE };
            Some(key(code, modifiers | alt))
        }
        Piece::Csi(bytes) => control_sequence(std::str::from_utf8(&bytes).ok()?),
        Piece::Ss3(byte) => Some(key(of_letter(byte)?, KeyModifiers::NONE)),
        Piece::Click([button, column, row]) => {
            click(button.checked_sub(32)?, column.saturating_sub(32).into(), row.saturating_sub(32).into(), false)
        }
        Piece::Paste(text) => Some(Event::Paste(text)),
        Piece::Osc(_) | Piece::HugePaste | Piece::LeftPaste => None,
    }
}

const fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

/// The key that sends a character, as terminals do since the VT100.
fn typed(c: char) -> (KeyCode, KeyModifiers) {
    let control = |c: u8| (KeyCode::Char(c.into()), KeyModifiers::CONTROL);
    match c {
        '\x1b' => (KeyCode::Esc, KeyModifiers::NONE),
        '\r' => (KeyCode::Enter, KeyModifiers::NONE),
        '\t' => (KeyCode::Tab, KeyModifiers::NONE),
        '\x7f' => (KeyCode::Backspace, KeyModifiers::NONE),
        '\0' => control(b' '),
        '\x01'..='\x1a' => control(c as u8 - 1 + b'a'),
        '\x1c'..='\x1f' => control(c as u8 - 0x1c + b'4'),
        _ if c.is_uppercase() => (KeyCode::Char(c), KeyModifiers::SHIFT),
        _ => (KeyCode::Char(c), KeyModifiers::NONE),
    }
}

/// The key of a letter that ends a sequence.
const fn of_letter(letter: u8) -> Option<KeyCode> {
    Some(match letter {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'P' => KeyCode::F(1),
        b'Q' => KeyCode::F(2),
        b'R' => KeyCode::F(3),
        b'S' => KeyCode::F(4),
        _ => return None,
    })
}

/// The key of a number that ends in `~`.
const fn of_number(number: u32) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        11..=15 => KeyCode::F(number as u8 - 10),
        17..=21 => KeyCode::F(number as u8 - 11),
        23..=26 => KeyCode::F(number as u8 - 12),
        28..=29 => KeyCode::F(number as u8 - 15),
        31..=34 => KeyCode::F(number as u8 - 17),
        _ => return None,
    })
}

fn control_sequence(text: &str) -> Option<Event> {
    let (last, parameters) = (text.as_bytes().last().copied()?, &text[..text.len() - 1]);
    if let Some(click) = parameters.strip_prefix('<') {
        return coded_click(click, last);
    }
    if let Some("") = parameters.strip_prefix('[') {
        // The Linux console's.
        return matches!(last, b'A'..=b'E').then(|| key(KeyCode::F(last - b'A' + 1), KeyModifiers::NONE));
    }
    if !parameters.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')) {
        return None;
    }
    let mut fields = parameters.split(';');
    let (first, second, third) = (fields.next().unwrap_or_default(), fields.next(), fields.next());
    let held = second.map_or(Some(Held::NONE), Held::parse)?;
    match last {
        b'~' if first == "27" => coded(third?, held),
        b'~' => held.key(of_number(number(first)?)?),
        b'u' => coded(first, held),
        b'M' => click(u8::try_from(number(first)?).ok()?.checked_sub(32)?, place(second)?, place(third)?, false),
        b'Z' => Some(key(KeyCode::BackTab, KeyModifiers::SHIFT)),
        b'I' if parameters.is_empty() => Some(Event::FocusGained),
        b'O' if parameters.is_empty() => Some(Event::FocusLost),
        // Where the cursor is: F3 with Shift, of some terminals, looks the same.
        b'R' => None,
        // rxvt writes the modifiers, or their absence, as the only number.
        _ if second.is_none() && !first.is_empty() => Held::parse(first)?.key(of_letter(last)?),
        _ => held.key(of_letter(last)?),
    }
}

/// What is held while a key is pressed, and what is done with the key.
#[derive(Clone, Copy)]
struct Held {
    modifiers: KeyModifiers,
    kind: KeyEventKind,
}

impl Held {
    const NONE: Self = Self { modifiers: KeyModifiers::NONE, kind: KeyEventKind::Press };

    /// One more than a set of bits, as xterm has it; behind a colon what is done, as kitty has it.
    fn parse(text: &str) -> Option<Self> {
        let (mask, kind) = text.split_once(':').unwrap_or((text, "1"));
        let bits = if mask.is_empty() { 0 } else { number(mask)?.saturating_sub(1) };
        let all = [
            (1, KeyModifiers::SHIFT),
            (2, KeyModifiers::ALT),
            (4, KeyModifiers::CONTROL),
            (8, KeyModifiers::SUPER),
            (16, KeyModifiers::HYPER),
            (32, KeyModifiers::META),
        ];
        let modifiers = all.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, modifier)| *modifier).collect();
        let kind = match kind {
            "2" => KeyEventKind::Repeat,
            "3" => KeyEventKind::Release,
            _ => KeyEventKind::Press,
        };
        Some(Self { modifiers, kind })
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends a chain of what may be no key")]
    const fn key(self, code: KeyCode) -> Option<Event> {
        Some(Event::Key(KeyEvent::new_with_kind(code, self.modifiers, self.kind)))
    }
}

/// A key by its Unicode number: kitty's way, and xterm's for keys that have no bytes of their own.
fn coded(text: &str, held: Held) -> Option<Event> {
    let mut codes = text.split(':');
    let code = number(codes.next()?)?;
    let shifted = codes.next().and_then(number).and_then(char::from_u32);
    let Held { mut modifiers, kind } = held;
    let code = match code {
        // Keys without a character, in kitty's private numbers: the further F keys and the number pad.
        57376..=57398 => KeyCode::F((code - 57376) as u8 + 13),
        57399..=57408 => KeyCode::Char(char::from_digit(code - 57399, 10)?),
        57409..=57413 => KeyCode::Char(['.', '/', '*', '-', '+'][code as usize - 57409]),
        13 | 57414 => KeyCode::Enter,
        57415 => KeyCode::Char('='),
        57416 => KeyCode::Char(','),
        57417 => KeyCode::Left,
        57418 => KeyCode::Right,
        57419 => KeyCode::Up,
        57420 => KeyCode::Down,
        57421 => KeyCode::PageUp,
        57422 => KeyCode::PageDown,
        57423 => KeyCode::Home,
        57424 => KeyCode::End,
        57425 => KeyCode::Insert,
        57426 => KeyCode::Delete,
        // Shift alone, music and the like: no keys of ours.
        57344..=63743 => return None,
        9 if modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
        9 => KeyCode::Tab,
        27 => KeyCode::Esc,
        127 => KeyCode::Backspace,
        _ => KeyCode::Char(char::from_u32(code)?),
    };
    let code = match shifted {
        Some(c) if modifiers.contains(KeyModifiers::SHIFT) => {
            modifiers -= KeyModifiers::SHIFT;
            KeyCode::Char(c)
        }
        _ => code,
    };
    Held { modifiers, kind }.key(code)
}

/// A click in SGR's coding: numbers, and whether the button went down by the last letter.
fn coded_click(text: &str, last: u8) -> Option<Event> {
    let mut fields = text.split(';');
    let button = u8::try_from(number(fields.next()?)?).ok()?;
    let (column, row) = (place(fields.next())?, place(fields.next())?);
    matches!(last, b'M' | b'm').then(|| click(button, column, row, last == b'm')).flatten()
}

/// What the mouse did, by xterm's bits: two of the button, Shift, Alt, Control, motion, two more of the button; where, from
/// 1.
fn click(bits: u8, column: u16, row: u16, up: bool) -> Option<Event> {
    let button = (bits & 3) | ((bits & 0xc0) >> 4);
    let kind = match (button, bits & 32 != 0) {
        (0, false) if up => MouseEventKind::Up(MouseButton::Left),
        (1, false) if up => MouseEventKind::Up(MouseButton::Middle),
        (2, false) if up => MouseEventKind::Up(MouseButton::Right),
        (0, false) => MouseEventKind::Down(MouseButton::Left),
        (1, false) => MouseEventKind::Down(MouseButton::Middle),
        (2, false) => MouseEventKind::Down(MouseButton::Right),
        (0, true) => MouseEventKind::Drag(MouseButton::Left),
        (1, true) => MouseEventKind::Drag(MouseButton::Middle),
        (2, true) => MouseEventKind::Drag(MouseButton::Right),
        (3, false) => MouseEventKind::Up(MouseButton::Left),
        (3..=5, true) => MouseEventKind::Moved,
        (4, false) => MouseEventKind::ScrollUp,
        (5, false) => MouseEventKind::ScrollDown,
        (6, false) => MouseEventKind::ScrollLeft,
        (7, false) => MouseEventKind::ScrollRight,
        _ => return None,
    };
    let all = [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)];
    let modifiers = all.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, modifier)| *modifier).collect();
    Some(Event::Mouse(MouseEvent { kind, column: column.checked_sub(1)?, row: row.checked_sub(1)?, modifiers }))
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

fn place(text: Option<&str>) -> Option<u16> {
    text?.parse().ok()
}
