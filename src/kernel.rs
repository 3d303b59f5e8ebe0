//! The matrix products this program exists for: f32, strided, tiled, each tile handed to its reader while it is in the
//! cache. Not here: what the numbers mean.
//!
//! Each element is a sum of its own in a fixed order, whatever tile it stands in, so results are the same bits however
//! many threads there are.

mod across;
mod along;
pub mod maps;
mod micro;
mod panels;
mod turned;

use std::ops::Range;

use rayon::prelude::*;

/// Columns of a tile, a multiple of 48 and of 24, which the registers are filled by: 512 rows × 528 columns of f32 are
/// 1 MiB, which stay in a core's second-level cache.
pub const TILE: usize = 528;

/// Up to this many rows a tile is [`WIDE`]: then reading the weights from memory counts, and long pieces come faster.
const FEW: usize = 64;

/// Columns of a tile of few rows.
const WIDE: usize = 2112;

/// Columns of a tile of so many rows. Results do not depend on it: each element is a sum of its own.
const fn tile(rows: usize) -> usize {
    if rows > FEW { TILE } else { WIDE }
}

/// Products of fewer multiplications than this take some microseconds: less than waking another thread.
pub const ALONE: usize = 1 << 18;

/// A borrowed f32 matrix, `rows` × `cols`, with strides counted in elements.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix.
    ///
    /// # Panics
    /// When `data` is not `rows` × `cols` long.
    #[must_use]
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(Some(data.len()), rows.checked_mul(cols), "a {rows} × {cols} matrix of {} values", data.len());
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The transposed matrix, without moving anything.
    #[must_use]
    pub const fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// Some of the columns.
    ///
    /// # Panics
    /// When the range is not within the columns.
    #[must_use]
    pub fn columns(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.cols, "columns {range:?} of {}", self.cols);
        let start = (range.start * self.col_stride).min(self.data.len());
        Self { data: &self.data[start..], cols: range.len(), ..self }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// When the range is not within the rows.
    #[must_use]
    pub fn select_rows(self, range: Range<usize>) -> Self {
        self.t().columns(range).t()
    }

    /// The number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// One element.
    ///
    /// # Panics
    /// When it lies outside.
    #[must_use]
    pub fn at(&self, row: usize, col: usize) -> f32 {
        assert!(row < self.rows && col < self.cols);
        self.data[row * self.row_stride + col * self.col_stride]
    }

    /// Whether every element lies within `data`.
    fn fits(&self) -> bool {
        self.rows == 0
            || self.cols == 0
            || (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride < self.data.len()
    }
}

/// The right-hand side of a product, had some columns at a time: a [`View`], or a matrix whose file holds it in another
/// element type and whose columns become f32 only while they are used.
pub trait Columns: Copy + Sync {
    /// The inner size: the rows of this matrix.
    fn inner(&self) -> usize;

    /// The number of columns.
    fn count(&self) -> usize;

    /// Most columns that are asked for at once: as many as stay in the cache where they are made for the asking.
    fn most(&self) -> usize;

    /// Some of the columns, [inner, columns], their rows or their columns contiguous; `made` is room to make them in.
    fn view<'s>(&'s self, columns: Range<usize>, made: &'s mut Vec<f32>) -> View<'s>;
}

impl Columns for View<'_> {
    fn inner(&self) -> usize {
        self.rows
    }

    fn count(&self) -> usize {
        self.cols
    }

    fn most(&self) -> usize {
        usize::MAX
    }

    fn view<'s>(&'s self, columns: Range<usize>, _: &'s mut Vec<f32>) -> View<'s> {
        self.columns(columns)
    }
}

/// `out = a · b`, a row of it in each slice, in some columns of `b`, on the calling thread; `made` is room to make
/// columns in.
fn product_into(out: &mut [&mut [f32]], a: View<'_>, b: impl Columns, columns: Range<usize>, made: &mut Vec<f32>) {
    let most = b.most().max(1);
    if columns.len() <= most {
        product_rows(out, a, b.view(columns, made));
        return;
    }
    for start in columns.clone().step_by(most) {
        let part = start..columns.end.min(start + most);
        let within = start - columns.start..part.end - columns.start;
        let mut rows: Vec<&mut [f32]> = out.iter_mut().map(|row| &mut row[within.clone()]).collect();
        product_rows(&mut rows, a, b.view(part, made));
    }
}

