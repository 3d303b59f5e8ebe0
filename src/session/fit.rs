//! Whether what is to be opened fits into memory, and what of it would.
//! Not here: how much a part takes (`model`, `sae`), and how much there is (`memory.rs`).

use crate::device::DeviceName;
use crate::hub::bytes;
use crate::report::Report;
use crate::sae::formats;
use crate::session::load_scope::LoadScope;

/// The memory that a suite takes, in bytes.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// The model, by how much of it is opened: what has to stay in memory for it to be of use. What is looked up row by
    /// row and can be read again from its file does not count.
    pub model: Vec<(LoadScope, u64)>,
    /// The same, if its files held their large matrices in BF16; empty where they do not hold them in F32.
    pub halved: Vec<(LoadScope, u64)>,
    /// The SAEs, in the order of their size. What stays in their files can be read from there again and again.
    pub saes: Vec<(String, formats::Memory)>,
}

/// The memory that an opening takes, and what there was before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// Bytes that have to stay in memory.
    pub needed: u64,
    /// Bytes that can be used; none where the system does not say.
    pub free: Option<u64>,
    /// The same of the device that computes the model, where that is not the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_device: Option<OnDevice>,
}

/// The memory of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct OnDevice {
    /// Bytes that the model takes there.
    pub needed: u64,
    /// Bytes that were free before; none where the device does not say.
    pub free: Option<u64>,
}

/// That a model does not fit onto a device that has `free` bytes, and what would; `needed` is what each reach takes.
pub fn refused_on(
    name: DeviceName,
    suite: &str,
    (reach, free): (LoadScope, u64),
    needed: &[(LoadScope, u64)],
) -> Report {
    let of = |wanted| needed.iter().find(|(reach, _)| *reach == wanted).map_or(0, |(_, bytes)| *bytes);
    let fitting = needed.iter().filter(|(less, bytes)| *less < reach && *bytes <= free);
    let mut fallbacks: Vec<String> = fitting
        .filter_map(|(less, needed)| Some((less.flag()?, *needed, *less)))
        .map(|(flag, needed, less)| match less {
            LoadScope::WeightsOnly => format!("the weights alone, without a prompt: {flag}"),
            _ => format!("latents without predictions ({}): {flag}", bytes(needed)),
        })
        .collect();
    fallbacks.push("this machine's memory: --device cpu".to_owned());
    let what = format!("{suite} needs {} of memory on {name}, {} are free there", bytes(of(reach)), bytes(free));
    let why = "weights, keys and values, and what one product needs beside them; SAEs stay in this machine's memory";
    Report::new(what).because(why).hint(format!("what may fit: {}", fallbacks.join("; ")))
}

/// Something that would fit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fallback {
    reach: LoadScope,
    /// How many of the SAEs, from the smallest.
    saes: usize,
    bytes: u64,
}

impl Demand {
    /// What everything that is wanted takes.
    pub fn whole(&self, reach: LoadScope) -> u64 {
        self.of(reach, self.saes.len()).unwrap_or(0)
    }

    fn of(&self, reach: LoadScope, saes: usize) -> Option<u64> {
        let (_, model) = self.model.iter().find(|(of, _)| *of == reach)?;
        Some(self.saes.iter().take(saes).fold(*model, |sum, (_, sae)| sum.saturating_add(sae.held)))
    }

    /// For each reach, the wanted one first, as many of the SAEs as fit.
    fn fallbacks(&self, wanted: LoadScope, free: u64) -> Vec<Fallback> {
        let fits = |reach: LoadScope| {
            let least = usize::from(!self.saes.is_empty());
            (least..=self.saes.len()).rev().find_map(|saes| {
                let bytes = self.of(reach, saes).filter(|bytes| *bytes <= free)?;
                Some(Fallback { reach, saes, bytes })
            })
        };
        [LoadScope::Whole, LoadScope::Site, LoadScope::WeightsOnly]
            .into_iter()
            .filter(|reach| *reach <= wanted)
            .filter_map(fits)
            .collect()
    }

    /// That it does not fit, part by part, and what would.
    pub fn refused(&self, suite: &str, reach: LoadScope, free: u64) -> Report {
        let needed = self.whole(reach);
        let mut report = Report::new(format!("{suite} needs {} of memory, {} are free", bytes(needed), bytes(free)));
        let model = self.of(reach, 0).unwrap_or(0);
        report.why.push(match reach {
            LoadScope::Whole => format!("the model: {}", bytes(model)),
            LoadScope::Site => format!("the model up to the site: {}", bytes(model)),
            LoadScope::WeightsOnly => format!("the model's words: {}", bytes(model)),
        });
        report.why.extend(self.saes.iter().map(|(id, sae)| {
            let mapped = format!("{} in its file, read as needed", bytes(sae.mapped));
            match (sae.held, sae.mapped) {
                (held, 0) => format!("SAE {id}: {}", bytes(held)),
                (0, _) => format!("SAE {id}: nothing but {mapped}"),
                (held, _) => format!("SAE {id}: {}, besides {mapped}", bytes(held)),
            }
        }));
        let fitting = self.fallbacks(reach, free);
        let mut fallbacks: Vec<String> = fitting.iter().map(|fallback| self.describe(reach, fallback)).collect();
        fallbacks.extend(self.in_bf16(reach, &fitting, free));
        if fallbacks.is_empty() {
            let least = self.fallbacks(reach, u64::MAX).last().map_or(needed, |_| self.least(reach));
            return report
                .hint(format!("close other programs: {} is the least with which anything opens", bytes(least)));
        }
        report.hint(format!("what fits: {}; or close other programs", fallbacks.join("; ")))
    }

