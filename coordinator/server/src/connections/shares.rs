//! How much of a server one caller may use at once. Callers other than the owner can never use all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::token::TokenId;
use biosweep_common::vocabulary::ids::WorkerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::registry::Caller;

/// Maximum number of connections of the token of a user, and their part of all connections.
const CONNECTIONS_MAX: usize = 128;
const CONNECTIONS_PART: usize = 8;
/// Every user has room for this many connections at least.
const CONNECTIONS_MIN: usize = 2;
/// Maximum number of connections of one worker. It needs one, and a few while it connects again.
const OF_WORKER_MAX: usize = 8;
/// Maximum number of requests of one caller at once. Each may hold its answer in memory.
const REQUESTS_MAX: usize = 128;
/// Maximum number of parts of learning curves in memory that one caller reads.
const CURVES_MAX: usize = 2;
/// Maximum number of pages with learning curves that one caller is shown at once.
const FIGURES_MAX: usize = 1;
/// Maximum number of event streams of one caller. Each is an open page.
const EVENTS_MAX: usize = 32;

/// The caller has all that it may have at once.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{caller} has too many {what} at once; end some of them, or use another token")]
pub(crate) struct Full {
    caller: &'static str,
    what: &'static str,
}

impl Full {
    /// The connection ends for another one.
    pub(super) const EVICTED: Self = Self { caller: "this server", what: "connections" };
}

/// The connections of a server, and what each caller uses.
#[derive(Debug)]
pub(crate) struct Shares {
    connections: usize,
    /// One permit for each connection of workers.
    of_workers: Arc<Semaphore>,
    /// One permit for each connection of anybody but the owner.
    of_others: Arc<Semaphore>,
    accounts: Mutex<BTreeMap<Holder, Weak<Account>>>,
}

/// Who is counted as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Owner,
    Token(TokenId),
    Worker(WorkerId),
}

/// What one caller may use at once: one permit for each.
#[derive(Debug)]
pub(crate) struct Account {
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    /// Parts of learning curves in memory, which the caller reads.
    pub(crate) curves: Arc<Semaphore>,
    /// Pages with learning curves.
    pub(crate) figures: Arc<Semaphore>,
    /// Event streams of the page.
    pub(crate) events: Arc<Semaphore>,
}

/// The place of a connection. It is given back at the end.
#[derive(Debug)]
pub(super) struct Place {
    holder: Holder,
    pub(super) account: Arc<Account>,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Shares {
    /// Of a server with this many connections.
    pub(super) fn new(connections: usize) -> Self {
        let kept = |part: usize| Arc::new(Semaphore::new((connections - connections.div_ceil(part)).max(1)));
        Self { connections, of_workers: kept(4), of_others: kept(8), accounts: Mutex::default() }
    }

    /// A place for a connection of this caller.
    pub(super) fn place(&self, caller: &Caller) -> Result<Place, Full> {
        let of_user = (self.connections / CONNECTIONS_PART).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX);
        let (of_workers, of_others) = (Some(&self.of_workers), Some(&self.of_others));
        let (of_caller, shared) = match caller {
            Caller::Owner | Caller::Nobody => (self.connections, [None, None]),
            Caller::Holder { role: Role::Worker, .. } => (self.connections, [of_workers, of_others]),
            Caller::Worker { .. } => (OF_WORKER_MAX, [of_workers, of_others]),
            Caller::Holder { .. } => (of_user, [None, of_others]),
        };
        let holder = Holder::of(caller);
        let account = self.account(holder, of_caller);
        let mut permits = Vec::new();
        for connections in [Some(&account.connections)].into_iter().chain(shared).flatten() {
            let permit = Arc::clone(connections).try_acquire_owned();
            permits.push(permit.map_err(|_| Full { caller: holder.words(), what: "connections" })?);
        }
        Ok(Place { holder, account, _permits: permits })
    }

