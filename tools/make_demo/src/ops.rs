//! The parts of a GPT-2 block as candle operations with their own gradients, each done in one pass.
//! They know shapes but no parameter names; the model is `lm.rs`.
//!
//! candle's own autograd is right but keeps a tensor for every element-wise step; fused, training
//! is several times as fast. Work is split in fixed pieces, so results do not depend on threads.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use saescope::kernel::{View, product};

const EPS: f32 = 1e-5;
/// Rows that one thread takes at a time.
const ROWS: usize = 64;

fn slice<'a>(s: &'a CpuStorage, l: &Layout) -> Result<&'a [f32]> {
    let data = s.as_slice::<f32>()?;
    let (start, end) =
        l.contiguous_offsets().ok_or_else(|| candle_core::Error::Msg("a contiguous tensor is needed".into()))?;
    Ok(&data[start..end])
}

fn values(t: &Tensor) -> Result<Vec<f32>> {
    t.flatten_all()?.to_vec1()
}

fn tensor(data: Vec<f32>, like: &Tensor) -> Result<Option<Tensor>> {
    Ok(Some(Tensor::from_vec(data, like.shape(), like.device())?))
}

fn stored(data: Vec<f32>, shape: impl Into<Shape>) -> (CpuStorage, Shape) {
    (CpuStorage::F32(data), shape.into())
}

/// `a · b`, split over threads by rows of `a`.
pub fn matmul(a: View<'_>, b: View<'_>) -> Vec<f32> {
    let mut out = vec![0.0; a.rows() * b.cols()];
    if !out.is_empty() {
        out.par_chunks_mut(ROWS * b.cols()).enumerate().for_each(|(i, part)| {
            let rows = i * ROWS..i * ROWS + part.len() / b.cols();
            product(part, a.select_rows(rows), b);
        });
    }
    out
}

/// x·w + b for x [rows, in], w [in, out] (GPT-2's orientation), b [out].
pub struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inner) = xl.shape().dims2()?;
        let cols = wl.shape().dims2()?.1;
        let (x, w, b) = (slice(x, xl)?, slice(w, wl)?, slice(b, bl)?);
        let mut y = matmul(View::new(x, rows, inner), View::new(w, inner, cols));
        y.par_chunks_mut(cols).for_each(|row| row.iter_mut().zip(b).for_each(|(y, b)| *y += b));
        Ok(stored(y, (rows, cols)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((rows, inner), cols) = (x.dims2()?, w.dims2()?.1);
        let (xv, wv, gv) = (values(x)?, values(w)?, values(grad)?);
        let g = View::new(&gv, rows, cols);
        let dx = matmul(g, View::new(&wv, inner, cols).t());
        let dw = matmul(View::new(&xv, rows, inner).t(), g);
        let mut db = vec![0.0; cols];
        for row in gv.chunks_exact(cols) {
            db.iter_mut().zip(row).for_each(|(d, g)| *d += g);
        }
        Ok((tensor(dx, x)?, tensor(dw, w)?, tensor(db, b)?))
    }
}

/// Layer normalisation over the last axis of x [rows, d] with gain [d] and bias [d].
pub struct LayerNorm;

/// Mean and inverse standard deviation of a row.
fn moments(row: &[f32]) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = row.iter().sum::<f32>() / n;
    let var = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
    (mean, 1.0 / (var + EPS).sqrt())
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        g: &CpuStorage,
        gl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let d = xl.shape().dims2()?.1;
        let (x, g, b) = (slice(x, xl)?, slice(g, gl)?, slice(b, bl)?);
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(d).zip(x.par_chunks(d)).for_each(|(y, x)| {
            let (mean, inv) = moments(x);
            for i in 0..d {
                y[i] = (x[i] - mean) * inv * g[i] + b[i];
            }
        });
        Ok(stored(y, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        g: &Tensor,
        b: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let d = x.dims2()?.1;
        let (xv, gv, dy) = (values(x)?, values(g)?, values(grad)?);
        let mut dx = vec![0.0; xv.len()];
        let sums: Vec<Vec<f32>> = dx
            .par_chunks_mut(ROWS * d)
            .zip(xv.par_chunks(ROWS * d).zip(dy.par_chunks(ROWS * d)))
            .map(|(dx, (x, dy))| layer_norm_grad(dx, x, dy, &gv))
            .collect();
        let mut sum = vec![0.0; 2 * d];
        for part in &sums {
            sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
        }
        let db = sum.split_off(d);
        Ok((tensor(dx, x)?, tensor(sum, g)?, tensor(db, b)?))
    }
}

