//! Bytes of terminals against the keys they are, whole and in parts, among the answers of terminals.
//! Not here: reading them from a terminal (`tests/`).

use std::time::Duration;

use crokey::key;
use proptest::prelude::*;

use super::cut::{Cutter, LARGEST_PASTE, Piece};
use super::*;

const ESCAPE: Duration = Duration::from_millis(40);

/// What the explorer is reported of bytes that arrive in these parts, with silence at the end where one is wanted.
fn told<'a>(parts: impl IntoIterator<Item = &'a [u8]>, silence: bool) -> Vec<String> {
    let (mut cutter, mut pieces) = (Cutter::new(ESCAPE), Vec::new());
    for part in parts {
        cutter.feed(part, &mut pieces);
    }
    if silence {
        pieces.extend(cutter.quiet());
    }
    words(pieces)
}

fn words(pieces: Vec<Piece>) -> Vec<String> {
    pieces.into_iter().filter_map(of_piece).map(|msg| word(&msg)).collect()
}

fn word(msg: &Msg) -> String {
    match msg {
        Msg::Key(pressed) => pressed.to_string(),
        Msg::Paste(text) => format!("paste {text}"),
        Msg::Mouse(Mouse { did, column, row }) => format!("{did:?} {column} {row}"),
        other => format!("{other:?}"),
    }
}

/// Keys, pastes and clicks as terminals send them, and what they are.
const KEYS: &[(&str, &str)] = &[
    ("a", "a"),
    ("A", "Shift-a"),
    ("é", "é"),
    ("É", "Shift-É"),
    ("漢", "漢"),
    ("🤦", "🤦"),
    ("]", "]"),
    (" ", "Space"),
    ("\r", "Enter"),
    ("\n", "Ctrl-j"),
    ("\t", "Tab"),
    ("\x7f", "Backspace"),
    ("\x08", "Ctrl-h"),
    ("\x03", "Ctrl-c"),
    ("\x1a", "Ctrl-z"),
    ("\x1c", "Ctrl-4"),
    ("\0", "Ctrl-Space"),
    ("\x1bb", "Alt-b"),
    ("\x1bB", "Alt-Shift-b"),
    ("\x1b\x7f", "Alt-Backspace"),
    ("\x1b\r", "Alt-Enter"),
    ("\x1bé", "Alt-é"),
    ("\x1b[A", "Up"),
    ("\x1bOA", "Up"),
    ("\x1b[1;5C", "Ctrl-Right"),
    ("\x1b[1;2D", "Shift-Left"),
    ("\x1b[2D", "Shift-Left"),
    ("\x1b[1;3H", "Alt-Home"),
    ("\x1b[H", "Home"),
    ("\x1bOF", "End"),
    ("\x1b[1~", "Home"),
    ("\x1b[3~", "Delete"),
    ("\x1b[5~", "PageUp"),
    ("\x1b[6;5~", "Ctrl-PageDown"),
    ("\x1b[Z", "BackTab"),
    ("\x1bOP", "F1"),
    ("\x1b[11~", "F1"),
    ("\x1b[[A", "F1"),
    ("\x1b[[E", "F5"),
    ("\x1b[Q", "F2"),
    ("\x1b[24;2~", "Shift-F12"),
    ("\x1b[97u", "a"),
    ("\x1b[99;5u", "Ctrl-c"),
    ("\x1b[97:65;2u", "Shift-a"),
    ("\x1b[27u", "Esc"),
    ("\x1b[9;2u", "BackTab"),
    ("\x1b[57414u", "Enter"),
    ("\x1b[57400u", "1"),
    ("\x1b[1;1:2A", "Up"),
    ("\x1b[27;5;99~", "Ctrl-c"),
    ("\x1b[<0;3;5M", "Click 2 4"),
    ("\x1b[<65;300;200M", "WheelDown 299 199"),
    ("\x1b[M #%", "Click 2 4"),
    ("\x1b[M`#%", "WheelUp 2 4"),
    ("\x1b[32;3;5M", "Click 2 4"),
    ("\x1b[200~a\x1b[A\rb\x1b[201~", "paste a\x1b[A\rb"),
    ("\x1b[200~\x1b[201~", "paste "),
];

