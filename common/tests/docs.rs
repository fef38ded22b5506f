//! The table of settings in the documents says what the table of settings in the code says.

use std::fmt::Write as _;

use biosweep_common::settings::Setting;
use biosweep_common::spec::{Format, SweepSpec};

const DOCUMENT: &str = include_str!("../../docs/spec.md");

/// The table as it has to stand in `docs/spec.md`.
fn table() -> String {
    let mut table = String::from("| setting | takes | default | belongs to |\n|---|---|---|---|\n");
    for setting in Setting::ALL {
        let default = match setting.default_value() {
            Some(value) => format!("`{value}`"),
            None if setting.is_required() => "required".to_owned(),
            None => "none".to_owned(),
        };
        let belongs_to = setting.condition().map_or("every trial", |condition| condition.belongs_to);
        writeln!(table, "| `{setting}` | {} | {default} | {belongs_to} |", setting.domain())
            .expect("a string takes all");
    }
    table
}

#[test]
fn the_table_of_settings_is_that_of_the_code() {
    assert!(DOCUMENT.contains(&table()), "docs/spec.md should hold this table:\n{}", table());
}

#[test]
fn the_whole_files_in_the_document_are_good_specs() {
    let mut checked = 0;
    for block in DOCUMENT.split("```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').expect("a code block has a first line");
        let format = Format::from_name(language).filter(|_| text.contains("name"));
        if let Some(format) = format {
            SweepSpec::parse(text, format, "docs/spec.md").unwrap_or_else(|errors| panic!("{errors}"));
            checked += 1;
        }
    }
    assert_eq!(checked, 3);
}
