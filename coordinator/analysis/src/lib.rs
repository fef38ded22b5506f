//! The analysis of a sweep's results, for people and for other programs.
//!
//! | module | contents |
//! |---|---|
//! | [`aggregate`] | from results to cells: the mean accuracy of each rule on each network |
//! | [`axes`] | how much each axis matters, and how much an arm depends on its tuning settings |
//! | [`compare`] | two arms: intervals, p-values, verdicts |
//! | [`export`] | results, curves and diagnostics as files: CSV, JSON Lines, Parquet, TensorBoard |
//! | [`figures`] | results and curves as figures |
//! | [`import`] | results read back from files |
//! | [`replicates`] | results in memory: configurations with their replicates, and means over these |
//! | [`report`] | a sweep's report as one HTML page |
//! | [`selection`] | the choice among candidates |
//! | [`statistics`] | means, intervals, tests and importances of plain numbers |
//! | `samples` | sample results for tests |

pub mod aggregate;
pub mod axes;
pub mod compare;
pub mod export;
pub mod figures;
pub mod import;
pub mod replicates;
pub mod report;
pub mod selection;
pub mod statistics;

#[cfg(any(test, feature = "testing"))]
pub mod samples;
