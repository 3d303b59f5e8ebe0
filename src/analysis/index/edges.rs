//! The fixed edges of histograms: edge bin j holds activations from 2^(j/64) up to 2^((j+1)/64).
//! Not here: counting.

use std::ops::Range;
use std::sync::LazyLock;

/// Edge bins of an octave.
const OCTAVE: i32 = 64;

/// The edge bins of all activations that an f32 can hold.
pub const EDGES: Range<i32> = -149 * OCTAVE..128 * OCTAVE;

/// 2^(k/64) for k from 0 to 63.
static STEPS: LazyLock<[f64; 64]> = LazyLock::new(|| std::array::from_fn(|k| (k as f64 / f64::from(OCTAVE)).exp2()));

/// The edge bin of an activation above zero: within a factor of 2^(1/64), about 1.1 %.
#[must_use]
pub fn edge_of(activation: f32) -> i32 {
    // Every f32 above zero is a normal f64, so that exponent and mantissa can be read off.
    let bits = f64::from(activation).to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1023 << 52));
    let step = STEPS.partition_point(|step| *step <= mantissa) as i32 - 1;
    exponent * OCTAVE + step
}

/// Where an edge bin begins.
#[must_use]
pub fn lower(edge: i32) -> f64 {
    STEPS[edge.rem_euclid(OCTAVE) as usize] * f64::from(edge.div_euclid(OCTAVE)).exp2()
}

/// The geometric middle of an edge bin.
#[must_use]
pub fn middle(edge: i32) -> f64 {
    lower(edge) * (0.5 / f64::from(OCTAVE)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activation_lies_in_its_edge_bin() {
        assert_eq!((edge_of(1.0), edge_of(2.0), edge_of(0.5)), (0, 64, -64));
        for activation in
            [f32::from_bits(1), 1e-42, f32::MIN_POSITIVE, 1e-3, 0.7, 0.999_999_94, 1.0, 1.5, 31.2, 1e9, f32::MAX]
        {
            let (edge, value) = (edge_of(activation), f64::from(activation));
            assert!(EDGES.contains(&edge), "{activation}: {edge}");
            assert!(lower(edge) <= value && value < lower(edge + 1), "{activation}: {edge}");
            assert!((middle(edge) / value).ln().abs() < 0.011, "{activation}");
        }
    }
}
