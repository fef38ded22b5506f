//! Garbage collection: deletes the checkpoints of sweeps that have ended.

use std::time::Duration;

use biosweep_common::protocol::bounds::ASKED_MAX;
use biosweep_common::vocabulary::ids::SweepId;
use biosweep_proto::v1;
use biosweep_proto::v1::workers_client::WorkersClient;

use super::reach::Carrier;
use crate::checkpoint::store::CheckpointStore;

/// The interval between two garbage collections of checkpoints.
pub(super) const GARBAGE_COLLECTION_EVERY: Duration = Duration::from_secs(600);

pub(super) async fn discard_ended(store: &CheckpointStore, mut client: WorkersClient<Carrier>) -> Result<(), String> {
    let kept = store.sweeps().await.map_err(|error| error.to_string())?;
    if kept.is_empty() {
        return Ok(());
    }
    for some in kept.chunks(ASKED_MAX) {
        let sweeps = some.iter().map(SweepId::to_string).collect();
        let ended = match client.which_ended(v1::WhichEndedRequest { sweeps }).await {
            Ok(ended) => ended.into_inner().sweeps,
            Err(status) => return Err(status.message().to_owned()),
        };
        for &sweep in some.iter().filter(|sweep| ended.contains(&sweep.to_string())) {
            store.discard_all(sweep).await.map_err(|error| error.to_string())?;
            tracing::info!(%sweep, "deleted the checkpoints of a sweep that has ended");
        }
    }
    Ok(())
}
