//! The report of a sweep: one HTML page that needs no other file.
//!
//! | module | contents |
//! |---|---|
//! | `record` | the results, added one by one |
//! | `spec` | the spec: its text, and what it says |
//! | `combinations` | the values of each setting in results |
//! | `design` | the values of each setting in each block |
//! | `methods` | the methods in sentences |
//! | `tables` | accuracies and the best settings |
//! | `illustrations` | figures with their captions |
//! | `failures` | failures by cause, and divergences |
//! | `page` | the page, from the templates in `templates/report/` |
//! | [`words`] | numbers, lists and dates in words |

mod combinations;
mod design;
mod failures;
mod illustrations;
mod methods;
mod page;
mod record;
mod spec;
mod tables;
#[cfg(test)]
mod tests;
pub mod words;

use biosweep_common::results::views::{IncompleteAttempt, IncompleteCause, SweepView};
use biosweep_common::vocabulary::time::WallTime;

use crate::compare::Comparison;

pub use illustrations::{Illustration, illustrations};
pub use record::Record;
pub use spec::Spec;

/// What a report is written from.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The sweep, or the file with the results.
    pub subject: Subject<'a>,
    /// The results.
    pub record: &'a Record,
    /// The contrasts on which it gives verdicts.
    pub comparison: &'a Comparison,
    /// The figures, in order.
    pub illustrations: &'a [Illustration],
    /// The time of the report.
    pub now: WallTime,
    /// The version of biosweep.
    pub version: &'a str,
}

/// What a report is about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A sweep of a store.
    Sweep {
        /// The sweep.
        sweep: &'a SweepView,
        /// Its spec.
        spec: &'a Spec,
        /// Its latest incomplete attempts, latest first. They tell which trials failed for a cause.
        attempts: &'a [IncompleteAttempt],
        /// The causes of all its incomplete attempts, most frequent first.
        causes: &'a [IncompleteCause],
    },
    /// An exported file of results, which has no learning curves.
    File {
        /// The name of the file.
        name: &'a str,
    },
}

/// The report as an HTML page. It loads nothing and runs no script.
///
/// # Panics
/// If memory cannot take the page.
#[must_use]
pub fn html(contents: &Contents<'_>) -> String {
    page::render(contents)
}
