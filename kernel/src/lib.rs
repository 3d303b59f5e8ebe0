//! The matrix products this program exists for: f32, strided, tiled, each tile handed to its reader while it is in the
//! cache. Not here: what the numbers mean.
//!
//! Both sides are copied into the order in which a block of the result, which stands in registers, reads them: the left
//! side once for a product ([`Left`]), the right side some columns at a time while they are used, or once for many
//! products ([`Packed`]). Each element is a chain of multiply-adds by rising inner index, whatever block and tile it
//! stands in and wherever the columns come from, so results are the same bits however many threads there are, and a row
//! is the same whatever other rows are computed with it.

mod apply;
mod awake;
mod block;
mod few;
mod left;
pub mod maps;
mod micro;
mod panels;
mod scratch;
pub mod sieve;
mod tiles;
mod transpose;
mod view;

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

pub use awake::awake;
pub use block::fetch;
pub use left::Left;
pub use panels::Packed;
pub use view::{Columns, View};

use apply::{Apply, COPIED, runs, through_panels};
use few::Few;
use micro::{shape, widest};
use scratch::{ScratchBuffer, fresh};

/// Most columns of a tile, a multiple of every panel's width: 512 rows × 512 columns of f32 are 1 MiB, which stay in a
/// core's second-level cache.
pub const TILE: usize = 512;

/// Up to this many rows, reading the right side from memory counts: it is gone through once, in the order in which it
/// lies.
const MEMORY_BOUND_ROWS: usize = 64;

/// Most columns of a tile of no more than [`MEMORY_BOUND_ROWS`] rows: long pieces of rows come faster from memory.
const MAX_TILE_COLUMNS: usize = 2048;

/// How wide the tiles are in which the columns of a product are shared out: as many for each thread as for any other.
fn tile(rows: usize, cols: usize, alone: bool) -> usize {
    let most = if rows > MEMORY_BOUND_ROWS { TILE } else { MAX_TILE_COLUMNS };
    let threads = if alone { 1 } else { 2 * rayon::current_num_threads() };
    let tiles = cols.div_ceil(most).next_multiple_of(threads);
    cols.div_ceil(tiles.max(1)).next_multiple_of(shape().width).max(1)
}

/// Products of fewer multiplications than this take some microseconds: less than waking another thread.
pub const PARALLEL_MIN_FLOPS: usize = 1 << 18;

/// `tile = left · b`, row-major [rows, columns], in some columns of `b`, on the calling thread; `made` is room that may
/// be used again.
///
/// # Panics
/// When the shapes do not agree.
pub fn tile_product(tile: &mut [f32], left: &Left, b: impl Columns, columns: Range<usize>, made: &mut Vec<f32>) {
    assert_eq!(tile.len(), left.rows() * columns.len(), "size of the result");
    multiply(&mut rows_of(tile, columns.len()), left, 0..left.groups(), b, columns, made);
}

/// `out = a · b`, `out` row-major [a.rows, b.cols], on the calling thread.
///
/// # Panics
/// When the shapes do not agree.
pub fn product(out: &mut [f32], a: View<'_>, b: View<'_>) {
    assert_eq!(out.len(), a.rows * b.cols, "size of the result");
    if b.cols == 0 {
        return;
    }
    product_into(&mut rows_of(out, b.cols), a, b);
}

/// [`product`] with a row of the result in each slice.
///
/// # Panics
/// When the shapes do not agree.
pub fn product_into(out: &mut [&mut [f32]], a: View<'_>, b: View<'_>) {
    assert_eq!(out.len(), a.rows, "rows of the result");
    let left = Left::new(a);
    multiply(out, &left, 0..left.groups(), b, 0..b.cols, &mut Vec::new());
}

