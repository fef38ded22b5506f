//! The analysis of a sweep's results, for people and for other programs.
//!
//! | module | contents |
//! |---|---|
//! | [`aggregate`] | from results to cells: the mean accuracy of each rule on each network |
//! | [`compare`] | two arms: intervals, p-values, verdicts |
//! | [`export`] | results, curves and diagnostics as files: CSV, JSON Lines, Parquet, TensorBoard |
//! | [`figures`] | results and curves as figures |
//! | [`import`] | results read back from files |
//! | [`importance`] | how much each axis matters |
//! | [`replicates`] | results in memory: configurations with their replicates, and means over these |
//! | [`selection`] | the choice among candidates |
//! | [`sensitivity`] | how much an arm depends on its tuning settings |
//! | [`statistics`] | means, intervals, tests and importances of plain numbers |
//! | `samples` | sample results for tests |

pub mod aggregate;
pub mod compare;
pub mod export;
pub mod figures;
pub mod import;
pub mod importance;
pub mod replicates;
pub mod selection;
pub mod sensitivity;
pub mod statistics;

#[cfg(any(test, feature = "testing"))]
pub mod samples;
