//! The tokens and the enrolled workers in memory, and who a caller is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use biosweep_common::vocabulary::access::role::Role;
use biosweep_common::vocabulary::access::rows::{EnrolledWorker, Invalid, TokenRow, TokenView};
use biosweep_common::vocabulary::access::token::{Secret, Token, TokenId};
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::vocabulary::time::WallTime;
use biosweep_host::clock::Clock;
use biosweep_scheduler::record::{AccessChange, AccessRows, AccessTables};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::tls::PeerCertificate;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Somebody without a token or a certificate.
    Nobody,
    /// A program of the coordinator's owner: it has the token in the home, or runs as the same user on this machine.
    Owner,
    /// The holder of a token, or of a certificate that stands for one.
    Holder {
        /// The token.
        token: TokenId,
        /// Its role.
        role: Role,
        /// When the certificate that stands for it expires; `None` without one.
        until: Option<WallTime>,
    },
    /// An enrolled worker.
    Worker {
        /// The worker.
        worker: WorkerId,
        /// When its certificate expires.
        until: WallTime,
    },
}

/// Why a caller is not who it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unknown {
    /// No token, or a secret that is not that of the token.
    #[error("this coordinator does not know the token; make one with `biosweep token create`")]
    Token,
    /// The token is no longer valid.
    #[error("{0}; make another with `biosweep token create`")]
    Invalid(#[from] Invalid),
    /// The worker is not enrolled here, or with another key.
    #[error("this coordinator has not enrolled the worker of this certificate")]
    Worker,
    /// The certificate of the worker was revoked.
    #[error("the certificate of the worker was revoked")]
    Revoked,
    /// The certificate has expired.
    #[error("the certificate has expired")]
    Expired,
}

/// The tokens and the enrolled workers of a coordinator.
#[derive(Debug)]
pub(crate) struct Registry {
    state: RwLock<AccessTables>,
    /// The token of the home, which changes with each start; `None` if no other process can call.
    owner: Option<Token>,
    clock: Clock,
    changed: watch::Sender<()>,
    /// The workers that the owner started since this coordinator started. They have no certificate.
    owned: RwLock<BTreeSet<WorkerId>>,
}

/// SHA-256 of a secret.
pub(crate) fn digest(secret: &Secret) -> [u8; 32] {
    Sha256::digest(secret.0).into()
}

impl Registry {
    /// The tokens and workers of a store, and the token of the home.
    pub(crate) fn new(rows: AccessRows, owner: Option<Token>, clock: Clock) -> Self {
        Self {
            state: RwLock::new(rows.into()),
            owner,
            clock,
            changed: watch::Sender::new(()),
            owned: RwLock::default(),
        }
    }

    /// Every change is applied completely, so the state behind a poisoned lock is valid.
    fn state(&self) -> RwLockReadGuard<'_, AccessTables> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of day.
    pub(crate) fn now(&self) -> WallTime {
        self.clock.wall()
    }

    /// Who presents this token, or this certificate, or connects as the coordinator's own user. A token says what its holder wants
    /// to be, so it comes first.
    pub(crate) fn caller(
        &self,
        token: Option<&Token>,
        certificate: Option<&PeerCertificate>,
        is_own_user: bool,
    ) -> Result<Caller, Unknown> {
        match (token, certificate) {
            (Some(token), _) => self.of_token(token),
            (None, Some(certificate)) => self.of_certificate(certificate),
            (None, None) if is_own_user => Ok(Caller::Owner),
            (None, None) => Ok(Caller::Nobody),
        }
    }

    fn of_token(&self, token: &Token) -> Result<Caller, Unknown> {
        if self.owner.is_some_and(|owner| token.id == owner.id && digest(&token.secret) == digest(&owner.secret)) {
            return Ok(Caller::Owner);
        }
        // A token of the time without TLS may have been read on its way.
        if self.owner.is_some_and(|owner| owner.authority != token.authority) {
            return Err(Unknown::Token);
        }
        let state = self.state();
        let row = state.tokens.get(&token.id).filter(|row| row.secret_digest == digest(&token.secret));
        let row = row.ok_or(Unknown::Token)?;
        row.info.check(self.now())?;
        Ok(Caller::Holder { token: token.id, role: row.info.role, until: None })
    }

    fn of_certificate(&self, certificate: &PeerCertificate) -> Result<Caller, Unknown> {
        let caller = match certificate.role {
            Role::Worker => {
                let worker = certificate.name.parse().map_err(|_| Unknown::Worker)?;
                let state = self.state();
                let row = state.workers.get(&worker).filter(|row| row.key == certificate.key);
                row.ok_or(Unknown::Worker)?;
                Caller::Worker { worker, until: certificate.until }
            }
            role => {
                let token: TokenId = certificate.name.parse().map_err(|_| Unknown::Token)?;
                if certificate.until <= self.now() {
                    return Err(Unknown::Expired);
                }
                Caller::Holder { token, role, until: Some(certificate.until) }
            }
        };
        self.check(&caller).map(|()| caller)
    }

