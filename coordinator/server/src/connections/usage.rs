//! Who uses a connection, and how long it may stay open. A connection ends
//!
//! - when nobody known has used it in time, or when others need its place before that;
//! - when its caller is no longer valid;
//! - when its caller has not used it for some time;
//! - when its caller does not read an answer.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep};

use super::shares::{Account, Full, Place, Shares};
use crate::access::registry::{Caller, Registry, Unknown, invalid};

/// The time limit for a connection to start, and then for its first request of somebody known.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// How long a connection stays open between two requests.
const UNUSED: Duration = Duration::from_secs(60);
/// The time limit for a caller to read a part of an answer, which has a megabyte at most.
const READS: Duration = Duration::from_secs(60);
/// The pause between two looks for answers that are not read.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The time in which the answers to a caller that is no longer valid end with the reason.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("nobody known has used it")]
    Unknown,
    #[error("another connection needs its place")]
    Evicted,
    #[error("its caller is no longer valid: {0}")]
    Invalid(Unknown),
    #[error("its caller has not used it")]
    Unused,
    #[error("its caller does not read an answer")]
    Unread,
}

/// The use of one connection.
#[derive(Debug)]
pub(crate) struct Usage {
    shares: Arc<Shares>,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last caller that is known. Only this one is counted.
    known: Option<Known>,
    /// The requests under way.
    requests: BTreeMap<u64, Reader>,
    /// The number of the next request.
    next: u64,
    is_evicted: bool,
}

#[derive(Debug)]
struct Known {
    caller: Caller,
    /// What says whether the caller is valid; `None` if everybody is.
    registry: Option<Arc<Registry>>,
    place: Place,
}

/// What the caller of a request does.
#[derive(Debug, Clone, Copy)]
enum Reader {
    /// It waits for the answer, or for its next part.
    Waits,
    /// Since this time it has not taken the part that it was given last.
    HasPart(Instant),
}

impl Usage {
    pub(super) fn new(shares: Arc<Shares>) -> Arc<Self> {
        Arc::new(Self { shares, state: watch::Sender::default() })
    }

    /// Counts a request of a known caller. If the caller is another one than before, the connection is its own from now on.
    pub(crate) fn begin(self: &Arc<Self>, caller: &Caller, registry: Option<&Arc<Registry>>) -> Result<InUse, Full> {
        let mut begun = Err(None);
        self.state.send_if_modified(|state| {
            let is_same = state.known.as_ref().is_some_and(|known| known.caller == *caller);
            if !is_same && let Err(full) = state.meet(&self.shares, caller, registry) {
                begun = Err(Some(full));
                return false;
            }
            let Some(known) = &state.known else { return false };
            let account = Arc::clone(&known.place.account);
            let permit = match known.place.request() {
                Ok(permit) => permit,
                Err(full) => {
                    begun = Err(Some(full));
                    return !is_same;
                }
            };
            let number = state.next;
            state.next += 1;
            let is_first = state.requests.is_empty();
            state.requests.insert(number, Reader::Waits);
            begun = Ok((number, account, permit));
            is_first || !is_same
        });
        let (number, account, permit) = begun.map_err(|full: Option<Full>| full.unwrap_or(Full::EVICTED))?;
        Ok(InUse { usage: Arc::clone(self), number, account, _permit: permit })
    }

    /// Ends the connection if nobody known uses it. Returns whether it ends.
    pub(super) fn evict(&self) -> bool {
        self.state.send_if_modified(|state| {
            state.is_evicted = state.known.is_none();
            state.is_evicted
        })
    }

    /// Waits until the connection must end for another one.
    pub(super) async fn evicted(&self) {
        let mut changes = self.state.subscribe();
        // The sender of changes lives as long as this value.
        let _state = changes.wait_for(|state| state.is_evicted).await;
    }

    /// Whether nobody known uses it.
    pub(super) fn is_unknown(&self) -> bool {
        self.state.borrow().known.is_none()
    }