/// What terminals answer, or say unasked, by kind.
const ANSWERS: &[&str] = &[
    // Device attributes: primary, secondary, tertiary; a VT220 that leaves the mark out.
    "\x1b[?62;1;2;4;6;9;15;22c",
    "\x1b[>41;354;0c",
    "\x1bP!|7E565445\x1b\\",
    "\x1b[62;1;6c",
    // Colours: of the palette, of text, ground and cursor; ended in each of the three ways.
    "\x1b]4;255;rgb:eeee/eeee/eeee\x07",
    "\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
    "\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\",
    "\x1b]11;rgb:0000/0000/0000\u{9c}",
    "\x1b]12;rgba:ffff/ffff/ffff/ffff\x07",
    // The clipboard, and its refusal.
    "\x1b]52;c;cSB0aGVuIHEK\x07",
    "\x1b]52;c;\x1b\\",
    "\x1b]5522;type=read:status=DONE\x1b\\",
    // Versions, capabilities, settings.
    "\x1bP>|XTerm(397)\x1b\\",
    "\x1bP>|tmux 3.5a\x1b\\",
    "\x1bP1+r544e=787465726d2d323536636f6c6f72\x1b\\",
    "\x1bP0+r\x1b\\",
    "\x1bP1$r0;4;38:5:9m\x1b\\",
    "\x1bP1$r2 q\u{9c}",
    // Titles, also with letters whose bytes look like the end.
    "\x1b]lvi notes.txt\x1b\\",
    "\x1b]L✜ Ü œ\x1b\\",
    "\x1b]l\x1b\\",
    // Pictures, applications, privacy, strings of any kind.
    "\x1b_Gi=31;OK\x1b\\",
    "\x1b_Gi=31;EINVAL:bad q\x07",
    "\x1b^private q\x1b\\",
    "\x1bXanything q\x1b\\",
    // The cursor, its place on the page, status, size, modes, the keyboard's protocol, graphics.
    "\x1b[24;80R",
    "\x1b[?24;80;1R",
    "\x1b[0n",
    "\x1b[?997;1n",
    "\x1b[8;24;80t",
    "\x1b[4;600;800t",
    "\x1b[?2026;2$y",
    "\x1b[4;1$y",
    "\x1b[?1u",
    "\x1b[>4;2m",
    "\x1b[?1;0;256S",
    "\x1b[2;1;1;112;112;1;0x",
    "\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26;27;28c",
    // The window, and keys that are let go.
    "\x1b[I",
    "\x1b[O",
    "\x1b[97;1:3u",
    "\x1b[1;1:3A",
    "\x1b[<0;3;5m",
    "\x1b[<35;3;5M",
    // Shift by itself, of the kitty protocol.
    "\x1b[57441;2u",
    // The same in controls of one byte, as UTF-8 has them.
    "\u{9b}?62;c",
    "\u{9d}11;rgb:1e1e/1e1e/2e2e\u{9c}",
    "\u{90}>|kitty(0.40.0)\u{9c}",
];

#[test]
fn every_key_is_what_it_is_whole_and_byte_by_byte() {
    for (bytes, expected) in KEYS {
        assert_eq!(told([bytes.as_bytes()], false), [*expected], "{bytes:?}");
        assert_eq!(told(bytes.as_bytes().chunks(1), false), [*expected], "{bytes:?} byte by byte");
    }
}

#[test]
fn every_answer_is_swallowed_whole_and_byte_by_byte() {
    for bytes in ANSWERS {
        assert_eq!(told([bytes.as_bytes()], true), [""; 0], "{bytes:?}");
        assert_eq!(told(bytes.as_bytes().chunks(1), true), [""; 0], "{bytes:?} byte by byte");
        assert_eq!(told([bytes.as_bytes(), b"j"], true), ["j"], "{bytes:?} and a key");
    }
    let latin: [&[u8]; 4] = [b"\x9b?62;1c", b"\x9d11;rgb:0000/0000/0000\x9c", b"\x90>|x\x9c", b"\x85\x84\xff\xc0"];
    assert_eq!(told(latin, true), [""; 0], "control bytes that are not UTF-8");
}

