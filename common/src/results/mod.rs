//! Results: learning curves, outcomes, notes, and what a coordinator shows of them.

pub mod curve;
pub mod names;
pub mod note;
pub mod outcome;
pub mod views;