    /// Waits until the connection must end.
    pub(super) async fn end(self: Arc<Self>) -> End {
        let mut changes = self.state.subscribe();
        let mut silence = pin!(sleep(SILENCE));
        loop {
            let (known, is_used) = {
                let state = changes.borrow_and_update();
                if state.is_evicted {
                    return End::Evicted;
                }
                if state.requests.values().any(|reader| reader.is_late()) {
                    return End::Unread;
                }
                let known = state.known.as_ref().map(|known| (known.caller.clone(), known.registry.clone()));
                (known, !state.requests.is_empty())
            };
            let Some((caller, registry)) = known else {
                tokio::select! {
                    // The sender of changes lives as long as this value.
                    _ = changes.changed() => {}
                    () = &mut silence => return End::Unknown,
                }
                continue;
            };
            let no_longer_valid = async {
                match registry {
                    Some(registry) => invalid(registry, caller).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = changes.changed() => {}
                why = no_longer_valid => {
                    sleep(LAST_ANSWERS).await;
                    return End::Invalid(why);
                }
                () = sleep(if is_used { LOOK_EVERY } else { UNUSED }) => {
                    if !is_used {
                        return End::Unused;
                    }
                }
            }
        }
    }
}

impl State {
    /// Makes the connection that of a known caller.
    fn meet(&mut self, shares: &Shares, caller: &Caller, registry: Option<&Arc<Registry>>) -> Result<(), Full> {
        if self.is_evicted {
            return Err(Full::EVICTED);
        }
        let place = match self.known.take_if(|known| known.place.is_of(caller)) {
            // The same caller with a new certificate.
            Some(known) => known.place,
            None => shares.place(caller)?,
        };
        self.known = Some(Known { caller: caller.clone(), registry: registry.cloned(), place });
        Ok(())
    }
}

impl Reader {
    fn is_late(self) -> bool {
        matches!(self, Self::HasPart(since) if since.elapsed() >= READS)
    }
}

/// A request under way. It ends with this value.
#[derive(Debug)]
pub(crate) struct InUse {
    usage: Arc<Usage>,
    number: u64,
    /// What its caller may use.
    pub(crate) account: Arc<Account>,
    _permit: OwnedSemaphorePermit,
}

impl InUse {
    fn note(&self, reader: Reader) {
        self.usage.state.send_if_modified(|state| {
            state.requests.insert(self.number, reader);
            false
        });
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.usage.state.send_if_modified(|state| {
            state.requests.remove(&self.number);
            state.requests.is_empty()
        });
    }
}

/// The body of the answer to a request under way.
pub(crate) struct Answer<B> {
    body: B,
    in_use: InUse,
}

impl<B> Answer<B> {
    pub(crate) fn new(body: B, in_use: InUse) -> Self {
        in_use.note(Reader::HasPart(Instant::now()));
        Self { body, in_use }
    }
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let part = Pin::new(&mut self.body).poll_frame(cx);
        // The transport asks for the next part when the caller has taken the last one.
        self.in_use.note(if part.is_ready() { Reader::HasPart(Instant::now()) } else { Reader::Waits });
        part
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use axum::body::{Body as Whole, Bytes};
    use biosweep_common::vocabulary::access::role::Role;
    use biosweep_common::vocabulary::access::rows::{TokenInfo, TokenRow};
    use biosweep_common::vocabulary::access::token::TokenId;
    use biosweep_common::vocabulary::time::WallTime;
    use biosweep_host::clock::Clock;
    use biosweep_scheduler::record::{AccessChange, AccessRows};
    use futures::FutureExt as _;

    use super::*;

    fn usage() -> Arc<Usage> {
        Usage::new(Arc::new(Shares::new(100)))
    }

    fn user(number: u8) -> Caller {
        Caller::Holder { token: TokenId([number; 8]), role: Role::Viewer, until: None }
    }

    #[tokio::test]
    async fn a_connection_ends_if_an_answer_is_not_read() {
        let usage = usage();
        let answer = Answer::new(Whole::from("part"), usage.begin(&user(1), None).expect("room"));
        assert!(usage.clone().end().now_or_never().is_none(), "there is time");
        let late = Instant::now().checked_sub(READS).expect("the machine runs for longer");
        answer.in_use.note(Reader::HasPart(late));
        assert!(matches!(usage.clone().end().now_or_never(), Some(End::Unread)));
        let mut answer = answer;
        let part = poll_fn(|cx| Pin::new(&mut answer).poll_frame(cx)).await;
        assert!(matches!(part, Some(Ok(_))));
        assert!(usage.clone().end().now_or_never().is_none(), "it was read");
        drop(answer);
        assert!(usage.state.borrow().requests.is_empty());
    }

    #[tokio::test]
    async fn an_answer_that_its_server_has_not_made_yet_is_not_late() {
        let usage = usage();
        let slow = Whole::from_stream(futures::stream::pending::<Result<Bytes, std::convert::Infallible>>());
        let mut answer = Answer::new(slow, usage.begin(&user(1), None).expect("room"));
        assert!(poll_fn(|cx| Pin::new(&mut answer).poll_frame(cx)).now_or_never().is_none());
        let requests = &usage.state.borrow().requests;
        assert!(matches!(requests.values().next(), Some(Reader::Waits)), "{requests:?}");
    }

    #[tokio::test]
    async fn a_connection_ends_when_its_last_caller_is_revoked_also_between_requests() {
        let row = |id| {
            let info = TokenInfo {
                id,
                role: Role::Viewer,
                label: String::new(),
                creator: String::new(),
                created_at: WallTime(0),
                expires_at: None,
                uses_left: None,
                revoked_at: None,
            };
            TokenRow { info, secret_digest: [0; 32] }
        };
        let (first, second) = (TokenId([1; 8]), TokenId([2; 8]));
        let registry = Arc::new(Registry::new(AccessRows::default(), None, Clock::start()));
        for id in [first, second] {
            registry.apply(&AccessChange::TokenCreated(row(id)));
        }
        let usage = usage();
        for number in [1, 2] {
            drop(usage.begin(&user(number), Some(&registry)).expect("room"));
        }
        let end = tokio::spawn(usage.clone().end());
        registry.apply(&AccessChange::TokenRevoked { id: first, at: WallTime(1) });
        assert!(usage.clone().end().now_or_never().is_none(), "it is that of the second one");
        registry.apply(&AccessChange::TokenRevoked { id: second, at: WallTime(1) });
        let end = tokio::time::timeout(Duration::from_secs(60), end).await.expect("it ends").expect("no panic");
        assert!(matches!(end, End::Invalid(_)), "{end}");
    }

    #[tokio::test]
    async fn a_connection_that_gives_way_takes_no_request() {
        let usage = usage();
        assert!(usage.evict());
        usage.begin(&user(1), None).expect_err("it ends");
        assert!(matches!(usage.end().now_or_never(), Some(End::Evicted)));
    }
}
