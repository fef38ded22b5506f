//! The messages that wait until a worker reads them. They are bounded in bytes. They can be discarded while nobody polls the
//! answer that they are sent with: the transport does not poll the answer to a worker that reads nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use biosweep_common::protocol::messages::ToWorker;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::memory::MemoryShare;

/// Maximum bytes of messages that wait for one worker: the largest grant, and more stops and acknowledgements than a worker can
/// hold trajectories. A worker that does not receive them in time is disconnected, and reconnects.
const BYTES_MAX: usize = 8 << 20;

/// Why messages were not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAdded {
    /// The worker does not read its messages.
    #[error("{waiting} bytes wait already")]
    Full {
        /// Bytes that wait.
        waiting: usize,
    },
    /// The stream has ended.
    #[error("its stream has ended")]
    Gone,
}

/// Takes messages to a worker's stream. Dropping it ends the stream after the messages that wait.
#[derive(Debug)]
pub struct Outbox(Arc<Mailbox>);

/// The messages for a worker's stream.
#[derive(Debug, Clone)]
pub struct Letters(Arc<Mailbox>);

#[derive(Debug)]
struct Mailbox {
    waiting: Mutex<Waiting>,
    /// Signals that a message was added.
    added: Notify,
    /// Whether the outbox was dropped.
    closed: CancellationToken,
    share: Arc<MemoryShare>,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<ToWorker>,
    bytes: usize,
    is_discarded: bool,
}

/// A way for messages to a worker, whose bytes count to this share.
pub fn outbox(share: Arc<MemoryShare>) -> (Outbox, Letters) {
    let (waiting, added, closed) = (Mutex::default(), Notify::new(), CancellationToken::new());
    let mailbox = Arc::new(Mailbox { waiting, added, closed, share });
    (Outbox(Arc::clone(&mailbox)), Letters(mailbox))
}

impl Mailbox {
    /// Every change is complete, so the state behind a poisoned lock is valid.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox {
    /// Adds messages. If too many wait already, the session is told to end.
    pub(crate) fn add(&self, messages: Vec<ToWorker>) -> Result<(), NotAdded> {
        let bytes: usize = messages.iter().map(ToWorker::bytes).sum();
        let mut waiting = self.0.waiting();
        if waiting.is_discarded {
            return Err(NotAdded::Gone);
        }
        if waiting.bytes + bytes > BYTES_MAX {
            let waiting = waiting.bytes;
            self.0.share.end();
            return Err(NotAdded::Full { waiting });
        }
        // They count before the worker can read them.
        self.0.share.hold(bytes);
        waiting.messages.extend(messages);
        waiting.bytes += bytes;
        drop(waiting);
        self.0.added.notify_one();
        Ok(())
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.0.closed.cancel();
    }
}

impl Letters {
    /// Waits for the next message; `None` after the last one. Only one caller waits at a time.
    pub async fn next(&self) -> Option<ToWorker> {
        loop {
            let is_closed = self.0.closed.is_cancelled();
            if let Some(message) = self.take() {
                return Some(message);
            }
            if is_closed {
                return None;
            }
            tokio::select! {
                () = self.0.added.notified() => {}
                () = self.0.closed.cancelled() => {}
            }
        }
    }

    fn take(&self) -> Option<ToWorker> {
        let mut waiting = self.0.waiting();
        let message = waiting.messages.pop_front()?;
        let bytes = message.bytes();
        waiting.bytes -= bytes;
        drop(waiting);
        self.0.share.free(bytes);
        Some(message)
    }

    /// Waits until the outbox is dropped.
    pub async fn closed(&self) {
        self.0.closed.cancelled().await;
    }

    /// Discards the messages that wait, and all further ones.
    pub fn discard(&self) {
        let mut waiting = self.0.waiting();
        waiting.messages = VecDeque::new();
        let bytes = std::mem::take(&mut waiting.bytes);
        waiting.is_discarded = true;
        drop(waiting);
        self.0.share.free(bytes);
    }

    /// Whether no message waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.waiting().messages.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::vocabulary::ids::{Attempt, TrajectoryIndex};
    use futures::FutureExt as _;

    use super::*;
    use crate::driver::memory::SessionMemory;

    fn stop(lanes: usize) -> ToWorker {
        ToWorker::Stop { attempt: Attempt(7), trajectories: vec![TrajectoryIndex(3); lanes], reason: String::new() }
    }

    #[tokio::test]
    async fn messages_that_nobody_reads_are_bounded_in_bytes_and_can_be_discarded() {
        let share = Arc::new(SessionMemory::default().session());
        let (outbox, letters) = outbox(Arc::clone(&share));
        let added = (0..).map(|_| outbox.add(vec![stop(1_024)])).find(Result::is_err);
        let Some(Err(NotAdded::Full { waiting })) = added else { panic!("{added:?}") };
        assert!(waiting <= BYTES_MAX && waiting > BYTES_MAX / 2, "{waiting}");
        assert_eq!(share.ended().now_or_never(), Some(()), "its session has to end");
        letters.discard();
        assert!(letters.is_empty());
        assert_eq!(outbox.add(vec![stop(1)]), Err(NotAdded::Gone));
        drop(outbox);
        assert_eq!(letters.next().await, None);
    }

    #[tokio::test]
    async fn a_dropped_outbox_ends_the_stream_after_its_messages() {
        let (outbox, letters) = outbox(Arc::new(SessionMemory::default().session()));
        assert_eq!(letters.next().now_or_never(), None, "it waits");
        outbox.add(vec![stop(1), stop(2)]).expect("there is room");
        drop(outbox);
        assert_eq!(letters.next().await, Some(stop(1)));
        assert_eq!(letters.next().await, Some(stop(2)));
        assert_eq!(letters.next().await, None);
    }
}