/// `tile = a · b`, row-major [a.rows, columns], in some columns of `b`, on the calling thread; `made` is room that may
/// be used again.
///
/// # Panics
/// When the shapes do not agree.
pub fn tile_product(tile: &mut [f32], a: View<'_>, b: impl Columns, columns: Range<usize>, made: &mut Vec<f32>) {
    assert_eq!(tile.len(), a.rows * columns.len(), "size of the result");
    product_into(&mut rows_of(tile, columns.len()), a, b, columns, made);
}

/// `out = a · b`, `out` row-major [a.rows, b.cols], on the calling thread. Where the rows of `a` are contiguous, and
/// the rows or the columns of `b`, a row of the result is the same bits whatever other rows are computed with it.
///
/// # Panics
/// When the shapes do not agree.
pub fn product(out: &mut [f32], a: View<'_>, b: View<'_>) {
    assert_eq!(out.len(), a.rows * b.cols, "size of the result");
    product_rows(&mut rows_of(out, b.cols), a, b);
}

/// The rows of a row-major matrix.
fn rows_of(values: &mut [f32], cols: usize) -> Vec<&mut [f32]> {
    values.chunks_exact_mut(cols.max(1)).collect()
}

fn product_rows(out: &mut [&mut [f32]], a: View<'_>, b: View<'_>) {
    assert_eq!(a.cols, b.rows, "inner sizes");
    if out.is_empty() || b.cols == 0 {
        return;
    }
    assert!(out.len() == a.rows && out.iter().all(|row| row.len() == b.cols), "size of the result");
    if a.cols == 0 {
        for row in out.iter_mut() {
            row.fill(0.0);
        }
        return;
    }
    assert!(a.fits() && b.fits(), "a view reaches beyond its data");
    if micro::product(out, a, b) {
        return;
    }
    let mut whole = vec![0.0; a.rows * b.cols];
    gemm(&mut whole, a, b);
    out.iter_mut().zip(whole.chunks_exact(b.cols)).for_each(|(out, row)| out.copy_from_slice(row));
}

