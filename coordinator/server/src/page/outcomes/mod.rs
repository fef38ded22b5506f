//! The outcomes of all trials of a sweep in memory, a few bytes each: they are counted, filtered and sorted at every request.
//!
//! A *cell* is a configuration: all settings but those that make replicates (fold, seed). Its trials are its replicates.
//!
//! | module | contents |
//! |---|---|
//! | `columns` | the settings of all cells, as numbers |
//! | `table` | the trials of each cell, and their outcomes |
//! | `select` | filtered and sorted cells, page by page |
//! | `cache` | the outcomes of sweeps that somebody looks at, up to date with the store |

mod cache;
mod columns;
mod select;
mod table;
#[cfg(test)]
mod tests;

pub(super) use cache::{Board, Cache, OutcomesError};
pub(super) use columns::Axis;
pub(super) use select::{Cursor, Order, Query, Row, SortBy};
pub(super) use table::Outcomes;
