//! The lines of a batch: JSON lines under gzip.
//! Not here: what is in a line.

use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use serde::de::DeserializeOwned;

use crate::report::Report;
use crate::session::neuronpedia::Export;
use crate::task::{Cancel, OnProgress, Progress, Unit, Whole};
use crate::web::shown;

/// Bytes of a line, and of a batch without its compression, at most.
const LONGEST_LINE: u64 = 16 << 20;
const LARGEST: u64 = 4 << 30;

/// A file of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its name in the bucket.
    pub name: String,
    /// Its bytes.
    pub size: u64,
}

impl Export<'_> {
    /// Reads all lines of some batches; `take` says what is wrong with one.
    ///
    /// # Errors
    /// What is wrong, with the address and the line.
    pub fn read<T: DeserializeOwned>(
        &self,
        batches: &[Batch],
        (cancel, on): (&Cancel, OnProgress<'_>),
        take: &mut dyn FnMut(T) -> Result<(), String>,
    ) -> Result<(), Report> {
        let total: u64 = batches.iter().map(|batch| batch.size).sum();
        let mut before = 0;
        for (at, batch) in batches.iter().enumerate() {
            let url = self.web.address(&batch.name, &[]);
            let address = shown(&url);
            let cannot = || format!("cannot read `{address}`");
            let tell = |done: u64| {
                let whole = Whole { done: (before + done).min(total), total, part: at + 1, parts: batches.len() };
                on(Progress {
                    what: batch.name.clone(),
                    done,
                    total: Some(batch.size),
                    unit: Unit::Bytes,
                    whole: Some(whole),
                    ..Progress::default()
                });
            };
            let reply = self.web.get(&url, batch.size as usize, cancel, &tell);
            let reply = reply.map_err(|error| error.report(cannot()))?;
            let wrong = |why: String| {
                Report::new(cannot()).because(why).hint("nothing of this source was taken in; try again later")
            };
            if reply.status != 200 {
                return Err(wrong(format!("it answers with status {}", reply.status)));
            }
            if (reply.body.len() as u64) < batch.size {
                return Err(wrong(format!("it is cut short: {} of {} bytes", reply.body.len(), batch.size)));
            }
            lines(&reply.body, cancel, take).map_err(|wrong_line| match wrong_line {
                Wrong::Line(line, why) => wrong(format!("line {line}: {why}")),
                Wrong::Whole(why) => wrong(why),
                Wrong::Report(report) => report,
            })?;
            before += batch.size;
        }
        Ok(())
    }
}

/// What is wrong with a batch.
enum Wrong {
    Line(usize, String),
    Whole(String),
    Report(Report),
}

fn lines<T: DeserializeOwned>(
    bytes: &[u8],
    cancel: &Cancel,
    take: &mut dyn FnMut(T) -> Result<(), String>,
) -> Result<(), Wrong> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        let beginning: String = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        return Err(Wrong::Whole(format!("it is not gzip: it begins with `{}`", beginning.escape_debug())));
    }
    let mut reader = BufReader::new(MultiGzDecoder::new(bytes).take(LARGEST));
    let mut line = Vec::new();
    for number in 1.. {
        cancel.check().map_err(|cancelled| Wrong::Report(cancelled.into()))?;
        line.clear();
        let read = reader.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|error| Wrong::Line(number, format!("the batch is cut short or damaged: {error}")))?;
        if read == 0 {
            break;
        }
        if line.len() as u64 > LONGEST_LINE {
            return Err(Wrong::Line(number, format!("it is longer than {LONGEST_LINE} bytes")));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let parsed = serde_json::from_slice(&line).map_err(|error| Wrong::Line(number, error.to_string()))?;
        take(parsed).map_err(|why| Wrong::Line(number, why))?;
    }
    if reader.into_inner().limit() == 0 {
        return Err(Wrong::Whole(format!("it has more than {LARGEST} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::Value;

    use super::*;

    fn zipped(text: &[u8]) -> Vec<u8> {
        let mut writer = GzEncoder::new(Vec::new(), Compression::default());
        writer.write_all(text).expect("is written");
        writer.finish().expect("is written")
    }

    fn read(bytes: &[u8]) -> Result<usize, String> {
        let mut count = 0;
        let taken = lines::<Value>(bytes, &Cancel::new(), &mut |_| {
            count += 1;
            Ok(())
        });
        taken.map(|()| count).map_err(|wrong| match wrong {
            Wrong::Line(line, why) => format!("line {line}: {why}"),
            Wrong::Whole(why) => why,
            Wrong::Report(report) => report.to_string(),
        })
    }

    #[test]
    fn lines_are_read_and_what_is_wrong_has_its_line() {
        let good = zipped(b"{\"a\":1}\n\n{\"a\":2}\n");
        assert_eq!(read(&good), Ok(2));
        assert_eq!(read(&[good.clone(), good].concat()), Ok(4), "parts that follow one another are one");
        assert!(read(b"<html>").expect_err("is no gzip").contains("<html>"));
        assert!(read(b"").is_err());
        assert!(read(&zipped(b"{\"a\":1}\n{\"a\":\n")).expect_err("is no JSON").starts_with("line 2"));
        let noise: Vec<u8> = (0..9000_u32)
            .flat_map(|at| format!("{{\"a\":{}}}\n", at.wrapping_mul(2_654_435_761)).into_bytes())
            .collect();
        let long = zipped(&noise);
        let cut = read(&long[..long.len() / 2]).expect_err("is cut");
        assert!(cut.starts_with("line ") && cut.contains("cut short"), "{cut}");
        let one = zipped(&vec![b' '; LONGEST_LINE as usize + 2]);
        assert!(read(&one).expect_err("is too long").contains("longer"));
    }
}
