//! Learning curves, and the early stoppers that observe them.
//!
//! A trajectory is trained once. Each of its trials observes the same curve with its own stopping rule and has the same
//! result as if it were trained alone.

use serde::{Deserialize, Serialize};

use crate::configuration::StoppingRule;

/// One evaluation of a network in training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Updates done before this evaluation.
    pub update: u64,
    /// Mean training loss over the updates since the previous evaluation.
    pub train_loss: f64,
    /// Fraction of validation images classified correctly.
    pub validation_accuracy: f64,
    /// Fraction of test images classified correctly. It is measured only if the validation accuracy is the best so far
    /// for a trial that is still in training.
    pub test_accuracy: Option<f64>,
}

/// The result of a completed trial.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The best validation accuracy, as a fraction.
    pub validation_accuracy: f64,
    /// The test accuracy at that evaluation, as a fraction.
    pub test_accuracy: f64,
    /// The update of that evaluation.
    pub best_update: u64,
    /// The number of updates at which the trial ended.
    pub updates: u64,
}

/// Applies a stopping rule to a curve, point by point.
///
/// ```text
/// Watching ──point at max_updates, or patience run out──▶ ended
/// ```
///
/// A curve may have evaluations that the trial would not have alone: those at the ends of other trials of the
/// trajectory. The stopper counts only the trial's own: those at multiples of `eval_every` and at its `max_updates`.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopper {
    rule: StoppingRule,
    eval_every: u64,
    best: Option<CurvePoint>,
    stale_evaluations: u32,
    ended_at: Option<u64>,
}

impl EarlyStopper {
    /// A stopper at the start of a trial that is evaluated every `eval_every` updates and at its end.
    #[must_use]
    pub fn new(rule: StoppingRule, eval_every: u64) -> Self {
        Self { rule, eval_every, best: None, stale_evaluations: 0, ended_at: None }
    }

    /// Whether this is an evaluation of the trial with a higher accuracy than all before. Of equal accuracies the
    /// earliest stays the best.
    #[must_use]
    pub fn is_improved_by(&self, point: &CurvePoint) -> bool {
        self.sees(point) && self.best.is_none_or(|best| point.validation_accuracy > best.validation_accuracy)
    }

    /// Whether this is an evaluation of the trial. After its end there is none.
    fn sees(&self, point: &CurvePoint) -> bool {
        let max_updates = self.rule.max_updates;
        let evaluates = point.update == max_updates || point.update.is_multiple_of(self.eval_every);
        self.ended_at.is_none() && point.update <= max_updates && evaluates
    }

    /// Observes the next evaluation of the trajectory.
    pub fn observe(&mut self, point: &CurvePoint) {
        if !self.sees(point) {
            return;
        }
        if self.is_improved_by(point) {
            self.best = Some(*point);
            self.stale_evaluations = 0;
        } else {
            self.stale_evaluations += 1;
        }
        let out_of_patience = self
            .rule
            .early_stop
            .is_some_and(|early| point.update >= early.start && self.stale_evaluations >= early.patience);
        if out_of_patience || point.update == self.rule.max_updates {
            self.ended_at = Some(point.update);
        }
    }

    /// Whether the rule has ended the trial.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended_at.is_some()
    }

    /// The trial's result; `None` before its end.
    #[must_use]
    pub fn score(&self) -> Option<Score> {
        let (updates, best) = (self.ended_at?, self.best?);
        Some(Score {
            validation_accuracy: best.validation_accuracy,
            test_accuracy: best.test_accuracy?,
            best_update: best.update,
            updates,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::EarlyStop;

    fn curve(accuracies: &[f64]) -> Vec<CurvePoint> {
        (1..)
            .zip(accuracies)
            .map(|(i, &accuracy)| CurvePoint {
                update: i * 10,
                train_loss: 1.0,
                validation_accuracy: accuracy,
                test_accuracy: Some(accuracy - 0.01),
            })
            .collect()
    }

    fn watch(max_updates: u64, early_stop: Option<EarlyStop>, accuracies: &[f64]) -> Option<Score> {
        let mut stopper = EarlyStopper::new(StoppingRule { max_updates, early_stop }, 10);
        curve(accuracies).iter().for_each(|point| stopper.observe(point));
        stopper.score()
    }

    #[test]
    fn training_ends_at_max_updates_with_the_best_point_so_far() {
        let score = watch(40, None, &[0.5, 0.8, 0.7, 0.6, 0.9]).expect("ended");
        assert_eq!((score.updates, score.best_update), (40, 20));
        assert_eq!((score.validation_accuracy, score.test_accuracy), (0.8, 0.79));
    }

    #[test]
    fn patience_counts_from_the_best_point_but_ends_no_trial_before_the_start() {
        let early_stop = Some(EarlyStop { start: 50, patience: 2 });
        let score = watch(1_000, early_stop, &[0.9, 0.5, 0.5, 0.5, 0.5, 0.95]).expect("ended");
        assert_eq!((score.updates, score.best_update), (50, 10));
    }

    #[test]
    fn an_improvement_renews_patience() {
        let early_stop = Some(EarlyStop { start: 0, patience: 2 });
        let score = watch(1_000, early_stop, &[0.5, 0.4, 0.6, 0.6, 0.6]).expect("ended");
        assert_eq!((score.updates, score.best_update), (50, 30), "the earliest of equal points stays the best");
    }

    #[test]
    fn a_curve_that_has_not_ended_has_no_score() {
        assert_eq!(watch(100, None, &[0.5, 0.6]), None);
    }

    #[test]
    fn evaluations_for_other_trials_do_not_count() {
        let point = |update: u64, accuracy: f64| CurvePoint {
            update,
            train_loss: 1.0,
            validation_accuracy: accuracy,
            test_accuracy: Some(accuracy),
        };
        let curve = [point(10, 0.5), point(15, 0.9), point(20, 0.6), point(25, 0.4), point(30, 0.7)];
        let score = |rule| {
            let mut stopper = EarlyStopper::new(rule, 10);
            curve.iter().for_each(|point| stopper.observe(point));
            stopper.score().map(|score| (score.updates, score.best_update))
        };
        let patient =
            |max_updates, patience| StoppingRule { max_updates, early_stop: Some(EarlyStop { start: 0, patience }) };
        assert_eq!(
            score(StoppingRule { max_updates: 30, early_stop: None }),
            Some((30, 30)),
            "15 is the end of another trial"
        );
        assert_eq!(score(StoppingRule { max_updates: 15, early_stop: None }), Some((15, 15)), "its own end counts");
        assert_eq!(
            score(patient(25, 1)),
            Some((25, 20)),
            "evaluations for other trials do not count against its patience"
        );
        assert_eq!(score(StoppingRule { max_updates: 27, early_stop: None }), None, "its end was not evaluated");
    }
}
