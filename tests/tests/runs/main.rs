//! Runs with real processes: without faults, with faults, and how they end.

mod faults;
mod single_node;
mod stopping;