    /// The most that fits with a copy of the model in BF16, where that is more than what fits as it is.
    fn in_bf16(&self, wanted: LoadScope, fitting: &[Fallback], free: u64) -> Option<String> {
        let saes = self.whole(wanted).saturating_sub(self.of(wanted, 0).unwrap_or(0));
        let (reach, model) = self.halved.iter().find(|(_, model)| model.saturating_add(saes) <= free)?;
        let copy = format!("with a copy of the model in BF16 ({})", bytes(model.saturating_add(saes)));
        if *reach == wanted {
            return Some(copy);
        }
        let known = *reach == LoadScope::WeightsOnly || fitting.iter().any(|fallback| fallback.reach >= *reach);
        reach.flag().filter(|_| !known).map(|flag| format!("latents without predictions, {copy}: {flag}"))
    }

    fn least(&self, reach: LoadScope) -> u64 {
        let few = self.saes.len().min(1);
        let all = self.model.iter().filter(|(of, _)| *of <= reach).filter_map(|(of, _)| self.of(*of, few));
        all.min().unwrap_or(0)
    }

    fn describe(&self, wanted: LoadScope, fallback: &Fallback) -> String {
        let what = match fallback.reach {
            _ if fallback.reach == wanted => "all of it",
            LoadScope::Whole => "the whole model",
            LoadScope::Site => "latents without predictions",
            LoadScope::WeightsOnly => "the weights alone, without a prompt",
        };
        let flag = fallback.reach.flag().filter(|_| fallback.reach != wanted).map(ToOwned::to_owned);
        let few = fallback.saes < self.saes.len();
        let saes = self.saes.iter().take(fallback.saes).filter(|_| few).map(|(id, _)| format!("--sae {id}"));
        let mut flags = flag.into_iter().chain(saes).collect::<Vec<_>>().join(" ");
        if fallback.reach == LoadScope::WeightsOnly && wanted != LoadScope::WeightsOnly && !few {
            flags += ", or M in the explorer";
        }
        let what = if few { format!("{what} with fewer SAEs") } else { what.to_owned() };
        format!("{what} ({}): {flags}", bytes(fallback.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand() -> Demand {
        Demand {
            model: vec![(LoadScope::Whole, 1000), (LoadScope::Site, 600), (LoadScope::WeightsOnly, 100)],
            halved: vec![(LoadScope::Whole, 550), (LoadScope::Site, 320), (LoadScope::WeightsOnly, 60)],
            saes: [("s", 10, 0), ("m", 200, 50), ("l", 400, 0)]
                .map(|(id, held, mapped)| (id.to_owned(), formats::Memory { held, mapped }))
                .to_vec(),
        }
    }

    #[test]
    fn what_fits_is_told_from_the_most_to_the_least_with_the_arguments_that_choose_it() {
        let told = |free: u64| {
            let report = demand().refused("demo", LoadScope::Whole, free);
            assert_eq!(report.why.len(), 4, "{report}");
            report.hint.unwrap_or_default()
        };
        assert_eq!(
            told(1250),
            "what fits: all of it with fewer SAEs (1.2 kB): --sae s --sae m; latents without predictions (1.2 kB): \
             --no-predictions; the weights alone, without a prompt (710 B): --weights-only, or M in the explorer; with a \
             copy of the model in BF16 (1.2 kB); or close other programs"
        );
        assert_eq!(
            told(620),
            "what fits: latents without predictions with fewer SAEs (610 B): --no-predictions --sae s; the weights \
             alone, without a prompt with fewer SAEs (310 B): --weights-only --sae s --sae m; or close other programs"
        );
        let mut few = demand();
        few.saes.truncate(1);
        let told_few = |free| few.refused("demo", LoadScope::Whole, free).hint.unwrap_or_default();
        assert_eq!(
            told_few(400),
            "what fits: the weights alone, without a prompt (110 B): --weights-only, or M in the explorer; latents without \
             predictions, with a copy of the model in BF16 (330 B): --no-predictions; or close other programs"
        );
        assert!(!told_few(200).contains("BF16") && !told_few(610).contains("330 B"));
        assert_eq!(told(109), "close other programs: 110 B is the least with which anything opens");
    }

    #[test]
    fn what_a_card_cannot_hold_is_refused_with_what_it_can() {
        let needed = [(LoadScope::Whole, 9000), (LoadScope::Site, 4000), (LoadScope::WeightsOnly, 0)];
        let told = |free| refused_on(DeviceName::Cuda(1), "demo", (LoadScope::Whole, free), &needed);
        assert_eq!(told(5000).what, "demo needs 9.0 kB of memory on cuda:1, 5.0 kB are free there");
        assert_eq!(
            told(5000).hint.unwrap_or_default(),
            "what may fit: latents without predictions (4.0 kB): --no-predictions; the weights alone, without a prompt: \
             --weights-only; this machine's memory: --device cpu"
        );
        let none = refused_on(DeviceName::Cuda(1), "demo", (LoadScope::Site, 100), &needed[1..]);
        assert_eq!(none.what, "demo needs 4.0 kB of memory on cuda:1, 100 B are free there");
        assert!(none.hint.unwrap_or_default().starts_with("what may fit: the weights alone"));
    }

    #[test]
    fn nothing_is_offered_that_is_more_than_what_is_wanted_or_more_than_there_is() {
        for wanted in [LoadScope::Whole, LoadScope::Site, LoadScope::WeightsOnly] {
            for free in (0..1700).step_by(10) {
                for fallback in demand().fallbacks(wanted, free) {
                    assert!(fallback.reach <= wanted && fallback.bytes <= free && fallback.saes > 0, "{fallback:?}");
                    assert_eq!(demand().of(fallback.reach, fallback.saes), Some(fallback.bytes));
                }
            }
        }
        assert_eq!(demand().whole(LoadScope::Site), 1210);
    }
}
