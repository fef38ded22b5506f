//! The values of one axis; ranges of whole numbers stay ranges, so that a billion seeds cost nothing.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use crate::settings::Value;

/// The values `from`, `from + step`, …, `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Progression {
    /// The first value.
    pub from: u64,
    /// The distance between two values, at least 1.
    pub step: u64,
    /// How many values there are, at least 1.
    pub count: u64,
}

/// Distinct values of one setting, in the order in which the grid counts them.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Values one by one.
    List(Vec<Value>),
    /// Whole numbers in disjoint progressions.
    Ranges(Vec<Progression>),
}

/// A value as something that can be looked up; equal where the values mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ValueKey {
    Name(String),
    Integer(u64),
    Bits(u64),
    Integers(Vec<u64>),
}

impl Progression {
    /// The last value.
    #[must_use]
    pub fn last(self) -> u64 {
        self.from + (self.count - 1) * self.step
    }

    fn position(self, number: u64) -> Option<u64> {
        let distance = number.checked_sub(self.from)?;
        (distance % self.step == 0 && distance / self.step < self.count).then_some(distance / self.step)
    }

    fn part(self, rows: Range<u64>) -> Self {
        Self { from: self.from + rows.start * self.step, step: self.step, count: rows.end - rows.start }
    }

    /// The least number in both, by the Chinese remainder theorem.
    fn first_common(self, other: Self) -> Option<u64> {
        let [a, s, b, t] = [self.from, self.step, other.from, other.step].map(i128::from);
        let (divisor, inverse) = bezout(s, t);
        if (b - a) % divisor != 0 {
            return None;
        }
        let period = s / divisor * t;
        // a + s·k ≡ b (mod t); the product stays small because both factors are reduced modulo t / divisor first.
        let modulus = t / divisor;
        let k = ((b - a) / divisor).rem_euclid(modulus) * inverse.rem_euclid(modulus) % modulus;
        let meeting = a + s * k;
        let start = a.max(b);
        let least = if meeting >= start { meeting } else { meeting + (start - meeting + period - 1) / period * period };
        let end = i128::from(self.last().min(other.last()));
        (least <= end).then(|| u64::try_from(least).expect("a number between two others that are u64"))
    }
}

/// The greatest common divisor of s and t, and x with s·x ≡ divisor (mod t).
fn bezout(s: i128, t: i128) -> (i128, i128) {
    let (mut r0, mut r1, mut x0, mut x1) = (s, t, 1_i128, 0_i128);
    while r1 != 0 {
        let quotient = r0 / r1;
        (r0, r1) = (r1, r0 - quotient * r1);
        (x0, x1) = (x1, x0 - quotient * x1);
    }
    (r0, x0)
}

