//! Functions of single values and of rows, over slices, in the widest vectors the processor has.
//! Not here: products.
//!
//! The loops are plain Rust without branches: compiled for the widest vectors, each becomes a vector loop.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for the widest vectors")]

use pulp::{Simd, WithSimd};

use super::micro::widest;

/// 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) of every value, in place: the tanh form of gelu.
pub fn gelu_tanh(values: &mut [f32]) {
    widest(Map(values, |x| {
        // 0.5·(1 + tanh u) = 1 / (1 + e^(−2u)), without the cancellation.
        const TWICE_ROOT: f32 = (2.0 * 0.797_884_560_802_865_4_f64) as f32;
        x / (1.0 + exp(-TWICE_ROOT * (x + 0.044_715 * x * x * x)))
    }));
}

/// x / (1 + e^(−x)) of every value, in place: SiLU, which is also called swish.
pub fn silu(values: &mut [f32]) {
    widest(Map(values, |x: f32| x / (1.0 + exp(-x))));
}

/// x / (1 + e^(−1.702·x)) of every value, in place: a quick form of gelu.
pub fn quick_gelu(values: &mut [f32]) {
    widest(Map(values, |x: f32| x / (1.0 + exp(-1.702 * x))));
}

/// cap · tanh(x · scale / cap) of every value, in place: Gemma 2's soft cap.
pub fn soft_cap(values: &mut [f32], scale: f32, cap: f32) {
    widest(Map(values, |x: f32| cap * tanh(x * scale / cap)));
}

/// The bfloat16 values of a file, two little-endian bytes each, as f32.
///
/// # Panics
/// When `out` has another number of values.
pub fn widen_bf16(stored: &[u8], out: &mut [f32]) {
    widest(Widen(stored, out, |bits: u16| f32::from_bits(u32::from(bits) << 16)));
}

/// The IEEE half-precision values of a file, two little-endian bytes each, as f32.
///
/// # Panics
/// When `out` has another number of values.
pub fn widen_f16(stored: &[u8], out: &mut [f32]) {
    widest(Widen(stored, out, widened_f16));
}

#[inline(always)]
fn widened_f16(bits: u16) -> f32 {
    /// 2¹¹², the difference of the exponents' biases: exact for subnormal numbers too.
    const BIAS: f32 = f32::from_bits((112 + 127) << 23);
    let (sign, size) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff) << 13);
    let finite = (f32::from_bits(size) * BIAS).to_bits();
    // All exponent bits set: infinite or not a number, here as there.
    let size = if size < 0x7c00 << 13 { finite } else { size | 0x7f80_0000 };
    f32::from_bits(sign | size)
}

/// The values of a file in eight bits with four of exponent and no infinities (E4M3), as f32.
///
/// # Panics
/// When `out` has another number of values.
pub fn widen_f8_e4m3(stored: &[u8], out: &mut [f32]) {
    widest(WidenBytes(stored, out, |bits: u8| {
        /// 2¹²⁰, the difference of the exponents' biases: exact for subnormal numbers too.
        const BIAS: f32 = f32::from_bits((120 + 127) << 23);
        let (sign, size) = (u32::from(bits & 0x80) << 24, u32::from(bits & 0x7f) << 20);
        let finite = (f32::from_bits(size) * BIAS).to_bits();
        // All bits but the sign set: not a number.
        let size = if size == 0x7f << 20 { f32::NAN.to_bits() } else { finite };
        f32::from_bits(sign | size)
    }));
}

/// The values of a file in eight bits with five of exponent (E5M2), as f32: each is the upper byte of a half.
///
/// # Panics
/// When `out` has another number of values.
pub fn widen_f8_e5m2(stored: &[u8], out: &mut [f32]) {
    widest(WidenBytes(stored, out, |bits: u8| widened_f16(u16::from(bits) << 8)));
}

/// Softmax over the first `visible` values times `scale`, which is not negative, in place; the rest become 0.
///
/// # Panics
/// When `visible` is more than there are.
pub fn softmax(values: &mut [f32], visible: usize, scale: f32) {
    let (seen, hidden) = values.split_at_mut(visible);
    hidden.fill(0.0);
    widest(Softmax { values: seen, scale });
}

struct Softmax<'a> {
    values: &'a mut [f32],
    scale: f32,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { values, scale } = self;
        let largest = largest(values) * scale;
        for value in &mut *values {
            *value = exp(*value * scale - largest);
        }
        let share = 1.0 / sum(values);
        for value in values {
            *value *= share;
        }
    }
}

