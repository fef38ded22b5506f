//! The text of a spec file to nodes, for every format.

use std::borrow::Cow;
use std::ops::Range;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use saphyr_parser::{Event, Parser};
use toml::de::{DeTable, DeValue};

use super::json;
use super::node::{BYTE_ORDER_MARK, Key, Kind, Node, SyntaxError};
use crate::spec::Format;

/// Parses a text.
///
/// # Errors
/// Syntax errors: all of them in TOML, the first one in other formats, whose parsers stop there.
pub(in crate::spec) fn parse(text: &str, format: Format) -> Result<Node, Vec<SyntaxError>> {
    let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mark = text.len() - body.len();
    match parse_body(body, format) {
        Ok(mut root) if mark > 0 => {
            root.shift(mark);
            Ok(root)
        }
        Err(mut errors) => {
            errors.iter_mut().for_each(|error| shift(&mut error.span, mark));
            Err(errors)
        }
        read => read,
    }
}

fn shift(span: &mut Range<usize>, by: usize) {
    *span = span.start + by..span.end + by;
}

impl Node {
    /// Moves the node and everything in it by `by` bytes.
    fn shift(&mut self, by: usize) {
        shift(&mut self.span, by);
        match &mut self.kind {
            Kind::Table(entries) => entries.iter_mut().for_each(|(key, value)| {
                shift(&mut key.span, by);
                value.shift(by);
            }),
            Kind::List(items) => items.iter_mut().for_each(|item| item.shift(by)),
            _ => {}
        }
    }
}

fn parse_body(text: &str, format: Format) -> Result<Node, Vec<SyntaxError>> {
    match format {
        Format::Toml => from_toml(text),
        Format::Yaml => from_yaml(text).map_err(|error| vec![error]),
        Format::Json => json::parse(text).map_err(|error| vec![error]),
    }
}

fn from_toml(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(Node { span: 0..text.len(), kind: toml_table(table.get_ref()) });
    }
    let error = |error: toml::de::Error| SyntaxError {
        span: error.span().unwrap_or(0..0),
        message: error.message().to_owned(),
    };
    Err(errors.into_iter().map(error).collect())
}

fn toml_table(table: &DeTable<'_>) -> Kind {
    let entry = |(key, value): (&toml::Spanned<Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
        let key = Key { span: key.span(), name: key.get_ref().to_string() };
        (key, toml_value(value))
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    entries.sort_by_key(|(key, _)| key.span.start);
    Kind::Table(entries)
}

fn toml_value(value: &toml::Spanned<DeValue<'_>>) -> Node {
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .map_or(Kind::Other("a whole number that is too large"), Kind::Integer),
        DeValue::Float(float) => float.as_str().parse().map_or(Kind::Other("not a number"), Kind::Real),
        DeValue::Boolean(truth) => Kind::Boolean(*truth),
        DeValue::Datetime(_) => Kind::Other("a date"),
        DeValue::Array(items) => Kind::List(items.iter().map(toml_value).collect()),
        DeValue::Table(table) => toml_table(table),
    };
    Node { span: value.span(), kind }
}

/// Maximum nesting of lists and tables in YAML. Its parser of trees has no limit, and would use up the stack.
const DEPTH_MAX: usize = 64;

