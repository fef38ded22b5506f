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

/// A device that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no device this version trains on; use cpu")]
pub struct UnknownDevice {
    name: String,
}

impl FromStr for Device {
    type Err = UnknownDevice;
    fn from_str(name: &str) -> Result<Self, UnknownDevice> {
        match name {
            "cpu" => Ok(Self::Cpu),
            _ => Err(UnknownDevice { name: name.to_owned() }),
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
