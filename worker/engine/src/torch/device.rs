//! The device that a worker trains on.

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

/// The error of a device name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The name is unknown.
    #[error("`{0}` is no device; use cpu")]
    Unknown(String),
    /// This version does not support the device.
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
    /// Prepares libtorch for this device, with one thread. A worker uses one core, and sums then have one order.
    pub fn prepare(self) {
        // libtorch accepts the number of interop threads once per process.
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            tch::set_num_threads(1);
            tch::set_num_interop_threads(1);
        });
    }
}