/// The first place that is nested too deeply. Other errors are found by the parser of trees.
fn too_deep(text: &str, bytes: &CharacterBytes) -> Option<SyntaxError> {
    let mut depth = 0_usize;
    for event in Parser::new_from_str(text) {
        match event.ok()? {
            (Event::SequenceStart(..) | Event::MappingStart(..), span) if depth == DEPTH_MAX => {
                let start = bytes.at(span.start.index());
                let message = format!("nested too deeply; a spec file has at most {DEPTH_MAX} levels");
                return Some(SyntaxError { span: start..start + 1, message });
            }
            (Event::SequenceStart(..) | Event::MappingStart(..), _) => depth += 1,
            (Event::SequenceEnd | Event::MappingEnd, _) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn from_yaml(text: &str) -> Result<Node, SyntaxError> {
    let bytes = CharacterBytes::of(text);
    if let Some(error) = too_deep(text, &bytes) {
        return Err(error);
    }
    let documents = MarkedYaml::load_from_str(text).map_err(|error| {
        let start = bytes.at(error.marker().index());
        SyntaxError { span: start..start + 1, message: error.info().to_owned() }
    })?;
    match documents.as_slice() {
        [] => Ok(Node { span: 0..text.len(), kind: Kind::Table(Vec::new()) }),
        [document] => Ok(yaml_value(document, &bytes)),
        [_, second, ..] => Err(SyntaxError {
            span: yaml_span(second, &bytes),
            message: "a second document; a spec file has only one".to_owned(),
        }),
    }
}

fn yaml_value(value: &MarkedYaml<'_>, bytes: &CharacterBytes) -> Node {
    let kind = match &value.data {
        YamlData::Value(Scalar::String(text)) => Kind::Text(text.to_string()),
        YamlData::Value(Scalar::Integer(number)) => Kind::Integer((*number).into()),
        YamlData::Value(Scalar::FloatingPoint(number)) => Kind::Real(number.into_inner()),
        YamlData::Value(Scalar::Boolean(truth)) => Kind::Boolean(*truth),
        YamlData::Value(Scalar::Null) => Kind::Other("nothing"),
        YamlData::Sequence(items) => Kind::List(items.iter().map(|item| yaml_value(item, bytes)).collect()),
        YamlData::Mapping(entries) => {
            let entry = |(key, value): (&MarkedYaml<'_>, &MarkedYaml<'_>)| {
                let name = key.data.as_str().map_or_else(|| "?".to_owned(), str::to_owned);
                (Key { span: yaml_span(key, bytes), name }, yaml_value(value, bytes))
            };
            Kind::Table(entries.iter().map(entry).collect())
        }
        YamlData::Tagged(_, inner) => return yaml_value(inner, bytes),
        YamlData::Representation(text, ..) => Kind::Text(text.to_string()),
        YamlData::Alias(_) => Kind::Other("an alias"),
        YamlData::BadValue => Kind::Other("a value YAML does not allow"),
    };
    Node { span: yaml_span(value, bytes), kind }
}

fn yaml_span(value: &MarkedYaml<'_>, bytes: &CharacterBytes) -> Range<usize> {
    let (start, end) = (bytes.at(value.span.start.index()), bytes.at(value.span.end.index()));
    start..end.max(start)
}

/// The first byte of each character of a text.
struct CharacterBytes(Vec<usize>);

impl CharacterBytes {
    fn of(text: &str) -> Self {
        let mut starts: Vec<usize> = text.char_indices().map(|(start, _)| start).collect();
        starts.push(text.len());
        Self(starts)
    }

    fn at(&self, character: usize) -> usize {
        self.0.get(character).or(self.0.last()).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(node: &Node) -> String {
        match &node.kind {
            Kind::Table(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{}={}", key.name, shape(value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
            }
            Kind::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(",")),
            other => other.describe().into_owned(),
        }
    }

    #[test]
    fn the_three_formats_make_the_same_tree() {
        let toml = parse("name = \"a\"\n[grid]\ndepth = [1, 2]\nlearning_rate = 0.5\n", Format::Toml);
        let yaml = parse("name: a\ngrid:\n  depth: [1, 2]\n  learning_rate: 0.5\n", Format::Yaml);
        let json = parse("{\"name\": \"a\", \"grid\": {\"depth\": [1, 2], \"learning_rate\": 0.5}}", Format::Json);
        let (toml, yaml, json) = (toml.expect("toml"), yaml.expect("yaml"), json.expect("json"));
        assert_eq!(shape(&toml), shape(&yaml));
        assert_eq!(shape(&toml), shape(&json));
    }

    proptest! {
        #[test]
        fn a_number_is_the_same_to_the_last_bit_in_every_format(number in prop::num::f64::NORMAL) {
            for (text, format) in [
                (format!("a = {number:e}\n"), Format::Toml),
                (format!("a: {number:?}\n"), Format::Yaml),
                (format!("{{\"a\": {number:e}}}"), Format::Json),
            ] {
                let Kind::Table(entries) = parse(&text, format).expect("good").kind else { panic!("{text}: no table") };
                let Kind::Real(read) = entries[0].1.kind else { panic!("{text}: no number") };
                prop_assert_eq!(read.to_bits(), number.to_bits(), "{}", text);
            }
        }
    }

    #[test]
    fn a_node_has_its_bytes_in_every_format() {
        for (text, format) in [
            ("# é\ndepth = 17\n", Format::Toml),
            ("# é\ndepth: 17\n", Format::Yaml),
            ("{\"é\": 1,\n\"depth\": 17}", Format::Json),
        ] {
            for text in [text.to_owned(), format!("{BYTE_ORDER_MARK}{text}")] {
                let root = parse(&text, format).unwrap_or_else(|errors| panic!("{text:?}: {errors:?}"));
                let Kind::Table(entries) = root.kind else { panic!("{format:?}: no table") };
                let (key, value) = entries.last().expect("an entry");
                assert_eq!(&text[value.span.clone()], "17", "{format:?}");
                assert_eq!(text[key.span.clone()].trim_matches('"'), "depth", "{format:?}");
            }
        }
    }

    #[test]
    fn a_key_given_twice_is_refused_in_every_format() {
        for (text, format) in [
            ("a = 1\na = 2\n", Format::Toml),
            ("a: 1\na: 2\n", Format::Yaml),
            ("{\"a\": 1,\n\"\\u0061\": 2}", Format::Json),
        ] {
            let errors = parse(text, format).expect_err("a key twice");
            assert!(errors[0].message.contains("duplicate"), "{format:?}: {errors:?}");
            assert!(text[..errors[0].span.start].contains('\n'), "{format:?}: {errors:?}");
        }
    }

    #[test]
    fn json_values_are_read_and_invalid_json_is_refused() {
        let text =
            "{\n\t\"\\ud83d\\ude00\":\t[1e3, -2, 1.5,\n\ttrue, null, \"\\/\", {}, 123456789012345678901234567890]}";
        let whole = "the whole number 123456789012345678901234567890";
        let expected = format!(
            "{{😀=[the number 1000.0,the whole number -2,the number 1.5,true,nothing,the text \"/\",{{}},{whole}]}}"
        );
        assert_eq!(shape(&parse(text, Format::Json).expect("good")), expected);
        let deep = "[".repeat(100_000);
        for broken in ["{'a': 1}", "{\"a\": 01}", "{\"a\": NaN}", "{} {}", "[1,]", "{\"a\": \"\\ud800\"}", &deep] {
            assert!(parse(broken, Format::Json).is_err(), "{}", &broken[..broken.len().min(20)]);
        }
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        for (text, format) in
            [("a = 1\nb = = 2\n", Format::Toml), ("a: 1\nb: [1, 2\n", Format::Yaml), ("{\n\"a\": }", Format::Json)]
        {
            let error = parse(text, format).expect_err("broken");
            assert!(error[0].span.start >= 2 && !error[0].message.is_empty(), "{format:?}: {error:?}");
        }
    }
}
