//! JSON to nodes. `serde_json` parses the values; the address of a raw value in the text gives its place.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::node::{Key, Kind, Node, SyntaxError};

/// Parses a text.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    // The whole text is checked first, including its depth. After that, parsing cannot fail or exhaust the stack.
    let whole = |_: serde_json::Value| serde_json::from_str::<&RawValue>(text);
    let root = serde_json::from_str(text).and_then(whole).map_err(|error| syntax_error(text, 0, &error))?;
    JsonReader { text }.node(root)
}

fn syntax_error(text: &str, offset: usize, error: &serde_json::Error) -> SyntaxError {
    let line: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let start = (offset + line + error.column().saturating_sub(1)).min(text.len());
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    SyntaxError { span: start..start + 1, message }
}

/// The members of an object, in the order of the text, with repeated keys.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Each<'a> {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each(std::marker::PhantomData))
    }
}

struct JsonReader<'a> {
    text: &'a str,
}

impl<'a> JsonReader<'a> {
    fn node(&self, raw: &'a RawValue) -> Result<Node, SyntaxError> {
        let source = raw.get();
        let kind = match source.as_bytes().first() {
            Some(b'{') => self.table(raw)?,
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read(raw)?;
                Kind::List(items.into_iter().map(|item| self.node(item)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Kind::Text(self.read(raw)?),
            Some(b't' | b'f') => Kind::Boolean(self.read(raw)?),
            Some(b'n') => Kind::Other("nothing"),
            _ if source.contains(['.', 'e', 'E']) => Kind::Real(self.read(raw)?),
            _ => source.parse().map_or(Kind::Other("a whole number that is too large"), Kind::Integer),
        };
        Ok(Node { span: self.span(raw), kind })
    }

    fn table(&self, raw: &'a RawValue) -> Result<Kind, SyntaxError> {
        let Members(members) = self.read(raw)?;
        let mut entries: Vec<(Key, Node)> = Vec::with_capacity(members.len());
        for (key, value) in members {
            let (name, span): (String, _) = (self.read(key)?, self.span(key));
            if entries.iter().any(|(other, _)| other.name == name) {
                return Err(SyntaxError { span, message: format!("duplicate key `{name}`") });
            }
            entries.push((Key { span, name }, self.node(value)?));
        }
        Ok(Kind::Table(entries))
    }

    fn read<T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, SyntaxError> {
        serde_json::from_str(raw.get()).map_err(|error| syntax_error(self.text, self.span(raw).start, &error))
    }

    /// A raw value is a slice of the text that it was read from.
    fn span(&self, raw: &'a RawValue) -> Range<usize> {
        let start = raw.get().as_ptr().addr() - self.text.as_ptr().addr();
        start..start + raw.get().len()
    }
}
