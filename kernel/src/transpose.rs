//! Columns that lie one after the other, copied side by side: a transposition, in squares of the registers' size.
//! Not here: what is copied, and where to (`panels.rs`).

#![expect(clippy::inline_always, reason = "vectors live in registers only where the whole loop is one function")]

use pulp::{Simd, WithSimd};

/// `out`, \[inner, columns\], from columns of the same length `inner`; as many as `out` has room for. Inlined into a
/// loop that runs in the widest vectors.
pub(super) struct Turn<'a> {
    /// \[inner, width\].
    pub out: &'a mut [f32],
    pub width: usize,
    /// No more than `width`; what would stand beyond them is left as it is.
    pub columns: &'a [&'a [f32]],
}

impl WithSimd for Turn<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let inner = self.columns.first().map_or(0, |column| column.len());
        let done = self.whole_squares::<S>();
        let whole = |count: usize| count.checked_div(done).unwrap_or(0) * done;
        let (turned, groups) = (whole(inner), whole(self.columns.len()));
        for (at, column) in self.columns.iter().enumerate() {
            let first = if at < groups { turned } else { 0 };
            for (k, value) in column.iter().enumerate().skip(first) {
                self.out[k * self.width + at] = *value;
            }
        }
    }
}

impl Turn<'_> {
    /// Turns what can be turned in squares, and gives the size of one; 0 where there are none.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn whole_squares<S: Simd>(&mut self) -> usize {
        if S::F32_LANES == 16
            && let Some(simd) = pulp::x86::V4::try_new()
        {
            squares::<16>(self.out, self.width, self.columns, |square| x86::sixteen(simd, square))
        } else if S::F32_LANES == 8
            && let Some(simd) = pulp::x86::V3::try_new()
        {
            squares::<8>(self.out, self.width, self.columns, |square| x86::eight(simd, square))
        } else {
            0
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn whole_squares<S: Simd>(&mut self) -> usize {
        0
    }
}

/// Turns all whole squares, and gives their size.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn squares<const N: usize>(
    out: &mut [f32],
    width: usize,
    columns: &[&[f32]],
    transpose: impl Fn([[f32; N]; N]) -> [[f32; N]; N],
) -> usize {
    for (group, columns) in columns.as_chunks::<N>().0.iter().enumerate() {
        let parts: [&[[f32; N]]; N] = columns.map(|column| column.as_chunks::<N>().0);
        let count = parts[0].len();
        assert!(parts.iter().all(|part| part.len() == count), "columns of one length");
        for (step, out) in out.chunks_mut(N * width).take(count).enumerate() {
            let square = transpose(std::array::from_fn(|column| parts[column][step]));
            for (k, row) in square.iter().enumerate() {
                let start = k * width + group * N;
                out[start..start + N].copy_from_slice(row);
            }
        }
    }
    N
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m512};

    use pulp::cast;
    use pulp::x86::{V3, V4};

    #[inline(always)]
    pub(super) fn sixteen(simd: V4, square: [[f32; 16]; 16]) -> [[f32; 16]; 16] {
        let simd = simd.avx512f;
        let rows: [__m512; 16] = square.map(cast);
        let pairs: [__m512; 16] = std::array::from_fn(|i| {
            let (a, b) = (rows[i & !1], rows[i | 1]);
            if i & 1 == 0 { simd._mm512_unpacklo_ps(a, b) } else { simd._mm512_unpackhi_ps(a, b) }
        });
        // Of each four rows, four columns in each quarter: column 4·quarter + i.
        let fours: [__m512; 16] = std::array::from_fn(|i| {
            let (group, i) = (i & !3, i & 3);
            let (a, b) = (cast(pairs[group + i / 2]), cast(pairs[group + i / 2 + 2]));
            cast(if i & 1 == 0 { simd._mm512_unpacklo_pd(a, b) } else { simd._mm512_unpackhi_pd(a, b) })
        });
        let even = |a, b| simd._mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
        let odd = |a, b| simd._mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
        std::array::from_fn(|column| {
            let (quarter, i) = (column / 4, column % 4);
            let (a, b) = if quarter & 1 == 0 {
                (even(fours[i], fours[4 + i]), even(fours[8 + i], fours[12 + i]))
            } else {
                (odd(fours[i], fours[4 + i]), odd(fours[8 + i], fours[12 + i]))
            };
            cast(if quarter < 2 { even(a, b) } else { odd(a, b) })
        })
    }

    #[inline(always)]
    pub(super) fn eight(simd: V3, square: [[f32; 8]; 8]) -> [[f32; 8]; 8] {
        let simd = simd.avx;
        let rows: [__m256; 8] = square.map(cast);
        let pairs: [__m256; 8] = std::array::from_fn(|i| {
            let (a, b) = (rows[i & !1], rows[i | 1]);
            if i & 1 == 0 { simd._mm256_unpacklo_ps(a, b) } else { simd._mm256_unpackhi_ps(a, b) }
        });
        // Of each four rows, four columns in each half: column 4·half + i.
        let fours: [__m256; 8] = std::array::from_fn(|i| {
            let (group, i) = (i & !3, i & 3);
            let (a, b) = (cast(pairs[group + i / 2]), cast(pairs[group + i / 2 + 2]));
            cast(if i & 1 == 0 { simd._mm256_unpacklo_pd(a, b) } else { simd._mm256_unpackhi_pd(a, b) })
        });
        std::array::from_fn(|column| {
            let (half, i) = (column / 4, column % 4);
            let (a, b) = (fours[i], fours[4 + i]);
            cast(if half == 0 {
                simd._mm256_permute2f128_ps::<0x20>(a, b)
            } else {
                simd._mm256_permute2f128_ps::<0x31>(a, b)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_to_its_place_in_every_kind_of_vector() {
        for (inner, count, width) in [(1, 1, 32), (16, 16, 16), (37, 19, 32), (48, 32, 32), (9, 8, 8), (70, 17, 32)] {
            let data: Vec<f32> = (0..inner * count).map(|i| i as f32).collect();
            let columns: Vec<&[f32]> = data.chunks(inner).collect();
            let check = |run: &dyn Fn(Turn<'_>)| {
                let mut out = vec![-1.0; inner * width];
                run(Turn { out: &mut out, width, columns: &columns });
                for k in 0..inner {
                    for at in 0..width {
                        let want = if at < count { data[at * inner + k] } else { -1.0 };
                        assert_eq!(out[k * width + at], want, "{inner} {count} {width}: {k} {at}");
                    }
                }
            };
            check(&|transpose| super::super::micro::widest(transpose));
            check(&|transpose| pulp::Scalar256b.vectorize(transpose));
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                check(&|transpose| Simd::vectorize(simd, transpose));
            }
        }
    }
}
