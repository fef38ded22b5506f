//! The coordinator's rate for sweeps of increasing size.

use super::BenchError;
use super::dispatch::{Load, Measured, unsecured};

/// The sizes of the sweeps, in trials.
const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];

/// Dispatches sweeps of increasing size.
pub(crate) async fn growth(load: Load) -> Result<Vec<Measured>, BenchError> {
    let mut measured = Vec::with_capacity(SIZES.len());
    for trials in SIZES {
        measured.push(unsecured(Load { trials, ..load }).await?);
    }
    Ok(measured)
}
