//! Products of bfloat16 matrices by the tiles that some x86 processors have (AMX), summed in f32.
//! Not here: what so coarse a product is good for (`sieve.rs`).
//!
//! A tile of the left side is 16 rows × 32 inner indices, one of the right side 32 inner indices × 16 columns, whose
//! indices go in pairs; each takes a kilobyte. Sides are copied into such tiles, filled up with zeros, so that a product
//! reads them straight on.

use std::ops::Range;

use rayon::prelude::*;

use super::View;

/// Rows and columns of a tile of the result.
const SIDE: usize = 16;

/// Inner indices of a tile.
const INNER: usize = 32;

/// Rows and columns that are computed together: two tiles either way, so that each that is read is used twice.
const SIDE_PER_STEP: usize = 2 * SIDE;

/// A matrix rounded to bfloat16, in tiles: those of the first 16 rows or columns by rising inner index, then the next.
pub(super) struct Halves {
    lines: Vec<Line>,
    /// Rows or columns that are there.
    count: usize,
    /// Tiles along the inner size.
    steps: usize,
}

/// A row of a tile. Reading one that lies across two cache lines would cost two reads.
#[derive(Clone, Copy, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u16; INNER]);

impl Halves {
    /// The left side, \[rows, inner\].
    pub(super) fn rows(rows: View<'_>) -> Self {
        Self::tiled(rows, |row, inner| (row, inner))
    }

    /// The right side, of which each row of \[columns, inner\] is a column.
    pub(super) fn columns(columns: View<'_>) -> Self {
        Self::tiled(columns, |column, inner| (inner / 2, 2 * column + inner % 2))
    }

    /// `place` is the line of its tile, and the place there, of a value by its row and inner index within the tile.
    fn tiled(matrix: View<'_>, place: impl Fn(usize, usize) -> (usize, usize) + Sync) -> Self {
        let (count, steps) = (matrix.rows(), matrix.cols().div_ceil(INNER));
        let mut lines = vec![Line([0; INNER]); count.next_multiple_of(SIDE_PER_STEP) * steps];
        lines.par_chunks_mut((SIDE * steps).max(1)).enumerate().for_each(|(group, tiles)| {
            for row in group * SIDE..count.min((group + 1) * SIDE) {
                let values = matrix.row(row).unwrap_or_default();
                for (tile, values) in tiles.chunks_exact_mut(SIDE).zip(values.chunks(INNER)) {
                    for (inner, value) in values.iter().enumerate() {
                        let (line, at) = place(row - group * SIDE, inner);
                        tile[line].0[at] = rounded(*value);
                    }
                }
            }
        });
        Self { lines, count, steps }
    }

    /// The tiles of 16 rows or columns.
    fn tiles(&self, group: usize) -> &[Line] {
        &self.lines[group * SIDE * self.steps..(group + 1) * SIDE * self.steps]
    }
}

/// To the nearest bfloat16, ties to the even one. Numbers so large that this is none, and such, become what is none.
const fn rounded(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return 0x7fc0;
    }
    ((bits.wrapping_add(0x7fff + (bits >> 16 & 1))) >> 16) as u16
}

/// That this processor has tiles, and this program may use them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles(());

impl Tiles {
    /// `None` where there are none.
    pub(super) fn of_this_processor() -> Option<Self> {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        {
            use std::sync::LazyLock;
            static THERE: LazyLock<bool> = LazyLock::new(x86::may_be_used);
            THERE.then_some(Self(()))
        }
        #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
        None
    }

    /// `left` by some columns of `right`, which begin at a multiple of 32, as rows of `out`; gives the distance from one
    /// row to the next.
    pub(super) fn products(self, out: &mut Vec<f32>, left: &Halves, right: &Halves, columns: Range<usize>) -> usize {
        assert!(left.steps == right.steps && columns.start.is_multiple_of(SIDE_PER_STEP) && columns.end <= right.count);
        let (rows, apart) = (left.count.next_multiple_of(SIDE_PER_STEP), columns.len().next_multiple_of(SIDE_PER_STEP));
        out.resize(rows * apart, 0.0);
        if left.steps == 0 {
            out.fill(0.0);
            return apart;
        }
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        x86::products(self, out, left, right, columns);
        apart
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod x86 {
    use std::arch::asm;
    use std::ops::Range;

    use super::{Halves, Line, SIDE, SIDE_PER_STEP, Tiles};

    /// Whether the processor has tiles of bfloat16, and the system lets this process have the registers.
    #[expect(unsafe_code, reason = "the standard library has no call for it")]
    pub(super) fn may_be_used() -> bool {
        const BF16: u32 = 1 << 22;
        const TILE: u32 = 1 << 24;
        const REQUEST: i64 = 0x1023;
        const TILES: i64 = 18;
        if std::arch::x86_64::__cpuid_count(0, 0).eax < 7 {
            return false;
        }
        let has = std::arch::x86_64::__cpuid_count(7, 0).edx;
        // SAFETY: the call (`ARCH_REQ_XCOMP_PERM`, see the kernel's `x86/xstate.rst`) takes two numbers and touches no
        // memory of this program; a kernel that does not know it gives an error.
        has & BF16 != 0 && has & TILE != 0 && unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, TILES) } == 0
    }

