//! A result from the fields of a row.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use biosweep_common::configuration::{Point, TrialKey};
use biosweep_common::results::curve::Score;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::ResultView;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::ids::TrialIndex;
use biosweep_common::workers::environment::NumericEnvironment;

use super::error::ImportError;
use crate::export::column::{Column, Field, Kind};
use crate::export::rows::settings;

/// Hexadecimal digits of a trial's key.
const KEY_DIGITS: usize = 64;

/// The columns of results.
pub(super) struct Columns {
    list: Vec<Column>,
    places: BTreeMap<&'static str, usize>,
    settings: Vec<Setting>,
}

impl Columns {
    pub(super) fn new(list: Vec<Column>) -> Self {
        let places = list.iter().enumerate().map(|(place, column)| (column.name, place)).collect();
        Self { list, places, settings: settings() }
    }

    /// The columns in order.
    pub(super) fn list(&self) -> &[Column] {
        &self.list
    }

    /// The result of a row with one field for each column.
    pub(super) fn result(&self, fields: Vec<Field>, number: u64) -> Result<ResultView, ImportError> {
        let row = Row { columns: self, fields, number };
        let status = row.status()?;
        let updates = row.integer("updates")?;
        Ok(ResultView {
            trial: TrialIndex(row.integer("trial")?),
            key: row.key()?,
            status,
            point: row.point()?,
            score: row.score(status, updates)?,
            updates,
            attempts: row.needed("attempts", row.count("attempts")?)?,
            worker_name: row.needed("worker", row.text("worker"))?.to_owned(),
            seconds: row.needed("seconds", row.real("seconds"))?,
            reused_from: row.text("reused_from").map(|text| row.parsed("reused_from", text)).transpose()?,
            environment: row.environment()?,
            dataset_size: row.dataset_size()?,
        })
    }
}

impl Column {
    /// Whether a file may lack the column: that of a setting that earlier versions did not have.
    pub(super) fn may_be_missing(&self) -> bool {
        Setting::from_name(self.name).is_some_and(Setting::is_later)
    }

    /// The error for a value that is not of the type of this column.
    pub(super) fn unfit(&self, row: u64, found: impl Display) -> ImportError {
        let expected = match self.kind {
            Kind::Text => "a text",
            Kind::Integer => "a whole number of at least 0",
            Kind::Real => "a real number",
            Kind::Integers => "a list of whole numbers of at least 0",
            Kind::Flag => "true or false",
        };
        invalid(self.name, row, found, expected)
    }
}

fn invalid(column: &str, row: u64, found: impl Display, expected: impl Display) -> ImportError {
    let (found, expected) = (found.to_string(), expected.to_string());
    ImportError::Value { column: column.to_owned(), row, found, expected }
}

/// A row. Its fields are of the types of their columns, or absent.
struct Row<'a> {
    columns: &'a Columns,
    fields: Vec<Field>,
    number: u64,
}

