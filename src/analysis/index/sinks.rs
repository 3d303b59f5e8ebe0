//! Sinks: positions whose activation is so much longer than that of the others of their window that whatever fires there
//! says nothing of the text. Not here: the position that is skipped in every window.

/// How many times as long as the median of the others.
const TIMES: f64 = 10.0;
/// Positions that a window must have, so that a median says something.
const LEAST: usize = 8;

/// For each position of a window whether it is a sink: not a skipped one, and ‖x‖ exceeds ten times the median of the
/// other positions that are not skipped. `x` is what the SAEs receive, [positions, size].
#[must_use]
pub fn sinks(x: &[f32], skipped: &[bool]) -> Vec<bool> {
    let mut sinks = vec![false; skipped.len()];
    let size = x.len() / skipped.len().max(1);
    if skipped.len() < LEAST || size == 0 {
        return sinks;
    }
    let norm = |row: &[f32]| row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let norms: Vec<f64> = x.chunks_exact(size).map(norm).collect();
    let mut sorted: Vec<f64> = norms.iter().zip(skipped).filter(|(_, skipped)| !**skipped).map(|(n, _)| *n).collect();
    sorted.sort_by(f64::total_cmp);
    for (position, sink) in sinks.iter_mut().enumerate() {
        *sink = !skipped[position] && norms[position] > TIMES * median_without(&sorted, norms[position]);
    }
    sinks
}

/// The median of rising numbers without one of them.
fn median_without(sorted: &[f64], one: f64) -> f64 {
    let out = sorted.partition_point(|norm| *norm < one);
    let at = |place: usize| sorted[if place >= out { place + 1 } else { place }];
    match sorted.len().saturating_sub(1) {
        0 => f64::INFINITY,
        left if left % 2 == 1 => at(left / 2),
        left => f64::midpoint(at(left / 2 - 1), at(left / 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ten_times_as_long_as_the_others_median_is_a_sink() {
        let mut x = [1.0_f32; 9];
        (x[0], x[3], x[5]) = (900.0, 10.5, 10.0);
        let skipped = std::array::from_fn::<_, 9, _>(|at| at == 0);
        let found: Vec<usize> =
            sinks(&x, &skipped).iter().enumerate().filter(|(_, is)| **is).map(|(at, _)| at).collect();
        assert_eq!(found, [3], "not what is skipped, and not what is ten times as long");
        assert_eq!(sinks(&x[..7], &skipped[..7]), [false; 7], "a short window has none");
        assert_eq!(median_without(&[1.0, 2.0, 4.0, 8.0], 2.0), 4.0);
        assert_eq!(median_without(&[1.0, 2.0, 4.0], 4.0), 1.5);
    }
}
