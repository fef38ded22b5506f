//! The scheduler, pure: `apply(now, Event) -> Vec<Action>`. It awaits nothing, reads no clock and draws no number.
//!
//! | module | contents |
//! |---|---|
//! | [`event`] | events in, actions out |
//! | [`record`] | the records that a store keeps |
//! | [`scheduler`] | the state, and `apply` |
//! | `grant` | bundles for idle workers |
//! | `fair_share` | the order of sweeps |
//! | `control` | commands of a sweep's owner: extend, cancel, pause, resume, retry |
//! | `attempt_end` | the ends of attempts: reports accepted or refused, results, retries |
//! | `accepted` | the reports that a worker may repeat |
//! | `failures` | quarantine of workers, pauses of sweeps |
//! | [`reuse`] | results that one sweep takes over from another |
//! | [`sweep`], [`lease`], `worker`, `worker_class` | the tables |
//! | `pending`, `intervals` | pending trajectories, as runs of indices, by descending cost |
//! | [`scope`] | stored sweeps that are left alone |
//! | [`status`] | views for people |
//! | `testing` | a world for tests |
//! | `invariants` | what always holds |

mod accepted;
mod attempt_end;
mod control;
pub mod event;
mod failures;
mod fair_share;
mod grant;
pub mod intervals;
mod invariants;
pub mod lease;
mod pending;
pub mod record;
pub mod reuse;
pub mod scheduler;
pub mod scope;
pub mod status;
pub mod sweep;
mod worker;
mod worker_class;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
