//! Runs with real processes: without faults, with faults, how they end, and what they draw.

mod faults;
mod leaders;
mod single_node;
mod soak;
mod stopping;
mod terminal;