/// `out += a · b` with a row of the result in each slice, on the calling thread, where each element's chain of
/// multiply-adds continues from what stands there: the bits are those of one product whose inner size is cut in two.
///
/// # Panics
/// When the shapes do not agree, or the rows of `b` are not contiguous.
pub fn add_product(out: &mut [&mut [f32]], a: View<'_>, b: View<'_>) {
    assert!(b.rows_are_contiguous() && b.fits(), "contiguous rows");
    assert_eq!((out.len(), a.cols), (a.rows, b.rows), "rows of the result, and inner sizes");
    assert!(out.iter().all(|row| row.len() == b.cols), "size of the result");
    for (part, out) in out.chunks_mut(few::MAX_ROWS).enumerate() {
        let first = part * few::MAX_ROWS;
        widest(Few { a: a.select_rows(first..first + out.len()), out, b, onto: true });
    }
}

/// The rows of a row-major matrix.
fn rows_of(values: &mut [f32], cols: usize) -> Vec<&mut [f32]> {
    values.chunks_exact_mut(cols.max(1)).collect()
}

/// `out = left · b`, a row of it in each slice, for some groups of rows and some columns of `b`, on the calling thread;
/// `made` is room to make columns in.
fn multiply(
    out: &mut [&mut [f32]],
    left: &Left,
    groups: Range<usize>,
    b: impl Columns,
    columns: Range<usize>,
    made: &mut Vec<f32>,
) {
    let inner = left.inner();
    assert_eq!(inner, b.inner(), "inner sizes");
    if out.is_empty() || columns.is_empty() {
        return;
    }
    assert!(out.iter().all(|row| row.len() == columns.len()), "size of the result");
    if inner == 0 {
        for row in out.iter_mut() {
            row.fill(0.0);
        }
        return;
    }
    let width = shape().width;
    if let Some(packed) = b.packed()
        && columns.start.is_multiple_of(width)
    {
        let (panels, columns) = (packed.panels(columns.start), 0..columns.len());
        widest(Apply { out, columns, left, groups, panels, inner: 0..inner });
        return;
    }
    let many = usize::from(out.len() > MEMORY_BOUND_ROWS);
    let mut start = columns.start;
    while start < columns.end {
        let together = COPIED[many][0].0.min(b.most() / width * width).max(width);
        let part = start..columns.end.min(start + together);
        let within = start - columns.start..part.end - columns.start;
        let view = b.view(part, made);
        assert!(view.fits(), "a view reaches beyond its data");
        if out.len() <= few::MAX_ROWS && view.rows_are_contiguous() {
            let mut out: Vec<&mut [f32]> = out.iter_mut().map(|row| &mut row[within.clone()]).collect();
            widest(Few { out: &mut out, a: left.view(groups.start), b: view, onto: false });
        } else {
            through_panels(out, within, left, &groups, view);
        }
        start += together;
    }
}

/// Computes `a · b` tile by tile over the columns of `b`, on all threads, and gives each tile to `read` together with
/// the columns it covers; the tile is row-major [a.rows, columns]. Results come in the order of the columns.
pub fn read_tiles<T: Send>(
    a: View<'_>,
    b: impl Columns,
    read: impl Fn(Range<usize>, &[f32]) -> T + Sync + Send,
) -> Vec<T> {
    let (cols, left) = (b.count(), Left::new(a));
    let wide = tile(a.rows, cols, false);
    (0..cols.div_ceil(wide))
        .into_par_iter()
        .map_init(Default::default, |(tile, made): &mut (Vec<f32>, Vec<f32>), index| {
            let columns = index * wide..cols.min((index + 1) * wide);
            tile.resize(a.rows * columns.len(), 0.0);
            tile_product(tile, &left, b, columns.clone(), made);
            read(columns, tile)
        })
        .collect()
}

