//! Extends a sweep by the trials of another spec. The existing trials keep their numbers.

use std::fmt::Debug;

use super::SweepSpec;
use crate::grid::{Grid, TooFine, TooLarge};
use crate::spec::{EQUIVALENCE_MARGIN, ExecutionOptions, PlannedContrast, Reuse, TooManyPoints, reports};
use crate::workers::capability::Requirement;

/// Why a sweep cannot be extended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// An option of the whole sweep differs.
    #[error(
        "the extension has {key} = {theirs}, but the sweep has {ours}; remove `{key}`, or submit the extension as a new sweep"
    )]
    Contradicts {
        /// The key.
        key: &'static str,
        /// The value in the sweep.
        ours: String,
        /// The value in the extension.
        theirs: String,
    },
    /// The new trials cannot be written with a limited number of pieces.
    #[error(
        "the new trials of the extension cut the values of `{setting}` into too many pieces; use axes that \
         do not interleave with those of the sweep"
    )]
    TooFine {
        /// The setting.
        setting: &'static str,
    },
    /// The sweep would have too many trials.
    #[error("with it, {0}; the maximum is {max}", max = Grid::TRIALS_MAX)]
    TooLarge(#[from] TooLarge),
    /// A trajectory of the extension would have a report that is too large.
    #[error("{0}; {help}", help = TooManyPoints::HELP)]
    TooManyPoints(#[from] TooManyPoints),
}

impl SweepSpec {
    /// This sweep, followed by the trials of an extension that it does not have. Options of the whole sweep must agree;
    /// the name of the extension may differ.
    ///
    /// # Errors
    /// Options that differ, or trials that are too many or need too many pieces.
    pub fn extended(&self, extension: &Self) -> Result<Self, ExtensionError> {
        let both = self.followed_by(extension)?;
        // The existing trials may exceed the current limits.
        reports::check(&both.grid.blocks()[self.grid.blocks().len()..], &self.measures)?;
        Ok(both)
    }

    /// The same for an extension that was accepted before, without the checks of its size.
    ///
    /// # Errors
    /// As [`SweepSpec::extended`].
    pub fn followed_by(&self, extension: &Self) -> Result<Self, ExtensionError> {
        self.agree(extension)?;
        let more = if self.execution.share { extension.grid.clone() } else { extension.grid.clone().unshared() };
        let too_fine = |TooFine { setting }| ExtensionError::TooFine { setting: setting.name() };
        let mut blocks = self.grid.blocks().to_vec();
        blocks.extend(more.beyond(&self.grid).map_err(too_fine)?);
        let grid = Grid::new(blocks)?;
        Ok(Self { grid, ..self.clone() })
    }

    fn agree(&self, extension: &Self) -> Result<(), ExtensionError> {
        let measures = |spec: &Self| spec.measures.iter().map(|measure| measure.name()).collect::<Vec<_>>();
        agree("measure", &measures(self), &measures(extension), &Vec::new())?;
        let (ours, theirs, default) = (&self.execution, &extension.execution, &ExecutionOptions::default());
        agree("retries", &ours.retries_max, &theirs.retries_max, &default.retries_max)?;
        agree("checkpoint_every_s", &ours.checkpoint_every_s, &theirs.checkpoint_every_s, &default.checkpoint_every_s)?;
        agree("share", &ours.share, &theirs.share, &default.share)?;
        agree_as("reuse", &ours.reuse, &theirs.reuse, &default.reuse, Reuse::to_string)?;
        agree("priority", &ours.priority, &theirs.priority, &default.priority)?;
        agree("weight", &ours.weight, &theirs.weight, &default.weight)?;
        agree_as("require", &ours.require, &theirs.require, &default.require, Requirement::to_string)?;
        let (ours, theirs) = (&self.analysis, &extension.analysis);
        agree("equivalence_margin", &ours.equivalence_margin, &theirs.equivalence_margin, &EQUIVALENCE_MARGIN)?;
        let count = |contrasts: &Vec<PlannedContrast>| format!("{} planned contrasts", contrasts.len());
        agree_as("contrast", &ours.contrasts, &theirs.contrasts, &Vec::new(), count)
    }
}

/// A default value is not a contradiction, because the spec may not have set it.
fn agree<T: Debug + PartialEq>(key: &'static str, ours: &T, theirs: &T, default: &T) -> Result<(), ExtensionError> {
    agree_as(key, ours, theirs, default, |value| format!("{value:?}"))
}

fn agree_as<T: PartialEq>(
    key: &'static str,
    ours: &T,
    theirs: &T,
    default: &T,
    say: impl Fn(&T) -> String,
) -> Result<(), ExtensionError> {
    if ours == theirs || theirs == default {
        return Ok(());
    }
    Err(ExtensionError::Contradicts { key, ours: say(ours), theirs: say(theirs) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::TrialKey;
    use crate::spec::Format;
    use crate::vocabulary::ids::TrialIndex;

    fn spec(text: &str) -> SweepSpec {
        let text =
            format!("name = \"e\"\n{text}\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\n");
        let (top, grid) = text.split_once("; ").expect("keys and grid");
        let (grid, rest) = grid.split_once('\n').expect("what follows");
        let text = format!("{top}\n{rest}{}", grid.replace("; ", "\n"));
        SweepSpec::parse(&text, Format::Toml, "e").unwrap_or_else(|errors| panic!("{errors}\n{text}"))
    }

    fn keys(spec: &SweepSpec) -> Vec<TrialKey> {
        let trials = (0..spec.grid.trials()).map(TrialIndex);
        trials.filter_map(|trial| spec.grid.configuration(trial)).map(|configuration| configuration.key()).collect()
    }

    #[test]
    fn existing_trials_keep_their_numbers_and_new_ones_follow() {
        let base = spec("; depth = [1, 2]; seed = [0, 1]");
        let more = spec("; depth = [2, 3]; seed = { from = 0, count = 4 }");
        let both = base.extended(&more).expect("it fits");
        let (had, has) = (keys(&base), keys(&both));
        assert_eq!(has[..4], had);
        let mut new: Vec<TrialKey> = keys(&more).into_iter().filter(|key| !had.contains(key)).collect();
        let mut followed = has[4..].to_vec();
        new.sort_unstable();
        followed.sort_unstable();
        assert_eq!((followed.len(), followed), (6, new));
    }

    #[test]
    fn a_second_equal_extension_changes_nothing() {
        let base = spec("; depth = [1, 2]; seed = [0, 1]");
        let more = spec("; depth = [2, 3]; seed = [1, 2]; max_updates = [10, 3900]");
        let once = base.extended(&more).expect("it fits");
        assert_eq!(once.extended(&more).expect("it fits"), once);
        assert_eq!(once.extended(&base).expect("it fits"), once);
    }

    #[test]
    fn a_billion_trials_are_extended_without_enumeration() {
        let base = spec("; depth = 1; seed = { from = 0, count = 1_000_000_000 }");
        let more = spec("; depth = [1, 2]; seed = { from = 500, count = 1_000_000_000 }");
        assert_eq!(base.extended(&more).expect("it fits").grid.trials(), 2_000_000_500);
        let odd = spec("; depth = 1; seed = { from = 1, to = 900_000_001, step = 2 }");
        let error = odd.extended(&base).expect_err("half a billion pieces").to_string();
        assert!(error.contains("`seed`"), "{error}");
    }

    #[test]
    fn an_option_that_differs_is_refused_and_one_that_is_not_set_is_accepted() {
        let base = spec("measure = [\"weight_norm\"]; depth = 1");
        assert_eq!(base.extended(&spec("; depth = 2")).map(|both| both.grid.trials()), Ok(2));
        let error = base.extended(&spec("measure = [\"update_norm\"]; depth = 2")).expect_err("another measure");
        assert!(
            error.to_string().contains("measure = [\"update_norm\"], but the sweep has [\"weight_norm\"]"),
            "{error}"
        );
    }
}
