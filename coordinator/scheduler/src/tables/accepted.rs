//! The latest accepted reports of a worker. The worker may repeat them until it receives the acknowledgement.

use std::collections::{BTreeSet, VecDeque};

use biosweep_common::vocabulary::ids::{Attempt, TrajectoryIndex};

/// Number of reports to remember: more than can wait for an acknowledgement at once.
const REMEMBERED: usize = 4_096;

type ReportId = (Attempt, TrajectoryIndex);

/// The latest accepted reports, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accepted {
    /// The reports, oldest first.
    order: VecDeque<ReportId>,
    all: BTreeSet<ReportId>,
}

impl Accepted {
    /// Adds a report, and removes the oldest if there are too many.
    pub(crate) fn push(&mut self, report: ReportId) {
        if !self.all.insert(report) {
            return;
        }
        self.order.push_back(report);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }

    /// Whether a report is among them.
    pub(crate) fn contains(&self, report: ReportId) -> bool {
        self.all.contains(&report)
    }

    /// Keeps only the reports that are also in `these`.
    pub(crate) fn only(self, these: &BTreeSet<ReportId>) -> Self {
        let mut rest = Self::default();
        self.order.into_iter().filter(|report| these.contains(report)).for_each(|report| rest.push(report));
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_report_is_forgotten_and_no_other() {
        let report = |number: usize| (Attempt(number as u64), TrajectoryIndex(7));
        let mut accepted = Accepted::default();
        (0..=REMEMBERED).for_each(|number| accepted.push(report(number)));
        accepted.push(report(REMEMBERED));
        assert!(!accepted.contains(report(0)));
        assert!((1..=REMEMBERED).all(|number| accepted.contains(report(number))));
        let these = BTreeSet::from([report(0), report(5)]);
        let rest = accepted.only(&these);
        assert!(rest.contains(report(5)) && !rest.contains(report(0)) && !rest.contains(report(6)));
    }
}
