//! The only place where generated messages meet domain types.
//!
//! | room | turns |
//! |---|---|
//! | here | the words both services use: settings, curve points, health points, scores, ids |
//! | `workers` | what coordinator and worker say to each other |
//! | `sweeps` | what people ask and see |
//! | `pieces` | what of that may be long, in pieces |
//!
//! A message is read with [`FromWire`] and may be refused; it is written with [`IntoWire`] and always can be.

mod pieces;
mod sweeps;
mod workers;

pub use pieces::{
    Curves, SWEEPS_MESSAGE_BYTES_MAX, curve_pieces, pieces, show_of_pieces, show_pieces, trained_of_pieces,
    trained_pieces,
};

use std::str::FromStr;

use biosweep_proto::v1;

use crate::configuration::{ConfigurationError, Point};
use crate::curve::{CurvePoint, Score};
use crate::health::HealthPoint;
use crate::settings::{Setting, Value};

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WireError {
    /// A part that every such message has is absent.
    #[error("message without `{field}`; are coordinator and worker of the same version?")]
    Missing {
        /// The absent field.
        field: &'static str,
    },
    /// A part that cannot be what it says.
    #[error(
        "message with `{field}` = `{value}`, which cannot be read; are coordinator and worker of the same version?"
    )]
    Unreadable {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// Settings that are no configuration.
    #[error("message with impossible settings: {0}")]
    Configuration(#[from] ConfigurationError),
    /// A grant whose lanes do not share a shape, or that has none.
    #[error("message with a bundle whose lanes do not share one shape")]
    MixedShapes,
    /// Bytes that are no message.
    #[error("bytes that are no message: {0}")]
    Undecodable(#[from] prost::DecodeError),
}

/// Reads a domain type from its message.
pub trait FromWire<Message>: Sized {
    /// The domain type.
    ///
    /// # Errors
    /// A message that lacks a part or holds one that cannot be.
    fn from_wire(message: Message) -> Result<Self, WireError>;
}

/// Writes a domain type as its message.
pub trait IntoWire<Message> {
    /// The message.
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

/// A part of a message that has to be there.
fn required<T>(part: Option<T>, field: &'static str) -> Result<T, WireError> {
    part.ok_or(WireError::Missing { field })
}

/// A part of a message that is a domain type in text.
fn parsed<T: FromStr>(text: &str, field: &'static str) -> Result<T, WireError> {
    text.parse().map_err(|_| WireError::Unreadable { field, value: text.to_owned() })
}

/// A part of a message that is the name of one choice.
fn named<T>(name: &str, field: &'static str, read: fn(&str) -> Option<T>) -> Result<T, WireError> {
    read(name).ok_or_else(|| WireError::Unreadable { field, value: name.to_owned() })
}

/// The text of a cause, empty where there is none.
fn cause_into_wire(cause: Option<String>) -> String {
    cause.unwrap_or_default()
}

/// The cause a text stands for.
fn cause_from_wire(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
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
            Wire::Text(name) => Value::Name(name.into()),
            Wire::Integer(number) => Value::Integer(number),
            Wire::Real(number) => Value::Real(number),
            Wire::Integers(list) => Value::Integers(list.values),
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
        Ok(Self { update, train_loss, validation_accuracy, test_accuracy })
    }
}

impl IntoWire<v1::HealthPoint> for HealthPoint {
    fn into_wire(self) -> v1::HealthPoint {
        let Self { update, layer, measure, value } = self;
        v1::HealthPoint { update, layer, measure: measure.name().to_owned(), value }
    }
}

impl FromWire<v1::HealthPoint> for HealthPoint {
    fn from_wire(message: v1::HealthPoint) -> Result<Self, WireError> {
        let v1::HealthPoint { update, layer, measure, value } = message;
        if layer == 0 {
            return Err(WireError::Unreadable { field: "health.layer", value: layer.to_string() });
        }
        if !value.is_finite() {
            return Err(WireError::Unreadable { field: "health.value", value: value.to_string() });
        }
        Ok(Self { update, layer, measure: parsed(&measure, "health.measure")?, value })
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
        Ok(Self { validation_accuracy, test_accuracy, best_update, updates })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Measure;

    #[test]
    fn a_point_survives_the_wire() {
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
    fn a_measure_of_no_layer_or_of_no_finite_value_is_refused() {
        let sound = HealthPoint { update: 390, layer: 1, measure: Measure::WeightNorm, value: 2.5 };
        assert_eq!(HealthPoint::from_wire(sound.into_wire()), Ok(sound));
        for broken in [HealthPoint { layer: 0, ..sound }, HealthPoint { value: f64::NAN, ..sound }] {
            let error = HealthPoint::from_wire(broken.into_wire()).expect_err("no such point");
            assert!(error.to_string().contains("`health."), "{error}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused_by_name() {
        let message = vec![v1::Setting { name: "colour".to_owned(), value: None }];
        let error = Point::from_wire(message).expect_err("no such setting");
        assert!(error.to_string().contains("`colour`"), "{error}");
    }
}
