//! The identity of a trial.

use std::fmt;

/// The identity of a trial: equal keys mean equal results.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialKey(pub [u8; 32]);

impl TrialKey {
    /// The range of keys that start with these hexadecimal digits, as least and greatest key; `None` if no key can.
    #[must_use]
    pub fn beginning_with(digits: &str) -> Option<(Self, Self)> {
        let whole = |fill: &str| {
            let missing = 64_usize.checked_sub(digits.len())?;
            let hash = blake3::Hash::from_hex(format!("{}{}", digits.to_lowercase(), fill.repeat(missing))).ok()?;
            Some(Self(*hash.as_bytes()))
        };
        Some((whole("0")?, whole("f")?))
    }
}

impl fmt::Display for TrialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for TrialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrialKey({self})")
    }
}
