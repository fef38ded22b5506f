//! The scheduler, pure: `apply(now, Event) -> Vec<Action>`. It awaits nothing, reads no clock and draws no number.
//!
//! | room | holds |
//! |---|---|
//! | [`event`] | what it is told, and what it wants done |
//! | [`scheduler`] | the state and `apply` |
//! | `ending` | how attempts end: reports accepted or refused, results, retries |
//! | [`sweep`] | a running sweep |
//! | [`lease`] | a bundle in a worker's hands |
//! | [`intervals`] | the pending trajectories |
//! | `status` | what it shows of itself |

mod ending;
pub(crate) mod event;
pub(crate) mod intervals;
pub(crate) mod lease;
pub(crate) mod scheduler;
mod status;
pub(crate) mod sweep;

#[cfg(test)]
mod tests;
