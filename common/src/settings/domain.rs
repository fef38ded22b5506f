//! The values that a setting takes.

use std::fmt;

use super::Value;
use crate::vocabulary::Dataset;
use crate::vocabulary::dataset::DatasetRef;

/// How a spec file refers to custom data.
pub const CUSTOM_DATA: &str = "{ idx = \"DIR\" } or { npy = \"DIR\" }";

/// The values that a setting takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Domain {
    /// The name of a dataset, or custom data as [`DatasetRef`] writes it.
    Dataset,
    /// One of a list of names.
    Names(&'static [&'static str]),
    /// A whole number from `min` to `max`.
    Integer {
        /// The least allowed value.
        min: u64,
        /// The greatest allowed value.
        max: u64,
    },
    /// A number above zero that single precision holds, because networks train in it.
    Positive,
    /// Zero, or a number as in `Positive`.
    NonNegative,
    /// Zero, or a number as in `Positive` that is below 1 in single precision too.
    Fraction,
    /// A number above 0, up to and including 1.
    Share,
    /// A number from 0 to 1, both included.
    Correlation,
    /// A list of hidden layers, as numbers from 1.
    Layers,
    /// True or false.
    Flag,
}

/// The numbers above zero that float32 holds with full precision, as text.
const FLOAT32: &str = "1.18e-38 to 3.4e38 (float32)";

/// Whether single precision holds a number above zero with full precision. Outside these bounds it would become zero or
/// infinite, or lose digits.
fn is_float32(number: f64) -> bool {
    (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&number)
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset => write!(f, "one of {}, or {CUSTOM_DATA}", Dataset::NAMES.join(", ")),
            Self::Names(names) => write!(f, "one of {}", names.join(", ")),
            Self::Integer { min, max: u64::MAX } => write!(f, "a whole number, at least {min}"),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Positive => write!(f, "a number from {FLOAT32}"),
            Self::NonNegative => write!(f, "0 or a number from {FLOAT32}"),
            Self::Fraction => f.write_str("0 or a number from 1.18e-38 up to but not including 1, in float32"),
            Self::Share => f.write_str("a number above 0, at most 1"),
            Self::Correlation => f.write_str("a number from 0 to 1"),
            Self::Layers => f.write_str("a list of layer numbers, ascending from 1"),
            Self::Flag => f.write_str("true or false"),
        }
    }
}

impl Domain {
    /// Whether the value is in this domain.
    #[must_use]
    pub fn contains(self, value: &Value) -> bool {
        let trains = match (self, value) {
            (Self::Positive | Self::NonNegative, Value::Real(number)) => *number == 0.0 || is_float32(*number),
            (Self::Fraction, Value::Real(number)) => *number == 0.0 || (is_float32(*number) && (*number as f32) < 1.0),
            _ => true,
        };
        trains && self.contained(value)
    }

    /// Whether the value is allowed in a stored sweep. Earlier versions accepted numbers outside single precision.
    #[must_use]
    pub fn contained(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Dataset, Value::Name(name)) => name.parse::<DatasetRef>().is_ok(),
            (Self::Names(names), Value::Name(name)) => names.contains(&name.as_ref()),
            (Self::Integer { min, max }, Value::Integer(number)) => (min..=max).contains(number),
            (Self::Positive, Value::Real(number)) => number.is_finite() && *number > 0.0,
            (Self::NonNegative, Value::Real(number)) => number.is_finite() && *number >= 0.0,
            (Self::Fraction, Value::Real(number)) => (0.0..1.0).contains(number),
            (Self::Share, Value::Real(number)) => *number > 0.0 && *number <= 1.0,
            (Self::Correlation, Value::Real(number)) => (0.0..=1.0).contains(number),
            (Self::Layers, Value::Integers(layers)) => {
                layers.iter().all(|&layer| layer >= 1) && layers.is_sorted_by(|one, next| one < next)
            }
            (Self::Flag, Value::Flag(_)) => true,
            _ => false,
        }
    }

    /// The value for a word on a command line; `None` if it is not in this domain or the domain is lists.
    #[must_use]
    pub fn value_of(self, word: &str) -> Option<Value> {
        let value = match self {
            Self::Dataset | Self::Names(_) => Value::Name(word.to_owned().into()),
            Self::Integer { .. } => Value::Integer(word.parse().ok()?),
            Self::Positive | Self::NonNegative | Self::Fraction | Self::Share | Self::Correlation => {
                Value::Real(word.parse().ok()?)
            }
            Self::Flag => Value::Flag(word.parse().ok()?),
            Self::Layers => return None,
        };
        // Trials of stored sweeps are referred to by their values too.
        self.contained(&value).then_some(value)
    }

    /// Whether the values are real numbers, so that a whole number in a spec file is converted to one.
    #[must_use]
    pub const fn is_real(self) -> bool {
        matches!(self, Self::Positive | Self::NonNegative | Self::Fraction | Self::Share | Self::Correlation)
    }
}