/// (x − mean) / √(variance + epsilon), times gain, plus bias, in place (Ba et al., *Layer Normalization*, 2016).
///
/// # Panics
/// When the sizes differ.
pub fn layer_norm(row: &mut [f32], gain: &[f32], bias: &[f32], epsilon: f32) {
    assert!(row.len() == gain.len() && row.len() == bias.len(), "sizes of a row, gain and bias");
    widest(LayerNorm { row, gain, bias, epsilon });
}

struct LayerNorm<'a> {
    row: &'a mut [f32],
    gain: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
}

impl WithSimd for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { row, gain, bias, epsilon } = self;
        let size = row.len() as f32;
        let mean = sum(row) / size;
        for value in &mut *row {
            *value -= mean;
        }
        let variance = super::dot(row, row) / size;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for ((value, gain), bias) in row.iter_mut().zip(gain).zip(bias) {
            *value = *value * scale * gain + bias;
        }
    }
}

/// x / √(mean of x² + epsilon), times gain, in place (Zhang & Sennrich, *Root Mean Square Layer Normalization*, 2019).
///
/// # Panics
/// When the sizes differ.
pub fn rms_norm(row: &mut [f32], gain: &[f32], epsilon: f32) {
    assert!(row.len() == gain.len(), "sizes of a row and gain");
    widest(RmsNorm { row, gain, epsilon });
}

struct RmsNorm<'a> {
    row: &'a mut [f32],
    gain: &'a [f32],
    epsilon: f32,
}

impl WithSimd for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { row, gain, epsilon } = self;
        let square = super::dot(row, row) / row.len() as f32;
        let scale = 1.0 / (square + epsilon).sqrt();
        for (value, gain) in row.iter_mut().zip(gain) {
            *value = *value * scale * gain;
        }
    }
}

/// The largest value; what is not a number does not count.
#[inline(always)]
pub fn largest(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<64>();
    let mut largest = [f32::NEG_INFINITY; 64];
    for group in groups {
        for (largest, value) in largest.iter_mut().zip(group) {
            *largest = if *value > *largest { *value } else { *largest };
        }
    }
    largest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Σ exp(value − largest), in f64, where no value is above `largest`.
pub fn sum_of_exponentials(values: &[f32], largest: f32) -> f64 {
    widest(Exponentials(values, largest))
}

struct Exponentials<'a>(&'a [f32], f32);

impl WithSimd for Exponentials<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let (groups, rest) = self.0.as_chunks::<16>();
        let mut sums = [0.0f64; 16];
        for group in groups {
            for (sum, value) in sums.iter_mut().zip(group) {
                *sum += exp64(f64::from(value - self.1));
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|value| exp64(f64::from(value - self.1))).sum::<f64>()
    }
}

/// e^x for x ≤ 0 to within 2 units in the last place, without branches; 0 below −708. Keeps NaN.
#[inline(always)]
fn exp64(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 · 2⁵²: adding it leaves a whole number in the low bits.
    const LN2: (f64, f64) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
    let clamped = if x < -708.0 { -708.0 } else { x };
    let shifted = clamped * std::f64::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = clamped - whole * LN2.0 - whole * LN2.1;
    let mut sum = 1.0 / 6_227_020_800.0;
    // The series' other coefficients, 1/12! to 1/0!: |rest| ≤ ln 2 / 2, so that the next term is below 10⁻¹⁷.
    for factorial in
        [479_001_600.0, 39_916_800.0, 3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0]
    {
        sum = sum * rest + 1.0 / factorial;
    }
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()));
    if x < -708.0 { 0.0 } else { sum * power }
}

/// Values that are looked at together by [`reaching`].
pub const VALUES_PER_CHECK: usize = 64;

/// The first group of [`VALUES_PER_CHECK`] values of which one is at least `floor`, or no number.
#[must_use]
pub fn reaching(values: &[f32], floor: f32) -> Option<usize> {
    widest(Reaching { values, floor })
}

struct Reaching<'a> {
    values: &'a [f32],
    floor: f32,
}

impl WithSimd for Reaching<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<usize> {
        let Self { values, floor } = self;
        let may = |value: f32| (value >= floor) | value.is_nan();
        let (groups, rest) = values.as_chunks::<VALUES_PER_CHECK>();
        for (group, values) in groups.iter().enumerate() {
            let mut any = false;
            for value in values {
                any |= may(*value);
            }
            if any {
                return Some(group);
            }
        }
        rest.iter().any(|value| may(*value)).then_some(groups.len())
    }
}

/// The sum, in a fixed order.
#[inline(always)]
pub fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0f32; 16];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

