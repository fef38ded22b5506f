//! Results and curves as files: the columns and the formats.
//!
//! A new format needs one new file with a `Sink`, one line in [`Format`] and one in `Format::sink`.

mod csv;
mod jsonl;

use std::io::{self, Write};

use biosweep_common::names;
use biosweep_common::results::views::{CurveView, ResultView};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::Network;
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::workers::environment::EnvironmentClass;

names! {
    /// The format of an export.
    Format("format") {
        /// Comma-separated values with a header (RFC 4180).
        Csv = "csv",
        /// One JSON object per line.
        Jsonl = "jsonl",
    }
}

impl Format {
    fn sink<'a>(self, out: impl Write + Send + 'a) -> Box<dyn Sink + 'a> {
        match self {
            Self::Csv => Box::new(csv::Csv::new(out)),
            Self::Jsonl => Box::new(jsonl::Jsonl::new(out)),
        }
    }
}

/// One value of a row. Real numbers keep full precision in every format.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Absent,
    Text(String),
    Integer(u64),
    Real(f64),
    Integers(Vec<u64>),
    Flag(bool),
}

/// The destination of rows. Every row has one field for each column.
trait Sink: Send {
    fn columns(&mut self, names: Vec<&'static str>) -> io::Result<()>;
    fn row(&mut self, fields: Vec<Field>) -> io::Result<()>;
    fn finish(&mut self) -> io::Result<()>;
}

/// Writes results, row by row. The columns are the same for every sweep: `trial`, `key`, `status`, every setting that
/// applies to some network (empty, or null, if it does not apply to the trial), and the result.
pub struct Results<'a> {
    sink: Box<dyn Sink + 'a>,
    settings: Vec<Setting>,
}

impl<'a> Results<'a> {
    /// Starts an export. A sweep without results gives only a header (or, in JSON Lines, nothing).
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn new(format: Format, out: impl Write + Send + 'a) -> io::Result<Self> {
        let mut sink = format.sink(out);
        let settings = settings();
        let mut columns = vec!["trial", "key", "status"];
        columns.extend(settings.iter().map(|setting| setting.name()));
        columns.extend(["validation_accuracy", "test_accuracy", "best_update"]);
        columns.extend(["updates", "attempts", "worker", "seconds", "reused_from", "device", "cpu_class", "libtorch"]);
        columns.extend(["classes", "train_images", "validation_images", "test_images"]);
        sink.columns(columns)?;
        Ok(Self { sink, settings })
    }

    /// Writes one result.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&mut self, result: &ResultView) -> io::Result<()> {
        let score = result.score;
        let mut fields = vec![
            Field::Integer(result.trial.0),
            Field::Text(result.key.to_string()),
            Field::Text(result.status.name().to_owned()),
        ];
        fields.extend(self.settings.iter().map(|setting| result.point.get(setting).into()));
        fields.extend([
            score.map(|score| score.validation_accuracy).into(),
            score.map(|score| score.test_accuracy).into(),
            score.map_or(Field::Absent, |score| Field::Integer(score.best_update)),
            Field::Integer(result.updates),
            Field::Integer(result.attempts.into()),
            Field::Text(result.worker_name.clone()),
            Field::Real(result.seconds),
            result.reused_from.map_or(Field::Absent, |from| Field::Text(from.to_string())),
        ]);
        let class = result.environment.as_ref().map(|environment| environment.class());
        let of_class = |part: fn(EnvironmentClass<'_>) -> &str| {
            class.map_or(Field::Absent, |class| Field::Text(part(class).to_owned()))
        };
        fields.extend([
            of_class(|class| class.device),
            of_class(|class| class.instructions),
            of_class(|class| class.libtorch),
        ]);
        let of_dataset = |count: fn(DatasetSize) -> u32| {
            result.dataset_size.map_or(Field::Absent, |size| Field::Integer(count(size).into()))
        };
        fields.extend([
            of_dataset(|size| size.classes),
            of_dataset(|size| size.train_images),
            of_dataset(|size| size.validation_images),
            of_dataset(|size| size.test_images),
        ]);
        self.sink.row(fields)
    }

    /// Writes everything that is still buffered.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.sink.finish()
    }
}

/// Writes learning curves, one row per evaluation: `trial` (the first of the trajectory), `trajectory`, `update`,
/// `train_loss`, `validation_accuracy`, `test_accuracy` (if it was measured).
pub struct Curves<'a> {
    sink: Box<dyn Sink + 'a>,
}

impl<'a> Curves<'a> {
    /// Starts an export.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn new(format: Format, out: impl Write + Send + 'a) -> io::Result<Self> {
        let mut sink = format.sink(out);
        sink.columns(vec!["trial", "trajectory", "update", "train_loss", "validation_accuracy", "test_accuracy"])?;
        Ok(Self { sink })
    }

    /// Writes one curve.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&mut self, curve: &CurveView) -> io::Result<()> {
        for point in &curve.points {
            self.sink.row(vec![
                Field::Integer(curve.first_trial.0),
                Field::Integer(curve.trajectory.0),
                Field::Integer(point.update),
                Field::Real(point.train_loss),
                Field::Real(point.validation_accuracy),
                point.test_accuracy.into(),
            ])?;
        }
        Ok(())
    }

    /// Writes everything that is still buffered.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.sink.finish()
    }
}

/// Writes layer diagnostics, one row per value: `trial` (the first of the trajectory), `trajectory`, `update`, `layer`,
/// `measure`, `value`.
pub struct Diagnostics<'a> {
    sink: Box<dyn Sink + 'a>,
}

