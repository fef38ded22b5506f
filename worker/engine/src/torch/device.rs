//! What a worker computes on.

use std::fmt;
use std::str::FromStr;
use std::sync::Once;

/// A device. This version trains on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// One core of the processor.
    #[default]
    Cpu,
}

/// A device that cannot be computed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No such thing exists.
    #[error("`{0}` is no device; use cpu")]
    Unknown(String),
    /// It may exist.
    #[error("this version trains on the processor, and not on `{0}`; use cpu")]
    NotSupported(String),
}

impl FromStr for Device {
    type Err = DeviceError;
    fn from_str(name: &str) -> Result<Self, DeviceError> {
        match name {
            "cpu" => Ok(Self::Cpu),
            _ if ["cuda", "mps"].contains(&name.split(':').next().unwrap_or_default()) => {
                Err(DeviceError::NotSupported(name.to_owned()))
            }
            _ => Err(DeviceError::Unknown(name.to_owned())),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cpu")
    }
}

impl Device {
    /// Readies libtorch to compute on it, one thread at a time: a worker is one core's work, and its sums then come
    /// out in one order.
    pub fn prepare(self) {
        // libtorch takes the number of its outer threads once in a process.
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tch::set_num_threads(1);
            tch::set_num_interop_threads(1);
        });
    }
}
