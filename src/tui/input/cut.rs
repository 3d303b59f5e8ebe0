//! What a terminal sends, cut into pieces: characters, whole sequences, pasted text, however the bytes arrive.
//! Not here: which key or click a piece is (`decode`), reading bytes (`input`).
//!
//! Keys and the terminal's answers to questions (also those of other programs) come on one line. An answer may come late
//! and in parts, so its end is waited for, and nothing in it is taken for a key: control sequences (`ESC [`, ECMA-48
//! 5.4) end with a byte from `@` to `~`; strings (`ESC ]`, `ESC P`, `ESC X`, `ESC ^`, `ESC _`) end with ST, with its one
//! byte, or with BEL, as xterm has it. A control such as ^C or Enter is in no answer: it ends what was begun and counts.

use std::time::Duration;

/// How long the rest of something begun may take, counted from its last byte: longer than a network that lost a packet.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a paste may pause; what has arrived by then is the paste.
const PASTE_PAUSE: Duration = Duration::from_secs(5);
/// Largest paste that is kept, bytes: a thousand pages, and more than any prompt may have.
pub const LARGEST_PASTE: usize = 4 << 20;
/// Longest sequence that is looked into, bytes; keys, clicks and colours have less than 40.
const LONGEST: usize = 64;

const BEL: u8 = 0x07;
const ESC: u8 = 0x1b;
const INTERRUPT: u8 = 0x03;
const PASTE_END: &[u8] = b"\x1b[201~";

/// One piece of what a terminal sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A character, also a control such as Enter (`\r`) or a lone Esc (`\x1b`); with Alt where an Esc came before it.
    Char {
        /// The character.
        c: char,
        /// Whether Alt was held.
        alt: bool,
    },
    /// A control sequence: what is behind `ESC [`, its last byte included.
    Csi(Vec<u8>),
    /// The byte behind `ESC O`.
    Ss3(u8),
    /// The three bytes of a click in X10's coding.
    Click([u8; 3]),
    /// What the terminal says behind `ESC ]`, as far as it is short: a colour, a title.
    Osc(Vec<u8>),
    /// Pasted text.
    Paste(String),
    /// A paste larger than [`LARGEST_PASTE`], of which nothing is kept.
    HugePaste,
    /// A paste whose end did not come before ^C, of which nothing is kept.
    LeftPaste,
}

/// What the bytes so far have begun.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Ground,
    /// An Esc; whether another was before it does not matter.
    Esc,
    /// A lone Esc was given out, for nothing followed in time.
    Late,
    Csi(Vec<u8>),
    Ss3,
    Click(Vec<u8>),
    /// The F keys of the Linux console: `ESC [ [ A`.
    Console,
    /// A string of this introducer.
    Text {
        introducer: u8,
        /// The beginning of what it says.
        content: Vec<u8>,
        /// Continuation bytes that UTF-8 still wants: they are not ST, though they may look like it.
        more: u8,
        /// Whether the last byte was U+0080 to U+00BF's first, whose second may be ST.
        c2: bool,
        /// Whether the last byte was an Esc.
        esc: bool,
    },
    Paste {
        text: Vec<u8>,
        huge: bool,
    },
}

/// Cuts bytes into pieces. It keeps what is begun between two readings.
#[derive(Clone, Debug)]
pub struct Cutter {
    state: State,
    /// The beginning of a character in UTF-8, and whether Alt is held with it.
    utf8: Vec<u8>,
    alt: bool,
    escape: Duration,
}

impl Cutter {
    /// A cutter that takes an Esc for a key when nothing follows it for so long.
    #[must_use]
    pub const fn new(escape: Duration) -> Self {
        Self { state: State::Ground, utf8: Vec::new(), alt: false, escape }
    }

