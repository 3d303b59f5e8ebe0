//! What waits to be taken, in the order in which it is: what ends the program, ^C, what was typed, news.
//! Not here: what any of it does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

use crokey::key;

use crate::tui::keys::as_text;
use crate::tui::msg::Msg;
use crate::tui::theme::Ground;
use crate::worker::JobEvent;

/// Most memory that what was typed may wait in, bytes: some hundred thousand keys.
const MAX_WAITING_BYTES: usize = 32 << 20;

/// Something that wakes the shell.
#[derive(Debug)]
pub(super) enum Wake {
    /// Something was typed, pasted or clicked.
    Input(Msg),
    /// The terminal has another size.
    Resized((u16, u16)),
    /// The terminal said what its ground is.
    Ground(Ground),
    /// Something came of a question.
    Job(JobEvent),
    /// A signal that ends the program.
    Signal(i32),
    /// A signal that asks the program to stop.
    Stop,
    /// The program continues after it was stopped.
    Continued,
    /// The terminal cannot be read any more.
    Lost(String),
}

/// What the messages that wait weigh, together.
pub(super) type Weight = Arc<AtomicUsize>;

fn weight(msg: &Msg) -> usize {
    size_of::<Wake>() + if let Msg::Paste(text) | Msg::Typed(text) = msg { text.len() } else { 0 }
}

fn is_interrupt(msg: &Msg) -> bool {
    matches!(msg, Msg::Key(pressed) if *pressed == key!(ctrl - c))
}

/// The way in for what is typed: it takes no more than can wait.
pub(super) struct Inlet {
    to: Sender<Wake>,
    waiting: Weight,
    left_out: usize,
}

impl Inlet {
    pub(super) const fn new(to: Sender<Wake>, waiting: Weight) -> Self {
        Self { to, waiting, left_out: 0 }
    }

    /// Sends on what was typed; ^C always, the rest while there is room. Gives whether anybody listens.
    pub(super) fn send(&mut self, msg: Msg) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if waiting + weight(&msg) > MAX_WAITING_BYTES && !is_interrupt(&msg) {
            self.left_out += 1;
            return true;
        }
        if self.left_out > 0 && waiting < MAX_WAITING_BYTES / 2 {
            let count = std::mem::take(&mut self.left_out);
            let told = Msg::Notice(format!("{count} keys were typed faster than they could be taken, and left out"));
            self.pass(told);
        }
        self.pass(msg)
    }

    fn pass(&self, msg: Msg) -> bool {
        self.waiting.fetch_add(weight(&msg), Ordering::Relaxed);
        self.to.send(Wake::Input(msg)).is_ok()
    }
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    first: VecDeque<Wake>,
    typed: VecDeque<Msg>,
    news: VecDeque<Wake>,
    weight: Weight,
}

impl Queue {
    /// What the messages that wait weigh, to be shared with the way in.
    pub(super) fn weight(&self) -> Weight {
        self.weight.clone()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.typed.is_empty() && self.news.is_empty()
    }

    /// Adds something. ^C drops what was typed before it and not taken yet, as a terminal's own ^C does (POSIX, INTR), so
    /// that a flood of keys can be left.
    pub(super) fn push(&mut self, wake: Wake) {
        match wake {
            Wake::Input(msg) => {
                if is_interrupt(&msg) {
                    for dropped in std::mem::take(&mut self.typed) {
                        self.lighten(&dropped);
                    }
                }
                self.typed.push_back(msg);
            }
            Wake::Job(_) => self.news.push_back(wake),
            Wake::Signal(_) | Wake::Lost(_) => self.first.push_front(wake),
            Wake::Resized(_) => {
                self.first.retain(|other| !matches!(other, Wake::Resized(_)));
                self.first.push_back(wake);
            }
            Wake::Stop | Wake::Continued | Wake::Ground(_) => self.first.push_back(wake),
        }
    }

