//! A spec file as a tree of nodes with their places.

use std::borrow::Cow;
use std::ops::Range;

/// A value and its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::spec) struct Node {
    /// The bytes in the text.
    pub(in crate::spec) span: Range<usize>,
    /// The value.
    pub(in crate::spec) kind: Kind,
}

/// The value of a node.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::spec) enum Kind {
    /// Keys and values, in the order of the text.
    Table(Vec<(Key, Node)>),
    List(Vec<Node>),
    Text(String),
    Integer(i128),
    Real(f64),
    Boolean(bool),
    /// No value, or a value that no setting takes, such as a date.
    Other(&'static str),
}

/// A key and its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::spec) struct Key {
    pub(in crate::spec) span: Range<usize>,
    pub(in crate::spec) name: String,
}

/// A syntax error.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::spec) struct SyntaxError {
    pub(in crate::spec) span: Range<usize>,
    pub(in crate::spec) message: String,
}

impl Kind {
    /// The value as text, for a message.
    pub(in crate::spec) fn describe(&self) -> Cow<'static, str> {
        match self {
            Self::Table(_) => "a table".into(),
            Self::List(_) => "a list".into(),
            Self::Text(text) => in_words(text).into(),
            Self::Integer(number) => format!("the whole number {number}").into(),
            Self::Real(number) => format!("the number {number:?}").into(),
            Self::Boolean(truth) => format!("{truth}").into(),
            Self::Other(what) => (*what).into(),
        }
    }
}

/// A text in quotes, on one line, shortened if long.
fn in_words(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("the text {:?}…", &text[..end]),
        None => format!("the text {text:?}"),
    }
}

/// The mark that editors on Windows write at the start of a text.
pub(in crate::spec) const BYTE_ORDER_MARK: char = '\u{feff}';
