//! A learning curve, and the stopping rules that watch it.
//!
//! One trajectory is trained once; each of its trials watches the same curve with its own rule and takes from it the
//! result it would have had alone.

use serde::{Deserialize, Serialize};

use crate::configuration::StoppingRule;

/// One evaluation of a network in training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Updates done before this evaluation.
    pub update: u64,
    /// Mean training loss over the updates since the evaluation before.
    pub train_loss: f64,
    /// Fraction of the validation images classified correctly.
    pub validation_accuracy: f64,
    /// The same for the test images; taken only where the validation accuracy is the best so far to some trial that is
    /// still in training.
    pub test_accuracy: Option<f64>,
}

/// What a finished trial found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The best validation accuracy, a fraction.
    pub validation_accuracy: f64,
    /// The test accuracy at that evaluation, a fraction.
    pub test_accuracy: f64,
    /// The update of that evaluation.
    pub best_update: u64,
    /// The update at which the trial ended.
    pub updates: u64,
}

/// A stopping rule watching a curve, point by point.
///
/// ```text
/// Watching ──point at max_updates, or patience run out──▶ ended
/// ```
///
/// A curve may hold evaluations that the trial would not have made alone: those at the ends of others that share its
/// trajectory. Only its own count, which are those at multiples of `eval_every` and the one at its `max_updates`.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlyStopper {
    rule: StoppingRule,
    eval_every: u64,
    best: Option<CurvePoint>,
    stale_evaluations: u32,
    ended_at: Option<u64>,
}

impl EarlyStopper {
    /// A stopper that has seen nothing yet, of a trial that is evaluated every `eval_every` updates and at its end.
    #[must_use]
    pub fn new(rule: StoppingRule, eval_every: u64) -> Self {
        Self { rule, eval_every, best: None, stale_evaluations: 0, ended_at: None }
    }

    /// Whether the trial would evaluate here, and finds more than ever before: strictly, so that the earliest of equals
    /// stays the best.
    #[must_use]
    pub fn is_improved_by(&self, point: &CurvePoint) -> bool {
        self.sees(point) && self.best.is_none_or(|best| point.validation_accuracy > best.validation_accuracy)
    }

    /// Whether this is an evaluation of the trial: none is once the rule has ended it.
    fn sees(&self, point: &CurvePoint) -> bool {
        let max_updates = self.rule.max_updates;
        let evaluates = point.update == max_updates || point.update.is_multiple_of(self.eval_every);
        self.ended_at.is_none() && point.update <= max_updates && evaluates
    }

    /// The next evaluation of the trajectory.
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

    /// The trial's result, once it has ended.
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
    fn patience_counts_from_the_best_but_ends_nothing_before_the_start() {
        let early_stop = Some(EarlyStop { start: 50, patience: 2 });
        let score = watch(1_000, early_stop, &[0.9, 0.5, 0.5, 0.5, 0.5, 0.95]).expect("ended");
        assert_eq!((score.updates, score.best_update), (50, 10));
    }

    #[test]
    fn an_improvement_renews_patience() {
        let early_stop = Some(EarlyStop { start: 0, patience: 2 });
        let score = watch(1_000, early_stop, &[0.5, 0.4, 0.6, 0.6, 0.6]).expect("ended");
        assert_eq!((score.updates, score.best_update), (50, 30), "the earliest of equals stays");
    }

    #[test]
    fn a_curve_that_has_not_ended_has_no_score() {
        assert_eq!(watch(100, None, &[0.5, 0.6]), None);
    }

    #[test]
    fn evaluations_that_the_trial_would_not_have_made_do_not_count() {
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
        assert_eq!(score(StoppingRule { max_updates: 30, early_stop: None }), Some((30, 30)), "15 is another's end");
        assert_eq!(score(StoppingRule { max_updates: 15, early_stop: None }), Some((15, 15)), "and its own counts");
        assert_eq!(score(patient(25, 1)), Some((25, 20)), "what others see does not try its patience");
        assert_eq!(score(StoppingRule { max_updates: 27, early_stop: None }), None, "its end was not evaluated");
    }
}
