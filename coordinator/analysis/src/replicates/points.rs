//! Points: parts of them, and groups of items with an equal part.

use std::collections::BTreeMap;

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Level, Setting, Value};
use serde::Serializer;

/// Whether a point has all of these settings.
pub(crate) fn has_all(point: &Point, settings: &Point) -> bool {
    settings.iter().all(|(setting, value)| point.get(setting) == Some(value))
}

/// The part of a point with some of its settings.
pub(crate) fn part(point: &Point, is_part: impl Fn(Setting) -> bool) -> Point {
    let parts = point.iter().filter(|&(&setting, _)| is_part(setting));
    parts.map(|(&setting, value)| (setting, value.clone())).collect()
}

/// Groups of items whose points have the same part, each with that part, in the order of their first items.
pub(crate) fn group_by<'a, T>(
    items: impl IntoIterator<Item = (&'a Point, T)>,
    is_part: impl Fn(Setting) -> bool,
) -> Vec<(Point, Vec<T>)> {
    let mut groups: Vec<(Point, Vec<T>)> = Vec::new();
    let mut index: BTreeMap<Vec<(Setting, String)>, usize> = BTreeMap::new();
    for (point, item) in items {
        let place = *index.entry(key(point, &is_part)).or_insert(groups.len());
        if place == groups.len() {
            groups.push((part(point, &is_part), Vec::new()));
        }
        groups[place].1.push(item);
    }
    groups
}

/// A part of a point, as a key: values with real numbers have no total order, but their texts have, and are equal
/// only for equal values.
pub(crate) fn key(point: &Point, is_part: impl Fn(Setting) -> bool) -> Vec<(Setting, String)> {
    let parts = point.iter().filter(|&(&setting, _)| is_part(setting));
    parts.map(|(&setting, value)| (setting, value.to_string())).collect()
}

/// Serialises a point as a map from the names of settings.
pub(crate) fn by_name<S: Serializer>(point: &Point, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(point.iter().map(|(setting, value)| (setting.name(), value)))
}

/// Whether a trajectory with this point is of these settings. Those of the stopping rule do not belong to a trajectory, because
/// its trials share it.
pub(crate) fn is_trained_with<'a>(
    trajectory: &Point,
    settings: impl IntoIterator<Item = (&'a Setting, &'a Value)>,
) -> bool {
    let mut kept = settings.into_iter().filter(|(setting, _)| setting.level() != Level::Stop);
    kept.all(|(setting, value)| trajectory.get(setting) == Some(value))
}
