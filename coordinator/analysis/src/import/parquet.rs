//! Rows of Parquet.

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field as Read, Row};

use super::error::ImportError;
use super::result::Columns;
use super::{File, metadata};
use crate::export::column::{Column, Field, Kind};

pub(super) fn file(bytes: Vec<u8>, columns: &Columns) -> Result<File, ImportError> {
    let reader = SerializedFileReader::new(Bytes::from(bytes)).map_err(damaged)?;
    let of_file = reader.metadata().file_metadata();
    let spec = of_file.key_value_metadata().and_then(|entries| metadata::spec(entries));
    let schema = of_file.schema();
    let names: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    let order = order(&names, columns)?;
    let rows = reader.get_row_iter(None).map_err(damaged)?;
    let result = |(row, read): (u64, Result<Row, ParquetError>)| {
        columns.result(fields(&read.map_err(damaged)?, &order, row, columns)?, row)
    };
    Ok(File { results: (1..).zip(rows).map(result).collect::<Result<_, _>>()?, spec })
}

/// The place in the file of each column of results; `None` if an earlier version had no such column.
fn order(names: &[String], columns: &Columns) -> Result<Vec<Option<usize>>, ImportError> {
    let known = |name: &&String| columns.list().iter().any(|column| column.name == **name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        return Err(ImportError::Unknown { column: name.clone(), row: 1 });
    }
    let place = |column: &Column| match names.iter().position(|name| name == column.name) {
        None if !column.may_be_missing() => Err(ImportError::Missing { column: column.name.to_owned(), row: 1 }),
        place => Ok(place),
    };
    columns.list().iter().map(place).collect()
}

fn fields(read: &Row, order: &[Option<usize>], row: u64, columns: &Columns) -> Result<Vec<Field>, ImportError> {
    let values: Vec<&Read> = read.get_column_iter().map(|(_, value)| value).collect();
    let of_column = |(column, place): (&Column, &Option<usize>)| {
        let value = place.and_then(|place| values.get(place).copied()).unwrap_or(&Read::Null);
        field(column, value).ok_or_else(|| column.unfit(row, value))
    };
    columns.list().iter().zip(order).map(of_column).collect()
}

/// The value as a field of the column; `None` if it is of another type.
fn field(column: &Column, value: &Read) -> Option<Field> {
    let integer = |value: &Read| match value {
        Read::Long(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    Some(match (column.kind, value) {
        (_, Read::Null) => Field::Absent,
        (Kind::Text, Read::Str(text)) => Field::Text(text.clone()),
        (Kind::Integer, value) => Field::Integer(integer(value)?),
        (Kind::Real, &Read::Double(number)) => Field::Real(number),
        (Kind::Integers, Read::ListInternal(list)) => {
            Field::Integers(list.elements().iter().map(integer).collect::<Option<_>>()?)
        }
        (Kind::Flag, &Read::Bool(flag)) => Field::Flag(flag),
        (Kind::Text | Kind::Real | Kind::Integers | Kind::Flag, _) => return None,
    })
}

fn damaged(error: ParquetError) -> ImportError {
    ImportError::Damaged { why: error.to_string() }
}
