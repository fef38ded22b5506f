//! A contrast in words, for readers who do not know its statistics.

use std::fmt::Write as _;

use biosweep_common::configuration::Point;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::Quantity;

use super::{Arm, Contrast, Test, Verdict, only_value};
use crate::statistics::interval::Interval;

/// A contrast as one or two sentences.
#[must_use]
pub fn sentence(contrast: &Contrast) -> String {
    let ends = |question: &String| question.ends_with(['.', '?', '!', '…']);
    let question = contrast.question.iter().map(|asked| format!("{asked}{} ", if ends(asked) { "" } else { "." }));
    let mut text: String = question.collect();
    if !contrast.group.is_empty() {
        let _fits = write!(text, "{}: ", in_words(&contrast.group));
    }
    let subject = subject(contrast);
    match contrast.verdict {
        Verdict::Helps => {
            let _fits = write!(text, "{subject} help{}. {}", third(contrast), amount(contrast));
        }
        Verdict::Hurts => {
            let _fits = write!(text, "{subject} hurt{}. {}", third(contrast), amount(contrast));
        }
        Verdict::Equivalent => {
            let per = if contrast.quantity == Quantity::Slope { " per added layer" } else { "" };
            let margin = format!("{}{per}", points(contrast.margin));
            let _fits =
                write!(text, "{subject} make{} no difference above {margin}. {}", third(contrast), amount(contrast));
        }
        Verdict::Undecided => {
            let _fits = write!(text, "the effect of {subject} is undecided. {}", amount(contrast));
        }
        Verdict::TooFewPairs => text += &too_few(contrast, &subject),
    }
    text + &notes(contrast)
}

/// The arms: those of the paper have a name.
fn subject(contrast: &Contrast) -> String {
    let [first, second] = contrast.names();
    match (contrast.setting, first.as_str(), second.as_str()) {
        (Some(Setting::Network), "nn", "dn") | (Some(Setting::Network), "convnet", "dense_convnet") => {
            "dense connections".to_owned()
        }
        (Some(setting), ..) => format!("{} {second} in place of {first}", setting.name()),
        (None, ..) => format!("{second} in place of {first}"),
    }
}

/// The ending of a verb.
fn third(contrast: &Contrast) -> &'static str {
    if subject(contrast) == "dense connections" { "" } else { "s" }
}

fn amount(contrast: &Contrast) -> String {
    let difference = contrast.difference.unwrap_or(0.0);
    let size = points(difference.abs());
    let what = match (contrast.quantity, difference >= 0.0) {
        (Quantity::Accuracy, true) => format!("Accuracy is {size} higher"),
        (Quantity::Accuracy, false) => format!("Accuracy is {size} lower"),
        (Quantity::Slope, is_better) => trends(contrast).unwrap_or_else(|| {
            let falls = contrast.first.mean.is_some_and(|slope| slope < 0.0);
            let (verb, than) = if falls { ("falls", !is_better) } else { ("rises", is_better) };
            format!("Accuracy {verb} {size} {} per added layer", if than { "more" } else { "less" })
        }),
    };
    format!("{what} ({})", evidence(contrast))
}

/// The slopes of two arms, of which one rises and the other falls; `None` if both have the same direction.
fn trends(contrast: &Contrast) -> Option<String> {
    let [first_name, second_name] = contrast.names();
    let (first, second) = (contrast.first.mean?, contrast.second.mean?);
    let is_flat = |slope: f64| number(slope.abs()) == "0.0";
    if first * second >= 0.0 || is_flat(first) || is_flat(second) {
        return None;
    }
    let trend = |slope: f64| format!("{} {}", if slope < 0.0 { "falls" } else { "rises" }, points(slope.abs()));
    Some(format!(
        "Accuracy {} per added layer with {}, and {} with {}: the difference is {}",
        trend(second),
        second_name,
        trend(first),
        first_name,
        points((second - first).abs())
    ))
}

/// `95 % interval 2.2 to 4.0, 8 folds, p = 0.008, Holm over 6`.
fn evidence(contrast: &Contrast) -> String {
    let mut parts = Vec::new();
    if let Some(interval) = contrast.interval {
        parts.push(format!("95 % interval {}", ends(interval, contrast.difference.unwrap_or(0.0))));
    }
    parts.push(format!("{} {}", contrast.pairs, contrast.unit.word(contrast.pairs as u64)));
    if contrast.pairs == 1 {
        return parts.join(", ");
    }
    if let Some(p) = contrast.p_holm {
        let test =
            if contrast.test == Test::SignFlip { String::new() } else { format!(" ({})", contrast.test.in_words()) };
        parts.push(format!("p = {}{test}", probability(p)));
    }
    if contrast.family > 1 {
        parts.push(format!("Holm over {}", contrast.family));
    }
    parts.join(", ")
}

