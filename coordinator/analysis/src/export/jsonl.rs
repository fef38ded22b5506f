//! One JSON object per line, with keys in the order of the columns. A number that is not finite is null.

use std::io::{self, BufWriter, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::column::{Column, Field, Sink};

pub(super) struct Jsonl<W: Write> {
    out: BufWriter<W>,
    columns: Vec<Column>,
}

impl<W: Write> Jsonl<W> {
    pub(super) fn new(columns: Vec<Column>, out: W) -> Self {
        Self { out: BufWriter::new(out), columns }
    }
}

impl<W: Write + Send> Sink for Jsonl<W> {
    fn row(&mut self, fields: Vec<Field>) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, &Object { columns: &self.columns, fields: &fields })?;
        self.out.write_all(b"\n")
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}

/// A row as an object with keys in the order of the columns; a JSON map would sort them.
struct Object<'a> {
    columns: &'a [Column],
    fields: &'a [Field],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (Column { name, .. }, field) in self.columns.iter().zip(self.fields) {
            match field {
                Field::Absent | Field::Diverged => map.serialize_entry(name, &())?,
                Field::Text(text) => map.serialize_entry(name, text)?,
                Field::Integer(number) => map.serialize_entry(name, number)?,
                Field::Real(number) => map.serialize_entry(name, number)?,
                Field::Flag(flag) => map.serialize_entry(name, flag)?,
                Field::Integers(numbers) => map.serialize_entry(name, numbers)?,
            }
        }
        map.end()
    }
}
