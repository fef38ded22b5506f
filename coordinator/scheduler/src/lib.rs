//! The scheduler, pure: `apply(now, Event) -> Vec<Action>`. The scheduler awaits nothing, reads no clock
//! and draws no random number.
//!
//! | module | contents |
//! |---|---|
//! | [`event`] | events in, actions out |
//! | [`record`] | the records that a store keeps |
//! | [`scheduler`] | the state, and `apply` |
//! | `handlers` | one handler for each kind of event |
//! | [`policies`] | bundles, fair share, failures, reuse, scope |
//! | [`tables`] | leases, workers and sweeps, with their indexes |
//! | [`batcher`] | transactions, and the outputs that are released after their commit |
//! | [`status`] | views of sweeps and workers |
//! | `invariants` | checks of the scheduler's state |
//! | `testing` | a scheduler without time, network or disk, for tests |

pub mod batcher;
pub mod event;
mod handlers;
mod invariants;
pub mod policies;
pub mod record;
pub mod scheduler;
pub mod status;
pub mod tables;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
