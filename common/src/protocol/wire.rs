//! The conversion traits between messages and domain types, and the values that both services use:
//! settings, curve points, diagnostic points, scores.

use std::str::FromStr;
use std::sync::Arc;

use biosweep_proto::v1;

use super::bounds::{self, clean_line, clean_text};
use crate::configuration::Point;
use crate::protocol::error::WireError;
use crate::results::curve::{CurvePoint, Score};
use crate::results::outcome::{Outcome, SweepState, TrialStatus};
use crate::settings::{Setting, Value};
use crate::spec::Format;
use crate::vocabulary::access::role::Role;
use crate::vocabulary::dataset::DatasetSize;
use crate::vocabulary::diagnostics::DiagnosticPoint;
use crate::workers::capability::Capabilities;
use crate::workers::environment::{NumericEnvironment, VARIABLES};

/// Reads a domain type from its message.
pub trait FromWire<Message>: Sized {
    /// Converts a message.
    ///
    /// # Errors
    /// A message with a missing field or an invalid value.
    fn from_wire(message: Message) -> Result<Self, WireError>;
}

/// Writes a domain type as its message.
pub trait IntoWire<Message> {
    /// Converts to a message.
    fn into_wire(self) -> Message;
}

impl<M, D: FromWire<M>> FromWire<Vec<M>> for Vec<D> {
    fn from_wire(messages: Vec<M>) -> Result<Self, WireError> {
        messages.into_iter().map(D::from_wire).collect()
    }
}

impl<M, D: IntoWire<M>> IntoWire<Vec<M>> for Vec<D> {
    fn into_wire(self) -> Vec<M> {
        self.into_iter().map(D::into_wire).collect()
    }
}

/// A field that is required.
pub(super) fn required<T>(part: Option<T>, field: &'static str) -> Result<T, WireError> {
    part.ok_or(WireError::Missing { field })
}

/// A field that has a domain type as text.
pub(super) fn parsed<T: FromStr>(text: &str, field: &'static str) -> Result<T, WireError> {
    text.parse().map_err(|_| WireError::Unreadable { field, value: bounds::shown(text) })
}

/// Converts between two enums with the same variants.
macro_rules! same_variants {
    ($domain:ident = $message:ident { $($variant:ident),+ $(,)? }) => {
        impl IntoWire<i32> for $domain {
            fn into_wire(self) -> i32 {
                match self { $(Self::$variant => v1::$message::$variant as i32,)+ }
            }
        }

        impl Choice for $domain {
            fn of(number: i32) -> Option<Self> {
                match v1::$message::try_from(number) {
                    $(Ok(v1::$message::$variant) => Some(Self::$variant),)+
                    Ok(v1::$message::Unspecified) | Err(_) => None,
                }
            }
        }
    };
}

same_variants!(Outcome = Outcome { Completed, Diverged, Preempted, WorkerLost, Failed, Cancelled });
same_variants!(SweepState = SweepState { Running, Paused, Finished, Cancelled });
same_variants!(TrialStatus = TrialStatus { Completed, Diverged, Failed });
same_variants!(Format = SpecFormat { Toml, Yaml, Json });
same_variants!(Role = Role { Worker, Viewer, Submitter, Operator });

/// An enum of the domain, by its number in messages.
pub(super) trait Choice: Sized {
    /// The variant with this number; `None` if there is none.
    fn of(number: i32) -> Option<Self>;
}

/// A field that is an enum, by its number.
pub(super) fn choice<T: Choice>(number: i32, field: &'static str) -> Result<T, WireError> {
    T::of(number).ok_or_else(|| WireError::Unreadable { field, value: number.to_string() })
}

/// The format of a spec in a request.
///
/// # Errors
/// A number that is not a format.
pub fn spec_format(number: i32) -> Result<Format, WireError> {
    choice(number, "format")
}

/// A field that is an enum, by its name.
pub(super) fn named<T>(name: &str, field: &'static str, read: fn(&str) -> Option<T>) -> Result<T, WireError> {
    read(name).ok_or_else(|| WireError::Unreadable { field, value: bounds::shown(name) })
}

/// A cause as text; empty for none.
pub(super) fn cause_into_wire(cause: Option<String>) -> String {
    bounds::clean_text(cause.unwrap_or_default())
}

/// The cause from its text; `None` if it is empty.
pub(super) fn cause_from_wire(text: String, field: &'static str) -> Result<Option<String>, WireError> {
    let text = bounds::text(text, field)?;
    Ok((!text.is_empty()).then_some(text))
}

