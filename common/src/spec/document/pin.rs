//! Writes the absolute path and the digest of custom data into a spec's text, so that the text alone identifies the
//! data.

use std::ops::Range;

use super::node::{Kind, Node};
use super::parse;
use crate::settings::Setting;
use crate::spec::Format;
use crate::vocabulary::CustomFormat;
use crate::vocabulary::dataset::CustomData;

/// The text with each custom dataset replaced by the result of `resolve`. A text that is not a spec is returned
/// unchanged.
///
/// # Errors
/// The error of `resolve`.
pub fn pin<E>(
    text: &str,
    format: Format,
    mut resolve: impl FnMut(&CustomData) -> Result<CustomData, E>,
) -> Result<String, E> {
    let mut places = Vec::new();
    if let Ok(root) = parse::parse(text, format) {
        collect(&root, &mut places);
    }
    places.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut pinned = text.to_owned();
    for (span, own) in places {
        // A JSON string is valid in TOML and YAML too.
        pinned.replace_range(span, &serde_json::Value::String(resolve(&own)?.place()).to_string());
    }
    Ok(pinned)
}

/// Collects custom data of every `dataset` in the tree, with the bytes of its directory.
fn collect(node: &Node, places: &mut Vec<(Range<usize>, CustomData)>) {
    match &node.kind {
        Kind::Table(entries) => {
            for (key, value) in entries {
                if key.name == Setting::Dataset.name() {
                    collect_own(value, places);
                } else {
                    collect(value, places);
                }
            }
        }
        Kind::List(items) => items.iter().for_each(|item| collect(item, places)),
        _ => {}
    }
}

fn collect_own(node: &Node, places: &mut Vec<(Range<usize>, CustomData)>) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| collect_own(item, places)),
        Kind::Table(entries) => {
            for (key, value) in entries {
                if let (Ok(format), Kind::Text(text)) = (key.name.parse::<CustomFormat>(), &value.kind) {
                    places.push((value.span.clone(), CustomData::parse(format, text)));
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SweepSpec;
    use crate::vocabulary::dataset::ContentDigest;

    const TOML: &str =
        "name = \"é\"\n[data.dataset]\nidx = 'a dir' # mine\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n";
    const YAML: &str = "name: é\ndata: {dataset: {idx: a dir}}\ngrid:\n  rule: bp\n  network: nn\n  depth: 1\n";
    const JSON: &str = "{\"name\": \"é\", \"data\": {\"dataset\": {\"idx\": \"a dir\"}},\n\
                        \"grid\": {\"rule\": \"bp\", \"network\": \"nn\", \"depth\": 1}}";

    fn moved(own: &CustomData) -> Result<CustomData, String> {
        let directory = format!("/some\"where/{}", own.directory);
        Ok(CustomData { directory, digest: Some(ContentDigest([1; 32])), ..own.clone() })
    }

    #[test]
    fn a_pinned_text_differs_only_in_its_data_in_every_format() {
        let digests = [(TOML, Format::Toml), (YAML, Format::Yaml), (JSON, Format::Json)].map(|(text, format)| {
            let text = pin(text, format, moved).expect("moved");
            let spec = SweepSpec::parse(&text, format, "spec").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
            let datasets: Vec<String> = spec.grid.datasets().iter().map(ToString::to_string).collect();
            assert_eq!(datasets, [format!("idx:/some\"where/a dir#{}", "01".repeat(32))], "{text}");
            spec.digest()
        });
        assert!(digests.iter().all(|digest| *digest == digests[0]));
    }

    #[test]
    fn each_custom_dataset_of_a_list_is_pinned_and_names_are_unchanged() {
        let text = "[grid]\ndataset = [\"mnist\", { npy = \"a\" }, { idx = \"b\" }]\n";
        let pinned = pin(text, Format::Toml, |own| {
            Ok::<_, String>(CustomData { directory: format!("/{}", own.directory), ..own.clone() })
        });
        assert_eq!(pinned.as_deref(), Ok("[grid]\ndataset = [\"mnist\", { npy = \"/a\" }, { idx = \"/b\" }]\n"));
        let failing = pin(text, Format::Toml, |own| Err::<CustomData, _>(own.directory.clone()));
        assert_eq!(failing, Err("b".to_owned()));
    }
}
