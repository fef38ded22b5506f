//! Writes keys at the top of a spec's text, so that the text alone has the execution options of its sweep.

use super::node::{BYTE_ORDER_MARK, Kind};
use super::parse;
use crate::spec::Format;

/// The text with these keys at its top. Each value has the same form in every format: a whole number, true or false. An
/// existing key gets the new value. A text that is not a spec is returned unchanged.
#[must_use]
pub fn amend(text: &str, format: Format, keys: &[(&str, String)]) -> String {
    keys.iter().fold(text.to_owned(), |text, (key, value)| with_key(text, format, key, value))
}

fn with_key(mut text: String, format: Format, key: &str, value: &str) -> String {
    let Ok(root) = parse::parse(&text, format) else { return text };
    let Kind::Table(entries) = &root.kind else { return text };
    if let Some((_, node)) = entries.iter().find(|(other, _)| other.name == key) {
        text.replace_range(node.span.clone(), value);
        return text;
    }
    let Some((first, _)) = entries.first() else { return text };
    let start = first.span.start;
    // A byte order mark stays at the start.
    let top = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let is_flow = format == Format::Yaml && text[root.span.start..].starts_with('{');
    match format {
        // Top-level keys of TOML come before any table.
        Format::Toml => text.insert_str(top, &format!("{key} = {value}\n")),
        Format::Yaml if is_flow => text.insert_str(start, &format!("{key}: {value}, ")),
        Format::Yaml => {
            let line = text[..start].rfind('\n').map_or(top, |end| end + 1);
            let indent = text[line..start].to_owned();
            text.insert_str(start, &format!("{key}: {value}\n{indent}"));
        }
        Format::Json => text.insert_str(start, &format!("\"{key}\": {value}, ")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SweepSpec;

    const TOML: &str = "[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n[data]\ndataset = \"mnist\"\n";
    const YAML: &str = "data: {dataset: mnist}\ngrid:\n  rule: bp\n  network: nn\n  depth: 1\n";
    const FLOW: &str = "# a flow\n{name: é, data: {dataset: mnist}, grid: {rule: bp, network: nn, depth: 1}}\n";
    const JSON: &str = "{\n\"name\": \"é\", \"data\": {\"dataset\": \"mnist\"}, \"grid\": {\"rule\": \"bp\", \"network\": \"nn\", \"depth\": 1}}";

    #[test]
    fn keys_are_added_or_replaced_in_every_format() {
        let texts = [
            (format!("name = \"é\" # mine\nweight = 9\n{TOML}"), Format::Toml),
            (format!("---\n# mine\nname: é\n{YAML}"), Format::Yaml),
            (format!("weight: 9\nname: é\n{YAML}"), Format::Yaml),
            (format!("  name: é\n  {}", YAML.replace('\n', "\n  ")), Format::Yaml),
            (FLOW.to_owned(), Format::Yaml),
            (JSON.to_owned(), Format::Json),
        ];
        let marked = texts.clone().map(|(text, format)| (format!("{BYTE_ORDER_MARK}{text}"), format));
        for (text, format) in texts.into_iter().chain(marked) {
            let amended = amend(&text, format, &[("share", "false".to_owned()), ("weight", "3".to_owned())]);
            let spec =
                SweepSpec::parse(&amended, format, "spec").unwrap_or_else(|errors| panic!("{errors}\n{amended}"));
            assert_eq!((spec.execution.share, spec.execution.weight, spec.name.as_str()), (false, 3, "é"), "{amended}");
            let before = SweepSpec::parse(&text, format, "spec").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
            assert_eq!(before.grid.trials(), spec.grid.trials());
        }
    }

    #[test]
    fn a_text_that_is_not_a_spec_is_unchanged() {
        let keys = [("share", "false".to_owned())];
        for (text, format) in [("= 1", Format::Toml), ("- 1\n- 2\n", Format::Yaml), ("{}", Format::Json)] {
            assert_eq!(amend(text, format, &keys), text);
        }
    }
}
