//! Comma-separated values with a header. Very small and large numbers have exponents; lists are separated by spaces.

use std::io::{self, Write};

use biosweep_common::settings::short_real;

use super::column::{Column, Field, Sink};

pub(super) struct Csv<W: Write> {
    writer: csv::Writer<W>,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(columns: &[Column], out: W) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(columns.iter().map(|column| column.name))?;
        Ok(Self { writer })
    }
}

impl<W: Write + Send> Sink for Csv<W> {
    fn row(&mut self, fields: Vec<Field>) -> io::Result<()> {
        self.writer.write_record(fields.into_iter().map(text)).map_err(io::Error::from)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A text as the content of a cell. Spreadsheets take a text that starts with one of these characters for a formula, and names and causes
/// may come from others; an apostrophe prevents it.
#[must_use]
pub fn cell(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn text(field: Field) -> String {
    match field {
        Field::Absent | Field::Diverged => String::new(),
        Field::Text(text) => cell(text),
        Field::Integer(number) => number.to_string(),
        // The shortest text that reads back to the same bits.
        Field::Real(number) => short_real(number),
        Field::Flag(flag) => flag.to_string(),
        Field::Integers(numbers) => numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" "),
    }
}
