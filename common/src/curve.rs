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
    /// The same for the test images; taken only where the validation accuracy is the best so far.
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
#[derive(Debug, Clone, PartialEq)]
pub struct Watcher {
    rule: StoppingRule,
    best: Option<CurvePoint>,
    stale_evaluations: u32,
    ended_at: Option<u64>,
}

impl Watcher {
    /// A watcher that has seen nothing yet.
    #[must_use]
    pub fn new(rule: StoppingRule) -> Self {
        Self { rule, best: None, stale_evaluations: 0, ended_at: None }
    }

    /// The next evaluation; ignored once the rule has ended the trial.
    pub fn observe(&mut self, point: &CurvePoint) {
        if self.ended_at.is_some() {
            return;
        }
        if improves(self.best.as_ref(), point) {
            self.best = Some(*point);
            self.stale_evaluations = 0;
        } else {
            self.stale_evaluations += 1;
        }
        let out_of_patience = self
            .rule
            .early_stop
            .is_some_and(|early| point.update >= early.start && self.stale_evaluations >= early.patience);
        if out_of_patience || point.update >= self.rule.max_updates {
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

/// Whether `point` is better than the best before it: strictly, so that the earliest of equals stays.
#[must_use]
pub fn improves(best: Option<&CurvePoint>, point: &CurvePoint) -> bool {
    best.is_none_or(|best| point.validation_accuracy > best.validation_accuracy)
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
        let mut watcher = Watcher::new(StoppingRule { max_updates, early_stop });
        curve(accuracies).iter().for_each(|point| watcher.observe(point));
        watcher.score()
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
}
