//! The settings that make an experiment another one, and those that repeat it.

use super::Setting;

/// The settings that make an experiment another one. Results that differ in one of them are compared; they are never candidates
/// among which one is chosen. The order is that of tables.
pub const PLACE: [Setting; 7] = [
    Setting::Dataset,
    Setting::Rule,
    Setting::PcSolver,
    Setting::Network,
    Setting::ParametersAs,
    Setting::Activation,
    Setting::Depth,
];

/// The settings that make replicates.
pub const REPLICATES: [Setting; 2] = [Setting::Fold, Setting::Seed];

/// Whether a setting of a place has no value for its absence. An arm that does not name it is the one without it.
#[must_use]
pub fn is_unset_unless_named(setting: Setting) -> bool {
    PLACE.contains(&setting) && !setting.is_required() && setting.default_value().is_none()
}
