//! Rotary position embeddings (Su et al., *RoFormer*, 2021), with the frequency scalings that configs state, as
//! `transformers/modeling_rope_utils.py` computes them.
//! Not here: attention.

use std::f64::consts::{PI, TAU};

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::Error;
use super::config::Config;
use super::lend::lend;

/// Values that one thread turns at a time: fewer cost less than waking another.
const TURNED: usize = 1 << 15;

/// Most values of a head; larger ones are refused before a table of their angles is made.
const LARGEST: usize = 1 << 16;

/// The scalings that can be computed. `dynamic` changes nothing up to the context that its config states, and longer
/// prompts are refused. So are those beyond the context before scaling of `longrope`, which would turn all positions by
/// other angles from there on.
const KINDS: &str = "default, linear, dynamic, yarn, llama3, longrope, proportional";

/// The angles by which a model turns queries and keys.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rope {
    /// Radians for each position, one for each pair of values of a head. Values beyond the pairs stay as they are.
    frequencies: Vec<f32>,
    /// What cosines and sines are multiplied by: 1 but for yarn and longrope.
    amplitude: f32,
    /// How many positions these angles are for, where that is fewer than the config's context.
    positions: Option<usize>,
}

/// Under which names a family's config keeps what other configs keep in `rope_parameters` or `rope_scaling`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// The base of the frequencies.
    pub(super) theta: &'static [&'static str],
    /// The base where no config says so.
    pub(super) default: f64,
    /// Which part of a head is turned, with the part where no config says so; `None` where it is always the whole.
    pub(super) part: Option<(&'static [&'static str], f64)>,
}

/// The names most families use.
pub(super) const NAMES: Names = Names { theta: &["rope_theta"], default: 10_000.0, part: None };

impl Rope {
    /// The angles for heads of `head` values, for prompts of up to `context` positions.
    pub(super) fn read(config: &Config, names: Names, head: usize, context: usize) -> Result<Self, Error> {
        // `rope_scaling` wins where both stand, and an empty one counts as none, as in `transformers`.
        let section = match config.section("rope_scaling")? {
            Some(section) => Some(section),
            None => config.section("rope_parameters")?,
        };
        Self::of(config, section.as_ref(), names, head, context)
    }

    /// The same with what `section` states of scaling, base and part; what it does not is looked for in `config`.
    pub(super) fn of(
        config: &Config,
        section: Option<&Config>,
        names: Names,
        head: usize,
        context: usize,
    ) -> Result<Self, Error> {
        let stated = |key: &str| section.map_or(Ok(None), |section| section.number(&[key]));
        let base = match stated("rope_theta")? {
            Some(base) => base,
            None => config.number(names.theta)?.unwrap_or(names.default),
        };
        let kind = match section {
            None => None,
            Some(section) => section.text("rope_type")?.map_or_else(|| section.text("type"), |kind| Ok(Some(kind)))?,
        };
        let proportional = kind == Some("proportional");
        let part = match names.part {
            None if proportional => stated("partial_rotary_factor")?.unwrap_or(1.0),
            None => 1.0,
            Some((top, default)) => match stated("partial_rotary_factor")? {
                Some(part) => part,
                None => config.number(top)?.unwrap_or(default),
            },
        };
        if !(part > 0.0 && part <= 1.0) {
            return Err(config.bad(format!("{part} of each head is to be turned, expected more than 0 and at most 1")));
        }
        // Proportional angles are of the whole head; some of them are zero.
        let size = if proportional { head } else { (head as f64 * part) as usize };
        let pairs = size.div_ceil(2);
        if head > LARGEST || 2 * pairs > head {
            return Err(config.bad(format!("{size} of a head's {head} values cannot be turned in pairs")));
        }
        // Rounded where the reference rounds: at far positions the last bit of a frequency turns by a visible angle.
        let powers: Vec<f32> =
            (0..pairs).map(|index| base.powf(f64::from((2 * index) as f32 / size as f32)) as f32).collect();
        let frequencies = powers.iter().map(|power| 1.0 / power).collect();
        let mut rope = Self { frequencies, amplitude: 1.0, positions: None };
        if let Some(section) = section {
            let scaling = Scaling { config, section, base, powers: &powers, size, context };
            match kind {
                None | Some("default" | "dynamic") => {}
                Some("linear") => {
                    let factor = scaling.needed("factor")? as f32;
                    rope.frequencies.iter_mut().for_each(|frequency| *frequency /= factor);
                }
                Some("llama3") => scaling.llama3(&mut rope)?,
                Some("yarn") => scaling.yarn(&mut rope)?,
                Some("longrope") => scaling.longrope(&mut rope)?,
                Some("proportional") => {
                    let (transposed, factor) = ((head as f64 * part / 2.0) as usize, section.number(&["factor"])?);
                    rope.frequencies.iter_mut().for_each(|frequency| *frequency /= factor.unwrap_or(1.0) as f32);
                    rope.frequencies.iter_mut().skip(transposed).for_each(|frequency| *frequency = 0.0);
                }
                Some(other) => {
                    return Err(section.bad_key("rope_type", format!("is `{other}`, expected one of {KINDS}")));
                }
            }
        }
        if rope.frequencies.iter().all(|frequency| frequency.is_finite()) && rope.amplitude.is_finite() {
            Ok(rope)
        } else {
            Err(config.bad("its rotary position embedding gives angles that are not finite"))
        }
    }

