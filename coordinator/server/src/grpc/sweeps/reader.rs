//! Callers that read learning curves: how many parts of curves they have in memory at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tonic::Request;

use crate::connections::Account;

/// Parts of learning curves that all callers read at once. Each has up to two million points.
static READERS: Semaphore = Semaphore::const_new(8);

/// A caller that reads learning curves. Each has few turns at once, so that curves that nobody takes do not fill the memory.
pub(super) struct Reader(Option<Arc<Account>>);

/// The turn of a reader: one part of a curve may be in memory.
pub(super) struct Turn {
    _of_caller: Option<OwnedSemaphorePermit>,
    _of_all: SemaphorePermit<'static>,
}

impl Reader {
    /// Who sent a request; `None` for the owner in this process.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        Self(request.extensions().get().cloned())
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Turn {
        let of_caller = match &self.0 {
            Some(account) => Some(Arc::clone(&account.curves).acquire_owned().await.expect("it is never closed")),
            None => None,
        };
        Turn { _of_caller: of_caller, _of_all: READERS.acquire().await.expect("it is never closed") }
    }
}

impl Turn {
    /// Ends the turn with these pieces.
    pub(super) fn during<T>(self, pieces: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        pieces.inspect(move |_| {
            let _turn = &self;
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_caller_who_takes_nothing_waits_for_itself_and_not_others_for_it() {
        let (slow, other) = (Reader(Some(Account::of_owner())), Reader(Some(Account::of_owner())));
        let held = [slow.turn().await, slow.turn().await];
        assert!(slow.turn().now_or_never().is_none(), "it has two curves in memory");
        other.turn().now_or_never().expect("another caller has its own turns");
        drop(held);
        slow.turn().now_or_never().expect("they are given back");
    }
}
