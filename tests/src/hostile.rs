//! Messages of a hostile peer: for every field of every message in the protocol description, invalid values.
//!
//! A spoiled message is a valid one with a single invalid field. New fields are found in the protocol description.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_proto::v1;
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// A count above every limit.
const MANY: usize = 40_000;
/// Characters that cause faults in stores, logs or terminals, and texts that are too long.
const TEXTS: [&str; 5] = ["\0", "a\0b", "\u{1b}[2J\u{7}", "\u{9b}31m", "none of the names there are"];

/// The messages and services of the protocol, from its description.
#[derive(Debug)]
pub struct Protocol {
    messages: BTreeMap<String, DescriptorProto>,
    /// The path, the request and the response of each method.
    methods: Vec<Method>,
}

/// A method of a service.
#[derive(Debug, Clone)]
pub struct Method {
    /// The path, such as `/biosweep.v1.Sweeps/List`.
    pub path: String,
    /// The type of the request.
    pub request: String,
    /// The type of the response.
    pub response: String,
    /// Whether it takes a stream of requests.
    pub takes_many: bool,
}

/// A message with one invalid field.
#[derive(Debug, Clone)]
pub struct Spoiled {
    /// The field and its value, such as `Ended.attempt = 2^63`.
    pub what: String,
    /// The message.
    pub bytes: Vec<u8>,
}

impl Default for Protocol {
    fn default() -> Self {
        let files = FileDescriptorSet::decode(v1::DESCRIPTORS).expect("the protocol describes itself").file;
        let name = |name: &Option<String>| name.clone().expect("everything has a name");
        let short = |name: &Option<String>| last(name.as_deref().expect("a type")).to_owned();
        let mut protocol = Self { messages: BTreeMap::new(), methods: Vec::new() };
        for file in files.into_iter().filter(|file| file.package() == "biosweep.v1") {
            for service in &file.service {
                protocol.methods.extend(service.method.iter().map(|method| Method {
                    path: format!("/biosweep.v1.{}/{}", service.name(), method.name()),
                    request: short(&method.input_type),
                    response: short(&method.output_type),
                    takes_many: method.client_streaming(),
                }));
            }
            // The entries of a map are a nested message.
            let nested = file.message_type.iter().flat_map(|message| message.nested_type.clone());
            let messages = nested.chain(file.message_type.iter().cloned());
            protocol.messages.extend(messages.map(|message| (name(&message.name), message)));
        }
        protocol
    }
}

impl Protocol {
    /// All methods.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Every field of a message and of all messages in it, as `Message.field`.
    #[must_use]
    pub fn fields_under(&self, message: &str) -> BTreeSet<String> {
        let (mut fields, mut open, mut seen) = (BTreeSet::new(), vec![message.to_owned()], BTreeSet::new());
        while let Some(name) = open.pop() {
            if seen.insert(name.clone()) {
                for field in self.fields(&name) {
                    fields.insert(format!("{name}.{}", field.name()));
                    open.extend(held(field));
                }
            }
        }
        fields
    }

    /// The fields of [`Self::fields_under`] that are more than a number or a boolean, so that a reader has to check
    /// their limits.
    #[must_use]
    pub fn unbounded_under(&self, message: &str) -> BTreeSet<String> {
        let is_unbounded = |name: &String| {
            let (message, name) = name.split_once('.').expect("`Message.field`");
            let field = self.fields(message).iter().find(|field| field.name() == name).expect("a field");
            let is_text = matches!(field.r#type(), Type::String | Type::Bytes | Type::Double | Type::Float);
            is_text || (field.label() == Label::Repeated && field.r#type() != Type::Message)
        };
        self.fields_under(message).into_iter().filter(is_unbounded).collect()
    }

    /// Adds the fields in the bytes of a valid message, as `Message.field`.
    pub fn fields_in(&self, message: &str, honest: &[u8], found: &mut BTreeSet<String>) {
        for part in parts(honest) {
            let Some(field) = self.fields(message).iter().find(|field| field.number() == part.number) else { continue };
            found.insert(format!("{message}.{}", field.name()));
            if let Some(of) = held(field) {
                self.fields_in(&of, part.content, found);
            }
        }
    }

    /// The message with each of its fields, and the fields of messages in it, spoiled in every way.
    #[must_use]
    pub fn spoil(&self, message: &str, honest: &[u8]) -> Vec<Spoiled> {
        let mut all = Vec::new();
        for field in self.fields(message) {
            let of_field = |part: &Part<'_>| part.number == field.number();
            let same_field: Vec<Part<'_>> = parts(honest).filter(of_field).collect();
            let others: Vec<u8> =
                parts(honest).filter(|part| !of_field(part)).flat_map(|part| part.whole.to_vec()).collect();
            let what = format!("{message}.{}", field.name());
            let repeats = field.label() == Label::Repeated;
            // A value is added to a repeated field, and replaces any other field.
            let with =
                |spoiled: Vec<u8>| if repeats { [honest, &spoiled].concat() } else { [&others[..], &spoiled].concat() };
            if !same_field.is_empty() {
                all.push(Spoiled { what: format!("{what} left out"), bytes: others.clone() });
            }
            if let Some(of) = held(field) {
                let Some(content) = same_field.first().map(|part| part.content) else { continue };
                all.extend(self.spoil(&of, content).into_iter().map(|Spoiled { what: inner, bytes }| Spoiled {
                    what: format!("{what}: {inner}"),
                    bytes: with(put_bytes(field, &bytes)),
                }));
                if repeats {
                    let many = put_bytes(field, content).repeat(MANY);
                    all.push(Spoiled { what: format!("{what}, {MANY} of them"), bytes: with(many) });
                }
            } else {
                let values = values(field);
                if let Some((_, value)) = values.first().filter(|_| repeats) {
                    let bytes = with(same_field.first().map_or(&value[..], |part| part.whole).repeat(MANY));
                    all.push(Spoiled { what: format!("{what}, {MANY} of them"), bytes });
                }
                let spoiled = values
                    .into_iter()
                    .map(|(value, bytes)| Spoiled { what: format!("{what} = {value}"), bytes: with(bytes) });
                all.extend(spoiled);
            }
        }
        all
    }

    /// The first value in an accepted message that exceeds the limits of stores, logs or terminals.
    #[must_use]
    pub fn beyond_bounds(&self, message: &str, bytes: &[u8]) -> Option<String> {
        let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
        parts(bytes).find_map(|part| {
            let field = self.fields(message).iter().find(|field| field.number() == part.number)?;
            let what = format!("{message}.{}", field.name());
            let count = counts.entry(part.number).or_default();
            *count += if part.wire == WireType::LengthDelimited && field.r#type() == Type::Uint64 {
                packed(part.content)
            } else {
                1
            };
            let points = matches!(field.name(), "curve" | "diagnostics" | "points");
            if *count > if points { 2_000_000 } else { 20_000 } {
                return Some(format!("{count} {what}"));
            }
            if let Some(of) = held(field) {
                return self.beyond_bounds(&of, part.content);
            }
            let is_within = match field.r#type() {
                Type::String => std::str::from_utf8(part.content).is_ok_and(|text| {
                    text.len() <= if field.name() == "note" { 40_000 } else { 8_192 }
                        && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t'))
                }),
                Type::Bytes => part.content.len() <= 16_384,
                Type::Double => {
                    let number = f64::from_le_bytes(part.content.try_into().expect("eight bytes"));
                    number.is_finite()
                        && (!field.name().ends_with("accuracy") || (0.0..=1.0).contains(&number))
                        && (field.name() != "seconds" || number >= 0.0)
                }
                _ if part.wire == WireType::LengthDelimited => {
                    numbers(part.content).all(|number| number <= i64::MAX as u64)
                }
                _ => {
                    let number = numbers(part.content).next().unwrap_or(0);
                    number <= i64::MAX as u64 && (field.name() != "lanes" || number <= 1_024)
                }
            };
            (!is_within).then(|| format!("{what} in {} bytes", part.content.len()))
        })
    }