    /// How many of `context` positions can be turned.
    pub(super) fn within(&self, context: usize) -> usize {
        self.positions.map_or(context, |positions| positions.min(context))
    }

    /// Cosines and sines for `count` positions from `start` on, all of these `times` times, where `device` has them; `None`
    /// is the CPU.
    pub(super) fn rotary(
        &self,
        start: usize,
        count: usize,
        times: usize,
        device: Option<&Device>,
    ) -> candle_core::Result<RotaryTable> {
        // The angle is rounded to f32 before its cosine is taken, as in the reference: at large positions that rounding
        // can be seen.
        let angles = (start..start + count)
            .flat_map(|position| self.frequencies.iter().map(move |frequency| position as f32 * frequency));
        let (cos, sin): (Vec<f32>, Vec<f32>) = angles
            .map(|angle| {
                (f64::from(angle).cos() as f32 * self.amplitude, f64::from(angle).sin() as f32 * self.amplitude)
            })
            .unzip();
        let (cos, sin) = if times == 1 { (cos, sin) } else { (cos.repeat(times), sin.repeat(times)) };
        let pairs = self.frequencies.len();
        match device {
            None => Ok(RotaryTable::Cpu { cos, sin, pairs }),
            Some(device) => {
                let place = |values: Vec<f32>| Tensor::from_vec(values, (count * times, 1, pairs), device);
                Ok(RotaryTable::Device { cos: place(cos)?, sin: place(sin)?, pairs })
            }
        }
    }
}

/// What a scaling is computed from.
struct Scaling<'a> {
    config: &'a Config,
    section: &'a Config,
    base: f64,
    /// Of the base, one for each pair: plain frequencies are 1 by these.
    powers: &'a [f32],
    /// Values of a head that are turned.
    size: usize,
    context: usize,
}