    fn account(&self, holder: Holder, connections: usize) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(&holder).and_then(Weak::upgrade) {
            return account;
        }
        accounts.retain(|_, account| account.strong_count() > 0);
        let account = Arc::new(Account::new(connections, holder == Holder::Owner));
        accounts.insert(holder, Arc::downgrade(&account));
        account
    }
}

impl Holder {
    const fn of(caller: &Caller) -> Self {
        match caller {
            Caller::Owner | Caller::Nobody => Self::Owner,
            Caller::Holder { token, .. } => Self::Token(*token),
            Caller::Worker { worker, .. } => Self::Worker(*worker),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Owner => "the owner",
            Self::Token(_) => "the token",
            Self::Worker(_) => "the worker",
        }
    }
}

impl Account {
    /// Of the owner, for requests that come on no connection.
    pub(crate) fn of_owner() -> Arc<Self> {
        Arc::new(Self::new(1, true))
    }

    fn new(connections: usize, is_owner: bool) -> Self {
        let most = |most: usize| Arc::new(Semaphore::new(if is_owner { Semaphore::MAX_PERMITS } else { most }));
        Self {
            connections: Arc::new(Semaphore::new(connections)),
            requests: most(REQUESTS_MAX),
            // Memory is the same for everybody.
            curves: Arc::new(Semaphore::new(CURVES_MAX)),
            figures: Arc::new(Semaphore::new(FIGURES_MAX)),
            events: most(EVENTS_MAX),
        }
    }
}

impl Place {
    /// Whether it is counted for this caller.
    pub(super) fn is_of(&self, caller: &Caller) -> bool {
        self.holder == Holder::of(caller)
    }

    /// One more request.
    pub(super) fn request(&self) -> Result<OwnedSemaphorePermit, Full> {
        let permit = Arc::clone(&self.account.requests).try_acquire_owned();
        permit.map_err(|_| Full { caller: self.holder.words(), what: "requests" })
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::vocabulary::time::WallTime;
    use uuid::Uuid;

    use super::*;

    fn user(number: u8) -> Caller {
        Caller::Holder { token: TokenId([number; 8]), role: Role::Viewer, until: None }
    }

    fn worker(number: u128) -> Caller {
        Caller::Worker { worker: WorkerId(Uuid::from_u128(number)), until: WallTime(1) }
    }

    #[test]
    fn neither_one_token_nor_all_together_take_the_connections_of_others() {
        let shares = Shares::new(80);
        let take = |caller: &Caller| std::iter::from_fn(|| shares.place(caller).ok()).collect::<Vec<_>>();
        let first = take(&user(1));
        assert_eq!(first.len(), 10, "one token has an eighth");
        assert_eq!(take(&user(2)).len(), 10, "another token has its own");
        let one = take(&worker(1));
        assert_eq!(one.len(), OF_WORKER_MAX);
        let fleet: Vec<_> = (2..100).flat_map(|number| take(&worker(number))).collect();
        assert_eq!(one.len() + fleet.len(), 60, "workers have three quarters");
        let users: Vec<_> = (3..100).flat_map(|number| take(&user(number))).collect();
        assert_eq!(users.len() + first.len() + one.len() + fleet.len(), 70, "an eighth is the owner's");
        assert!(take(&Caller::Owner).len() >= 10, "the owner is served");
        drop(first);
        assert_eq!(take(&user(1)).len(), 10, "what is given back is free");
    }

    #[test]
    fn a_caller_has_a_limited_number_of_requests_on_all_its_connections() {
        let shares = Shares::new(1_000);
        let places = [shares.place(&user(1)).expect("room"), shares.place(&user(1)).expect("room")];
        let taken: Vec<_> = (0..REQUESTS_MAX).map(|i| places[i % 2].request().expect("room")).collect();
        let why = places[0].request().expect_err("it has all").to_string();
        assert_eq!(why, "the token has too many requests at once; end some of them, or use another token");
        drop(taken);
        let _again = places[0].request().expect("they are given back");
    }
}
