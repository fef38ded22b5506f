//! A case: which rule on which network, as a JSON file.

use std::fs;
use std::path::Path;

use biosweep_common::configuration::{Real, Skip};
use biosweep_common::vocabulary::{Activation, Network, Rule};
use serde::Deserialize;

use super::StepError;

/// Which rule on which network. Widths and batch follow from the tensors; other keys are left aside.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Case {
    /// What stands in the place of the gradient.
    pub rule: Rule,
    /// How layers are wired.
    pub network: Network,
    /// σ of the hidden layers.
    pub activation: Activation,
    /// Hidden layers.
    pub depth: usize,
    /// Channels of layer l of a convolutional network, divided by l.
    #[serde(default = "sixteen")]
    pub channel_multiplier: u32,
    /// The layers after which the resolution halves.
    #[serde(default = "first_two")]
    pub downsample_after: Vec<u64>,
    /// Whether every dense layer reads the input too.
    #[serde(default)]
    pub skip_input: bool,
    /// The share of skip connections of a log-normal network.
    #[serde(default = "three_tenths")]
    pub skip_density: f64,
    /// σ of their decay with distance.
    #[serde(default = "one")]
    pub skip_decay: f64,
    /// What they are drawn from.
    #[serde(default)]
    pub skip_seed: u64,
    /// η of target propagation.
    #[serde(default = "tenth")]
    pub target_step: f64,
    /// Standard deviation of the noise decoders learn to undo.
    #[serde(default = "tenth")]
    pub noise_std: f64,
}

fn tenth() -> f64 {
    0.1
}

fn three_tenths() -> f64 {
    0.3
}

fn one() -> f64 {
    1.0
}

fn sixteen() -> u32 {
    16
}

fn first_two() -> Vec<u64> {
    vec![1, 2]
}

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// A file that cannot be read or is no case.
    pub fn read(path: &Path) -> Result<Self, StepError> {
        let text = fs::read_to_string(path).map_err(|error| StepError::File {
            what: "read",
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        let refused = |why: String| StepError::Case { path: path.to_owned(), why };
        let case: Self = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        if case.depth == 0 {
            return Err(refused("a network has at least one hidden layer; `depth` is 0".to_owned()));
        }
        Ok(case)
    }

    /// Which skip connections there are.
    #[must_use]
    pub fn skip(&self) -> Skip {
        let (density, decay) = (Real(self.skip_density), Real(self.skip_decay));
        Skip { input: self.skip_input, density, decay, seed: self.skip_seed }
    }
}