/// The capabilities of a worker, in its own messages and in those to users.
pub(super) fn capabilities(device: String, memory_bytes: u64, labels: Vec<String>) -> Result<Capabilities, WireError> {
    let labels = bounds::at_most(labels, bounds::LABELS_MAX, "worker.labels")?;
    let labels = labels.into_iter().map(|label| bounds::line(label, "worker.labels"));
    Ok(Capabilities {
        device: bounds::line(device, "worker.device")?,
        memory_bytes: bounds::number(memory_bytes, "worker.memory_bytes")?,
        labels: labels.collect::<Result<_, _>>()?,
    })
}

impl IntoWire<v1::NumericEnvironment> for Arc<NumericEnvironment> {
    fn into_wire(self) -> v1::NumericEnvironment {
        let NumericEnvironment { device, processor, instructions, libtorch, variables } = Self::unwrap_or_clone(self);
        let variables = variables.into_iter().take(VARIABLES.len());
        v1::NumericEnvironment {
            device: clean_line(device),
            processor: clean_line(processor),
            instructions: clean_line(instructions),
            libtorch: clean_line(libtorch),
            variables: variables.map(|(name, value)| (clean_line(name), clean_text(value))).collect(),
        }
    }
}

impl FromWire<v1::NumericEnvironment> for Arc<NumericEnvironment> {
    fn from_wire(message: v1::NumericEnvironment) -> Result<Self, WireError> {
        let v1::NumericEnvironment { device, processor, instructions, libtorch, variables } = message;
        let variables: Vec<_> = variables.into_iter().collect();
        let variables = bounds::at_most(variables, VARIABLES.len(), "environment.variables")?;
        let variable = |(name, value)| {
            let name = bounds::line(name, "environment.variables")?;
            Ok((name, bounds::text(value, "environment.variables")?))
        };
        Ok(Self::new(NumericEnvironment {
            device: bounds::line(device, "environment.device")?,
            processor: bounds::line(processor, "environment.processor")?,
            instructions: bounds::line(instructions, "environment.instructions")?,
            libtorch: bounds::line(libtorch, "environment.libtorch")?,
            variables: variables.into_iter().map(variable).collect::<Result<_, WireError>>()?,
        }))
    }
}

impl IntoWire<v1::Setting> for (Setting, Value) {
    fn into_wire(self) -> v1::Setting {
        use v1::setting::Value as Wire;
        let (setting, value) = self;
        let value = match value {
            Value::Name(name) => Wire::Text(name.into_owned()),
            Value::Integer(number) => Wire::Integer(number),
            Value::Real(number) => Wire::Real(number),
            Value::Integers(values) => Wire::Integers(v1::IntegerList { values }),
            Value::Flag(flag) => Wire::Flag(flag),
        };
        v1::Setting { name: setting.name().to_owned(), value: Some(value) }
    }
}

impl FromWire<v1::Setting> for (Setting, Value) {
    fn from_wire(message: v1::Setting) -> Result<Self, WireError> {
        use v1::setting::Value as Wire;
        let setting = named(&message.name, "setting.name", Setting::from_name)?;
        let value = match required(message.value, "setting.value")? {
            Wire::Text(name) => Value::Name(bounds::setting(name, "setting.text")?.into()),
            Wire::Integer(number) => Value::Integer(bounds::number(number, "setting.integer")?),
            Wire::Real(number) => Value::Real(bounds::finite(number, "setting.real")?),
            Wire::Integers(list) => {
                let list = bounds::at_most(list.values, bounds::INTEGERS_MAX, "setting.integers")?;
                let number = |number| bounds::number(number, "setting.integers");
                Value::Integers(list.into_iter().map(number).collect::<Result<_, _>>()?)
            }
            Wire::Flag(flag) => Value::Flag(flag),
        };
        Ok((setting, value))
    }
}

impl IntoWire<Vec<v1::Setting>> for Point {
    fn into_wire(self) -> Vec<v1::Setting> {
        self.into_iter().map(IntoWire::into_wire).collect()
    }
}

impl FromWire<Vec<v1::Setting>> for Point {
    fn from_wire(settings: Vec<v1::Setting>) -> Result<Self, WireError> {
        let settings = bounds::at_most(settings, bounds::SETTINGS_MAX, "settings")?;
        settings.into_iter().map(FromWire::from_wire).collect()
    }
}

impl IntoWire<v1::CurvePoint> for CurvePoint {
    fn into_wire(self) -> v1::CurvePoint {
        let Self { update, train_loss, validation_accuracy, test_accuracy } = self;
        v1::CurvePoint { update, train_loss, validation_accuracy, test_accuracy }
    }
}

