//! The policies of the scheduler: the choice of grants, and the consequences of failures.
//!
//! | module | contents |
//! |---|---|
//! | `packing` | bundles for idle workers |
//! | `fair_share` | the order of sweeps |
//! | `failures` | retries, quarantine of workers, pauses of sweeps |
//! | [`reuse`] | results that one sweep takes over from another |
//! | [`scope`] | stored sweeps that this coordinator does not work on |

pub(crate) mod failures;
pub(crate) mod fair_share;
pub(crate) mod packing;
pub mod reuse;
pub mod scope;