/// The product of any two views; `out` is row-major.
#[expect(unsafe_code, reason = "gemm takes pointers and strides")]
fn gemm(out: &mut [f32], a: View<'_>, b: View<'_>) {
    assert!(a.cols == b.rows && out.len() == a.rows * b.cols && a.fits() && b.fits());
    // SAFETY: `out` holds rows × cols elements and is borrowed alone; `fits` holds for both inputs, so every element
    // that the strides reach lies within their slices; f32 has no invalid bit patterns.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out.as_mut_ptr(),
            1,
            b.cols as isize,
            false,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Computes `a · b` tile by tile over the columns of `b`, on all threads, and gives each tile to `read` together with
/// the columns it covers; the tile is row-major [a.rows, columns]. Results come in the order of the columns.
pub fn read_tiles<T: Send>(
    a: View<'_>,
    b: impl Columns,
    read: impl Fn(Range<usize>, &[f32]) -> T + Sync + Send,
) -> Vec<T> {
    let (cols, wide) = (b.count(), tile(a.rows));
    (0..cols.div_ceil(wide))
        .into_par_iter()
        .map_init(Default::default, |(tile, made): &mut (Vec<f32>, Vec<f32>), index| {
            let columns = index * wide..cols.min((index + 1) * wide);
            tile.resize(a.rows * columns.len(), 0.0);
            tile_product(tile, a, b, columns.clone(), made);
            read(columns, tile)
        })
        .collect()
}

/// Rows of a block in [`fold_tiles`]: 512 × [`TILE`] values of f32 are 1 MiB, which stay in the second-level cache, and
/// copying the tile's part of `b` into panels is little beside what is computed from them.
pub const ROWS: usize = 512;

/// Computes `a · b` tile by tile over the columns of `b`, on all threads, each tile block by block over the rows of
/// `a`, in order. A tile begins with what `start` gives for its columns; `step` takes each block in, row-major
/// [rows, columns]. Results come in the order of the columns.
pub fn fold_tiles<T: Send>(
    a: View<'_>,
    b: impl Columns,
    start: impl Fn(&Range<usize>) -> T + Sync + Send,
    step: impl Fn(&mut T, &Range<usize>, &[f32]) + Sync + Send,
) -> Vec<T> {
    let (cols, wide) = (b.count(), tile(a.rows));
    (0..cols.div_ceil(wide))
        .into_par_iter()
        .map_init(Default::default, |(block, made): &mut (Vec<f32>, Vec<f32>), index| {
            let columns = index * wide..cols.min((index + 1) * wide);
            let mut folded = start(&columns);
            for first in (0..a.rows).step_by(ROWS) {
                let rows = first..a.rows.min(first + ROWS);
                block.resize(rows.len() * columns.len(), 0.0);
                tile_product(block, a.select_rows(rows), b, columns.clone(), made);
                step(&mut folded, &columns, block);
            }
            folded
        })
        .collect()
}

/// `out = a · b`, `out` row-major [a.rows, b.cols], on all threads.
pub fn product_parallel(out: &mut [f32], a: View<'_>, b: View<'_>) {
    map_product(out, a, b, tile(a.rows), |_, _| {});
}

/// `out = f(a · b)`, `out` row-major [a.rows, b.cols], on all threads. The columns of `b` are shared out `width` at a
/// time; `f` gets each row of such a tile, while it is in the cache, with the columns it covers.
///
/// # Panics
/// When the shapes do not agree.
pub fn map_product(
    out: &mut [f32],
    a: View<'_>,
    b: impl Columns,
    width: usize,
    f: impl Fn(Range<usize>, &mut [f32]) + Sync + Send,
) {
    let cols = b.count();
    assert_eq!(out.len(), a.rows * cols, "size of the result");
    let columns = |index: usize| index * width..cols.min((index + 1) * width);
    let fill = |(index, mut rows): (usize, Vec<&mut [f32]>), made: &mut Vec<f32>| {
        product_into(&mut rows, a, b, columns(index), made);
        for row in rows {
            f(columns(index), row);
        }
    };
    let tiles = tiles_of(out, cols, width).into_iter().enumerate();
    if a.rows * a.cols * cols < ALONE {
        let mut made = Vec::new();
        tiles.for_each(|tile| fill(tile, &mut made));
    } else {
        tiles.collect::<Vec<_>>().into_par_iter().for_each_init(Vec::new, |made, tile| fill(tile, made));
    }
}

/// The rows of a row-major matrix, `width` columns at a time: for each of these its part of every row.
fn tiles_of(values: &mut [f32], cols: usize, width: usize) -> Vec<Vec<&mut [f32]>> {
    let rows = values.len().checked_div(cols).unwrap_or(0);
    let mut tiles: Vec<Vec<&mut [f32]>> = (0..cols.div_ceil(width)).map(|_| Vec::with_capacity(rows)).collect();
    for row in values.chunks_exact_mut(cols.max(1)) {
        tiles.iter_mut().zip(row.chunks_mut(width)).for_each(|(tile, part)| tile.push(part));
    }
    tiles
}

/// The dot product of two vectors, in a fixed order of summation.
///
/// # Panics
/// When their lengths differ.
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
        fn the_two_ways_across_give_the_same_bits_in_every_kind_of_vector(
            m in 40usize..70, k in 1usize..300, n in 1usize..60,
        ) {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let (a, b) = (View::new(&a, m, k), View::new(&b, n, k).t());
            let run = |rows: Range<usize>, kind: fn(across::Across<'_, '_>)| {
                let mut out = vec![f32::NAN; rows.len() * n];
                kind(across::Across { out: &mut rows_of(&mut out, n), a: a.select_rows(rows), b });
                out
            };
            let mut kinds: Vec<fn(across::Across<'_, '_>)> =
                vec![|op| pulp::Simd::vectorize(pulp::Scalar256b, op)];
            #[cfg(target_arch = "x86_64")]
            if pulp::x86::V3::try_new().is_some() {
                kinds.push(|op| {
                    if let Some(simd) = pulp::x86::V3::try_new() {
                        pulp::Simd::vectorize(simd, op);
                    }
                });
            }
            for kind in kinds {
                let (few, many) = ([run(0..20, kind), run(20..m - 20, kind), run(m - 20..m, kind)].concat(), run(0..m, kind));
                prop_assert!(few.iter().zip(&many).all(|(few, many)| few.to_bits() == many.to_bits()));
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
