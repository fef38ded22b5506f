//! Results are equal after a round trip, and errors name their place.

use std::sync::Arc;

use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::ids::TrialIndex;

use super::*;
use crate::export::rows::settings;
use crate::export::{Format, Provenance, Results};
use crate::samples::{completed, ended, spec, sweep, with};

const FORMATS: [Format; 2] = [Format::Jsonl, Format::Parquet];

fn written(format: Format, results: &[ResultView]) -> Vec<u8> {
    let sweep = sweep(&"ש".repeat(128));
    let provenance = Provenance { sweep: &sweep, spec: None, version: "1.2.3" };
    let mut out = Vec::new();
    let mut export = Results::new(format, &provenance, &mut out).expect("memory");
    results.iter().for_each(|result| export.write(result).expect("memory"));
    export.finish().expect("memory");
    out
}

fn read(bytes: Vec<u8>) -> Result<Vec<ResultView>, ImportError> {
    file(bytes).map(|file| file.results)
}

/// A value of each setting that a default would not give.
fn value_of(setting: Setting) -> Value {
    let name = |name: &str| Value::Name(name.to_owned().into());
    match setting {
        Setting::Dataset => name("fashion-mnist"),
        Setting::Network => name("lognormal"),
        Setting::Rule => name("dtp"),
        Setting::Activation => name("sigmoid"),
        Setting::ParametersAs => name("dn"),
        Setting::DecoderOrder => name("before"),
        Setting::DecoderActivation => name("linear"),
        Setting::PcSolver => name("error"),
        Setting::Optimizer => name("sgd"),
        Setting::DownsampleAfter => Value::Integers(vec![1, 3, 7]),
        Setting::SkipInput | Setting::Nesterov => Value::Flag(true),
        Setting::Seed | Setting::SkipSeed => Value::Integer(i64::MAX as u64),
        Setting::MaxUpdates => Value::Integer(1 << 53),
        Setting::Fold => Value::Integer(9),
        _ if setting.domain().is_real() => Value::Real(f64::from(f32::MIN_POSITIVE).mul_add(3.0, 0.1 + 0.2)),
        _ => Value::Integer(17),
    }
}

/// Results that together have a value in every column, and none in every column that may lack one.
fn results() -> Vec<ResultView> {
    let mut full = completed("dtp", "dn", 5, 0.1 + 0.2, 1.0 / 3.0);
    full.point = settings().into_iter().map(|setting| (setting, value_of(setting))).collect();
    full.worker_name = "עובד-".to_owned() + &"ש".repeat(122) + "\"\n";
    full.reused_from = Some("00000000-0000-0000-0000-000000000001/5 (deleted)".parse().expect("a trial"));
    full.seconds = f64::MIN_POSITIVE;
    let mut bare = ended("bp", "nn", 1, TrialStatus::Failed);
    bare.point.retain(|setting, _| setting.is_required());
    (bare.environment, bare.dataset_size) = (None, None);
    let empty_list =
        with(ended("bp", "convnet", 4, TrialStatus::Diverged), &[("downsample_after", Value::Integers(vec![]))]);
    let mut all =
        vec![full, bare, empty_list, completed("fa", "nn", 2, 0.0, -0.0), ended("fa", "nn", 3, TrialStatus::Diverged)];
    for (trial, result) in (0..).zip(&mut all) {
        result.trial = TrialIndex(trial * 1_000);
        if let Some(environment) = &mut result.environment {
            // A file has only the class of an environment.
            Arc::make_mut(environment).processor.clear();
        }
    }
    all
}

#[test]
fn the_sample_results_have_and_lack_every_column_that_can_be_lacking() {
    let text = String::from_utf8(written(Format::Jsonl, &results())).expect("text");
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for column in results_columns() {
        let nulls = rows.iter().filter(|row| row[column.name].is_null()).count();
        assert!(nulls < rows.len(), "no row has {}", column.name);
        let may_lack = column.is_optional && !Setting::from_name(column.name).is_some_and(Setting::is_required);
        assert_eq!(nulls > 0, may_lack, "{}", column.name);
    }
}

#[test]
fn results_are_equal_after_a_round_trip() {
    for format in FORMATS {
        let found = read(written(format, &results())).expect("its own file");
        assert_eq!(found, results(), "{format}");
        let bits = |results: &[ResultView]| -> Vec<u64> {
            results.iter().filter_map(|result| Some(result.score?.test_accuracy.to_bits())).collect()
        };
        assert_eq!(bits(&found), bits(&results()), "{format}: the sign of zero counts");
        assert_eq!(read(written(format, &[])), Ok(Vec::new()), "{format}: a sweep without results");
    }
}

#[test]
fn a_second_export_of_what_was_read_is_equal_to_the_last_byte() {
    for format in FORMATS {
        let first = written(format, &results());
        assert_eq!(written(format, &read(first.clone()).expect("its own file")), first, "{format}");
    }
}

