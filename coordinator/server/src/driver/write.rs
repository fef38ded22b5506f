//! The way of one transaction to the store: it is tried until it is committed. Evidence that the store refuses is left out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use biosweep_scheduler::record::Record;
use biosweep_store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::SLOW;

/// The first pause before a store that could not be written is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A transaction on its way to the store. Dropping it gives it up.
pub(super) struct Write {
    task: JoinHandle<Result<(), StoreError>>,
    failures: mpsc::Receiver<StoreError>,
}

/// What became of a transaction.
pub(super) enum Progress {
    /// It is committed, or never will be.
    Ended(Result<(), StoreError>),
    /// It could not be committed yet, and is tried again.
    Failed(StoreError),
}

impl Write {
    /// Starts on a task of its own: the loop is busy meanwhile with what comes.
    pub(super) fn start(store: Arc<dyn Store>, records: Arc<Vec<Record>>) -> Self {
        let (failed, failures) = mpsc::channel(1);
        Self { task: tokio::spawn(commit(store, records, failed)), failures }
    }

    /// Waits for the next thing that becomes of it. It is safe to drop this before it is done.
    pub(super) async fn next(&mut self) -> Progress {
        tokio::select! {
            biased;
            Some(failure) = self.failures.recv() => Progress::Failed(failure),
            written = &mut self.task => Progress::Ended(written.expect("a store answers and does not panic")),
        }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Commits the records, at once or in the parts that a refusal leaves. `failed` hears of every attempt that fails or is slow.
async fn commit(
    store: Arc<dyn Store>,
    records: Arc<Vec<Record>>,
    failed: mpsc::Sender<StoreError>,
) -> Result<(), StoreError> {
    let mut parts = VecDeque::from([records]);
    while let Some(part) = parts.pop_front() {
        if let Err(error) = commit_part(store.as_ref(), &part, &failed).await {
            without_evidence(&part, error)?.into_iter().rev().for_each(|part| parts.push_front(part));
        }
    }
    Ok(())
}

/// Commits one part, however long the store needs to be written again.
async fn commit_part(store: &dyn Store, part: &[Record], failed: &mpsc::Sender<StoreError>) -> Result<(), StoreError> {
    let mut pause = PAUSES.0;
    loop {
        let committing = store.commit(part);
        tokio::pin!(committing);
        let committed = match tokio::time::timeout(SLOW, &mut committing).await {
            Ok(committed) => committed,
            Err(_) => {
                // The loop that hears of it may have ended.
                let _gone = failed.send(StoreError::Silent { seconds: SLOW.as_secs() }).await;
                committing.await
            }
        };
        match committed {
            Err(error) if error.is_passing() => {
                let _gone = failed.send(error).await;
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(PAUSES.1);
            }
            committed => return committed,
        }
    }
}

/// The transactions in the place of one that the store refused: its evidence alone, each report for itself. Evidence is what a
/// worker says of an attempt that is not its own any more. Nothing rests on it, so an error in it is no reason to end. All other
/// records are the coordinator's own.
fn without_evidence(records: &[Record], error: StoreError) -> Result<Vec<Arc<Vec<Record>>>, StoreError> {
    let is_refusal = matches!(error, StoreError::Refused { .. } | StoreError::Failed { .. });
    let (evidence, own): (Vec<_>, Vec<_>) = records.iter().cloned().partition(Record::is_evidence);
    match (evidence.as_slice(), own.as_slice()) {
        _ if !is_refusal => Err(error),
        ([], _) => Err(error),
        ([report], []) => {
            tracing::error!(%error, ?report, "a late report is not kept as evidence: the store refuses it");
            Ok(Vec::new())
        }
        _ => {
            let alone = evidence.into_iter().map(|record| vec![record]);
            let parts = [own].into_iter().filter(|own| !own.is_empty()).chain(alone);
            Ok(parts.map(Arc::new).collect())
        }
    }
}