/// Computes `a · b` tile by tile over the columns of `b`, on all threads, each tile some rows of `a` at a time, in
/// order. A tile begins with what `start` gives for its columns; `step` takes each block of rows in, row-major
/// [rows, columns]. Results come in the order of the columns.
pub fn fold_tiles<T: Send>(
    a: View<'_>,
    b: impl Columns,
    start: impl Fn(&Range<usize>) -> T + Sync + Send,
    step: impl Fn(&mut T, &Range<usize>, &[f32]) + Sync + Send,
) -> Vec<T> {
    let (cols, left) = (b.count(), Left::new(a));
    let wide = tile(a.rows, cols, false);
    (0..cols.div_ceil(wide))
        .into_par_iter()
        .map_init(Default::default, |(block, made): &mut (Vec<f32>, Vec<f32>), index| {
            let columns = index * wide..cols.min((index + 1) * wide);
            let mut folded = start(&columns);
            for groups in runs(&(0..left.groups())) {
                block.resize(left.rows_of_all(&groups).len() * columns.len(), 0.0);
                multiply(&mut rows_of(block, columns.len()), &left, groups, b, columns.clone(), made);
                step(&mut folded, &columns, block);
            }
            folded
        })
        .collect()
}

/// `out = a · b`, `out` row-major [a.rows, b.cols], on all threads.
pub fn product_parallel(out: &mut [f32], a: View<'_>, b: impl Columns) {
    map_product(out, a, b, |_, _| {});
}

/// `out = f(a · b)`, `out` row-major [a.rows, b.cols], on all threads; `f` gets each row of a tile, while it is in the
/// cache, with the columns it covers.
///
/// # Panics
/// When the shapes do not agree.
pub fn map_product(out: &mut [f32], a: View<'_>, b: impl Columns, f: impl Fn(Range<usize>, &mut [f32]) + Sync + Send) {
    in_tiles(out, a, b, f, |out, row| out.copy_from_slice(row));
}

/// [`map_product`] into memory of its own, which nothing is written to but the result.
///
/// # Panics
/// When the inner sizes differ.
#[must_use]
#[expect(unsafe_code, reason = "see `fresh`")]
pub fn mapped_product(a: View<'_>, b: impl Columns, f: impl Fn(Range<usize>, &mut [f32]) + Sync + Send) -> Vec<f32> {
    let write = |out: &mut [MaybeUninit<f32>]| {
        in_tiles(out, a, b, f, |out, row| {
            out.write_copy_of_slice(row);
        });
    };
    // SAFETY: every column is in one tile, and of a tile every row is written.
    unsafe { fresh(a.rows * b.count(), write) }
}

/// Computes `f(a · b)` tile by tile and lets `write` take each row of a tile into every part of `out`, which is
/// row-major [a.rows, b.cols]. A tile is computed beside `out`: there its rows would lie in as many pages, which every
/// part of the inner size would go through again.
fn in_tiles<T: Send>(
    out: &mut [T],
    a: View<'_>,
    b: impl Columns,
    f: impl Fn(Range<usize>, &mut [f32]) + Sync + Send,
    write: impl Fn(&mut [T], &[f32]) + Sync + Send,
) {
    let cols = b.count();
    assert_eq!(out.len(), a.rows * cols, "size of the result");
    let left = Left::new(a);
    let alone = a.rows * a.cols * cols < PARALLEL_MIN_FLOPS;
    let width = tile(a.rows, cols, alone);
    let fill = |(index, out): (usize, Vec<&mut [T]>), made: &mut Vec<f32>| {
        let columns = index * width..cols.min((index + 1) * width);
        let mut scratch = ScratchBuffer::take(a.rows * columns.len());
        tile_product(&mut scratch, &left, b, columns.clone(), made);
        for (out, row) in out.into_iter().zip(scratch.chunks_exact_mut(columns.len())) {
            f(columns.clone(), row);
            write(out, row);
        }
    };
    let tiles = columns_of(out, cols, width).into_iter().enumerate();
    if alone {
        let mut made = Vec::new();
        tiles.for_each(|tile| fill(tile, &mut made));
    } else {
        tiles.collect::<Vec<_>>().into_par_iter().for_each_init(Vec::new, |made, tile| fill(tile, made));
    }
}

