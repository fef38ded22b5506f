//! The value of a setting and its text form.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

/// The value of one setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A name from a list.
    Name(Cow<'static, str>),
    /// A count, an index or a seed.
    Integer(u64),
    /// A real number.
    Real(f64),
    /// A list of layers.
    Integers(Vec<u64>),
    /// True or false.
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.pad(name),
            Self::Integer(number) => number.fmt(f),
            Self::Real(number) => write!(f, "{number:?}"),
            Self::Integers(numbers) => write!(f, "{numbers:?}"),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

impl Value {
    /// The text in tables and names: [`short_real`] for a real number.
    #[must_use]
    pub fn short(&self) -> String {
        match self {
            Self::Real(number) => short_real(*number),
            other => other.to_string(),
        }
    }
}

/// The shortest text that reads back to the same bits. It has an exponent below 0.00001 and from 10¹⁵ on, so that no
/// number is a long row of zeros.
#[must_use]
pub fn short_real(number: f64) -> String {
    let is_usual = number == 0.0 || !number.is_finite() || (1e-5..1e15).contains(&number.abs());
    if is_usual { number.to_string() } else { format!("{number:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_small_and_large_numbers_have_an_exponent_and_all_read_back_exactly() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.001, "0.001"),
            (1e-5, "0.00001"),
            (2.5e-6, "2.5e-6"),
            (1e-30, "1e-30"),
            (-1e-30, "-1e-30"),
            (123_456.0, "123456"),
            (1e15, "1e15"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ] {
            assert_eq!(short_real(number), text);
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(number.to_bits()));
        }
        assert_eq!(Value::Real(1e-30).to_string(), "1e-30");
    }
}
