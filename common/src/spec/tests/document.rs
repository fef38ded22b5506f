//! The document on spec files agrees with the program.

use super::*;
use crate::rules::measured_in_words;
use crate::settings::{Domain, Level};
use crate::vocabulary::Dataset;
use crate::vocabulary::diagnostics::Measure;

const DOCUMENT: &str = include_str!("../../../../docs/spec.md");

/// The text between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start:?}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} after {start:?}")).0
}

/// The code examples in a language, in order.
fn examples(language: &str) -> Vec<&'static str> {
    DOCUMENT.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix(language)).collect()
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn settings_table() -> String {
    let mut table =
        "\n| setting | meaning | values | default | applies to | level |\n|---|---|---|---|---|---|\n".to_owned();
    for setting in Setting::ALL {
        let level = match setting.level() {
            Level::Shape => "shape",
            Level::Lane => "lane",
            Level::Stop => "stop",
        };
        let default = match setting.default_value() {
            Some(value) => format!("`{value}`"),
            None if setting.is_required() => "required".to_owned(),
            None => "none".to_owned(),
        };
        let values = match setting.domain() {
            Domain::Dataset => format!("{}, `{{ idx = \"DIR\" }}`, `{{ npy = \"DIR\" }}`", listed(Dataset::NAMES)),
            Domain::Names(names) => listed(names),
            domain => domain.to_string(),
        };
        let meaning = setting.meaning().trim_end_matches('.');
        let user = setting.condition().map_or_else(|| "all".to_owned(), |condition| (condition.belongs_to)());
        table.push_str(&format!("| `{setting}` | {meaning} | {values} | {default} | {user} | {level} |\n"));
    }
    table
}

#[test]
fn the_table_of_settings_is_that_of_the_program() {
    let table = between(DOCUMENT, "against the program's -->\n", "<!-- end of settings -->");
    let expected = settings_table();
    assert_eq!(table.trim(), expected.trim(), "docs/spec.md should have this table:\n{expected}");
}

#[test]
fn the_table_of_measures_has_all_measures_and_where_they_apply() {
    let table = between(DOCUMENT, "names and uses are the program's -->\n", "<!-- end of measures -->");
    let rows = table.trim().lines().skip(2).map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[3])
    });
    let words: Vec<(String, String)> =
        Measure::ALL.iter().map(|measure| (measure.name().to_owned(), measured_in_words(*measure))).collect();
    let expected = words.iter().map(|(name, words)| (name.clone(), words.as_str()));
    assert!(rows.eq(expected), "docs/spec.md should list {:?}", Measure::NAMES);
}

#[test]
fn the_examples_are_valid_specs() {
    let specs: Vec<SweepSpec> = examples("toml\n")[..3].iter().map(|text| good(text)).collect();
    let trials: Vec<u64> = specs.iter().map(|spec| spec.grid.trials()).collect();
    assert_eq!(trials, [2 * 10 * 5 * (3 * 6 * 3 + 2 * 5 * 3), 3, 40 - 2 * 2 - 2 * 2]);
    let networks = "name = \"planned\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"fa\"\ndepth = [3, 10]\n\
                    [[block]]\nnetwork = [\"nn\", \"readout\", \"dn\"]\n[[block]]\nnetwork = \"nn\"\nparameters_as = \"dn\"\n";
    assert_eq!(good(&format!("{networks}{}", examples("toml\n")[3])).analysis.contrasts.len(), 2);
    let read = |language, format| SweepSpec::parse(examples(language)[0], format, "docs/spec.md");
    let (yaml, json) = (read("yaml\n", Format::Yaml), read("json\n", Format::Json));
    assert_eq!(yaml.expect("a sweep").digest(), json.expect("a sweep").digest());
}

#[test]
fn the_documented_errors_are_those_of_the_program() {
    let errors = SweepSpec::parse(examples("toml\n")[4], Format::Toml, "wrong.toml").expect_err("errors");
    let documented = between(DOCUMENT, "above is checked -->", "<!-- end of errors -->");
    for error in &errors.errors {
        for part in [&error.message, &error.help, &format!("wrong.toml:{}:{}", error.line, error.column), &error.place]
        {
            assert!(documented.contains(part.as_str()), "docs/spec.md lacks {part:?} of\n{errors}");
        }
    }
}
