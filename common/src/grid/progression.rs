//! Arithmetic progressions of whole numbers, and the intersection of two without enumeration.

/// The numbers `from`, `from + step`, …, `count` of them, all below 2^63.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progression {
    pub(super) from: u64,
    /// The difference of two neighbours, at least 1.
    pub(super) step: u64,
    /// The number of numbers, at least 1.
    pub(super) count: u64,
}

impl Progression {
    /// The common numbers, as a progression; `None` if there are none.
    pub(super) fn common(self, other: Self) -> Option<Self> {
        // All numbers are below 2^63, and so is every effective step, so no product here reaches 2^127.
        let (a, s) = (i128::from(self.from), i128::from(self.effective_step()));
        let (b, t) = (i128::from(other.from), i128::from(other.effective_step()));
        let (divisor, inverse) = divisor_and_inverse(s, t);
        if (b - a) % divisor != 0 {
            return None;
        }
        // Solve a + s·k ≡ b (mod t) for the least k.
        let period = t / divisor;
        let k = ((b - a) / divisor).rem_euclid(period) * inverse.rem_euclid(period) % period;
        let (met, step) = (a + s * k, s * period);
        let start = if met >= b { met } else { met + (b - met + step - 1) / step * step };
        let end = i128::from(self.last().min(other.last()));
        if start > end {
            return None;
        }
        let count = (end - start) / step + 1;
        let narrow = |number: i128| u64::try_from(number).expect("a common number is in the range of both");
        Some(Self { from: narrow(start), step: if count == 1 { 1 } else { narrow(step) }, count: narrow(count) })
    }

    fn last(self) -> u64 {
        self.from + self.effective_step() * (self.count - 1)
    }

    /// The step; 1 for a single number, whose step has no meaning.
    fn effective_step(self) -> u64 {
        if self.count == 1 { 1 } else { self.step }
    }
}

/// The greatest common divisor g of two numbers, and x with s·x ≡ g (mod t): Euclid's extended algorithm.
fn divisor_and_inverse(s: i128, t: i128) -> (i128, i128) {
    let (mut left, mut right) = ((s, 1), (t, 0));
    while right.0 != 0 {
        let quotient = left.0 / right.0;
        (left, right) = (right, (left.0 - quotient * right.0, left.1 - quotient * right.1));
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some_progression() -> impl Strategy<Value = Progression> {
        (0_u64..40, 1_u64..13, 1_u64..15).prop_map(|(from, step, count)| Progression { from, step, count })
    }

    fn numbers(progression: Progression) -> Vec<u64> {
        (0..progression.count).map(|place| progression.from + place * progression.step).collect()
    }

    proptest! {
        #[test]
        fn the_intersection_has_the_common_numbers(a in some_progression(), b in some_progression()) {
            let theirs = numbers(b);
            let shared: Vec<u64> = numbers(a).into_iter().filter(|number| theirs.contains(number)).collect();
            prop_assert_eq!(a.common(b).map(numbers).unwrap_or_default(), shared);
        }
    }

    #[test]
    fn the_longest_progressions_do_not_overflow() {
        let top = i64::MAX as u64;
        let odd = Progression { from: 1, step: top - 1, count: 2 };
        let all = Progression { from: 0, step: 1, count: top + 1 };
        assert_eq!(odd.common(all), Some(odd));
        let coprime = Progression { from: 0, step: top - 2, count: 2 };
        assert_eq!(odd.common(coprime), None);
    }
}