impl Scaling<'_> {
    /// A number greater than 0 that must be there.
    fn needed(&self, key: &str) -> Result<f64, Error> {
        self.section.number(&[key])?.ok_or_else(|| self.section.bad_key(key, "is needed and not there"))
    }

    /// The context before scaling.
    fn original(&self) -> Result<f64, Error> {
        const KEY: &str = "original_max_position_embeddings";
        let stated = match self.config.number(&[KEY])? {
            Some(stated) => Some(stated),
            None => self.section.number(&[KEY])?,
        };
        Ok(stated.unwrap_or(self.context as f64))
    }

    /// Llama 3.1: slow turns are slowed by the factor, quick ones kept, those between interpolated.
    fn llama3(&self, rope: &mut Rope) -> Result<(), Error> {
        let factor = self.needed("factor")? as f32;
        let (low, high) = (self.needed("low_freq_factor")?, self.needed("high_freq_factor")?);
        let original = self.original()?;
        let (longest, shortest) = ((original / low) as f32, (original / high) as f32);
        for frequency in &mut rope.frequencies {
            let wave = (2.0 * PI) as f32 / *frequency;
            if wave > longest {
                *frequency /= factor;
            } else if wave >= shortest {
                let smooth = (original as f32 / wave - low as f32) / (high - low) as f32;
                *frequency = (1.0 - smooth) * *frequency / factor + smooth * *frequency;
            }
        }
        Ok(())
    }

    /// LongRoPE (Ding et al., 2024): each frequency has a factor of its own. Prompts longer than the context before
    /// scaling have other factors, for all their positions.
    fn longrope(&self, rope: &mut Rope) -> Result<(), Error> {
        const KEY: &str = "short_factor";
        let packable =
            self.section.numbers(KEY)?.ok_or_else(|| self.section.bad_key(KEY, "is needed and not there"))?;
        if packable.len() != self.powers.len() {
            let why = format!("has {} factors for {} pairs of values of a head", packable.len(), self.powers.len());
            return Err(self.section.bad_key(KEY, why));
        }
        for ((frequency, power), factor) in rope.frequencies.iter_mut().zip(self.powers).zip(packable) {
            *frequency = 1.0 / (factor as f32 * power);
        }
        let original = self.original()?;
        rope.positions = Some((original as usize).max(1));
        let factor = self.section.number(&["factor"])?.unwrap_or(self.context as f64 / original);
        rope.amplitude = match self.section.number(&["attention_factor"])? {
            Some(stated) => stated as f32,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / original.ln()).sqrt() as f32,
        };
        Ok(())
    }

    /// YaRN (Peng et al., 2023): a ramp from kept to slowed turns, and cosines and sines made larger.
    fn yarn(&self, rope: &mut Rope) -> Result<(), Error> {
        let original = self.original()?;
        let factor = self.section.number(&["factor"])?.unwrap_or(self.context as f64 / original);
        let either =
            |key, default| Ok::<_, Error>(self.section.number_or_zero(key)?.filter(|n| *n != 0.0).unwrap_or(default));
        let (fast, slow) = (either("beta_fast", 32.0)?, either("beta_slow", 1.0)?);
        let size = self.size as f64;
        let index = |rotary: f64| size * (original / (rotary * TAU)).ln() / (2.0 * self.base.ln());
        let (mut low, mut high) = (index(fast), index(slow));
        if self.section.flag("truncate", true)? {
            (low, high) = (low.floor(), high.ceil());
        }
        (low, high) = (low.max(0.0), high.min(size - 1.0));
        if low == high {
            high += 0.001;
        }
        for (index, (frequency, power)) in rope.frequencies.iter_mut().zip(self.powers).enumerate() {
            let kept = 1.0 - ((index as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
            *frequency = 1.0 / (factor as f32 * power) * (1.0 - kept) + *frequency * kept;
        }
        let grown = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * factor.ln() + 1.0 };
        rope.amplitude = match self.section.number_or_zero("attention_factor")? {
            Some(stated) => stated as f32,
            None => match (either("mscale", 0.0)?, either("mscale_all_dim", 0.0)?) {
                (one, all) if one != 0.0 && all != 0.0 => (grown(one) / grown(all)) as f32,
                _ => grown(1.0) as f32,
            },
        };
        Ok(())
    }
}

