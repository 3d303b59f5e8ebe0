//! Adam (Kingma, Ba, arXiv 1412.6980) with β = (0.9, 0.99), as it is applied to one piece of the weights.
//! Not here: which gradient it follows.

use std::ops::Range;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.99;
const EPSILON: f32 = 1e-8;

/// Running means of the gradient and of its square, as long as the weights.
pub struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

impl Moments {
    pub fn new(count: usize) -> Self {
        Self { first: vec![0.0; count], second: vec![0.0; count] }
    }

    /// The moments in pieces of `size`.
    pub fn chunks(&mut self, size: usize) -> impl Iterator<Item = Slices<'_>> {
        let pairs = self.first.chunks_mut(size).zip(self.second.chunks_mut(size));
        pairs.map(|(first, second)| Slices { first, second })
    }
}

/// Moments of some of the weights.
pub struct Slices<'a> {
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Slices<'_> {
    /// First and second moments of a range.
    pub fn part(&mut self, range: Range<usize>) -> (&mut [f32], &mut [f32]) {
        (&mut self.first[range.clone()], &mut self.second[range])
    }
}

/// One step's learning rate with the corrections for the moments' start at 0.
#[derive(Clone, Copy)]
pub struct Rate {
    rate: f32,
    root: f32,
}

impl Rate {
    /// For step number `step`, counted from 1.
    pub fn new(rate: f32, step: i32) -> Self {
        Self { rate: rate / (1.0 - BETA1.powi(step)), root: 1.0 / (1.0 - BETA2.powi(step)).sqrt() }
    }

    /// Moves `weights` against `gradient`.
    pub fn apply(self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        for (((w, &g), m), v) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *v = BETA2 * *v + (1.0 - BETA2) * g * g;
            *w -= self.rate * *m / (v.sqrt() * self.root + EPSILON);
        }
    }
}
