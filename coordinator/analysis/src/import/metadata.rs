//! The spec in the metadata of a Parquet file, as `export` writes it.

use biosweep_common::results::views::SpecView;
use biosweep_common::spec::{Format, SpecText};
use parquet::file::metadata::KeyValue;

/// The spec with its extensions; `None` if the metadata lack a part of its text.
pub(super) fn spec(entries: &[KeyValue]) -> Option<SpecView> {
    let value = |key: String| entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone());
    let text = |key: &str| {
        let format = value(format!("biosweep.{key}.format"))?;
        Some(SpecText {
            text: value(format!("biosweep.{key}"))?,
            format: Format::ALL.into_iter().find(|known| known.name() == format)?,
            resolved: value(format!("biosweep.{key}.resolved"))?,
        })
    };
    let has = |number: &u32| value(format!("biosweep.extension.{number}")).is_some();
    let extensions = (1_u32..).take_while(has).map(|number| text(&format!("extension.{number}")));
    Some(SpecView { text: text("spec")?, extensions: extensions.collect::<Option<_>>()? })
}
