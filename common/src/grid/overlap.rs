//! A point that two products share, found from their axes without walking through their points.

use std::collections::{BTreeSet, HashMap};

use super::axis::{Axis, ValueKey};
use super::product::{Dimension, Product, Use};
use crate::configuration::Point;
use crate::settings::{Setting, Value};

/// A point of both products; `None` where they are disjoint.
///
/// Two points are the same where all settings that apply to them are, so a constant that differs matters only where it
/// is used.
pub(crate) fn common_point(first: &Product, second: &Product) -> Option<Point> {
    let (mut first, mut considered) = (first.clone(), BTreeSet::new());
    for &setting in Setting::ALL {
        let (ours, theirs) = (Values::of(&first, setting), Values::of(second, setting));
        match (ours, theirs) {
            (Values::None, Values::None) => {}
            _ if first.use_of(setting) == Use::Nowhere || second.use_of(setting) == Use::Nowhere => {}
            (Values::None, _) | (_, Values::None) => return None,
            (Values::One(ours), Values::One(theirs)) if setting.condition().is_some() => {
                if ours != theirs {
                    first = without_use_of(&first, setting)?;
                }
            }
            _ => {
                considered.insert(setting);
            }
        }
    }
    let mut dimensions = dimensions(&first, &considered);
    dimensions.extend(self::dimensions(second, &considered));
    join(dimensions)
}

/// What a product says of a setting.
enum Values {
    None,
    One(Value),
    Many,
}

impl Values {
    fn of(product: &Product, setting: Setting) -> Self {
        match product.axis(setting) {
            Some(_) => Self::Many,
            None => product.constant(setting).map_or(Self::None, Self::One),
        }
    }
}

/// The part of a product that makes no use of a setting.
fn without_use_of(product: &Product, setting: Setting) -> Option<Product> {
    let condition = setting.condition()?;
    let of_decider = |dimension: &Dimension| dimension.axes.iter().position(|(own, _)| *own == condition.on);
    // Where the decider is no axis, the setting is used everywhere or nowhere, and the caller has seen to the latter.
    let (place, axis) =
        product.dimensions.iter().enumerate().find_map(|(place, own)| Some((place, of_decider(own)?)))?;
    let deciding = &product.dimensions[place].axes[axis].1;
    let Axis::List(values) = deciding else { return None };
    let rows: Vec<_> = (0..deciding.count())
        .zip(values)
        .filter(|(_, value)| !(condition.holds)(Some(value)))
        .map(|(row, _)| row..row + 1)
        .collect();
    if rows.is_empty() {
        return None;
    }
    let mut dimensions = product.dimensions.clone();
    dimensions[place] = dimensions[place].select(&rows);
    Product::new(product.constants.clone(), dimensions)
}

/// The dimensions of a product with each constant as a dimension of one row, less the settings that do not matter.
fn dimensions(product: &Product, considered: &BTreeSet<Setting>) -> Vec<Dimension> {
    let mut all = product.dimensions.clone();
    for dimension in &mut all {
        dimension.axes.retain(|(setting, _)| considered.contains(setting));
    }
    all.retain(|dimension| !dimension.axes.is_empty());
    let constants = considered.iter().filter(|setting| product.axis(**setting).is_none());
    all.extend(constants.filter_map(|setting| {
        Some(Dimension { axes: vec![(*setting, Axis::List(vec![product.constant(*setting)?]))] })
    }));
    all
}

/// A point that lies in every dimension.
fn join(mut open: Vec<Dimension>) -> Option<Point> {
    let mut point = Point::new();
    // Dimensions of several settings first: they decide which values go together.
    open.sort_by_key(|dimension| dimension.axes.len());
    while let Some(dimension) = open.pop() {
        if let [(setting, axis)] = dimension.axes.as_slice() {
            // Only single axes are left, and of each setting there are two.
            let place = open.iter().position(|other| other.lead() == *setting)?;
            let other = open.swap_remove(place);
            point.insert(*setting, axis.common(&other.axes[0].1)?);
            continue;
        }
        let mut found = rows(&dimension);
        let mut settled: BTreeSet<Setting> = dimension.axes.iter().map(|(setting, _)| *setting).collect();
        let touches =
            |other: &Dimension, settled: &BTreeSet<Setting>| other.axes.iter().any(|(own, _)| settled.contains(own));
        while let Some(place) = open.iter().position(|other| touches(other, &settled)) {
            let other = open.remove(place);
            found = match other.axes.as_slice() {
                [(setting, axis)] => found.into_iter().filter(|row| axis.position(&row[setting]).is_some()).collect(),
                _ => joined(found, &other, &settled),
            };
            settled.extend(other.axes.iter().map(|(setting, _)| *setting));
        }
        point.extend(found.into_iter().next()?);
    }
    Some(point)
}

fn rows(dimension: &Dimension) -> Vec<Point> {
    (0..dimension.count())
        .map(|row| dimension.axes.iter().map(|(setting, axis)| (*setting, axis.get(row))).collect())
        .collect()
}

/// Rows put together where they agree in the settings they share.
fn joined(found: Vec<Point>, other: &Dimension, settled: &BTreeSet<Setting>) -> Vec<Point> {
    let shared: Vec<Setting> =
        other.axes.iter().map(|(setting, _)| *setting).filter(|setting| settled.contains(setting)).collect();
    let key = |row: &Point| -> Vec<ValueKey> { shared.iter().map(|setting| ValueKey::of(&row[setting])).collect() };
    let mut theirs: HashMap<Vec<ValueKey>, Vec<Point>> = HashMap::new();
    for row in rows(other) {
        theirs.entry(key(&row)).or_default().push(row);
    }
    let matches = |row: &Point| theirs.get(&key(row)).into_iter().flatten().cloned().collect::<Vec<_>>();
    found
        .iter()
        .flat_map(|row| {
            matches(row).into_iter().map(|more| row.iter().map(|(s, v)| (*s, v.clone())).chain(more).collect())
        })
        .collect()
}
