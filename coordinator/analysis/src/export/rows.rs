//! The rows of results, curves and diagnostics, and their columns.

use std::io::{self, Write};

use biosweep_common::results::curve::Score;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::{CurveView, ResultView};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::Network;
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::workers::environment::EnvironmentClass;

use super::column::{Column, Field, Kind, Sink};
use super::{Format, Provenance};

/// The columns of results. They are the same for every sweep.
pub(crate) fn results_columns() -> Vec<Column> {
    let mut columns = vec![
        Column::required("trial", Kind::Integer),
        Column::required("key", Kind::Text),
        Column::required("status", Kind::Text),
    ];
    columns.extend(settings().into_iter().map(Column::of));
    columns.extend([
        Column::optional("validation_accuracy", Kind::Real),
        Column::optional("test_accuracy", Kind::Real),
        Column::optional("best_update", Kind::Integer),
        Column::required("updates", Kind::Integer),
        Column::required("attempts", Kind::Integer),
        Column::required("worker", Kind::Text),
        Column::required("seconds", Kind::Real),
        Column::optional("reused_from", Kind::Text),
        Column::optional("device", Kind::Text),
        Column::optional("cpu_class", Kind::Text),
        Column::optional("libtorch", Kind::Text),
    ]);
    let counts = ["classes", "train_images", "validation_images", "test_images"];
    columns.extend(counts.map(|name| Column::optional(name, Kind::Integer)));
    columns
}

/// The columns of learning curves.
fn curves_columns() -> Vec<Column> {
    vec![
        Column::required("trial", Kind::Integer),
        Column::required("trajectory", Kind::Integer),
        Column::required("update", Kind::Integer),
        Column::required("train_loss", Kind::Real),
        Column::required("validation_accuracy", Kind::Real),
        Column::optional("test_accuracy", Kind::Real),
    ]
}

/// The columns of layer diagnostics.
fn diagnostics_columns() -> Vec<Column> {
    vec![
        Column::required("trial", Kind::Integer),
        Column::required("trajectory", Kind::Integer),
        Column::required("update", Kind::Integer),
        Column::required("layer", Kind::Integer),
        Column::required("measure", Kind::Text),
        Column::required("value", Kind::Real),
    ]
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
    pub fn new(format: Format, provenance: &Provenance<'_>, out: impl Write + Send + 'a) -> io::Result<Self> {
        Ok(Self { sink: format.sink(results_columns(), provenance, out)?, settings: settings() })
    }

    /// Writes one result.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&mut self, result: &ResultView) -> io::Result<()> {
        let score = result.score;
        let accuracy = |of: fn(Score) -> f64| match (score, result.status) {
            (Some(score), _) => Field::Real(of(score)),
            (None, TrialStatus::Diverged) => Field::Diverged,
            (None, TrialStatus::Completed | TrialStatus::Failed) => Field::Absent,
        };
        let mut fields = vec![
            Field::Integer(result.trial.0),
            Field::Text(result.key.to_string()),
            Field::Text(result.status.name().to_owned()),
        ];
        fields.extend(self.settings.iter().map(|setting| result.point.get(setting).into()));
        fields.extend([
            accuracy(|score| score.validation_accuracy),
            accuracy(|score| score.test_accuracy),
            score.map_or(Field::Absent, |score| Field::Integer(score.best_update)),
            Field::Integer(result.updates),
            Field::Integer(result.attempts.into()),
            Field::Text(result.worker_name.clone()),
            Field::Real(result.seconds),
            result.reused_from.map(|from| from.to_string()).into(),
        ]);
        let class = result.environment.as_ref().map(|environment| environment.class());
        let of_class = |part: fn(EnvironmentClass<'_>) -> &str| class.map(|class| part(class).to_owned()).into();
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
    pub fn finish(self) -> io::Result<()> {
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
    pub fn new(format: Format, provenance: &Provenance<'_>, out: impl Write + Send + 'a) -> io::Result<Self> {
        Ok(Self { sink: format.sink(curves_columns(), provenance, out)? })
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
    pub fn finish(self) -> io::Result<()> {
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
    pub fn new(format: Format, provenance: &Provenance<'_>, out: impl Write + Send + 'a) -> io::Result<Self> {
        Ok(Self { sink: format.sink(diagnostics_columns(), provenance, out)? })
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
    pub fn finish(self) -> io::Result<()> {
        self.sink.finish()
    }
}

/// The settings that apply to some network.
pub(crate) fn settings() -> Vec<Setting> {
    let some_network_uses = |setting: &Setting| match setting.condition() {
        Some(condition) if condition.on == Setting::Network => {
            Network::NAMES.iter().any(|&name| (condition.holds)(Some(&Value::Name(name.into()))))
        }
        _ => true,
    };
    Setting::ALL.iter().copied().filter(some_network_uses).collect()
}