struct Map<'a, F>(&'a mut [f32], F);

impl<F: Fn(f32) -> f32> WithSimd for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for value in self.0 {
            *value = (self.1)(*value);
        }
    }
}

struct Widen<'a, F>(&'a [u8], &'a mut [f32], F);

impl<F: Fn(u16) -> f32> WithSimd for Widen<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let stored = self.0.as_chunks::<2>().0;
        assert_eq!(stored.len(), self.1.len(), "values and room for them");
        for (out, bytes) in self.1.iter_mut().zip(stored) {
            *out = (self.2)(u16::from_le_bytes(*bytes));
        }
    }
}

struct WidenBytes<'a, F>(&'a [u8], &'a mut [f32], F);

impl<F: Fn(u8) -> f32> WithSimd for WidenBytes<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        assert_eq!(self.0.len(), self.1.len(), "values and room for them");
        for (out, bits) in self.1.iter_mut().zip(self.0) {
            *out = (self.2)(*bits);
        }
    }
}

/// tanh x to within 3 units in the last place, without branches: near 0 an odd polynomial (Cephes' `tanhf`), elsewhere
/// 1 − 2 / (e^(2|x|) + 1) with the sign of x. Keeps NaN.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let square = x * x;
    let mut near = -5.704_988_7e-3;
    for coefficient in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        near = near * square + coefficient;
    }
    let near = near * square * x + x;
    let far = (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x);
    if x.abs() < 0.625 { near } else { far }
}