    /// How long to wait for more before [`Self::quiet`] must be called; for ever where nothing is begun.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self.state {
            State::Ground | State::Late => None,
            State::Esc => Some(self.escape),
            State::Paste { .. } => Some(PASTE_PAUSE),
            _ => Some(PATIENCE),
        }
    }

    /// Nothing came for as long as [`Self::wait`] said: a lone Esc is a key, a paste is whole, anything else is given up.
    pub fn quiet(&mut self) -> Option<Piece> {
        match std::mem::replace(&mut self.state, State::Ground) {
            State::Esc => {
                self.state = State::Late;
                Some(char_of('\x1b', false))
            }
            State::Paste { text, huge } => Some(pasted(&text, huge)),
            // Alt with one of these keys, which begins the same.
            State::Csi(bytes) if bytes.is_empty() => Some(char_of('[', true)),
            State::Ss3 => Some(char_of('O', true)),
            State::Text { introducer, content, esc: false, .. } if content.is_empty() => {
                Some(char_of(introducer.into(), true))
            }
            _ => None,
        }
    }

    /// Takes what one reading gave, and adds the pieces that it makes whole.
    pub fn feed(&mut self, bytes: &[u8], to: &mut Vec<Piece>) {
        if matches!(self.state, State::Paste { .. }) && bytes == [INTERRUPT] {
            // Its end never came, and the person wants to get out of it: by itself, this is a key and no text.
            self.state = State::Ground;
            to.push(Piece::LeftPaste);
            return;
        }
        if self.state == State::Late {
            self.state = if is_answer_without_esc(bytes) { State::Esc } else { State::Ground };
        }
        for &byte in bytes {
            self.take(byte, to);
        }
    }

    fn take(&mut self, byte: u8, to: &mut Vec<Piece>) {
        match &mut self.state {
            State::Ground | State::Late => self.ground(byte, false, to),
            State::Esc => self.after_esc(byte, to),
            State::Csi(_) => self.in_csi(byte, to),
            State::Ss3 => {
                self.state = State::Ground;
                if (0x20..0x7f).contains(&byte) { to.push(Piece::Ss3(byte)) } else { self.ground(byte, false, to) }
            }
            State::Console => {
                self.state = State::Ground;
                if byte.is_ascii_uppercase() {
                    to.push(Piece::Csi(vec![b'[', byte]));
                } else {
                    self.ground(byte, false, to);
                }
            }
            State::Click(bytes) => {
                bytes.push(byte);
                if let [button, column, row] = bytes[..] {
                    self.state = State::Ground;
                    to.push(Piece::Click([button, column, row]));
                }
            }
            State::Text { .. } => self.in_text(byte, to),
            State::Paste { text, huge } => {
                text.push(byte);
                if text.ends_with(PASTE_END) {
                    text.truncate(text.len() - PASTE_END.len());
                    to.push(pasted(text, *huge));
                    self.state = State::Ground;
                } else if text.len() > LARGEST_PASTE {
                    // Its end is still looked for, and may be half there.
                    text.drain(..text.len() - PASTE_END.len());
                    *huge = true;
                }
            }
        }
    }

    /// A byte that belongs to nothing begun, but for a character in UTF-8.
    fn ground(&mut self, byte: u8, alt: bool, to: &mut Vec<Piece>) {
        self.state = State::Ground;
        if byte & 0xc0 == 0x80 && !self.utf8.is_empty() {
            self.utf8.push(byte);
            self.character(to);
            return;
        }
        self.utf8.clear();
        match byte {
            ESC => self.state = State::Esc,
            0..0x80 => to.push(char_of(byte.into(), alt)),
            0x80..0xa0 => self.control(byte, to),
            0xc2..0xf5 => {
                self.utf8.push(byte);
                self.alt = alt;
            }
            _ => {}
        }
    }

    /// Gives out the character in UTF-8 when it is whole, and drops what cannot become one.
    fn character(&mut self, to: &mut Vec<Piece>) {
        match std::str::from_utf8(&self.utf8).map(|text| text.chars().next()) {
            Ok(Some(c @ '\u{80}'..'\u{a0}')) => {
                self.utf8.clear();
                self.control(c as u8, to);
            }
            Ok(Some(c)) => {
                self.utf8.clear();
                to.push(char_of(c, self.alt));
            }
            Err(error) if error.error_len().is_none() => {}
            _ => self.utf8.clear(),
        }
    }

    /// A control of one byte: the introducers are `ESC` and a byte 64 lower, others are not keys.
    fn control(&mut self, byte: u8, to: &mut Vec<Piece>) {
        if matches!(byte, 0x8f | 0x90 | 0x98 | 0x9b | 0x9d | 0x9e | 0x9f) {
            self.after_esc(byte - 0x40, to);
        }
    }

    fn after_esc(&mut self, byte: u8, to: &mut Vec<Piece>) {
        self.state = match byte {
            b'[' => State::Csi(Vec::new()),
            b'O' => State::Ss3,
            b']' | b'P' | b'X' | b'^' | b'_' => {
                State::Text { introducer: byte, content: Vec::new(), more: 0, c2: false, esc: false }
            }
            ESC => {
                to.push(char_of('\x1b', false));
                State::Esc
            }
            _ => return self.ground(byte, true, to),
        };
    }

    fn in_csi(&mut self, byte: u8, to: &mut Vec<Piece>) {
        let State::Csi(bytes) = &mut self.state else { return };
        match byte {
            0x20..0x40 => {
                if bytes.len() < LONGEST {
                    bytes.push(byte);
                }
            }
            b'M' if bytes.is_empty() => self.state = State::Click(Vec::new()),
            b'[' if bytes.is_empty() => self.state = State::Console,
            b'~' if bytes.as_slice() == b"200" => self.state = State::Paste { text: Vec::new(), huge: false },
            0x40..0x7f => {
                let mut whole = std::mem::take(bytes);
                self.state = State::Ground;
                if whole.len() < LONGEST {
                    whole.push(byte);
                    to.push(Piece::Csi(whole));
                }
            }
            // No answer has such a byte: what was begun is over.
            _ => self.ground(byte, false, to),
        }
    }

    fn in_text(&mut self, byte: u8, to: &mut Vec<Piece>) {
        let State::Text { introducer, content, more, c2, esc } = &mut self.state else { return };
        if *esc {
            if byte == b'\\' {
                self.end_text(to);
            } else {
                // Not its end, but the beginning of something else.
                self.after_esc(byte, to);
            }
            return;
        }
        let was_c2 = std::mem::take(c2);
        match byte {
            ESC => *esc = true,
            BEL => self.end_text(to),
            0..0x20 | 0x7f => self.ground(byte, false, to),
            0x9c if was_c2 || *more == 0 => {
                if was_c2 {
                    content.pop();
                }
                self.end_text(to);
            }
            _ if content.is_empty() && !begins_answer(*introducer, byte) => {
                // Alt and a key that begins the same, and then another key.
                to.push(char_of((*introducer).into(), true));
                self.ground(byte, false, to);
            }
            _ => {
                if content.len() < LONGEST {
                    content.push(byte);
                }
                *c2 = byte == 0xc2;
                *more = match byte {
                    0x80..0xc0 => more.saturating_sub(1),
                    0xc2..0xe0 => 1,
                    0xe0..0xf0 => 2,
                    0xf0..0xf5 => 3,
                    _ => 0,
                };
            }
        }
    }

    /// A string is whole: only of OSC is anything of use.
    fn end_text(&mut self, to: &mut Vec<Piece>) {
        if let State::Text { introducer: b']', content, .. } = std::mem::replace(&mut self.state, State::Ground)
            && content.len() < LONGEST
        {
            to.push(Piece::Osc(content));
        }
    }
}

