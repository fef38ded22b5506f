//! The columns and the text formats.

use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::{CurveView, ResultView};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use biosweep_common::vocabulary::ids::{TrajectoryIndex, TrialIndex};

use super::*;
use crate::samples::{completed, ended, sweep, with};

fn provenance(sweep: &SweepView) -> Provenance<'_> {
    Provenance { sweep, spec: None, version: "1.2.3" }
}

fn written(format: Format, results: &[ResultView]) -> String {
    let mut out = Vec::new();
    let mut export = Results::new(format, &provenance(&sweep("a sweep")), &mut out).expect("memory");
    results.iter().for_each(|result| export.write(result).expect("memory"));
    export.finish().expect("memory");
    String::from_utf8(out).expect("text")
}

fn two_results() -> [ResultView; 2] {
    let mut first = with(completed("dtp", "dn", 5, 0.1 + 0.2, 1.0 / 3.0), &[("weight_decay", Value::Real(1e-5))]);
    first.worker_name = "a \"fast\", small host/1".to_owned();
    let mut second = ended("bp", "nn", 5, TrialStatus::Diverged);
    second.trial = TrialIndex(1);
    [first, second]
}

#[test]
fn a_name_in_csv_is_no_formula_of_a_spreadsheet() {
    let mut result = completed("bp", "nn", 5, -0.5, 0.25);
    result.worker_name = "=HYPERLINK(\"http://example.org\")".to_owned();
    let text = written(Format::Csv, &[result]);
    assert!(text.contains(",\"'=HYPERLINK(\"\"http://example.org\"\")\","), "{text}");
    assert!(text.contains(",-0.5,"), "numbers stay numbers: {text}");
    assert_eq!(["a=b", "+1", "@x", ""].map(|text| cell(text.to_owned())), ["a=b", "'+1", "'@x", ""]);
}

#[test]
fn csv_has_the_documented_columns_and_empty_fields_for_settings_that_do_not_apply() {
    let text = written(Format::Csv, &two_results());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "trial,key,status,dataset,network,rule,activation,depth,hidden,parameters_as,channel_multiplier,downsample_after,\
         skip_input,skip_density,skip_decay,skip_seed,decoder_steps,decoder_order,decoder_activation,pc_solver,inference_steps,batch_size,optimizer,eval_every,\
         learning_rate,weight_decay,momentum,nesterov,target_step,noise_std,decoder_learning_rate,feedback_alignment,feedback_scale,\
         inference_rate,fold,seed,\
         early_stop_start,early_stop_patience,max_updates,validation_accuracy,test_accuracy,best_update,updates,\
         attempts,worker,seconds,reused_from,device,cpu_class,libtorch,\
         classes,train_images,validation_images,test_images"
    );
    let key = "ab".repeat(32);
    assert_eq!(
        lines[1],
        format!(
            "0,{key},completed,mnist,dn,dtp,relu,5,128,,,,false,,,,1,same,same,,,128,adam,390,0.001,0.00001,,,0.1,0.1,0.001,,,,0,0,,,3900,\
             0.30000000000000004,0.3333333333333333,3510,3900,1,\"a \"\"fast\"\", small host/1\",12.5,,cpu,avx2,2.11.0,10,50000,10000,10000"
        )
    );
    assert_eq!(
        lines[2],
        format!(
            "1,{key},diverged,mnist,nn,bp,relu,5,128,,,,,,,,,,,,,128,adam,390,0.001,{},,,,,,,,,0,0,,,3900,,,,3900,1,host/1,12.5,,cpu,avx2,2.11.0,10,50000,10000,10000",
            two_results()[1].point[&Setting::WeightDecay].to_string().replace("1e-5", "0.00001")
        )
    );
}

#[test]
fn jsonl_has_the_same_columns_with_null_for_settings_that_do_not_apply() {
    let text = written(Format::Jsonl, &two_results());
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let header = written(Format::Csv, &[]);
    for row in &rows {
        let object = row.as_object().expect("an object");
        assert!(header.trim_end().split(',').all(|column| object.contains_key(column)), "{row}");
        assert_eq!(object.len(), header.split(',').count());
    }
    assert_eq!(rows[0]["rule"], "dtp");
    assert_eq!(rows[0]["weight_decay"].as_f64(), Some(1e-5));
    assert_eq!(rows[0]["validation_accuracy"].as_f64(), Some(0.1 + 0.2));
    assert_eq!(rows[1]["test_accuracy"], serde_json::Value::Null);
    assert!(text.starts_with("{\"trial\":0,\"key\":\""), "columns keep their order: {text}");
    assert_eq!(written(Format::Jsonl, &[]), "");
}

#[test]
fn every_real_number_reads_back_exactly() {
    for number in [0.1 + 0.2, 1.0 / 3.0, f64::MIN_POSITIVE, 1e-5, 0.9771, f64::MAX] {
        let text = written(Format::Csv, &[completed("bp", "nn", 5, number, number)]);
        let field = text.lines().nth(1).expect("a row").split(',').nth(39).expect("a field");
        assert!(field.len() < 25, "no long row of zeros: {field}");
        assert_eq!(field.parse::<f64>().map(f64::to_bits), Ok(number.to_bits()));
        let text = written(Format::Jsonl, &[completed("bp", "nn", 5, number, number)]);
        let row: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(text.contains(&format!("\"test_accuracy\":{}", row["test_accuracy"])));
    }
}

#[test]
fn curves_have_one_row_per_evaluation_and_diagnostics_one_row_per_value() {
    let point =
        |update, test_accuracy| CurvePoint { update, train_loss: f64::NAN, validation_accuracy: 0.5, test_accuracy };
    let curve = CurveView {
        trajectory: TrajectoryIndex(3),
        first_trial: TrialIndex(15),
        point: ended("bp", "nn", 5, TrialStatus::Diverged).point,
        points: vec![point(390, Some(0.4)), point(780, None)],
        diagnostics: vec![DiagnosticPoint { update: 390, layer: 6, measure: Measure::UpdateAngle, value: 61.5 }],
    };
    let written = |format| {
        let mut out = Vec::new();
        let mut export = Curves::new(format, &provenance(&sweep("a sweep")), &mut out).expect("memory");
        export.write(&curve).expect("memory");
        export.finish().expect("memory");
        String::from_utf8(out).expect("text")
    };
    assert_eq!(
        written(Format::Csv),
        "trial,trajectory,update,train_loss,validation_accuracy,test_accuracy\n15,3,390,NaN,0.5,0.4\n15,3,780,NaN,0.5,\n"
    );
    let mut out = Vec::new();
    let mut export = Diagnostics::new(Format::Csv, &provenance(&sweep("a sweep")), &mut out).expect("memory");
    export.write(&curve).expect("memory");
    export.finish().expect("memory");
    assert_eq!(out, b"trial,trajectory,update,layer,measure,value\n15,3,390,6,update_angle,61.5\n");
    assert_eq!(
        written(Format::Jsonl).lines().nth(1),
        Some(
            "{\"trial\":15,\"trajectory\":3,\"update\":780,\"train_loss\":null,\"validation_accuracy\":0.5,\
             \"test_accuracy\":null}"
        )
    );
}