/// e^x to within 2 units in the last place, for f32 without branches: x = n·ln 2 + r, e^r by its Taylor polynomial on
/// |r| ≤ ln 2 / 2, times 2^n. Is infinity above 88.3, a little early, and 0 below −87.3; keeps NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// Within these, 2^n is a normal number.
    const LOWEST: f32 = -87.3;
    const HIGHEST: f32 = 88.3;
    /// ln 2 in two parts, the first with zeros at its end, so that n times it is exact.
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    let within = x.clamp(LOWEST, HIGHEST);
    let shifted = within * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (within - n * LN_2.0) - n * LN_2.1;
    let mut power = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        power = power * r + coefficient;
    }
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    let result = power * f32::from_bits(exponent << 23);
    let result = if x < LOWEST { 0.0 } else { result };
    if x > HIGHEST { f32::INFINITY } else { result }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_to_the_last_digits_everywhere() {
        let mut x = -87.0f32;
        while x < 88.3 {
            let want = f64::from(x).exp();
            let error = (f64::from(exp(x)) - want).abs() / want;
            assert!(error < 2.5e-7, "e^{x}: {} instead of {want}", exp(x));
            x += 0.003_17;
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY), exp(-1e30)), (1.0, 0.0, 0.0));
        assert_eq!((exp(f32::INFINITY), exp(100.0)), (f32::INFINITY, f32::INFINITY));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn gelu_is_the_tanh_form() {
        let xs: Vec<f32> = (-4000..4000).map(|i| i as f32 / 250.0).collect();
        let mut got = xs.clone();
        gelu_tanh(&mut got);
        for (x, got) in xs.iter().zip(got) {
            let x = f64::from(*x);
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            let want = 0.5 * x * (1.0 + u.tanh());
            assert!((f64::from(got) - want).abs() < 1e-6 * want.abs() + 5e-9, "{x}: {got} instead of {want}");
        }
        let mut ends = [f32::MIN, f32::MAX, f32::NAN, -1e4, 1e4];
        gelu_tanh(&mut ends);
        assert!(ends[0] == 0.0 && ends[1] == f32::MAX && ends[2].is_nan() && ends[3] == 0.0 && ends[4] == 1e4);
    }

    #[test]
    fn tanh_and_silu_are_right_to_the_last_digits_everywhere() {
        for i in -40_000..40_000 {
            let x = i as f32 / 2000.0;
            let want = f64::from(x).tanh();
            assert!((f64::from(tanh(x)) - want).abs() <= 2.5e-7 * want.abs(), "{x}: {} instead of {want}", tanh(x));
            let mut got = [x];
            silu(&mut got);
            let want = f64::from(x) / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(got[0]) - want).abs() <= 4e-7 * want.abs(), "{x}: {} instead of {want}", got[0]);
        }
        assert_eq!([tanh(f32::INFINITY), tanh(-1e30), tanh(0.0)], [1.0, -1.0, 0.0]);
        assert!(tanh(f32::NAN).is_nan());
        let mut capped = [1e9, -1e9, 0.0, 3.0];
        soft_cap(&mut capped, 2.0, 5.0);
        let want = 5.0 * (6.0f64 / 5.0).tanh();
        assert!(capped[..3] == [5.0, -5.0, 0.0] && (f64::from(capped[3]) - want).abs() < 1e-6);
    }

    #[test]
    fn every_half_precision_value_is_widened_exactly() {
        let all: Vec<u16> = (0..=u16::MAX).collect();
        let bytes: Vec<u8> = all.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let mut got = vec![0.0; all.len()];
        let same = |got: f32, want: f32| got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
        widen_f16(&bytes, &mut got);
        assert!(got.iter().zip(&all).all(|(got, bits)| same(*got, half::f16::from_bits(*bits).to_f32())));
        widen_bf16(&bytes, &mut got);
        assert!(got.iter().zip(&all).all(|(got, bits)| same(*got, half::bf16::from_bits(*bits).to_f32())));
    }

    #[test]
    fn a_row_normed_by_its_root_mean_square_has_the_size_asked_for() {
        let mut row: Vec<f32> = (0..45).map(|i| (i * i % 17) as f32 - 3.0).collect();
        let first = row[1];
        rms_norm(&mut row, &[2.0; 45], 1e-12);
        let square = row.iter().map(|value| value * value).sum::<f32>() / 45.0;
        assert!((square - 4.0).abs() < 1e-4 && row[1].signum() == first.signum(), "{square}");
    }

    #[test]
    fn double_precision_exponentials_are_right_to_the_last_digits() {
        for i in 0..200_000 {
            let x = f64::from(i) * -0.00371;
            let (got, want) = (exp64(x), x.exp());
            let error = (got - want).abs() / want;
            assert!(if x < -708.0 { got == 0.0 } else { error < 5e-16 }, "{x}: {got} {want}");
        }
        assert!(exp64(f64::NAN).is_nan() && exp64(f64::NEG_INFINITY) == 0.0 && exp64(0.0) == 1.0);
        let values: Vec<f32> = (0..1000).map(|i| (i * 37 % 101) as f32 * -0.3).collect();
        let want: f64 = values.iter().map(|value| f64::from(*value).exp()).sum();
        assert!((sum_of_exponentials(&values, 0.0) - want).abs() < 1e-12 * want);
    }

    #[test]
    fn the_first_group_that_reaches_is_found_wherever_it_is() {
        for count in [0, 1, 63, 64, 65, 300] {
            assert_eq!(reaching(&vec![0.4; count], 0.5), None);
            for at in 0..count {
                for reaches in [0.5, f32::NAN, f32::INFINITY] {
                    let mut values = vec![0.4; count];
                    values[at] = reaches;
                    assert_eq!(reaching(&values, 0.5), Some(at / VALUES_PER_CHECK), "{at} of {count}");
                }
            }
        }
    }

    #[test]
    fn the_largest_is_found_wherever_it_is_and_what_is_no_number_is_passed_over() {
        assert_eq!(largest(&[]), f32::NEG_INFINITY);
        for count in [1, 63, 64, 65, 200] {
            for at in 0..count {
                let mut values = vec![-3.0; count];
                values[at] = -1.0;
                assert_eq!(largest(&values), -1.0, "{at} of {count}");
                values[(at + 1) % count] = f32::NAN;
                assert_eq!(largest(&values), if count == 1 { f32::NEG_INFINITY } else { -1.0 });
            }
        }
    }

    #[test]
    fn softmax_adds_up_to_one_over_what_is_visible() {
        let mut values: Vec<f32> = (0..37).map(|i| (i * 7 % 11) as f32 * 30.0 - 100.0).collect();
        let want: Vec<f64> = values[..30].iter().map(|v| f64::from(*v * 0.5 - 100.0).exp()).collect();
        softmax(&mut values, 30, 0.5);
        let whole: f64 = want.iter().sum();
        assert!(values[30..].iter().all(|value| *value == 0.0));
        for (got, want) in values.iter().zip(&want) {
            assert!((f64::from(*got) - want / whole).abs() < 1e-6);
        }
    }

    #[test]
    fn a_normed_row_has_the_mean_and_deviation_asked_for() {
        let mut row: Vec<f32> = (0..45).map(|i| (i * i % 17) as f32 + 100.0).collect();
        layer_norm(&mut row, &[2.0; 45], &[3.0; 45], 1e-12);
        let mean = row.iter().sum::<f32>() / 45.0;
        let deviation = (row.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 45.0).sqrt();
        assert!((mean - 3.0).abs() < 1e-4 && (deviation - 2.0).abs() < 1e-4, "{mean} {deviation}");
    }
}