    fn fields(&self, message: &str) -> &[FieldDescriptorProto] {
        &self.messages.get(message).unwrap_or_else(|| panic!("no message {message}")).field
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The message type of a field; `None` if it is not a message.
fn held(field: &FieldDescriptorProto) -> Option<String> {
    (field.r#type() == Type::Message).then(|| last(field.type_name()).to_owned())
}

/// Invalid values for a field, with their bytes.
fn values(field: &FieldDescriptorProto) -> Vec<(String, Vec<u8>)> {
    let number = |wire, bytes: &dyn Fn(&mut Vec<u8>)| {
        let mut put = Vec::new();
        encode_key(field.number().unsigned_abs(), wire, &mut put);
        bytes(&mut put);
        put
    };
    let varint = |value: u64| (value.to_string(), number(WireType::Varint, &|put| encode_varint(value, put)));
    match field.r#type() {
        Type::Uint64 | Type::Uint32 | Type::Bool | Type::Enum => {
            [0, u64::from(u32::MAX), i64::MAX as u64, 1 << 63, u64::MAX].map(varint).to_vec()
        }
        Type::Double => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1.5, f64::MAX, f64::MIN]
            .map(|value| (value.to_string(), number(WireType::SixtyFourBit, &|put| put.extend(value.to_le_bytes()))))
            .to_vec(),
        Type::String => {
            let long = ["x".repeat(1 << 20), "漢".repeat(9_999), String::new()];
            let texts = TEXTS.iter().map(|&text| text.to_owned()).chain(long);
            texts
                .map(|text| {
                    (format!("{:?}", text.chars().take(30).collect::<String>()), put_bytes(field, text.as_bytes()))
                })
                .collect()
        }
        Type::Bytes => [Vec::new(), vec![0], vec![0xff; 1 << 20]]
            .map(|bytes| (format!("{} bytes", bytes.len()), put_bytes(field, &bytes)))
            .to_vec(),
        other => panic!("{} is of a kind that nobody spoils yet: {other:?}", field.name()),
    }
}

fn put_bytes(field: &FieldDescriptorProto, content: &[u8]) -> Vec<u8> {
    let mut put = Vec::with_capacity(content.len() + 8);
    encode_key(field.number().unsigned_abs(), WireType::LengthDelimited, &mut put);
    encode_varint(content.len() as u64, &mut put);
    put.extend(content);
    put
}

/// A field in the bytes of a message.
struct Part<'a> {
    number: i32,
    wire: WireType,
    whole: &'a [u8],
    content: &'a [u8],
}

fn parts(mut bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let start = bytes;
        let (number, wire) = decode_key(&mut bytes).expect("honest bytes");
        let length = match wire {
            WireType::Varint => {
                let before = bytes;
                let _value = decode_varint(&mut bytes).expect("honest bytes");
                let length = before.len() - bytes.len();
                bytes = before;
                length
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            _ => usize::try_from(decode_varint(&mut bytes).expect("honest bytes")).expect("it is in memory"),
        };
        let (content, rest) = bytes.split_at(length);
        bytes = rest;
        let whole = &start[..start.len() - rest.len()];
        Some(Part { number: i32::try_from(number).expect("a field's number"), wire, whole, content })
    })
}

fn numbers(mut bytes: &[u8]) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || (!bytes.is_empty()).then(|| decode_varint(&mut bytes).expect("honest bytes")))
}

fn packed(bytes: &[u8]) -> usize {
    numbers(bytes).count()
}
