//! Where the panes stand on a screen of a given size.
//! Not here: what is in them.

use ratatui::layout::Rect;

use crate::tui::app::Page;

/// The places of the panes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Areas {
    pub header: Rect,
    pub prompt: Rect,
    pub tokens: Rect,
    pub latents: Rect,
    pub card: Rect,
    /// The next tokens: a pane, or a single line where there is no room for one.
    pub next: Rect,
    /// The SAEs side by side, where there is room.
    pub ladder: Option<Rect>,
    /// The verdict in full, where there is room.
    pub verdict: Option<Rect>,
    /// The group, where there is room.
    pub group: Option<Rect>,
    /// All of these: what stands between the tokens and the status line.
    pub main: Rect,
    /// The lines between columns.
    pub columns: [Option<Rect>; 2],
    pub status: Rect,
    pub footer: Rect,
}

impl Areas {
    /// The places on a screen; they depend on its size and the page alone, so that nothing jumps while one types.
    pub(super) fn of(screen: Rect, page: Page) -> Self {
        let (width, height) = (screen.width, screen.height);
        let lines = |small: u16, usual: u16, tall: u16, huge: u16| match height {
            0..20 => small,
            20..30 => usual,
            30..50 => tall,
            _ => huge,
        };
        let mut rest = screen;
        let mut cut = |rows: u16| {
            let rows = rows.min(rest.height);
            let area = Rect { height: rows, ..rest };
            rest = Rect { y: rest.y + rows, height: rest.height - rows, ..rest };
            area
        };
        let header = cut(1);
        // Lists are what one looks at where SAEs are compared: prompt and tokens stay, with fewer rows.
        let (prompt, tokens) = match page {
            Page::Explore => (lines(1, 2, 3, 4), lines(2, 4, 6, 6)),
            Page::Stitch | Page::Meta => (lines(1, 1, 2, 3), lines(2, 3, 5, 6)),
        };
        let prompt = cut(1 + prompt);
        let tokens = cut(1 + tokens);
        let below = 2;
        let main = cut(rest_rows(height, &[header, prompt, tokens], below));
        let status = cut(1);
        let footer = cut(1);
        let mut areas = Self { header, prompt, tokens, main, status, footer, ..Self::default() };
        match (width, height) {
            (150.., 24..) => areas.three_columns(main),
            (100.., 30..) => areas.two_rows(main),
            _ => areas.compact(main),
        }
        areas
    }

    fn compact(&mut self, main: Rect) {
        let upper = Rect { height: main.height.saturating_sub(1), ..main };
        self.next = Rect { y: upper.bottom(), height: main.height - upper.height, ..main };
        let (left, column, right) = split(upper, 46);
        (self.latents, self.columns[0], self.card) = (left, Some(column), right);
    }

    fn two_rows(&mut self, main: Rect) {
        let below = (main.height * 2 / 5).clamp(6, 11);
        let upper = Rect { height: main.height - below, ..main };
        let lower = Rect { y: upper.bottom(), height: below, ..main };
        let (left, column, right) = split(upper, 46);
        (self.latents, self.columns[0], self.card) = (left, Some(column), right);
        let (left, column, right) = split(lower, 46);
        (self.next, self.columns[1], self.ladder) = (left, Some(column), Some(right));
    }

    fn three_columns(&mut self, main: Rect) {
        let (left, column, rest) = split(main, 34);
        (self.latents, self.columns[0]) = (left, Some(column));
        let (middle, column, right) = split(rest, 52);
        (self.card, self.columns[1]) = (middle, Some(column));
        let next = (right.height / 2).min(14);
        self.next = Rect { height: next, ..right };
        let below = Rect { y: right.y + next, height: right.height - next, ..right };
        self.ladder = Some(below);
        if main.height >= TALL {
            let verdict = Rect { y: middle.bottom() - VERDICT, height: VERDICT, ..middle };
            self.card.height -= VERDICT;
            self.verdict = Some(verdict);
            let group = Rect { y: below.y + LADDER, height: below.height - LADDER, ..below };
            self.ladder = Some(Rect { height: LADDER, ..below });
            self.group = Some(group);
        }
    }
}

/// Rows of the middle of a screen that has room for the verdict and the group beside all else.
const TALL: u16 = 38;
/// Rows of the verdict.
const VERDICT: u16 = 11;
/// Rows of the SAEs side by side, when something stands below them.
const LADDER: u16 = 12;

fn rest_rows(height: u16, above: &[Rect], below: u16) -> u16 {
    height.saturating_sub(below + above.iter().map(|a| a.height).sum::<u16>())
}

/// Two columns and the line between them.
pub(crate) fn split(area: Rect, percent: u16) -> (Rect, Rect, Rect) {
    let left = (u32::from(area.width) * u32::from(percent) / 100) as u16;
    let column = Rect { x: area.x + left, width: 1.min(area.width - left), ..area };
    let right = area.width.saturating_sub(left + 1);
    (Rect { width: left, ..area }, column, Rect { x: column.right(), width: right, ..area })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_fill_every_screen_without_touching() {
        for (width, height) in [(60, 15), (80, 24), (99, 50), (100, 30), (120, 40), (150, 24), (200, 60), (400, 120)] {
            let screen = Rect::new(0, 0, width, height);
            let a = Areas::of(screen, Page::Explore);
            let mut all = vec![a.header, a.prompt, a.tokens, a.latents, a.card, a.next, a.status, a.footer];
            all.extend(a.ladder);
            all.extend(a.verdict);
            all.extend(a.group);
            all.extend(a.columns.into_iter().flatten());
            assert_eq!(all.iter().map(|r| r.area()).sum::<u32>(), screen.area(), "{width}x{height}");
            for (i, one) in all.iter().enumerate() {
                assert_eq!(one.intersection(screen), *one, "{width}x{height}");
                assert!(all[i + 1..].iter().all(|other| !one.intersects(*other)), "{width}x{height}");
            }
            assert!(a.latents.height >= 6 && a.card.height >= 6, "{width}x{height}: {:?}", a.latents);
        }
    }
}
