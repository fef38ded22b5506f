//! Creating, listing and revoking tokens; enrolling workers. Each change is stored before it counts.

use std::sync::Arc;

use biosweep_common::vocabulary::access::rows::{EnrolledWorker, Invalid, NewToken, TokenInfo, TokenRow, TokenView};
use biosweep_common::vocabulary::access::token::{Secret, Token, TokenId};
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::vocabulary::time::WallTime;
use biosweep_scheduler::event::Event;
use biosweep_scheduler::record::AccessChange;
use tokio::sync::Mutex;

use super::authority::{Authority, KeyRequest, RequestError, WORKER_MS};
use super::registry::{Caller, Registry, digest};
use crate::driver::{DriverError, Handle, Stopped};

/// Why access was not changed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The coordinator has no protection, so there is nothing to change.
    #[error(
        "this coordinator serves everybody (--insecure), so it has no tokens; make certificates with `biosweep certs init`"
    )]
    Unprotected,
    /// The coordinator has no certificate authority.
    #[error("this coordinator has no certificate authority, so workers need no certificate; use the token of its home")]
    NoAuthority,
    /// There is no such token or worker.
    #[error("there is no token or worker `{id}`; `biosweep token list` shows all tokens")]
    NoSuch {
        /// The id as given.
        id: String,
    },
    /// The token of the caller is not valid.
    #[error("{0}; ask for another one")]
    Invalid(#[from] Invalid),
    /// The worker is enrolled with another key.
    #[error(
        "the worker {worker} is enrolled with another key; start the worker with another home, or under the user who has its key"
    )]
    OtherKey {
        /// The worker.
        worker: WorkerId,
    },
    /// The worker was revoked.
    #[error("the worker {worker} was revoked; start it with another home, and with a token that is valid")]
    Revoked {
        /// The worker.
        worker: WorkerId,
    },
    /// The id is that of a worker without a certificate: the owner started it.
    #[error("the owner of the coordinator started the worker {worker}; start yours with another home")]
    Owned {
        /// The worker.
        worker: WorkerId,
    },
    /// The caller may not do this.
    #[error("only a worker with a certificate can renew it")]
    NotAWorker,
    /// The certificate signing request is refused.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The coordinator cannot run the command.
    #[error(transparent)]
    DriverError(#[from] DriverError),
}

impl From<Stopped> for AccessError {
    fn from(stopped: Stopped) -> Self {
        Self::DriverError(stopped.into())
    }
}

/// Changes access to one coordinator. All copies share one lock.
#[derive(Clone)]
pub(crate) struct Administration {
    handle: Handle,
    registry: Option<Arc<Registry>>,
    authority: Option<Arc<Authority>>,
    /// One change at a time: uses are counted when they are stored.
    lock: Arc<Mutex<()>>,
}

impl Administration {
    /// Of the coordinator with this loop. Without a registry it serves everybody.
    pub(crate) fn new(handle: Handle, registry: Option<Arc<Registry>>, authority: Option<Arc<Authority>>) -> Self {
        Self { handle, registry, authority, lock: Arc::default() }
    }

    fn registry(&self) -> Result<&Arc<Registry>, AccessError> {
        self.registry.as_ref().ok_or(AccessError::Unprotected)
    }

    async fn store(&self, change: AccessChange) -> Result<(), AccessError> {
        self.handle.apply(Event::AccessChanged(change.clone())).await?;
        self.registry()?.apply(&change);
        Ok(())
    }

    /// Creates a token.
    pub(crate) async fn create(&self, new: NewToken, creator: &Caller) -> Result<(Token, TokenView), AccessError> {
        let registry = self.registry()?;
        let authority = self.authority.as_ref().map(|authority| authority.fingerprint);
        let token = Token { authority, id: TokenId(rand::random()), secret: Secret(rand::random()) };
        let now = registry.now();
        let info = TokenInfo {
            id: token.id,
            role: new.role,
            label: new.label,
            creator: creator.to_string(),
            created_at: now,
            expires_at: new.expires_in_ms.map(|ms| WallTime(now.0.saturating_add(ms))),
            uses_left: new.uses,
            revoked_at: None,
        };
        let row = TokenRow { info: info.clone(), secret_digest: digest(&token.secret) };
        let _one = self.lock.lock().await;
        self.store(AccessChange::TokenCreated(row)).await?;
        tracing::info!(token = %info.id, role = %info.role, creator = info.creator, "a token was created");
        Ok((token, TokenView { info, workers: 0 }))
    }

