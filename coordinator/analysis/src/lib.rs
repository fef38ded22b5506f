//! The analysis of a sweep's results, for people and for other programs.
//!
//! | module | contents |
//! |---|---|
//! | [`aggregate`] | from results to cells: the mean accuracy of each rule on each network |
//! | [`export`] | results and curves as files: CSV, JSON Lines |
//! | [`figures`] | results and curves as figures |
//! | [`statistics`] | means, intervals, tests and importances of plain numbers |
//! | `samples` | sample results for tests |

pub mod aggregate;
pub mod export;
pub mod figures;
pub mod statistics;

#[cfg(any(test, feature = "testing"))]
pub mod samples;
