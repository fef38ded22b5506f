//! Sweeps and their stored results: shared, reused and deleted.

mod deletion;
mod reuse;
mod sharing;