    /// All tokens, oldest first.
    pub(crate) fn list(&self) -> Result<Vec<TokenView>, AccessError> {
        Ok(self.registry()?.tokens())
    }

    /// Revokes a token with the certificates that it brought, or the certificate of a worker. Returns the number of workers whose
    /// certificates are no longer valid.
    pub(crate) async fn revoke(&self, id: &str) -> Result<u64, AccessError> {
        let registry = self.registry()?;
        let (token, worker) = (id.parse::<TokenId>().ok(), id.parse::<WorkerId>().ok());
        let at = registry.now();
        let _one = self.lock.lock().await;
        let workers = if let Some(id) = token.filter(|&id| registry.token(id).is_some()) {
            let workers = registry.workers_of(id);
            self.store(AccessChange::TokenRevoked { id, at }).await?;
            workers
        } else if let Some(row) = worker.and_then(|id| registry.worker(id)) {
            self.store(AccessChange::WorkerRevoked { worker: row.worker, at }).await?;
            u64::from(row.revoked_at.is_none())
        } else {
            return Err(AccessError::NoSuch { id: id.to_owned() });
        };
        tracing::info!(id, workers, "access was revoked");
        Ok(workers)
    }

    /// Gives a worker a certificate for its key, with a token for workers.
    pub(crate) async fn enrol(
        &self,
        caller: &Caller,
        worker: WorkerId,
        request: &[u8],
    ) -> Result<Vec<Vec<u8>>, AccessError> {
        let registry = self.registry()?;
        let authority = self.authority.as_ref().ok_or(AccessError::NoAuthority)?;
        let Caller::Holder { token, .. } = caller else { return Err(AccessError::NotAWorker) };
        let request = KeyRequest::read(request)?;
        let _one = self.lock.lock().await;
        let now = registry.now();
        let row = registry.token(*token).ok_or_else(|| AccessError::NoSuch { id: token.to_string() })?;
        row.info.check_use(now)?;
        if let Some(known) = registry.worker(worker) {
            if known.revoked_at.is_some() {
                return Err(AccessError::Revoked { worker });
            }
            if known.key != request.key {
                return Err(AccessError::OtherKey { worker });
            }
        } else if registry.is_owned(worker) || self.handle.ask(move |scheduler| scheduler.knows(worker)).await? {
            return Err(AccessError::Owned { worker });
        }
        let chain = authority.sign_worker(&request, worker, now)?;
        let row = EnrolledWorker { worker, key: request.key, token: *token, enrolled_at: now, revoked_at: None };
        self.store(AccessChange::Enrolled(row)).await?;
        // Otherwise the rows of short-lived workers would pile up.
        let before = WallTime(now.0.saturating_sub(2 * WORKER_MS));
        if registry.has_workers_before(before) {
            self.store(AccessChange::Forgotten { before }).await?;
        }
        tracing::info!(%worker, %token, "a worker has enrolled");
        Ok(chain)
    }

    /// Gives an enrolled worker a new certificate for the same key.
    pub(crate) async fn renew(&self, caller: &Caller, request: &[u8]) -> Result<Vec<Vec<u8>>, AccessError> {
        let registry = self.registry()?;
        let authority = self.authority.as_ref().ok_or(AccessError::NoAuthority)?;
        let Caller::Worker { worker, .. } = *caller else { return Err(AccessError::NotAWorker) };
        let request = KeyRequest::read(request)?;
        let _one = self.lock.lock().await;
        if registry.worker(worker).is_none_or(|known| known.key != request.key) {
            return Err(AccessError::OtherKey { worker });
        }
        let at = registry.now();
        let chain = authority.sign_worker(&request, worker, at)?;
        self.store(AccessChange::Renewed { worker, at }).await?;
        Ok(chain)
    }
}
