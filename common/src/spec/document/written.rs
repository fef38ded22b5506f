//! Values as TOML.

/// A text as a string of TOML. A JSON string is valid in TOML.
pub(in crate::spec) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A list of written values.
pub(in crate::spec) fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}
