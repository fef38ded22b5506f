//! One tree of values with their places in the text, for TOML, YAML and JSON alike.

use std::ops::Range;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Format;
use super::error::Mistakes;

/// A value and where it stands, in bytes of the text.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) data: Data,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Data {
    Null,
    Boolean(bool),
    Integer(i128),
    Real(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// What no spec makes use of, in words.
    Other(&'static str),
}

/// One line of a table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

impl Data {
    /// What it is, for a person.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Boolean(value) => value.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Real(number) => format!("{number:?}"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Other(what) => (*what).to_owned(),
        }
    }
}

/// Reads a text; on a fault of syntax the mistakes say where.
pub(super) fn parse(text: &str, format: Format, mistakes: &mut Mistakes<'_>) -> Option<Node> {
    match format {
        Format::Toml => parse_toml(text, mistakes),
        Format::Yaml => parse_yaml(text, format, mistakes),
        Format::Json => {
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
                let at = offset(text, error.line(), error.column());
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or_default();
                mistakes.add(&(at..at + 1), "", format!("this is no JSON: {message}"), syntax_help(format));
                return None;
            }
            // JSON is YAML but for tabs, which JSON allows only between its words.
            parse_yaml(&text.replace('\t', " "), format, mistakes)
        }
    }
}

fn syntax_help(format: Format) -> &'static str {
    match format {
        Format::Toml => "mend the syntax there; a text stands in quotes, a line is `key = value`",
        Format::Yaml => "mend the syntax there; a line is `key: value`, and what belongs to it is indented by spaces",
        Format::Json => "mend the syntax there; keys and texts stand in double quotes, and no comma follows the last",
    }
}

/// The byte offset of a line and a column in bytes, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

fn parse_toml(text: &str, mistakes: &mut Mistakes<'_>) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let message = format!("this is no TOML: {}", error.message());
        mistakes.add(&span, "", message, syntax_help(Format::Toml));
    }
    let span = table.span();
    errors.is_empty().then(|| Node { span, data: from_toml_table(table.get_ref()) })
}

fn from_toml_table(table: &DeTable<'_>) -> Data {
    let entry = |(key, value): (&Spanned<_>, &_)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        Entry { key: key.get_ref().to_string(), key_span: key.span(), value: from_toml(value) }
    };
    let mut entries: Vec<Entry> = table.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    Data::Table(entries)
}

fn from_toml(value: &Spanned<DeValue<'_>>) -> Node {
    let data = match value.get_ref() {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Data::Integer(number),
            Err(_) => Data::Other("a whole number of too many digits"),
        },
        DeValue::Float(number) => number.as_str().parse().map_or(Data::Other("no number"), Data::Real),
        DeValue::Boolean(value) => Data::Boolean(*value),
        DeValue::Datetime(_) => Data::Other("a date"),
        DeValue::Array(values) => Data::List(values.iter().map(from_toml).collect()),
        DeValue::Table(table) => from_toml_table(table),
    };
    Node { span: value.span(), data }
}

fn parse_yaml(text: &str, format: Format, mistakes: &mut Mistakes<'_>) -> Option<Node> {
    let bytes: Vec<usize> = text.char_indices().map(|(byte, _)| byte).collect();
    let byte = |index: usize| bytes.get(index).copied().unwrap_or(text.len());
    match MarkedYaml::load_from_str(text) {
        Err(error) => {
            let at = byte(error.marker().index());
            let message = format!("this is no {}: {}", format.name().to_uppercase(), error.info());
            mistakes.add(&(at..at + 1), "", message, syntax_help(format));
            None
        }
        Ok(documents) => match documents.as_slice() {
            [] => Some(Node { span: 0..0, data: Data::Null }),
            [document] => Some(from_yaml(document, &byte)),
            [_, second, ..] => {
                let at = byte(second.span.start.index());
                mistakes.add(&(at..at), "", "a second document begins here", "write each sweep into a file of its own");
                None
            }
        },
    }
}

fn from_yaml(node: &MarkedYaml<'_>, byte: &impl Fn(usize) -> usize) -> Node {
    let data = match &node.data {
        YamlData::Value(Scalar::Null) => Data::Null,
        YamlData::Value(Scalar::Boolean(value)) => Data::Boolean(*value),
        YamlData::Value(Scalar::Integer(number)) => Data::Integer((*number).into()),
        YamlData::Value(Scalar::FloatingPoint(number)) => Data::Real(number.into_inner()),
        YamlData::Value(Scalar::String(text)) => Data::Text(text.to_string()),
        YamlData::Sequence(values) => Data::List(values.iter().map(|value| from_yaml(value, byte)).collect()),
        YamlData::Mapping(entries) => {
            let entry = |(key, value): (&MarkedYaml<'_>, &MarkedYaml<'_>)| {
                let key = from_yaml(key, byte);
                let name = match key.data {
                    Data::Text(text) => text,
                    other => other.describe(),
                };
                Entry { key: name, key_span: key.span, value: from_yaml(value, byte) }
            };
            Data::Table(entries.iter().map(entry).collect())
        }
        YamlData::Tagged(..) => Data::Other("a tagged value"),
        YamlData::Representation(..) | YamlData::BadValue | YamlData::Alias(_) => Data::Other("no value"),
    };
    Node { span: byte(node.span.start.index())..byte(node.span.end.index()), data }
}
