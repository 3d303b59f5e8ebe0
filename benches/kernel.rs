//! How near the kernels come to what the machine can do: a large matrix product and a memory read, measured in the same
//! run. Not here: comparisons with other programs (`compare/`), and whether the results are right.
//!
//! `cargo bench --bench kernel`; `RAYON_NUM_THREADS` sets the number of threads.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use saescope::kernel::{self, Packed, View, maps};

/// How long each kernel is measured.
const LONG: Duration = Duration::from_millis(500);

/// What the machine can do.
struct Ceiling {
    /// Multiplications and additions of f32 in a second.
    flop: f64,
    /// Bytes read from memory in a second.
    bytes: f64,
}

impl Ceiling {
    fn measure() -> Self {
        let (m, k, n) = (2048, 768, 4096);
        let (a, b, mut out) = (values(m * k), values(k * n), vec![0.0; m * n]);
        let product = best(|| gemm(&mut out, &a, &b, (m, k, n)));
        let memory = values(96 << 20);
        let sum = |part: &[f32]| {
            let words: &[u64] = bytemuck::cast_slice(part);
            words
                .as_chunks::<8>()
                .0
                .iter()
                .fold([0u64; 8], |sums, words| std::array::from_fn(|lane| sums[lane].wrapping_add(words[lane])))
        };
        let read = best(|| black_box(memory.par_chunks(1 << 18).map(sum).collect::<Vec<_>>()));
        Self { flop: 2.0 * (m * k * n) as f64 / read_or(product), bytes: (memory.len() * 4) as f64 / read_or(read) }
    }

    /// The least time that so much work and so many bytes take.
    fn least(&self, flop: f64, bytes: f64) -> f64 {
        (flop / self.flop).max(bytes / self.bytes)
    }
}

fn read_or(seconds: f64) -> f64 {
    seconds.max(1e-9)
}

fn values(count: usize) -> Vec<f32> {
    (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8e6 - 1.0).collect()
}

/// The best of as many runs as fit into [`LONG`], in seconds.
fn best<T>(work: impl FnMut() -> T) -> f64 {
    best_of_both(work, || ()).0
}

/// The best of either, taken in turn, so that whatever else the machine does disturbs both.
fn best_of_both<T, U>(mut one: impl FnMut() -> T, mut other: impl FnMut() -> U) -> (f64, f64) {
    let (started, mut best) = (Instant::now(), (f64::INFINITY, f64::INFINITY));
    while started.elapsed() < LONG {
        let start = Instant::now();
        black_box(one());
        let middle = Instant::now();
        black_box(other());
        best = (best.0.min((middle - start).as_secs_f64()), best.1.min(middle.elapsed().as_secs_f64()));
    }
    best
}

/// The product by the `gemm` crate, on all threads.
#[expect(unsafe_code, reason = "gemm takes pointers and strides")]
fn gemm(out: &mut [f32], a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) {
    assert!(out.len() == m * n && a.len() == m * k && b.len() == k * n);
    let threads = gemm::Parallelism::Rayon(rayon::current_num_threads());
    // SAFETY: the three are row-major and as long as asserted.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            1,
            k as isize,
            b.as_ptr(),
            1,
            n as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

fn tell(name: &str, seconds: f64, least: f64) {
    println!("{name:<62} {:>9.3} ms  {:>4.0} %", seconds * 1e3, 100.0 * least / seconds);
}

fn main() {
    let ceiling = Ceiling::measure();
    println!(
        "{} threads: {:.0} GFLOP/s of matrix product, {:.1} GB/s of memory\n{:<62} {:>12}  of the ceiling",
        rayon::current_num_threads(),
        ceiling.flop / 1e9,
        ceiling.bytes / 1e9,
        "",
        "best"
    );
    products(&ceiling);
    reads(&ceiling);
}

/// Products of tokens with weights, which are of more than the caches hold for few tokens.
fn products(ceiling: &Ceiling) {
    let (d, width) = (768, 24_576);
    let weights = values(d * width);
    let (straight, turned) = (View::new(&weights, d, width), View::new(&weights, width, d).t());
    let packed = Packed::copy(straight, &|| true).ok().flatten().expect("memory for the panels");
    for rows in [1, 8, 32, 128, 512] {
        let x = values(rows * d);
        let (mut out, mut other) = (vec![0.0; rows * width], vec![0.0; rows * width]);
        let a = View::new(&x, rows, d);
        let least = ceiling.least(2.0 * (rows * d * width) as f64, (d * width * 4) as f64);
        let mut measure = |how: &str, product: &mut dyn FnMut(&mut [f32])| {
            let (took, theirs) =
                best_of_both(|| product(&mut out), || gemm(&mut other, &x, &weights, (rows, d, width)));
            tell(&format!("{rows} × {d} × {width}, {how}, {:.2} × gemm's speed", theirs / took), took, least);
        };
        measure("weights [in, out]", &mut |out| kernel::product_parallel(out, a, straight));
        measure("weights [out, in]", &mut |out| kernel::product_parallel(out, a, turned));
        measure("weights in panels", &mut |out| kernel::product_parallel(out, a, &packed));
        measure("in panels, a reader in place of the result", &mut |_| {
            black_box(kernel::read_tiles(a, &packed, |_, tile| tile.iter().fold(0.0f32, |max, v| max.max(*v))));
        });
    }
}

/// What passes over its input once.
fn reads(ceiling: &Ceiling) {
    let rows = values(98_304 * 768);
    let direction = values(768);
    let bytes = (rows.len() * 4) as f64;
    let dots = best(|| {
        rows.par_chunks(512 * 768)
            .map(|block| block.chunks_exact(768).map(|row| kernel::dot(row, &direction)).sum::<f32>())
            .collect::<Vec<_>>()
    });
    tell("dot products of 98,304 rows with one", dots, bytes / ceiling.bytes);
    let half = bytemuck::cast_slice::<f32, u8>(&rows[..1 << 24]);
    let mut wide = vec![0.0; 1 << 25];
    let widened = best(|| maps::widen_bf16(half, &mut wide));
    tell("bfloat16 made f32, one thread", widened, half.len() as f64 * 3.0 / ceiling.bytes);
    let mut some = values(32 * 3072);
    let gelu = best(|| maps::gelu_tanh(&mut some));
    tell(
        "gelu of 32 × 3,072, one thread, against reading it from memory",
        gelu,
        (some.len() * 4) as f64 / ceiling.bytes,
    );
}
