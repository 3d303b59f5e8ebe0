//! Which tokens of one prompt stand for which of another.
//! Not here: what is compared at them (`compare`).

/// Most cells of the table of common subsequences; texts that need more are paired in order between their equal ends.
const CELLS: usize = 1 << 24;

/// Positions of two prompts that belong together, rising in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alignment {
    /// A position of the first prompt with one of the second.
    pub pairs: Vec<(usize, usize)>,
    /// Positions of the first without one.
    pub unpaired_a: Vec<usize>,
    /// Positions of the second without one.
    pub unpaired_b: Vec<usize>,
    /// Whether the prompts were too long for their longest common subsequence.
    pub coarse: bool,
}

/// Pairs tokens by the longest common subsequence of ids, of several the one whose first difference keeps more of the second
/// prompt for later; between two tokens of it, and at the ends, in order. Then every partner in the second prompt moves by
/// `shift` positions.
#[must_use]
pub fn align(a: &[u32], b: &[u32], shift: isize) -> Alignment {
    let (equal, coarse) = common(a, b);
    let mut pairs = Vec::with_capacity(a.len().min(b.len()));
    let (mut from_a, mut from_b) = (0, 0);
    for (to_a, to_b) in equal.into_iter().chain([(a.len(), b.len())]) {
        pairs.extend((from_a..to_a).zip(from_b..to_b));
        if to_a < a.len() {
            pairs.push((to_a, to_b));
        }
        (from_a, from_b) = (to_a + 1, to_b + 1);
    }
    let moved = |(a, partner): (usize, usize)| {
        let partner = partner.checked_add_signed(shift).filter(|partner| *partner < b.len())?;
        Some((a, partner))
    };
    let pairs: Vec<(usize, usize)> = pairs.into_iter().filter_map(moved).collect();
    let without = |count: usize, of: fn(&(usize, usize)) -> usize| -> Vec<usize> {
        let mut paired = pairs.iter().map(of).peekable();
        (0..count).filter(|at| paired.next_if_eq(at).is_none()).collect()
    };
    let (unpaired_a, unpaired_b) = (without(a.len(), |pair| pair.0), without(b.len(), |pair| pair.1));
    Alignment { pairs, unpaired_a, unpaired_b, coarse }
}

/// The places of a longest common subsequence, and whether only equal ends were looked for.
fn common(a: &[u32], b: &[u32]) -> (Vec<(usize, usize)>, bool) {
    let front = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (rest_a, rest_b) = (&a[front..], &b[front..]);
    let back = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (middle_a, middle_b) = (&rest_a[..rest_a.len() - back], &rest_b[..rest_b.len() - back]);
    let coarse = middle_a.len().saturating_mul(middle_b.len()) > CELLS;
    let middle = if coarse { Vec::new() } else { longest(middle_a, middle_b) };
    let mut places: Vec<(usize, usize)> = (0..front).map(|at| (at, at)).collect();
    places.extend(middle.into_iter().map(|(x, y)| (front + x, front + y)));
    places.extend((0..back).map(|at| (a.len() - back + at, b.len() - back + at)));
    (places, coarse)
}

/// The places of a longest common subsequence, by the table of the lengths that are left.
fn longest(a: &[u32], b: &[u32]) -> Vec<(usize, usize)> {
    let width = b.len() + 1;
    let mut left = vec![0u16; (a.len() + 1) * width];
    for x in (0..a.len()).rev() {
        for y in (0..b.len()).rev() {
            left[x * width + y] = if a[x] == b[y] {
                left[(x + 1) * width + y + 1].saturating_add(1)
            } else {
                left[(x + 1) * width + y].max(left[x * width + y + 1])
            };
        }
    }
    let (mut x, mut y, mut places) = (0, 0, Vec::new());
    while x < a.len() && y < b.len() {
        if a[x] == b[y] {
            places.push((x, y));
            (x, y) = (x + 1, y + 1);
        } else if left[(x + 1) * width + y] >= left[x * width + y + 1] {
            x += 1;
        } else {
            y += 1;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_runs_are_paired_and_what_lies_between_in_order() {
        let got = align(&[1, 2, 3, 9, 4], &[1, 7, 8, 6, 9, 4, 5], 0);
        assert_eq!(got.pairs, [(0, 0), (1, 1), (2, 2), (3, 4), (4, 5)]);
        assert_eq!((got.unpaired_a, got.unpaired_b), (vec![], vec![3, 6]));
        let got = align(&[5, 1, 2], &[1, 2], 0);
        assert_eq!((got.pairs, got.unpaired_a), (vec![(1, 0), (2, 1)], vec![0]));
    }

    #[test]
    fn a_shift_moves_every_partner_and_drops_what_leaves_the_prompt() {
        let got = align(&[1, 2, 3], &[1, 2, 3], 1);
        assert_eq!(got.pairs, [(0, 1), (1, 2)]);
        assert_eq!((got.unpaired_a, got.unpaired_b), (vec![2], vec![0]));
        assert_eq!(align(&[1, 2], &[1, 2], isize::MIN).pairs, []);
    }

    #[test]
    fn nothing_pairs_with_an_empty_prompt() {
        let got = align(&[1, 2], &[], 0);
        assert_eq!((got.pairs, got.unpaired_a, got.unpaired_b), (vec![], vec![0, 1], vec![]));
    }

    fn by_trying(a: &[u32], b: &[u32]) -> usize {
        match (a, b) {
            ([x, a_rest @ ..], [y, b_rest @ ..]) if x == y => 1 + by_trying(a_rest, b_rest),
            ([_, a_rest @ ..], [_, b_rest @ ..]) => by_trying(a_rest, b).max(by_trying(a, b_rest)),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn pairs_rise_cover_all_and_hold_a_longest_common_subsequence(
            a in proptest::collection::vec(0u32..4, 0..9),
            b in proptest::collection::vec(0u32..4, 0..9),
        ) {
            let got = align(&a, &b, 0);
            prop_assert!(got.pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1));
            prop_assert_eq!(got.pairs.len() + got.unpaired_a.len(), a.len());
            prop_assert_eq!(got.pairs.len() + got.unpaired_b.len(), b.len());
            let equal = got.pairs.iter().filter(|(x, y)| a[*x] == b[*y]).count();
            prop_assert!(equal >= by_trying(&a, &b));
        }
    }
}