/// Cosines and sines of the positions of one pass, [positions, pairs].
#[derive(Debug)]
pub(super) enum RotaryTable {
    Cpu { cos: Vec<f32>, sin: Vec<f32>, pairs: usize },
    Device { cos: Tensor, sin: Tensor, pairs: usize },
}

impl RotaryTable {
    /// Turns every head of `x`, [positions, heads · size]: value i of a head is paired with value i + pairs, as the
    /// hub's weights have it.
    pub(super) fn apply(&self, x: &Tensor, size: usize) -> candle_core::Result<Tensor> {
        let (rows, width) = x.dims2()?;
        match self {
            Self::Cpu { cos, sin, pairs } => {
                if cos.len() != rows * pairs || width % size.max(1) != 0 || 2 * pairs > size {
                    candle_core::bail!("{rows} rows of {width} values cannot be turned by {} angles", cos.len());
                }
                let mut out = lend(x, <[f32]>::to_vec)?;
                let turn = |(position, row): (usize, &mut [f32])| {
                    let angles = position * pairs..(position + 1) * pairs;
                    row.chunks_exact_mut(size).for_each(|head| turn(head, &cos[angles.clone()], &sin[angles.clone()]));
                };
                if out.len() <= TURNED {
                    out.chunks_exact_mut(width).enumerate().for_each(turn);
                } else {
                    out.par_chunks_exact_mut(width).enumerate().for_each(turn);
                }
                Tensor::from_vec(out, (rows, width), &Device::Cpu)
            }
            Self::Device { cos, sin, pairs } => {
                let heads = x.reshape((rows, width / size.max(1), size))?;
                let (one, two) = (heads.narrow(2, 0, *pairs)?, heads.narrow(2, *pairs, *pairs)?);
                let first = (one.broadcast_mul(cos)? - two.broadcast_mul(sin)?)?;
                let second = (two.broadcast_mul(cos)? + one.broadcast_mul(sin)?)?;
                let mut parts = vec![first, second];
                if size > 2 * pairs {
                    parts.push(heads.narrow(2, 2 * pairs, size - 2 * pairs)?);
                }
                Tensor::cat(&parts, 2)?.reshape((rows, width))
            }
        }
    }
}