/// The error for a file in which the first row has another value.
fn error_with(column: &str, value: serde_json::Value) -> String {
    let text = String::from_utf8(written(Format::Jsonl, &results()[..2])).expect("text");
    let (first, rest) = text.split_once('\n').expect("two rows");
    let mut row: serde_json::Value = serde_json::from_str(first).expect("JSON");
    row[column] = value;
    read(format!("{rest}{row}\n").into_bytes()).expect_err(column).to_string()
}

#[test]
fn an_invalid_value_is_refused_with_its_column_and_row() {
    let cases: [(&str, serde_json::Value, &str); 17] = [
        ("trial", (-1).into(), "-1 is not a whole number of at least 0"),
        ("trial", serde_json::Value::Null, "null is not a value"),
        ("key", "abc".into(), "`abc` is not 64 hexadecimal digits"),
        ("status", "done".into(), "`done` is not one of completed, diverged, failed"),
        ("rule", "magic".into(), "`magic` is not one of "),
        ("rule", 1.into(), "1 is not a text"),
        ("depth", 0.into(), "`0` is not a whole number from 1 to 1000"),
        ("network", serde_json::Value::Null, "null is not a value"),
        ("downsample_after", vec![2, 1].into(), "is not a list of layer numbers"),
        ("skip_input", "yes".into(), "\"yes\" is not true or false"),
        ("test_accuracy", serde_json::Value::Null, "no number is not that of a completed trial"),
        ("test_accuracy", 7.0.into(), "7 is not a fraction from 0 to 1"),
        ("validation_accuracy", (-0.5).into(), "-0.5 is not a fraction from 0 to 1"),
        ("test_images", 0.into(), "0 is not a whole number of at least 1"),
        ("attempts", (1_u64 << 32).into(), "4294967296 is not below 2^32"),
        ("libtorch", serde_json::Value::Null, "null is not a value as in the columns beside it"),
        ("reused_from", "nowhere".into(), "`nowhere` is not valid: "),
    ];
    for (column, value, expected) in cases {
        let error = error_with(column, value);
        assert!(error.starts_with(&format!("column `{column}`, row 2: ")), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("; correct the value, or export the sweep again"), "{error}");
    }
    let error = error_with("status", "diverged".into());
    assert!(error.contains("column `validation_accuracy`, row 2: ") && error.contains("a diverged trial"), "{error}");
}

#[test]
fn a_missing_and_an_unknown_column_are_refused() {
    assert_eq!(
        error_with("beta", 1.into()),
        "row 2 has a column `beta` that results do not have; remove it, or read the file with its version"
    );
    let text = String::from_utf8(written(Format::Jsonl, &results()[1..2])).expect("text");
    let error = read(text.replace("\"depth\":1,", "").into_bytes()).expect_err("missing").to_string();
    assert_eq!(error, "row 1 has no column `depth`; export the results again with this version");
}

#[test]
fn an_export_of_an_earlier_version_has_the_defaults_of_later_settings() {
    let results = vec![completed("fa", "nn", 2, 0.5, 0.5), completed("bp", "dn", 2, 0.5, 0.5)];
    let text = String::from_utf8(written(Format::Jsonl, &results)).expect("text");
    let earlier = text.lines().map(|line| {
        let mut row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).expect("JSON");
        row.retain(|name, _| !Setting::from_name(name).is_some_and(Setting::is_later));
        serde_json::Value::Object(row).to_string() + "\n"
    });
    assert_eq!(read(earlier.collect::<String>().into_bytes()), read(text.clone().into_bytes()));
    assert_eq!(results[0].point[&Setting::FeedbackScale], Value::Real(1.0));
    let committed = include_bytes!("../../../../docs/results/paper-figures/fold-0.parquet");
    let found = file(committed.to_vec()).expect("readable");
    assert!(!found.results.is_empty());
}

#[test]
fn other_and_damaged_files_are_refused() {
    let csv = read(written(Format::Csv, &results())).expect_err("CSV").to_string();
    assert!(csv.starts_with("row 1 is not a JSON object: "), "{csv}");
    assert!(csv.ends_with("only files of --format jsonl and --format parquet can be read"), "{csv}");
    let whole = written(Format::Parquet, &results());
    for length in [4, 20, whole.len() / 2, whole.len() - 1] {
        let error = read(whole[..length].to_vec()).expect_err("damaged").to_string();
        assert!(error.starts_with("the Parquet file cannot be read: "), "{error}");
    }
}

#[test]
fn a_parquet_file_has_the_spec_with_its_extensions_and_jsonl_has_none() {
    let (sweep, spec) = (sweep("s"), spec());
    for (format, expected) in [(Format::Parquet, Some(spec.clone())), (Format::Jsonl, None)] {
        let provenance = Provenance { sweep: &sweep, spec: Some(&spec), version: "1.2.3" };
        let mut out = Vec::new();
        Results::new(format, &provenance, &mut out).and_then(Results::finish).expect("memory");
        assert_eq!(file(out).expect("its own file").spec, expected, "{format}");
    }
    assert_eq!(file(written(Format::Parquet, &results())).expect("its own file").spec, None, "without a spec");
}
