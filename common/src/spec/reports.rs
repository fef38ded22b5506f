//! The maximum size of a sweep's reports. A sweep whose results could not be sent is refused before training.

use super::measures::is_of_use;
use crate::grid::Block;
use crate::grid::axis::{Axis, Dimension};
use crate::protocol::bounds::REPORT_POINTS_MAX;
use crate::settings::{Setting, Value};
use crate::vocabulary::diagnostics::Measure;

/// A trajectory may have more points in its curve and diagnostics than a report can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a trajectory may have {evaluations} evaluations of {values} values each, but a report has at most {REPORT_POINTS_MAX}"
)]
pub struct TooManyPoints {
    /// Evaluations without early stopping.
    pub evaluations: u64,
    /// Values per evaluation: one point of the curve, and every measure of every layer.
    pub values: u64,
}

impl TooManyPoints {
    /// The suggested fix.
    pub const HELP: &str = "evaluate less often (eval_every), measure less, or reduce max_updates";
}

/// Refuses blocks with a trajectory whose report may become too large.
///
/// # Errors
/// The numbers of the first such trajectory.
pub(super) fn check(blocks: &[Block], measures: &[Measure]) -> Result<(), TooManyPoints> {
    blocks.iter().try_for_each(|block| {
        let measured = measures.iter().filter(|&&measure| is_of_use(measure, block)).count() as u64;
        let layers = most(block, Setting::Depth) + 1;
        let (evaluations, values) = (evaluations(block), 1 + layers * measured);
        let fits = evaluations.checked_mul(values).is_some_and(|points| points <= REPORT_POINTS_MAX as u64);
        fits.then_some(()).ok_or(TooManyPoints { evaluations, values })
    })
}

/// Maximum evaluations of a trajectory: those at multiples of `eval_every`, and those at the ends of its trials.
fn evaluations(block: &Block) -> u64 {
    most(block, Setting::MaxUpdates) / least(block, Setting::EvalEvery).max(1) + block.trials_a_trajectory()
}

fn most(block: &Block, setting: Setting) -> u64 {
    ends(block, setting).into_iter().max().unwrap_or(0)
}

fn least(block: &Block, setting: Setting) -> u64 {
    ends(block, setting).into_iter().min().unwrap_or(0)
}

/// Values of a setting that include the least and the greatest of a block.
fn ends(block: &Block, setting: Setting) -> Vec<u64> {
    let of_dimension = |dimension: &Dimension| {
        let axis = dimension.axis(setting)?;
        let places = dimension.places().iter();
        let values: Vec<Value> = match axis {
            Axis::List(_) => places.cloned().flatten().map(|place| axis.value(place)).collect(),
            // A range is ascending.
            Axis::Range { .. } => {
                places.flat_map(|run| [run.start, run.end - 1]).map(|place| axis.value(place)).collect()
            }
        };
        Some(values)
    };
    let values = block.dimensions().iter().find_map(of_dimension);
    let constant = || block.constants().get(&setting).cloned().or_else(|| setting.default_value());
    values.unwrap_or_else(|| constant().into_iter().collect()).iter().filter_map(integer).collect()
}

fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Name(_) | Value::Real(_) | Value::Integers(_) | Value::Flag(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::spec::{Format, SpecText, SweepSpec};
    use crate::vocabulary::ids::TrialIndex;

    fn parse(lines: &str) -> Result<SweepSpec, String> {
        let (top, grid) = lines.split_once("; ").unwrap_or(("", lines));
        let text = format!(
            "name = \"r\"\n{top}\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"fa\"\nnetwork = \"nn\"\n{grid}\n"
        );
        SweepSpec::parse(&text, Format::Toml, "r").map_err(|errors| errors.to_string())
    }

    const FIVE: &str =
        "measure = [\"update_angle\", \"feedback_angle\", \"weight_norm\", \"update_norm\", \"dead_units\"]";

    #[test]
    fn the_papers_trials_fit_into_a_report_with_five_measures_of_each_layer() {
        let paper = format!("{FIVE}; depth = {{ from = 5, to = 14 }}\nmax_updates = 1_000_350\neval_every = 390");
        parse(&paper).expect("it fits");
    }

    #[test]
    fn a_trajectory_with_too_large_a_report_is_refused_with_its_numbers() {
        let error =
            parse("depth = 5\nmax_updates = [10, 2_000_000]\neval_every = { from = 1, to = 9 }").expect_err("2000002");
        assert!(error.contains("2000002 evaluations of 1 values") && error.contains("2000000"), "{error}");
        assert!(error.contains("eval_every"), "{error}");
        parse("depth = 5\nmax_updates = [10, 2_000_000]\neval_every = { from = 2, to = 9 }").expect("it fits");
        let measured = format!("{FIVE}; depth = 14\nmax_updates = 1_000_000\neval_every = 30");
        let error = parse(&measured).expect_err("2533409");
        assert!(error.contains("33334 evaluations of 76 values"), "{error}");
        // The largest possible numbers are counted without overflow.
        parse(&format!("depth = 1\nmax_updates = {}\neval_every = 1", 1_u64 << 53)).expect_err("far too many");
    }

    #[test]
    fn a_stored_sweep_is_read_and_extended_whatever_the_size_of_its_reports() {
        let text = "name = \"r\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"fa\"\nnetwork = \"nn\"\ndepth = 1\n\
                    max_updates = 1_000_000_000\neval_every = 390\nearly_stop_start = 0\nweight_decay = 1e-50\n";
        let long = format!("{text}# {}", "x".repeat(crate::spec::SPEC_BYTES_MAX));
        for text in [text, &long] {
            SweepSpec::parse(text, Format::Toml, "r").expect_err("refused at submission");
        }
        let stored = |text: &str| {
            let text = SpecText { text: String::new(), format: Format::Toml, resolved: text.to_owned() };
            text.spec("r").expect("accepted from the store")
        };
        let large = &stored(&long);
        assert_eq!(
            large.grid.configuration(TrialIndex(0)).map(|trial| trial.stopping_rule.max_updates),
            Some(1_000_000_000)
        );
        let more = parse("depth = 2").expect("it fits");
        assert_eq!(large.extended(&more).map(|both| both.grid.trials()), Ok(2));
        let too_large = stored(&text.replace("depth = 1", "depth = 2"));
        large.extended(&too_large).expect_err("an extension is checked");
        assert_eq!(
            large.followed_by(&too_large).map(|both| both.grid.trials()),
            Ok(2),
            "a stored extension is not checked"
        );
    }

    #[test]
    fn an_extension_has_the_measures_of_its_sweep() {
        let base = parse(&format!("{FIVE}; depth = 1\nmax_updates = 100")).expect("it fits");
        let more = parse("depth = 1\nmax_updates = 1_000_000\neval_every = 1").expect("it fits without measures");
        let error = base.extended(&more).expect_err("with them it does not").to_string();
        assert!(error.contains("evaluations of 11 values") && error.contains("eval_every"), "{error}");
    }
}
