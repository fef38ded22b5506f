//! Rows of JSON Lines.

use biosweep_common::results::views::ResultView;
use serde_json::{Map, Value};

use super::error::ImportError;
use super::result::Columns;
use crate::export::column::{Column, Field, Kind};

pub(super) fn results(file: &[u8], columns: &Columns) -> Result<Vec<ResultView>, ImportError> {
    let lines = (1..).zip(file.split(|&byte| byte == b'\n'));
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    filled.map(|(row, line)| columns.result(fields(line, row, columns)?, row)).collect()
}

fn fields(line: &[u8], row: u64, columns: &Columns) -> Result<Vec<Field>, ImportError> {
    let mut object: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| ImportError::NotJson { row, why: error.to_string() })?;
    let mut fields = Vec::with_capacity(columns.list().len());
    for column in columns.list() {
        let value = match object.remove(column.name) {
            Some(value) => value,
            None if column.may_be_missing() => Value::Null,
            None => return Err(ImportError::Missing { column: column.name.to_owned(), row }),
        };
        fields.push(field(column, &value).ok_or_else(|| column.unfit(row, &value))?);
    }
    match object.into_iter().next() {
        Some((column, _)) => Err(ImportError::Unknown { column, row }),
        None => Ok(fields),
    }
}

/// The value as a field of the column; `None` if it is of another type.
fn field(column: &Column, value: &Value) -> Option<Field> {
    Some(match (column.kind, value) {
        (_, Value::Null) => Field::Absent,
        (Kind::Text, Value::String(text)) => Field::Text(text.clone()),
        (Kind::Integer, value) => Field::Integer(value.as_u64()?),
        (Kind::Real, value) => Field::Real(value.as_f64()?),
        (Kind::Integers, Value::Array(values)) => {
            Field::Integers(values.iter().map(Value::as_u64).collect::<Option<_>>()?)
        }
        (Kind::Flag, &Value::Bool(flag)) => Field::Flag(flag),
        (Kind::Text | Kind::Integers | Kind::Flag, _) => return None,
    })
}
