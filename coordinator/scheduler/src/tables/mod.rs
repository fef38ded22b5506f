//! The tables of the scheduler. A table owns its indexes, so no code outside the table can make them inconsistent.
//!
//! | module | contents |
//! |---|---|
//! | `lease` | the leases, by attempt, by worker and by sweep |
//! | `worker` | the workers, by id and by deadline; quarantine; classes |
//! | `worker_class` | the workers of one class: their lanes, and which of them wait |
//! | `failures` | the failures that count against a worker, a trajectory or a sweep |
//! | `fruitless` | attempts without progress, and the pauses that follow |
//! | [`out_of_scope`] | stored sweeps that this coordinator does not work on |
//! | `accepted` | the accepted reports that a worker may repeat |
//! | [`sweep`] | a sweep that has not ended |
//! | [`pending`], `intervals` | pending trajectories, as runs of indices, by descending cost |

pub(crate) mod accepted;
pub(crate) mod failures;
pub(crate) mod fruitless;
pub(crate) mod intervals;
pub(crate) mod lease;
pub mod out_of_scope;
pub mod pending;
pub mod sweep;
pub(crate) mod worker;
pub(crate) mod worker_class;