impl FromWire<v1::CurvePoint> for CurvePoint {
    fn from_wire(message: v1::CurvePoint) -> Result<Self, WireError> {
        let v1::CurvePoint { update, train_loss, validation_accuracy, test_accuracy } = message;
        let test_accuracy = test_accuracy.map(|accuracy| bounds::fraction(accuracy, "point.test_accuracy"));
        Ok(Self {
            update: bounds::number(update, "point.update")?,
            // The loss is finite, because training ends before the next evaluation if it is not.
            train_loss: bounds::finite(train_loss, "point.train_loss")?,
            validation_accuracy: bounds::fraction(validation_accuracy, "point.validation_accuracy")?,
            test_accuracy: test_accuracy.transpose()?,
        })
    }
}

impl IntoWire<v1::DiagnosticPoint> for DiagnosticPoint {
    fn into_wire(self) -> v1::DiagnosticPoint {
        let Self { update, layer, measure, value } = self;
        v1::DiagnosticPoint { update, layer, measure: measure.name().to_owned(), value }
    }
}

impl FromWire<v1::DiagnosticPoint> for DiagnosticPoint {
    fn from_wire(message: v1::DiagnosticPoint) -> Result<Self, WireError> {
        let v1::DiagnosticPoint { update, layer, measure, value } = message;
        Ok(Self {
            update: bounds::number(update, "diagnostics.update")?,
            layer: bounds::layer(layer, "diagnostics.layer")?,
            measure: parsed(&measure, "diagnostics.measure")?,
            value: bounds::finite(value, "diagnostics.value")?,
        })
    }
}

impl IntoWire<v1::DatasetSize> for DatasetSize {
    fn into_wire(self) -> v1::DatasetSize {
        let Self { classes, train_images, validation_images, test_images } = self;
        v1::DatasetSize { classes, train_images, validation_images, test_images }
    }
}

impl FromWire<v1::DatasetSize> for DatasetSize {
    fn from_wire(message: v1::DatasetSize) -> Result<Self, WireError> {
        let v1::DatasetSize { classes, train_images, validation_images, test_images } = message;
        Ok(Self {
            classes: bounds::at_least_one(classes, "dataset_size.classes")?,
            train_images: bounds::at_least_one(train_images, "dataset_size.train_images")?,
            validation_images: bounds::at_least_one(validation_images, "dataset_size.validation_images")?,
            test_images: bounds::at_least_one(test_images, "dataset_size.test_images")?,
        })
    }
}

impl IntoWire<v1::Score> for Score {
    fn into_wire(self) -> v1::Score {
        let Self { validation_accuracy, test_accuracy, best_update, updates } = self;
        v1::Score { validation_accuracy, test_accuracy, best_update, updates }
    }
}

impl FromWire<v1::Score> for Score {
    fn from_wire(message: v1::Score) -> Result<Self, WireError> {
        let v1::Score { validation_accuracy, test_accuracy, best_update, updates } = message;
        Ok(Self {
            validation_accuracy: bounds::fraction(validation_accuracy, "score.validation_accuracy")?,
            test_accuracy: bounds::fraction(test_accuracy, "score.test_accuracy")?,
            best_update: bounds::number(best_update, "score.best_update")?,
            updates: bounds::number(updates, "score.updates")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::diagnostics::Measure;

    #[test]
    fn a_point_is_the_same_after_conversion_to_a_message_and_back() {
        let point = Point::from([
            (Setting::Rule, Value::Name("fa".into())),
            (Setting::Depth, Value::Integer(7)),
            (Setting::LearningRate, Value::Real(1e-3)),
            (Setting::DownsampleAfter, Value::Integers(vec![1, 2])),
            (Setting::SkipInput, Value::Flag(true)),
        ]);
        assert_eq!(Point::from_wire(point.clone().into_wire()), Ok(point));
    }

    #[test]
    fn a_diagnostic_point_with_layer_0_or_a_value_that_is_not_finite_is_refused() {
        let sound = DiagnosticPoint { update: 390, layer: 1, measure: Measure::WeightNorm, value: 2.5 };
        assert_eq!(DiagnosticPoint::from_wire(sound.into_wire()), Ok(sound));
        for broken in [DiagnosticPoint { layer: 0, ..sound }, DiagnosticPoint { value: f64::NAN, ..sound }] {
            let error = DiagnosticPoint::from_wire(broken.into_wire()).expect_err("an invalid point");
            assert!(error.to_string().contains("`diagnostics."), "{error}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused_by_name() {
        let message = vec![v1::Setting { name: "colour".to_owned(), value: None }];
        let error = Point::from_wire(message).expect_err("an unknown setting");
        assert!(error.to_string().contains("`colour`"), "{error}");
    }
}
