//! Trains a network of five hidden layers by feedback alignment on the embedded digits, and prints its learning curve.
//!
//! ```text
//! cargo run --release --package biosweep-engine --example train
//! ```
#![expect(clippy::print_stdout, reason = "an example answers on stdout")]

use biosweep_common::configuration::{Configuration, Point};
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::settings::{Setting, Value};
use biosweep_data::Places;
use biosweep_engine::torch::device::Device;
use biosweep_engine::train::{Bundle, IncompatibleState, LaneJob, Observer, train};

/// Prints each evaluation as it happens.
struct Printer;

impl Observer for Printer {
    fn evaluated(&mut self, _lane: usize, point: &CurvePoint) {
        println!("update {:5}  loss {:.3}  accuracy {:.3}", point.update, point.train_loss, point.validation_accuracy);
    }

    fn incompatible(&mut self, _lane: usize, why: &IncompatibleState) {
        unreachable!("no state was given: {why}");
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    Device::Cpu.prepare();
    let settings = [
        (Setting::Dataset, Value::Name("synthetic-digits".into())),
        (Setting::Rule, Value::Name("fa".into())),
        (Setting::Depth, Value::Integer(5)),
        (Setting::MaxUpdates, Value::Integer(1_000)),
        (Setting::EvalEvery, Value::Integer(200)),
    ];
    let trial = Configuration::from_point(&Point::from(settings))?;
    let dataset = biosweep_data::load(&trial.shape.dataset, &Places::default())?;
    let lane =
        LaneJob { hyperparameters: trial.hyperparameters, stopping_rules: vec![trial.stopping_rule], resume: None };
    let bundle = Bundle { shape: trial.shape, lanes: vec![lane], measures: Vec::new() };
    train(&bundle, &dataset, &mut Printer)?;
    Ok(())
}
