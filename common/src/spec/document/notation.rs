//! Values in another notation than the one that a setting takes.

use super::node::Kind;

/// How to write a number, true or false that was written in another form, if the result `fits`.
pub(in crate::spec) fn how_to_write(kind: &Kind, fits: impl Fn(&Kind) -> bool) -> Option<String> {
    let mut meant = std::iter::successors(meant(kind), |(kind, _)| self::meant(kind));
    meant.find(|(kind, _)| fits(kind)).map(|(_, text)| write(text))
}

/// The advice to write this.
pub(in crate::spec) fn write(text: impl std::fmt::Display) -> String {
    format!("write {text}")
}

/// The intended value of another notation, and how to write it: a number in quotes; 1_000 or `yes` in YAML, which are
/// strings there; or 1e6 for a whole number.
pub(in crate::spec) fn meant(kind: &Kind) -> Option<(Kind, String)> {
    match kind {
        Kind::Real(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            let whole = *number as i128;
            Some((Kind::Integer(whole), whole.to_string()))
        }
        Kind::Text(text) => {
            let text = text.trim().replace('_', "");
            if let Ok(number) = text.parse() {
                return Some((Kind::Integer(number), text));
            }
            if let Some(number) = text.parse().ok().filter(|number: &f64| number.is_finite()) {
                return Some((Kind::Real(number), text));
            }
            let truth = match text.to_lowercase().as_str() {
                "yes" | "y" | "on" | "true" => true,
                "no" | "n" | "off" | "false" => false,
                _ => return None,
            };
            Some((Kind::Boolean(truth), truth.to_string()))
        }
        _ => None,
    }
}
