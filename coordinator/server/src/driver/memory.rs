//! The memory that the sessions of workers hold: messages that wait until a worker reads them, and reports that have not arrived
//! completely. It is bounded for all sessions together. If they hold too much, the session that holds most is ended: a worker
//! that reads, and whose report arrives, holds little and is not disturbed by those that do not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Maximum bytes that all sessions hold together.
const ALL_BYTES_MAX: usize = 512 << 20;

/// The memory of all sessions.
#[derive(Debug, Clone)]
pub struct SessionMemory {
    bytes_max: usize,
    shares: Arc<Mutex<Shares>>,
}

#[derive(Debug, Default)]
struct Shares {
    /// Bytes of all sessions.
    bytes: usize,
    by_session: BTreeMap<u64, Share>,
    last: u64,
}

#[derive(Debug)]
struct Share {
    bytes: usize,
    ended: CancellationToken,
}

impl Default for SessionMemory {
    fn default() -> Self {
        Self::bounded(ALL_BYTES_MAX)
    }
}

impl SessionMemory {
    fn bounded(bytes_max: usize) -> Self {
        Self { bytes_max, shares: Arc::default() }
    }

    /// Every change is complete, so the state behind a poisoned lock is valid.
    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session that holds nothing.
    pub fn session(&self) -> MemoryShare {
        let ended = CancellationToken::new();
        let mut shares = self.shares();
        shares.last += 1;
        let session = shares.last;
        shares.by_session.insert(session, Share { bytes: 0, ended: ended.clone() });
        MemoryShare { memory: self.clone(), session, ended }
    }
}

/// The memory of one session. Dropping it frees all.
#[derive(Debug)]
pub struct MemoryShare {
    memory: SessionMemory,
    session: u64,
    ended: CancellationToken,
}

impl MemoryShare {
    /// Adds bytes to what the session holds. If all sessions hold too much, those that hold most are ended, one after another.
    pub fn hold(&self, bytes: usize) {
        let mut shares = self.memory.shares();
        let Some(share) = shares.by_session.get_mut(&self.session) else { return };
        share.bytes += bytes;
        shares.bytes += bytes;
        while shares.bytes > self.memory.bytes_max
            && let Some(most) =
                shares.by_session.iter().max_by_key(|(_, share)| share.bytes).map(|(&session, _)| session)
        {
            shares.end(most);
        }
    }

    /// Removes bytes that were held.
    pub fn free(&self, bytes: usize) {
        let mut shares = self.memory.shares();
        if let Some(share) = shares.by_session.get_mut(&self.session) {
            share.bytes -= bytes;
            shares.bytes -= bytes;
        }
    }

    /// Ends the session, which holds too much by itself.
    pub fn end(&self) {
        self.memory.shares().end(self.session);
    }

    /// Waits until the session has to end because it holds too much.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Shares {
    /// Ends a session. What it holds no longer counts, because it is freed at once.
    fn end(&mut self, session: u64) {
        if let Some(share) = self.by_session.remove(&session) {
            self.bytes -= share.bytes;
            share.ended.cancel();
        }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        let mut shares = self.memory.shares();
        if let Some(share) = shares.by_session.remove(&self.session) {
            shares.bytes -= share.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_that_holds_most_is_ended_and_no_other() {
        let memory = SessionMemory::bounded(100);
        let [small, large, last] = [memory.session(), memory.session(), memory.session()];
        small.hold(20);
        large.hold(60);
        last.hold(20);
        assert!(!large.ended.is_cancelled(), "together they hold as much as they may");
        last.hold(5);
        let ended = [&small, &large, &last].map(|share| share.ended.is_cancelled());
        assert_eq!((ended, memory.shares().bytes), ([false, true, false], 45));
        large.free(60);
        large.hold(1_000);
        assert_eq!(memory.shares().bytes, 45, "an ended session does not count");
        small.free(20);
        drop(last);
        assert_eq!(memory.shares().bytes, 0);
        small.hold(101);
        assert!(small.ended.is_cancelled(), "one session alone may hold too much");
    }
}
