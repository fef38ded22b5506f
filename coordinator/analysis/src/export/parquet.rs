//! Apache Parquet through its column API: typed columns, snappy, NaN apart from null.
//!
//! Rows are buffered as columns and written as a row group once they fill [`BUFFER_BYTES`], so that memory is bounded
//! whatever the number of rows. Integers are INT64, real numbers DOUBLE, flags BOOLEAN, texts UTF-8 strings and lists
//! the standard three-level lists of INT64.

use std::io::{self, Write};
use std::sync::Arc;

use biosweep_common::configuration::NUMERICS_VERSION;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::Provenance;
use super::column::{Column, Field, Kind, Sink};

/// Bytes of buffered rows at which a row group is written.
const BUFFER_BYTES: usize = 24 << 20;

/// Bytes of a buffered value with its levels.
const ENTRY_BYTES: usize = size_of::<f64>() + 2 * size_of::<i16>();

/// Bytes of a buffered text in addition to its characters.
const TEXT_BYTES: usize = 64;

pub(super) struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    buffers: Vec<Buffer>,
    buffered_bytes: usize,
    rows: u64,
}

impl<W: Write + Send> Parquet<W> {
    pub(super) fn new(columns: Vec<Column>, provenance: &Provenance<'_>, out: W) -> io::Result<Self> {
        let fields = columns.iter().map(schema_of).collect::<Result<_, _>>().map_err(failed)?;
        let schema = Type::group_type_builder("rows").with_fields(fields).build().map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("biosweep version {}", provenance.version))
            .set_key_value_metadata(Some(metadata(provenance)));
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build())).map_err(failed)?;
        let buffers = columns.into_iter().map(Buffer::new).collect();
        Ok(Self { writer, buffers, buffered_bytes: 0, rows: 0 })
    }

    fn write_row_group(&mut self) -> io::Result<()> {
        if self.buffered_bytes == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for buffer in &mut self.buffers {
            buffer.write(&mut group).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        self.buffered_bytes = 0;
        Ok(())
    }
}

impl<W: Write + Send> Sink for Parquet<W> {
    fn row(&mut self, fields: Vec<Field>) -> io::Result<()> {
        for (buffer, field) in self.buffers.iter_mut().zip(fields) {
            self.buffered_bytes += buffer.push(field, self.rows + 1)?;
        }
        self.rows += 1;
        if self.buffered_bytes >= BUFFER_BYTES { self.write_row_group() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.write_row_group()?;
        self.writer.finish().map_err(failed)?;
        self.writer.inner_mut().flush()
    }
}

/// The buffered values of one column, with the levels that say which are null and where lists begin.
struct Buffer {
    column: Column,
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Integer(Vec<i64>),
    Real(Vec<f64>),
    Flag(Vec<bool>),
}

impl Buffer {
    fn new(column: Column) -> Self {
        let values = match column.kind {
            Kind::Text => Values::Text(Vec::new()),
            Kind::Integer | Kind::Integers => Values::Integer(Vec::new()),
            Kind::Real => Values::Real(Vec::new()),
            Kind::Flag => Values::Flag(Vec::new()),
        };
        Self { column, values, definitions: Vec::new(), repetitions: Vec::new() }
    }

    /// Adds the field of a row; returns the bytes it needs in memory.
    fn push(&mut self, field: Field, row: u64) -> io::Result<usize> {
        let Self { column, values, .. } = self;
        let (mut entries, mut bytes) = (1, ENTRY_BYTES);
        let mut definition = i16::from(column.is_optional);
        match (values, column.kind, field) {
            (_, _, Field::Absent) if column.is_optional => definition = 0,
            (Values::Text(values), _, Field::Text(text)) => {
                bytes += TEXT_BYTES + text.len();
                values.push(ByteArray::from(text.into_bytes()));
            }
            (Values::Integer(values), Kind::Integers, Field::Integers(numbers)) => {
                // An empty list is one entry without a value, at a level between null and an element.
                definition += i16::from(!numbers.is_empty());
                entries = numbers.len().max(1);
                bytes = entries * ENTRY_BYTES;
                for number in numbers {
                    values.push(signed(number, column, row)?);
                }
            }
            (Values::Integer(values), Kind::Integer, Field::Integer(number)) => {
                values.push(signed(number, column, row)?);
            }
            (Values::Real(values), _, Field::Real(number)) => values.push(number),
            (Values::Real(values), _, Field::Diverged) => values.push(f64::NAN),
            (Values::Flag(values), _, Field::Flag(flag)) => values.push(flag),
            (_, _, field) => return Err(unfit(column, row, &format!("{field:?} is not of the column's type"))),
        }
        self.definitions.extend(std::iter::repeat_n(definition, entries));
        self.repetitions.extend((0..entries).map(|entry| i16::from(entry > 0)));
        Ok(bytes)
    }