    /// How large the eight tiles are: 16 lines of 64 bytes, each.
    #[repr(C, align(64))]
    struct Shape {
        palette: u8,
        first: u8,
        nothing: [u8; 14],
        bytes: [u16; 16],
        lines: [u8; 16],
    }

    #[expect(unsafe_code, reason = "the instructions have no functions in stable Rust")]
    pub(super) fn products(_: Tiles, out: &mut [f32], left: &Halves, right: &Halves, columns: Range<usize>) {
        let apart = columns.len().next_multiple_of(SIDE_PER_STEP);
        let mut shape = Shape { palette: 1, first: 0, nothing: [0; 14], bytes: [0; 16], lines: [0; 16] };
        shape.bytes[..8].fill(size_of::<Line>() as u16);
        shape.lines[..8].fill(SIDE as u8);
        // SAFETY: `Tiles` is only made where the processor has the instruction and the system has let this process have
        // the registers; it reads the 64 bytes of `shape`. The compiler uses no tiles of its own.
        unsafe { asm!("ldtilecfg [{0}]", in(reg) &raw const shape, options(nostack, readonly, preserves_flags)) };
        for column in columns.clone().step_by(SIDE_PER_STEP) {
            let right = [right.tiles(column / SIDE), right.tiles(column / SIDE + 1)];
            for row in (0..left.count).step_by(SIDE_PER_STEP) {
                let left = [left.tiles(row / SIDE), left.tiles(row / SIDE + 1)];
                let start = row * apart + column - columns.start;
                let out = &mut out[start..start + (SIDE_PER_STEP - 1) * apart + SIDE_PER_STEP];
                square(out, apart, left, right);
            }
        }
        // SAFETY: as above; it gives the registers back.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }

    /// 32 × 32 products, the rows of `out` that far apart.
    #[expect(unsafe_code, reason = "the instructions have no functions in stable Rust")]
    #[inline]
    fn square(out: &mut [f32], apart: usize, left: [&[Line]; 2], right: [&[Line]; 2]) {
        let steps = left[0].len() / SIDE;
        assert!(steps > 0 && out.len() >= (SIDE_PER_STEP - 1) * apart + SIDE_PER_STEP);
        assert!([left[0], left[1], right[0], right[1]].iter().all(|tiles| tiles.len() == steps * SIDE));
        // SAFETY: the tiles are configured as 16 lines of 64 bytes by the only caller. Each step reads one tile, 16 lines
        // 64 bytes apart, of each of the four sides, which hold `steps` of them; the end writes 16 lines of 16 values to
        // four places of `out`, the last of which ends with it.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm4, [{a} + {line}]",
                "tileloadd tmm6, [{c} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{d} + {line}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{b} + {line}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 1024",
                "add {b}, 1024",
                "add {c}, 1024",
                "add {d}, 1024",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{upper} + {apart}], tmm0",
                "tilestored [{upper} + {apart} + 64], tmm1",
                "tilestored [{lower} + {apart}], tmm2",
                "tilestored [{lower} + {apart} + 64], tmm3",
                a = inout(reg) left[0].as_ptr() => _,
                b = inout(reg) left[1].as_ptr() => _,
                c = inout(reg) right[0].as_ptr() => _,
                d = inout(reg) right[1].as_ptr() => _,
                steps = inout(reg) steps => _,
                line = in(reg) size_of::<Line>(),
                upper = in(reg) out.as_mut_ptr(),
                lower = in(reg) out[SIDE * apart..].as_mut_ptr(),
                apart = in(reg) apart * size_of::<f32>(),
                options(nostack),
            );
        }
    }
}