    /// The next to be taken. Where keys are text, all characters that come next are one.
    pub(super) fn next(&mut self, is_text: bool) -> Option<Wake> {
        if let Some(wake) = self.first.pop_front() {
            return Some(wake);
        }
        let Some(msg) = self.typed.pop_front() else { return self.news.pop_front() };
        self.lighten(&msg);
        if !is_text || text_of(&msg).is_none() {
            return Some(Wake::Input(msg));
        }
        let mut text: String = text_of(&msg).into_iter().collect();
        while let Some(c) = self.typed.front().and_then(text_of) {
            text.push(c);
            if let Some(msg) = self.typed.pop_front() {
                self.lighten(&msg);
            }
        }
        Some(Wake::Input(Msg::Typed(text)))
    }

    fn lighten(&self, msg: &Msg) {
        self.weight.fetch_sub(weight(msg), Ordering::Relaxed);
    }
}

fn text_of(msg: &Msg) -> Option<char> {
    if let Msg::Key(pressed) = msg { as_text(*pressed) } else { None }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use crokey::KeyCombination;

    use super::*;

    fn typed(c: char) -> Wake {
        Wake::Input(Msg::Key(crate::tui::keys::of_text(c)))
    }

    fn pressed(pressed: KeyCombination) -> Wake {
        Wake::Input(Msg::Key(pressed))
    }

    /// All that waits, in order, as words.
    fn all(queue: &mut Queue, is_text: bool) -> Vec<String> {
        let word = |wake| match wake {
            Wake::Input(Msg::Key(pressed)) => pressed.to_string(),
            Wake::Input(Msg::Typed(text)) => format!("typed {text}"),
            Wake::Input(other) => format!("{other:?}"),
            Wake::Job(_) => "news".into(),
            other => format!("{other:?}"),
        };
        std::iter::from_fn(|| queue.next(is_text)).map(word).collect()
    }

    fn news() -> Wake {
        let event = crate::worker::Event::Done(Err(crate::report::Report::new("x")));
        Wake::Job(JobEvent { ticket: crate::task::Ticket::default(), event })
    }

    #[test]
    fn what_ends_the_program_comes_before_all_that_waits() {
        let mut queue = Queue::default();
        for wake in [news(), typed('a'), Wake::Resized((1, 1)), typed('b'), Wake::Resized((2, 2)), Wake::Signal(15)] {
            queue.push(wake);
        }
        assert_eq!(all(&mut queue, false), ["Signal(15)", "Resized((2, 2))", "a", "b", "news"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn where_keys_are_text_a_run_of_characters_is_one() {
        let mut queue = Queue::default();
        for c in "Ab ß".chars() {
            queue.push(typed(c));
        }
        queue.push(pressed(key!(enter)));
        queue.push(typed('x'));
        assert_eq!(all(&mut queue, true), ["typed Ab ß", "Enter", "typed x"]);
        assert_eq!(queue.weight().load(Ordering::Relaxed).wrapping_add(5 * size_of::<Wake>() + size_of::<Wake>()), 0);
    }

    #[test]
    fn an_interrupt_drops_what_was_typed_before_it_and_nothing_after() {
        let mut queue = Queue::default();
        queue.push(typed('a'));
        queue.push(Wake::Input(Msg::Paste("much".into())));
        queue.push(Wake::Resized((80, 24)));
        queue.push(news());
        queue.push(pressed(key!(ctrl - c)));
        queue.push(typed('z'));
        assert_eq!(all(&mut queue, true), ["Resized((80, 24))", "Ctrl-c", "typed z", "news"]);
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_left_out_is_told() {
        let (to, from) = mpsc::channel();
        let mut queue = Queue::default();
        let mut inlet = Inlet::new(to, queue.weight());
        let many = MAX_WAITING_BYTES / size_of::<Wake>() + 10;
        for _ in 0..many {
            assert!(inlet.send(Msg::Key(key!(j))));
        }
        assert!(inlet.send(Msg::Key(key!(ctrl - c))), "it always goes through");
        for wake in from.try_iter() {
            queue.push(wake);
        }
        assert_eq!(all(&mut queue, false), ["Ctrl-c"]);
        assert_eq!(queue.weight().load(Ordering::Relaxed), 0);
        assert!(inlet.send(Msg::Key(key!(j))));
        let told: Vec<Wake> = from.try_iter().collect();
        assert!(
            matches!(&told[..], [Wake::Input(Msg::Notice(text)), Wake::Input(Msg::Key(_))] if text.contains("10 keys"))
        );
    }
}