    /// Writes the values as the next column of a row group, and empties the buffer.
    fn write<W: Write + Send>(&mut self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<(), ParquetError> {
        let is_list = self.column.kind == Kind::Integers;
        let definitions = (self.column.is_optional || is_list).then_some(self.definitions.as_slice());
        let levels = Levels { definitions, repetitions: is_list.then_some(self.repetitions.as_slice()) };
        match &mut self.values {
            Values::Text(values) => write_column::<ByteArrayType, W>(group, values, levels)?,
            Values::Integer(values) => write_column::<Int64Type, W>(group, values, levels)?,
            Values::Real(values) => write_column::<DoubleType, W>(group, values, levels)?,
            Values::Flag(values) => write_column::<BoolType, W>(group, values, levels)?,
        }
        self.definitions.clear();
        self.repetitions.clear();
        Ok(())
    }
}

/// The levels of the entries of a column; `None` if all are equal by the column's type.
struct Levels<'a> {
    definitions: Option<&'a [i16]>,
    repetitions: Option<&'a [i16]>,
}

fn write_column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &mut Vec<T::T>,
    levels: Levels<'_>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("the schema has fewer columns than a row".to_owned()));
    };
    column.typed::<T>().write_batch(values, levels.definitions, levels.repetitions)?;
    values.clear();
    column.close()
}

/// The number as INT64.
fn signed(number: u64, column: &Column, row: u64) -> io::Result<i64> {
    i64::try_from(number).map_err(|_| unfit(column, row, &format!("{number} is larger than INT64 holds")))
}

fn unfit(column: &Column, row: u64, why: &str) -> io::Error {
    let message = format!("column `{}`, row {row}: {why}; use --format csv or jsonl", column.name);
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The error of the destination, if it is one, because a closed pipe is handled apart.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}

fn schema_of(column: &Column) -> Result<TypePtr, ParquetError> {
    let physical = match column.kind {
        Kind::Text => Physical::BYTE_ARRAY,
        Kind::Integer | Kind::Integers => Physical::INT64,
        Kind::Real => Physical::DOUBLE,
        Kind::Flag => Physical::BOOLEAN,
    };
    let repetition = if column.is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let primitive = |name: &str, repetition| {
        let logical = (column.kind == Kind::Text).then_some(LogicalType::String);
        Type::primitive_type_builder(name, physical).with_repetition(repetition).with_logical_type(logical).build()
    };
    if column.kind != Kind::Integers {
        return Ok(Arc::new(primitive(column.name, repetition)?));
    }
    let element = Arc::new(primitive("element", Repetition::REQUIRED)?);
    let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]);
    let group = Type::group_type_builder(column.name).with_repetition(repetition);
    let group = group.with_logical_type(Some(LogicalType::List)).with_fields(vec![Arc::new(list.build()?)]);
    Ok(Arc::new(group.build()?))
}