#[test]
fn a_lone_esc_waits_shortly_and_a_begun_answer_long() {
    let mut cutter = Cutter::new(ESCAPE);
    let mut pieces = Vec::new();
    assert_eq!(cutter.wait(), None);
    cutter.feed(b"\x1b", &mut pieces);
    assert_eq!((cutter.wait(), pieces.len()), (Some(ESCAPE), 0));
    pieces.extend(cutter.quiet());
    assert_eq!((words(std::mem::take(&mut pieces)), cutter.wait()), (vec!["Esc".to_owned()], None));
    cutter.feed(b"\x1b]11;rgb:1e", &mut pieces);
    assert!(cutter.wait() > Some(Duration::from_secs(5)), "a network may lose a packet");
    assert_eq!((cutter.quiet(), cutter.wait()), (None, None), "given up");
    assert_eq!(told([b"\x1b\x1b".as_slice()], true), ["Esc", "Esc"], "twice, quickly");
    assert_eq!(told([b"\x1b\x1b[A".as_slice()], true), ["Esc", "Up"]);
}

#[test]
fn an_answer_whose_esc_came_too_early_is_swallowed_as_well() {
    let late = |bytes: &[u8]| {
        let (mut cutter, mut pieces) = (Cutter::new(ESCAPE), Vec::new());
        cutter.feed(b"\x1b", &mut pieces);
        assert!(cutter.quiet().is_some(), "taken for a key");
        cutter.feed(bytes, &mut pieces);
        words(pieces)
    };
    for answer in ANSWERS.iter().filter_map(|answer| answer.strip_prefix('\x1b')) {
        // Of these a person may type each in one go.
        if !["[I", "[O", "[0n"].contains(&answer) && !answer.starts_with("[97;") {
            assert_eq!(late(answer.as_bytes()), [""; 0], "{answer:?}");
        }
    }
    assert_eq!(late(b"]"), ["]"]);
    assert_eq!(late(b"]1"), ["]", "1"]);
    assert_eq!(late(b"[?"), ["[", "?"]);
    assert_eq!(late(b"j"), ["j"]);
}

#[test]
fn alt_with_a_key_that_begins_answers_is_a_key_and_ends_nothing_that_follows() {
    for (bytes, expected) in
        [("\x1b[", "Alt-["), ("\x1bO", "Alt-Shift-o"), ("\x1b]", "Alt-]"), ("\x1bP", "Alt-Shift-p")]
    {
        assert_eq!(told([bytes.as_bytes()], true), [expected]);
    }
    assert_eq!(told([b"\x1b]".as_slice(), b"hq"], false), ["Alt-]", "h", "q"]);
    for control in ["\x03", "\r", "\x7f"] {
        for begun in ["\x1b[1;", "\x1b]11;rgb", "\x1bP1$r", "\x1b_G", "\x1bO"] {
            let bytes = format!("{begun}{control}j");
            assert_eq!(told([bytes.as_bytes()], false).len(), 2, "{bytes:?}: a control ends it and counts");
        }
    }
}

#[test]
fn a_paste_without_an_end_is_taken_after_a_pause_and_left_by_an_interrupt() {
    let begun: &[u8] = b"\x1b[200~some te\xc3";
    let mut cutter = Cutter::new(ESCAPE);
    let mut pieces = Vec::new();
    cutter.feed(begun, &mut pieces);
    cutter.feed(b"\xa4t\x03\x1b[20", &mut pieces);
    assert!(pieces.is_empty() && cutter.wait() > Some(Duration::from_secs(1)));
    pieces.extend(cutter.quiet());
    assert_eq!(words(pieces), ["paste some teät\x03\x1b[20"], "kept");
    let left = told([begun, b"\x03", b"j"], false);
    assert!(left.len() == 2 && left[0].contains("nothing of it was taken") && left[1] == "j", "dropped: {left:?}");
    assert_eq!(told([b"\x1b[201~".as_slice(), b"j"], false), ["j"], "an end without a beginning");
}

