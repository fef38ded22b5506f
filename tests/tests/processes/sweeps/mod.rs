//! Sweeps and their stored results: shared, reused, deleted, archived and imported.

mod archives;
mod deletion;
mod imports;
mod reuse;
mod sharing;