/// The ends of an interval in the direction that the sentence names, so that a positive number means that direction.
fn ends(interval: Interval, difference: f64) -> String {
    let (low, high) =
        if difference < 0.0 { (-interval.high(), -interval.low()) } else { (interval.low(), interval.high()) };
    format!("{} to {}", number(low), number(high))
}

fn too_few(contrast: &Contrast, subject: &str) -> String {
    if contrast.pairs == 0 {
        return format!("{subject} cannot be compared: no fold has results of both arms");
    }
    let smallest = contrast.smallest_p.map_or_else(String::new, |p| {
        format!("; so few give p = {} at best", probability((p * contrast.family.max(1) as f64).min(1.0)))
    });
    if contrast.pairs == 1 {
        let unit = contrast.unit.word(1);
        return format!("one {unit} cannot tell whether {subject} help{}. {}", third(contrast), amount(contrast));
    }
    let pairs = format!("{} {}", contrast.pairs, contrast.unit.word(contrast.pairs as u64));
    format!("n is too small to tell whether {subject} help{}: {pairs}{smallest}. {}", third(contrast), amount(contrast))
}

/// What a reader has to know beside the numbers.
fn notes(contrast: &Contrast) -> String {
    let mut notes = Vec::new();
    let names = contrast.names();
    for (Arm { completed, diverged, .. }, name) in [&contrast.first, &contrast.second].into_iter().zip(&names) {
        if *diverged > 0 {
            notes.push(format!("{diverged} of {} {name} runs diverged", completed + diverged));
        }
    }
    let [first, second] = [&contrast.first, &contrast.second].map(|arm| counted(arm.candidates, "setting"));
    if first != second && contrast.pairs > 0 {
        let [first_name, second_name] = names;
        notes.push(format!("{first_name} was chosen among {first} and {second_name} among {second}, which is unequal"));
    }
    if contrast.dropped > 0 {
        let unit = contrast.unit.word(contrast.dropped as u64);
        notes.push(format!("{} {unit} without a pair left out", contrast.dropped));
    }
    if notes.is_empty() { ".".to_owned() } else { format!("; {}.", notes.join("; ")) }
}

fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

impl Contrast {
    /// The names of the first and the second arm: values if one setting makes both arms, such as `dn`, or their settings in words,
    /// such as `nn, parameters_as dn`.
    #[must_use]
    pub fn names(&self) -> [String; 2] {
        [&self.first, &self.second].map(|Arm { arm, value, .. }| match (self.setting, value) {
            (Some(_), Some(value)) => value.short(),
            _ => in_words(arm),
        })
    }
}

/// The value of the only setting of an arm, or all of its settings in words.
#[must_use]
pub fn arm_name(arm: &Point) -> String {
    only_value(arm).map_or_else(|| in_words(arm), |value| value.short())
}

/// The settings of a group or an arm in words, such as `dtp, relu`.
#[must_use]
pub fn in_words(point: &Point) -> String {
    let part = |(setting, value): (&Setting, &Value)| match (setting, value) {
        (Setting::Depth, Value::Integer(depth)) => counted(*depth as usize, "hidden layer"),
        (Setting::Rule | Setting::Network | Setting::Activation | Setting::Dataset, value) => value.short(),
        (setting, value) => format!("{} {}", setting.name(), value.short()),
    };
    // The rule comes first: readers look for it.
    let mut parts: Vec<(&Setting, &Value)> = point.iter().collect();
    parts.sort_by_key(|(setting, _)| **setting != Setting::Rule);
    parts.into_iter().map(part).collect::<Vec<_>>().join(", ")
}

/// A fraction in points of a percentage.
fn points(fraction: f64) -> String {
    let number = number(fraction);
    format!("{number} point{}", if number == "1.0" { "" } else { "s" })
}

/// A fraction times 100, with one digit after the point, or two significant digits if it is small.
fn number(fraction: f64) -> String {
    let number = 100.0 * fraction;
    match number.abs() {
        size if !(5e-4..0.095).contains(&size) => format!("{number:.1}"),
        size if size >= 0.0095 => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

fn probability(p: f64) -> String {
    if p < 0.001 { "below 0.001".to_owned() } else { format!("{p:.3}") }
}