#[test]
fn a_paste_takes_no_more_memory_than_it_may() {
    let block = vec![b'x'; 1 << 20];
    let mut cutter = Cutter::new(ESCAPE);
    let mut pieces = Vec::new();
    cutter.feed(b"\x1b[200~", &mut pieces);
    for _ in 0..(LARGEST_PASTE >> 20) + 3 {
        cutter.feed(&block, &mut pieces);
    }
    assert!(pieces.is_empty());
    cutter.feed(b"\x1b[201~j", &mut pieces);
    assert_eq!(pieces[0], Piece::HugePaste);
    let words = words(pieces);
    assert!(words[0].contains("larger than") && words[1] == "j", "{words:?}");
    let largest = [b"\x1b[200~".as_slice(), &block.repeat(LARGEST_PASTE >> 20)[..LARGEST_PASTE - 10], b"\x1b[201~"];
    assert_eq!(told(largest, false)[0].len(), "paste ".len() + LARGEST_PASTE - 10);
}

#[test]
fn what_is_no_utf8_is_no_text_and_spoils_none() {
    assert_eq!(
        told([b"\xc3a\xe2\x82b\xf0\x9fc\xed\xa0\x80d\xf5e\xc0f".as_slice()], false),
        ["a", "b", "c", "d", "e", "f"]
    );
}

#[test]
fn keys_of_the_table_are_found_by_their_bytes() {
    let msg = |bytes: &[u8]| {
        let mut pieces = Vec::new();
        Cutter::new(ESCAPE).feed(bytes, &mut pieces);
        of_piece(pieces.remove(0))
    };
    for (bytes, expected) in [
        (b"\x1b[1;5H".as_slice(), key!(ctrl - home)),
        (b"\x1bb", key!(alt - b)),
        (b"\x1b\x7f", key!(alt - backspace)),
        (b"\x1b[Z", key!(shift - backtab)),
        (b"G", key!(shift - g)),
        (b"?", key!('?')),
    ] {
        assert!(matches!(msg(bytes), Some(Msg::Key(pressed)) if pressed == expected), "{expected}");
    }
}

/// A key or an answer, and what is reported of it.
fn item() -> impl Strategy<Value = (Vec<u8>, Option<String>)> {
    let key = prop::sample::select(KEYS).prop_map(|(bytes, word)| (bytes.as_bytes().to_vec(), Some(word.to_owned())));
    let answer = prop::sample::select(ANSWERS).prop_map(|bytes| (bytes.as_bytes().to_vec(), None));
    let string = ("[\\]PX^_]", "[0-9][ -~é漢]{0,40}", prop::sample::select(&["\x1b\\", "\x07", "\u{9c}"]))
        .prop_map(|(introducer, text, end)| (format!("\x1b{introducer}{text}{end}").into_bytes(), None));
    let sequence = "\x1b\\[[?>=][0-9:;]{0,90}[ !\"$']{0,2}[a-z]".prop_map(|text| (text.into_bytes(), None));
    prop_oneof![4 => key, 2 => answer, 1 => string, 1 => sequence]
}

proptest! {
    /// However a line cuts them, keys among answers are these keys and no others.
    #[test]
    fn keys_among_answers_are_exactly_the_keys(
        items in prop::collection::vec(item(), 1..40),
        edits in prop::collection::vec(1usize..9, 1..40),
    ) {
        let bytes: Vec<u8> = items.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: Vec<String> = items.into_iter().filter_map(|(_, word)| word).collect();
        let mut parts = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in edits.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (part, other) = rest.split_at((*cut).min(rest.len()));
            parts.push(part);
            rest = other;
        }
        prop_assert_eq!(told(parts, true), expected);
    }

    /// Whatever comes, nothing fails, and an end is found.
    #[test]
    fn any_bytes_are_taken(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..30)) {
        let (mut cutter, mut pieces) = (Cutter::new(ESCAPE), Vec::new());
        for part in &parts {
            cutter.feed(part, &mut pieces);
        }
        while cutter.wait().is_some() {
            pieces.extend(cutter.quiet());
        }
        cutter.feed(b"j", &mut pieces);
        prop_assert_eq!(words(pieces).pop(), Some("j".to_owned()));
    }
}
