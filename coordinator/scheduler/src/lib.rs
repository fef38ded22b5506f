//! The scheduler, pure: `apply(now, Event) -> Vec<Action>`. It awaits nothing, reads no clock and draws no number.
//!
//! | room | holds |
//! |---|---|
//! | [`event`] | what it is told, and what it wants done |
//! | [`record`] | the facts that a store keeps |
//! | [`scheduler`] | the state and `apply` |
//! | `grant` | who gets what |
//! | `accepted` | what a worker may say again |
//! | `control` | what a sweep's owner asks for: extend, cancel, pause, resume, retry |
//! | `trust` | what failures say of workers and sweeps: quarantine, pauses |
//! | [`reuse`] | results that one sweep takes over from another |
//! | `ending` | how attempts end: reports accepted or refused, results, retries |
//! | [`sweep`] | a running sweep |
//! | `worker`, `crew` | a worker, as it is known, and those that are alike |
//! | [`lease`] | a bundle in a worker's hands |
//! | `pending`, `intervals` | the trajectories that wait, dearest first, as runs |
//! | `turn` | whose turn it is among sweeps |
//! | [`scope`] | what it leaves alone |
//! | [`status`] | what it shows of itself |
//! | `testing` | a world for tests |
//! | `invariants` | what always holds |

mod accepted;
mod control;
mod crew;
mod ending;
pub mod event;
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
mod trust;
mod turn;
mod worker;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
