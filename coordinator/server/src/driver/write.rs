//! Writing one transaction to the store. It is retried until it is committed. Late reports that the store refuses are left out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use biosweep_scheduler::record::Record;
use biosweep_store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::SLOW;

/// The first and the longest pause between two attempts to write.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A transaction that is being written. Dropping it stops the attempts.
pub(super) struct Write {
    /// The second at which it began.
    pub(super) began_s: f64,
    records: Arc<Vec<Record>>,
    task: JoinHandle<Result<(), StoreError>>,
    failures: mpsc::Receiver<StoreError>,
}

/// The progress of a transaction.
pub(super) enum Progress {
    /// The transaction is committed, or has failed permanently.
    Ended(Result<(), StoreError>),
    /// An attempt failed or is slow. The transaction is retried.
    Failed(StoreError),
}

impl Write {
    /// Starts a task that writes the records, so that the loop can process messages meanwhile.
    pub(super) fn start(store: Arc<dyn Store>, records: Arc<Vec<Record>>, began_s: f64) -> Self {
        let (failed, failures) = mpsc::channel(1);
        Self { began_s, records: Arc::clone(&records), task: tokio::spawn(commit(store, records, failed)), failures }
    }

    /// The records of the transaction.
    pub(super) const fn records(&self) -> &Arc<Vec<Record>> {
        &self.records
    }

    /// Waits for the next progress. This method is cancel-safe.
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

/// Commits the records in one transaction or, if the store refuses late reports, in several. Every attempt that fails or is slow
/// is sent to `failed`.
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

/// Commits one part, and retries it while the store cannot be written.
async fn commit_part(store: &dyn Store, part: &[Record], failed: &mpsc::Sender<StoreError>) -> Result<(), StoreError> {
    let mut pause = PAUSES.0;
    loop {
        let committing = store.commit(part);
        tokio::pin!(committing);
        let committed = match tokio::time::timeout(SLOW, &mut committing).await {
            Ok(committed) => committed,
            Err(_) => {
                // The loop may have ended.
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

/// Splits a transaction that the store refused: the coordinator's own records first, then each late report alone. Late reports
/// are evidence only: a worker sends them under an attempt that it no longer holds. So a refused late report is dropped, and any
/// other refused record is an error.
fn without_evidence(records: &[Record], error: StoreError) -> Result<Vec<Arc<Vec<Record>>>, StoreError> {
    let is_refusal = matches!(error, StoreError::Refused { .. } | StoreError::Failed { .. });
    let (evidence, own): (Vec<_>, Vec<_>) = records.iter().cloned().partition(Record::is_evidence);
    match (evidence.as_slice(), own.as_slice()) {
        _ if !is_refusal => Err(error),
        ([], _) => Err(error),
        ([Record::Late { sweep, trajectory, attempt, worker, .. }], []) => {
            tracing::error!(
                %sweep, %trajectory, %attempt, %worker, %error,
                "a late report is not stored as evidence, because the store refuses it"
            );
            Ok(Vec::new())
        }
        _ => {
            let alone = evidence.into_iter().map(|record| vec![record]);
            let parts = [own].into_iter().filter(|own| !own.is_empty()).chain(alone);
            Ok(parts.map(Arc::new).collect())
        }
    }
}