impl Row<'_> {
    fn field(&self, column: &str) -> &Field {
        self.columns.places.get(column).and_then(|&place| self.fields.get(place)).unwrap_or(&Field::Absent)
    }

    fn text(&self, column: &str) -> Option<&str> {
        match self.field(column) {
            Field::Text(text) => Some(text),
            _ => None,
        }
    }

    fn real(&self, column: &str) -> Option<f64> {
        match *self.field(column) {
            Field::Real(number) => Some(number),
            _ => None,
        }
    }

    fn optional_integer(&self, column: &str) -> Option<u64> {
        match *self.field(column) {
            Field::Integer(number) => Some(number),
            _ => None,
        }
    }

    fn integer(&self, column: &str) -> Result<u64, ImportError> {
        self.needed(column, self.optional_integer(column))
    }

    fn count(&self, column: &str) -> Result<Option<u32>, ImportError> {
        let count = |number| u32::try_from(number).map_err(|_| self.invalid(column, number, "below 2^32"));
        self.optional_integer(column).map(count).transpose()
    }

    /// The value, which must not be absent.
    fn needed<T>(&self, column: &str, value: Option<T>) -> Result<T, ImportError> {
        value.ok_or_else(|| self.invalid(column, "null", "a value"))
    }

    fn parsed<T: FromStr<Err: Display>>(&self, column: &str, text: &str) -> Result<T, ImportError> {
        text.parse()
            .map_err(|error: T::Err| self.invalid(column, format_args!("`{text}`"), format_args!("valid: {error}")))
    }

    fn invalid(&self, column: &str, found: impl Display, expected: impl Display) -> ImportError {
        invalid(column, self.number, found, expected)
    }

    fn status(&self) -> Result<TrialStatus, ImportError> {
        let name = self.needed("status", self.text("status"))?;
        let names = || TrialStatus::ALL.map(TrialStatus::name).join(", ");
        TrialStatus::from_name(name)
            .ok_or_else(|| self.invalid("status", format_args!("`{name}`"), format_args!("one of {}", names())))
    }

    fn key(&self) -> Result<TrialKey, ImportError> {
        let digits = self.needed("key", self.text("key"))?;
        let key = if digits.len() == KEY_DIGITS { TrialKey::beginning_with(digits) } else { None };
        let (key, _) = key.ok_or_else(|| {
            self.invalid("key", format_args!("`{digits}`"), format_args!("{KEY_DIGITS} hexadecimal digits"))
        })?;
        Ok(key)
    }

    /// The settings that apply to the trial.
    fn point(&self) -> Result<Point, ImportError> {
        let mut point = Point::new();
        for &setting in &self.columns.settings {
            let name = setting.name();
            let value = match self.field(name) {
                Field::Absent | Field::Diverged if setting.is_required() => self.needed(name, None)?,
                Field::Absent | Field::Diverged => continue,
                Field::Text(text) => Value::Name(text.clone().into()),
                Field::Integer(number) => Value::Integer(*number),
                Field::Real(number) => Value::Real(*number),
                Field::Integers(numbers) => Value::Integers(numbers.clone()),
                Field::Flag(flag) => Value::Flag(*flag),
            };
            let domain = setting.domain();
            if !domain.contained(&value) {
                return Err(self.invalid(name, format_args!("`{value}`"), domain));
            }
            point.insert(setting, value);
        }
        self.add_implied(&mut point);
        Ok(point)
    }

    /// Adds the defaults of settings that earlier versions did not have, where they apply.
    fn add_implied(&self, point: &mut Point) {
        for &setting in self.columns.settings.iter().filter(|setting| setting.is_later()) {
            let applies = |point: &Point| setting.applies(|other| point.get(&other));
            if let Some(default) = setting.default_value()
                && !point.contains_key(&setting)
                && applies(point)
            {
                point.insert(setting, default);
            }
        }
    }

    /// The score: all of it for a completed trial, nothing for others, whose accuracies are null or NaN.
    fn score(&self, status: TrialStatus, updates: u64) -> Result<Option<Score>, ImportError> {
        const ACCURACIES: [&str; 2] = ["validation_accuracy", "test_accuracy"];
        let [validation_accuracy, test_accuracy] = ACCURACIES.map(|column| {
            let number = self.real(column).filter(|number| !number.is_nan());
            match (status, number) {
                (TrialStatus::Completed, None) => Err(self.invalid(column, "no number", "that of a completed trial")),
                (TrialStatus::Completed, Some(number)) if (0.0..=1.0).contains(&number) => Ok(number),
                (TrialStatus::Completed, Some(number)) => Err(self.invalid(column, number, "a fraction from 0 to 1")),
                (_, Some(number)) => {
                    Err(self.invalid(column, number, format_args!("that of a {} trial", status.name())))
                }
                (_, None) => Ok(f64::NAN),
            }
        });
        let (validation_accuracy, test_accuracy) = (validation_accuracy?, test_accuracy?);
        if status != TrialStatus::Completed {
            return Ok(None);
        }
        Ok(Some(Score { validation_accuracy, test_accuracy, best_update: self.integer("best_update")?, updates }))
    }

    fn environment(&self) -> Result<Option<Arc<NumericEnvironment>>, ImportError> {
        let columns = ["device", "cpu_class", "libtorch"];
        let texts = self.all_or_none(columns, |column| Ok(self.text(column).map(str::to_owned)))?;
        Ok(texts.map(|[device, instructions, libtorch]| {
            Arc::new(NumericEnvironment { device, instructions, libtorch, ..NumericEnvironment::default() })
        }))
    }

    fn dataset_size(&self) -> Result<Option<DatasetSize>, ImportError> {
        let columns = ["classes", "train_images", "validation_images", "test_images"];
        let positive = |column: &str| match self.count(column)? {
            Some(0) => Err(self.invalid(column, 0, "a whole number of at least 1")),
            count => Ok(count),
        };
        let counts = self.all_or_none(columns, positive)?;
        Ok(counts.map(|[classes, train_images, validation_images, test_images]| DatasetSize {
            classes,
            train_images,
            validation_images,
            test_images,
        }))
    }

    /// The values of columns that are all present or all absent.
    fn all_or_none<T, const N: usize>(
        &self,
        columns: [&str; N],
        value: impl Fn(&str) -> Result<Option<T>, ImportError>,
    ) -> Result<Option<[T; N]>, ImportError> {
        let mut present = Vec::new();
        let mut absent = None;
        for column in columns {
            match value(column)? {
                Some(value) => present.push(value),
                None => absent = Some(column),
            }
        }
        match absent {
            Some(column) if !present.is_empty() => {
                Err(self.invalid(column, "null", "a value as in the columns beside it"))
            }
            _ => Ok(present.try_into().ok()),
        }
    }
}
