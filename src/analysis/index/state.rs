//! What is counted so far as bytes, so that an index can be continued and shards can be merged.
//! Not here: files, and what a person or another program reads.

use std::io::{self, Read, Write};

use super::best::Best;
use super::corpus::{Corpus, Rule, SaeTally, Stored};
use super::latent::Tally;
use super::packed::Packed;
use super::spot::Spot;

/// Most bytes of one list: more is not what this program writes.
const LONGEST: u64 = 1 << 32;

/// Stands between the ids of an SAE and of its meta-SAE.
const BETWEEN: char = '\0';

fn name_of(of: &SaeTally) -> String {
    of.meta.as_ref().map_or_else(|| of.id.clone(), |meta| format!("{}{BETWEEN}{meta}", of.id))
}

/// Why bytes are not what was counted.
#[derive(Debug, thiserror::Error)]
pub enum BadState {
    /// They cannot be read, or end too early.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// They are not what this program writes.
    #[error("its {0} are not what this program writes")]
    Broken(&'static str),
}

/// Writes numbers and lists.
pub struct Writer<W>(pub W);

/// Reads what [`Writer`] wrote.
pub struct Reader<R>(pub R);

impl<W: Write> Writer<W> {
    fn number(&mut self, number: u64) -> io::Result<()> {
        self.0.write_all(&number.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.number(bytes.len() as u64)?;
        self.0.write_all(bytes)
    }

    fn spot(&mut self, spot: &Spot) -> io::Result<()> {
        self.0.write_all(&spot.activation.to_le_bytes())?;
        self.0.write_all(&spot.document.to_le_bytes())?;
        self.0.write_all(&spot.window.to_le_bytes())?;
        self.0.write_all(&spot.position.to_le_bytes())?;
        self.0.write_all(&(spot.heat().len() as u32).to_le_bytes())?;
        self.0.write_all(spot.heat())
    }

    fn spots<'a>(&mut self, spots: impl ExactSizeIterator<Item = &'a Spot>) -> io::Result<()> {
        self.number(spots.len() as u64)?;
        spots.into_iter().try_for_each(|spot| self.spot(spot))
    }

    fn tally(&mut self, tally: &Tally) -> io::Result<()> {
        self.number(tally.count)?;
        self.0.write_all(&tally.sum.to_le_bytes())?;
        self.0.write_all(&tally.max.to_le_bytes())?;
        self.bytes(tally.tokens.bytes())?;
        self.bytes(tally.edges.bytes())?;
        self.spots(tally.best.firsts.iter())?;
        self.spots(tally.best.others.iter())?;
        self.number(tally.best.last.as_ref().map_or(0, |(_, out)| 1 + u64::from(*out)))?;
        if let Some((last, _)) = &tally.best.last {
            self.spot(last)?;
        }
        self.spots(tally.sample.iter().map(|(_, spot)| spot))
    }

    /// Writes what was counted; it must be closed.
    ///
    /// # Errors
    /// What the writer has against it.
    pub fn corpus(&mut self, corpus: &Corpus) -> io::Result<()> {
        for number in [corpus.rule.context as u64, corpus.rule.top as u64, corpus.tokens, corpus.sinks] {
            self.number(number)?;
        }
        self.number(corpus.windows.len() as u64)?;
        for Stored { document, window, start, end } in &corpus.windows {
            self.0.write_all(&document.to_le_bytes())?;
            self.0.write_all(&window.to_le_bytes())?;
            self.0.write_all(&((end - start) as u32).to_le_bytes())?;
        }
        corpus.ids.iter().try_for_each(|id| self.0.write_all(&id.to_le_bytes()))?;
        self.number(corpus.saes.len() as u64)?;
        for sae in &corpus.saes {
            self.bytes(name_of(sae).as_bytes())?;
            self.number(sae.latents.len() as u64)?;
            sae.latents.iter().try_for_each(|latent| self.tally(latent))?;
        }
        Ok(())
    }
}

impl<R: Read> Reader<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadState> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, BadState> {
        self.array().map(u64::from_le_bytes)
    }

    fn small(&mut self) -> Result<u32, BadState> {
        self.array().map(u32::from_le_bytes)
    }

    fn float(&mut self) -> Result<f32, BadState> {
        self.array().map(f32::from_le_bytes)
    }

    /// As many bytes as are said; memory is taken as they come, so that a wrong length costs none.
    fn taken(&mut self, length: u64) -> Result<Vec<u8>, BadState> {
        let mut bytes = Vec::new();
        (&mut self.0).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length || length > LONGEST {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(bytes)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, BadState> {
        let length = self.number()?;
        self.taken(length)
    }

    fn packed(&mut self, what: &'static str) -> Result<Packed, BadState> {
        Packed::from_bytes(&self.bytes()?).ok_or(BadState::Broken(what))
    }

    fn spot(&mut self) -> Result<Spot, BadState> {
        let (activation, document, window) = (self.float()?, self.small()?, self.small()?);
        let position = self.array().map(u16::from_le_bytes)?;
        let length = self.small()?;
        let heat = self.taken(length.into())?;
        Spot::with_heat(activation, (document, window, position), &heat).ok_or(BadState::Broken("examples"))
    }

    fn spots(&mut self) -> Result<Vec<Spot>, BadState> {
        let count = self.number()?;
        let mut spots = Vec::new();
        for _ in 0..count {
            spots.push(self.spot()?);
        }
        Ok(spots)
    }

    fn tally(&mut self) -> Result<Tally, BadState> {
        let mut tally = Tally::default();
        (tally.count, tally.sum) = (self.number()?, self.array().map(u128::from_le_bytes)?);
        tally.max = self.float()?;
        tally.tokens = self.packed("tokens")?;
        tally.edges = self.packed("histograms")?;
        let (firsts, others) = (self.spots()?, self.spots()?);
        let last = match self.number()? {
            0 => None,
            out => Some((self.spot()?, out > 1)),
        };
        tally.best = Best { firsts, others, last };
        self.spots()?.into_iter().for_each(|spot| tally.drawn(spot));
        let counted: u64 = tally.histogram().map(|(_, count)| count).fold(0, u64::saturating_add);
        if counted != tally.count || !tally.max.is_finite() || !tally.is_sound() {
            return Err(BadState::Broken("counts"));
        }
        Ok(tally)
    }

    /// Reads what was counted.
    ///
    /// # Errors
    /// [`BadState`].
    pub fn corpus(&mut self) -> Result<Corpus, BadState> {
        let rule = Rule { context: self.number()? as usize, top: self.number()? as usize };
        let (tokens, sinks) = (self.number()?, self.number()?);
        let (mut windows, mut start) = (Vec::new(), 0);
        for _ in 0..self.number()? {
            let (document, window, length) = (self.small()?, self.small()?, self.small()? as usize);
            windows.push(Stored { document, window, start, end: start + length });
            start += length;
        }
        let mut ids = Vec::new();
        for _ in 0..start {
            ids.push(self.small()?);
        }
        let mut saes = Vec::new();
        for _ in 0..self.number()? {
            let name = String::from_utf8(self.bytes()?).map_err(|_| BadState::Broken("names"))?;
            let (id, meta) = name.split_once(BETWEEN).map_or((&*name, None), |(id, meta)| (id, Some(meta)));
            let (id, meta) = (id.to_owned(), meta.map(str::to_owned));
            let mut latents = Vec::new();
            for _ in 0..self.number()? {
                latents.push(self.tally()?);
            }
            saes.push(SaeTally { id, meta, latents });
        }
        Ok(Corpus { rule, tokens, sinks, windows, ids, saes })
    }
}
