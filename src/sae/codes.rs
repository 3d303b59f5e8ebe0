//! What fires, token by token, and nothing else: the sparse result of an encode.
//! Not here: how it is computed.

/// What fires, token by token: for each row the latents that are not zero, by rising index.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Where each row starts in `latents` and `values`; one more entry than rows.
    pub starts: Vec<usize>,
    /// Latent of each active pair.
    pub latents: Vec<u32>,
    /// Activation of each active pair.
    pub values: Vec<f32>,
    /// How each row's reconstruction is brought back to the size of its input; empty where the SAE does not
    /// normalise its input.
    pub undo: Vec<Affine>,
}

/// x = x′·scale + shift: the inverse of what normalisation did to one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// The factor.
    pub scale: f32,
    /// What is added to every dimension after it.
    pub shift: f32,
}

impl Affine {
    /// What changes nothing.
    pub const IDENTITY: Self = Self { scale: 1.0, shift: 0.0 };
}

impl Default for Codes {
    fn default() -> Self {
        Self { starts: vec![0], latents: Vec::new(), values: Vec::new(), undo: Vec::new() }
    }
}

impl Codes {
    /// Codes of these rows, each by rising latent, without normalisation.
    pub fn from_rows<Row: IntoIterator<Item = (u32, f32)>>(rows: impl IntoIterator<Item = Row>) -> Self {
        let mut codes = Self::default();
        for row in rows {
            codes.push_row(row);
        }
        codes
    }

    /// Adds a row, by rising latent.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = (u32, f32)>) {
        for (latent, value) in row {
            self.latents.push(latent);
            self.values.push(value);
        }
        self.starts.push(self.latents.len());
    }

    /// Forgets all but the first `rows`.
    pub fn truncate(&mut self, rows: usize) {
        if rows < self.rows() {
            self.starts.truncate(rows + 1);
            let pairs = self.starts[rows];
            self.latents.truncate(pairs);
            self.values.truncate(pairs);
            self.undo.truncate(rows);
        }
    }

    /// Adds the rows of `more` behind these; both must come from the same SAE.
    pub fn append(&mut self, more: &Self) {
        let pairs = self.latents.len();
        self.starts.extend(more.starts.iter().skip(1).map(|start| pairs + start));
        self.latents.extend_from_slice(&more.latents);
        self.values.extend_from_slice(&more.values);
        self.undo.extend_from_slice(&more.undo);
    }

    /// The number of rows (tokens).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The latents and activations of one row, by rising latent.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.latents[range.clone()], &self.values[range])
    }

    /// How strongly a latent fires in a row: 0 when it does not.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn activation(&self, row: usize, latent: u32) -> f32 {
        let (latents, values) = self.row(row);
        latents.binary_search(&latent).map_or(0.0, |at| values[at])
    }

    /// How a row's reconstruction is brought back to the size of its input.
    #[must_use]
    pub fn undo(&self, row: usize) -> Affine {
        self.undo.get(row).copied().unwrap_or(Affine::IDENTITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latent_that_does_not_fire_is_zero() {
        let codes = Codes::from_rows([vec![(2, 0.5), (7, 1.5)], vec![]]);
        assert_eq!(codes.rows(), 2);
        assert_eq!(codes.row(0), (&[2, 7][..], &[0.5, 1.5][..]));
        assert_eq!((codes.activation(0, 7), codes.activation(0, 3), codes.activation(1, 2)), (1.5, 0.0, 0.0));
        assert_eq!(Codes::default().rows(), 0);
    }

    #[test]
    fn rows_cut_off_and_added_again_are_the_same_rows() {
        let rows = [vec![(2, 0.5), (7, 1.5)], vec![], vec![(1, 2.0)]];
        let whole = Codes::from_rows(rows.clone());
        let mut codes = whole.clone();
        codes.truncate(1);
        assert_eq!(codes, Codes::from_rows(rows[..1].to_vec()));
        codes.append(&Codes::from_rows(rows[1..].to_vec()));
        assert_eq!(codes, whole);
        codes.truncate(9);
        assert_eq!(codes, whole);
    }
}