/// Fills `dx` for some rows; gives the gradients of gain and bias from them, one after the other.
fn layer_norm_grad(dx: &mut [f32], x: &[f32], dy: &[f32], gain: &[f32]) -> Vec<f32> {
    let d = gain.len();
    let mut sums = vec![0.0; 2 * d];
    let mut hat = vec![0.0; d];
    for ((dx, x), dy) in dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(dy.chunks_exact(d)) {
        let (mean, inv) = moments(x);
        let (mut a, mut c) = (0.0, 0.0);
        for i in 0..d {
            hat[i] = (x[i] - mean) * inv;
            sums[i] += dy[i] * hat[i];
            sums[d + i] += dy[i];
            a += dy[i] * gain[i];
            c += dy[i] * gain[i] * hat[i];
        }
        let (a, c) = (a / d as f32, c / d as f32);
        for i in 0..d {
            dx[i] = inv * (dy[i] * gain[i] - a - hat[i] * c);
        }
    }
    sums
}

/// GPT-2's `gelu_new`: 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
pub struct Gelu;

const ROOT: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

/// tanh through one exponential, which compiles to vector code.
fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    ((1.0 - e) / (1.0 + e)).copysign(x)
}

/// e^x for x ≤ 0 to within 2e-7, by splitting off the power of two.
fn exp(x: f32) -> f32 {
    let x = x.max(-87.0);
    let n = (x * std::f32::consts::LOG2_E).round();
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_2e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + c;
    }
    (p * r * r + r + 1.0) * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(x, l)?;
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(4096).zip(x.par_chunks(4096)).for_each(|(y, x)| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = 0.5 * x * (1.0 + tanh(ROOT * (x + CUBE * x * x * x)));
            }
        });
        Ok(stored(y, l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (xv, mut g) = (values(x)?, values(grad)?);
        g.par_chunks_mut(4096).zip(xv.par_chunks(4096)).for_each(|(g, x)| {
            for (g, &x) in g.iter_mut().zip(x) {
                let t = tanh(ROOT * (x + CUBE * x * x * x));
                let slope = ROOT * (1.0 + 3.0 * CUBE * x * x);
                *g *= 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope;
            }
        });
        tensor(g, x)
    }
}

/// Causal attention of `heads` heads on qkv [rows, 3·d], where each `length` rows are one text.
pub struct Attention {
    pub heads: usize,
    pub length: usize,
}

impl Attention {
    /// Attention weights [length, length] of one head of one text, from its qkv [length, 3·d].
    fn weights(&self, qkv: View<'_>, head: usize, out: &mut [f32]) {
        let (t, d) = (self.length, qkv.cols() / 3);
        let hd = d / self.heads;
        let q = qkv.columns(head * hd..(head + 1) * hd);
        let k = qkv.columns(d + head * hd..d + (head + 1) * hd);
        product(out, q, k.t());
        let scale = 1.0 / (hd as f32).sqrt();
        for (i, row) in out.chunks_exact_mut(t).enumerate() {
            let (seen, future) = row.split_at_mut(i + 1);
            future.fill(0.0);
            let max = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for w in seen.iter_mut() {
                *w = exp((*w - max) * scale);
                sum += *w;
            }
            for w in seen {
                *w /= sum;
            }
        }
    }

    fn forward(&self, qkv: View<'_>, out: &mut [f32]) {
        let (t, d) = (self.length, qkv.cols() / 3);
        let hd = d / self.heads;
        let (mut p, mut o) = (vec![0.0; t * t], vec![0.0; t * hd]);
        for head in 0..self.heads {
            self.weights(qkv, head, &mut p);
            let v = qkv.columns(2 * d + head * hd..2 * d + (head + 1) * hd);
            product(&mut o, View::new(&p, t, t), v);
            put(out, d, head * hd, &o, hd, 1.0);
        }
    }