impl Axis {
    /// An axis of these values; whole numbers in even ascending steps become a range.
    #[must_use]
    pub fn of(values: Vec<Value>) -> Self {
        let number = |value: &Value| match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        };
        let progression = || {
            let [first, second, ..] = values.as_slice() else { return None };
            let (from, step) = (number(first)?, number(second)?.checked_sub(number(first)?).filter(|step| *step > 0)?);
            let even = values
                .windows(2)
                .all(|pair| number(&pair[1]).zip(number(&pair[0])).is_some_and(|(b, a)| b > a && b - a == step));
            even.then_some(Progression { from, step, count: values.len() as u64 })
        };
        match progression() {
            Some(progression) => Self::Ranges(vec![progression]),
            None => Self::List(values),
        }
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::List(values) => values.len() as u64,
            Self::Ranges(parts) => parts.iter().map(|part| part.count).sum(),
        }
    }

    /// The value in that place.
    ///
    /// # Panics
    /// On a row that the axis does not have.
    #[must_use]
    pub fn get(&self, row: u64) -> Value {
        match self {
            Self::List(values) => values[usize::try_from(row).expect("a row of a list in memory")].clone(),
            Self::Ranges(parts) => {
                let mut left = row;
                for part in parts {
                    if left < part.count {
                        return Value::Integer(part.from + left * part.step);
                    }
                    left -= part.count;
                }
                panic!("row {row} of an axis of {} values", self.count())
            }
        }
    }

    /// The place of a value.
    #[must_use]
    pub fn position(&self, value: &Value) -> Option<u64> {
        match (self, value) {
            (Self::List(values), value) => values.iter().position(|own| own == value).map(|row| row as u64),
            (Self::Ranges(parts), Value::Integer(number)) => {
                let mut before = 0;
                for part in parts {
                    if let Some(row) = part.position(*number) {
                        return Some(before + row);
                    }
                    before += part.count;
                }
                None
            }
            (Self::Ranges(_), _) => None,
        }
    }

    /// The values in turn.
    pub fn values(&self) -> impl Iterator<Item = Value> + '_ {
        (0..self.count()).map(|row| self.get(row))
    }

    /// Only the values in these rows, which are disjoint and ascending.
    #[must_use]
    pub(crate) fn select(&self, rows: &[Range<u64>]) -> Self {
        match self {
            Self::List(_) => Self::List(rows.iter().cloned().flatten().map(|row| self.get(row)).collect()),
            Self::Ranges(parts) => {
                let mut kept = Vec::new();
                for wanted in rows {
                    let mut before = 0;
                    for part in parts {
                        let start = wanted.start.max(before);
                        let end = wanted.end.min(before + part.count);
                        if start < end {
                            kept.push(part.part(start - before..end - before));
                        }
                        before += part.count;
                    }
                }
                let kept = Self::Ranges(kept);
                // Short ones take the one form that the same values have when they are written as a list.
                if kept.count() <= 1_000 { Self::of(kept.values().collect()) } else { kept }
            }
        }
    }

    /// A value in both; never walks through a range.
    #[must_use]
    pub(crate) fn common(&self, other: &Self) -> Option<Value> {
        match (self, other) {
            (Self::Ranges(ours), Self::Ranges(theirs)) => {
                ours.iter().find_map(|our| theirs.iter().find_map(|their| our.first_common(*their))).map(Value::Integer)
            }
            (Self::List(values), Self::Ranges(_)) => {
                values.iter().find(|value| other.position(value).is_some()).cloned()
            }
            (Self::Ranges(_), Self::List(_)) => other.common(self),
            (Self::List(ours), Self::List(theirs)) => {
                let keys: HashSet<ValueKey> = theirs.iter().map(ValueKey::of).collect();
                ours.iter().find(|value| keys.contains(&ValueKey::of(value))).cloned()
            }
        }
    }

    /// The greatest whole number among the values; `None` where they are no whole numbers.
    #[must_use]
    pub(crate) fn greatest(&self) -> Option<u64> {
        match self {
            Self::Ranges(parts) => parts.iter().map(|part| part.last()).max(),
            Self::List(values) => values
                .iter()
                .filter_map(|value| match value {
                    Value::Integer(number) => Some(*number),
                    _ => None,
                })
                .max(),
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: u64 = 12;
        let texts: Vec<String> = match self {
            Self::List(values) => values.iter().take(SHOWN as usize).map(Value::to_string).collect(),
            Self::Ranges(parts) if parts.iter().all(|part| part.count <= 3) && self.count() <= SHOWN => {
                self.values().map(|value| value.to_string()).collect()
            }
            Self::Ranges(parts) => parts
                .iter()
                .take(SHOWN as usize)
                .map(|part| match part {
                    Progression { from, count: 1, .. } => from.to_string(),
                    Progression { from, step: 1, .. } => format!("{from} to {}", part.last()),
                    Progression { from, step, .. } => format!("{from} to {} by {step}", part.last()),
                })
                .collect(),
        };
        f.write_str(&texts.join(", "))?;
        let entries = match self {
            Self::List(values) => values.len(),
            Self::Ranges(parts) => parts.len(),
        };
        if entries > SHOWN as usize { write!(f, ", … ({} in all)", self.count()) } else { Ok(()) }
    }
}

impl ValueKey {
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Name(name) => Self::Name(name.clone()),
            Value::Integer(number) => Self::Integer(*number),
            // Adding zero turns -0.0 into 0.0, which means the same.
            Value::Real(number) => Self::Bits((number + 0.0).to_bits()),
            Value::Integers(numbers) => Self::Integers(numbers.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progressions_meet_where_brute_force_says() {
        for (a, s, n) in [(0, 1, 10), (3, 7, 9), (10, 6, 5), (5, 4, 20)] {
            for (b, t, m) in [(0, 1, 10), (1, 5, 20), (4, 9, 6), (60, 2, 10), (6, 4, 20)] {
                let first = Progression { from: a, step: s, count: n };
                let second = Progression { from: b, step: t, count: m };
                let brute = (0..n).map(|row| a + row * s).find(|number| second.position(*number).is_some());
                assert_eq!(first.first_common(second), brute, "{first:?} {second:?}");
            }
        }
    }

    #[test]
    fn a_selection_keeps_values_in_order() {
        let axis = Axis::Ranges(vec![Progression { from: 0, step: 2, count: 5 }]);
        let kept = axis.select(&[0..1, 3..5]);
        assert_eq!(kept.values().collect::<Vec<_>>(), [0, 6, 8].map(Value::Integer));
        assert_eq!(kept.position(&Value::Integer(8)), Some(2));
    }
}
