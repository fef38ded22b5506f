//! Whether the coordinator's rate stays what it is as a sweep grows.

use super::BenchError;
use super::dispatch::{Load, Measured, dispatch};

/// Trials of the sweeps.
const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];

/// Dispatches ever greater sweeps.
pub(crate) async fn growth(load: Load) -> Result<Vec<Measured>, BenchError> {
    let mut measured = Vec::with_capacity(SIZES.len());
    for trials in SIZES {
        measured.push(dispatch(Load { trials, ..load }).await?);
    }
    Ok(measured)
}
