//! Lines and points in cells: braille dots, or asterisks where there is only ASCII.
//! Not here: what is plotted.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::text::Charset;
use crate::tui::canvas::Canvas;

/// Dots over an area, 2 by 4 in a cell; in ASCII one in a cell.
pub(crate) struct Raster {
    cells: (usize, usize),
    per: (usize, usize),
    dots: Vec<u8>,
}

/// The bit of a dot within a braille cell, by column and row.
const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

impl Raster {
    pub(crate) fn new(area: Rect, charset: Charset) -> Self {
        let cells = (usize::from(area.width), usize::from(area.height));
        let per = if charset == Charset::Ascii { (1, 1) } else { (2, 4) };
        Self { cells, per, dots: vec![0; cells.0 * cells.1] }
    }

    /// Dots across and down.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.cells.0 * self.per.0, self.cells.1 * self.per.1)
    }

    pub(crate) fn dot(&mut self, x: usize, y: usize) {
        let (column, row) = (x / self.per.0, y / self.per.1);
        if column < self.cells.0 && row < self.cells.1 {
            self.dots[row * self.cells.0 + column] |= BITS[x % self.per.0][y % self.per.1];
        }
    }

    /// A straight line, both ends included.
    pub(crate) fn line(&mut self, from: (usize, usize), to: (usize, usize)) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let along = |a: usize, b: usize, i: usize| {
            let (a, b) = (a as f64, b as f64);
            (a + (b - a) * i as f64 / steps as f64).round() as usize
        };
        for i in 0..=steps {
            self.dot(along(from.0, to.0, i), along(from.1, to.1, i));
        }
    }

    /// Draws the dots; cells without one are left as they are.
    pub(crate) fn draw(&self, area: Rect, style: Style, pen: &mut Canvas<'_>) {
        for (at, dots) in self.dots.iter().enumerate().filter(|(_, dots)| **dots != 0) {
            let (column, row) = (at % self.cells.0, at / self.cells.0);
            let glyph = if self.per == (1, 1) { '*' } else { char::from_u32(0x2800 + u32::from(*dots)).unwrap_or('*') };
            let place = Rect { x: area.x + column as u16, y: area.y + row as u16, width: 1, height: 1 };
            // What lay below must not shine through.
            pen.text(place, 0, &glyph.to_string(), Style::reset().patch(style));
        }
    }
}

/// The stretch of numbers that an axis covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span1 {
    pub low: f64,
    pub high: f64,
}

impl Span1 {
    /// The stretch that holds all of these that are numbers; one wide where they are all the same; none without any.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|v| v.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            return None;
        }
        if low == high {
            let room = if low == 0.0 { 0.5 } else { low.abs() * 0.01 };
            return Some(Self { low: low - room, high: high + room });
        }
        Some(Self { low, high })
    }

    /// The dot of a value among `dots`, the lowest first.
    pub(crate) fn place(self, value: f64, dots: usize) -> usize {
        let last = dots.saturating_sub(1) as f64;
        ((value - self.low) / (self.high - self.low) * last).round().clamp(0.0, last) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_they_should() {
        let span = Span1::of([1.0, 3.0, f64::NAN].into_iter()).expect("a stretch");
        assert_eq!((span.place(1.0, 5), span.place(2.0, 5), span.place(3.0, 5)), (0, 2, 4));
        assert_eq!((span.place(-9.0, 5), span.place(9.0, 5)), (0, 4));
        assert_eq!(Span1::of(std::iter::empty()), None);
        let flat = Span1::of([0.0, 0.0].into_iter()).expect("a stretch");
        assert!(flat.low < flat.high);
    }

    #[test]
    fn a_line_touches_both_ends_and_never_leaves() {
        let mut raster = Raster::new(Rect::new(0, 0, 4, 2), Charset::Unicode);
        raster.line((0, 7), (7, 0));
        assert_eq!(raster.dots[4] & BITS[0][3], BITS[0][3]);
        assert_eq!(raster.dots[3] & BITS[1][0], BITS[1][0]);
        raster.line((0, 0), (100, 100));
        raster.dot(1000, 1000);
    }
}
