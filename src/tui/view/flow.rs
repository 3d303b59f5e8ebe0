//! Lays tokens out in lines that wrap.
//! Not here: what a token looks like.

/// A token's place: its line, the cell it starts in, and the cells it takes, the one before it for the cursor included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub line: usize,
    pub x: usize,
    pub cells: usize,
}

/// Places tokens of these widths in lines of `cells` cells; a token for which `breaks` is true ends its line.
pub(crate) fn flow(widths: &[usize], breaks: &[bool], cells: usize) -> Vec<Placed> {
    let cells = cells.max(2);
    let mut placed = Vec::with_capacity(widths.len());
    let (mut line, mut x) = (0, 0);
    for (i, width) in widths.iter().enumerate() {
        let need = (width + 1).min(cells);
        if x > 0 && x + need > cells {
            line += 1;
            x = 0;
        }
        placed.push(Placed { line, x, cells: need });
        x += need;
        if breaks.get(i).copied().unwrap_or(false) {
            line += 1;
            x = 0;
        }
    }
    placed
}

/// The first line shown so that `line` is among the `shown` of `all`.
pub(crate) fn top(line: usize, shown: usize, all: usize) -> usize {
    line.saturating_sub(shown / 2).min(all.saturating_sub(shown))
}

/// The first token of each line.
pub(crate) fn line_starts(placed: &[Placed]) -> Vec<usize> {
    let mut starts = Vec::new();
    for (i, token) in placed.iter().enumerate() {
        if i == 0 || token.line != placed[i - 1].line {
            starts.push(i);
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_breaks_and_never_overflows() {
        let placed = flow(&[3, 3, 3, 20, 1], &[false, false, false, false, false], 10);
        assert_eq!(placed.iter().map(|p| (p.line, p.x)).collect::<Vec<_>>(), [(0, 0), (0, 4), (1, 0), (2, 0), (3, 0)]);
        assert!(placed.iter().all(|p| p.x + p.cells <= 10));
        let placed = flow(&[1, 1, 1], &[true, false, false], 10);
        assert_eq!(placed.iter().map(|p| p.line).collect::<Vec<_>>(), [0, 1, 1]);
        assert_eq!(line_starts(&placed), [0, 1]);
    }

    #[test]
    fn the_line_asked_for_is_shown() {
        for all in 1..20 {
            for shown in 1..6 {
                for line in 0..all {
                    let top = top(line, shown, all);
                    assert!(top <= line && line < top + shown, "{line} of {all} in {shown} from {top}");
                }
            }
        }
    }
}
