//! pandas, polars and DuckDB read a Parquet file and find the values of the JSON Lines, to the last bit.

use std::fs::File;
use std::path::Path;

use biosweep_analysis::export::{Curves, Diagnostics, Format, Provenance, Results};
use biosweep_analysis::samples;
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::{CurveView, ResultView, SpecView, SweepView};
use biosweep_common::settings::Value;
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use biosweep_tests::readers;

const SCRIPT: &str = include_str!("rows.py");

/// The readers that the script compares.
const READERS: usize = 3;

fn results() -> Vec<ResultView> {
    let lists = [vec![], vec![1], vec![1, 2, 5]].map(|layers| ("downsample_after", Value::Integers(layers)));
    let mut all = samples::paper(10);
    all.extend(
        lists.map(|list| samples::with(samples::completed("bp", "convnet", 6, f64::MIN_POSITIVE, 1.0 / 3.0), &[list])),
    );
    all.push(samples::ended("dtp", "dn", 5, TrialStatus::Diverged));
    all.push(samples::ended("fa", "lognormal", 5, TrialStatus::Failed));
    let mut unknown = samples::completed("bp", "nn", 1, 0.1 + 0.2, -0.0);
    (unknown.environment, unknown.dataset_size) = (None, None);
    unknown.worker_name = "עובד ".repeat(25) + "\"\n";
    all.push(unknown);
    all
}

fn curves() -> Vec<CurveView> {
    let mut curves = samples::curves(&samples::paper(3));
    let diverged =
        CurvePoint { update: 390, train_loss: f64::NAN, validation_accuracy: f64::NAN, test_accuracy: Some(0.1) };
    curves[0].points.push(diverged);
    curves[1].diagnostics =
        vec![DiagnosticPoint { update: 390, layer: 2, measure: Measure::UpdateAngle, value: 61.5 }; 3];
    curves[2].diagnostics =
        vec![DiagnosticPoint { update: 780, layer: 1, measure: Measure::UpdateAngle, value: f64::NAN }];
    curves
}

/// Writes two files of the same rows and has the readers compare them.
fn agree(rows: usize, columns: usize, write: impl Fn(Format, &Provenance<'_>, File)) {
    let Some(python) = readers::python() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (sweep, spec): (SweepView, SpecView) = (samples::sweep("שלום"), samples::spec());
    let provenance = Provenance { sweep: &sweep, spec: Some(&spec), version: "1.2.3" };
    let paths = [Format::Parquet, Format::Jsonl].map(|format| {
        let path = folder.path().join(format!("rows.{format}"));
        write(format, &provenance, File::create(&path).expect("a file"));
        path
    });
    let compared = readers::run(&python, SCRIPT, &paths.each_ref().map(Path::new));
    assert_eq!(compared.trim(), (READERS * rows * columns).to_string(), "every value of every row was compared");
}

#[test]
fn results_in_parquet_agree_with_json_lines() {
    agree(results().len(), 54, |format, provenance, file| {
        let mut export = Results::new(format, provenance, file).expect("a disk");
        results().iter().for_each(|result| export.write(result).expect("a disk"));
        export.finish().expect("a disk");
    });
}

#[test]
fn curves_in_parquet_agree_with_json_lines() {
    let rows = curves().iter().map(|curve| curve.points.len()).sum();
    agree(rows, 6, |format, provenance, file| {
        let mut export = Curves::new(format, provenance, file).expect("a disk");
        curves().iter().for_each(|curve| export.write(curve).expect("a disk"));
        export.finish().expect("a disk");
    });
}

#[test]
fn diagnostics_in_parquet_agree_with_json_lines() {
    agree(4, 6, |format, provenance, file| {
        let mut export = Diagnostics::new(format, provenance, file).expect("a disk");
        curves().iter().for_each(|curve| export.write(curve).expect("a disk"));
        export.finish().expect("a disk");
    });
}