/// The rows of a row-major matrix, `width` columns at a time: for each of these its part of every row.
#[must_use]
pub fn columns_of<T>(values: &mut [T], cols: usize, width: usize) -> Vec<Vec<&mut [T]>> {
    let rows = values.len().checked_div(cols).unwrap_or(0);
    let mut tiles: Vec<Vec<&mut [T]>> = (0..cols.div_ceil(width)).map(|_| Vec::with_capacity(rows)).collect();
    for row in values.chunks_exact_mut(cols.max(1)) {
        tiles.iter_mut().zip(row.chunks_mut(width)).for_each(|(tile, part)| tile.push(part));
    }
    tiles
}

/// The dot product of two vectors, in a fixed order of summation.
///
/// # Panics
/// When their lengths differ.
#[inline]
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut lanes = [0.0f32; 16];
    let (a_chunks, b_chunks) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..16 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(count: usize, seed: u32) -> Vec<f32> {
        (0..count as u32).map(|i| ((i.wrapping_mul(2_654_435_761) ^ seed) % 1000) as f32 / 500.0 - 1.0).collect()
    }

    /// Which of the ways that depend on the processor the tests here go; CI shows it. A processor that has the widest
    /// vectors must get them, or the tests that compare both widths would compare one with itself.
    #[test]
    fn the_paths_of_this_processor_are_taken() {
        let wide = shape().width == block::ACROSS * 16;
        println!("path AVX-512: {}", if wide { "ran" } else { "not on this processor" });
        let tiles = tiles::Tiles::of_this_processor().is_some();
        println!("path bfloat16 tiles: {}", if tiles { "ran" } else { "not on this processor" });
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let there = has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
            assert_eq!(wide, there, "the vectors that are there are taken");
        }
    }

    fn plain(a: View<'_>, b: View<'_>) -> Vec<f64> {
        let mut out = Vec::new();
        for row in 0..a.rows() {
            for col in 0..b.cols() {
                out.push((0..a.cols()).map(|k| f64::from(a.at(row, k)) * f64::from(b.at(k, col))).sum());
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn products_equal_the_plain_sums(m in 0usize..60, k in 0usize..40, n in 0usize..600, transposed: bool) {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let a = View::new(&a, m, k);
            let b = if transposed { View::new(&b, n, k).t() } else { View::new(&b, k, n) };
            let mut out = vec![f32::NAN; m * n];
            product_parallel(&mut out, a, b);
            for (got, want) in out.iter().zip(plain(a, b)) {
                prop_assert!((f64::from(*got) - want).abs() < 1e-4, "{got} {want}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_row_is_the_same_bits_whatever_rows_are_computed_with_it(
            m in 1usize..150, k in 1usize..1100, n in 1usize..60, transposed: bool, cut in 0.0f64..1.0,
        ) {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let a = View::new(&a, m, k);
            let b = if transposed { View::new(&b, n, k).t() } else { View::new(&b, k, n) };
            let mut whole = vec![f32::NAN; m * n];
            product_parallel(&mut whole, a, b);
            let cut = (m as f64 * cut) as usize;
            let mut parts = vec![f32::NAN; m * n];
            let (first, second) = parts.split_at_mut(cut * n);
            product(first, a.select_rows(0..cut), b);
            product(second, a.select_rows(cut..m), b);
            prop_assert!(whole.iter().zip(&parts).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn what_is_kept_in_panels_gives_the_same_bits(
            m in 1usize..300, k in 0usize..600, n in 1usize..1200, transposed: bool,
        ) {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let a = View::new(&a, m, k);
            let b = if transposed { View::new(&b, n, k).t() } else { View::new(&b, k, n) };
            let packed = Packed::copy(b, &|| true).expect("memory").expect("not stopped");
            let (mut want, mut got) = (vec![f32::NAN; m * n], vec![f32::NAN; m * n]);
            product_parallel(&mut want, a, b);
            product_parallel(&mut got, a, &packed);
            prop_assert!(want.iter().zip(&got).all(|(a, b)| a.to_bits() == b.to_bits()));
            let (mut made, columns, packed) = (Vec::new(), n / 3..n - n / 4, &packed);
            let view = packed.view(columns.clone(), &mut made);
            for row in 0..k {
                for col in columns.clone() {
                    prop_assert_eq!(view.at(row, col - columns.start).to_bits(), b.at(row, col).to_bits());
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_kind_of_vector_gives_the_bits_of_one_chain(
            m in 1usize..40, k in 1usize..600, n in 1usize..70, transposed: bool,
        ) {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let b = if transposed { View::new(&b, n, k).t() } else { View::new(&b, k, n) };
            let want: Vec<f32> = (0..m * n)
                .map(|at| (0..k).fold(0.0f32, |sum, i| a[at / n * k + i].mul_add(b.at(i, at % n), sum)))
                .collect();
            for narrow in [false, true] {
                micro::NARROW.set(narrow);
                let mut got = vec![f32::NAN; m * n];
                product(&mut got, View::new(&a, m, k), b);
                micro::NARROW.set(false);
                prop_assert!(want.iter().zip(&got).all(|(a, b)| a.to_bits() == b.to_bits()), "narrow: {narrow}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn what_is_no_number_spoils_its_own_row_and_column_alone(
            m in 1usize..80, k in 1usize..300, n in 1usize..90, transposed: bool, at in any::<[prop::sample::Index; 2]>(),
        ) {
            let (mut a, mut b) = (values(m * k, 1), values(k * n, 2));
            let clean = (a.clone(), b.clone());
            let (a_at, b_at) = (at[0].index(m * k), at[1].index(k * n));
            (a[a_at], b[b_at]) = (f32::NAN, f32::INFINITY);
            let column = if transposed { b_at / k } else { b_at % n };
            let view = |b| if transposed { View::new(b, n, k).t() } else { View::new(b, k, n) };
            let packed = Packed::copy(view(&b), &|| true).expect("memory").expect("not stopped");
            let (mut got, mut kept, mut want) = (vec![0.0; m * n], vec![0.0; m * n], vec![0.0; m * n]);
            product_parallel(&mut got, View::new(&a, m, k), view(&b));
            product_parallel(&mut kept, View::new(&a, m, k), &packed);
            product_parallel(&mut want, View::new(&clean.0, m, k), view(&clean.1));
            for (place, ((got, kept), want)) in got.iter().zip(&kept).zip(&want).enumerate() {
                prop_assert!(got.to_bits() == kept.to_bits() || got.is_nan() && kept.is_nan());
                if place / n == a_at / k {
                    prop_assert!(got.is_nan());
                } else if place % n == column {
                    prop_assert!(!got.is_finite());
                } else {
                    prop_assert_eq!(got.to_bits(), want.to_bits());
                }
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let (a, b) = (values(7 * 65, 3), values(65 * 2000, 4));
        let run = |threads| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(|| {
                let mut out = vec![0.0; 7 * 2000];
                product_parallel(&mut out, View::new(&a, 7, 65), View::new(&b, 65, 2000));
                out.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
            })
        };
        assert_eq!(run(1), run(5));
    }

    #[test]
    fn rows_and_columns_are_the_ones_asked_for() {
        let data = values(6 * 5, 5);
        let view = View::new(&data, 6, 5);
        let part = view.select_rows(2..5).columns(1..3);
        assert_eq!((part.rows(), part.cols()), (3, 2));
        assert_eq!(part.at(1, 1), data[3 * 5 + 2]);
        assert_eq!(view.select_rows(6..6).rows(), 0);
    }
}