/// One head.
fn turn(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (one, rest) = head.split_at_mut(cos.len());
    for (((one, two), cos), sin) in one.iter_mut().zip(rest).zip(cos).zip(sin) {
        (*one, *two) = (*one * cos - *two * sin, *two * cos + *one * sin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heads of 128 values, as in Llama 3.1.
    fn rope(config: &str, context: usize) -> Rope {
        let config = Config::parse("config.json", config.as_bytes()).unwrap();
        Rope::read(&config, NAMES, 128, context).unwrap()
    }

    /// Index of a pair, its frequency, cosine and sine at `position`, as `transformers` 5.23 has them.
    fn is(rope: &Rope, amplitude: f64, position: usize, want: &[(usize, f32, f32, f32)]) {
        assert!((f64::from(rope.amplitude) - amplitude).abs() < 1e-7, "{}", rope.amplitude);
        let RotaryTable::Cpu { cos, sin, .. } = rope.rotary(position, 1, 1, None).unwrap() else {
            panic!("on the CPU")
        };
        for (index, frequency, want_cos, want_sin) in want {
            assert_eq!(rope.frequencies[*index], *frequency, "{index}");
            assert!((cos[*index] - want_cos).abs() < 3e-7 && (sin[*index] - want_sin).abs() < 3e-7, "{index}");
        }
    }

    #[test]
    fn the_angles_of_llama_3_1_are_those_of_transformers_at_far_positions() {
        let scaling = r#"{"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"}"#;
        let config = format!(r#"{{"rope_theta": 500000.0, "rope_scaling": {scaling}}}"#);
        let want = [
            (0, 1.0, 0.984_314_86, -0.176_420_85),
            (1, 0.814_617_2, -0.889_275_5, 0.457_372),
            (28, 0.003_211_446, 0.757_197, 0.653_186_56),
            (29, 0.002_166_570_6, -0.994_351_86, 0.106_133_86),
            (33, 0.000_312_693_65, 0.989_415_7, -0.145_108_67),
            (35, 9.556_212e-5, -0.991_337_36, -0.131_34),
            (40, 3.428_102_4e-5, -0.959_207, -0.282_704_62),
            (63, 3.068_926e-7, 0.999_529_06, 0.030_685_363),
        ];
        is(&rope(&config, 131_072), 1.0, 100_003, &want);
    }

    #[test]
    fn the_angles_of_yarn_are_those_of_transformers() {
        let config = r#"{"rope_parameters": {"rope_theta": 10000.0, "rope_type": "yarn", "factor": 16.0,
            "original_max_position_embeddings": 8192}}"#;
        let want = [
            (20, 0.056_234_13, -1.276_694_9, -0.037_951_42),
            (25, 0.027_384_195, 1.089_227, 0.667_064_37),
            (35, 0.004_058_636, 0.260_738_37, 1.250_362_3),
            (45, 0.000_384_981_63, -0.310_502_35, 1.238_942_5),
            (63, 7.217_387e-6, 1.117_685_7, 0.618_198_04),
        ];
        is(&rope(config, 131_072), 1.277_258_872_223_978_2, 70_001, &want);
        let config = r#"{"rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096,
            "mscale": 1.0, "mscale_all_dim": 0.707, "beta_fast": 32, "beta_slow": 1, "truncate": false}}"#;
        let want = [
            (20, 0.056_234_13, 1.049_706_8, -0.277_339_73),
            (35, 0.002_798_499_3, -1.023_466_8, 0.362_377_43),
            (63, 2.886_954_7e-6, 1.085_721_9, 0.003_137_573),
        ];
        is(&rope(config, 163_840), 1.085_726_399_256_155_3, 1001, &want);
    }

    #[test]
    fn dynamic_scaling_changes_nothing_within_the_context() {
        let plain = rope(r#"{"rope_theta": 10000.0}"#, 4096);
        assert_eq!(rope(r#"{"rope_scaling": {"type": "dynamic", "factor": 4.0}}"#, 4096), plain);
        assert_eq!(rope(r#"{"rope_scaling": {}, "rope_parameters": {"rope_type": "default"}}"#, 4096), plain);
        is(
            &plain,
            1.0,
            4095,
            &[(20, 0.056_234_13, -0.587_768, -0.809_029_5), (63, 0.000_115_478_19, 0.890_258_85, 0.455_454_98)],
        );
    }

    #[test]
    fn pythia_turns_a_quarter_of_each_head() {
        let names = Names { theta: &["rotary_emb_base"], default: 10_000.0, part: Some((&["rotary_pct"], 0.25)) };
        let config = Config::parse("config.json", b"{\"rotary_emb_base\": 10000}").unwrap();
        let rope = Rope::read(&config, names, 64, 2048).unwrap();
        assert_eq!(rope.frequencies.len(), 8);
        is(
            &rope,
            1.0,
            2047,
            &[(3, 0.031_622_78, -0.323_264_7, 0.946_308_6), (7, 0.000_316_227_8, 0.797_703_86, 0.603_049_4)],
        );
        let x = Tensor::ones((1, 128), candle_core::DType::F32, &Device::Cpu).unwrap();
        let transposed =
            rope.rotary(2047, 1, 1, None).unwrap().apply(&x, 64).unwrap().to_vec2::<f32>().unwrap().swap_remove(0);
        assert!(transposed[16..64].iter().all(|value| *value == 1.0) && transposed[..64] == transposed[64..]);
        assert!((transposed[3] - (-0.323_264_7 - 0.946_308_6)).abs() < 1e-6);
        assert!((transposed[11] - (-0.323_264_7 + 0.946_308_6)).abs() < 1e-6);
    }
}