/// The metadata of the file: the sweep, its spec with extensions, and the versions.
fn metadata(provenance: &Provenance<'_>) -> Vec<KeyValue> {
    let Provenance { sweep, spec, version } = provenance;
    let entry = |key: &str, value: String| KeyValue::new(format!("biosweep.{key}"), value);
    let mut entries = vec![
        entry("sweep", sweep.id.to_string()),
        entry("name", sweep.name.clone()),
        entry("version", (*version).to_owned()),
        entry("numerics_version", NUMERICS_VERSION.to_string()),
    ];
    if let Some(spec) = spec {
        entries.push(entry("spec", spec.text.text.clone()));
        entries.push(entry("spec.format", spec.text.format.name().to_owned()));
        entries.push(entry("spec.resolved", spec.text.resolved.clone()));
        for (number, extension) in (1..).zip(&spec.extensions) {
            entries.push(entry(&format!("extension.{number}"), extension.text.clone()));
            entries.push(entry(&format!("extension.{number}.format"), extension.format.name().to_owned()));
            entries.push(entry(&format!("extension.{number}.resolved"), extension.resolved.clone()));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::results::views::ResultView;
    use parquet::basic::{ConvertedType, Encoding};
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::{Field as Read, Row};

    use super::super::rows::{Results, results_columns};
    use super::super::{Format, Provenance};
    use super::*;
    use crate::samples::{completed, ended, spec, sweep};

    fn written(results: &[ResultView]) -> SerializedFileReader<bytes::Bytes> {
        let (sweep, spec) = (sweep("שלום"), spec());
        let provenance = Provenance { sweep: &sweep, spec: Some(&spec), version: "1.2.3" };
        let mut out = Vec::new();
        let mut export = Results::new(Format::Parquet, &provenance, &mut out).expect("memory");
        results.iter().for_each(|result| export.write(result).expect("memory"));
        export.finish().expect("memory");
        SerializedFileReader::new(out.into()).expect("a Parquet file")
    }

    fn field(row: &Row, name: &str) -> Read {
        row.get_column_iter().find(|(column, _)| *column == name).expect("a column").1.clone()
    }

    #[test]
    fn a_diverged_trial_has_nan_and_a_failed_one_null() {
        let results = [
            completed("bp", "nn", 5, 0.1 + 0.2, 0.25),
            ended("bp", "nn", 5, TrialStatus::Diverged),
            ended("bp", "nn", 5, TrialStatus::Failed),
        ];
        let rows: Vec<Row> =
            written(&results).get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
        for name in ["validation_accuracy", "test_accuracy"] {
            assert!(matches!(field(&rows[1], name), Read::Double(number) if number.is_nan()), "{name}");
            assert_eq!(field(&rows[2], name), Read::Null, "{name}");
        }
        assert_eq!(field(&rows[0], "validation_accuracy"), Read::Double(0.1 + 0.2));
        assert_eq!(field(&rows[1], "best_update"), Read::Null);
    }

    #[test]
    fn columns_have_their_declared_types_although_all_their_values_are_null() {
        let reader = written(&[ended("bp", "nn", 5, TrialStatus::Failed)]);
        let schema = reader.metadata().file_metadata().schema_descr();
        assert_eq!(schema.num_columns(), results_columns().len());
        for (index, column) in results_columns().iter().enumerate() {
            let leaf = schema.column(index);
            let physical = match column.kind {
                Kind::Text => Physical::BYTE_ARRAY,
                Kind::Integer | Kind::Integers => Physical::INT64,
                Kind::Real => Physical::DOUBLE,
                Kind::Flag => Physical::BOOLEAN,
            };
            assert_eq!(leaf.physical_type(), physical, "{}", column.name);
            assert_eq!(leaf.converted_type() == ConvertedType::UTF8, column.kind == Kind::Text, "{}", column.name);
            assert_eq!(leaf.path().parts()[0], column.name);
            assert_eq!(leaf.max_rep_level(), i16::from(column.kind == Kind::Integers), "{}", column.name);
            let chunk = reader.metadata().row_group(0).column(index);
            assert_eq!(chunk.compression(), Compression::SNAPPY, "{}", column.name);
            assert!(chunk.encodings().any(|encoding| encoding != Encoding::RLE), "{}", column.name);
        }
    }

    #[test]
    fn the_metadata_name_the_sweep_its_spec_and_the_versions() {
        let reader = written(&[]);
        let entries = reader.metadata().file_metadata().key_value_metadata().expect("entries").clone();
        let value = |key: &str| {
            let found = entries.iter().find(|entry| entry.key == format!("biosweep.{key}")).expect("an entry");
            found.value.clone().expect("a value")
        };
        assert_eq!(value("sweep"), "00000000-0000-0000-0000-000000000007");
        assert_eq!(value("name"), "שלום");
        assert_eq!(value("version"), "1.2.3");
        assert_eq!(value("numerics_version"), NUMERICS_VERSION.to_string());
        assert_eq!(value("spec"), spec().text.text);
        assert_eq!(value("spec.format"), "toml");
        assert_eq!(value("spec.resolved"), spec().text.resolved);
        assert_eq!(value("extension.1"), spec().extensions[0].text);
        assert_eq!(reader.metadata().num_row_groups(), 0, "a sweep without results");
    }

    fn sink(columns: Vec<Column>, out: &mut Vec<u8>) -> Box<Parquet<&mut Vec<u8>>> {
        let sweep = sweep("a sweep");
        let provenance = Provenance { sweep: &sweep, spec: None, version: "1.2.3" };
        Box::new(Parquet::new(columns, &provenance, out).expect("memory"))
    }

    #[test]
    fn many_rows_become_row_groups_of_bounded_size_in_order() {
        let columns = vec![Column::required("number", Kind::Integer), Column::optional("text", Kind::Text)];
        let rows = 3 * BUFFER_BYTES as u64 / (2 * ENTRY_BYTES + TEXT_BYTES + 100) as u64;
        let mut out = Vec::new();
        let mut sink = sink(columns, &mut out);
        for number in 0..rows {
            sink.row(vec![Field::Integer(number), Field::Text("x".repeat(100))]).expect("memory");
            assert!(sink.buffered_bytes < BUFFER_BYTES);
        }
        sink.finish().expect("memory");
        let reader = SerializedFileReader::new(bytes::Bytes::from(out)).expect("a file");
        assert!(reader.metadata().num_row_groups() >= 3);
        let numbers = reader.get_row_iter(None).expect("rows").map(|row| field(&row.expect("a row"), "number"));
        assert!(numbers.eq((0..rows).map(|number| Read::Long(number as i64))), "rows keep their order");
    }

    #[test]
    fn null_an_empty_list_and_lists_are_apart() {
        let mut out = Vec::new();
        let mut sink = sink(vec![Column::optional("layers", Kind::Integers)], &mut out);
        let lists = [None, Some(vec![]), Some(vec![1, 2, 3]), Some(vec![7]), None];
        for list in lists.clone() {
            sink.row(vec![list.map_or(Field::Absent, Field::Integers)]).expect("memory");
        }
        sink.finish().expect("memory");
        let reader = SerializedFileReader::new(bytes::Bytes::from(out)).expect("a file");
        let rows = reader.get_row_iter(None).expect("rows").map(|row| match field(&row.expect("a row"), "layers") {
            Read::Null => None,
            Read::ListInternal(list) => Some(
                list.elements()
                    .iter()
                    .map(|element| match element {
                        Read::Long(number) => *number as u64,
                        other => panic!("{other:?}"),
                    })
                    .collect::<Vec<_>>(),
            ),
            other => panic!("{other:?}"),
        });
        assert_eq!(rows.collect::<Vec<_>>(), lists);
    }

    #[test]
    fn a_value_that_the_column_cannot_hold_is_refused_with_its_place() {
        let mut out = Vec::new();
        let mut sink = sink(vec![Column::required("updates", Kind::Integer)], &mut out);
        sink.row(vec![Field::Integer(i64::MAX as u64)]).expect("the largest number");
        let error = sink.row(vec![Field::Integer(i64::MAX as u64 + 1)]).expect_err("too large").to_string();
        assert!(error.contains("column `updates`, row 2: 9223372036854775808 is larger"), "{error}");
        assert!(sink.row(vec![Field::Absent]).is_err(), "required");
        assert!(sink.row(vec![Field::Real(1.0)]).is_err(), "of another type");
    }
}