    /// Checks that a caller is still who it was.
    pub(crate) fn check(&self, caller: &Caller) -> Result<(), Unknown> {
        let (state, now) = (self.state(), self.now());
        match caller {
            Caller::Nobody | Caller::Owner => Ok(()),
            Caller::Holder { until: Some(until), .. } if *until <= now => Err(Unknown::Expired),
            Caller::Holder { token, role, .. } => {
                let row = state.tokens.get(token).filter(|row| row.info.role == *role).ok_or(Unknown::Token)?;
                Ok(row.info.check(now)?)
            }
            Caller::Worker { until, .. } if *until <= now => Err(Unknown::Expired),
            Caller::Worker { worker, .. } => match state.workers.get(worker) {
                None => Err(Unknown::Worker),
                Some(row) if row.revoked_at.is_some() => Err(Unknown::Revoked),
                Some(_) => Ok(()),
            },
        }
    }

    /// When a caller is no longer valid, unless it is revoked before; `None` for never.
    pub(crate) fn until(&self, caller: &Caller) -> Option<WallTime> {
        match caller {
            Caller::Nobody | Caller::Owner => None,
            Caller::Holder { token, until, .. } => {
                let of_token = self.state().tokens.get(token).and_then(|row| row.info.expires_at);
                of_token.into_iter().chain(*until).min()
            }
            Caller::Worker { until, .. } => Some(*until),
        }
    }

    /// Signals every change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A token.
    pub(crate) fn token(&self, id: TokenId) -> Option<TokenRow> {
        self.state().tokens.get(&id).cloned()
    }

    /// An enrolled worker.
    pub(crate) fn worker(&self, id: WorkerId) -> Option<EnrolledWorker> {
        self.state().workers.get(&id).cloned()
    }

    /// Notes that the owner started this worker, so that nobody else enrols under its id.
    pub(crate) fn note_owned(&self, worker: WorkerId) {
        self.owned.write().unwrap_or_else(PoisonError::into_inner).insert(worker);
    }

    /// Whether the owner started this worker.
    pub(crate) fn is_owned(&self, worker: WorkerId) -> bool {
        self.owned.read().unwrap_or_else(PoisonError::into_inner).contains(&worker)
    }

    /// Whether there are workers without a certificate since a time, but for those that were revoked.
    pub(crate) fn has_workers_before(&self, time: WallTime) -> bool {
        self.state().workers.values().any(|row| row.revoked_at.is_none() && row.enrolled_at < time)
    }

    /// Number of workers with a certificate that a token brought and that is not revoked.
    pub(crate) fn workers_of(&self, token: TokenId) -> u64 {
        let state = self.state();
        let of_token = |row: &&EnrolledWorker| row.token == token && row.revoked_at.is_none();
        state.workers.values().filter(of_token).count() as u64
    }

    /// All tokens, oldest first.
    pub(crate) fn tokens(&self) -> Vec<TokenView> {
        let state = self.state();
        let mut workers: BTreeMap<TokenId, u64> = BTreeMap::new();
        for row in state.workers.values() {
            *workers.entry(row.token).or_default() += 1;
        }
        let view = |row: &TokenRow| TokenView {
            info: row.info.clone(),
            workers: workers.get(&row.info.id).copied().unwrap_or_default(),
        };
        let mut views: Vec<TokenView> = state.tokens.values().map(view).collect();
        views.sort_by_key(|view| (view.info.created_at, view.info.id));
        views
    }

    /// Takes over a change that is stored.
    pub(crate) fn apply(&self, change: &AccessChange) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.apply(change).expect("the store has taken the change");
        drop(state);
        self.changed.send_replace(());
    }
}

/// Waits until a caller is no longer valid. The answer is the reason.
pub(crate) async fn invalid(registry: Arc<Registry>, caller: Caller) -> Unknown {
    let mut changes = registry.changes();
    loop {
        if let Err(unknown) = registry.check(&caller) {
            return unknown;
        }
        let left = registry.until(&caller).map(|until| Duration::from_millis(until.0.saturating_sub(registry.now().0)));
        let expired = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The registry lives as long as this future.
            _ = changes.changed() => {}
            () = expired => {}
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::Owner => f.write_str("owner"),
            Self::Holder { token, role, .. } => write!(f, "{role} {token}"),
            Self::Worker { worker, .. } => write!(f, "worker {worker}"),
        }
    }
}
