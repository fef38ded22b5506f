//! Results: learning curves, outcomes, and what a coordinator shows of them.

pub mod curve;
pub mod outcome;
pub mod views;
