//! Results: learning curves, outcomes, and what a coordinator shows of them.

pub mod curve;
pub mod names;
pub mod outcome;
pub mod views;
