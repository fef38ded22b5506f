//! Checks of the settings of one block: whether each has an effect, and whether their values have a meaning together.

use super::{Common, Draft};
use crate::configuration::Convolution;
use crate::grid::Block;
use crate::grid::axis::Axis;
use crate::network::extents;
use crate::rules::Rule;
use crate::settings::{Condition, Setting, Value};
use crate::spec::error::ErrorList;
use crate::spec::read::Given;
use crate::vocabulary::{Dataset, DecoderOrder, Network};

/// Checks that every setting has an effect: an axis on every point, a constant on at least one.
pub(super) fn check_conditions(draft: &Draft, common: &mut Common, errors: &mut ErrorList<'_>) {
    for (&setting, entry) in &draft.entries {
        let Some(condition) = setting.condition() else { continue };
        let (somewhere, everywhere) = use_of(draft, &condition);
        match entry.given {
            Given::Many(_) if somewhere && !everywhere => {
                let message = format!(
                    "the axis `{setting}` has no effect on some trials of this block: it applies to {}",
                    (condition.belongs_to)()
                );
                let help = format!("put trials with another `{}` into a separate block", condition.on);
                errors.add(&entry.span, entry.place.clone(), message, help);
            }
            Given::Wrong => {}
            Given::One(_) | Given::Many(_) => {
                let message = format!("`{setting}` affects no trial here: it applies to {}", (condition.belongs_to)());
                let help = format!("remove it, or change `{}`", condition.on);
                if entry.shared && matches!(entry.given, Given::One(_)) {
                    common.note(somewhere, &entry.span, &entry.place, message, help);
                } else if !somewhere {
                    errors.add(&entry.span, entry.place.clone(), message, help);
                }
            }
        }
    }
}

/// Checks that the images of every named dataset are large enough for the halvings of a convolutional draft.
pub(super) fn check_resolutions(draft: &Draft, errors: &mut ErrorList<'_>) {
    let named = |setting: Setting| -> Vec<String> {
        let names = ends(draft, setting).into_iter().map(|value| value.to_string());
        names.collect()
    };
    let is_convolutional = |name: &String| name.parse().is_ok_and(Network::is_convolutional);
    if !named(Setting::Network).iter().any(is_convolutional) {
        return;
    }
    let most = |value: Value| if let Value::Integer(depth) = value { usize::try_from(depth).ok() } else { None };
    let Some(depth) = ends(draft, Setting::Depth).into_iter().filter_map(most).max() else { return };
    for dataset in named(Setting::Dataset).iter().filter_map(|name| name.parse::<Dataset>().ok()) {
        for layers in ends(draft, Setting::DownsampleAfter) {
            let Value::Integers(downsample_after) = layers else { continue };
            let convolution = Convolution { downsample_after, ..Convolution::default() };
            if let Err(error) = extents::convolutional(depth, &convolution, dataset.image(), dataset.classes()) {
                let entry = draft.entries.get(&Setting::DownsampleAfter);
                let (span, place) = entry.map_or((&draft.span, &draft.place), |entry| (&entry.span, &entry.place));
                errors.add(span, place.clone(), error.to_string(), "list fewer layers");
                return;
            }
        }
    }
}

/// The values of a setting in a draft: all of a list, the ends of a range, or the default if it is not set.
fn ends(draft: &Draft, setting: Setting) -> Vec<Value> {
    match draft.entries.get(&setting).map(|entry| &entry.given) {
        None => setting.default_value().into_iter().collect(),
        Some(Given::One(value)) => vec![value.clone()],
        Some(Given::Wrong) => Vec::new(),
        Some(Given::Many(Axis::List(values))) => values.clone(),
        Some(Given::Many(axis @ Axis::Range { .. })) => vec![axis.value(0), axis.value(axis.len() - 1)],
    }
}

