//! Values of settings, converted to their types.

use super::ConfigurationError;
use crate::settings::{Setting, Value};

/// A value and its setting.
pub(super) struct Checked<'a> {
    pub(super) setting: Setting,
    pub(super) value: &'a Value,
}

impl<'a> Checked<'a> {
    pub(super) fn get(&self) -> Result<&'a Value, ConfigurationError> {
        // The domain was checked when the spec was read; this check covers configurations of stored sweeps too.
        if self.setting.domain().contained(self.value) { Ok(self.value) } else { Err(self.out_of_domain()) }
    }

    fn out_of_domain(&self) -> ConfigurationError {
        ConfigurationError::OutOfDomain { setting: self.setting, value: self.value.clone() }
    }

    pub(super) fn name<T: std::str::FromStr>(&self) -> Result<T, ConfigurationError> {
        match self.get()? {
            Value::Name(name) => name.parse().map_err(|_| self.out_of_domain()),
            _ => Err(self.out_of_domain()),
        }
    }

    pub(super) fn integer(&self) -> Result<u64, ConfigurationError> {
        match self.get()? {
            Value::Integer(number) => Ok(*number),
            _ => Err(self.out_of_domain()),
        }
    }

    pub(super) fn narrow(&self) -> Result<u32, ConfigurationError> {
        u32::try_from(self.integer()?).map_err(|_| self.out_of_domain())
    }

    pub(super) fn integers(&self) -> Result<&'a [u64], ConfigurationError> {
        match self.get()? {
            Value::Integers(numbers) => Ok(numbers),
            _ => Err(self.out_of_domain()),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, ConfigurationError> {
        match self.get()? {
            Value::Flag(flag) => Ok(*flag),
            _ => Err(self.out_of_domain()),
        }
    }

    pub(super) fn real(&self) -> Result<f64, ConfigurationError> {
        match self.get()? {
            Value::Real(number) => Ok(*number),
            _ => Err(self.out_of_domain()),
        }
    }
}
