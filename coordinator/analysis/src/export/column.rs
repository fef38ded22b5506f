//! Columns with declared types, the fields of a row, and the destination of rows.

use std::io;

use biosweep_common::settings::{Domain, Setting, Value};

/// The type of a column. It is declared, never guessed from values: a column whose fields are all absent has it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Real,
    Integers,
    Flag,
}

/// A column of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    /// The name in every format.
    pub(crate) name: &'static str,
    /// The type of its fields.
    pub(crate) kind: Kind,
    /// Whether a field may be absent.
    pub(crate) is_optional: bool,
}

impl Column {
    /// A column with a field in every row.
    pub(crate) const fn required(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, is_optional: false }
    }

    /// A column whose fields may be absent.
    pub(crate) const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, is_optional: true }
    }

    /// The column of a setting. Its fields are absent where the setting does not apply.
    pub(crate) const fn of(setting: Setting) -> Self {
        Self::optional(setting.name(), Kind::of(setting.domain()))
    }
}

impl Kind {
    /// The type of a setting's values.
    const fn of(domain: Domain) -> Self {
        match domain {
            Domain::Dataset | Domain::Names(_) => Self::Text,
            Domain::Integer { .. } => Self::Integer,
            Domain::Positive | Domain::NonNegative | Domain::Fraction | Domain::Share | Domain::Correlation => {
                Self::Real
            }
            Domain::Layers => Self::Integers,
            Domain::Flag => Self::Flag,
        }
    }
}

/// One value of a row. Real numbers keep full precision in every format.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field {
    /// The value does not exist or was not measured.
    Absent,
    /// A real number that does not exist because training diverged: NaN where a format has both NaN and null.
    Diverged,
    Text(String),
    Integer(u64),
    Real(f64),
    Integers(Vec<u64>),
    Flag(bool),
}

/// The destination of rows. Every row has one field for each column.
pub(super) trait Sink: Send {
    fn row(&mut self, fields: Vec<Field>) -> io::Result<()>;
    fn finish(self: Box<Self>) -> io::Result<()>;
}

impl From<Option<&Value>> for Field {
    fn from(value: Option<&Value>) -> Self {
        match value {
            None => Self::Absent,
            Some(Value::Name(name)) => Self::Text(name.clone().into_owned()),
            Some(&Value::Integer(number)) => Self::Integer(number),
            Some(&Value::Real(number)) => Self::Real(number),
            Some(Value::Integers(numbers)) => Self::Integers(numbers.clone()),
            Some(&Value::Flag(flag)) => Self::Flag(flag),
        }
    }
}

impl From<Option<f64>> for Field {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Absent, Self::Real)
    }
}

impl From<Option<String>> for Field {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Absent, Self::Text)
    }
}