    fn backward(&self, qkv: View<'_>, grad: View<'_>, out: &mut [f32]) {
        let (t, d) = (self.length, qkv.cols() / 3);
        let hd = d / self.heads;
        let scale = 1.0 / (hd as f32).sqrt();
        let (mut p, mut s, mut o) = (vec![0.0; t * t], vec![0.0; t * t], vec![0.0; t * hd]);
        for head in 0..self.heads {
            let at = head * hd;
            let [q, k, v] = [0, d, 2 * d].map(|part| qkv.columns(part + at..part + at + hd));
            let go = grad.columns(at..at + hd);
            self.weights(qkv, head, &mut p);
            product(&mut o, View::new(&p, t, t).t(), go);
            put(out, 3 * d, 2 * d + at, &o, hd, 1.0);
            product(&mut s, go, v.t());
            for (s, p) in s.chunks_exact_mut(t).zip(p.chunks_exact(t)) {
                let mean: f32 = s.iter().zip(p).map(|(s, p)| s * p).sum();
                s.iter_mut().zip(p).for_each(|(s, p)| *s = p * (*s - mean));
            }
            product(&mut o, View::new(&s, t, t), k);
            put(out, 3 * d, at, &o, hd, scale);
            product(&mut o, View::new(&s, t, t).t(), q);
            put(out, 3 * d, d + at, &o, hd, scale);
        }
    }
}

/// Writes `part` [rows, cols], times `scale`, into columns of `out` [rows, stride] from `at` on.
fn put(out: &mut [f32], stride: usize, at: usize, part: &[f32], cols: usize, scale: f32) {
    for (row, part) in out.chunks_exact_mut(stride).zip(part.chunks_exact(cols)) {
        row[at..at + cols].iter_mut().zip(part).for_each(|(o, p)| *o = p * scale);
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, cols) = l.shape().dims2()?;
        let (qkv, t, d) = (slice(qkv, l)?, self.length, cols / 3);
        let mut out = vec![0.0; rows * d];
        out.par_chunks_mut(t * d).zip(qkv.par_chunks(t * cols)).for_each(|(out, qkv)| {
            self.forward(View::new(qkv, t, cols), out);
        });
        Ok(stored(out, (rows, d)))
    }

    fn bwd(&self, qkv: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (cols, t) = (qkv.dims2()?.1, self.length);
        let (qv, gv) = (values(qkv)?, values(grad)?);
        let mut out = vec![0.0; qv.len()];
        out.par_chunks_mut(t * cols).zip(qv.par_chunks(t * cols).zip(gv.par_chunks(t * cols / 3))).for_each(
            |(out, (qkv, grad))| {
                self.backward(View::new(qkv, t, cols), View::new(grad, t, cols / 3), out);
            },
        );
        tensor(out, qkv)
    }
}

/// Mean cross-entropy, in nats, of x·Wᵀ against the target tokens, x [rows, d], W [vocabulary, d].
/// The gradients are made in the forward pass, where the probabilities are at hand.
pub struct HeadLoss {
    pub targets: Vec<u32>,
    grads: Mutex<Option<(Vec<f32>, Vec<f32>)>>,
}

impl HeadLoss {
    pub fn new(targets: Vec<u32>) -> Self {
        Self { targets, grads: Mutex::new(None) }
    }
}

/// Turns a row of logits into probabilities; gives −log p of the target.
pub fn softmax_loss(row: &mut [f32], target: usize) -> f32 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let logit = row[target];
    let mut sum = 0.0;
    for v in row.iter_mut() {
        *v = exp(*v - max);
        sum += *v;
    }
    for v in row {
        *v /= sum;
    }
    sum.ln() + max - logit
}

impl CustomOp2 for HeadLoss {
    fn name(&self) -> &'static str {
        "head-loss"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((rows, d), vocab) = (xl.shape().dims2()?, wl.shape().dims2()?.0);
        let (x, w) = (slice(x, xl)?, slice(w, wl)?);
        let (xm, wm) = (View::new(x, rows, d), View::new(w, vocab, d));
        let mut logits = matmul(xm, wm.t());
        let losses: Vec<f32> = logits
            .par_chunks_mut(vocab)
            .zip(&self.targets)
            .map(|(row, &target)| {
                let loss = softmax_loss(row, target as usize);
                row[target as usize] -= 1.0;
                for g in row {
                    *g /= rows as f32;
                }
                loss
            })
            .collect();
        let g = View::new(&logits, rows, vocab);
        let grads = (matmul(g, wm), matmul(g.t(), xm));
        if let Ok(mut kept) = self.grads.lock() {
            *kept = Some(grads);
        }
        Ok(stored(vec![losses.iter().sum::<f32>() / rows as f32], ()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _res: &Tensor, _grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        // The loss is the root of the graph, so its own gradient is 1.
        let kept = self.grads.lock().ok().and_then(|mut kept| kept.take());
        match kept {
            Some((dx, dw)) => Ok((tensor(dx, x)?, tensor(dw, w)?)),
            None => Err(candle_core::Error::Msg("the loss was differentiated twice".into())),
        }
    }
}