impl<'a> Diagnostics<'a> {
    /// Starts an export.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn new(format: Format, out: impl Write + Send + 'a) -> io::Result<Self> {
        let mut sink = format.sink(out);
        sink.columns(vec!["trial", "trajectory", "update", "layer", "measure", "value"])?;
        Ok(Self { sink })
    }

    /// Writes the diagnostics of one curve.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&mut self, curve: &CurveView) -> io::Result<()> {
        for point in &curve.diagnostics {
            self.sink.row(vec![
                Field::Integer(curve.first_trial.0),
                Field::Integer(curve.trajectory.0),
                Field::Integer(point.update),
                Field::Integer(point.layer.into()),
                Field::Text(point.measure.name().to_owned()),
                Field::Real(point.value),
            ])?;
        }
        Ok(())
    }

    /// Writes everything that is still buffered.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.sink.finish()
    }
}

/// The settings that apply to some network.
fn settings() -> Vec<Setting> {
    let some_network_uses = |setting: &Setting| match setting.condition() {
        Some(condition) if condition.on == Setting::Network => {
            Network::NAMES.iter().any(|&name| (condition.holds)(Some(&Value::Name(name.into()))))
        }
        _ => true,
    };
    Setting::ALL.iter().copied().filter(some_network_uses).collect()
}

impl From<Option<&Value>> for Field {
    fn from(value: Option<&Value>) -> Self {
        match value {
            None => Self::Absent,
            Some(Value::Name(name)) => Self::Text(name.clone().into_owned()),
            Some(&Value::Integer(number)) => Self::Integer(number),
            Some(&Value::Real(number)) => Self::Real(number),
            Some(Value::Integers(numbers)) => Self::Integers(numbers.clone()),
            Some(&Value::Flag(flag)) => Self::Flag(flag),
        }
    }
}

impl From<Option<f64>> for Field {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Absent, Self::Real)
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::curve::CurvePoint;
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
    use biosweep_common::vocabulary::ids::{TrajectoryIndex, TrialIndex};

    use super::*;
    use crate::samples::{completed, ended, with};

    fn written(format: Format, results: &[ResultView]) -> String {
        let mut out = Vec::new();
        let mut export = Results::new(format, &mut out).expect("memory");
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
    fn csv_has_the_documented_columns_and_empty_fields_for_settings_that_do_not_apply() {
        let text = written(Format::Csv, &two_results());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "trial,key,status,dataset,network,rule,activation,depth,hidden,channel_multiplier,downsample_after,\
             skip_input,skip_density,skip_decay,skip_seed,batch_size,optimizer,eval_every,\
             learning_rate,weight_decay,momentum,nesterov,target_step,noise_std,decoder_learning_rate,fold,seed,\
             early_stop_start,early_stop_patience,max_updates,validation_accuracy,test_accuracy,best_update,updates,\
             attempts,worker,seconds,reused_from,device,cpu_class,libtorch,\
             classes,train_images,validation_images,test_images"
        );
        let key = "ab".repeat(32);
        assert_eq!(
            lines[1],
            format!(
                "0,{key},completed,mnist,dn,dtp,relu,5,128,,,false,,,,128,adam,390,0.001,0.00001,,,0.1,0.1,0.001,0,0,,,3900,\
                 0.30000000000000004,0.3333333333333333,3510,3900,1,\"a \"\"fast\"\", small host/1\",12.5,,cpu,avx2,2.11.0,10,50000,10000,10000"
            )
        );
        assert_eq!(
            lines[2],
            format!(
                "1,{key},diverged,mnist,nn,bp,relu,5,128,,,,,,,128,adam,390,0.001,{},,,,,,0,0,,,3900,,,,3900,1,host/1,12.5,,cpu,avx2,2.11.0,10,50000,10000,10000",
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
            let field = text.lines().nth(1).expect("a row").split(',').nth(30).expect("a field");
            assert!(field.len() < 25, "no long row of zeros: {field}");
            assert_eq!(field.parse::<f64>().map(f64::to_bits), Ok(number.to_bits()));
            let text = written(Format::Jsonl, &[completed("bp", "nn", 5, number, number)]);
            let row: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert!(text.contains(&format!("\"test_accuracy\":{}", row["test_accuracy"])));
        }
    }

    #[test]
    fn curves_have_one_row_per_evaluation_and_diagnostics_one_row_per_value() {
        let point = |update, test_accuracy| CurvePoint {
            update,
            train_loss: f64::NAN,
            validation_accuracy: 0.5,
            test_accuracy,
        };
        let curve = CurveView {
            trajectory: TrajectoryIndex(3),
            first_trial: TrialIndex(15),
            point: ended("bp", "nn", 5, TrialStatus::Diverged).point,
            points: vec![point(390, Some(0.4)), point(780, None)],
            diagnostics: vec![DiagnosticPoint { update: 390, layer: 6, measure: Measure::UpdateAngle, value: 61.5 }],
        };
        let written = |format| {
            let mut out = Vec::new();
            let mut export = Curves::new(format, &mut out).expect("memory");
            export.write(&curve).expect("memory");
            export.finish().expect("memory");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(
            written(Format::Csv),
            "trial,trajectory,update,train_loss,validation_accuracy,test_accuracy\n15,3,390,NaN,0.5,0.4\n15,3,780,NaN,0.5,\n"
        );
        let mut out = Vec::new();
        let mut export = Diagnostics::new(Format::Csv, &mut out).expect("memory");
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
}
