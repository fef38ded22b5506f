//! Names of trials by the settings that distinguish them.

use crate::configuration::{Point, trajectory_point};
use crate::settings::{Level, Setting};
use crate::spec::SweepSpec;
use crate::vocabulary::ids::TrajectoryIndex;

/// Names trials by the settings that distinguish them in their sweep.
#[derive(Debug, Default)]
pub struct TrialNames {
    axes: Vec<Setting>,
}

impl TrialNames {
    /// Names by the axes of this sweep; by rule, network and depth if its spec is not known.
    #[must_use]
    pub fn of(spec: Option<&SweepSpec>) -> Self {
        let mut axes = vec![Setting::Rule, Setting::Network, Setting::Activation, Setting::Depth];
        let varying = spec.map(|spec| spec.grid.axes()).unwrap_or_default();
        axes.extend(varying.into_iter().filter(|axis| axis.level() != Level::Stop && !LEADING.contains(axis)));
        Self { axes }
    }

    /// A name such as `fa dn relu 10 · learning_rate 0.001 · seed 3`.
    #[must_use]
    pub fn name(&self, point: &Point) -> String {
        let mut parts: Vec<String> = Vec::new();
        let leading: Vec<String> =
            LEADING.iter().filter_map(|setting| point.get(setting)).map(ToString::to_string).collect();
        parts.push(leading.join(" "));
        let rest = self.axes.iter().filter(|axis| !LEADING.contains(axis));
        parts.extend(rest.filter_map(|axis| Some(format!("{axis} {}", point.get(axis)?.short()))));
        parts.join(" · ")
    }

    /// The name of a trajectory of this sweep; its number if the spec is not known.
    #[must_use]
    pub fn trajectory(&self, spec: Option<&SweepSpec>, index: TrajectoryIndex) -> String {
        let trajectory = spec.and_then(|spec| spec.grid.trajectory(index));
        trajectory.map_or_else(
            || format!("trajectory {index}"),
            |trajectory| self.name(&trajectory_point(&trajectory.shape, trajectory.hyperparameters)),
        )
    }
}

const LEADING: [Setting; 4] = [Setting::Rule, Setting::Network, Setting::Activation, Setting::Depth];
