//! Every kind of figure, drawn from the same material.

use biosweep_common::names;
use biosweep_common::results::views::CurveView;
use biosweep_common::settings::Setting;
use biosweep_common::vocabulary::diagnostics::Measure;

use super::output::Figure;
use super::output::size::Width;
use super::{
    accuracy_by_depth, accuracy_by_learning_rate, contrasts, diagnostics, importance, learning_curves, sensitivity,
    tuning_budget,
};
use crate::aggregate::{self, Cell};
use crate::axes::importance::importance as importance_of;
use crate::axes::sensitivity::{is_tuned, sorted, spreads};
use crate::compare::Comparison;
use crate::replicates::{Divergence, Replicates};

names! {
    /// The kind of a figure.
    Kind("kind of figure") {
        /// Test accuracy by depth, the paper's Figure 1.
        AccuracyByDepth = "accuracy-by-depth",
        /// Contrasts of arms with their intervals.
        Contrasts = "contrasts",
        /// Test accuracies of all settings, sorted, the paper's Figure 2.
        Sensitivity = "sensitivity",
        /// Test accuracy by learning rate.
        LearningRate = "learning-rate",
        /// Test accuracy by the number of settings tried.
        TuningBudget = "tuning-budget",
        /// How much each axis matters.
        Importance = "importance",
        /// Validation accuracy by updates.
        LearningCurves = "learning-curves",
        /// Diagnostics of each layer by updates, a figure for each measure.
        Diagnostics = "diagnostics",
    }
}

/// What figures are drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// The title of the figures.
    pub title: &'a str,
    /// The results.
    pub replicates: &'a Replicates,
    /// The comparison of arms.
    pub comparison: &'a Comparison,
    /// The learning curves with diagnostics; `None` if there are only results.
    pub curves: Option<&'a [CurveView]>,
}

impl Kind {
    /// Whether it shows learning curves or diagnostics.
    #[must_use]
    pub const fn is_of_curves(self) -> bool {
        matches!(self, Self::LearningCurves | Self::Diagnostics)
    }
}

impl Material<'_> {
    /// The kinds that show something: two learning rates at least for accuracy by learning rate, and so on. Accuracy by depth
    /// is always there.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let Self { replicates, comparison, curves, .. } = *self;
        let has = |kind: &Kind| match kind {
            Kind::AccuracyByDepth => true,
            Kind::Contrasts => comparison.all().filter(|contrast| contrast.interval.is_some()).count() > 1,
            Kind::Sensitivity => sorted(replicates).iter().any(|one| one.settings > 1),
            Kind::LearningRate => replicates.values(Setting::LearningRate).len() > 1,
            Kind::TuningBudget => is_tuned(replicates),
            Kind::Importance => importance_of(replicates).is_some(),
            Kind::LearningCurves => curves.is_some(),
            Kind::Diagnostics => curves.is_some_and(|curves| curves.iter().any(|curve| !curve.diagnostics.is_empty())),
        };
        Kind::ALL.iter().copied().filter(has).collect()
    }

    /// The figures of a kind, with the names of their files without the ending.
    #[must_use]
    pub fn figures(&self, kind: Kind, width: Width) -> Vec<(String, Figure)> {
        let Self { title, replicates, comparison, curves } = *self;
        let curves = curves.unwrap_or_default();
        let figure = match kind {
            Kind::AccuracyByDepth => accuracy_by_depth(title, &self.cells(), width),
            Kind::Contrasts => contrasts(title, comparison, width),
            Kind::Sensitivity => sensitivity(title, &sorted(replicates), width),
            Kind::LearningRate => accuracy_by_learning_rate(title, replicates, width),
            Kind::TuningBudget => tuning_budget(title, &spreads(replicates), width),
            Kind::Importance => importance(title, importance_of(replicates).as_ref(), width),
            Kind::LearningCurves => learning_curves(title, &self.cells(), curves, width),
            Kind::Diagnostics => {
                let name = |measure: Measure| measure.name().replace('_', "-");
                let figures = diagnostics(title, &self.cells(), curves, width);
                return figures.into_iter().map(|(measure, figure)| (name(measure), figure)).collect();
            }
        };
        vec![(kind.name().to_owned(), figure)]
    }

    /// The cells of the results.
    #[must_use]
    pub fn cells(&self) -> Vec<Cell> {
        aggregate::cells(self.replicates, Divergence::Guess)
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::settings::Value;
    use biosweep_common::spec::AnalysisPlan;

    use super::*;
    use crate::compare::verdicts;
    use crate::samples::{completed, curves, paper, with};

    #[test]
    fn only_kinds_that_show_something_are_offered() {
        let results = paper(2);
        let replicates = Replicates::of(&results).expect("known counts");
        let none = Comparison::default();
        let material = Material { title: "s", replicates: &replicates, comparison: &none, curves: None };
        assert_eq!(material.kinds(), [Kind::AccuracyByDepth, Kind::Sensitivity, Kind::Importance]);
        let curves = curves(&results);
        let kinds = Material { curves: Some(&curves), ..material }.kinds();
        assert!(kinds.contains(&Kind::LearningCurves) && !kinds.contains(&Kind::Diagnostics), "{kinds:?}");
        let rate = |rate| with(completed("bp", "nn", 5, 0.9, 0.9), &[("learning_rate", Value::Real(rate))]);
        let replicates = Replicates::of(&[rate(0.1), rate(0.01)]).expect("known counts");
        let kinds = Material { replicates: &replicates, ..material }.kinds();
        assert!(kinds.contains(&Kind::LearningRate) && kinds.contains(&Kind::TuningBudget), "{kinds:?}");
        let comparison = verdicts(&Replicates::of(&paper(2)).expect("known counts"), &AnalysisPlan::default());
        assert!(Material { comparison: &comparison, ..material }.kinds().contains(&Kind::Contrasts));
        let nothing = Replicates::default();
        assert_eq!(Material { replicates: &nothing, ..material }.kinds(), [Kind::AccuracyByDepth]);
    }
}