const fn char_of(c: char, alt: bool) -> Piece {
    Piece::Char { c, alt }
}

fn pasted(text: &[u8], huge: bool) -> Piece {
    if huge { Piece::HugePaste } else { Piece::Paste(String::from_utf8_lossy(text).into_owned()) }
}

/// Whether what a terminal answers in a string of this introducer can begin with this byte. OSC: a number, or the letter
/// of a title. DCS: a number, or the mark of a private one. The others are answered by few, with anything.
const fn begins_answer(introducer: u8, byte: u8) -> bool {
    match introducer {
        b']' => matches!(byte, b'0'..=b'9' | b'l' | b'L' | b'I'),
        b'P' => matches!(byte, b'0'..=b'9' | b'!' | b'$' | b'+' | b':'..=b'?' | b'|'),
        _ => true,
    }
}

/// Whether this is an answer whose Esc came so long before it that it was taken for a key: nobody types all of it within
/// one reading.
fn is_answer_without_esc(bytes: &[u8]) -> bool {
    match bytes {
        [b'[', mark, rest @ ..] => {
            let end = rest.iter().position(|byte| !(0x20..0x40).contains(byte));
            let private = matches!(mark, b'?' | b'>' | b'=' | b'<');
            let number =
                mark.is_ascii_digit() && rest.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b';');
            (private || number) && end.is_some_and(|end| end > 0 && (0x40..0x7f).contains(&rest[end]))
        }
        [introducer @ (b']' | b'P' | b'X' | b'^' | b'_'), rest @ ..] => {
            let end = rest.windows(2).any(|two| two == b"\x1b\\") || rest.contains(&BEL) || rest.contains(&0x9c);
            rest.first().is_some_and(|first| begins_answer(*introducer, *first)) && end
        }
        _ => false,
    }
}