/// Whether a condition holds at some point of the draft, and at every point.
pub(in crate::spec) fn use_of(draft: &Draft, condition: &Condition) -> (bool, bool) {
    let holds = |value: Option<&Value>| (condition.holds)(value);
    let on = draft.entries.get(&condition.on).map(|entry| &entry.given);
    let each: Vec<bool> = match on {
        None => vec![holds(condition.on.default_value().as_ref())],
        Some(Given::One(value)) => vec![holds(Some(value))],
        Some(Given::Wrong) => return (true, true),
        // For a range, as for any long axis, one value is enough: conditions check names or the presence of a value.
        Some(Given::Many(axis @ Axis::Range { .. })) => vec![holds(Some(&axis.value(0)))],
        Some(Given::Many(Axis::List(values))) => values.iter().map(|value| holds(Some(value))).collect(),
    };
    (each.contains(&true), !each.contains(&false))
}

/// Values that have no meaning together.
struct Undefined {
    values: Vec<(Setting, Axis)>,
    message: String,
    help: String,
}

/// The combinations of values that have no meaning.
fn undefined() -> impl Iterator<Item = Undefined> {
    let list = |names: Vec<&'static str>| Axis::List(names.into_iter().map(|name| Value::Name(name.into())).collect());
    let of_rule = move |&rule: &Rule| {
        let (without, with): (Vec<Network>, Vec<Network>) =
            Network::ALL.iter().copied().partition(|&network| !rule.trains(network));
        let names = |networks: Vec<Network>| networks.into_iter().map(Network::name).collect::<Vec<_>>();
        let (without, with) = (names(without), names(with));
        (!without.is_empty()).then(|| Undefined {
            message: format!("the rule {rule} is not defined for the networks {}", without.join(", ")),
            help: format!(
                "use one of {}, or exclude these points: exclude = [{{ rule = \"{rule}\", network = [\"{}\"] }}]",
                with.join(", "),
                without.join("\", \"")
            ),
            values: vec![(Setting::Rule, list(vec![rule.name()])), (Setting::Network, list(without))],
        })
    };
    let rules =
        Rule::ALL.iter().filter(|rule| rule.descriptor().hyperparameters.contains(&Setting::DecoderSteps.name()));
    let several = Axis::Range { from: 2, step: 1, count: u64::from(u32::MAX) };
    let steps = Undefined {
        values: vec![
            (Setting::Rule, list(rules.map(|rule| rule.name()).collect())),
            (Setting::DecoderOrder, list(vec![DecoderOrder::Same.name()])),
            (Setting::DecoderSteps, several),
        ],
        message: "decoders that learn with the forward weights (decoder_order = \"same\") take one step in an update"
            .to_owned(),
        help: "set decoder_order = \"before\", or decoder_steps = 1".to_owned(),
    };
    // Its decoders learn from the noise that reaches the output, divided by its variance.
    let silent = Undefined {
        values: vec![
            (Setting::Rule, list(vec![Rule::Ddtp.name()])),
            (Setting::NoiseStd, Axis::List(vec![Value::Real(0.0)])),
        ],
        message: "the decoders of ddtp learn from noise, and `noise_std` is 0".to_owned(),
        help: "set noise_std above 0".to_owned(),
    };
    Rule::ALL.iter().filter_map(of_rule).chain([steps, silent])
}

/// Checks that no point of the blocks of a draft has values that have no meaning together.
pub(super) fn check_combinations(draft: &Draft, blocks: &[Block], errors: &mut ErrorList<'_>) {
    for Undefined { values, message, help } in undefined() {
        let is_met = |block: &Block| !matches!(block.excluding(&values), Ok(None));
        if blocks.iter().any(is_met) {
            let entries = values.iter().filter_map(|(setting, _)| draft.entries.get(setting));
            let entry = entries.max_by_key(|entry| entry.span.start);
            let (span, place) = entry.map_or((&draft.span, &draft.place), |entry| (&entry.span, &entry.place));
            errors.add(span, place.clone(), message, help);
        }
    }
}
