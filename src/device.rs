//! What can compute a model, by the name that flags and settings give it: the CPU, NVIDIA's cards, Apple's.
//! Not here: opening it (`model`).

use std::fmt;
use std::str::FromStr;

/// The name of what computes a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceName {
    /// The CPU, by this program's own products on weights that stay in their files.
    #[default]
    Cpu,
    /// NVIDIA's card of this number, by CUDA.
    Cuda(u16),
    /// Apple's graphics processor, by Metal.
    Metal,
    /// The CPU in a card's place, by the operations that a card would run, so that these can be tested where there is
    /// no card. No flag and no setting names it.
    StandIn,
}

impl DeviceName {
    /// The names that [`DeviceName::from_str`] knows, for messages.
    pub const EXPECTED: &str = "cpu, cuda, cuda:N or metal";

    /// What kind it is, without a number.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda(_) => "cuda",
            Self::Metal => "metal",
            Self::StandIn => "stand-in",
        }
    }

    /// What it is reached by, for a person; none for the CPU.
    #[must_use]
    pub const fn maker(self) -> Option<&'static str> {
        match self {
            Self::Cuda(_) => Some("CUDA"),
            Self::Metal => Some("Metal"),
            Self::Cpu | Self::StandIn => None,
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Cpu | Self::Metal | Self::StandIn => f.write_str(self.kind()),
        }
    }
}

/// That a name is none of [`DeviceName::EXPECTED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device is {}", DeviceName::EXPECTED)]
pub struct Unknown;

impl FromStr for DeviceName {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Self, Unknown> {
        match name.split_once(':') {
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            None if name == "metal" => Ok(Self::Metal),
            // `parse` alone would take a sign.
            Some(("cuda", number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                number.parse().map(Self::Cuda).map_err(|_| Unknown)
            }
            _ => Err(Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown_and_nothing_else_is_a_name() {
        for (name, device) in [
            ("cpu", DeviceName::Cpu),
            ("cuda:0", DeviceName::Cuda(0)),
            ("cuda:17", DeviceName::Cuda(17)),
            ("metal", DeviceName::Metal),
        ] {
            assert_eq!((name.parse(), device.to_string().as_str()), (Ok(device), name));
        }
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)));
        for wrong in
            ["", "CPU", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:1:2", "cuda:4294967296", "metal:0", "stand-in"]
        {
            assert_eq!(wrong.parse::<DeviceName>(), Err(Unknown), "{wrong}");
        }
    }
}
